//! `ia2 diff`: which calls two policies treat differently, with a call that shows it.
//!
//! Both are asked about the same calls: each number, and for the arguments that either looks at, the
//! values around every constant in their rules. Where a condition compares arguments with constants
//! one by one, as nearly all do, nothing lies between those values, and the comparison is complete.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use ia2_core::calls;
use ia2_core::show::{self, ReadString};
use ia2_core::text::Text;
use ia2_policy::eval::{Outcome, eval};
use ia2_policy::policy::{Expr, Policy, Value};
use serde_json::json;

use crate::{ask, layers};

/// Options of `ia2 diff`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A file, or a built-in policy by name.
    one: String,
    /// The other.
    other: String,
    /// Print a line of JSON for each difference.
    #[arg(long)]
    json: bool,
}

/// Calls tried for one number at most.
const MOST: usize = 20_000;
/// Numbers beyond the table that are tried.
const NUMBERS: u32 = 600;

/// Exit status 1 if they differ, 2 if one cannot be used.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let [one, other] = [&arguments.one, &arguments.other].map(|name| layers::load(name, None));
    let (Some(a), Some(b)) = (one.or_draw(), other.or_draw()) else { return Ok(ExitCode::from(2)) };
    let mut count = 0;
    for nr in 0..=NUMBERS {
        let Some((args, said_a, said_b)) = difference(a, b, nr) else { continue };
        count += 1;
        let mut text = Text::<1024>::new();
        show::call(&mut text, nr, calls::by_nr(nr).as_ref(), args, &mut NoStrings);
        let call = String::from_utf8_lossy(text.as_bytes());
        if arguments.json {
            let line = json!({"schema": "ia2.diff/1", "nr": nr, "sys": calls::name(nr), "call": call,
                "one": ask::action(said_a.action), "other": ask::action(said_b.action)});
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{call}")?;
            for (name, policy, said) in
                [(&arguments.one, a, &said_a), (&arguments.other, b, &said_b)]
            {
                writeln!(out, "    {name}: {}", ask::in_words(policy, nr, said))?;
            }
        }
    }
    if !arguments.json {
        writeln!(out, "{count} calls differ")?;
    }
    Ok(if count == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// There is no memory behind the arguments.
struct NoStrings;

impl ReadString for NoStrings {
    fn read_string(&mut self, _: u64, _: &mut [u8]) -> Option<usize> {
        None
    }
}

/// A call of this number that gets different actions.
fn difference<'a>(
    a: &'a Policy,
    b: &'a Policy,
    nr: u32,
) -> Option<([u64; 6], Outcome<'a>, Outcome<'a>)> {
    let mut values: [BTreeSet<u64>; 6] = Default::default();
    for policy in [a, b] {
        if let Some(rule) = policy.rule_of(nr).and_then(|index| policy.rules.get(index)) {
            collect(&rule.when, &mut values);
        }
    }
    for set in &mut values {
        set.insert(0);
    }
    let lists = values.map(|set| set.into_iter().collect::<Vec<_>>());
    let mut at = [0usize; 6];
    for _ in 0..MOST {
        let mut args = [0; 6];
        for ((arg, list), index) in args.iter_mut().zip(&lists).zip(at) {
            *arg = list.get(index).copied().unwrap_or(0);
        }
        // What registers do not tell: once all of it holds, once nothing.
        for answer in [true, false] {
            let [one, other] = [a, b].map(|policy| eval(policy, nr, &args, &mut |_| Ok(answer)));
            if one.action != other.action {
                return Some((args, one, other));
            }
        }
        // The next combination.
        let mut place = 0;
        loop {
            let (Some(index), Some(list)) = (at.get_mut(place), lists.get(place)) else {
                return None;
            };
            *index += 1;
            if *index < list.len() {
                break;
            }
            *index = 0;
            place += 1;
        }
    }
    None
}

/// Adds the values around the constants that a condition compares with each argument.
fn collect(expr: &Expr, values: &mut [BTreeSet<u64>; 6]) {
    let mut around = |arguments: &BTreeSet<u8>, constants: &[u64]| {
        for at in arguments {
            let Some(set) = values.get_mut(usize::from(*at)) else { continue };
            for constant in constants {
                set.extend([constant.wrapping_sub(1), *constant, constant.wrapping_add(1)]);
                // Each bit of a mask.
                set.extend((0..64).map(|bit| constant & 1 << bit));
            }
            set.extend([0, u64::MAX, 1 << 31, 1 << 63]);
        }
    };
    match expr {
        Expr::Not(inner) => collect(inner, values),
        Expr::And(list) | Expr::Or(list) => list.iter().for_each(|one| collect(one, values)),
        Expr::Compare { left, right, .. } => {
            let (mut arguments, mut constants) = (BTreeSet::new(), Vec::new());
            parts(left, &mut arguments, &mut constants);
            parts(right, &mut arguments, &mut constants);
            around(&arguments, &constants);
        }
        Expr::In { value, ranges, .. } => {
            let (mut arguments, mut constants) = (BTreeSet::new(), Vec::new());
            parts(value, &mut arguments, &mut constants);
            constants.extend(ranges.iter().flat_map(|(low, high)| [*low, *high]));
            around(&arguments, &constants);
        }
        Expr::Overlaps { addr, len, region } => {
            let range = region.range();
            around(&BTreeSet::from([*addr]), &[range.start, range.end]);
            around(&BTreeSet::from([*len]), &[1, 4096]);
        }
        Expr::True | Expr::False | Expr::Path { .. } | Expr::From(_) => {}
    }
}

fn parts(value: &Value, arguments: &mut BTreeSet<u8>, constants: &mut Vec<u64>) {
    match value {
        Value::Constant(number) => constants.push(*number),
        Value::Argument(at) => {
            arguments.insert(*at);
        }
        Value::Number => {}
        Value::And(a, b) | Value::Or(a, b) | Value::Xor(a, b) => {
            parts(a, arguments, constants);
            parts(b, arguments, constants);
        }
        Value::Shl(a, _) => parts(a, arguments, constants),
        Value::Not(a) => {
            let before = constants.len();
            parts(a, arguments, constants);
            let turned: Vec<u64> = constants.iter().skip(before).map(|one| !one).collect();
            constants.extend(turned);
        }
    }
}
