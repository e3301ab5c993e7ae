//! `files` items and the patterns of paths.

use crate::ast::{ItemKind, Name};
use crate::diag::{Diagnostic, Findings, quote};
use crate::load::Program;
use crate::policy::FileRule;
use crate::span::Span;
use crate::text;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::near;
use ia2_core::verdict::Access;

const WORDS: &[(&str, Access)] = &[
    ("ro", Access::Read),
    ("rw", Access::Write),
    ("rx", Access::Execute),
    ("create", Access::Create),
];

/// The `files` items of all texts, in order.
pub(super) fn items(program: &Program, findings: &mut Findings) -> Vec<FileRule> {
    let mut all = Vec::new();
    for item in &program.items {
        let ItemKind::Files { access, paths, except } = &item.kind else { continue };
        let paths = patterns(paths, findings);
        let except = patterns(except, findings);
        let known = WORDS.iter().find(|(word, _)| *word == access.text);
        let Some((_, access)) = known else {
            findings.push(unknown(access));
            continue;
        };
        all.push(FileRule { span: item.span, access: *access, paths, except });
    }
    all
}

fn unknown(access: &Name) -> Diagnostic {
    let message = text!("unknown access ", quote(&access.text));
    let found = Diagnostic::new("E0106", access.span, message);
    match near::nearest(&access.text, WORDS.iter().map(|(word, _)| *word)) {
        Some(near) => found.help(text!("did you mean ", quote(near), "?")),
        None => found.help("there are `ro`, `rw`, `rx` and `create`"),
    }
}

fn patterns(all: &[Name], findings: &mut Findings) -> Vec<String> {
    all.iter().filter_map(|one| pattern(&one.text, one.span, findings)).collect()
}

/// A pattern as the matcher takes it, unless it could never match.
pub(super) fn pattern(written: &str, span: Span, findings: &mut Findings) -> Option<String> {
    let trimmed = match written.strip_suffix('/') {
        Some("") | None => written,
        Some(shorter) => shorter,
    };
    let mut parts = trimmed.split('/');
    let is_absolute = parts.next() == Some("");
    let is_root = trimmed == "/";
    let (message, help) = if !is_absolute || written.is_empty() {
        ("a path begins with `/`", "it is compared with the whole path of the file")
    } else if written.contains('\0') {
        ("a path has no NUL in it", "")
    } else if !is_root && parts.clone().any(|part| matches!(part, "" | "." | "..")) {
        ("an empty component, `.` or `..`", "paths are compared without them")
    } else if parts.any(|part| part.contains("**") && part != "**") {
        ("`**` stands alone between slashes", "within a component, `*` is enough")
    } else {
        return Some(trimmed.to_owned());
    };
    findings.push(Diagnostic::new("E0403", span, message.to_owned()).help(help));
    None
}
