//! What a policy says to one call: its meaning, written as plainly as possible.
//!
//! Nothing here knows of programs, jumps or halves of registers: [`crate::verify`] compares what was
//! compiled with this, so it must not be made from it.
//!
//! What numbers decide is decided by numbers. Only what they leave open is asked, from left to right, and
//! no further than it takes: `fd == 3 && path in files` reads no path if `fd` is 4, wherever in the
//! condition that stands. It is also what a kernel can do that has nobody to ask.

use crate::policy::{Action, Caller, Expr, Op, Paths, Policy, Value};
use ia2_core::calls::{self, Width};
use ia2_core::verdict::ActionKind;

/// What only the shim can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atom<'a> {
    /// Whether the path behind the argument is one of these.
    Path {
        /// Index of the argument.
        arg: u8,
        /// Which paths.
        paths: &'a Paths,
    },
    /// Whether the call comes from there.
    From(&'a Caller),
}

/// What happens to a call, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// What.
    pub action: ActionKind,
    /// And it is logged.
    pub log: bool,
    /// The reason in the policy; may be empty.
    pub reason: &'a str,
    /// Why.
    pub cause: Cause,
}

/// What made an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rule.
    Rule {
        /// Its index.
        index: usize,
        /// Whether its condition held.
        held: bool,
    },
    /// No rule names the call.
    Default,
    /// The call is newer than the policy, or no table knows it.
    Unknown,
    /// An argument could not be read, which is what the call gives.
    Argument,
}

impl<'a> Outcome<'a> {
    fn of(action: &'a Action, cause: Cause) -> Self {
        Self { action: action.kind, log: action.log, reason: &action.reason, cause }
    }

    /// The outcome of a rule whose condition held, or did not.
    #[must_use]
    pub fn of_rule(policy: &'a Policy, index: usize, held: bool) -> Option<Self> {
        let rule = policy.rules.get(index)?;
        let action = if held { &rule.then } else { &rule.otherwise };
        Some(Self::of(action, Cause::Rule { index, held }))
    }

    /// The outcome of a call that no rule names.
    #[must_use]
    pub fn without_rule(policy: &'a Policy, nr: u32) -> Self {
        let is_known = calls::by_nr(nr)
            .is_some_and(|call| policy.baseline.is_none_or(|baseline| call.since <= baseline));
        match is_known {
            true => Self::of(&policy.default, Cause::Default),
            false => Self::of(&policy.unknown, Cause::Unknown),
        }
    }

    /// Whether the kernel may make the call, and nothing is said about it.
    #[must_use]
    pub fn is_plain_allow(&self) -> bool {
        self.action == ActionKind::Allow && !self.log
    }

    /// Whether the program gets the call, from the kernel or the shim, and nothing is said about it.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.action.lets_through() && !self.log
    }
}

/// What `policy` says to a call. `answer` knows what registers do not tell; the errno it may give instead
/// is what the call gives then.
pub fn eval<'a>(
    policy: &'a Policy,
    nr: u32,
    args: &[u64; 6],
    answer: &mut dyn FnMut(Atom<'a>) -> Result<bool, u16>,
) -> Outcome<'a> {
    let without = || Outcome::without_rule(policy, nr);
    let Some(index) = policy.rule_of(nr) else { return without() };
    let Some(rule) = policy.rules.get(index) else { return without() };
    match holds(&rule.when, &Registers { nr, args }, answer) {
        Ok(held) => Outcome::of_rule(policy, index, held).unwrap_or_else(without),
        Err(errno) => Outcome {
            action: ActionKind::Errno(errno),
            log: false,
            reason: "",
            cause: Cause::Argument,
        },
    }
}

/// What numbers decide: the outcome, or `None` if somebody has to be asked.
#[must_use]
pub fn by_numbers<'a>(policy: &'a Policy, nr: u32, args: &[u64; 6]) -> Option<Outcome<'a>> {
    let Some(index) = policy.rule_of(nr) else { return Some(Outcome::without_rule(policy, nr)) };
    let rule = policy.rules.get(index)?;
    let held = decided(&rule.when, &Registers { nr, args })?;
    Outcome::of_rule(policy, index, held)
}

/// Whether a condition holds, where numbers decide it.
pub(crate) fn decided_by_numbers(when: &Expr, nr: u32, args: &[u64; 6]) -> Option<bool> {
    decided(when, &Registers { nr, args })
}

/// Whether a condition holds; see [`eval`].
pub(crate) fn decided_by_answers<'a>(
    when: &'a Expr,
    nr: u32,
    args: &[u64; 6],
    answer: &mut dyn FnMut(Atom<'a>) -> Result<bool, u16>,
) -> Result<bool, u16> {
    holds(when, &Registers { nr, args }, answer)
}

/// One call.
struct Registers<'a> {
    nr: u32,
    args: &'a [u64; 6],
}

impl Registers<'_> {
    fn argument(&self, index: u8) -> u64 {
        self.args.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// All 64 bits of a value; how many of them count, the width says.
    fn value(&self, value: &Value) -> u64 {
        match value {
            Value::Constant(constant) => *constant,
            Value::Argument(index) => self.argument(*index),
            Value::Number => self.nr.into(),
            Value::And(left, right) => self.value(left) & self.value(right),
            Value::Or(left, right) => self.value(left) | self.value(right),
            Value::Xor(left, right) => self.value(left) ^ self.value(right),
            Value::Shl(value, by) => self.value(value).checked_shl((*by).into()).unwrap_or(0),
            Value::Not(value) => !self.value(value),
        }
    }
}

/// Whether the condition holds.
fn holds<'a>(
    expr: &'a Expr,
    call: &Registers<'_>,
    answer: &mut dyn FnMut(Atom<'a>) -> Result<bool, u16>,
) -> Result<bool, u16> {
    if let Some(decided) = decided(expr, call) {
        return Ok(decided);
    }
    match expr {
        Expr::Not(inner) => Ok(!holds(inner, call, answer)?),
        Expr::And(parts) => {
            for part in parts {
                if !holds(part, call, answer)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Expr::Or(parts) => {
            for part in parts {
                if holds(part, call, answer)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Expr::Path { arg, paths } => answer(Atom::Path { arg: *arg, paths }),
        Expr::From(caller) => answer(Atom::From(caller)),
        // The rest is decided by numbers.
        _ => Ok(false),
    }
}

/// Whether the condition holds whatever the answers are, or fails whatever they are.
fn decided(expr: &Expr, call: &Registers<'_>) -> Option<bool> {
    match expr {
        Expr::True | Expr::From(Caller::Trampoline) => Some(true),
        Expr::False => Some(false),
        Expr::Not(inner) => decided(inner, call).map(|holds| !holds),
        Expr::And(parts) => all(parts.iter().map(|part| decided(part, call))),
        Expr::Or(parts) => {
            all(parts.iter().map(|part| decided(part, call).map(|holds| !holds))).map(|none| !none)
        }
        Expr::Compare { op, left, right, width, signed } => {
            let (left, right) = (call.value(left), call.value(right));
            let order = number(left, *width, *signed).cmp(&number(right, *width, *signed));
            Some(match op {
                Op::Eq => order.is_eq(),
                Op::Ne => order.is_ne(),
                Op::Lt => order.is_lt(),
                Op::Le => order.is_le(),
                Op::Gt => order.is_gt(),
                Op::Ge => order.is_ge(),
            })
        }
        Expr::In { value, ranges, width, signed } => {
            let value = number(call.value(value), *width, *signed);
            Some(ranges.iter().any(|(first, last)| {
                let bound = |end| number(end, *width, *signed);
                bound(*first) <= value && value <= bound(*last)
            }))
        }
        Expr::Overlaps { addr, len, region } => {
            let (start, len) = (call.argument(*addr), call.argument(*len));
            let region = region.range();
            Some(match start.checked_add(len) {
                None => true,
                Some(_) if region.contains(&start) => true,
                Some(end) => start < region.end && region.start < end,
            })
        }
        Expr::Path { .. } | Expr::From(_) => None,
    }
}

/// All of them hold, or one does not, or that is open.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

/// The bits that count, as a number.
fn number(bits: u64, width: Width, signed: bool) -> i128 {
    match (width, signed) {
        (Width::W32, false) => i128::from(bits as u32),
        (Width::W32, true) => i128::from((bits as u32).cast_signed()),
        (Width::W64, false) => i128::from(bits),
        (Width::W64, true) => i128::from(bits.cast_signed()),
    }
}
