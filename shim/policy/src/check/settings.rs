//! `default`, `unknown`, `baseline`, `mode` and `memory`: one each. An item of a text outranks those of what the
//! text includes.
//!
//! | not said | means |
//! |---|---|
//! | `default` | an error: nobody should have to guess |
//! | `unknown` | what `default` does, if that kills; else `errno ENOSYS`, so that libraries fall back |
//! | `baseline` | every call of the table is known |
//! | `mode` | `allowlist` |
//! | `memory` | `off` |

use crate::ast::{self, ItemKind, Verb};
use crate::diag::{Diagnostic, Findings, decimal, quote};
use crate::load::Program;
use crate::policy::Action;
use crate::span::Span;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls::{self, Version};
use ia2_core::verdict::{ActionKind, Memory};

const EPERM: u16 = 1;
const ENOSYS: u16 = 38;

/// What holds where no rule does.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) baseline: Option<Version>,
    pub(super) memory: Memory,
    pub(super) default: Action,
    /// Where that was said.
    pub(super) default_span: Span,
    pub(super) unknown: Action,
    /// Where that was said.
    pub(super) unknown_span: Option<Span>,
}

impl Settings {
    /// What an action means under this `default`.
    pub(super) fn action(&self, written: &ast::Action) -> Action {
        action(written, self.deny())
    }

    fn deny(&self) -> ActionKind {
        match self.default.kind {
            kind if kind.lets_through() => ActionKind::Errno(EPERM),
            kind => kind,
        }
    }

    fn unsaid(&self) -> ActionKind {
        match self.default.kind {
            kind @ (ActionKind::KillProcess | ActionKind::KillThread) => kind,
            _ => ActionKind::Errno(ENOSYS),
        }
    }
}

fn action(written: &ast::Action, deny: ActionKind) -> Action {
    let kind = match written.verb {
        Verb::Allow => ActionKind::Allow,
        Verb::Deny => deny,
        Verb::Errno(number) => ActionKind::Errno(number),
        Verb::KillProcess => ActionKind::KillProcess,
        Verb::KillThread => ActionKind::KillThread,
        Verb::Trap(number) => ActionKind::Trap(number),
        Verb::Trace(number) => ActionKind::Trace(number),
        Verb::Emulate => ActionKind::Emulate,
    };
    Action { kind, log: written.log, reason: written.reason.clone() }
}

/// One item of several, with its place.
struct Said<T> {
    span: Span,
    value: T,
}

pub(super) fn settings(program: &Program, findings: &mut Findings) -> Settings {
    let (mut defaults, mut unknowns) = (Vec::new(), Vec::new());
    let (mut baselines, mut modes, mut memories) = (Vec::new(), Vec::new(), Vec::new());
    for item in &program.items {
        let span = item.span;
        match &item.kind {
            ItemKind::Default(value) => defaults.push(Said { span, value }),
            ItemKind::Unknown(value) => unknowns.push(Said { span, value }),
            ItemKind::Baseline(value) => baselines.push(Said { span, value }),
            ItemKind::Mode(value) => modes.push(Said { span, value }),
            ItemKind::Memory(value) => memories.push(Said { span, value }),
            _ => {}
        }
    }
    let default = outermost(defaults, "default", program, findings);
    let unknown = outermost(unknowns, "unknown", program, findings);
    let baseline = outermost(baselines, "baseline", program, findings);
    let mode = outermost(modes, "mode", program, findings);
    let memory = outermost(memories, "memory", program, findings);

    let memory = memory.map(|said| *said.value).unwrap_or_default();
    let mut all = Settings { memory, ..Settings::default() };
    if let Some(said) = baseline {
        all.baseline = Some(*said.value);
        let newest = calls::all().map(|call| call.since).max();
        if let Some(newest) = newest.filter(|newest| said.value > newest) {
            let message = text!("the table of this version ends at Linux ", version(newest));
            let found = Diagnostic::new("W0106", said.span, message);
            findings.push(found.help("calls that are newer have `unknown`"));
        }
    }
    let Some(default) = default else {
        if !program.incomplete && !findings.is_error() {
            let end = program.header.as_ref().map_or_else(Span::default, |header| header.span);
            let message = String::from("there is no `default`");
            let help = "say what becomes of calls that no rule names: `default errno EPERM`";
            findings.push(Diagnostic::new("E0205", end, message).help(help));
        }
        return all;
    };
    all.default_span = default.span;
    all.default = action(default.value, ActionKind::Errno(EPERM));
    no_emulation(default.value, findings);
    match unknown {
        Some(unknown) => {
            all.unknown_span = Some(unknown.span);
            all.unknown = all.action(unknown.value);
            no_emulation(unknown.value, findings);
        }
        None => all.unknown = Action { kind: all.unsaid(), ..Action::default() },
    }
    check_mode(&all, mode.as_ref(), findings);
    all
}

/// The one that counts.
fn outermost<T>(
    all: Vec<Said<T>>,
    word: &str,
    program: &Program,
    findings: &mut Findings,
) -> Option<Said<T>> {
    let files: Vec<u16> = all.iter().map(|one| one.span.file).collect();
    let is_inner = |one: &Said<T>| files.iter().any(|file| program.includes(*file, one.span.file));
    let mut outer = all.into_iter().filter(|one| !is_inner(one));
    let first = outer.next()?;
    for next in outer {
        let same_file = next.span.file == first.span.file;
        let message = match same_file {
            true => text!(quote(word), " is given twice"),
            false => text!("two included texts give ", quote(word)),
        };
        let found = Diagnostic::new("E0208", next.span, message).also(first.span, "the first time");
        findings.push(match same_file {
            true => found,
            false => found.help("say it in the text that includes both: that counts"),
        });
    }
    Some(first)
}

fn no_emulation(action: &ast::Action, findings: &mut Findings) {
    if action.verb == Verb::Emulate {
        let message = "only single calls can be emulated".into();
        findings.push(Diagnostic::new("E0502", action.span, message));
    }
}

fn check_mode(all: &Settings, mode: Option<&Said<&bool>>, findings: &mut Findings) {
    let blocklist = mode.is_some_and(|said| *said.value);
    let lets_through = all.default.kind.lets_through();
    if lets_through && !blocklist && all.default.kind != ActionKind::Emulate {
        let message = "everything that no rule names is allowed".into();
        let found = Diagnostic::new("E0206", all.default_span, message);
        let found = found.help("if this is meant, say so: `mode blocklist`");
        findings.push(match mode {
            Some(said) => found.also(said.span, "the mode is given"),
            None => found,
        });
    }
    if let Some(said) = mode.filter(|_| blocklist && !lets_through) {
        let message = "a blocklist whose `default` refuses".into();
        let found = Diagnostic::new("E0207", said.span, message);
        findings.push(found.also(all.default_span, "it is given"));
    }
}

/// `6.3`
pub(super) fn version(version: Version) -> String {
    let number = |part: u8| decimal(u64::from(part));
    let short = text!(number(version.major), ".", number(version.minor));
    match version.patch {
        0 => short,
        patch => text!(short, ".", number(patch)),
    }
}
