//! Findings, as rustc draws them, and as objects of JSON in the shape of the language server protocol.

use std::io;

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};
use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use ia2_policy::diag::{Diagnostic, Severity};
use ia2_policy::policy::Source;
use ia2_policy::span::{Span, line_column};
use serde_json::{Value, json};

use super::sources::visible;

/// What `--color` says; without it, NO_COLOR, CLICOLOR_FORCE and the terminal decide.
pub(crate) fn choose(choice: clap::ColorChoice) {
    match choice {
        clap::ColorChoice::Auto => ColorChoice::Auto,
        clap::ColorChoice::Always => ColorChoice::Always,
        clap::ColorChoice::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Whether there are colours on this stream.
pub(crate) fn is_styled(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Whether there are colours on standard output.
pub(crate) fn is_output_styled() -> bool {
    is_styled(&io::stdout())
}

/// The finding with the lines it is about.
pub(crate) fn finding(found: &Diagnostic, sources: &[Source], styled: bool) -> String {
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(&found.message).id(found.code.0);
    let mut group = title.elements([] as [Element<'_>; 0]);
    let primary = core::iter::once((found.span, found.label.as_str(), AnnotationKind::Primary));
    let related = found.related.iter();
    let related = related.map(|(span, label)| (*span, label.as_str(), AnnotationKind::Context));
    let places: Vec<(Span, &str, AnnotationKind)> = primary.chain(related).collect();
    // One excerpt for each file.
    let mut files: Vec<u16> = Vec::new();
    for (span, ..) in &places {
        if !files.contains(&span.file) {
            files.push(span.file);
        }
    }
    for file in files {
        let source = sources.get(usize::from(file)).filter(|source| !source.text.is_empty());
        let Some(source) = source else { continue };
        let here = places.iter().filter(|place| place.0.file == file);
        let annotations = here.map(|(span, label, kind)| {
            let annotation = kind.span(range(*span, &source.text));
            if label.is_empty() { annotation } else { annotation.label(*label) }
        });
        let snippet = Snippet::source(&source.text).path(visible(&source.name));
        group = group.element(snippet.annotations(annotations));
    }
    if !found.help.is_empty() {
        group = group.element(Level::HELP.message(&found.help));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// The bytes of a span that are in the text.
fn range(span: Span, text: &str) -> core::ops::Range<usize> {
    let at = |at: u32| text.floor_char_boundary(at as usize);
    let start = at(span.start);
    start..at(span.end).max(start)
}

/// All of them for a machine.
pub(crate) fn json(findings: &[Diagnostic], sources: &[Source]) -> Vec<Value> {
    findings.iter().map(|found| one(found, sources)).collect()
}

fn one(found: &Diagnostic, sources: &[Source]) -> Value {
    let mut object = place(found.span, sources);
    let related = found.related.iter().map(|(span, label)| {
        let mut object = place(*span, sources);
        object["message"] = json!(label);
        object
    });
    object["severity"] = json!(severity(found.severity));
    object["code"] = json!(found.code.0);
    object["message"] = json!(found.message);
    object["label"] = json!(found.label);
    object["help"] = json!(found.help);
    object["related"] = related.collect();
    object
}

/// `error`, `warning`, `note`
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// Where a span is: both ends from line 1 and column 1, the second one past the last character.
pub(crate) fn place(span: Span, sources: &[Source]) -> Value {
    let source = sources.get(usize::from(span.file));
    let at = |at| source.map_or((1, 1), |source| line_column(&source.text, at));
    let ((line, column), (end_line, end_column)) = (at(span.start), at(span.end));
    json!({
        "file": source.map(|source| &source.name),
        "line": line,
        "column": column,
        "end": {"line": end_line, "column": end_column},
    })
}
