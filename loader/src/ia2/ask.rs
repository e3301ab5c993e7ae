//! `ia2 test`: what a policy says to a call, without making it; and its own unit tests.

use std::io::{self, Write};
use std::process::ExitCode;

use ia2_core::calls;
use ia2_core::constants::errno_name;
use ia2_core::verdict::ActionKind;
use ia2_policy::eval::{Atom, Cause, Outcome, eval};
use ia2_policy::policy::{Expected, Paths, Policy, UnitTest};
use ia2_policy::span::line_column;

use crate::layers;

/// Options of `ia2 test`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ia2 test app.ia2                                       run the `#?` lines of the policy
  ia2 test app.ia2 'openat(AT_FDCWD, \"/etc/shadow\", O_RDONLY)'
  ia2 test ia2 'socket(AF_INET, SOCK_STREAM, 0)' --expect allow")]
pub(crate) struct Arguments {
    /// A file, or a built-in policy by name.
    policy: String,
    /// A call as the policy's unit tests have it; an argument `_` is any.
    call: Option<String>,
    /// What it must get: allow, deny, or an action; without it, what it gets is only shown.
    #[arg(long, requires = "call")]
    expect: Option<String>,
}

/// Exit status 1 if a test fails, 2 if the policy cannot be used.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let expect = arguments.expect.as_deref();
    let test =
        arguments.call.as_ref().map(|call| format!("{call} -> {}", expect.unwrap_or("allow")));
    let loaded = layers::load(&arguments.policy, test.as_deref());
    let Some(policy) = loaded.or_draw() else { return Ok(ExitCode::from(2)) };
    let tests = match arguments.call {
        Some(_) => policy.tests.last().map_or(&[][..], core::slice::from_ref),
        None => &policy.tests,
    };
    let mut failed = 0;
    for test in tests {
        let said = said(policy, test);
        let holds = match test.expected {
            _ if arguments.call.is_some() && expect.is_none() => true,
            Expected::Allow => said.action.lets_through(),
            Expected::Deny => !said.action.lets_through(),
            Expected::Exactly(action) => said.action == action,
        };
        failed += usize::from(!holds);
        if arguments.call.is_some() || !holds {
            let line = if arguments.call.is_some() { String::new() } else { place(policy, test) };
            let mark = if holds { "" } else { "FAILED: " };
            writeln!(out, "{line}{mark}{}", in_words(policy, test.nr, &said))?;
        }
    }
    if arguments.call.is_none() {
        writeln!(out, "{}: {} tests, {failed} failed", arguments.policy, tests.len())?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn place(policy: &Policy, test: &UnitTest) -> String {
    let Some(source) = policy.sources.get(usize::from(test.span.file)) else {
        return String::new();
    };
    let (line, column) = line_column(&source.text, test.span.start);
    format!("{}:{line}:{column}: ", source.name)
}

/// What the policy says; paths are taken as they are written, and the caller is the C library.
fn said<'a>(policy: &'a Policy, test: &UnitTest) -> Outcome<'a> {
    let args = test.args.map(|arg| arg.unwrap_or(0));
    eval(policy, test.nr, &args, &mut |atom| {
        Ok(match atom {
            Atom::Path { arg, paths } => {
                let path = test.paths.get(usize::from(arg)).and_then(Option::as_ref);
                path.is_some_and(|path| leads_there(policy, test, arg, paths, path.as_bytes()))
            }
            Atom::From(caller) => *caller == ia2_policy::policy::Caller::Wrapper,
        })
    })
}

fn leads_there(policy: &Policy, test: &UnitTest, arg: u8, paths: &Paths, path: &[u8]) -> bool {
    use ia2_core::{access, paths::matches};
    let any = |patterns: &[String]| patterns.iter().any(|one| matches(one.as_bytes(), path));
    match paths {
        Paths::Patterns(patterns) => any(patterns),
        Paths::Files => {
            let flags = match access::flags(test.nr) {
                access::Flags::Argument(at) => test.args.get(usize::from(at)).copied().flatten(),
                _ => None,
            };
            let wanted = access::wanted(test.nr, arg, flags.unwrap_or(0), true);
            policy
                .files
                .iter()
                .any(|one| one.access.covers(wanted) && any(&one.paths) && !any(&one.except))
        }
    }
}

/// "openat: errno EACCES, by nginx.ia2:84:1 (its condition does not hold)"
pub(crate) fn in_words(policy: &Policy, nr: u32, said: &Outcome<'_>) -> String {
    let name = calls::name(nr).map_or_else(|| format!("call {nr}"), str::to_owned);
    let cause = match said.cause {
        Cause::Rule { index, held } => {
            let holds = if held { "holds" } else { "does not hold" };
            format!("by {} (its condition {holds})", rule_place(policy, index))
        }
        Cause::Default => "by default: no rule names it".to_owned(),
        Cause::Unknown => "unknown: newer than the policy".to_owned(),
        Cause::Argument => "an argument cannot be read".to_owned(),
    };
    let reason =
        if said.reason.is_empty() { String::new() } else { format!(" \"{}\"", said.reason) };
    format!("{name}: {}{reason}, {cause}", action(said.action))
}

/// Where a rule stands.
pub(crate) fn rule_place(policy: &Policy, index: usize) -> String {
    let Some(rule) = policy.rules.get(index) else { return String::new() };
    let Some(source) = policy.sources.get(usize::from(rule.span.file)) else {
        return String::new();
    };
    let (line, column) = line_column(&source.text, rule.span.start);
    format!("{}:{line}:{column}", source.name)
}

/// An action as a policy has it.
pub(crate) fn action(kind: ActionKind) -> String {
    match kind {
        ActionKind::KillProcess => "kill_process".to_owned(),
        ActionKind::KillThread => "kill_thread".to_owned(),
        ActionKind::Trap(_) => "trap".to_owned(),
        ActionKind::Trace(data) => format!("trace {data}"),
        ActionKind::Emulate => "emulate".to_owned(),
        ActionKind::Allow => "allow".to_owned(),
        ActionKind::Errno(value) => match errno_name(value) {
            Some(name) => format!("errno {name}"),
            None => format!("errno {value}"),
        },
    }
}
