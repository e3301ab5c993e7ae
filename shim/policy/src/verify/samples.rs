//! The arguments with which a condition is tried: every constant in it and its neighbours, with the sign and
//! with the upper half turned.

use crate::policy::{Expr, Value};
use alloc::vec::Vec;
use ia2_core::bpf::{Insn, argument};
use ia2_core::cbpf::op;
use ia2_core::layout::{GATE, PAGE, WINDOW_END};

/// For each argument, the values that matter to a condition.
#[derive(Default)]
struct Values {
    of: [Vec<u64>; 6],
}

/// Arguments that make a difference to the condition.
pub(super) fn samples(when: &Expr, most: usize) -> Vec<[u64; 6]> {
    let mut values = Values::default();
    values.collect(when);
    values.calls(most)
}

/// Arguments that make a difference to a part of a filter: those that pass its tests for a value, each of
/// them changed alone, and where it compares with the window what lies about that. What it does not look at
/// is as in `base`.
pub(super) fn of_form(form: &[Insn], base: [u64; 6]) -> Vec<[u64; 6]> {
    let mut passes = base;
    let mut is_set = [0u64; 6];
    let mut others: Vec<(usize, u64)> = Vec::new();
    let mut windows: Vec<(usize, usize)> = Vec::new();
    let mut word = 0;
    let mut loaded = [0; 2];
    for Insn { code, k, .. } in form.iter().copied() {
        if code == op::LD_W_ABS {
            word = k;
            let index = (k.wrapping_sub(argument(0)) / 8) as usize;
            loaded = if loaded[1] == index { loaded } else { [loaded[1], index] };
            continue;
        }
        let Some(offset) = word.checked_sub(argument(0)) else { continue };
        let index = (offset / 8) as usize;
        let half = if offset % 8 == 0 { 0 } else { 32 };
        let value = u64::from(k).wrapping_shl(half);
        match code {
            op::JEQ_K => {
                if let (Some(slot), Some(set)) = (passes.get_mut(index), is_set.get_mut(index)) {
                    let mask = u64::from(u32::MAX).wrapping_shl(half) & !*set;
                    *slot = *slot & !mask | value & mask;
                    *set |= mask;
                }
                others.extend([(index, value), (index, !value)]);
            }
            op::JGE_K | op::JGT_K => {
                let next = u64::from(k.wrapping_add(1)).wrapping_shl(half);
                others.extend([(index, value), (index, next)]);
            }
            op::JSET_K => {
                others.extend([(index, !value), (index, value & value.wrapping_neg())]);
            }
            op::JGT_X => windows.push((loaded[0], loaded[1])),
            _ => {}
        }
    }
    let with = |args: &[u64; 6], index: usize, value: u64| {
        let mut args = *args;
        if let Some(slot) = args.get_mut(index) {
            *slot = value;
        }
        args
    };
    let mut calls: Vec<[u64; 6]> = ALIKE.iter().map(|value| [*value; 6]).chain([passes]).collect();
    calls.extend(others.iter().map(|(index, value)| with(&passes, *index, *value)));
    windows.dedup();
    for (addr, len) in windows {
        for start in STARTS {
            for bytes in LENGTHS {
                let about = with(&with(&base, addr, start), len, bytes);
                calls.extend(FLAGS.map(|flags| with(&about, 3, flags)));
            }
        }
    }
    calls
}

/// Addresses at the window, and lengths that reach it from them, or just do not.
const STARTS: [u64; 6] =
    [GATE, WINDOW_END, WINDOW_END - 1, GATE - PAGE, GATE - (1 << 32) - PAGE, GATE + (1 << 32)];
const LENGTHS: [u64; 4] = [PAGE, PAGE + 1, (1 << 32) + PAGE, (1 << 32) + PAGE + 1];
/// Mappings that replace others, and such that do not; and all bits.
const FLAGS: [u64; 4] = [0x12, 0x1, 0x10_0010, u64::MAX];
/// How many of the first calls have the same in all arguments.
pub(super) const EVEN: usize = 4;
/// What they have.
const ALIKE: [u64; EVEN] = [0, u64::MAX, 0xffff_ffff, 1 << 63];

impl Values {
    /// About `most` calls in which each value of each argument comes up.
    fn calls(mut self, most: usize) -> Vec<[u64; 6]> {
        let values = &mut self;
        let mut product = 1usize;
        for list in &mut values.of {
            list.sort_unstable();
            list.dedup();
            if list.is_empty() {
                // Nobody looks at it.
                list.push(0xdead_beef_0bad_cafe);
            }
            product = product.saturating_mul(list.len());
        }
        let pick = |at: &dyn Fn(usize) -> usize| {
            let mut args = [0; 6];
            for (index, (arg, list)) in args.iter_mut().zip(&values.of).enumerate() {
                let len = list.len().max(1);
                *arg = list.get(at(index).checked_rem(len).unwrap_or(0)).copied().unwrap_or(0);
            }
            args
        };
        let mut calls = Vec::new();
        if product <= most {
            for number in 0..product {
                // The digits of `number`, with a base for each argument.
                let mut left = number;
                let mut digits = [0; 6];
                for (digit, list) in digits.iter_mut().zip(&values.of) {
                    *digit = left.checked_rem(list.len()).unwrap_or(0);
                    left = left.checked_div(list.len()).unwrap_or(0);
                }
                calls.push(pick(&|index| digits.get(index).copied().unwrap_or(0)));
            }
            return calls;
        }
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        // Each value of each list comes up, with others that it meets by chance: as often as there is room for.
        let looked_at = || values.of.iter().enumerate().filter(|(_, list)| list.len() > 1);
        let all = looked_at().fold(0usize, |sum, (_, list)| sum.saturating_add(list.len()));
        let rounds = most.div_ceil(all.max(1));
        for _ in 0..rounds {
            for (turn, list) in looked_at() {
                for value in 0..list.len() {
                    let mut random = [0usize; 6];
                    for slot in &mut random {
                        *slot = (next(&mut state) >> 1) as usize;
                    }
                    calls.push(pick(&|index| match index == turn {
                        true => value,
                        false => random.get(index).copied().unwrap_or(0),
                    }));
                }
            }
        }
        calls
    }

    fn collect(&mut self, expr: &Expr) {
        let mut constants = Vec::new();
        let mut args = [false; 6];
        match expr {
            Expr::Not(inner) => return self.collect(inner),
            Expr::And(parts) | Expr::Or(parts) => {
                return parts.iter().for_each(|part| self.collect(part));
            }
            Expr::Compare { left, right, .. } => {
                parts_of(left, &mut args, &mut constants);
                parts_of(right, &mut args, &mut constants);
            }
            Expr::In { value, ranges, .. } => {
                parts_of(value, &mut args, &mut constants);
                constants.extend(ranges.iter().flat_map(|(first, last)| [*first, *last]));
            }
            Expr::Overlaps { addr, len, region } => {
                for index in [addr, len] {
                    if let Some(arg) = args.get_mut(usize::from(*index)) {
                        *arg = true;
                    }
                }
                let range = region.range();
                let page = range.start.wrapping_sub(4096);
                constants.extend([range.start, range.end, page, 4096, 0]);
                constants.push(range.end.wrapping_sub(range.start));
            }
            _ => return,
        }
        constants.sort_unstable();
        constants.dedup();
        for (list, is_used) in self.of.iter_mut().zip(args) {
            if is_used {
                list.extend([0, 1, u64::MAX, 1 << 31, 1 << 32, 1 << 63]);
                list.extend(constants.iter().flat_map(|constant| around(*constant)));
            }
        }
        // A mask and what is compared with what it leaves.
        if let [one, other] = constants[..] {
            for (list, is_used) in self.of.iter_mut().zip(args) {
                if is_used {
                    list.extend([one | !other, other | !one, one ^ other, one & other]);
                }
            }
        }
    }
}

/// The next number at random (splitmix64, Steele, Lea and Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A constant and its neighbours, also in the other half and with the other sign.
fn around(constant: u64) -> [u64; 9] {
    [
        constant,
        constant.wrapping_sub(1),
        constant.wrapping_add(1),
        !constant,
        constant.wrapping_neg(),
        constant ^ 1 << 31,
        constant ^ 1 << 63,
        constant ^ 1 << 32,
        constant ^ 0xa5a5_a5a5 << 32,
    ]
}

/// The arguments and constants that a value is made of.
fn parts_of(value: &Value, args: &mut [bool; 6], constants: &mut Vec<u64>) {
    match value {
        Value::Constant(constant) => constants.push(*constant),
        Value::Argument(index) => {
            if let Some(arg) = args.get_mut(usize::from(*index)) {
                *arg = true;
            }
        }
        Value::Number => {}
        Value::And(one, other) | Value::Or(one, other) | Value::Xor(one, other) => {
            parts_of(one, args, constants);
            parts_of(other, args, constants);
        }
        Value::Shl(inner, by) => {
            parts_of(inner, args, constants);
            constants.push(1u64.wrapping_shl((*by).into()));
        }
        Value::Not(inner) => parts_of(inner, args, constants),
    }
}
