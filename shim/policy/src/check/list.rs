//! `in`: lists of numbers and ranges of them.

use super::number::{Checked, Failed, Number, Numbers, Operand, Term, cut};
use crate::ast::{self, Element, ExprKind};
use crate::diag::Diagnostic;
use crate::policy::Expr;
use crate::span::Span;
use crate::text;
use alloc::vec::Vec;
use core::cmp::Reverse;
use ia2_core::calls::Width;

/// An element as it was written, and the ranges that it means.
type Meant<'a> = (Vec<(Number, Number)>, &'a Element);

impl Numbers<'_> {
    pub(super) fn is_in(
        &mut self,
        left: &ast::Expr,
        list: &[Element],
        span: Span,
    ) -> Checked<Expr> {
        if let [Element { low, high: None }] = list
            && let ExprKind::Name(name) = &low.kind
            && self.names.constant(name).is_none()
        {
            match name.as_str() {
                "files" => return self.in_files(left, low.span),
                "frozen" => {
                    let message = "`frozen` is not in this version".into();
                    return Err(self.fail(Diagnostic::new("E0501", low.span, message)));
                }
                _ => {}
            }
        }
        if list.iter().any(|one| matches!(one.low.kind, ExprKind::Text(_))) {
            return self.in_patterns(left, list);
        }
        let family = self.family(&[left]);
        let Term::Operand(operand) = self.number(left, family)? else {
            let message = "the left side must be an argument".into();
            return Err(self.fail(Diagnostic::new("E0302", left.span, message)));
        };
        let mut ranges = Vec::new();
        let mut failed = false;
        for one in list {
            match self.element(one, family) {
                Ok(found) => ranges.push((found, one)),
                Err(Failed) => failed = true,
            }
        }
        if failed {
            return Err(Failed);
        }
        if operand.is_pointer() {
            return Err(self.pointer(&operand, left.span));
        }
        self.ranges(operand, &ranges, span)
    }

    fn ranges(&mut self, operand: Operand, list: &[Meant<'_>], span: Span) -> Checked<Expr> {
        let (width, signed) = (operand.width, operand.signed);
        let order = |bits: u64| ordered(bits, width, signed);
        let mut keys: Vec<(i128, i128)> = Vec::new();
        for (found, element) in list {
            let place = element.low.span.to(element.high.as_ref().unwrap_or(&element.low).span);
            for (low, high) in found {
                if (low.null || high.null) && !operand.can_be_null() {
                    let message = text!(operand.name(), " is not a pointer");
                    return Err(self.fail(Diagnostic::new("E0306", place, message)));
                }
                if low.bits == high.bits {
                    self.fits(low.bits, &operand, place)?;
                } else {
                    self.fits_ordered(low.bits, &operand, place)?;
                    self.fits_ordered(high.bits, &operand, place)?;
                }
                let (low, high) = (order(low.bits), order(high.bits));
                if low > high {
                    let message = "an empty range: the first is larger than the last".into();
                    return Err(self.fail(Diagnostic::new("E0311", place, message)));
                }
                keys.push((low, high));
            }
        }
        self.covered(&keys, list);
        let merged = merged(keys);
        let value = operand.value;
        let (least, most) = limits(width, signed);
        if merged.first() == Some(&(least, most)) {
            return Ok(self.fixed(true, span, "every number is in it"));
        }
        let bits = |key: i128| cut(u64::try_from(key & i128::from(u64::MAX)).unwrap_or(0), width);
        let ranges = merged.into_iter().map(|(low, high)| (bits(low), bits(high))).collect();
        Ok(Expr::In { value, ranges, width, signed })
    }

    /// Says which elements add nothing.
    fn covered(&mut self, keys: &[(i128, i128)], list: &[Meant<'_>]) {
        if keys.len() != list.len() {
            // A constant that is a list may overlap another one.
            return;
        }
        let mut sorted: Vec<_> = keys.iter().zip(list).collect();
        // A range comes before what lies in it; of equals, the first one written.
        sorted.sort_by_key(|((low, high), (_, one))| (*low, Reverse(*high), one.low.span));
        let mut last: Option<i128> = None;
        for ((_, high), (_, one)) in sorted {
            if last.is_some_and(|last| *high <= last) {
                let message = "this is in the list already".into();
                self.findings.push(Diagnostic::new("W0312", one.low.span, message));
            }
            last = last.max(Some(*high));
        }
    }
}

/// A number of this type, in the order of this type.
pub(super) fn ordered(bits: u64, width: Width, signed: bool) -> i128 {
    let bits = cut(bits, width);
    match (width, signed) {
        (_, false) => i128::from(bits),
        (Width::W64, true) => i128::from(bits.cast_signed()),
        (Width::W32, true) => {
            let low = u32::try_from(bits).unwrap_or(0);
            i128::from(low.cast_signed())
        }
    }
}

pub(super) fn limits(width: Width, signed: bool) -> (i128, i128) {
    match (width, signed) {
        (Width::W32, false) => (0, i128::from(u32::MAX)),
        (Width::W64, false) => (0, i128::from(u64::MAX)),
        (Width::W32, true) => (i128::from(i32::MIN), i128::from(i32::MAX)),
        (Width::W64, true) => (i128::from(i64::MIN), i128::from(i64::MAX)),
    }
}

/// Sorted, and without those that touch.
fn merged(mut keys: Vec<(i128, i128)>) -> Vec<(i128, i128)> {
    keys.sort_unstable();
    let mut all: Vec<(i128, i128)> = Vec::new();
    for (low, high) in keys {
        match all.last_mut() {
            Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
            _ => all.push((low, high)),
        }
    }
    all
}
