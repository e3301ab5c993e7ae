//! `ia2 explain`: who enforces each rule of a policy, and against whom that holds; what a call costs; what
//! a code means.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;

use ia2_core::calls;
use ia2_policy::codes;
use ia2_policy::compile::Compiled;
use ia2_policy::condition::has_question;
use ia2_policy::eval::{Cause, Outcome, by_numbers};
use ia2_policy::policy::{Caller, Policy, UnitTest};
use ia2_policy::span::Span;
use serde_json::{Value, json};

use crate::policy::home::{self, Part, Weak};
use crate::policy::space::{Given, Space};
use crate::policy::{self, Loaded, Rules, draw, words};

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 explain ia2                        every rule: who enforces it, and against whom that holds
  ia2 explain ia2 mmap --cost            one call, and what it costs
  ia2 explain ia2 'mmap(_, _, PROT_WRITE|PROT_EXEC, _, _, _)'
  ia2 explain E0102                      what a code means";

const LEGEND: &str = "Homes: K the kernel's filter decides, by numbers and scalar arguments; S the shim decides, on a copy of its own.
Levels: up to whom a refusal holds. A0 an unaware program; A1 one that is hostile through its inputs, with threads; A2 native code of any kind.
Costs: `bitmap` the kernel answers by the number alone (shape inspected); `filter` by the filter; `slow` the shim judges it first; `ask` it also looks up a path or a caller.

Exit status: 0, or 2 if the policy or the call cannot be used.";

/// So many calls are named with the reason why they hold less.
const FEW: usize = 4;
const UNSEEN: &str = "calls that no filter sees";
const OWN: &str = "calls that the shim makes for itself";

/// Codes of this program, besides those of the language.
const CODES: &[(&str, &str)] = &[(
    "E0901",
    "In the shape `plain` there is no shim, so a rule that only the shim can decide or do cannot be said: paths, callers, `emulate`.",
)];

/// Options of `ia2 explain`.
#[derive(clap::Args)]
#[command(before_long_help = EXAMPLES, after_long_help = LEGEND)]
pub(crate) struct Arguments {
    /// A file, `-` for standard input, or a name; or the code of a finding.
    #[arg(value_name = "POLICY|CODE")]
    policy: String,
    #[command(flatten)]
    rules: Rules,
    /// Only the rule that decides this call.
    #[arg(value_name = "CALL[(ARGS)]")]
    call: Option<String>,
    /// Say what each call costs.
    #[arg(long)]
    cost: bool,
    /// Print an object of JSON.
    #[arg(long)]
    json: bool,
}

/// Rules that were written as one: a condition that means something else for each call.
struct Explained {
    /// Where it stands; `None` for `default` and `unknown`.
    span: Option<Span>,
    title: String,
    numbers: Vec<u32>,
    /// One for each way to read the rule, with the calls that it is for.
    variants: Vec<(Vec<u32>, Vec<Part>)>,
    weak: Vec<Weak>,
}

/// Exit status 2 if the policy cannot be used.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    if arguments.call.is_none() && is_code(&arguments.policy) {
        return code(arguments, out);
    }
    let wrong = |why: String| {
        eprintln!("ia2: {why}");
        Ok(ExitCode::from(2))
    };
    let schema = arguments.json.then_some("ia2.explain/1");
    // A call with arguments, or only a name.
    let (mut loaded, test) = match arguments.call.as_deref().filter(|call| call.contains('(')) {
        None => (policy::load(&arguments.policy, &arguments.rules), None),
        Some(call) => {
            match policy::load_with_call(&arguments.policy, &arguments.rules, call, "allow") {
                Ok(found) => found,
                Err(why) => return wrong(why),
            }
        }
    };
    let compiled = loaded.compile();
    let Some(policy) = loaded.usable(schema, out)? else { return Ok(ExitCode::from(2)) };
    let Some(compiled) = compiled else {
        loaded.draw_errors();
        return Ok(ExitCode::from(2));
    };
    let compiled = arguments.cost.then_some(&compiled);
    let nr = match (&arguments.call, &test) {
        (None, _) => None,
        (Some(_), Some(test)) => Some(test.nr),
        (Some(name), None) => match words::number(name.trim_start_matches('?')) {
            Ok(nr) => Some(nr),
            Err(why) => return wrong(why),
        },
    };
    let all = explained(policy, nr);
    let mut report = json!({"schema": "ia2.explain/1", "policy": arguments.policy,
        "rules": all.iter().map(|one| one.json(policy, compiled)).collect::<Vec<_>>()});
    let verdicts = test.as_ref().map(|test| verdicts(policy, test)).unwrap_or_default();
    if arguments.json {
        if test.is_some() {
            report["verdicts"] = verdicts.iter().map(|one| one.json(policy)).collect();
        }
        writeln!(out, "{report}")?;
        return Ok(ExitCode::SUCCESS);
    }
    for one in &verdicts {
        one.write(policy, out)?;
    }
    for one in &all {
        one.write(&loaded, compiled, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_code(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| "ELNW".contains(first))
        && text.len() == 5
        && chars.all(|char| char.is_ascii_digit())
}

fn code(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let name = arguments.policy.as_str();
    let own = || CODES.iter().find(|row| row.0 == name).map(|row| row.1);
    let Some(text) = codes::explain(name).or_else(own) else {
        eprintln!("ia2: no code {name}");
        return Ok(ExitCode::from(2));
    };
    if arguments.json {
        let report = json!({"schema": "ia2.explain/1", "code": name, "message": text});
        writeln!(out, "{report}")?;
    } else {
        writeln!(out, "{name}: {text}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All rules as they were written, and the two defaults; or what decides one call.
fn explained(policy: &Policy, only: Option<u32>) -> Vec<Explained> {
    let mut all: Vec<Explained> = Vec::new();
    for (index, rule) in policy.rules.iter().enumerate() {
        let rows = policy.calls.iter().filter(|row| usize::from(row.1) == index);
        let numbers: Vec<u32> =
            rows.map(|row| row.0).filter(|nr| only.is_none_or(|only| only == *nr)).collect();
        let Some(first) = numbers.first() else { continue };
        let parts = home::parts(policy, index, *first);
        let weak = home::weak(policy, &parts, &numbers);
        match all.iter_mut().find(|one| one.span == Some(rule.span)) {
            Some(known) => {
                known.numbers.extend(&numbers);
                known.weak.extend(weak);
                match known.variants.iter_mut().find(|variant| variant.1 == parts) {
                    Some(variant) => variant.0.extend(&numbers),
                    None => known.variants.push((numbers, parts)),
                }
            }
            None => all.push(Explained {
                span: Some(rule.span),
                title: words::text(&policy.sources, rule.span),
                numbers: numbers.clone(),
                variants: vec![(numbers, parts)],
                weak,
            }),
        }
    }
    // Which default a call without a rule has.
    let cause = |nr: u32| Outcome::without_rule(policy, nr).cause;
    for (name, action, which) in
        [("default", &policy.default, Cause::Default), ("unknown", &policy.unknown, Cause::Unknown)]
    {
        let is_it = |nr: u32| policy.rule_of(nr).is_none() && cause(nr) == which;
        if only.is_some_and(|nr| !is_it(nr)) {
            continue;
        }
        let known = calls::all().map(|call| call.nr).chain(only);
        let numbers: BTreeSet<u32> =
            known.filter(|nr| is_it(*nr) && only.is_none_or(|only| only == *nr)).collect();
        let numbers: Vec<u32> = numbers.into_iter().collect();
        let level = (!action.kind.lets_through()).then_some("A2");
        let text = format!("always {}", words::whole_action(action));
        let parts = vec![Part { home: "K", level, text }];
        let weak = home::weak(policy, &parts, &numbers);
        let title = format!("{name} {}", words::whole_action(action));
        all.push(Explained {
            span: None,
            title,
            numbers: numbers.clone(),
            variants: vec![(numbers, parts)],
            weak,
        });
    }
    all
}

impl Explained {
    /// Up to whom all of it holds, but for the calls that hold less: unless these are all calls.
    fn level(&self) -> Option<&'static str> {
        let is_weak = |nr: &u32| self.weak.iter().any(|weak| weak.nr == *nr);
        let all_weak = !self.numbers.is_empty() && self.numbers.iter().all(is_weak);
        let weak = self.weak.iter().filter(|_| all_weak).map(|weak| weak.level);
        let parts = self.variants.iter().flat_map(|(_, parts)| parts);
        parts.filter_map(|part| part.level).chain(weak).min()
    }

    fn homes(&self) -> String {
        let parts = self.variants.iter().flat_map(|(_, parts)| parts);
        let homes: BTreeSet<&str> = parts.map(|part| part.home).collect();
        homes.into_iter().collect()
    }

    fn write(
        &self,
        loaded: &Loaded,
        compiled: Option<&Compiled>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let place = self.span.map(|span| format!("{}: ", words::place(&loaded.sources, span)));
        let level = self.level().unwrap_or("-");
        writeln!(
            out,
            "{}home {}, level {level}: {}",
            place.unwrap_or_default(),
            self.homes(),
            self.title
        )?;
        for (numbers, parts) in &self.variants {
            // What the rule itself says need not be said again.
            if parts.iter().all(|part| part.home == "K") {
                continue;
            }
            if self.variants.len() > 1 {
                writeln!(out, "    {}:", names(numbers))?;
            }
            for part in parts {
                let level = part.level.unwrap_or("- ");
                writeln!(out, "    {} {level}  {}", part.home, part.text)?;
            }
        }
        for level in ["A0", "A1"] {
            let rows = self.weak.iter().filter(|one| one.level == level);
            let rows: Vec<&Weak> = rows.collect();
            // Of many, `explain` with a call says why.
            let with_why = rows.len() <= FEW;
            let rows: Vec<String> = rows
                .iter()
                .map(|one| match (with_why, one.only) {
                    (true, "") => format!("{} ({})", words::call(one.nr), one.why),
                    (true, only) => format!("{} ({only}: {})", words::call(one.nr), one.why),
                    (false, _) => words::call(one.nr),
                })
                .collect();
            if !rows.is_empty() {
                let why = if level == "A0" { UNSEEN } else { OWN };
                writeln!(out, "    {level} for {why}: {}", rows.join(", "))?;
            }
        }
        let in_vdso = home::in_vdso(&self.numbers);
        if !in_vdso.is_empty() {
            writeln!(out, "    not asked where the vDSO answers: {}", in_vdso.join(", "))?;
        }
        if let Some(compiled) = compiled {
            for (class, numbers) in self.classes(loaded.policy.as_ref(), compiled) {
                let most = |of: &dyn Fn(&ia2_policy::cost::Cost) -> usize| {
                    numbers.iter().map(|nr| of(&compiled.cost(*nr))).max().unwrap_or(0)
                };
                let (strict, inspected) = (most(&|cost| cost.strict), most(&|cost| cost.inspected));
                let shim = match class {
                    "slow" | "ask" => format!(", {} in the shim", most(&|cost| cost.shim)),
                    _ => String::new(),
                };
                let names = if self.numbers.len() == 1 {
                    String::new()
                } else {
                    format!(": {}", names(&numbers))
                };
                writeln!(
                    out,
                    "    cost: {class}; at most {strict} instructions (strict), {inspected} (inspected){shim}{names}"
                )?;
            }
        }
        Ok(())
    }

    /// The calls by what they cost.
    fn classes(
        &self,
        policy: Option<&Policy>,
        compiled: &Compiled,
    ) -> BTreeMap<&'static str, Vec<u32>> {
        let mut all: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for nr in &self.numbers {
            all.entry(class(policy, compiled, *nr)).or_default().push(*nr);
        }
        all
    }

    fn json(&self, policy: &Policy, compiled: Option<&Compiled>) -> Value {
        let parts = self.variants.iter().map(|(numbers, parts)| {
            let parts = parts
                .iter()
                .map(|part| json!({"home": part.home, "level": part.level, "text": part.text}));
            json!({"calls": numbers.iter().map(|nr| words::call(*nr)).collect::<Vec<_>>(),
                "parts": parts.collect::<Vec<_>>()})
        });
        let mut object = match self.span {
            Some(span) => draw::place(span, &policy.sources),
            None => json!({}),
        };
        object["text"] = json!(self.title);
        object["homes"] = json!(self.homes());
        object["level"] = json!(self.level());
        object["variants"] = parts.collect();
        let weak = self
            .weak
            .iter()
            .map(|one| json!({"sys": words::call(one.nr), "level": one.level, "why": one.why}));
        object["weak"] = weak.collect();
        if let Some(compiled) = compiled {
            let costs = self.numbers.iter().map(|nr| {
                let cost = compiled.cost(*nr);
                json!({"sys": words::call(*nr), "class": class(Some(policy), compiled, *nr),
                    "strict": cost.strict, "inspected": cost.inspected, "shim": cost.shim})
            });
            object["costs"] = costs.collect();
        }
        object
    }
}

/// Who looks at a call.
fn class(policy: Option<&Policy>, compiled: &Compiled, nr: u32) -> &'static str {
    let cost = compiled.cost(nr);
    let rule = policy.and_then(|policy| policy.rules.get(policy.rule_of(nr)?));
    match () {
        () if cost.is_cached => "bitmap",
        () if rule.is_some_and(|rule| has_question(&rule.when)) => "ask",
        () if cost.is_slow => "slow",
        () => "filter",
    }
}

/// Some names, and how many more there are.
fn names(numbers: &[u32]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = numbers.iter().take(SHOWN).map(|nr| words::call(*nr)).collect();
    match numbers.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What a call gets, and who says so.
struct Verdict<'a> {
    call: String,
    besides: String,
    said: Outcome<'a>,
    home: &'static str,
}

/// Of a call with its arguments; several, if what is left open matters.
fn verdicts<'a>(policy: &'a Policy, test: &UnitTest) -> Vec<Verdict<'a>> {
    let from = Some(Caller::Wrapper);
    let given = Given { args: test.args, paths: test.paths.clone(), from };
    let space = Space::new(&[policy], test.nr, &given);
    let judge = |point: &policy::point::Point| {
        let said = point.ask(policy);
        let home = if by_numbers(policy, point.nr, &point.args).is_some() { "K" } else { "S" };
        (said.action, said.log, home)
    };
    let mut all: Vec<Verdict<'a>> = Vec::new();
    for point in space.points() {
        let said = point.ask(policy);
        let (action, log, home) = judge(&point);
        if all.iter().any(|one| (one.said.action, one.said.log, one.home) == (action, log, home)) {
            continue;
        }
        let besides = point.besides(&space.asked(&point, judge));
        all.push(Verdict { call: point.written(space.free(&point, judge)), besides, said, home });
    }
    all
}

impl Verdict<'_> {
    fn write(&self, policy: &Policy, out: &mut impl Write) -> io::Result<()> {
        let besides =
            if self.besides.is_empty() { String::new() } else { format!(" {}", self.besides) };
        let outcome = words::outcome(policy, &self.said);
        writeln!(out, "{}{besides}: {outcome}; decided by {}", self.call, self.home)
    }

    fn json(&self, policy: &Policy) -> Value {
        let mut object = words::outcome_json(policy, &self.said);
        object["call"] = json!(self.call);
        object["besides"] = json!(self.besides);
        object["home"] = json!(self.home);
        object
    }
}
