//! `ia2 explain`: who enforces each rule of a policy, and against whom that holds.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use ia2_core::calls;
use ia2_policy::compile::exempted;
use ia2_policy::policy::{Caller, Expr, Policy};

use crate::{ask, layers};

/// Options of `ia2 explain`.
#[derive(clap::Args)]
#[command(
    after_help = "Homes: K the kernel's filter, S the shim, KS the kernel as far as numbers decide, else the shim.
Levels: A0 an unaware program, A1 one that is hostile through its inputs, A2 native code of any kind."
)]
pub(crate) struct Arguments {
    /// A file, or a built-in policy by name.
    policy: String,
    /// Only the rule of this call.
    call: Option<String>,
}

/// Exit status 2 if the policy cannot be used.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let loaded = layers::load(&arguments.policy, None);
    let Some(policy) = loaded.or_draw() else { return Ok(ExitCode::from(2)) };
    let only = match &arguments.call {
        None => None,
        Some(name) => match calls::by_name(name) {
            Some(call) => Some(call.nr),
            None => {
                let near = calls::nearest(name).map(|near| format!("; did you mean {near}?"));
                eprintln!("ia2: no call {name}{}", near.unwrap_or_default());
                return Ok(ExitCode::from(2));
            }
        },
    };
    let own: BTreeSet<u32> = exempted(policy).into_iter().collect();
    for (index, rule) in policy.rules.iter().enumerate() {
        let of_rule = policy.calls.iter().filter(|row| usize::from(row.1) == index);
        let numbers: Vec<u32> = of_rule.map(|row| row.0).collect();
        if numbers.is_empty() || only.is_some_and(|only| !numbers.contains(&only)) {
            continue;
        }
        let home = home(&rule.when);
        let refuses = !rule.then.kind.lets_through() || !rule.otherwise.kind.lets_through();
        let level = if !refuses || rule.when == Expr::True && rule.then.kind.lets_through() {
            "-"
        } else if home == "K" {
            "A2"
        } else {
            "A1"
        };
        let place = ask::rule_place(policy, index);
        writeln!(out, "{place}: home {home}, level {level}: {}", text(policy, rule.span))?;
        let weak: Vec<&str> = numbers
            .iter()
            .filter(|nr| level == "A2" && own.contains(nr))
            .filter_map(|nr| calls::name(*nr))
            .collect();
        if !weak.is_empty() {
            writeln!(out, "    A1 for calls that the shim makes for itself: {}", weak.join(", "))?;
        }
    }
    if let Some(nr) = only.filter(|nr| policy.rule_of(*nr).is_none()) {
        let said = ia2_policy::eval::eval(policy, nr, &[0; 6], &mut |_| Ok(true));
        writeln!(out, "{}", ask::in_words(policy, nr, &said))?;
    }
    if only.is_none() {
        let all = |kind| ask::action(kind);
        writeln!(out, "default: home K, level A2: {}", all(policy.default.kind))?;
        writeln!(out, "unknown: home K, level A2: {}", all(policy.unknown.kind))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The rule on one line.
fn text(policy: &Policy, span: ia2_policy::span::Span) -> String {
    let source = policy.sources.get(usize::from(span.file));
    let text = source.and_then(|one| one.text.get(span.start as usize..span.end as usize));
    let words: Vec<&str> = text.unwrap_or("").split_whitespace().collect();
    words.join(" ")
}

/// Who decides a condition.
fn home(expr: &Expr) -> &'static str {
    match (asks(expr), has_numbers(expr)) {
        (false, _) => "K",
        (true, true) => "KS",
        (true, false) => "S",
    }
}

fn asks(expr: &Expr) -> bool {
    match expr {
        Expr::Path { .. } => true,
        Expr::From(caller) => *caller != Caller::Trampoline,
        Expr::Not(inner) => asks(inner),
        Expr::And(list) | Expr::Or(list) => list.iter().any(asks),
        _ => false,
    }
}

fn has_numbers(expr: &Expr) -> bool {
    match expr {
        Expr::Compare { .. } | Expr::In { .. } | Expr::Overlaps { .. } => true,
        Expr::Not(inner) => has_numbers(inner),
        Expr::And(list) | Expr::Or(list) => list.iter().any(has_numbers),
        _ => false,
    }
}
