//! `ia2 doctor`: what this kernel and CPU support, and so which backstops and levels work.
//!
//! Nothing is believed that can be tried: filters, traps and mappings are made in a child that ends at once.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

mod probe;

use probe::{Fact, Facts, State};

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 doctor                             before the first run on a machine
  ia2 doctor --json                      for a bug report";

/// Options of `ia2 doctor`.
#[derive(clap::Args)]
#[command(
    before_long_help = EXAMPLES,
    after_long_help = "Exit status: 0 if the default backstop works, 1 if it does not."
)]
pub(crate) struct Arguments {
    /// Print an object of JSON.
    #[arg(long)]
    json: bool,
}

/// What follows from the facts.
struct Conclusion {
    name: &'static str,
    state: State,
    text: String,
}

/// Exit status 1 if the default backstop does not work.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let facts = probe::facts();
    let (backstops, levels) = (backstops(&facts), levels(&facts));
    if arguments.json {
        let rows = facts.all().iter().map(
            |one| json!({"name": one.name, "state": one.state.name(), "text": one.text, "value": one.value}),
        );
        let report = json!({
            "schema": "ia2.doctor/1",
            "facts": rows.collect::<Vec<_>>(),
            "backstops": list(&backstops),
            "levels": list(&levels),
        });
        writeln!(out, "{report}")?;
    } else {
        let line = |out: &mut dyn Write, state: State, name: &str, text: &str| {
            writeln!(out, "{:>3}  {name:<22} {text}", state.name())
        };
        for Fact { name, state, text, .. } in facts.all() {
            line(out, *state, name, text)?;
        }
        for (title, rows) in [("Backstops", &backstops), ("Levels", &levels)] {
            writeln!(out, "\n{title}")?;
            for Conclusion { name, state, text } in rows {
                line(out, *state, name, text)?;
            }
        }
    }
    let works = backstops.first().is_some_and(|strict| strict.state != State::No);
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn list(rows: &[Conclusion]) -> Vec<Value> {
    let rows = rows.iter();
    rows.map(|one| json!({"name": one.name, "state": one.state.name(), "text": one.text})).collect()
}

/// What is missing of these, in words; empty if nothing is.
fn missing(facts: &Facts, wanted: &[&str]) -> String {
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !facts.has(name)).collect();
    missing.join(", ")
}

/// Without which nothing works.
const GROUND: [&str; 2] = ["window", "process_vm_readv"];

fn backstops(facts: &Facts) -> Vec<Conclusion> {
    let row = |name, wanted: &[&str], text: &str| {
        let all: Vec<&str> = GROUND.iter().chain(wanted).copied().collect();
        let missing = missing(facts, &all);
        match missing.is_empty() {
            true => Conclusion { name, state: State::Yes, text: text.to_owned() },
            false => Conclusion { name, state: State::No, text: format!("missing: {missing}") },
        }
    };
    let cache = match facts.has("bitmap cache") {
        true => {
            "only the gate makes calls that the shim looks at; the kernel's bitmap answers most others"
        }
        false => "works, but the kernel is too old for the bitmap: it costs what `strict` costs",
    };
    vec![
        row(
            "strict",
            &["seccomp filter", "seccomp trap"],
            "only the gate makes calls (the default)",
        ),
        row("inspected", &["seccomp filter", "seccomp trap"], cache),
        row("sud", &["user dispatch"], "as strict, without confinement"),
        row("none", &[], "only rewritten sites are seen"),
    ]
}

fn levels(facts: &Facts) -> Vec<Conclusion> {
    let filters = missing(facts, &["window", "process_vm_readv", "seccomp filter", "seccomp trap"]);
    let ground = missing(facts, &GROUND);
    let holds = |name, missing: &str, text: &str| match missing {
        "" => Conclusion { name, state: State::Yes, text: text.to_owned() },
        _ => Conclusion { name, state: State::No, text: format!("missing: {missing}") },
    };
    let mut a2 = holds(
        "A2",
        &filters,
        "what the filter decides by numbers and scalars, also for native code",
    );
    if a2.state == State::Yes && !facts.has("mseal") {
        a2.state = State::Part;
        a2.text.push_str("; without mseal nothing keeps native code from unmapping the gate");
    }
    let pku = match facts.has("protection keys") {
        true => "nothing is claimed yet; the CPU has protection keys",
        false => "nothing is claimed yet; and there are no protection keys here",
    };
    vec![
        holds("A0", &ground, "an unaware program: every call is seen"),
        holds(
            "A1",
            &filters,
            "a program hostile through its inputs: paths and callers too, on copies",
        ),
        a2,
        Conclusion { name: "A3", state: State::No, text: pku.to_owned() },
    ]
}
