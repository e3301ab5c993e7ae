//! `ia2 check`: what is wrong with policies, and how large their filters are.

use std::io::{self, Write};
use std::process::ExitCode;

use ia2_policy::diag::{Diagnostic, Severity};
use ia2_policy::policy::Source;
use ia2_policy::span::line_column;
use serde_json::{Value, json};

use crate::layers;

/// Options of `ia2 check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Policies: files, or built-in ones by name.
    #[arg(required = true, value_name = "POLICY")]
    policies: Vec<String>,
    /// A warning is as bad as an error.
    #[arg(long)]
    deny_warnings: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Exit status 1 if there are errors, 2 if a policy cannot be read.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let (mut bad, mut unreadable) = (false, false);
    for name in &arguments.policies {
        let mut loaded = layers::load(name, None);
        let compiled = loaded.compile();
        let worst = loaded.findings.iter().map(|one| one.severity).max();
        bad |= worst == Some(Severity::Error)
            || (arguments.deny_warnings && worst == Some(Severity::Warning));
        // Nothing was read at all.
        unreadable |=
            loaded.policy.is_none() && loaded.sources.iter().all(|one| one.text.is_empty());
        let sizes = compiled.as_ref().map(|one| (one.strict.len(), one.inspected.len()));
        if arguments.json {
            let findings = loaded.findings.iter().map(|one| finding(one, &loaded.sources));
            let report = json!({"schema": "ia2.check/1", "policy": name,
                "findings": findings.collect::<Vec<_>>(),
                "instructions": sizes.map(|(strict, inspected)| json!({"strict": strict, "inspected": inspected})),
                "bytes": compiled.map(|one| one.blob.len())});
            writeln!(out, "{report}")?;
            continue;
        }
        for one in &loaded.findings {
            writeln!(out, "{}\n", layers::draw(one, &loaded.sources))?;
        }
        match sizes {
            Some((strict, inspected)) => writeln!(
                out,
                "{name}: {strict} instructions in the filter (strict), {inspected} (inspected), of at most 4096"
            )?,
            None => writeln!(out, "{name}: no policy")?,
        }
    }
    Ok(if unreadable {
        ExitCode::from(2)
    } else if bad {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn finding(one: &Diagnostic, sources: &[Source]) -> Value {
    let source = sources.get(usize::from(one.span.file));
    let place = |at| source.map_or((0, 0), |source| line_column(&source.text, at));
    let ((line, column), (end_line, end_column)) = (place(one.span.start), place(one.span.end));
    json!({"severity": match one.severity {
            Severity::Error => "error", Severity::Warning => "warning", Severity::Note => "note" },
        "code": one.code.0, "message": one.message, "help": one.help,
        "file": source.map(|source| &source.name), "line": line, "column": column,
        "end": {"line": end_line, "column": end_column}})
}
