//! The text of a converted policy.
//!
//! An argument is written by its name if that means the same as in the source. The sources compare whole
//! registers of 64 bits as unsigned numbers; our names stand for what the kernel looks at, which of an
//! `int` is the lower half with its sign. Where the two differ the register is written instead, `arg0`,
//! and what it is stands in a comment. With [`Style::typed`] the name is written all the same: then
//! the text means what the author of the source most likely meant, and not what its runtime does.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use ia2_core::calls::{self, Arg, Call, Kind, Version, Width};
use ia2_core::constants::{self, Set};
use ia2_policy::diag::is_hidden;

use super::foreign::{Action, Bits, Condition, Foreign, Relation, Step, Term, Test, Weight};
use super::settle::{Body, settle};

/// Columns of a line of names.
const WIDTH: usize = 100;

/// From how many names on an unconditional rule has a set.
const SET_FROM: usize = 6;

/// Words that an argument cannot be called in our text.
const RESERVED: &[&str] = &[
    "from", "has", "subset", "in", "then", "else", "nr", "ip", "files", "frozen", "allow", "deny",
];

/// How to write.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Compare what the kernel looks at, also where the source compares more.
    pub(crate) typed: bool,
}

/// The policy as text. What is found out on the way is added to the losses.
pub(crate) fn text(foreign: &mut Foreign, style: Style) -> String {
    let rules = rules(foreign, style);
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = head(foreign, &mut out);
    let _ = body(foreign, &rules, &mut out);
    out
}

/// The last part of a path.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The newest kernel that the table of calls knows.
fn newest() -> Version {
    calls::all().map(|call| call.since).max().unwrap_or(Version::new(1, 0))
}

fn head(foreign: &Foreign, out: &mut String) -> core::fmt::Result {
    let file = base_name(&foreign.file);
    let file = wrapped(file, usize::MAX).concat();
    writeln!(out, "# Converted from {}, {file}.", foreign.format)?;
    let count = |weight| {
        foreign.losses.iter().filter(|loss: &&super::foreign::Loss| loss.weight == weight).count()
    };
    let (lost, notes) = (count(Weight::Lost), count(Weight::Note));
    if lost + notes != 0 {
        writeln!(out, "# {lost} lost, {notes} notes:")?;
    }
    for loss in &foreign.losses {
        let place = &loss.place;
        let (line, column, weight) = (place.line, place.column, loss.weight.name());
        let mut line = format!("{line}:{column}: {weight}: {}: {}", loss.what, loss.reason);
        if place.file != foreign.file {
            line.insert_str(0, &format!("{}:", base_name(&place.file)));
        }
        for (index, piece) in wrapped(&line, WIDTH - 6).into_iter().enumerate() {
            writeln!(out, "#   {}{piece}", if index == 0 { "" } else { "  " })?;
        }
    }
    let name = identifier(&foreign.file);
    writeln!(out, "policy {name} version 1")?;
    if foreign.default.lets_through() {
        writeln!(out, "mode blocklist")?;
    }
    if foreign.unknown != foreign.default {
        writeln!(out, "baseline linux {}", newest())?;
    }
    writeln!(out, "default {}", action(foreign.default))?;
    writeln!(out, "unknown {}", action(foreign.unknown))
}

/// Lines of at most `width` characters, broken at blanks. What a source has put into them stays in its
/// comment: line breaks are blanks, and what cannot be seen is written as `?`.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let text = visible(text);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("begun with one");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// With `?` for what cannot be seen, or moves what can.
pub(crate) fn visible(text: &str) -> String {
    let hidden = |c: char| is_hidden(c) || c.is_control() && !c.is_whitespace();
    text.chars().map(|c| if hidden(c) { '?' } else { c }).collect()
}

/// A name for the policy: that of the file, with the letters that a name may have.
fn identifier(file: &str) -> String {
    let file = base_name(file);
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, "policy_");
    }
    name
}

/// One rule to be written.
struct Rule {
    calls: Vec<u32>,
    right: String,
    /// Where it comes from, and what the registers in it are.
    comments: Vec<String>,
    label: String,
    unconditional: bool,
}

/// The rules, with calls that share one together, in the order of the source.
fn rules(foreign: &mut Foreign, style: Style) -> Vec<Rule> {
    let mut rules: Vec<(RuleKey, Rule)> = Vec::new();
    let mut wide: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    let calls = core::mem::take(&mut foreign.calls);
    for (nr, chain) in &calls {
        let settled = settle(chain, foreign.default);
        for (from, to) in &settled.changed {
            if let Some(step) = chain.iter().find(|step| step.action == *from).or(chain.first()) {
                let what = format!("{}: {}", name_of(*nr), action(*from));
                let reason = format!(
                    "a rule has two outcomes and this call needs more: the result is {}",
                    action(*to)
                );
                foreign.lose(&step.place, what, reason);
            }
        }
        let Body { when, then, otherwise } = &settled.body;
        let selected = foreign.selections.iter().any(|selection| selection.calls.contains(nr));
        let tabled = calls::by_nr(*nr).is_some() || foreign.unknown == foreign.default;
        if *then == *otherwise && *then == foreign.default && tabled && !selected {
            // Nothing that the default does not say.
            continue;
        }
        let mut writer = Writer {
            call: calls::by_nr(*nr),
            style,
            registers: BTreeSet::new(),
            wide: BTreeSet::new(),
        };
        let right = match when {
            Condition::True => action(*then),
            when => {
                let mut right = writer.condition(when, Rank::Any);
                if *then != Action::Allow {
                    let _ = write!(right, " then {}", action(*then));
                }
                if *otherwise != foreign.default {
                    let _ = write!(right, " else {}", action(*otherwise));
                }
                right
            }
        };
        if let Some(call) = writer.call {
            for index in writer.wide.iter().filter(|index| is_narrow(&call, **index)) {
                wide.entry(register_comment(&call, *index)).or_default().insert(call.name);
            }
        }
        let meant = writer.meant(when);
        let comments = comments(&foreign.file, &settled.steps, &writer, meant);
        let key = (place_key(&settled.steps), right.clone(), comments.clone());
        let label = settled.steps.first().map_or_else(String::new, |step| step.label.to_string());
        let unconditional = *when == Condition::True;
        match rules.iter_mut().find(|(known, _)| *known == key) {
            Some((_, rule)) => rule.calls.push(*nr),
            None => {
                rules.push((key, Rule { calls: vec![*nr], right, comments, label, unconditional }))
            }
        }
    }
    foreign.calls = calls;
    tell_wide(foreign, &wide);
    rules.sort_by_key(|(key, _)| key.0);
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// Place of the first step, text, comments.
type RuleKey = ((u32, u32), String, Vec<String>);

fn place_key(steps: &[Step]) -> (u32, u32) {
    steps.first().map_or((0, 0), |step| (step.place.line, step.place.column))
}

/// Whether the kernel looks at less of the argument than the source compares.
fn is_narrow(call: &Call, index: u8) -> bool {
    call.args.get(usize::from(index)).is_some_and(|arg| arg.width == Width::W32)
}

fn register_comment(call: &Call, index: u8) -> String {
    let arg = call.args.get(usize::from(index));
    format!("arg{index} is {}", arg.map_or("unused", |arg| arg.name))
}

/// One note for all comparisons of whole registers.
fn tell_wide(foreign: &mut Foreign, wide: &BTreeMap<String, BTreeSet<&'static str>>) {
    if wide.is_empty() {
        return;
    }
    let names: BTreeSet<&str> = wide.values().flatten().copied().collect();
    let names: Vec<&str> = names.into_iter().collect();
    let place = super::foreign::Place { file: foreign.file.clone(), line: 1, column: 1 };
    let reason = format!(
        "{} compares all 64 bits of these arguments, and so does the result; the kernel looks at the lower 32, \
         so a value with others set passes a `!=`: --typed compares what the kernel looks at",
        foreign.format
    );
    foreign.note(&place, names.join(", "), reason);
}

/// Where the steps stand, and what the registers are.
fn comments(main: &str, steps: &[Step], writer: &Writer, meant: Option<String>) -> Vec<String> {
    let mut comments: Vec<String> = Vec::new();
    for step in steps {
        let mut comment = format!("line {}", step.place.line);
        if *step.place.file != *main {
            comment.insert_str(0, &format!("{}, ", base_name(&step.place.file)));
        }
        if !step.label.is_empty() {
            comment.insert_str(0, &format!("{}, ", step.label));
        }
        if !comments.contains(&comment) {
            comments.push(comment);
        }
    }
    if comments.len() > 4 {
        let rest = comments.len() - 3;
        comments.truncate(3);
        comments.push(format!("and {rest} more"));
    }
    match (meant, writer.call) {
        (Some(meant), _) => comments.push(format!("that is: {meant}")),
        (None, Some(call)) => {
            comments.extend(writer.registers.iter().map(|index| register_comment(&call, *index)));
        }
        (None, None) => {}
    }
    comments
}

/// The name of a call as a rule has it.
pub(crate) fn name_of(nr: u32) -> String {
    calls::by_nr(nr).map_or_else(|| format!("#{nr}"), |call| call.name.to_owned())
}

/// An action as a rule has it.
pub(crate) fn action(action: Action) -> String {
    match action {
        Action::KillProcess => "kill_process".to_owned(),
        Action::KillThread => "kill_thread".to_owned(),
        Action::Trap(0) => "trap".to_owned(),
        Action::Trap(number) => format!("trap {number}"),
        Action::Errno(number) => match constants::errno_name(number) {
            Some(name) => format!("errno {name}"),
            None => format!("errno {number}"),
        },
        Action::Trace(number) => format!("trace {number}"),
        Action::Log => "allow log".to_owned(),
        Action::Allow => "allow".to_owned(),
    }
}

fn body(foreign: &Foreign, rules: &[Rule], out: &mut String) -> core::fmt::Result {
    let selected = write_selections(foreign, rules, out)?;
    let mut set_names = BTreeSet::new();
    for rule in rules {
        let left: Vec<u32> = if rule.unconditional && rule.right == "allow" {
            rule.calls.iter().copied().filter(|nr| !selected.contains(nr)).collect()
        } else {
            rule.calls.clone()
        };
        if left.is_empty() {
            continue;
        }
        writeln!(out)?;
        if !rule.comments.is_empty() {
            for line in wrapped(&rule.comments.join("; "), WIDTH - 2) {
                writeln!(out, "# {line}")?;
            }
        }
        let names: Vec<String> = left.iter().map(|nr| name_of(*nr)).collect();
        if rule.unconditional && names.len() >= SET_FROM {
            let set = set_name(&rule.label, &mut set_names);
            writeln!(out, "set {set} = {{")?;
            for line in wrapped(&(names.join(", ") + ","), WIDTH - 4) {
                writeln!(out, "    {line}")?;
            }
            writeln!(out, "}}")?;
            writeln!(out, "{set} : {}", rule.right)?;
        } else {
            write_rule(&format!("{} : {}", names.join(", "), rule.right), out)?;
        }
    }
    Ok(())
}

/// A rule, over as many lines as it needs.
fn write_rule(text: &str, out: &mut String) -> core::fmt::Result {
    for (index, line) in wrapped(text, WIDTH - 4).into_iter().enumerate() {
        writeln!(out, "{}{line}", if index == 0 { "" } else { "    " })?;
    }
    Ok(())
}

/// The sets by which the source named what it allows, if they say what the rules say: every call in them
/// is allowed, or has a condition of its own. The calls that they settle.
fn write_selections(
    foreign: &Foreign,
    rules: &[Rule],
    out: &mut String,
) -> Result<BTreeSet<u32>, core::fmt::Error> {
    let plain: BTreeSet<u32> = rules
        .iter()
        .filter(|rule| rule.unconditional && rule.right == "allow")
        .flat_map(|rule| rule.calls.iter().copied())
        .collect();
    let conditional: BTreeSet<u32> = rules
        .iter()
        .filter(|rule| !(rule.unconditional && rule.right == "allow"))
        .flat_map(|rule| rule.calls.iter().copied())
        .collect();
    let selected: BTreeSet<u32> =
        foreign.selections.iter().flat_map(|selection| selection.calls.iter().copied()).collect();
    if selected.is_empty()
        || !selected.iter().all(|nr| plain.contains(nr) || conditional.contains(nr))
    {
        return Ok(BTreeSet::new());
    }
    // A call that has a rule of its own by name must not be named here too.
    let names: Vec<&str> = foreign
        .selections
        .iter()
        .filter(|selection| {
            selection.name.starts_with('@') || selection.calls.iter().all(|nr| plain.contains(nr))
        })
        .map(|selection| selection.name.as_str())
        .collect();
    writeln!(out)?;
    write_rule(&format!("{} : allow", names.join(", ")), out)?;
    Ok(selected)
}

/// A name for a set that is not taken.
fn set_name(label: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = String::from("@");
    for c in label.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with(['-', '@']) {
            name.push('-');
        }
    }
    let mut name = name.trim_end_matches('-').to_owned();
    if name == "@" {
        name.push_str("calls");
    }
    // The tables' own sets keep their names.
    if ia2_core::sets::by_name(&name).is_some() {
        name.push_str("-here");
    }
    let mut free = name.clone();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}

/// What a condition stands in: how strongly its neighbours bind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Any,
    All,
    Not,
}

/// Writes conditions of one call.
struct Writer {
    call: Option<Call>,
    style: Style,
    /// The registers that were written as such.
    registers: BTreeSet<u8>,
    /// Those of them of which all 64 bits were compared.
    wide: BTreeSet<u8>,
}

impl Writer {
    /// The condition by names, if it was written with registers and names would do for a reader.
    fn meant(&self, condition: &Condition) -> Option<String> {
        let style = Style { typed: true };
        let mut typed =
            Self { call: self.call, style, registers: BTreeSet::new(), wide: BTreeSet::new() };
        let text = typed.condition(condition, Rank::Any);
        (!self.registers.is_empty() && typed.registers.is_empty()).then_some(text)
    }

    fn condition(&mut self, condition: &Condition, rank: Rank) -> String {
        match condition {
            // `settle` leaves neither inside of others.
            Condition::True => "0 == 0".to_owned(),
            Condition::False => "0 == 1".to_owned(),
            Condition::Test(test) => self.test(test),
            Condition::Not(inner) => format!("!({})", self.condition(inner, Rank::Any)),
            Condition::All(parts) => {
                let parts: Vec<String> =
                    parts.iter().map(|part| self.condition(part, Rank::Not)).collect();
                let text = parts.join(" && ");
                if rank > Rank::All { format!("({text})") } else { text }
            }
            Condition::Any(parts) => {
                let parts = self.any(parts);
                let several = parts.len() > 1;
                let text = parts.join(" || ");
                if several && rank > Rank::Any { format!("({text})") } else { text }
            }
        }
    }

    /// The parts of an `Any`; equalities of one value are one `in`.
    fn any(&mut self, parts: &[Condition]) -> Vec<String> {
        let mut done = vec![false; parts.len()];
        let mut texts = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if done[index] {
                continue;
            }
            if let Some((argument, test)) = single_bit(part) {
                // Any of several bits is one comparison.
                let mut bits = 0;
                for (other, part) in parts.iter().enumerate().skip(index) {
                    if let Some((also, own)) = single_bit(part)
                        && also == argument
                        && own.bits == test.bits
                        && let Term::Number(bit) = own.right
                    {
                        done[other] = true;
                        bits |= bit;
                    }
                }
                if bits.count_ones() > 1 {
                    let left = Term::masked(argument, bits);
                    let (right, bits) = (Term::Number(0), test.bits);
                    texts.push(self.test(&Test { left, relation: Relation::Ne, right, bits }));
                } else {
                    texts.push(self.test(test));
                }
                continue;
            }
            let mut same = Vec::new();
            if let Some(first) = equality(part) {
                for (other, part) in parts.iter().enumerate().skip(index) {
                    if equality(part)
                        .is_some_and(|test| test.left == first.left && test.bits == first.bits)
                    {
                        done[other] = true;
                        same.extend(equality(part));
                    }
                }
            }
            match &same[..] {
                [first, _, ..] => texts.push(self.membership(first, &same)),
                _ => texts.push(self.condition(part, Rank::All)),
            }
        }
        texts
    }

    /// `value in { 1, 2 }`
    fn membership(&mut self, first: &Test, tests: &[&Test]) -> String {
        let mut numbers = Vec::new();
        // Named only if every number can be.
        let named = tests.iter().all(|test| self.name_for(test).is_some());
        let mut left = String::new();
        for test in tests {
            let Term::Number(number) = test.right else { continue };
            if !named && test.bits == Bits::All64 {
                test.left.arguments(&mut |index| {
                    self.wide.insert(index);
                });
            }
            if named && let Some((arg, index)) = self.name_for(test) {
                left = self.term(&first.left, Some((arg, index)), first.bits);
                numbers.push(number_text(number, Some(arg), false));
            } else {
                left = self.term(&first.left, None, first.bits);
                numbers.push(number_text(number, None, false));
            }
        }
        format!("{left} in {{ {} }}", numbers.join(", "))
    }

    fn test(&mut self, test: &Test) -> String {
        let named = self.name_for(test);
        if named.is_none() && test.bits == Bits::All64 {
            for term in [&test.left, &test.right] {
                term.arguments(&mut |index| {
                    self.wide.insert(index);
                });
            }
        }
        let arg = named.map(|(arg, _)| arg);
        // `(x & mask) == mask` and `(x & ~mask) == 0` have words.
        if let (Term::And(inner, mask), Term::Number(value)) = (&test.left, &test.right)
            && let Term::Number(mask) = **mask
            && test.relation == Relation::Eq
        {
            let inner = self.term(inner, named, test.bits);
            if mask == *value {
                return format!("{inner} has {}", number_text(mask, arg, true));
            }
            let width = match test.bits {
                Bits::Low32 => u64::from(u32::MAX),
                Bits::All64 => u64::MAX,
            };
            // A mask of more bits than not says what is forbidden.
            if *value == 0 && mask.count_ones() > width.count_ones() / 2 {
                return format!("{inner} subset {}", number_text(!mask & width, arg, true));
            }
        }
        let left = self.term(&test.left, named, test.bits);
        let masked = matches!(test.left, Term::And(..));
        let right = match &test.right {
            Term::Number(value) => number_text(*value, arg, masked),
            other => self.term(other, None, test.bits),
        };
        // Bits beside a comparison are in parentheses, for those who think of C.
        let right = if right.contains('|') && !right.starts_with('(') {
            format!("({right})")
        } else {
            right
        };
        format!("{left} {} {right}", test.relation.sign())
    }

    /// The argument by whose name the test can be written, and its index.
    fn name_for(&self, test: &Test) -> Option<(Arg, u8)> {
        let Term::Number(value) = test.right else { return None };
        let (index, mask) = match &test.left {
            Term::Argument(index) => (*index, None),
            Term::And(inner, mask) => match (&**inner, &**mask) {
                (Term::Argument(index), Term::Number(mask)) => (*index, Some(*mask)),
                _ => return None,
            },
            _ => return None,
        };
        let arg = self.call?.args.get(usize::from(index)).copied()?;
        if RESERVED.contains(&arg.name) {
            return None;
        }
        // Only equality does not ask for a sign.
        let equality = matches!(test.relation, Relation::Eq | Relation::Ne);
        if arg.signed && !equality {
            return None;
        }
        let pointer =
            matches!(arg.kind, Kind::Path | Kind::Str | Kind::Sockaddr { .. } | Kind::Ptr { .. });
        if pointer && !(equality && value == 0 && mask.is_none()) {
            return None;
        }
        let small = |value: u64| u32::try_from(value).is_ok();
        let exact = match (arg.width, test.bits) {
            (Width::W64, Bits::All64) | (Width::W32, Bits::Low32) => true,
            (Width::W64, Bits::Low32) => false,
            // The kernel looks at less than the source compares.
            (Width::W32, Bits::All64) => {
                self.style.typed && (small(value) || is_negative(value)) && mask.is_none_or(small)
            }
        };
        exact.then_some((arg, index))
    }

    /// A number. Without a name its arguments are registers.
    fn term(&mut self, term: &Term, named: Option<(Arg, u8)>, bits: Bits) -> String {
        match term {
            Term::Number(value) => number_text(*value, named.map(|(arg, _)| arg), true),
            Term::Argument(index) => match named {
                Some((arg, _)) => arg.name.to_owned(),
                None => {
                    self.registers.insert(*index);
                    match bits {
                        Bits::All64 => format!("arg{index}"),
                        Bits::Low32 => format!("(arg{index} & 0xffffffff)"),
                    }
                }
            },
            Term::And(a, b) => {
                // A mask of 32 bits does what the narrowing does.
                let bits_inside = if matches!(**b, Term::Number(_)) && named.is_none() {
                    Bits::All64
                } else {
                    bits
                };
                let a = self.term(a, named, bits_inside);
                let b = self.term(b, named, bits_inside);
                format!("({a} & {})", grouped(&b))
            }
            Term::Or(a, b) => {
                let (a, b) = (self.term(a, named, bits), self.term(b, named, bits));
                format!("({a} | {b})")
            }
        }
    }
}

/// In parentheses if it is a sum.
fn grouped(text: &str) -> String {
    if text.contains(['|', ' ']) && !text.starts_with('(') {
        format!("({text})")
    } else {
        text.to_owned()
    }
}

fn equality(condition: &Condition) -> Option<&Test> {
    match condition {
        Condition::Test(test)
            if test.relation == Relation::Eq && matches!(test.right, Term::Number(_)) =>
        {
            // A masked value is rather said by `has`.
            matches!(test.left, Term::Argument(_)).then_some(test)
        }
        _ => None,
    }
}

/// `(argument & bit) == bit`, of one bit.
fn single_bit(condition: &Condition) -> Option<(u8, &Test)> {
    let Condition::Test(test) = condition else { return None };
    let Term::And(inner, mask) = &test.left else { return None };
    let (Term::Argument(argument), Term::Number(mask)) = (&**inner, &**mask) else { return None };
    let one = test.relation == Relation::Eq
        && test.right == Term::Number(*mask)
        && mask.count_ones() == 1;
    one.then_some((*argument, test))
}

/// Whether a number is a negative `int` in 64 bits.
const fn is_negative(value: u64) -> bool {
    value >= 0xffff_ffff_8000_0000
}

/// A number, by the names of the constants of an argument if there are any for all of it.
fn number_text(value: u64, arg: Option<Arg>, mask: bool) -> String {
    let plain = || if value < 10 { value.to_string() } else { format!("{value:#x}") };
    let Some(arg) = arg else { return plain() };
    if value == 0
        && matches!(arg.kind, Kind::Path | Kind::Str | Kind::Sockaddr { .. } | Kind::Ptr { .. })
    {
        return "NULL".to_owned();
    }
    // Zero is what is left of flags; a mask of what is no flags has no names.
    let flags = arg.set.is_some_and(Set::is_flags);
    if value == 0 && flags || mask && !flags {
        return plain();
    }
    let named = arg.set.and_then(|set| constant_text(value, set, arg.width));
    let negative =
        arg.width == Width::W32 && arg.signed && (is_negative(value) || value >> 31 == 1);
    match named {
        Some(named) => named,
        None if negative => format!("-{}", (value as u32).wrapping_neg()),
        None => plain(),
    }
}

/// A value in the constants of a set.
fn constant_text(value: u64, set: Set, width: Width) -> Option<String> {
    let mask = match width {
        Width::W32 => u64::from(u32::MAX),
        Width::W64 => u64::MAX,
    };
    let value = value & mask;
    let mut known = set.constants().map(|(name, number)| (name, number & mask));
    if let Some((name, _)) = known.find(|(_, number)| *number == value) {
        return Some(name.to_owned());
    }
    if !set.is_flags() || value == 0 {
        return None;
    }
    let (mut rest, mut names) = (value, Vec::new());
    for (name, number) in set.constants() {
        let number = number & mask;
        if number != 0 && number & rest == number {
            names.push(name);
            rest &= !number;
        }
    }
    (rest == 0).then(|| names.join("|"))
}
