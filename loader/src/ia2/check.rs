//! `ia2 check`: what is wrong with policies, and how large their filters are.

use core::str::FromStr;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use ia2_core::calls::{self, Version};
use ia2_core::cbpf;
use ia2_policy::diag::Severity;
use ia2_policy::eval::{Cause, Outcome};
use ia2_policy::policy::Policy;
use serde_json::{Value, json};

use crate::policy::{self, Rules, draw, words};

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 check app.ia2                      errors, warnings, the size of the filters
  ia2 check --deny warnings *.ia2        for CI: a warning fails too
  ia2 check --kernel 5.15 app.ia2        which calls that kernel does not have
  ia2 check --json - < app.ia2           for editors";

/// What is as bad as an error.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Warnings.
    Warnings,
}

/// Options of `ia2 check`.
#[derive(clap::Args)]
#[command(
    before_long_help = EXAMPLES,
    after_long_help = "Exit status: 0 if all is well, 1 if there are errors (with --deny, warnings), 2 if a policy cannot be read."
)]
pub(crate) struct Arguments {
    /// Policies: files, `-` for standard input, or names.
    #[arg(required = true, value_name = "POLICY")]
    policies: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// What is as bad as an error.
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
    /// Tell which calls a kernel of this version does not have, and which are newer than the policy.
    #[arg(long, value_name = "VERSION")]
    kernel: Option<Kernel>,
    /// Print an object of JSON for each policy.
    #[arg(long)]
    json: bool,
}

/// A version as a command line has it: `5.15`, `6`, `2.6.16`.
#[derive(Clone, Copy)]
struct Kernel(Version);

impl FromStr for Kernel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a version is two or three numbers, like 5.15";
        let mut parts = text.split('.').map(str::parse::<u8>);
        let mut next = |least: Option<u8>| match parts.next() {
            Some(part) => part.map_err(|_| WRONG),
            None => least.ok_or(WRONG),
        };
        let version = Version { major: next(None)?, minor: next(Some(0))?, patch: next(Some(0))? };
        // Later kernels have stable releases that bring no calls.
        let patch = if version.major > 2 { 0 } else { version.patch };
        if parts.next().is_some() { Err(WRONG) } else { Ok(Self(Version { patch, ..version })) }
    }
}

/// Exit status 1 if there are errors, 2 if a policy cannot be read.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let (mut bad, mut unreadable) = (false, false);
    for given in &arguments.policies {
        let mut loaded = policy::load(given, &arguments.rules);
        let name = &policy::sources::visible(given);
        let compiled = loaded.compile();
        let worst = loaded.findings.iter().map(|one| one.severity).max();
        bad |= worst == Some(Severity::Error)
            || (arguments.deny.is_some() && worst == Some(Severity::Warning));
        unreadable |= loaded.unreadable;
        let sizes =
            compiled.as_ref().map(|one| (one.strict.len(), one.inspected.len(), one.shim.len()));
        let on = match (&loaded.policy, arguments.kernel) {
            (Some(policy), Some(Kernel(version))) => Some(On::new(policy, version)),
            _ => None,
        };
        if arguments.json {
            let report = json!({
                "schema": "ia2.check/1",
                "policy": given,
                "findings": draw::json(&loaded.findings, &loaded.sources),
                "instructions": sizes.map(|(strict, inspected, shim)| {
                    json!({"strict": strict, "inspected": inspected, "shim": shim, "most": cbpf::MAX})
                }),
                "bytes": compiled.map(|one| one.blob.len()),
                "kernel": on.map(|on| on.json()),
            });
            writeln!(out, "{report}")?;
            continue;
        }
        for one in &loaded.findings {
            let styled = draw::is_output_styled();
            writeln!(out, "{}\n", draw::finding(one, &loaded.sources, styled))?;
        }
        if let Some(on) = on {
            on.write(name, out)?;
        }
        let all = |wanted| loaded.findings.iter().filter(|one| one.severity == wanted).count();
        let found = [(Severity::Error, "error"), (Severity::Warning, "warning")]
            .map(|(severity, word)| words::count(all(severity), word))
            .join(", ");
        match sizes {
            Some((strict, inspected, shim)) => writeln!(
                out,
                "{name}: {found}; instructions in the filter: {strict} (strict), {inspected} (inspected); in the shim: {shim}; at most {}",
                cbpf::MAX
            )?,
            None => writeln!(out, "{name}: {found}; no policy")?,
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

/// A policy on a kernel of some version.
struct On {
    version: Version,
    /// Calls that have rules, and that the kernel does not have.
    missing: Vec<u32>,
    /// Calls that the kernel has, and the policy does not know, with what they get.
    unknown: Vec<(u32, String)>,
}

impl On {
    fn new(policy: &Policy, version: Version) -> Self {
        let since = |nr| calls::by_nr(nr).map(|call| call.since);
        let ruled = policy.calls.iter().map(|row| row.0);
        let missing = ruled.filter(|nr| since(*nr).is_some_and(|since| since > version)).collect();
        let there = calls::all().filter(|call| call.since <= version && !call.obsolete);
        let unknown = there.filter(|call| policy.rule_of(call.nr).is_none()).filter_map(|call| {
            let said = Outcome::without_rule(policy, call.nr);
            (said.cause == Cause::Unknown).then(|| (call.nr, words::action(said.action)))
        });
        Self { version, missing, unknown: unknown.collect() }
    }

    fn write(&self, name: &str, out: &mut impl Write) -> io::Result<()> {
        let Self { version, missing, unknown } = self;
        let list = |numbers: &mut dyn Iterator<Item = u32>| {
            let names = numbers.map(|nr| {
                let since = calls::by_nr(nr).map(|call| format!(" ({})", call.since));
                format!("{}{}", words::call(nr), since.unwrap_or_default())
            });
            names.collect::<Vec<_>>().join(", ")
        };
        match missing.len() {
            0 => writeln!(out, "{name}: Linux {version} has all calls of its rules")?,
            count => {
                let count = words::count(count, "call");
                let list = list(&mut missing.iter().copied());
                writeln!(
                    out,
                    "{name}: rules for {count} that Linux {version} does not have: {list}"
                )?;
            }
        }
        if let Some((_, action)) = unknown.first() {
            let count = words::count(unknown.len(), "call");
            let list = list(&mut unknown.iter().map(|row| row.0));
            writeln!(
                out,
                "{name}: {count} of Linux {version} newer than the policy's baseline, which get {action}: {list}"
            )?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let call = |nr: u32| {
            let since = calls::by_nr(nr).map(|call| call.since.to_string());
            json!({"sys": words::call(nr), "nr": nr, "since": since})
        };
        json!({
            "version": self.version.to_string(),
            "missing": self.missing.iter().map(|nr| call(*nr)).collect::<Vec<_>>(),
            "unknown": self.unknown.iter().map(|row| call(row.0)).collect::<Vec<_>>(),
        })
    }
}
