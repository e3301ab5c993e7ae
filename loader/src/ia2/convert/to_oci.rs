//! A policy of ours as a seccomp profile of containers.
//!
//! An entry of such a profile is a conjunction of comparisons, one for each argument at most: two of one
//! argument are taken as alternatives by the runtimes. Several entries are alternatives. So a condition
//! becomes the disjunction of its cases, and what is asked of one argument in a case becomes one
//! comparison: of the whole register if that will do, else `SCMP_CMP_MASKED_EQ`, by which any range of
//! numbers can be said in pieces. A 32-bit argument is compared under a mask of 32 bits.
//!
//! Both outcomes of a rule are listed unless one is the default, so that no two entries with different
//! actions ever hold at once, and no runtime has to choose.
//!
//! What a profile cannot say (paths, callers, regions of memory) is an error with the place of the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ia2_core::calls::{self, Width};
use ia2_core::verdict::ActionKind;
use ia2_policy::policy::{Action, Expr, Op, Policy, Value};
use ia2_policy::span::{Span, line_column};
use serde_json::{Value as Json, json};

use super::foreign::{Fault, Loss, Place, Weight};

/// More cases than this for one call are refused: a filter ends at 4096 instructions.
const MOST_CASES: usize = 256;

const ENOSYS: u16 = 38;

/// The profile, and what it does not say.
pub(crate) fn profile(policy: &Policy) -> Result<(String, Vec<Loss>), Fault> {
    let mut export = Export { policy, losses: Vec::new(), entries: Vec::new() };
    let default = export.action(&policy.default, Span::default())?;
    let unknown = export.action(&policy.unknown, Span::default())?;
    for (nr, index) in &policy.calls {
        export.rule(*nr, usize::from(*index), &default)?;
    }
    export.unnamed(&default, &unknown);
    export.tell();
    let syscalls: Vec<Json> = merged(&export.entries).iter().map(Entry::json).collect();
    let mut profile = json!({ "defaultAction": default.name });
    if let Some(data) = default.data {
        profile["defaultErrnoRet"] = json!(data);
    }
    profile["architectures"] = json!(["SCMP_ARCH_X86_64"]);
    profile["syscalls"] = Json::Array(syscalls);
    // Numbers and texts, which can always be written.
    let text = serde_json::to_string_pretty(&profile).unwrap_or_default();
    Ok((text + "\n", export.losses))
}

/// An action in the words of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    name: &'static str,
    data: Option<u16>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    names: Vec<&'static str>,
    action: Said,
    args: Vec<Argument>,
}

/// One comparison of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Argument {
    index: u8,
    op: &'static str,
    value: u64,
    value_two: u64,
}

impl Entry {
    fn json(&self) -> Json {
        let mut entry = json!({ "names": self.names, "action": self.action.name });
        if let Some(data) = self.action.data {
            entry["errnoRet"] = json!(data);
        }
        if !self.args.is_empty() {
            let args = self.args.iter().map(|arg| {
                let mut one = json!({ "index": arg.index, "value": arg.value, "op": arg.op });
                if arg.op == "SCMP_CMP_MASKED_EQ" {
                    one["valueTwo"] = json!(arg.value_two);
                }
                one
            });
            entry["args"] = args.collect();
        }
        entry
    }
}

/// Entries that differ in their names only, as one.
fn merged(entries: &[Entry]) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for entry in entries {
        let same =
            all.iter_mut().find(|known| known.action == entry.action && known.args == entry.args);
        match same {
            Some(known) => known.names.extend(&entry.names),
            None => all.push(entry.clone()),
        }
    }
    all
}

struct Export<'a> {
    policy: &'a Policy,
    losses: Vec<Loss>,
    entries: Vec<Entry>,
}

impl Export<'_> {
    fn place(&self, span: Span) -> Place {
        let source = self.policy.sources.get(usize::from(span.file));
        let (line, column) = source.map_or((1, 1), |source| line_column(&source.text, span.start));
        let file: Rc<str> = source.map_or("", |source| source.name.as_str()).into();
        Place { file, line, column }
    }

    fn lose(&mut self, span: Span, what: &str, reason: &str) {
        let (place, what, reason) = (self.place(span), what.to_owned(), reason.to_owned());
        let known = |loss: &Loss| loss.place == place && loss.what == what;
        if !self.losses.iter().any(known) {
            self.losses.push(Loss { weight: Weight::Lost, place, what, reason });
        }
    }

    fn action(&mut self, action: &Action, span: Span) -> Result<Said, Fault> {
        let said = |name, data| Said { name, data };
        if action.log && action.kind != ActionKind::Allow {
            self.lose(span, "log", "a profile tells only of calls that it allows");
        }
        Ok(match action.kind {
            ActionKind::KillProcess => said("SCMP_ACT_KILL_PROCESS", None),
            ActionKind::KillThread => said("SCMP_ACT_KILL_THREAD", None),
            ActionKind::Trap(number) => {
                if number != 0 {
                    self.lose(span, &format!("trap {number}"), "a profile's trap has no number");
                }
                said("SCMP_ACT_TRAP", None)
            }
            ActionKind::Errno(number) => said("SCMP_ACT_ERRNO", Some(number)),
            ActionKind::Trace(number) => said("SCMP_ACT_TRACE", Some(number)),
            ActionKind::Allow if action.log => said("SCMP_ACT_LOG", None),
            ActionKind::Allow => said("SCMP_ACT_ALLOW", None),
            ActionKind::Emulate => {
                let reason = "`emulate`: a container has nobody that does a call in its own way";
                return Err(Fault::new(&self.place(span), reason));
            }
        })
    }

    fn rule(&mut self, nr: u32, index: usize, default: &Said) -> Result<(), Fault> {
        let Some(rule) = self.policy.rules.get(index) else { return Ok(()) };
        let Some(call) = calls::by_nr(nr) else {
            self.lose(
                rule.span,
                &format!("#{nr}"),
                "a profile names calls, and this one has no name",
            );
            return Ok(());
        };
        let then = self.action(&rule.then, rule.span)?;
        let otherwise = self.action(&rule.otherwise, rule.span)?;
        let place = self.place(rule.span);
        let wrong = |why: &str| {
            let reason = format!("{}: {why}, which a profile cannot say", call.name);
            Err(Fault::new(&place, reason))
        };
        for (negated, action) in [(false, then), (true, otherwise)] {
            if action == *default {
                continue;
            }
            let mut cases = match cases(&rule.when, nr, negated) {
                Ok(cases) => cases,
                Err(why) => return wrong(why),
            };
            apart(&mut cases);
            let mut lists = Vec::new();
            for case in cases {
                match case.arguments() {
                    Some(more) => lists.extend(more),
                    None => return wrong(TOO_MANY),
                }
                if lists.len() > MOST_CASES {
                    return wrong(TOO_MANY);
                }
            }
            for args in lists {
                self.entries.push(Entry { names: vec![call.name], action, args });
            }
        }
        Ok(())
    }

    /// Calls without a rule. The runtimes answer ENOSYS above the highest number that a profile names,
    /// so the highest known call without a rule is named, with the action it has anyway.
    fn unnamed(&mut self, default: &Said, unknown: &Said) {
        let ruled: BTreeSet<u32> = self.policy.calls.iter().map(|(nr, _)| *nr).collect();
        let is_known =
            |call: &calls::Call| self.policy.baseline.is_none_or(|baseline| call.since <= baseline);
        let free = || calls::all().filter(|call| !ruled.contains(&call.nr));
        if unknown != default {
            for call in free().filter(|call| !is_known(call)) {
                self.entries.push(Entry {
                    names: vec![call.name],
                    action: *unknown,
                    args: Vec::new(),
                });
            }
        }
        let lets_through =
            matches!(default.name, "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" | "SCMP_ACT_TRACE");
        let stub = !lets_through && default.data != Some(ENOSYS);
        if stub {
            let highest = free().filter(|call| is_known(call)).max_by_key(|call| call.nr);
            if let Some(call) = highest {
                self.entries.push(Entry {
                    names: vec![call.name],
                    action: *default,
                    args: Vec::new(),
                });
            }
        }
        let answer = Said { name: "SCMP_ACT_ERRNO", data: Some(ENOSYS) };
        if if stub { *unknown != answer } else { unknown != default } {
            let reason = "numbers that no call has cannot be named: the runtime answers for them";
            self.lose(Span::default(), "unknown", reason);
        }
    }

    /// What no entry says.
    fn tell(&mut self) {
        if let Some(files) = self.policy.files.first() {
            self.lose(files.span, "files", "a profile knows no paths");
        }
        if let Some(test) = self.policy.tests.first() {
            self.lose(test.span, "#?", "a profile has no tests");
        }
        let reasons = self
            .policy
            .rules
            .iter()
            .find(|rule| !rule.then.reason.is_empty() || !rule.otherwise.reason.is_empty());
        if let Some(rule) = reasons {
            self.lose(rule.span, "reasons", "a profile gives none");
        }
    }
}

const TOO_MANY: &str = "the condition falls into more cases than a filter has room for";

/// What is asked of one register.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    /// `(register & mask) == value`
    Bits { mask: u64, value: u64 },
    /// The register, or its lower half, lies in one of these ranges: sorted and apart.
    In { width: Width, ranges: Vec<(u64, u64)> },
}

/// A conjunction: what is asked of each argument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Case(BTreeMap<u8, Want>);

impl Case {
    /// Both, as cases.
    fn and(&self, other: &Self) -> Option<Vec<Self>> {
        let mut all = vec![self.clone()];
        for (index, want) in &other.0 {
            let mut next = Vec::new();
            for case in all {
                match case.0.get(index) {
                    None => {
                        let mut case = case.clone();
                        case.0.insert(*index, want.clone());
                        next.push(case);
                    }
                    Some(known) => {
                        for both in known.and(want)? {
                            let mut case = case.clone();
                            case.0.insert(*index, both);
                            next.push(case);
                        }
                    }
                }
            }
            all = next;
            if all.len() > MOST_CASES {
                return None;
            }
        }
        Some(all)
    }

    /// The comparisons, a list for each entry that it takes.
    fn arguments(&self) -> Option<Vec<Vec<Argument>>> {
        let mut lists = vec![Vec::new()];
        for (index, want) in &self.0 {
            let index = *index;
            let one = |op, value, value_two| Argument { index, op, value, value_two };
            let masked = |(mask, value): &(u64, u64)| match *mask {
                u64::MAX => one("SCMP_CMP_EQ", *value, 0),
                mask => one("SCMP_CMP_MASKED_EQ", mask, *value),
            };
            let options = match want {
                Want::Bits { mask: 0, .. } => continue,
                Want::Bits { mask, value } => vec![masked(&(*mask, *value))],
                Want::In { width: Width::W64, ranges } => match ranges[..] {
                    [(0, u64::MAX)] => continue,
                    [(0, a), (b, u64::MAX)] if b - a == 2 => vec![one("SCMP_CMP_NE", a + 1, 0)],
                    _ => {
                        let mut options = Vec::new();
                        for range in ranges {
                            match *range {
                                (0, high) => options.push(one("SCMP_CMP_LE", high, 0)),
                                (low, u64::MAX) => options.push(one("SCMP_CMP_GE", low, 0)),
                                (low, high) => options.extend(blocks(low, high).iter().map(masked)),
                            }
                        }
                        options
                    }
                },
                Want::In { .. } => want.cubes().iter().map(masked).collect(),
            };
            let longer = lists.iter().flat_map(|list: &Vec<Argument>| {
                options.iter().map(|option| list.iter().copied().chain([*option]).collect())
            });
            lists = longer.collect();
            if lists.len() > MOST_CASES {
                return None;
            }
        }
        Some(lists)
    }
}

impl Want {
    /// Both, as alternatives.
    fn and(&self, other: &Self) -> Option<Vec<Self>> {
        if let (Self::In { width, ranges }, Self::In { width: other_width, ranges: others }) =
            (self, other)
            && width == other_width
        {
            let ranges = common(ranges, others);
            let one = Self::In { width: *width, ranges };
            return Some(if one == Self::none(*width) { Vec::new() } else { vec![one] });
        }
        let mut all = Vec::new();
        for (mask, value) in self.cubes() {
            for (other_mask, other_value) in other.cubes() {
                if (value ^ other_value) & mask & other_mask == 0 {
                    all.push(Self::Bits { mask: mask | other_mask, value: value | other_value });
                }
            }
        }
        (all.len() <= MOST_CASES).then_some(all)
    }

    const fn none(width: Width) -> Self {
        Self::In { width, ranges: Vec::new() }
    }

    /// As masks and values.
    fn cubes(&self) -> Vec<(u64, u64)> {
        match self {
            Self::Bits { mask, value } => vec![(*mask, *value)],
            Self::In { width, ranges } => {
                let all = ranges.iter().flat_map(|(low, high)| blocks(*low, *high));
                all.map(|(mask, value)| (mask & ones(*width), value)).collect()
            }
        }
    }
}

/// What lies in a range of both lists.
fn common(a: &[(u64, u64)], b: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    for (low, high) in a {
        for (other_low, other_high) in b {
            let (low, high) = (*low.max(other_low), *high.min(other_high));
            if low <= high {
                all.push((low, high));
            }
        }
    }
    all.sort_unstable();
    all
}

/// The same cases with less in them: what one case says of one argument alone, no other needs to say
/// again. Apart, they fall into fewer pieces.
fn apart(cases: &mut [Case]) {
    for index in 0..cases.len() {
        let Some((argument, Want::In { width, ranges })) = single(&cases[index]) else { continue };
        let rest = complement(&ranges, width);
        for (other, case) in cases.iter_mut().enumerate() {
            if let Some(Want::In { width: same, ranges: known }) = case.0.get_mut(&argument)
                && other != index
                && *same == width
            {
                *known = common(known, &rest);
            }
        }
    }
}

/// What a case asks, if it asks it of one argument.
fn single(case: &Case) -> Option<(u8, Want)> {
    let mut wants = case.0.iter();
    match (wants.next(), wants.next()) {
        (Some((argument, want)), None) => Some((*argument, want.clone())),
        _ => None,
    }
}

/// A range in blocks of a power of two: a mask of upper bits, and their value.
fn blocks(low: u64, high: u64) -> Vec<(u64, u64)> {
    let mut blocks = Vec::new();
    let mut at = low;
    loop {
        // The largest block that begins here and ends no later than `high`.
        let mut size = at.trailing_zeros().min(64);
        let last = |size: u32| match size {
            64 => u64::MAX,
            size => at | ((1_u64 << size) - 1),
        };
        while last(size) > high {
            size -= 1;
        }
        let mask = if size == 64 { 0 } else { u64::MAX << size };
        blocks.push((mask, at));
        match last(size).checked_add(1) {
            Some(next) if next <= high => at = next,
            _ => return blocks,
        }
    }
}

/// The cases in which a condition holds, or, negated, does not.
fn cases(expr: &Expr, nr: u32, negated: bool) -> Result<Vec<Case>, &'static str> {
    match expr {
        Expr::True | Expr::False => {
            let holds = (*expr == Expr::True) != negated;
            Ok(if holds { vec![Case::default()] } else { Vec::new() })
        }
        Expr::Not(inner) => cases(inner, nr, !negated),
        Expr::And(parts) | Expr::Or(parts) => {
            if matches!(expr, Expr::And(_)) == negated {
                let mut all = Vec::new();
                for part in parts {
                    for case in cases(part, nr, negated)? {
                        if !all.contains(&case) {
                            all.push(case);
                        }
                    }
                }
                return if all.len() <= MOST_CASES { Ok(all) } else { Err(TOO_MANY) };
            }
            let mut all = vec![Case::default()];
            for part in parts {
                let part = cases(part, nr, negated)?;
                let mut next = Vec::new();
                for one in &all {
                    for other in &part {
                        for both in one.and(other).ok_or(TOO_MANY)? {
                            if !next.contains(&both) {
                                next.push(both);
                            }
                        }
                        if next.len() > MOST_CASES {
                            return Err(TOO_MANY);
                        }
                    }
                }
                all = next;
            }
            Ok(all)
        }
        Expr::Compare { op, left, right, width, signed } => {
            let (left, right) = (Pattern::of(left, nr)?, Pattern::of(right, nr)?);
            let (pattern, op, value) = match (left.constant(*width), right.constant(*width)) {
                (_, Some(value)) => (left, *op, value),
                (Some(value), None) => (right, op.mirrored(), value),
                (None, None) => return Err("two arguments are compared with each other"),
            };
            let op = if negated { opposite(op) } else { op };
            pattern.cases(&allowed(op, value, *width, *signed), *width)
        }
        Expr::In { value, ranges, width, signed } => {
            let pattern = Pattern::of(value, nr)?;
            let mut plain = Vec::new();
            for (low, high) in ranges {
                plain.extend(unsigned(*low, *high, *width, *signed));
            }
            plain.sort_unstable();
            pattern.cases(&if negated { complement(&plain, *width) } else { plain }, *width)
        }
        Expr::Overlaps { .. } => Err("`overlaps` adds an address and a length"),
        Expr::Path { .. } => Err("it asks for a path"),
        Expr::From(_) => Err("it asks where the call comes from"),
    }
}

const fn opposite(op: Op) -> Op {
    match op {
        Op::Eq => Op::Ne,
        Op::Ne => Op::Eq,
        Op::Lt => Op::Ge,
        Op::Le => Op::Gt,
        Op::Gt => Op::Le,
        Op::Ge => Op::Lt,
    }
}

/// All bits of a width.
const fn ones(width: Width) -> u64 {
    match width {
        Width::W32 => u32::MAX as u64,
        Width::W64 => u64::MAX,
    }
}

/// The first and last number of an order, as bit patterns.
const fn ends(width: Width, signed: bool) -> (u64, u64) {
    let top = (ones(width) >> 1) + 1;
    if signed { (top, top - 1) } else { (0, ones(width)) }
}

/// The numbers that stand in a relation to `value`, as ranges of bit patterns without sign.
fn allowed(op: Op, value: u64, width: Width, signed: bool) -> Vec<(u64, u64)> {
    let (first, last) = ends(width, signed);
    let value = value & ones(width);
    let before = value.wrapping_sub(1) & ones(width);
    let after = value.wrapping_add(1) & ones(width);
    let below = if value == first { Vec::new() } else { unsigned(first, before, width, signed) };
    let above = if value == last { Vec::new() } else { unsigned(after, last, width, signed) };
    let own = vec![(value, value)];
    let mut all = match op {
        Op::Eq => own,
        Op::Ne => [below, above].concat(),
        Op::Lt => below,
        Op::Le => [below, own].concat(),
        Op::Gt => above,
        Op::Ge => [own, above].concat(),
    };
    all.sort_unstable();
    joined(&all)
}

/// A range of an order as ranges of bit patterns.
fn unsigned(low: u64, high: u64, width: Width, signed: bool) -> Vec<(u64, u64)> {
    if signed && low > high {
        // From a negative number to one that is not.
        vec![(0, high), (low, ones(width))]
    } else {
        vec![(low, high)]
    }
}

/// Ranges that touch become one.
fn joined(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (low, high) in ranges {
        match all.last_mut() {
            Some(last) if last.1.checked_add(1).is_none_or(|next| next >= *low) => {
                last.1 = last.1.max(*high);
            }
            _ => all.push((*low, *high)),
        }
    }
    all
}

/// What is in none of the sorted ranges.
fn complement(ranges: &[(u64, u64)], width: Width) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    let mut from = Some(0);
    for (low, high) in joined(ranges) {
        if let Some(from) = from
            && from < low
        {
            all.push((from, low - 1));
        }
        from = high.checked_add(1).filter(|next| *next <= ones(width));
    }
    all.extend(from.map(|from| (from, ones(width))));
    all
}

/// Where a bit of a number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bit {
    Fixed(bool),
    /// A bit of an argument, turned or not.
    Of {
        argument: u8,
        bit: u8,
        turned: bool,
    },
}

/// A number, bit by bit: everything that the language makes of an argument and constants.
#[derive(Clone, Debug)]
struct Pattern(Vec<Bit>);

impl Pattern {
    fn of(value: &Value, nr: u32) -> Result<Self, &'static str> {
        let constant =
            |value: u64| Self((0..64).map(|bit| Bit::Fixed(value >> bit & 1 == 1)).collect());
        let pairs = |a: &Value, b: &Value| -> Result<Vec<(Bit, Bit)>, &'static str> {
            Ok(Self::of(a, nr)?.0.into_iter().zip(Self::of(b, nr)?.0).collect())
        };
        let two = "bits of two arguments are taken together";
        let each = |pairs: Vec<(Bit, Bit)>, join: fn(Bit, Bit) -> Option<Bit>| {
            let bits: Option<Vec<Bit>> = pairs.into_iter().map(|(a, b)| join(a, b)).collect();
            bits.map(Self).ok_or(two)
        };
        Ok(match value {
            Value::Constant(value) => constant(*value),
            Value::Number => constant(u64::from(nr)),
            Value::Argument(argument) => {
                let of = |bit| Bit::Of { argument: *argument, bit, turned: false };
                Self((0..64).map(of).collect())
            }
            Value::And(a, b) => each(pairs(a, b)?, |a, b| match (a, b) {
                (Bit::Fixed(false), _) | (_, Bit::Fixed(false)) => Some(Bit::Fixed(false)),
                (Bit::Fixed(true), other) | (other, Bit::Fixed(true)) => Some(other),
                (a, b) => (a == b).then_some(a),
            })?,
            Value::Or(a, b) => each(pairs(a, b)?, |a, b| match (a, b) {
                (Bit::Fixed(true), _) | (_, Bit::Fixed(true)) => Some(Bit::Fixed(true)),
                (Bit::Fixed(false), other) | (other, Bit::Fixed(false)) => Some(other),
                (a, b) => (a == b).then_some(a),
            })?,
            Value::Xor(a, b) => each(pairs(a, b)?, |a, b| match (a, b) {
                (Bit::Fixed(false), other) | (other, Bit::Fixed(false)) => Some(other),
                (Bit::Fixed(true), other) | (other, Bit::Fixed(true)) => Some(other.turned()),
                (a, b) => (a == b).then_some(Bit::Fixed(false)),
            })?,
            Value::Shl(inner, count) => {
                let mut bits = vec![Bit::Fixed(false); usize::from((*count).min(64))];
                bits.extend(Self::of(inner, nr)?.0);
                bits.truncate(64);
                Self(bits)
            }
            Value::Not(inner) => {
                Self(Self::of(inner, nr)?.0.into_iter().map(Bit::turned).collect())
            }
        })
    }

    /// Its value at a width, if no argument is in it.
    fn constant(&self, width: Width) -> Option<u64> {
        let mut value = 0;
        for (at, bit) in (0..64).zip(&self.0) {
            if ones(width) >> at & 1 == 0 {
                break;
            }
            match bit {
                Bit::Fixed(set) => value |= u64::from(*set) << at,
                Bit::Of { .. } => return None,
            }
        }
        Some(value)
    }

    /// The register that it is, as far as the width goes.
    fn register(&self, width: Width) -> Option<u8> {
        let Some(Bit::Of { argument, .. }) = self.0.first() else { return None };
        let argument = *argument;
        let own = |(at, bit): (u8, &Bit)| *bit == Bit::Of { argument, bit: at, turned: false };
        let count = if width == Width::W32 { 32 } else { 64 };
        (0..count).zip(&self.0).all(own).then_some(argument)
    }

    /// The cases in which it lies in one of the ranges.
    fn cases(&self, ranges: &[(u64, u64)], width: Width) -> Result<Vec<Case>, &'static str> {
        if let Some(value) = self.constant(width) {
            let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&value));
            return Ok(if inside { vec![Case::default()] } else { Vec::new() });
        }
        if let Some(argument) = self.register(width) {
            let want = Want::In { width, ranges: joined(ranges) };
            let nothing = want == Want::none(width);
            let case = Case(BTreeMap::from([(argument, want)]));
            return Ok(if nothing { Vec::new() } else { vec![case] });
        }
        let mut all: Vec<Case> = Vec::new();
        for (low, high) in ranges {
            for (mask, value) in blocks(*low, *high) {
                all.extend(
                    self.block(mask & ones(width), value).filter(|case| !all.contains(case)),
                );
            }
        }
        Ok(all)
    }

    /// The case in which the bits of `mask` have the value.
    fn block(&self, mask: u64, value: u64) -> Option<Case> {
        let mut wanted: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
        for (at, bit) in (0..64).zip(&self.0).filter(|(at, _)| mask >> at & 1 == 1) {
            let set = value >> at & 1 == 1;
            match *bit {
                Bit::Fixed(fixed) if fixed == set => {}
                Bit::Fixed(_) => return None,
                Bit::Of { argument, bit, turned } => {
                    let (known, bits) = wanted.entry(argument).or_default();
                    let set = u64::from(set != turned) << bit;
                    if *known >> bit & 1 == 1 && *bits & 1 << bit != set {
                        return None;
                    }
                    *known |= 1 << bit;
                    *bits |= set;
                }
            }
        }
        let want = |(mask, value)| Want::Bits { mask, value };
        Some(Case(wanted.into_iter().map(|(argument, bits)| (argument, want(bits))).collect()))
    }
}

impl Bit {
    fn turned(self) -> Self {
        match self {
            Self::Fixed(set) => Self::Fixed(!set),
            Self::Of { argument, bit, turned } => Self::Of { argument, bit, turned: !turned },
        }
    }
}
