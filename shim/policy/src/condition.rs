//! Conditions, as nodes of a program: each test leads to one of two places.

use crate::assemble::{Graph, Id, decide};
use crate::half::{Half, Pair, SIGN};
use crate::policy::{Caller, Expr, Op, Value};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use ia2_core::calls::Width;
use ia2_core::cbpf::{self, op};

/// Deepest nesting of conditions and of values: nothing here recurses deeper.
pub const DEPTH: u32 = 128;

/// Whether nothing in the condition is nested deeper than `depth`.
#[must_use]
pub fn fits(expr: &Expr, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match expr {
        Expr::Not(inner) => fits(inner, depth),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().all(|part| fits(part, depth)),
        Expr::Compare { left, right, .. } => value_fits(left, depth) && value_fits(right, depth),
        Expr::In { value, .. } => value_fits(value, depth),
        _ => true,
    }
}

fn value_fits(value: &Value, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match value {
        Value::And(one, other) | Value::Or(one, other) | Value::Xor(one, other) => {
            value_fits(one, depth) && value_fits(other, depth)
        }
        Value::Shl(inner, _) | Value::Not(inner) => value_fits(inner, depth),
        Value::Constant(_) | Value::Argument(_) | Value::Number => true,
    }
}

/// Whether there is a part that only the shim can tell.
#[must_use]
pub fn has_question(expr: &Expr) -> bool {
    any(expr, &|part| match part {
        Expr::Path { .. } => true,
        Expr::From(caller) => *caller != Caller::Trampoline,
        _ => false,
    })
}

/// Whether it asks for a path.
#[must_use]
pub fn has_path(expr: &Expr) -> bool {
    any(expr, &|part| matches!(part, Expr::Path { .. }))
}

/// Whether it says something about the gate.
#[must_use]
pub fn names_gate(expr: &Expr) -> bool {
    any(expr, &|part| *part == Expr::From(Caller::Trampoline))
}

fn any(expr: &Expr, is: &dyn Fn(&Expr) -> bool) -> bool {
    match expr {
        Expr::Not(inner) => any(inner, is),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().any(|part| any(part, is)),
        part => is(part),
    }
}

/// The condition without what only the shim can tell, which is taken for what makes the whole hold
/// (`true`: what comes out holds whenever the whole could) or fail (`false`: it holds if the whole must).
#[must_use]
pub fn assume(expr: &Expr, holds: bool) -> Expr {
    let all = |parts: &[Expr]| parts.iter().map(|part| assume(part, holds)).collect();
    match expr {
        Expr::Not(inner) => Expr::Not(Box::new(assume(inner, !holds))),
        Expr::And(parts) => Expr::And(all(parts)),
        Expr::Or(parts) => Expr::Or(all(parts)),
        part if !has_question(part) => part.clone(),
        _ if holds => Expr::True,
        _ => Expr::False,
    }
}

/// Makes nodes of conditions.
#[derive(Debug, Default)]
pub struct Coder {
    /// Where they are made.
    pub graph: Graph,
    /// A value took more scratch memory than there is.
    pub failed: bool,
}

impl Coder {
    /// A condition without questions.
    pub fn condition(&mut self, expr: &Expr, yes: Id, no: Id) -> Id {
        if yes == no {
            return yes;
        }
        match expr {
            Expr::True | Expr::From(Caller::Trampoline) => yes,
            // Questions are gone before.
            Expr::False | Expr::Path { .. } | Expr::From(_) => no,
            Expr::Not(inner) => self.condition(inner, no, yes),
            Expr::And(parts) => {
                parts.iter().rev().fold(yes, |next, part| self.condition(part, next, no))
            }
            Expr::Or(parts) => {
                parts.iter().rev().fold(no, |next, part| self.condition(part, yes, next))
            }
            Expr::Compare { op, left, right, width, signed } => {
                let (left, right) = (Pair::of(left, *width), Pair::of(right, *width));
                let (left, right) = match op {
                    Op::Eq | Op::Ne => (left, right),
                    _ => (left.ordered(*signed), right.ordered(*signed)),
                };
                match op {
                    Op::Eq => self.equal(&left, &right, yes, no),
                    Op::Ne => self.equal(&left, &right, no, yes),
                    Op::Gt => self.greater(&left, &right, op::JGT_K, yes, no),
                    Op::Ge => self.greater(&left, &right, op::JGE_K, yes, no),
                    Op::Lt => self.greater(&left, &right, op::JGE_K, no, yes),
                    Op::Le => self.greater(&left, &right, op::JGT_K, no, yes),
                }
            }
            Expr::In { value, ranges, width, signed } => {
                let ranges = without_sign(ranges, *width, *signed);
                self.within(&Pair::of(value, *width), &ranges, yes, no)
            }
            Expr::Overlaps { addr, len, region } => {
                let region = region.range();
                let addr = Pair::argument(*addr);
                self.overlaps(&addr, &Pair::argument(*len), &region, yes, no)
            }
        }
    }

    /// Three cases. Inside: it overlaps, however long. Below: if the length is more than what lies
    /// between. Above: only if it runs over the end, which is a length of more than what is left,
    /// `!addr`; from below that would have been met before.
    fn overlaps(
        &mut self,
        addr: &Pair,
        len: &Pair,
        region: &core::ops::Range<u64>,
        yes: Id,
        no: Id,
    ) -> Id {
        let (start, end) = (region.start, region.end);
        let above = self.greater(len, &addr.clone().turned(), op::JGT_K, yes, no);
        let mut reaches =
            |borrow| self.greater(len, &addr.clone().up_to(start, borrow), op::JGT_K, yes, no);
        let (borrowed, plain) = (reaches(true), reaches(false));
        let low = Half::Constant(start as u32);
        let below = self.test(op::JGT_K, &addr.low, &low, borrowed, plain);
        let not_above = self.greater(addr, &Pair::constant(start), op::JGE_K, yes, below);
        self.greater(addr, &Pair::constant(end), op::JGE_K, above, not_above)
    }

    fn equal(&mut self, left: &Pair, right: &Pair, yes: Id, no: Id) -> Id {
        let low = self.test(op::JEQ_K, &left.low, &right.low, yes, no);
        self.test(op::JEQ_K, &left.high, &right.high, low, no)
    }

    /// `left > right` (`JGT_K`) or `left >= right` (`JGE_K`), without a sign: the high words decide, and
    /// if they are equal, the low ones do.
    fn greater(&mut self, left: &Pair, right: &Pair, code: u16, yes: Id, no: Id) -> Id {
        let low = self.test(code, &left.low, &right.low, yes, no);
        match (&left.high, &right.high) {
            (Half::Constant(a), Half::Constant(b)) => match a.cmp(b) {
                Ordering::Less => no,
                Ordering::Equal => low,
                Ordering::Greater => yes,
            },
            (half, Half::Constant(k)) => {
                let tests = self.three_ways(*k, no, low, yes);
                self.put(half, 0, tests)
            }
            (Half::Constant(k), half) => {
                let tests = self.three_ways(*k, yes, low, no);
                self.put(half, 0, tests)
            }
            (a, b) => {
                let equal = self.graph.branch(op::JEQ_X, 0, low, no);
                let tests = self.graph.branch(op::JGT_X, 0, yes, equal);
                self.put_both(a, b, tests)
            }
        }
    }

    /// Whether what is in `A` is less than `k`, equal to it, or greater.
    fn three_ways(&mut self, k: u32, less: Id, equal: Id, greater: Id) -> Id {
        let not_greater = match k {
            0 => equal,
            _ => self.graph.branch(op::JEQ_K, k, equal, less),
        };
        self.graph.branch(op::JGT_K, k, greater, not_greater)
    }

    /// Whether the value is in one of the ranges: sorted, apart, without a sign.
    fn within(&mut self, value: &Pair, ranges: &[(u64, u64)], yes: Id, no: Id) -> Id {
        let mut spans = Vec::new();
        for span in by_high_word(ranges) {
            let inside = match span.low.as_slice() {
                [(0, u32::MAX)] => yes,
                low => {
                    let parts = borders(low.iter().map(|(first, last)| (*first, *last, yes)), no);
                    self.choose(&value.low, &parts, no)
                }
            };
            spans.push((span.first, span.last, inside));
        }
        let parts = borders(spans.into_iter(), no);
        self.choose(&value.high, &parts, no)
    }

    /// Where `half` leads, by [`decide`].
    fn choose(&mut self, half: &Half, parts: &[(u32, Id)], rest: Id) -> Id {
        if let Half::Constant(k) = half {
            let at = parts.partition_point(|part| part.0 <= *k);
            return at.checked_sub(1).and_then(|at| parts.get(at)).map_or(rest, |part| part.1);
        }
        let tree = decide(&mut self.graph, parts).unwrap_or(rest);
        match parts.iter().any(|part| part.1 != tree) {
            true => self.put(half, 0, tree),
            false => tree,
        }
    }

    /// One test of words, without a sign: `code` is `JEQ_K`, `JGT_K` or `JGE_K`.
    fn test(&mut self, code: u16, left: &Half, right: &Half, yes: Id, no: Id) -> Id {
        if yes == no {
            return yes;
        }
        match (left, right) {
            (Half::Constant(a), Half::Constant(b)) => {
                let holds = match code {
                    op::JEQ_K => a == b,
                    op::JGT_K => a > b,
                    _ => a >= b,
                };
                if holds { yes } else { no }
            }
            (half, Half::Constant(k)) => self.test_constant(code, half, *k, yes, no),
            // `k > x` is not `x >= k`.
            (Half::Constant(k), half) => match code {
                op::JEQ_K => self.test_constant(code, half, *k, yes, no),
                op::JGT_K => self.test_constant(op::JGE_K, half, *k, no, yes),
                _ => self.test_constant(op::JGT_K, half, *k, no, yes),
            },
            (a, b) => {
                let code = match code {
                    op::JEQ_K => op::JEQ_X,
                    op::JGT_K => op::JGT_X,
                    _ => op::JGE_X,
                };
                let branch = self.graph.branch(code, 0, yes, no);
                self.put_both(a, b, branch)
            }
        }
    }

    fn test_constant(&mut self, code: u16, half: &Half, k: u32, yes: Id, no: Id) -> Id {
        let (inner, code, k, yes, no) = match (code, k, half, constant_of(half)) {
            (op::JEQ_K, _, Half::And(..), Some(mask)) if k & !mask != 0 => return no,
            (op::JEQ_K, 0, Half::And(inner, _), Some(mask)) => {
                (&**inner, op::JSET_K, mask, no, yes)
            }
            (op::JEQ_K, _, Half::And(inner, _), Some(mask))
                if k == mask && mask.is_power_of_two() =>
            {
                (&**inner, op::JSET_K, mask, yes, no)
            }
            (op::JEQ_K, _, Half::Xor(inner, _), Some(turn)) => {
                return self.test_constant(code, inner, k ^ turn, yes, no);
            }
            // With the sign turned, `>= 0` is a test of one bit.
            (op::JGE_K, SIGN, Half::Xor(inner, _), Some(SIGN)) => {
                (&**inner, op::JSET_K, SIGN, no, yes)
            }
            _ => (half, code, k, yes, no),
        };
        let branch = self.graph.branch(code, k, yes, no);
        match branch == yes || branch == no {
            true => branch,
            false => self.put(inner, 0, branch),
        }
    }

    /// Puts `half` into `A`, then `next`. The words of scratch memory from `slot` on are free.
    fn put(&mut self, half: &Half, slot: u32, next: Id) -> Id {
        let (code, a, b) = match half {
            Half::Constant(k) => return self.graph.step(op::LD_IMM, *k, next),
            Half::Word(offset) => return self.graph.load(*offset, next),
            Half::Shl(inner, by) => {
                let next = self.graph.step(op::LSH_K, (*by).into(), next);
                return self.put(inner, slot, next);
            }
            Half::Shr(inner, by) => {
                let next = self.graph.step(op::RSH_K, (*by).into(), next);
                return self.put(inner, slot, next);
            }
            Half::From(k, inner) => {
                let next = self.graph.step(op::NEG, 0, next);
                let next = self.graph.step(op::SUB_K, *k, next);
                return self.put(inner, slot, next);
            }
            Half::And(a, b) => ((op::AND_K, op::AND_X), a, b),
            Half::Or(a, b) => ((op::OR_K, op::OR_X), a, b),
            Half::Xor(a, b) => ((op::XOR_K, op::XOR_X), a, b),
        };
        let (with_constant, with_x) = code;
        if let Half::Constant(k) = **b {
            let next = self.graph.step(with_constant, k, next);
            return self.put(a, slot, next);
        }
        if slot as usize >= cbpf::SCRATCH {
            self.failed = true;
            return next;
        }
        // The one that takes more room first: while it is made, the other takes none.
        let (first, second) = if a.room() >= b.room() { (a, b) } else { (b, a) };
        let next = self.graph.step(with_x, 0, next);
        let next = self.graph.step(op::LDX_MEM, slot, next);
        let next = self.put(second, slot.wrapping_add(1), next);
        let next = self.graph.step(op::ST, slot, next);
        self.put(first, slot, next)
    }

    /// Puts `a` into `A` and `x` into `X`, then `next`.
    fn put_both(&mut self, a: &Half, x: &Half, next: Id) -> Id {
        if a.room() == 0 {
            // What takes no room leaves `X` alone.
            let next = self.put(a, 0, next);
            let next = self.graph.step(op::TAX, 0, next);
            return self.put(x, 0, next);
        }
        let next = self.graph.step(op::LDX_MEM, 0, next);
        let next = self.put(a, 1, next);
        let next = self.graph.step(op::ST, 0, next);
        self.put(x, 0, next)
    }
}

/// The constant on the right of an operation.
fn constant_of(half: &Half) -> Option<u32> {
    match half {
        Half::And(_, right) | Half::Or(_, right) | Half::Xor(_, right) => match **right {
            Half::Constant(k) => Some(k),
            _ => None,
        },
        _ => None,
    }
}

/// Values of the high word from `first` to `last`, and the ranges of the low word that go with them.
struct Span {
    first: u32,
    last: u32,
    low: Vec<(u32, u32)>,
}

/// Ranges of two words, by the high one.
fn by_high_word(ranges: &[(u64, u64)]) -> Vec<Span> {
    const ALL: (u32, u32) = (0, u32::MAX);
    let mut spans: Vec<Span> = Vec::new();
    let mut add = |first: u32, last: u32, low: (u32, u32)| match spans.last_mut() {
        // Two ranges share a value of the high word only if neither has all of it.
        Some(span) if span.last == first => span.low.push(low),
        _ => spans.push(Span { first, last, low: alloc::vec![low] }),
    };
    for (first, last) in ranges {
        let (mut high, low) = ((*first >> 32) as u32, *first as u32);
        let (mut last_high, last_low) = ((*last >> 32) as u32, *last as u32);
        if high == last_high {
            add(high, high, (low, last_low));
            continue;
        }
        if low != 0 {
            add(high, high, (low, u32::MAX));
            high = high.wrapping_add(1);
        }
        let ends_inside = last_low != u32::MAX;
        if ends_inside {
            last_high = last_high.wrapping_sub(1);
        }
        if high <= last_high {
            add(high, last_high, ALL);
        }
        if ends_inside {
            add(last_high.wrapping_add(1), last_high.wrapping_add(1), (0, last_low));
        }
    }
    spans
}

/// Ranges that lead somewhere, sorted and apart, as the list that [`decide`] takes.
fn borders(ranges: impl Iterator<Item = (u32, u32, Id)>, rest: Id) -> Vec<(u32, Id)> {
    let mut parts = Vec::new();
    let mut next = Some(0);
    for (first, last, target) in ranges {
        if next != Some(first) {
            parts.extend(next.map(|next| (next, rest)));
        }
        parts.push((first, target));
        next = last.checked_add(1);
    }
    parts.extend(next.map(|next| (next, rest)));
    parts
}

/// Ranges in the order without a sign, sorted and apart: one with both signs is two.
fn without_sign(ranges: &[(u64, u64)], width: Width, signed: bool) -> Vec<(u64, u64)> {
    let (sign, most) = match width {
        Width::W32 => (1 << 31, u64::from(u32::MAX)),
        Width::W64 => (1 << 63, u64::MAX),
    };
    let mut all = Vec::new();
    for (first, last) in ranges {
        let (first, last) = (first & most, last & most);
        if signed && first & sign != 0 && last & sign == 0 {
            all.push((0, last));
            all.push((first, most));
        } else if first <= last && !(signed && last & sign != 0 && first & sign == 0) {
            all.push((first, last));
        }
    }
    all.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (first, last) in all {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}
