//! `ia2 test`: what a policy says to a call, without making it; and its own unit tests.
//!
//! What a test leaves open (`_`, arguments at the end, whether a file is there) must not matter: all values
//! that the policy can tell apart are tried. A call is taken to come from the C library, unless `--from`
//! says something else.

use std::io::{self, Write};
use std::process::ExitCode;

use ia2_core::constants::errno;
use ia2_policy::eval::{Cause, Outcome};
use ia2_policy::policy::{Caller, Expected, Expr, Policy, UnitTest};
use serde_json::{Value, json};

use crate::policy::point::Point;
use crate::policy::space::{Given, Space};
use crate::policy::{self, Rules, draw, words};

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 test app.ia2                                       run the `#?` lines of the policy
  ia2 test --coverage app.ia2                            and name the rules that no test reaches
  ia2 test app.ia2 'openat(AT_FDCWD, \"/etc/shadow\", O_RDONLY)'
  ia2 test ia2 'socket(AF_INET, SOCK_STREAM, 0)' --expect allow
  ia2 test ia2 'pkey_alloc(0, 0)' --from jit --expect deny";

/// Options of `ia2 test`.
#[derive(clap::Args)]
#[command(
    before_long_help = EXAMPLES,
    after_long_help = "Exit status: 0 if all is as expected, 1 if not, 2 if the policy or the call cannot be used."
)]
pub(crate) struct Arguments {
    /// A file, `-` for standard input, or a name.
    policy: String,
    #[command(flatten)]
    rules: Rules,
    /// A call as the policy's unit tests have it; an argument `_` is any.
    #[arg(value_name = "CALL(ARGS)")]
    call: Option<String>,
    /// What it must get: allow, deny, or an action (kill_process, 'errno EPERM', EPERM). Without it, what
    /// the call gets is only shown.
    #[arg(long, requires = "call", value_name = "ACTION")]
    expect: Option<String>,
    /// Where calls are made: wrapper, jit, vdso, the file name of a module, or any.
    #[arg(long, value_name = "CALLER", default_value = "wrapper")]
    from: String,
    /// Name the rules that no test reaches.
    #[arg(long, conflicts_with = "call")]
    coverage: bool,
    /// Print an object of JSON.
    #[arg(long)]
    json: bool,
}

/// How the policy judges one test.
struct Judged<'a> {
    test: &'a UnitTest,
    /// As it is written.
    call: String,
    /// All that can happen, each with a call that shows it, and with what else it depends on.
    said: Vec<(Outcome<'a>, String, String)>,
    /// `None` if nothing is expected.
    holds: Option<bool>,
}

/// Exit status 1 if a test fails, 2 if the policy cannot be used.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let expect = arguments.expect.as_deref().map(expectation);
    let (loaded, asked) = match &arguments.call {
        None => (policy::load(&arguments.policy, &arguments.rules), None),
        Some(call) => {
            let expected = expect.as_deref().unwrap_or("allow");
            match policy::load_with_call(&arguments.policy, &arguments.rules, call, expected) {
                Ok((loaded, test)) => (loaded, test),
                Err(why) => {
                    eprintln!("ia2: {why}");
                    return Ok(ExitCode::from(2));
                }
            }
        }
    };
    let schema = arguments.json.then_some("ia2.test/1");
    let Some(policy) = loaded.usable(schema, out)? else { return Ok(ExitCode::from(2)) };
    let from = caller(&arguments.from);
    let tests = match (&arguments.call, &asked) {
        (None, _) => &policy.tests[..],
        (Some(_), Some(test)) => core::slice::from_ref(test),
        // A call that this table need not know, `?name`.
        (Some(call), None) => {
            eprintln!("ia2: no such call: {}", policy::sources::visible(call));
            return Ok(ExitCode::from(2));
        }
    };
    let shown_only = arguments.call.is_some() && expect.is_none();
    let judged: Vec<Judged<'_>> =
        tests.iter().map(|test| judge(policy, test, from.as_ref(), shown_only)).collect();
    let failed = judged.iter().filter(|one| one.holds == Some(false)).count();
    let unreached = if arguments.coverage { unreached(policy, &judged) } else { Vec::new() };
    if arguments.json {
        let tests = judged.iter().map(|one| one.json(policy)).collect::<Vec<_>>();
        let mut report = json!({"schema": "ia2.test/1", "policy": arguments.policy,
            "tests": tests, "failed": failed});
        if arguments.coverage {
            let rules = unreached.iter().map(|(index, _)| {
                policy.rules.get(*index).map(|rule| draw::place(rule.span, &policy.sources))
            });
            report["unreached"] = rules.collect();
        }
        writeln!(out, "{report}")?;
    } else {
        for one in &judged {
            if arguments.call.is_some() || one.holds == Some(false) {
                one.write(policy, arguments.call.is_none(), out)?;
            }
        }
        for (index, half) in &unreached {
            let place = words::rule_place(policy, *index);
            let span = policy.rules.get(*index).map(|rule| rule.span).unwrap_or_default();
            writeln!(out, "{place}: {half}: {}", words::text(&policy.sources, span))?;
        }
        if arguments.call.is_none() {
            writeln!(
                out,
                "{}: {}, {failed} failed",
                arguments.policy,
                words::count(tests.len(), "test")
            )?;
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// `EPERM` is short for `errno EPERM`.
fn expectation(text: &str) -> String {
    if errno(text).is_some() { format!("errno {text}") } else { text.to_owned() }
}

/// What `--from` says; `None` is any.
fn caller(name: &str) -> Option<Caller> {
    Some(match name {
        "any" => return None,
        "wrapper" => Caller::Wrapper,
        "jit" => Caller::Jit,
        "vdso" => Caller::Vdso,
        module => Caller::Module(module.to_owned()),
    })
}

/// Asks about all calls that the test means.
fn judge<'a>(
    policy: &'a Policy,
    test: &'a UnitTest,
    from: Option<&Caller>,
    shown_only: bool,
) -> Judged<'a> {
    let given = Given { args: test.args, paths: test.paths.clone(), from: from.cloned() };
    let space = Space::new(&[policy], test.nr, &given);
    let action = |point: &Point| {
        let said = point.ask(policy);
        (said.action, said.log)
    };
    let mut said: Vec<(Outcome<'a>, String, String)> = Vec::new();
    let mut meets = true;
    for point in space.points() {
        let one = point.ask(policy);
        meets &= match test.expected {
            Expected::Allow => one.action.lets_through(),
            Expected::Deny => !one.action.lets_through(),
            Expected::Exactly(action) => one.action == action,
        };
        if said.iter().all(|(other, ..)| (other.action, other.log) != (one.action, one.log)) {
            let besides = point.besides(&space.asked(&point, action));
            said.push((one, point.written(space.free(&point, action)), besides));
        }
    }
    let call = match said.as_slice() {
        [(_, call, _)] => call.clone(),
        _ => space.points().next().map_or_else(String::new, |point| {
            point.written(core::array::from_fn(|at| {
                let no_number = test.args.get(at).is_none_or(Option::is_none);
                no_number && test.paths.get(at).is_none_or(Option::is_none)
            }))
        }),
    };
    Judged { test, call, said, holds: (!shown_only).then_some(meets) }
}

impl Judged<'_> {
    fn write(&self, policy: &Policy, with_place: bool, out: &mut impl Write) -> io::Result<()> {
        if with_place {
            write!(out, "{}: ", words::place(&policy.sources, self.test.span))?;
        }
        if self.holds == Some(false) {
            write!(out, "FAILED: ")?;
        }
        match self.said.as_slice() {
            [(said, call, _)] => writeln!(out, "{call}: {}", words::outcome(policy, said))?,
            all => {
                writeln!(out, "{}: it depends", self.call)?;
                for (said, call, besides) in all {
                    let besides =
                        if besides.is_empty() { String::new() } else { format!(" {besides}") };
                    writeln!(out, "    {call}{besides}: {}", words::outcome(policy, said))?;
                }
            }
        }
        if self.holds == Some(false) {
            writeln!(out, "    expected: {}", expected(self.test.expected))?;
        }
        Ok(())
    }

    fn json(&self, policy: &Policy) -> Value {
        let said = self.said.iter().map(|(said, call, besides)| {
            let mut object = words::outcome_json(policy, said);
            object["call"] = json!(call);
            object["besides"] = json!(besides);
            object
        });
        let mut object = json!({
            "call": self.call,
            "expected": self.holds.map(|_| expected(self.test.expected)),
            "passed": self.holds,
            "outcomes": said.collect::<Vec<_>>(),
        });
        object["place"] = draw::place(self.test.span, &policy.sources);
        object
    }
}

fn expected(expected: Expected) -> String {
    match expected {
        Expected::Allow => "allow".to_owned(),
        Expected::Deny => "deny".to_owned(),
        Expected::Exactly(action) => words::action(action),
    }
}

/// Rules that no test reaches, or of which only one half is reached.
fn unreached(policy: &Policy, judged: &[Judged<'_>]) -> Vec<(usize, &'static str)> {
    let all = || judged.iter().flat_map(|one| &one.said).map(|row| row.0.cause);
    let reached = |wanted: usize, half: bool| {
        all().any(|cause| cause == Cause::Rule { index: wanted, held: half })
    };
    let with_calls = |index: &usize| policy.calls.iter().any(|row| usize::from(row.1) == *index);
    let rows = (0..policy.rules.len()).filter(with_calls).filter_map(|index| {
        let has_halves = policy
            .rules
            .get(index)
            .is_some_and(|rule| !matches!(rule.when, Expr::True | Expr::False));
        let half = match (reached(index, true), reached(index, false)) {
            (false, false) => "no test",
            (true, true) => return None,
            _ if !has_halves => return None,
            (true, false) => "no test where its condition does not hold",
            (false, true) => "no test where its condition holds",
        };
        Some((index, half))
    });
    rows.collect()
}
