//! A finding as one line: `a.ia2:3:1: error[E0102]: unknown system call `opennat`; did you mean `openat`?`

use crate::diag::{Diagnostic, Severity, decimal};
use crate::policy::Source;
use crate::span::{Span, line_column};
use crate::text;
use alloc::borrow::ToOwned;
use alloc::string::String;

/// The line, without its end. `sources` are those that came with the finding.
#[must_use]
pub fn line(found: &Diagnostic, sources: &[Source]) -> String {
    let severity = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let place = place(found.span, sources);
    let mut all = text!(place, ": ", severity, "[", found.code.0, "]: ", found.message);
    if !found.label.is_empty() {
        all = text!(all, " (", found.label, ")");
    }
    for (span, words) in &found.related {
        all = text!(all, " (", words, " at ", self::place(*span, sources), ")");
    }
    if !found.help.is_empty() {
        all = text!(all, "; ", found.help);
    }
    all
}

/// `file:line:column`
#[must_use]
pub fn place(span: Span, sources: &[Source]) -> String {
    let Some(source) = sources.get(usize::from(span.file)) else {
        return "?".to_owned();
    };
    let (line, column) = line_column(&source.text, span.start);
    text!(source.name, ":", decimal(u64::from(line)), ":", decimal(u64::from(column)))
}
