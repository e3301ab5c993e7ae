//! The arguments with which a condition is tried: every constant in it and its neighbours, with the sign and
//! with the upper half turned.

use crate::policy::{Expr, Value};
use alloc::vec::Vec;
use ia2_core::bpf::{Insn, argument};
use ia2_core::cbpf::op;

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

/// Arguments that make a difference to instructions of a filter that look at them.
pub(super) fn of_forms(forms: impl Iterator<Item = &'static [Insn]>) -> Vec<[u64; 6]> {
    let mut values = Values::default();
    for form in forms {
        let mut word = 0;
        for Insn { code, k, .. } in form.iter().copied() {
            if code == op::LD_W_ABS {
                word = k;
                continue;
            }
            let Some(offset) = word.checked_sub(argument(0)) else { continue };
            let Some(list) = values.of.get_mut((offset / 8) as usize) else { continue };
            let half = if offset % 8 == 0 { 0 } else { 32 };
            let constants: &[u32] = match code {
                op::JEQ_K | op::JGE_K | op::JGT_K => &[k, k.wrapping_add(1)],
                op::JSET_K => &[!k, k & k.wrapping_neg()],
                _ => &[],
            };
            list.extend(constants.iter().map(|one| u64::from(*one).wrapping_shl(half)));
        }
    }
    values.combine();
    values.calls(FORMS)
}

/// Calls that are tried for instructions, about.
const FORMS: usize = 48;

impl Values {
    /// Where both words of an argument are looked at, values with both.
    fn combine(&mut self) {
        for list in &mut self.of {
            let mixed: Vec<u64> =
                list.iter().flat_map(|one| list.iter().map(move |other| one | other)).collect();
            *list = mixed;
        }
    }

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
        for round in 0..most {
            let mut random = [0usize; 6];
            for slot in &mut random {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *slot = (state >> 33) as usize;
            }
            // Each value of each list comes up, with others that it meets by chance.
            let turn = round % 6;
            calls.push(pick(&|index| match index == turn {
                true => round / 6,
                false => random.get(index).copied().unwrap_or(0),
            }));
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
