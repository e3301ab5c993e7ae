//! `#?` lines.

use super::names::{Names, name_of};
use super::number::{Family, Numbers, Target, fits};
use crate::ast::{Expr, ExprKind, Test, Verb};
use crate::diag::{Diagnostic, Findings, decimal, quote};
use crate::load::Program;
use crate::policy::{Expected, UnitTest};
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls::Kind;
use ia2_core::verdict::ActionKind;

/// The tests of the first text.
pub(super) fn tests(program: &Program, names: &Names, findings: &mut Findings) -> Vec<UnitTest> {
    let mut all = Vec::new();
    for test in &program.tests {
        let calls = names.calls(&test.call, findings);
        match *calls {
            [nr] => all.extend(one(test, nr, names, findings)),
            // An unknown call was reported, unless it may be unknown.
            [] => {}
            _ => {
                let message = String::from("a test is of one call");
                findings.push(Diagnostic::new("E0701", test.call.span, message));
            }
        }
    }
    all
}

fn one(test: &Test, nr: u32, names: &Names, findings: &mut Findings) -> Option<UnitTest> {
    let target = Target::new(nr);
    let most = match target.args().len() {
        0 if target.call.is_none_or(|call| call.args.is_empty()) => 6,
        known => known,
    };
    if let Some(surplus) = test.arguments.get(most) {
        let most = decimal(u64::try_from(most).unwrap_or(0));
        let message = text!(quote(&name_of(nr)), " has at most ", most, " arguments");
        findings.push(Diagnostic::new("E0702", surplus.span, message));
        return None;
    }
    let mut unit = UnitTest {
        span: test.span,
        nr,
        args: [None; 6],
        paths: [const { None }; 6],
        expected: expected(test, findings)?,
    };
    let mut failed = false;
    let slots = unit.args.iter_mut().zip(&mut unit.paths);
    for ((number, (arg, path)), written) in (0usize..).zip(slots).zip(&test.arguments) {
        let known = target.args().get(number).copied();
        match &written.kind {
            ExprKind::Name(name) if name == "_" => {}
            ExprKind::Text(text) if known.is_none_or(|known| known.kind == Kind::Path) => {
                *path = Some(text.clone());
            }
            ExprKind::Text(_) => {
                let name = known.map_or_else(String::new, |known| quote(known.name));
                let message = text!(name, " is not a path");
                findings.push(Diagnostic::new("E0703", written.span, message));
                failed = true;
            }
            _ => match value(written, known.map_or(Family::Any, Family::Of), names, findings) {
                Some(bits) => {
                    if let Some(known) = known.filter(|known| !fits(bits, known.width)) {
                        let message =
                            text!("this does not fit: ", quote(known.name), " has 32 bits");
                        findings.push(Diagnostic::new("E0307", written.span, message));
                        failed = true;
                    }
                    *arg = Some(bits);
                }
                None => failed = true,
            },
        }
    }
    (!failed).then_some(unit)
}

fn value(written: &Expr, family: Family, names: &Names, findings: &mut Findings) -> Option<u64> {
    let mut numbers = Numbers::without_call(names, findings);
    numbers.constant(written, family).ok().map(|number| number.bits)
}

fn expected(test: &Test, findings: &mut Findings) -> Option<Expected> {
    let action = &test.expected;
    if action.log || !action.reason.is_empty() {
        let message = String::from("a test says nothing of logs and reasons");
        findings.push(Diagnostic::new("E0701", action.span, message));
        return None;
    }
    Some(match action.verb {
        Verb::Allow => Expected::Allow,
        Verb::Deny => Expected::Deny,
        Verb::Errno(number) => Expected::Exactly(ActionKind::Errno(number)),
        Verb::KillProcess => Expected::Exactly(ActionKind::KillProcess),
        Verb::KillThread => Expected::Exactly(ActionKind::KillThread),
        Verb::Trap(number) => Expected::Exactly(ActionKind::Trap(number)),
        Verb::Trace(number) => Expected::Exactly(ActionKind::Trace(number)),
        Verb::Emulate => Expected::Exactly(ActionKind::Emulate),
    })
}
