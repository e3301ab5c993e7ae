//! One number: what is meant of it, and where each program stands before it looks at an argument.

use super::{BESIDE, OUTSIDE, Trial, before_policy};
use crate::condition::names_gate;
use crate::cost::is_branch;
use crate::eval::{Outcome, decided_by_numbers};
use crate::policy::{Expr, Rule, Value};
use alloc::vec::Vec;
use core::cell::Cell;
use ia2_core::bpf::{self, Insn, RET_ALLOW, guard};
use ia2_core::cbpf::{Data, Program, State, op, run_filter};
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER, RAW_AFTER};
use ia2_core::{nr, own};

/// Where the gate makes calls.
const PLACES: [u64; 3] = [FAST_AFTER, ARGS_AFTER, RAW_AFTER];

/// See above.
pub(super) struct Number<'a> {
    pub(super) nr: u32,
    /// Its rule and the rule's index.
    pub(super) rule: Option<(usize, &'a Rule)>,
    /// What happens if the condition fails, and if it holds; the same twice if there is none.
    outcomes: [Outcome<'a>; 2],
    /// Of each of them, the index of the verdict that was found to be it.
    known: [Cell<Option<u32>>; 2],
    /// What every filter says before anything else.
    pub(super) before_policy: Option<u32>,
    /// What it must pass even from the gate.
    pub(super) guard: Option<&'static [Insn]>,
    pub(super) is_own: bool,
    pub(super) is_inspected: bool,
    /// Anybody may make the call, if it is allowed.
    pub(super) can_be_free: bool,
    /// It comes to the shim without a filter, and with one.
    pub(super) is_slow: [bool; 2],
    /// `strict` and `inspected`, from each of [`PLACES`].
    gate: [[Stand; 2]; 3],
    /// `inspected`, before it looks at the address.
    open: Stand,
    /// `inspected`, from elsewhere.
    outside: Stand,
    shim: Stand,
}

/// Where a program stands.
#[derive(Clone, Copy)]
enum Stand {
    /// At its end.
    Returned(u32),
    /// In the middle.
    Before(State),
}

impl Stand {
    /// At the first instruction.
    const START: Self = Self::Before(State::START);

    /// Goes on to where the program needs what `is_open` tells, or somebody's answer.
    fn run(
        self,
        program: &(impl Program + ?Sized),
        data: &Data,
        is_open: impl Fn(u32) -> bool,
    ) -> Self {
        let Self::Before(mut state) = self else { return self };
        match state.run(program, data, is_open, |_| Err(())) {
            Ok(Some(action)) => Self::Returned(action),
            Ok(None) | Err(()) => Self::Before(state),
        }
    }

    /// Goes on to the end.
    fn end<E>(
        self,
        program: &(impl Program + ?Sized),
        data: &Data,
        ask: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<u32, E> {
        match self {
            Self::Returned(action) => Ok(action),
            // Nothing is open.
            Self::Before(mut state) => {
                Ok(state.run(program, data, |_| false, ask)?.unwrap_or(u32::MAX))
            }
        }
    }

    fn end_of_filter(self, program: &[Insn], data: &Data) -> u32 {
        self.end(program, data, |_| Err(())).unwrap_or(u32::MAX)
    }

    /// The place alone, if there is nothing in the registers.
    fn place(self) -> Option<Place> {
        match self {
            Self::Returned(action) => Some(Place::Returned(action)),
            Self::Before(state) => {
                (state == State::before(state.at())).then_some(Place::Before(state.at() as u32))
            }
        }
    }
}

/// A [`Stand`] in which nothing but the place counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Returned(u32),
    Before(u32),
}

/// All that trials depend on beside the rule: numbers that are equal in it are tried once.
#[derive(PartialEq, Eq)]
pub(super) struct Kind {
    cause: crate::eval::Cause,
    before_policy: Option<u32>,
    guard: Option<&'static [Insn]>,
    is_own: bool,
    is_inspected: bool,
    can_be_free: bool,
    is_slow: [bool; 2],
    gate: [[Place; 2]; 3],
    outside: Place,
    shim: Place,
}

/// What a filter returns to a call whatever its arguments are; `None` if it looks at one.
pub(super) fn without_arguments(program: &[Insn], data: &Data) -> Option<u32> {
    match Stand::START.run(program, data, is_argument) {
        Stand::Returned(action) => Some(action),
        Stand::Before(_) => None,
    }
}

fn is_argument(offset: u32) -> bool {
    offset >= bpf::argument(0)
}

fn is_address_or_argument(offset: u32) -> bool {
    is_argument(offset) || matches!(offset, bpf::IP_LOW | bpf::IP_HIGH)
}

impl<'a> Number<'a> {
    pub(super) fn of(trial: &Trial<'a>, nr: u32) -> Self {
        let Trial { policy, compiled, blob, exec, .. } = trial;
        let rule = policy.rule_of(nr).and_then(|index| Some((index, policy.rules.get(index)?)));
        let outcome = |held| {
            let of_rule = rule.and_then(|(index, _)| Outcome::of_rule(policy, index, held));
            of_rule.unwrap_or_else(|| Outcome::without_rule(policy, nr))
        };
        let data = |ip| Data::new(nr, ip, &[0; 6]);
        let (strict, inspected) = (&compiled.strict[..], &compiled.inspected[..]);
        let open = Stand::START.run(inspected, &data(OUTSIDE), is_address_or_argument);
        let is_inspected = nr::is_inspected(nr);
        Self {
            nr,
            rule,
            outcomes: [outcome(false), outcome(true)],
            known: [const { Cell::new(None) }; 2],
            before_policy: before_policy(nr),
            guard: guard(nr),
            is_own: own::is_own(nr, *exec),
            is_inspected,
            can_be_free: !is_inspected && !rule.is_some_and(|(_, rule)| names_gate(&rule.when)),
            is_slow: [false, true].map(|filtered| blob.is_slow(nr, filtered)),
            gate: PLACES.map(|ip| {
                let data = data(ip);
                [
                    Stand::START.run(strict, &data, is_argument),
                    open.run(inspected, &data, is_argument),
                ]
            }),
            open,
            outside: open.run(inspected, &data(OUTSIDE), is_argument),
            shim: Stand::START.run(blob.program(), &data(0), is_argument),
        }
    }

    /// What it is one of, if the number itself does not count any more.
    pub(super) fn kind(&self, trial: &Trial<'_>) -> Option<Kind> {
        let [strict, inspected, shim] = &trial.reads;
        let is_named = self.rule.is_some_and(|(_, rule)| names_number(&rule.when))
            || self.gate.iter().any(|[one, other]| strict.number(*one) || inspected.number(*other))
            || inspected.number(self.outside)
            || shim.number(self.shim);
        if is_named {
            return None;
        }
        // From wherever else it is called.
        let outside = self.outside.place()?;
        let is_elsewhere = |ip: &u64| {
            let data = Data::new(self.nr, *ip, &[0; 6]);
            let stand = self.open.run(&trial.compiled.inspected[..], &data, is_argument);
            stand.place() == Some(outside)
        };
        if !BESIDE.iter().all(is_elsewhere) {
            return None;
        }
        let [fast, args, raw] = self.gate.map(|[one, other]| Some([one.place()?, other.place()?]));
        Some(Kind {
            cause: self.outcome(false).cause,
            before_policy: self.before_policy,
            guard: self.guard,
            is_own: self.is_own,
            is_inspected: self.is_inspected,
            can_be_free: self.can_be_free,
            is_slow: self.is_slow,
            gate: [fast?, args?, raw?],
            outside,
            shim: self.shim.place()?,
        })
    }

    /// What happens if the condition holds, or fails.
    pub(super) fn outcome(&self, held: bool) -> &Outcome<'a> {
        let [failed, holds] = &self.outcomes;
        if held { holds } else { failed }
    }

    /// Whether verdict `index` is that outcome, by `is_it` if that is not known.
    pub(super) fn is_known(&self, held: bool, index: u32, is_it: impl Fn() -> bool) -> bool {
        let [failed, holds] = &self.known;
        let known = if held { holds } else { failed };
        if known.get() == Some(index) {
            return true;
        }
        let is_it = is_it();
        if is_it {
            known.set(Some(index));
        }
        is_it
    }

    /// Whether the condition holds; `None` if somebody has to be asked.
    pub(super) fn by_numbers(&self, args: &[u64; 6]) -> Option<bool> {
        match self.rule {
            Some((_, rule)) => decided_by_numbers(&rule.when, self.nr, args),
            None => Some(false),
        }
    }

    /// What is refused even to the gate.
    pub(super) fn guarded(&self, data: &Data) -> Option<u32> {
        Some(run_filter(self.guard?, data)).filter(|action| *action != RET_ALLOW)
    }

    /// What `strict` and `inspected` say to a call from the gate.
    pub(super) fn gate(&self, trial: &Trial<'_>, data: &Data, ip: u64) -> [u32; 2] {
        let at = PLACES.iter().position(|place| *place == ip);
        let stands = at.and_then(|at| self.gate.get(at)).copied();
        let [strict, inspected] = stands.unwrap_or([Stand::START; 2]);
        [
            strict.end_of_filter(&trial.compiled.strict, data),
            inspected.end_of_filter(&trial.compiled.inspected, data),
        ]
    }

    /// What `inspected` says to a call from elsewhere.
    pub(super) fn outside(&self, trial: &Trial<'_>, data: &Data, ip: u64) -> u32 {
        let stand = if ip == OUTSIDE { self.outside } else { self.open };
        stand.end_of_filter(&trial.compiled.inspected, data)
    }

    /// The index of the verdict that the shim's program comes to.
    pub(super) fn judge<E>(
        &self,
        trial: &Trial<'_>,
        args: &[u64; 6],
        ask: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<u32, E> {
        self.shim.end(trial.blob.program(), &Data::new(self.nr, 0, args), ask)
    }
}

/// Whether the condition looks at the number of the call.
fn names_number(expr: &Expr) -> bool {
    fn is_in(value: &Value) -> bool {
        match value {
            Value::Number => true,
            Value::Constant(_) | Value::Argument(_) => false,
            Value::And(one, other) | Value::Or(one, other) | Value::Xor(one, other) => {
                is_in(one) || is_in(other)
            }
            Value::Shl(inner, _) | Value::Not(inner) => is_in(inner),
        }
    }
    match expr {
        Expr::Not(inner) => names_number(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().any(names_number),
        Expr::Compare { left, right, .. } => is_in(left) || is_in(right),
        Expr::In { value, .. } => is_in(value),
        Expr::True | Expr::False | Expr::Overlaps { .. } | Expr::Path { .. } | Expr::From(_) => {
            false
        }
    }
}

/// From which instructions on a program may still look at the number.
pub(super) struct Reads(Vec<bool>);

impl Reads {
    pub(super) fn of(program: &(impl Program + ?Sized)) -> Self {
        // From the last instruction to the first: every jump goes forward.
        let count = program.count();
        let mut reads = alloc::vec![false; count];
        for at in (0..count).rev() {
            let Some(Insn { code, jt, jf, k }) = program.insn(at) else { continue };
            let from = |skipped: usize| {
                let to = at.saturating_add(1).saturating_add(skipped);
                reads.get(to).copied().unwrap_or(false)
            };
            let found = match code {
                op::LD_W_ABS if k == bpf::NR => true,
                op::RET_K | op::RET_A => false,
                op::JA => from(k as usize),
                _ if is_branch(code) => from(jt.into()) || from(jf.into()),
                _ => from(0),
            };
            if let Some(slot) = reads.get_mut(at) {
                *slot = found;
            }
        }
        Self(reads)
    }

    fn number(&self, stand: Stand) -> bool {
        match stand {
            Stand::Returned(_) => false,
            Stand::Before(state) => self.0.get(state.at()).copied().unwrap_or(true),
        }
    }
}
