//! What the commands that read policies share.
//!
//! | file | noun |
//! |---|---|
//! | `rules` | rules on the command line, beside those of a policy |
//! | `sources` | where the text of a policy is, and who may have written it |
//! | `draw` | findings, as rustc draws them and as JSON |
//! | `words` | actions, outcomes and places in words |
//! | `written` | conditions as text |
//! | `point` | one call with all that a policy can ask about it, and what it says |
//! | `space` | the points that policies can tell apart |
//! | `cells` | the values of one argument that conditions can tell apart |
//! | `home` | who decides a rule, and against whom that holds |
//! | `plain` | a filter for programs that run without the shim |

use std::io::{self, Write};

use ia2_boot::built_in;
use ia2_core::blob::Blob;
use ia2_policy::compile::{Compiled, compile};
use ia2_policy::diag::{Diagnostic, Severity};
use ia2_policy::policy::{Policy, Source, UnitTest};
use ia2_policy::source::{BUILT_IN, COMMAND_LINE};
use ia2_policy::span::Span;
use serde_json::json;

mod cells;
pub(crate) mod draw;
pub(crate) mod home;
pub(crate) mod plain;
pub(crate) mod point;
pub(crate) mod rules;
pub(crate) mod sources;
pub(crate) mod space;
pub(crate) mod words;
pub(crate) mod written;

pub(crate) use rules::Rules;
pub(crate) use sources::{BASE_NAME, Files};

/// A policy that was read, with what there is to say about it.
pub(crate) struct Loaded {
    /// `None` if there are errors.
    pub(crate) policy: Option<Policy>,
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) sources: Vec<Source>,
    /// There is no first text: no file, or one that may not be used.
    pub(crate) unreadable: bool,
    /// It is no text, but was compiled before.
    compiled: Option<Vec<u8>>,
}

/// Reads a policy: one by its name, or a file.
pub(crate) fn load(name: &str, rules: &Rules) -> Loaded {
    read(name, rules, Files::default())
}

fn read(name: &str, rules: &Rules, mut files: Files) -> Loaded {
    let (full, found) = match sources::find(name) {
        Ok(full) => (full, None),
        Err(why) => (name.to_owned(), Some(why)),
    };
    let (policy, findings, sources) = match found {
        None => ia2_policy::load_with(&full, &rules.texts, &mut files),
        Some(why) => {
            let source = Source { name: name.to_owned(), text: String::new() };
            (None, vec![Diagnostic::new("E0601", Span::default(), why)], vec![source])
        }
    };
    Loaded { policy, findings, sources, unreadable: !files.has_read, compiled: files.compiled }
}

/// Reads a policy and a call as its unit tests have it, `read(0, _, _)`. What is wrong with the call is
/// found in a source of its own.
///
/// # Errors
/// The call cannot be one.
pub(crate) fn load_with_call(
    name: &str,
    rules: &Rules,
    call: &str,
    expected: &str,
) -> Result<(Loaded, Option<UnitTest>), String> {
    let line = format!("{call} -> {expected}");
    // It becomes a line of the policy, and must not become two.
    if line.chars().any(char::is_control) {
        return Err("a call is one line".to_owned());
    }
    let appended = format!("\n#? {line}\n");
    let files = Files { appended: Some(appended.clone()), ..Files::default() };
    let mut loaded = read(name, rules, files);
    let first = loaded.sources.first_mut();
    let Some(whole) = first.filter(|first| first.text.ends_with(&appended)) else {
        return Ok((loaded, None));
    };
    // Taken out of the text again.
    let end = whole.text.len();
    let base = end - appended.len();
    whole.text.truncate(base);
    let start = end - line.len() - 1;
    let own = u16::try_from(loaded.sources.len()).unwrap_or(u16::MAX);
    let move_over = |span: &mut Span| {
        let is_here = span.file == 0 && span.start as usize > base;
        let to = |at: u32| u32::try_from((at as usize).saturating_sub(start)).unwrap_or(u32::MAX);
        match span.start as usize {
            // The end of the text is where it was.
            at if is_here && at >= end => {
                let base = u32::try_from(base).unwrap_or(u32::MAX);
                *span = Span { file: 0, start: base, end: base };
            }
            _ if is_here => *span = Span { file: own, start: to(span.start), end: to(span.end) },
            _ => {}
        }
    };
    for found in &mut loaded.findings {
        move_over(&mut found.span);
        found.related.iter_mut().for_each(|(span, _)| move_over(span));
    }
    let test = loaded.policy.as_mut().and_then(|policy| {
        // A call that need not be known, `?name`, is no test.
        let is_it = |test: &UnitTest| test.span.file == 0 && test.span.start as usize > base;
        let at = policy.tests.iter().position(is_it)?;
        let mut test = policy.tests.remove(at);
        move_over(&mut test.span);
        Some(test)
    });
    // What is expected is shown only if something is wrong with it.
    let beyond =
        |found: &Diagnostic| found.span.file == own && found.span.end as usize > call.len();
    let is_shown = loaded.findings.iter().any(beyond);
    let text = if is_shown { line } else { call.to_owned() };
    loaded.sources.push(Source { name: "the call".to_owned(), text });
    if let Some(policy) = &mut loaded.policy {
        policy.sources.clone_from(&loaded.sources);
    }
    Ok((loaded, test))
}

impl Loaded {
    /// Compiles it; what is wrong is added to the findings.
    pub(crate) fn compile(&mut self) -> Option<Compiled> {
        match compile(self.policy.as_ref()?) {
            Ok(compiled) => {
                self.findings.extend(compiled.warnings.iter().cloned());
                Some(compiled)
            }
            Err(findings) => {
                self.findings.extend(findings);
                None
            }
        }
    }

    /// The errors, drawn on stderr.
    pub(crate) fn draw_errors(&self) {
        for error in self.drawn(|one| one.severity == Severity::Error) {
            eprintln!("{error}\n");
        }
    }

    /// Findings as stderr shows them.
    fn drawn(&self, wanted: impl Fn(&Diagnostic) -> bool) -> Vec<String> {
        let wanted = self.findings.iter().filter(|one| wanted(one));
        let is_styled = draw::is_styled(&io::stderr());
        wanted.map(|one| draw::finding(one, &self.sources, is_styled)).collect()
    }

    /// Whether a place is in rules of the command line.
    fn is_of_rules(&self, span: Span) -> bool {
        let source = self.sources.get(usize::from(span.file));
        source.is_some_and(|source| {
            source.name.strip_prefix(COMMAND_LINE).is_some_and(|rest| rest.starts_with(' '))
        })
    }

    /// The policy, or what is wrong with it: drawn on stderr, and as an object of JSON if that is wanted.
    ///
    /// # Errors
    /// Those of the output.
    pub(crate) fn usable(
        &self,
        schema: Option<&str>,
        out: &mut impl Write,
    ) -> io::Result<Option<&Policy>> {
        if self.policy.is_none() {
            self.draw_errors();
            if let Some(schema) = schema {
                let findings = draw::json(&self.findings, &self.sources);
                writeln!(out, "{}", json!({"schema": schema, "findings": findings}))?;
            }
        }
        Ok(self.policy.as_ref())
    }
}

/// The compiled form of a policy; `base` without rules has none. What is wrong with it is said on stderr;
/// what is odd about the rules is added to `warnings`.
///
/// # Errors
/// Why there is none, in a few words.
pub(crate) fn compiled(
    name: &str,
    rules: &Rules,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<u8>>, String> {
    let full = sources::find(name)?;
    if rules.texts.is_empty() {
        if full == BASE_NAME {
            return Ok(None);
        }
        if full.starts_with(BUILT_IN) {
            let blob = built_in::blob(&full).map(<[u8]>::to_vec);
            return blob.map(Some).ok_or_else(|| sources::no_policy(name));
        }
    }
    let mut loaded = load(name, rules);
    if let Some(bytes) = loaded.compiled {
        return match Blob::parse(&bytes) {
            Ok(_) if rules.texts.is_empty() => Ok(Some(bytes)),
            Ok(_) => Err(format!("{name}: rules are for a policy's text, and this is compiled")),
            Err(damage) => {
                Err(format!("{name}: not a compiled policy of this version: {damage:?}"))
            }
        };
    }
    let blob = loaded.compile().map(|compiled| compiled.blob);
    if blob.is_none() {
        loaded.draw_errors();
        return Err(format!("{name}: the policy has errors"));
    }
    let is_told =
        |one: &Diagnostic| one.severity == Severity::Warning && loaded.is_of_rules(one.span);
    for warning in loaded.drawn(is_told) {
        // Each policy may say the same of them.
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    Ok(blob)
}
