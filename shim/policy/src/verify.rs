//! What was compiled against what is meant, after every compile.
//!
//! For every number that anybody could call, and for each rule the values at which its condition could
//! change: every constant and its neighbours, with the sign and with the upper half turned. Each call is
//! put to [`crate::eval`], to the program of the shim, and to both shapes of the filter, from the gate and
//! from outside. What they say must be the same; if it is not, there is no policy.
//!
//! What a program does before it looks at an argument, it does for all of them: it is run to there once for
//! each number, and the trials go on from there ([`number`]). Two numbers of which the same is meant, and
//! for which every program comes to the same place with nothing in its registers, are one, unless something
//! looks at the number later: then the first one's trials are the other's too ([`Kind`]).
//!
//! It is a test and no proof: of long lists and of many arguments it takes a part ([`ALL`]).

mod answers;
mod number;
mod samples;

use crate::compile::{Compiled, decimal, needs};
use crate::eval::{Atom, Cause, Outcome, decided_by_answers};
use crate::policy::{Expr, Policy};
use crate::span::Span;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;
use answers::{Answerer, Answers};
use ia2_core::blob::{self, Blob, Call, Shape, Verdict};
use ia2_core::bpf::{
    ARCH, AUDIT_ARCH_X86_64, Insn, RET_ALLOW, RET_ENOSYS, RET_ERRNO, RET_KILL_PROCESS,
    RET_KILL_THREAD, RET_TRACE, RET_TRAP, SKIPPED, X32_BIT,
};
use ia2_core::cbpf::{Data, State, check};
use ia2_core::layout::FAST_AFTER;
use ia2_core::own::Needs;
use ia2_core::verdict::ActionKind;
use number::{ADDRESSES, GATES, Kind, Known, Number, Twins};

/// Calls that are tried for all rules together, about; and for one rule at least and at most.
const ALL: usize = 4_000;
const LEAST: usize = 64;
const MOST: usize = 2048;
/// Calls that are tried with each further number of a rule.
const FURTHER: usize = 24;
/// Questions of one rule whose answers are tried in every combination.
const QUESTIONS: usize = 4;

/// Where a program does not say what is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: String,
    /// The rule.
    pub span: Span,
}

impl Difference {
    fn new(what: &str) -> Self {
        Self { what: text!(what), span: Span::default() }
    }
}

/// Compares.
///
/// # Errors
/// The first difference.
pub fn verify(policy: &Policy, compiled: &Compiled) -> Result<(), Difference> {
    let trial = Trial::of(policy, compiled)?;
    trial.forms()?;
    trial.architectures()?;
    let mut twins = Twins::default();
    // Of each rule, and last of none, the numbers that were tried.
    let mut seen: Vec<Seen> = Vec::new();
    seen.resize_with(policy.rules.len().saturating_add(1), Seen::default);
    let rules = policy.rules.iter().filter(|rule| !matches!(rule.when, Expr::True | Expr::False));
    let most = ALL.checked_div(rules.count()).unwrap_or(ALL).clamp(LEAST, MOST);
    for nr in numbers(policy) {
        let mut number = Number::of(&trial, nr);
        trial.addresses(&number)?;
        let Some(seen) = seen.get_mut(number.rule.map_or(policy.rules.len(), |(index, _)| index))
        else {
            continue;
        };
        let kind = number.kind(&trial);
        if kind.as_ref().is_some_and(|kind| seen.kinds.contains(kind)) {
            continue;
        }
        number.compare_filters(&trial, &mut twins);
        let calls = match number.rule {
            None => alloc::vec![[0; 6], [u64::MAX; 6]],
            Some((_, rule)) => samples::samples(&rule.when, most),
        };
        for form in number.guard.into_iter().chain(number.own) {
            // The guard is asked about what is allowed.
            let is_allowed = |args: &&[u64; 6]| {
                let held = number.by_numbers(args);
                held.is_none_or(|held| number.outcome(held).action == ActionKind::Allow)
            };
            let base = calls.iter().find(is_allowed).copied().unwrap_or_default();
            for (index, args) in samples::of_form(form, base).iter().enumerate() {
                let held = number.by_numbers(args);
                // That the place counts is seen by the first of them.
                match index {
                    0..samples::EVEN => trial.kernel(&number, args, held)?,
                    _ => trial.gate(&number, args, 1, held)?,
                }
                if number.can_be_free {
                    trial.outside(&number, args, GATES, held)?;
                }
            }
        }
        match number.rule {
            None => {
                for args in &calls {
                    trial.places(&number, args)?;
                    trial.call(&number, args)?;
                }
            }
            Some(_) => {
                let step = if seen.any { (calls.len() / FURTHER).max(1) } else { 1 };
                if let Some(args) = calls.first() {
                    trial.places(&number, args)?;
                }
                for args in calls.iter().step_by(step) {
                    trial.call(&number, args)?;
                }
            }
        }
        seen.any = true;
        seen.kinds.extend(kind);
    }
    Ok(())
}

/// The numbers of one rule that were tried.
#[derive(Default)]
struct Seen {
    any: bool,
    kinds: Vec<Kind>,
}

/// Compares for one call.
///
/// # Errors
/// The difference.
pub fn verify_call(
    policy: &Policy,
    compiled: &Compiled,
    nr: u32,
    args: &[u64; 6],
) -> Result<(), Difference> {
    let trial = Trial::of(policy, compiled)?;
    trial.architectures()?;
    let number = Number::of(&trial, nr);
    trial.addresses(&number)?;
    trial.places(&number, args)?;
    trial.call(&number, args)
}

/// The numbers that are tried: more than there are, those of rules, and some that are none.
fn numbers(policy: &Policy) -> Vec<u32> {
    const MORE: [u32; 9] = [
        1 << 16,
        X32_BIT - 1,
        X32_BIT,
        X32_BIT | 59,
        X32_BIT | 520,
        1 << 31,
        u32::MAX - 4095,
        SKIPPED - 1,
        SKIPPED,
    ];
    let ruled = policy.calls.iter().map(|row| row.0);
    let ruled = ruled.flat_map(|nr| [nr.saturating_sub(1), nr, nr.saturating_add(1)]);
    let mut numbers: Vec<u32> = (0..600).chain(ruled).chain(MORE).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

struct Trial<'a> {
    policy: &'a Policy,
    compiled: &'a Compiled,
    blob: Blob<'a>,
    needs: Needs,
    strict: Known<'a, [Insn]>,
    inspected: Known<'a, [Insn]>,
    shim: Known<'a, [[u8; 8]]>,
}

impl<'a> Trial<'a> {
    fn of(policy: &'a Policy, compiled: &'a Compiled) -> Result<Self, Difference> {
        let blob = Blob::parse(&compiled.blob)
            .map_err(|_| Difference::new("the compiled form is damaged"))?;
        Ok(Self {
            policy,
            compiled,
            blob,
            needs: needs(policy),
            strict: Known::of(&compiled.strict),
            inspected: Known::of(&compiled.inspected),
            shim: Known::of(blob.program()),
        })
    }

    /// Whether the programs are such, and the same in the compiled form.
    fn forms(&self) -> Result<(), Difference> {
        let Self { compiled, blob, .. } = self;
        for (insns, questions) in
            [(&compiled.strict, 0), (&compiled.inspected, 0), (&compiled.shim, blob.questions())]
        {
            check(&insns[..], questions)
                .map_err(|_| Difference::new("a program that no machine takes"))?;
        }
        let kernel = |shape| blob.kernel(shape).as_chunks::<8>().0;
        for (bytes, insns) in [
            (kernel(Shape::Strict), &compiled.strict),
            (kernel(Shape::Inspected), &compiled.inspected),
            (blob.program(), &compiled.shim),
        ] {
            let same = bytes.len() == insns.len()
                && (0..)
                    .zip(insns)
                    .all(|(at, insn)| ia2_core::cbpf::Program::insn(bytes, at) == Some(*insn));
            if !same {
                return Err(Difference::new("a program is not the one in the compiled form"));
            }
        }
        Ok(())
    }

    /// Puts one call to all of them.
    fn call(&self, number: &Number<'a>, args: &[u64; 6]) -> Result<(), Difference> {
        let held = number.by_numbers(args);
        self.kernel(number, args, held)?;
        if number.nr >= X32_BIT {
            return Ok(());
        }
        self.ways(number, args, held)?;
        let Some(held) = held else { return self.answers(number, args) };
        // What numbers decide is nobody asked.
        match number.judge(self, args, |_| Err(())) {
            Ok(index) if self.is_said(number, held, index) => Ok(()),
            Ok(_) => Err(self.judged_otherwise(number, args)),
            Err(()) => Err(self.difference(number, args, "the shim asks what numbers tell")),
        }
    }

    /// Puts one call to the shim, with all answers to what it asks.
    fn answers(&self, number: &Number<'a>, args: &[u64; 6]) -> Result<(), Difference> {
        let Some((_, rule)) = number.rule else { return Ok(()) };
        let mut atoms = Vec::new();
        answers::collect(&rule.when, &mut atoms);
        // A bit for each question.
        let count = match atoms.len() {
            few @ ..=QUESTIONS => 1u64 << few,
            _ => 1 << QUESTIONS,
        };
        let all = (0..count).map(|answer| {
            // Of many questions all but the first few get the same answers again.
            let bits = answer.wrapping_mul(0x1111_1111_1111_1111);
            Answers::new(&atoms, if atoms.len() > QUESTIONS { bits } else { answer })
        });
        // And once, nothing can be read.
        for answers in all.chain([Answers::unreadable(&atoms)]) {
            let meant =
                decided_by_answers(&rule.when, number.nr, args, &mut |atom| answers.of(atom));
            let mut asker = Answerer::new(&answers);
            let judged =
                number.judge(self, args, |question| self.blob.answer(question, &mut asker));
            let is_same = match (meant, judged) {
                (Ok(held), Ok(index)) => self.is_said(number, held, index),
                (Err(meant), Err(errno)) => meant == errno,
                _ => false,
            };
            if !is_same || asker.is_lost {
                return Err(self.judged_otherwise(number, args));
            }
        }
        Ok(())
    }

    fn judged_otherwise(&self, number: &Number<'_>, args: &[u64; 6]) -> Difference {
        self.difference(number, args, "the shim's program does not say what is meant")
    }

    /// Whether verdict number `index` is what is meant.
    fn is_said(&self, number: &Number<'_>, held: bool, index: u32) -> bool {
        number.is_known(held, index, || {
            let meant = number.outcome(held);
            self.blob.verdict(index).is_some_and(|verdict| self.is_same(meant, &verdict))
        })
    }

    /// Whether a verdict is the outcome that is meant.
    fn is_same(&self, meant: &Outcome<'_>, verdict: &Verdict<'_>) -> bool {
        let cause = match meant.cause {
            Cause::Rule { index, held } => self
                .blob
                .rule(index as u32)
                .is_some_and(|rule| verdict.cause == blob::Cause::Rule { rule, held }),
            Cause::Default => verdict.cause == blob::Cause::Default,
            Cause::Unknown => verdict.cause == blob::Cause::Unknown,
            Cause::Argument => verdict.cause == blob::Cause::Argument,
        };
        cause
            && (meant.action, meant.log, meant.reason)
                == (verdict.action, verdict.log, verdict.reason)
    }

    /// Whether the call comes to the shim if it has to.
    fn ways(
        &self,
        number: &Number<'_>,
        args: &[u64; 6],
        held: Option<bool>,
    ) -> Result<(), Difference> {
        let meant = held.map(|held| number.outcome(held));
        let is_free = meant.is_some_and(Outcome::is_quiet);
        let is_for_kernel = meant.is_some_and(|meant| {
            !meant.log && matches!(meant.action, ActionKind::Allow | ActionKind::Errno(_))
        });
        let [is_slow_alone, is_slow] = number.is_slow;
        let is_missed = (!is_free && !is_slow_alone)
            || (!is_free && number.is_inspected && !is_slow)
            || (!is_for_kernel && !is_slow)
            || (self.policy.maps(number.nr) && !is_slow);
        match is_missed {
            true => Err(self.difference(number, args, "a call does not come to the shim")),
            false => Ok(()),
        }
    }

    /// The filters, for one call from where they can tell calls apart.
    fn kernel(
        &self,
        number: &Number<'_>,
        args: &[u64; 6],
        held: Option<bool>,
    ) -> Result<(), Difference> {
        self.gate(number, args, 0, held)?;
        self.gate(number, args, 1, held)?;
        self.outside(number, args, GATES, held)
    }

    /// The filters, for another architecture: they must look at nothing else.
    fn architectures(&self) -> Result<(), Difference> {
        let data = Data::new(0, 0, &[0; 6]).with_arch(AUDIT_ARCH_X86_64 ^ 1 << 31);
        for insns in [&self.compiled.strict, &self.compiled.inspected] {
            let mut state = State::START;
            let end = state.run(&insns[..], &data, |offset| offset != ARCH, |_| Err(()));
            if end != Ok(Some(RET_ENOSYS)) {
                return Err(Difference::new("another architecture passes"));
            }
        }
        Ok(())
    }

    /// The filter `strict`, for a number from beside the gate: it must not even look at an argument.
    fn addresses(&self, number: &Number<'_>) -> Result<(), Difference> {
        let refused = Some(number.before_policy.unwrap_or(RET_TRAP));
        match number.strict_outside().all(|action| action == refused) {
            true => Ok(()),
            false => Err(self.difference(number, &[0; 6], "a filter does not keep to the gate")),
        }
    }

    /// The filters, for one call from everywhere else; and the shim, asked as live code asks it.
    fn places(&self, number: &Number<'a>, args: &[u64; 6]) -> Result<(), Difference> {
        let held = number.by_numbers(args);
        self.gate(number, args, 2, held)?;
        for place in GATES..ADDRESSES.len() {
            self.outside(number, args, place, held)?;
        }
        if number.nr >= X32_BIT {
            return Ok(());
        }
        let mut atoms: Vec<Atom<'a>> = Vec::new();
        if let Some((_, rule)) = number.rule {
            answers::collect(&rule.when, &mut atoms);
        }
        let answers = Answers::new(&atoms, 0);
        let meant = crate::eval::eval(self.policy, number.nr, args, &mut |atom| answers.of(atom));
        let call = Call { nr: number.nr, args: *args };
        let verdict = self.blob.judge(&call, &mut Answerer::new(&answers));
        match self.is_same(&meant, &verdict) {
            true => Ok(()),
            false => Err(self.judged_otherwise(number, args)),
        }
    }

    fn gate(
        &self,
        number: &Number<'_>,
        args: &[u64; 6],
        place: usize,
        held: Option<bool>,
    ) -> Result<(), Difference> {
        let ip = ADDRESSES.get(place).copied().unwrap_or(0);
        let data = Data::new(number.nr, ip, args);
        let [strict, inspected] = number.gate(self, &data, place);
        let is_meant = |action| self.is_meant(action, held, number, &data, ip);
        match is_meant(strict) && (strict == inspected || is_meant(inspected)) {
            true => Ok(()),
            false => Err(self.difference(number, args, "a filter does not say what is meant")),
        }
    }

    fn outside(
        &self,
        number: &Number<'_>,
        args: &[u64; 6],
        place: usize,
        held: Option<bool>,
    ) -> Result<(), Difference> {
        let ip = ADDRESSES.get(place).copied().unwrap_or(0);
        let data = Data::new(number.nr, ip, args);
        let action = number.inspected(self, &data, place);
        match self.is_meant_outside(action, held, number, &data) {
            true => Ok(()),
            false => Err(self.difference(number, args, "a filter does not keep to the gate")),
        }
    }

    /// Whether a filter says what is meant to a call from the gate.
    fn is_meant(
        &self,
        action: u32,
        held: Option<bool>,
        number: &Number<'_>,
        data: &Data,
        ip: u64,
    ) -> bool {
        if let Some(first) = number.before_policy {
            return action == first;
        }
        let allowed = number.guarded(data).unwrap_or(RET_ALLOW);
        let is_fast = ip == FAST_AFTER;
        if !is_fast && number.is_own(data) {
            return action == allowed;
        }
        let asked = if is_fast { RET_TRAP } else { allowed };
        let Some(held) = held else { return action == asked };
        match number.outcome(held).action {
            ActionKind::Allow => action == allowed,
            ActionKind::Emulate => action == asked,
            ActionKind::KillProcess => action == RET_KILL_PROCESS,
            ActionKind::KillThread => action == RET_KILL_THREAD,
            ActionKind::Trap(data) => action == RET_TRAP | u32::from(data),
            ActionKind::Trace(data) => action == RET_TRACE | u32::from(data),
            ActionKind::Errno(errno) if !is_fast => action == RET_ERRNO | u32::from(errno),
            // As `Blob::told`.
            ActionKind::Errno(_) => {
                action & 0xffff_0000 == RET_TRAP
                    && (action & 0xffff)
                        .checked_sub(1)
                        .is_some_and(|index| self.is_said(number, held, index))
            }
        }
    }

    /// Whether the shape `inspected` says what is meant to a call from elsewhere: it traps, or the call is
    /// one that everybody may make.
    fn is_meant_outside(
        &self,
        action: u32,
        held: Option<bool>,
        number: &Number<'_>,
        data: &Data,
    ) -> bool {
        if let Some(first) = number.before_policy {
            return action == first;
        }
        let is_free =
            number.can_be_free && held.is_some_and(|held| number.outcome(held).is_plain_allow());
        let is_always = number.rule.is_none_or(|(_, rule)| rule.when == Expr::True);
        let if_free = || number.guarded(data).unwrap_or(RET_ALLOW);
        match is_free {
            false => action == RET_TRAP,
            // One call that is allowed need not mean that all are.
            true => action == if_free() || (!is_always && action == RET_TRAP),
        }
    }

    fn difference(&self, number: &Number<'_>, args: &[u64; 6], what: &str) -> Difference {
        let mut what = text!(what, ": call ", decimal(number.nr as usize), "(");
        for (index, arg) in args.iter().enumerate() {
            what.push_str(if index == 0 { "" } else { ", " });
            what.push_str(&hex(*arg));
        }
        what.push(')');
        Difference { what, span: number.rule.map(|(_, rule)| rule.span).unwrap_or_default() }
    }
}

/// What a filter says before anything else, wherever the call is from.
fn before_policy(nr: u32) -> Option<u32> {
    match nr {
        SKIPPED => Some(RET_ALLOW),
        X32_BIT.. => Some(RET_ENOSYS),
        _ => None,
    }
}

/// A number in hexadecimal.
fn hex(number: u64) -> String {
    let mut text = String::from("0x");
    let digits = (64u32.wrapping_sub(number.leading_zeros())).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let value = number.wrapping_shr(digit.wrapping_mul(4)) & 15;
        text.push(char::from_digit(value as u32, 16).unwrap_or('?'));
    }
    text
}
