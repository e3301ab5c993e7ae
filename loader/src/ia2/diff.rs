//! `ia2 diff`: which calls two policies treat differently, with a call that shows it.
//!
//! Both are asked about the same calls: each number, and for the arguments that either looks at, a value of
//! each kind that they can tell apart. So what is found is really different, and what is not found is
//! equal, but for two things that are told: conditions that compare two arguments, and patterns of paths,
//! of which only samples can be tried.
//!
//! `emulate` counts as `allow`: the shim does these calls in its own way under every policy.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use ia2_core::calls;
use ia2_policy::eval::Outcome;
use ia2_policy::policy::{Expr, Paths, Policy};
use serde_json::{Value, json};

use crate::policy::space::{Given, Space, effect};
use crate::policy::{self, Rules, words};

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 diff ia2 capejail                  all calls that they treat differently
  ia2 diff --why old.ia2 new.ia2         with the rules that say so
  ia2 diff --subset new.ia2 old.ia2      for CI: fails if `new` allows what `old` refuses";

/// Options of `ia2 diff`.
#[derive(clap::Args)]
#[command(
    before_long_help = EXAMPLES,
    after_long_help = "Exit status: 0 if they are equal (with --subset: if ONE allows no more than OTHER), 1 if not, 2 if one cannot be used."
)]
pub(crate) struct Arguments {
    /// A file, or a name.
    one: String,
    /// The other.
    other: String,
    /// Name the rules.
    #[arg(long)]
    why: bool,
    /// Only show what ONE allows and OTHER does not.
    #[arg(long)]
    subset: bool,
    /// Print an object of JSON.
    #[arg(long)]
    json: bool,
}

/// A number that no table knows, for all of them.
const UNKNOWN: u32 = 600;

/// Which way two policies differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// The first lets through what the second does not.
    More,
    /// The second lets through what the first does not.
    Less,
    /// Both refuse it, or let it through, in other ways.
    Other,
}

/// One difference.
struct Difference<'a> {
    nr: u32,
    way: Way,
    /// A call that shows it, and what it depends on besides.
    witness: String,
    besides: String,
    said: [Outcome<'a>; 2],
}

/// Calls whose conditions differ, though nothing was found that shows it.
struct Open {
    nr: u32,
    why: &'static str,
}

/// Exit status 1 if they differ, 2 if one cannot be used.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let names = [&arguments.one, &arguments.other];
    let loaded = names.map(|name| policy::load(name, &Rules::default()));
    let schema = arguments.json.then_some("ia2.diff/1");
    let [one, other] = &loaded;
    let (Some(a), Some(b)) = (one.usable(schema, out)?, other.usable(schema, out)?) else {
        return Ok(ExitCode::from(2));
    };
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for nr in numbers(a, b) {
        compare(a, b, nr, &mut found, &mut open);
    }
    if arguments.subset {
        found.retain(|one| one.way == Way::More);
    }
    found.sort_by_key(|one| (one.way, one.nr));
    if arguments.json {
        let report = json!({
            "schema": "ia2.diff/1",
            "one": arguments.one,
            "other": arguments.other,
            "equal": found.is_empty() && open.is_empty(),
            "differences": found.iter().map(|one| one.json([a, b])).collect::<Vec<_>>(),
            "open": open.iter().map(|one| {
                json!({"nr": one.nr, "sys": words::call(one.nr), "message": one.why})
            }).collect::<Vec<_>>(),
        });
        writeln!(out, "{report}")?;
    } else {
        write_all(arguments, [a, b], &found, &open, out)?;
    }
    let equal = found.is_empty() && open.is_empty();
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn write_all(
    arguments: &Arguments,
    policies: [&Policy; 2],
    found: &[Difference<'_>],
    open: &[Open],
    out: &mut impl Write,
) -> io::Result<()> {
    let [one, other] = [&arguments.one, &arguments.other];
    for way in [Way::More, Way::Less, Way::Other] {
        let rows: Vec<&Difference<'_>> = found.iter().filter(|one| one.way == way).collect();
        if rows.is_empty() {
            continue;
        }
        let calls = words::count(calls_of(rows.iter().copied()), "call");
        match way {
            Way::More => writeln!(out, "{one} allows, {other} does not ({calls}):")?,
            Way::Less => writeln!(out, "{other} allows, {one} does not ({calls}):")?,
            Way::Other => writeln!(out, "{one} and {other} in different ways ({calls}):")?,
        }
        for row in rows {
            row.write(arguments, policies, out)?;
        }
    }
    for one in open {
        writeln!(out, "{}: perhaps different: {}", words::call(one.nr), one.why)?;
    }
    let count = calls_of(found.iter());
    let verb = if count == 1 { "differs" } else { "differ" };
    match (arguments.subset, count) {
        (true, 0) => writeln!(out, "{one} allows nothing that {other} refuses"),
        (true, _) => {
            writeln!(out, "{one} is not a subset of {other}: {}", words::count(count, "call"))
        }
        (false, _) => writeln!(out, "{} {verb}", words::count(count, "call")),
    }
}

fn calls_of<'a>(rows: impl Iterator<Item = &'a Difference<'a>>) -> usize {
    rows.map(|one| one.nr).collect::<BTreeSet<_>>().len()
}

impl Difference<'_> {
    fn write(
        &self,
        arguments: &Arguments,
        policies: [&Policy; 2],
        out: &mut impl Write,
    ) -> io::Result<()> {
        let besides =
            if self.besides.is_empty() { String::new() } else { format!(" {}", self.besides) };
        let unknown = if self.nr == UNKNOWN { " (any number that no table knows)" } else { "" };
        let [one, other] = &self.said;
        let [one_says, other_says] = [one, other].map(words::what);
        writeln!(out, "  {}{besides}{unknown}: {one_says} | {other_says}", self.witness)?;
        if arguments.why {
            let names = [&arguments.one, &arguments.other];
            for ((name, policy), said) in names.iter().zip(policies).zip(&self.said) {
                writeln!(out, "      {name}: {}", words::outcome(policy, said))?;
            }
        }
        Ok(())
    }

    fn json(&self, policies: [&Policy; 2]) -> Value {
        let [one, other] = &self.said;
        let [a, b] = policies;
        json!({
            "nr": self.nr,
            "sys": calls::name(self.nr),
            "call": self.witness,
            "besides": self.besides,
            "way": match self.way { Way::More => "more", Way::Less => "less", Way::Other => "other" },
            "one": words::outcome_json(a, one),
            "other": words::outcome_json(b, other),
        })
    }
}

/// All that anybody names, and one number that nobody does.
fn numbers(a: &Policy, b: &Policy) -> BTreeSet<u32> {
    let named = [a, b].into_iter().flat_map(|policy| policy.calls.iter().map(|row| row.0));
    calls::all().map(|call| call.nr).chain(named).chain([UNKNOWN]).collect()
}

/// Finds a witness for each pair of answers that call `nr` can get.
fn compare<'a>(
    a: &'a Policy,
    b: &'a Policy,
    nr: u32,
    found: &mut Vec<Difference<'a>>,
    open: &mut Vec<Open>,
) {
    let space = Space::new(&[a, b], nr, &Given::default());
    let mut pairs = Vec::new();
    for point in space.points() {
        let said = [point.ask(a), point.ask(b)];
        let [one, other] = &said;
        let pair = (effect(one), effect(other));
        if pair.0 == pair.1 || pairs.contains(&pair) {
            continue;
        }
        pairs.push(pair);
        let judge = |point: &policy::point::Point| (effect(&point.ask(a)), effect(&point.ask(b)));
        let besides = point.besides(&space.asked(&point, judge));
        let witness = point.written(space.free(&point, judge));
        let way = match (one.action.lets_through(), other.action.lets_through()) {
            (true, false) => Way::More,
            (false, true) => Way::Less,
            _ => Way::Other,
        };
        found.push(Difference { nr, way, witness, besides, said });
    }
    if !pairs.is_empty() {
        return;
    }
    let [one, other] = [a, b].map(|policy| policy.rule_of(nr).and_then(|at| policy.rules.get(at)));
    let expr = |rule: Option<&'a ia2_policy::policy::Rule>| rule.map(|rule| &rule.when);
    if path_questions(a, expr(one)) != path_questions(b, expr(other)) {
        open.push(Open { nr, why: "they ask about different paths" });
    } else if !space.is_exact && expr(one) != expr(other) {
        open.push(Open { nr, why: "their conditions are too complex to be compared" });
    }
}

/// What a condition asks about paths: the argument, and the patterns with what they give.
fn path_questions(policy: &Policy, expr: Option<&Expr>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut left: Vec<&Expr> = expr.into_iter().collect();
    while let Some(one) = left.pop() {
        match one {
            Expr::Not(inner) => left.push(inner),
            Expr::And(list) | Expr::Or(list) => left.extend(list),
            Expr::Path { arg, paths: Paths::Patterns(patterns) } => {
                all.insert(format!("{arg} {patterns:?}"));
            }
            Expr::Path { arg, paths: Paths::Files } => {
                let items = policy.files.iter();
                let items = items.map(|one| (one.access, &one.paths, &one.except));
                all.insert(format!("{arg} {:?}", items.collect::<Vec<_>>()));
            }
            _ => {}
        }
    }
    all
}
