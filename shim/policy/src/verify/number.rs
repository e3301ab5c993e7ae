//! One number: what is meant of it, and where each program stands before it looks at an argument.

use super::{Trial, before_policy};
use crate::condition::names_gate;
use crate::cost::is_branch;
use crate::eval::{Cause, Outcome, decided_by_numbers};
use crate::policy::{Expr, Rule, Value};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use ia2_core::bpf::{self, Insn, RET_ALLOW, guard};
use ia2_core::cbpf::{Data, Program, State, op, run_filter};
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER, GATE, RAW_AFTER};
use ia2_core::nr;
use ia2_core::own::{self, Form};

/// Where calls come from: the gate's three places, somewhere else, and addresses that are nearly the gate's.
pub(super) const ADDRESSES: [u64; 8] = [
    FAST_AFTER,
    ARGS_AFTER,
    RAW_AFTER,
    0x40_1000,
    GATE,
    FAST_AFTER + 1,
    FAST_AFTER - 1,
    RAW_AFTER ^ 1 << 32,
];
/// How many of them are the gate's.
pub(super) const GATES: usize = 3;

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
    /// With which arguments the shim makes it for itself.
    pub(super) own: Option<&'static [Insn]>,
    pub(super) is_inspected: bool,
    /// Anybody may make the call, if it is allowed.
    pub(super) can_be_free: bool,
    /// It comes to the shim without a filter, and with one.
    pub(super) is_slow: [bool; 2],
    /// `strict`, from each of [`ADDRESSES`].
    strict: [Stand; ADDRESSES.len()],
    /// `inspected`.
    inspected: [Stand; ADDRESSES.len()],
    shim: Stand,
    /// The two filters are the same from where the gate's calls stand.
    is_twin: bool,
}

/// Where a program stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// At its end.
    Returned(u32),
    /// Before this instruction, with nothing in its registers.
    Before(u32),
}

impl Stand {
    /// Before the first instruction.
    const START: Self = Self::Before(0);

    /// Goes on to where the program needs what `is_open` tells, or somebody's answer. If there is something
    /// in the registers then, it stays at the start.
    fn run(
        self,
        program: &(impl Program + ?Sized),
        data: &Data,
        is_open: impl Fn(u32) -> bool,
    ) -> Self {
        let Self::Before(at) = self else { return self };
        let mut state = State::before(at as usize);
        match state.run(program, data, is_open, |_| Err(())) {
            Ok(Some(action)) => Self::Returned(action),
            Ok(None) | Err(()) if state == State::before(state.at()) => {
                Self::Before(state.at() as u32)
            }
            Ok(None) | Err(()) => Self::START,
        }
    }

    /// Goes on to the end.
    #[inline]
    fn end<E>(
        self,
        program: &(impl Program + ?Sized),
        data: &Data,
        ask: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<u32, E> {
        match self {
            Self::Returned(action) => Ok(action),
            // Nothing is open.
            Self::Before(at) => {
                let end = State::before(at as usize).run(program, data, |_| false, ask)?;
                Ok(end.unwrap_or(u32::MAX))
            }
        }
    }

    fn end_of_filter(self, program: &[Insn], data: &Data) -> u32 {
        self.end(program, data, |_| Err(())).unwrap_or(u32::MAX)
    }
}

/// All that trials depend on beside the rule: numbers that are equal in it are tried once.
#[derive(PartialEq, Eq)]
pub(super) struct Kind {
    cause: Cause,
    before_policy: Option<u32>,
    guard: Option<&'static [Insn]>,
    own: Option<&'static [Insn]>,
    is_inspected: bool,
    can_be_free: bool,
    is_slow: [bool; 2],
    /// `strict` and `inspected` from the gate.
    gate: [[Stand; GATES]; 2],
    shim: Stand,
    /// `inspected` from elsewhere.
    outside: Stand,
}

/// One of the three programs, with what is known of it.
pub(super) struct Known<'a, P: ?Sized> {
    program: &'a P,
    /// From which instructions on it may still look at the number.
    reads: Vec<bool>,
    /// Where it stands before it looks at the number or an argument again, by where it stood before it
    /// looked at the address: for each of [`ADDRESSES`].
    known: RefCell<Vec<(Stand, [Stand; ADDRESSES.len()])>>,
}

impl<'a, P: Program + ?Sized> Known<'a, P> {
    pub(super) fn of(program: &'a P) -> Self {
        Self { program, reads: reads_number(program), known: RefCell::default() }
    }

    /// Where it stands before it looks at an argument.
    fn before_arguments(&self, data: &Data) -> Stand {
        Stand::START.run(self.program, data, is_argument)
    }

    /// The same for each of [`ADDRESSES`].
    fn before_arguments_at(&self, nr: u32) -> [Stand; ADDRESSES.len()] {
        let data = |ip| Data::new(nr, ip, &[0; 6]);
        let is_either = |offset| is_argument(offset) || is_address(offset);
        let open = Stand::START.run(self.program, &data(0), is_either);
        if matches!(open, Stand::Returned(_)) {
            return [open; ADDRESSES.len()];
        }
        let known = self.known.borrow().iter().find(|row| row.0 == open).map(|row| row.1);
        let stands = known.unwrap_or_else(|| {
            let is_other = |offset| is_argument(offset) || offset == bpf::NR;
            let stands = ADDRESSES.map(|ip| open.run(self.program, &data(ip), is_other));
            self.known.borrow_mut().push((open, stands));
            stands
        });
        // From where several stand, one goes on for all of them, as far as the address does not count.
        let mut before: Option<(Stand, Stand)> = None;
        let mut ips = ADDRESSES.iter();
        stands.map(|stand| {
            let ip = ips.next().copied().unwrap_or(0);
            if matches!(stand, Stand::Returned(_)) {
                return stand;
            }
            let onward = match before {
                Some((from, onward)) if from == stand => onward,
                _ => stand.run(self.program, &data(ip), is_either),
            };
            before = Some((stand, onward));
            onward.run(self.program, &data(ip), is_argument)
        })
    }

    fn reads_number(&self, stand: Stand) -> bool {
        match stand {
            Stand::Returned(_) => false,
            Stand::Before(at) => self.reads.get(at as usize).copied().unwrap_or(true),
        }
    }
}

fn is_address(offset: u32) -> bool {
    matches!(offset, bpf::IP_LOW | bpf::IP_HIGH)
}

fn is_argument(offset: u32) -> bool {
    offset >= bpf::argument(0)
}

impl<'a> Number<'a> {
    pub(super) fn of(trial: &Trial<'a>, nr: u32) -> Self {
        let Trial { policy, blob, needs, .. } = trial;
        let rule = policy.rule_of(nr).and_then(|index| Some((index, policy.rules.get(index)?)));
        let outcomes = rule.and_then(|(index, _)| {
            let of_rule = |held| Outcome::of_rule(policy, index, held);
            Some([of_rule(false)?, of_rule(true)?])
        });
        let is_inspected = nr::is_inspected(nr) || policy.maps(nr);
        Self {
            nr,
            rule,
            outcomes: outcomes.unwrap_or_else(|| [Outcome::without_rule(policy, nr); 2]),
            known: [const { Cell::new(None) }; 2],
            before_policy: before_policy(nr),
            guard: guard(nr),
            own: own::form(nr, *needs).map(Form::insns),
            is_inspected,
            can_be_free: !is_inspected && !rule.is_some_and(|(_, rule)| names_gate(&rule.when)),
            is_slow: [false, true].map(|filtered| blob.is_slow(nr, filtered)),
            strict: trial.strict.before_arguments_at(nr),
            inspected: trial.inspected.before_arguments_at(nr),
            shim: trial.shim.before_arguments(&Data::new(nr, 0, &[0; 6])),
            is_twin: false,
        }
    }

    /// What it is one of, if the number itself does not count any more.
    pub(super) fn kind(&self, trial: &Trial<'_>) -> Option<Kind> {
        let [strict, inspected] = [self.strict, self.inspected].map(|stands| {
            let [fast, args, raw, ..] = stands;
            [fast, args, raw]
        });
        // One place for all others.
        let mut others = self.inspected.iter().skip(GATES);
        let outside = *others.next()?;
        if others.any(|stand| *stand != outside) {
            return None;
        }
        let is_named = self.rule.is_some_and(|(_, rule)| names_number(&rule.when))
            || strict.iter().any(|stand| trial.strict.reads_number(*stand))
            || self.inspected.iter().any(|stand| trial.inspected.reads_number(*stand))
            || trial.shim.reads_number(self.shim);
        if is_named {
            return None;
        }
        Some(Kind {
            cause: self.outcome(false).cause,
            before_policy: self.before_policy,
            guard: self.guard,
            own: self.own,
            is_inspected: self.is_inspected,
            can_be_free: self.can_be_free,
            is_slow: self.is_slow,
            gate: [strict, inspected],
            shim: self.shim,
            outside,
        })
    }

    /// Finds out whether the two filters are the same to calls from the gate.
    pub(super) fn compare_filters(&mut self, trial: &Trial<'_>, twins: &mut Twins) {
        let mut pairs = self.strict.iter().zip(&self.inspected).take(GATES);
        self.is_twin = pairs.all(|pair| match pair {
            (Stand::Before(one), Stand::Before(other)) => {
                twins.are(&trial.compiled.strict, &trial.compiled.inspected, *one, *other)
            }
            _ => false,
        });
    }

    /// What a filter says to a call from beside the gate whatever its arguments are; `None` if it looks at
    /// one.
    pub(super) fn strict_outside(&self) -> impl Iterator<Item = Option<u32>> {
        self.strict.iter().skip(GATES).map(|stand| match stand {
            Stand::Returned(action) => Some(*action),
            Stand::Before(_) => None,
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

    /// Whether it can be a call that the shim makes for itself.
    pub(super) fn is_own(&self, data: &Data) -> bool {
        self.own.is_some_and(|form| run_filter(form, data) == RET_ALLOW)
    }

    /// What `strict` and `inspected` say to a call from the gate.
    pub(super) fn gate(&self, trial: &Trial<'_>, data: &Data, place: usize) -> [u32; 2] {
        let stand = |stands: &[Stand]| stands.get(place).copied().unwrap_or(Stand::START);
        let strict = stand(&self.strict).end_of_filter(&trial.compiled.strict, data);
        let inspected = match self.is_twin {
            true => strict,
            false => stand(&self.inspected).end_of_filter(&trial.compiled.inspected, data),
        };
        [strict, inspected]
    }

    /// What `inspected` says to a call.
    pub(super) fn inspected(&self, trial: &Trial<'_>, data: &Data, place: usize) -> u32 {
        let stand = self.inspected.get(place).copied().unwrap_or(Stand::START);
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
fn reads_number(program: &(impl Program + ?Sized)) -> Vec<bool> {
    // From the last instruction to the first: every jump goes forward.
    let count = program.count();
    let mut reads = alloc::vec![false; count];
    for at in (0..count).rev() {
        let Some(insn) = program.insn(at) else { continue };
        let is_read = |to: usize| reads.get(to).copied().unwrap_or(false);
        let found = (insn.code == op::LD_W_ABS && insn.k == bpf::NR)
            || next(insn, at).into_iter().flatten().any(is_read);
        if let Some(slot) = reads.get_mut(at) {
            *slot = found;
        }
    }
    reads
}

/// Where an instruction leads.
fn next(Insn { code, jt, jf, k }: Insn, at: usize) -> [Option<usize>; 2] {
    let to = |skipped: usize| Some(at.saturating_add(1).saturating_add(skipped));
    match code {
        op::RET_K | op::RET_A => [None, None],
        op::JA => [to(k as usize), None],
        _ if is_branch(code) => [to(jt.into()), to(jf.into())],
        _ => [to(0), None],
    }
}

/// Which places of two programs are the same from there on.
#[derive(Default)]
pub(super) struct Twins {
    /// Of instructions of the one, that of the other plus 1.
    of: Vec<u32>,
}

impl Twins {
    /// Whether the two do the same from these instructions on: the same operations, in the same order.
    fn are(&mut self, one: &[Insn], other: &[Insn], from: u32, to: u32) -> bool {
        self.of.resize(one.len(), 0);
        let mut open = alloc::vec![(from as usize, to as usize)];
        while let Some((at, twin)) = open.pop() {
            let (at, twin) = (landing(one, at), landing(other, twin));
            let (Some(insn), Some(same)) = (one.get(at), other.get(twin)) else {
                return self.fail();
            };
            let Some(known) = self.of.get_mut(at) else { return self.fail() };
            let mark = (twin as u32).wrapping_add(1);
            if *known == mark {
                continue;
            }
            if (insn.code, insn.k) != (same.code, same.k) {
                return self.fail();
            }
            *known = mark;
            for pair in next(*insn, at).into_iter().zip(next(*same, twin)) {
                match pair {
                    (Some(at), Some(twin)) => open.push((at, twin)),
                    (None, None) => {}
                    _ => return self.fail(),
                }
            }
        }
        true
    }

    /// What was noted on the way was a guess.
    fn fail(&mut self) -> bool {
        self.of.clear();
        false
    }
}

/// Where jumps lead that are without a condition.
fn landing(program: &[Insn], mut at: usize) -> usize {
    while let Some(Insn { code: op::JA, k, .. }) = program.get(at) {
        at = at.saturating_add(1).saturating_add(*k as usize);
    }
    at
}
