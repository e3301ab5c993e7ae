//! The points that policies can tell apart: for each call, the arguments at which any of them may change
//! its mind, and paths, callers and flags of each kind that they ask about.
//!
//! | of | are tried |
//! |---|---|
//! | arguments | one value of each cell, see `cells`; all combinations of them |
//! | paths | one for each pattern, one below it, and some that no pattern has |
//! | callers | the C library, no file, a module that nobody names, and all that somebody names |
//!
//! Arguments are complete, unless a condition compares two of them or there are too many combinations.
//! Paths are samples: patterns of two policies can overlap in ways that no sample shows.

use std::collections::BTreeSet;

use ia2_core::access::{self, Flags};
use ia2_core::calls::Width;
use ia2_core::verdict::ActionKind;
use ia2_policy::eval::Outcome;
use ia2_policy::policy::{Caller, Expr, Op, Paths, Policy, Value};

use super::cells::Axis;
use super::point::{Asked, OTHER, Point, is_path, is_resolved};

/// What is known of the calls that are asked about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) args: [Option<u64>; 6],
    pub(crate) paths: [Option<String>; 6],
    pub(crate) from: Option<Caller>,
}

/// The points of one call.
pub(crate) struct Space {
    nr: u32,
    args: [Vec<u64>; 6],
    paths: [Vec<Option<String>>; 6],
    from: Vec<Caller>,
    there: Vec<bool>,
    relative: Vec<bool>,
    behind: Vec<u64>,
    /// Arguments that are not given.
    free: [bool; 6],
    /// Nothing lies between the points, as far as numbers go.
    pub(crate) is_exact: bool,
}

/// Most points of one call.
const MOST: usize = 200_000;
/// Most paths of one argument.
const PATHS: usize = 48;
/// Flags of open(2) that ask for different accesses: to read, to write, to create.
const OPEN_FLAGS: [u64; 3] = [0, 1, 0o101];
/// An address that is not NULL.
const SOMEWHERE: u64 = 0x7fff_0000_1000;

/// How conditions look at a call.
#[derive(Default)]
struct Looks {
    axes: [Axis; 6],
    paths: [BTreeSet<String>; 6],
    has_path: [bool; 6],
    callers: Vec<Caller>,
    files: bool,
}

impl Space {
    /// Of call `nr`, as these policies look at it.
    pub(crate) fn new(policies: &[&Policy], nr: u32, given: &Given) -> Self {
        let mut looks = Looks::default();
        for policy in policies {
            if let Some(rule) = policy.rule_of(nr).and_then(|index| policy.rules.get(index)) {
                looks.expr(&rule.when, policy);
            }
        }
        if looks.files
            && let Flags::Argument(at) = access::flags(nr)
            && let Some(axis) = looks.axes.get_mut(usize::from(at))
        {
            OPEN_FLAGS.iter().for_each(|flags| axis.also(*flags));
        }
        let mut is_exact = true;
        let mut args: [Vec<u64>; 6] = Default::default();
        let mut paths: [Vec<Option<String>>; 6] = Default::default();
        for (at, slot) in args.iter_mut().enumerate() {
            let axis = looks.axes.get(at).filter(|axis| axis.is_seen());
            *slot = match (given.args.get(at).copied().flatten(), axis) {
                (Some(value), _) => vec![value],
                (None, Some(axis)) => {
                    let (values, exact) = axis.values();
                    is_exact &= exact;
                    values
                }
                (None, None) => vec![0],
            };
        }
        for (at, slot) in paths.iter_mut().enumerate() {
            let asked = looks.has_path.get(at).copied().unwrap_or(false);
            *slot = match given.paths.get(at).and_then(Option::as_ref) {
                Some(path) => vec![Some(path.clone())],
                None if !asked || given.args.get(at).copied().flatten().is_some() => vec![None],
                None => {
                    let found = looks.paths.get(at).into_iter().flatten().cloned();
                    found.take(PATHS).map(Some).collect()
                }
            };
        }
        // A path has an address; NULL is another question.
        for (slot, path) in args.iter_mut().zip(&paths) {
            if path.iter().any(Option::is_some) && slot.as_slice() == [0] {
                *slot = vec![SOMEWHERE];
            }
        }
        let free = core::array::from_fn(|at| {
            let has = |some: Option<bool>| some.unwrap_or(false);
            !has(given.args.get(at).map(Option::is_some))
                && !has(given.paths.get(at).map(Option::is_some))
        });
        let open = access::flags(nr);
        let given_paths = || given.paths.iter().flatten();
        let asks_paths = looks.has_path.contains(&true);
        let both = || vec![true, false];
        let mut space = Self {
            nr,
            args,
            paths,
            from: given.from.clone().map_or_else(|| looks.callers(), |from| vec![from]),
            there: vec![true],
            relative: if asks_paths && given_paths().any(|path| !is_resolved(path)) {
                both()
            } else {
                vec![true]
            },
            behind: match open {
                Flags::Behind(_) if looks.files => OPEN_FLAGS.to_vec(),
                _ => vec![0],
            },
            free,
            is_exact,
        };
        if looks.files && space.depends_on_there() {
            space.there = both();
        }
        space.is_exact &= space.len() <= MOST;
        space
    }

    /// Whether an access depends on whether the file is there.
    fn depends_on_there(&self) -> bool {
        let flags = match access::flags(self.nr) {
            Flags::Argument(at) => self.args.get(usize::from(at)).map_or(&[][..], Vec::as_slice),
            Flags::Behind(_) => &self.behind,
            Flags::None => &[0],
        };
        flags.iter().any(|flags| {
            (0..6u8).filter(|at| is_path(self.nr, usize::from(*at))).any(|at| {
                access::wanted(self.nr, at, *flags, true)
                    != access::wanted(self.nr, at, *flags, false)
            })
        })
    }

    fn sizes(&self) -> [usize; 16] {
        let mut sizes = [1; 16];
        let args = self.args.iter().map(Vec::len).chain(self.paths.iter().map(Vec::len));
        let rest = [self.from.len(), self.there.len(), self.relative.len(), self.behind.len()];
        for (slot, size) in sizes.iter_mut().zip(args.chain(rest)) {
            *slot = size.max(1);
        }
        sizes
    }

    fn len(&self) -> usize {
        self.sizes().iter().fold(1, |all, size| all.saturating_mul(*size))
    }

    /// All of them, or as many as one can wait for.
    pub(crate) fn points(&self) -> impl Iterator<Item = Point> {
        (0..self.len().min(MOST)).map(|index| self.point(index))
    }

    fn point(&self, mut index: usize) -> Point {
        let mut at = [0; 16];
        for (slot, size) in at.iter_mut().zip(self.sizes()) {
            *slot = index % size;
            index /= size;
        }
        let of = |row: usize| at.get(row).copied().unwrap_or(0);
        Point {
            nr: self.nr,
            args: core::array::from_fn(|arg| pick(&self.args, arg, of(arg)).unwrap_or(0)),
            paths: core::array::from_fn(|arg| pick(&self.paths, arg, of(6 + arg)).flatten()),
            from: self.from.get(of(12)).cloned().unwrap_or(Caller::Wrapper),
            there: self.there.get(of(13)).copied().unwrap_or(true),
            relative: self.relative.get(of(14)).copied().unwrap_or(true),
            behind: self.behind.get(of(15)).copied().unwrap_or(0),
        }
    }

    /// Which arguments do not matter at a point: whatever they are, `judge` says the same. The rest of the
    /// point stays.
    pub(crate) fn free<T: PartialEq>(
        &self,
        point: &Point,
        judge: impl Fn(&Point) -> T,
    ) -> [bool; 6] {
        /// Most combinations of arguments that are looked at.
        const LOOKED_AT: usize = 4096;
        let wanted = judge(point);
        let mut free = [false; 6];
        for arg in 0..6 {
            if !self.free.get(arg).copied().unwrap_or(false) {
                continue;
            }
            let mut tried = free;
            if let Some(slot) = tried.get_mut(arg) {
                *slot = true;
            }
            let mut points = vec![point.clone()];
            for at in (0..6).filter(|at| tried.get(*at).copied().unwrap_or(false)) {
                let values = self.args.get(at).map_or(&[][..], Vec::as_slice);
                let paths = self.paths.get(at).map_or(&[][..], Vec::as_slice);
                points = points
                    .iter()
                    .flat_map(|one| {
                        values.iter().flat_map(move |value| {
                            paths.iter().map(move |path| {
                                let mut one = one.clone();
                                if let (Some(arg), Some(slot)) =
                                    (one.args.get_mut(at), one.paths.get_mut(at))
                                {
                                    (*arg, *slot) = (*value, path.clone());
                                }
                                one
                            })
                        })
                    })
                    .take(LOOKED_AT + 1)
                    .collect();
            }
            if points.len() <= LOOKED_AT && points.iter().all(|point| judge(point) == wanted) {
                free = tried;
            }
        }
        free
    }

    /// Besides its arguments, what the answer at a point depends on.
    pub(crate) fn asked<T: PartialEq>(&self, point: &Point, judge: impl Fn(&Point) -> T) -> Asked {
        let wanted = judge(point);
        let differs = |change: &dyn Fn(&mut Point)| {
            let mut other = point.clone();
            change(&mut other);
            judge(&other) != wanted
        };
        Asked {
            from: self.from.iter().any(|from| differs(&|point| point.from = from.clone())),
            there: self.there.iter().any(|there| differs(&|point| point.there = *there)),
            relative: self.relative.iter().any(|holds| differs(&|point| point.relative = *holds)),
            behind: self.behind.iter().any(|flags| differs(&|point| point.behind = *flags)),
        }
    }
}

fn pick<T: Clone>(rows: &[Vec<T>; 6], row: usize, at: usize) -> Option<T> {
    rows.get(row).and_then(|values| values.get(at)).cloned()
}

/// What of two outcomes is compared: `emulate` stands only where the shim does a call in its own way under
/// every policy, so it is `allow`.
pub(crate) fn effect(said: &Outcome<'_>) -> (ActionKind, bool) {
    let action = match said.action {
        ActionKind::Emulate => ActionKind::Allow,
        other => other,
    };
    (action, said.log)
}

impl Looks {
    fn callers(&self) -> Vec<Caller> {
        if self.callers.is_empty() {
            return vec![Caller::Wrapper];
        }
        let mut all = vec![Caller::Wrapper, Caller::Module(OTHER.to_owned()), Caller::Jit];
        for caller in &self.callers {
            if !all.contains(caller) {
                all.push(caller.clone());
            }
        }
        all
    }

    fn expr(&mut self, expr: &Expr, policy: &Policy) {
        match expr {
            Expr::True | Expr::False | Expr::From(Caller::Trampoline) => {}
            Expr::Not(inner) => self.expr(inner, policy),
            Expr::And(list) | Expr::Or(list) => {
                list.iter().for_each(|one| self.expr(one, policy));
            }
            Expr::Compare { op, left, right, width, .. } => self.compare(*op, left, right, *width),
            Expr::In { value, ranges, width, .. } => self.list(value, ranges, *width),
            Expr::Overlaps { addr, len, region } => {
                let region = region.range();
                for (at, cuts) in [(addr, &[region.start, region.end][..]), (len, &[])] {
                    let Some(axis) = self.axes.get_mut(usize::from(*at)) else { continue };
                    axis.seen(true);
                    axis.both_ends();
                    cuts.iter().for_each(|cut| axis.cut(*cut));
                }
            }
            Expr::Path { arg, paths } => {
                let (Some(has), Some(slot)) = (
                    self.has_path.get_mut(usize::from(*arg)),
                    self.paths.get_mut(usize::from(*arg)),
                ) else {
                    return;
                };
                *has = true;
                slot.insert("/elsewhere/x".to_owned());
                match paths {
                    Paths::Patterns(patterns) => {
                        slot.extend(patterns.iter().flat_map(|one| examples(one)))
                    }
                    Paths::Files => {
                        self.files = true;
                        let items = policy.files.iter();
                        let all = items.flat_map(|one| one.except.iter().chain(&one.paths));
                        slot.extend(all.flat_map(|one| examples(one)));
                    }
                }
            }
            Expr::From(caller) => {
                if !self.callers.contains(caller) {
                    self.callers.push(caller.clone());
                }
            }
        }
    }

    fn compare(&mut self, op: Op, left: &Value, right: &Value, width: Width) {
        let last = if width == Width::W64 { u64::MAX } else { u64::from(u32::MAX) };
        // The constant to the right.
        let (op, left, constant) = match (constant(left), constant(right)) {
            (_, Some(constant)) => (op, left, constant & last),
            (Some(constant), None) => (turned(op), right, constant & last),
            (None, None) => return self.unclear(&[left, right], width),
        };
        match (masked(left, last, constant), op) {
            // Whatever the argument is, the answer is the same.
            (Some(Masked { arg: None, .. }), _) => {}
            (Some(Masked { arg: Some(arg), mask, value }), Op::Eq | Op::Ne) => {
                let Some(axis) = self.axes.get_mut(usize::from(arg)) else { return };
                axis.seen(width == Width::W64);
                match value {
                    Some(value) if mask == last => axis.range(value, value),
                    Some(value) => axis.bits(mask, value),
                    None => {}
                }
            }
            (Some(Masked { arg: Some(arg), mask, value: Some(value) }), _)
                if mask == last && value == constant =>
            {
                let Some(axis) = self.axes.get_mut(usize::from(arg)) else { return };
                axis.seen(width == Width::W64);
                axis.range(constant, constant);
            }
            _ => self.unclear(&[left, right, &Value::Constant(constant)], width),
        }
    }

    fn list(&mut self, value: &Value, ranges: &[(u64, u64)], width: Width) {
        let last = if width == Width::W64 { u64::MAX } else { u64::from(u32::MAX) };
        for (first, end) in ranges {
            let (first, end) = (first & last, end & last);
            match masked(value, last, first) {
                Some(Masked { arg: None, .. }) => {}
                Some(Masked { arg: Some(arg), mask, value: Some(found) })
                    if mask == last && found == first =>
                {
                    let Some(axis) = self.axes.get_mut(usize::from(arg)) else { continue };
                    axis.seen(width == Width::W64);
                    axis.range(first, first);
                    axis.range(end, end);
                }
                Some(Masked { arg: Some(arg), mask, value: found }) if first == end => {
                    let Some(axis) = self.axes.get_mut(usize::from(arg)) else { continue };
                    axis.seen(width == Width::W64);
                    if let Some(found) = found {
                        axis.bits(mask, found);
                    }
                }
                _ => self.unclear(&[value, &Value::Constant(first), &Value::Constant(end)], width),
            }
        }
    }

    /// A comparison of another kind: the values around its constants are tried.
    fn unclear(&mut self, values: &[&Value], width: Width) {
        let (mut args, mut constants) = (BTreeSet::new(), BTreeSet::from([0, 1, 2]));
        values.iter().for_each(|value| parts(value, &mut args, &mut constants));
        for arg in args {
            let Some(axis) = self.axes.get_mut(usize::from(arg)) else { continue };
            axis.seen(width == Width::W64);
            axis.inexact();
            for constant in &constants {
                for value in
                    [constant.wrapping_sub(1), *constant, constant.wrapping_add(1), !constant]
                {
                    axis.also(value);
                }
            }
        }
    }
}

/// `constant op x` as `x op constant`.
fn turned(op: Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        same => same,
    }
}

/// What a value without arguments is.
fn constant(value: &Value) -> Option<u64> {
    Some(match value {
        Value::Constant(number) => *number,
        Value::Argument(_) | Value::Number => return None,
        Value::And(a, b) => constant(a)? & constant(b)?,
        Value::Or(a, b) => constant(a)? | constant(b)?,
        Value::Xor(a, b) => constant(a)? ^ constant(b)?,
        Value::Shl(a, by) => constant(a)?.checked_shl((*by).into()).unwrap_or(0),
        Value::Not(a) => !constant(a)?,
    })
}

/// A comparison of bits of one argument with a value.
struct Masked {
    /// `None` if it is the number of the call, which is known.
    arg: Option<u8>,
    mask: u64,
    /// `None` if no argument has such bits.
    value: Option<u64>,
}

/// What `(value & mask) == wanted` says of one argument's bits; `None` if it is no such thing. No bit of
/// `wanted` is outside `mask`.
fn masked(value: &Value, mask: u64, wanted: u64) -> Option<Masked> {
    let never = |found: Option<Masked>| found.map(|found| Masked { value: None, ..found });
    match value {
        Value::Argument(arg) => Some(Masked { arg: Some(*arg), mask, value: Some(wanted) }),
        Value::Number => Some(Masked { arg: None, mask, value: None }),
        Value::And(a, b) => {
            let (bits, inner) = with_constant(a, b)?;
            let found = masked(inner, mask & bits, wanted & bits);
            if wanted & !bits == 0 { found } else { never(found) }
        }
        Value::Or(a, b) => {
            let (bits, inner) = with_constant(a, b)?;
            let found = masked(inner, mask & !bits, wanted & !bits);
            if mask & bits & !wanted == 0 { found } else { never(found) }
        }
        Value::Xor(a, b) => {
            let (bits, inner) = with_constant(a, b)?;
            masked(inner, mask, wanted ^ (bits & mask))
        }
        Value::Not(inner) => masked(inner, mask, !wanted & mask),
        Value::Shl(inner, by) => {
            let down = |bits: u64| bits.checked_shr((*by).into()).unwrap_or(0);
            let found = masked(inner, down(mask), down(wanted));
            let lost = wanted & !(u64::MAX << (*by).min(63));
            if lost == 0 { found } else { never(found) }
        }
        Value::Constant(_) => None,
    }
}

fn with_constant<'a>(a: &'a Value, b: &'a Value) -> Option<(u64, &'a Value)> {
    constant(a).map(|a| (a, b)).or_else(|| constant(b).map(|b| (b, a)))
}

fn parts(value: &Value, args: &mut BTreeSet<u8>, constants: &mut BTreeSet<u64>) {
    match value {
        Value::Constant(number) => {
            constants.insert(*number);
        }
        Value::Argument(at) => {
            args.insert(*at);
        }
        Value::Number => {}
        Value::And(a, b) | Value::Or(a, b) | Value::Xor(a, b) => {
            parts(a, args, constants);
            parts(b, args, constants);
        }
        Value::Shl(a, _) | Value::Not(a) => parts(a, args, constants),
    }
}

/// Paths that a pattern means, and one that it does not.
fn examples(pattern: &str) -> Vec<String> {
    let plain = !pattern.contains(['*', '?']);
    let some: Vec<String> = pattern
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| if part == "**" { "a".to_owned() } else { part.replace(['*', '?'], "1") })
        .collect();
    let path = format!("/{}", some.join("/"));
    let below = if path == "/" { "/x".to_owned() } else { format!("{path}/x") };
    match plain {
        true => vec![path, below],
        false => vec![path],
    }
}

#[cfg(test)]
mod tests {
    use super::{Given, Space, masked};
    use ia2_core::calls::Width;
    use ia2_core::verdict::{ActionKind, Region};
    use ia2_policy::eval::eval;
    use ia2_policy::policy::{Action, Expr, Op, Policy, Rule, Value};
    use ia2_policy::span::Span;
    use std::collections::BTreeSet;

    /// Numbers that look random, and are the same each time.
    struct Dice(u64);

    impl Dice {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, limit: u64) -> u64 {
            self.next() % limit
        }

        fn pick<T: Copy>(&mut self, list: &[T]) -> T {
            list[self.below(list.len() as u64) as usize]
        }

        fn constant(&mut self) -> u64 {
            const PLAIN: [u64; 12] = [
                0,
                1,
                2,
                7,
                8,
                0x80,
                0x7fff_ffff,
                0x8000_0000,
                0xffff_ffff,
                1 << 32,
                1 << 63,
                u64::MAX,
            ];
            match self.below(3) {
                0 => self.below(16),
                1 => self.pick(&PLAIN),
                _ => 1 << self.below(64) | 1 << self.below(64),
            }
        }

        fn value(&mut self, arg: u8, depth: u32) -> Value {
            let argument = Value::Argument(arg);
            if depth == 0 || self.below(2) == 0 {
                return argument;
            }
            let inner = Box::new(self.value(arg, depth - 1));
            let constant = Box::new(Value::Constant(self.constant()));
            match self.below(6) {
                0 | 1 => Value::And(inner, constant),
                2 => Value::Or(constant, inner),
                3 => Value::Xor(inner, constant),
                4 => Value::Shl(inner, self.below(32) as u8),
                _ => Value::Not(inner),
            }
        }

        fn expr(&mut self, depth: u32) -> Expr {
            if depth > 0 && self.below(2) == 0 {
                let list = (0..2 + self.below(2)).map(|_| self.expr(depth - 1)).collect();
                return match self.below(3) {
                    0 => Expr::And(list),
                    1 => Expr::Or(list),
                    _ => Expr::Not(Box::new(self.expr(depth - 1))),
                };
            }
            // One argument has 32 bits, the other 64, the last two are an address and its length.
            let (arg, width) = self.pick(&[(0, Width::W32), (1, Width::W64), (2, Width::W64)]);
            let last = if width == Width::W64 { u64::MAX } else { u64::from(u32::MAX) };
            let signed = width == Width::W32;
            match self.below(5) {
                0 => Expr::Overlaps { addr: 2, len: 3, region: Region::Protected },
                1 => {
                    let first = self.below(20);
                    let ranges = vec![(first, first + self.below(3)), (first + 5, first + 5)];
                    Expr::In { value: Value::Argument(arg), ranges, width, signed }
                }
                _ => Expr::Compare {
                    op: self.pick(&[Op::Eq, Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge]),
                    left: self.value(arg, 2),
                    right: Value::Constant(self.constant() & last),
                    width,
                    signed,
                },
            }
        }

        fn argument(&mut self) -> u64 {
            let near = self.constant().wrapping_add(self.below(3)).wrapping_sub(1);
            match self.below(4) {
                0 => self.next(),
                1 => Region::Protected
                    .range()
                    .start
                    .wrapping_add(self.below(0x8000))
                    .wrapping_sub(0x4000),
                2 => near | 1 << self.below(64),
                _ => near,
            }
        }
    }

    fn policy(when: Expr) -> Policy {
        let errno = Action { kind: ActionKind::Errno(1), ..Action::default() };
        let rule = Rule { span: Span::default(), when, then: Action::default(), otherwise: errno };
        Policy { rules: vec![rule], calls: vec![(CALL, 0)], ..Policy::default() }
    }

    const CALL: u32 = 9999;

    /// Whatever two policies say to some call, they say to a point, if the space says it is exact.
    #[test]
    fn no_pair_of_answers_is_lost() {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let mut exact = 0;
        for round in 0..1500 {
            let [a, b] = [policy(dice.expr(2)), policy(dice.expr(2))];
            let space = Space::new(&[&a, &b], CALL, &Given::default());
            if !space.is_exact {
                continue;
            }
            exact += 1;
            let ask = |args: &[u64; 6]| {
                [&a, &b].map(|policy| eval(policy, CALL, args, &mut |_| Ok(false)).action)
            };
            let known: BTreeSet<_> = space.points().map(|point| ask(&point.args)).collect();
            for _ in 0..300 {
                let args = core::array::from_fn(|_| dice.argument());
                let said = ask(&args);
                let [one, other] = [&a, &b].map(|policy| &policy.rules[0].when);
                assert!(known.contains(&said), "{round}: {said:?} {args:x?}\n{one:?}\n{other:?}");
            }
        }
        assert!(exact > 700, "{exact}");
    }

    #[test]
    fn comparisons_of_bits_are_seen_through() {
        let arg = || Box::new(Value::Argument(3));
        let number = |bits| Box::new(Value::Constant(bits));
        // ((arg | 0x10) & 0xff) == 0x12: the bit 0x10 does not matter.
        let value = Value::And(Box::new(Value::Or(arg(), number(0x10))), number(0xff));
        let found = masked(&value, u64::MAX, 0x12).expect("it is one");
        assert_eq!((found.arg, found.mask, found.value), (Some(3), 0xef, Some(0x02)));
        // (arg & 6) == 1 never holds.
        let value = Value::And(arg(), number(6));
        assert_eq!(masked(&value, u64::MAX, 1).map(|found| found.value), Some(None));
        // Two arguments are something else.
        let value = Value::And(arg(), Box::new(Value::Argument(4)));
        assert!(masked(&value, u64::MAX, 1).is_none());
    }
}
