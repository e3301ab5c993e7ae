//! What was compiled against what is meant, after every compile.
//!
//! For every number that anybody could call, and for each rule the values at which its condition could
//! change: every constant and its neighbours, with the sign and with the upper half turned. Each call is
//! put to [`crate::eval`], to the program of the shim, and to both shapes of the filter, from the gate and
//! from outside. What they say must be the same; if it is not, there is no policy.
//!
//! It is a test and no proof: of long lists and of many arguments it takes a part ([`ALL`]).

use crate::compile::{Compiled, decimal, lets_exec};
use crate::condition::names_gate;
use crate::eval::{Atom, Cause, Outcome, by_numbers, eval};
use crate::policy::{Caller, Expr, Paths, Policy, Value};
use crate::span::Span;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::blob::{self, Asker, Blob, Call, Shape, Verdict};
use ia2_core::bpf::{
    AUDIT_ARCH_X86_64, Insn, RET_ALLOW, RET_ENOSYS, RET_ERRNO, RET_KILL_PROCESS, RET_KILL_THREAD,
    RET_TRACE, RET_TRAP, SKIPPED, X32_BIT, guard,
};
use ia2_core::cbpf::{Data, check, run_filter};
use ia2_core::handover::LOADER_FD;
use ia2_core::layout::{ARGS_AFTER, EMPTY_PATH, FAST_AFTER, GATE, RAW_AFTER};
use ia2_core::verdict::ActionKind;
use ia2_core::{nr, own};

/// An address that is not the gate's.
const OUTSIDE: u64 = 0x40_1000;
/// Calls that are tried for all rules together, about; and for one rule at least and at most.
const ALL: usize = 12_000;
const LEAST: usize = 256;
const MOST: usize = 2048;
/// Calls that are tried with each further number of a rule.
const FURTHER: usize = 24;
/// Questions of one rule whose answers are tried in every combination.
const QUESTIONS: usize = 4;
/// The errno of an argument that cannot be read, in a trial.
const UNREADABLE: u16 = 14;

/// Where a program does not say what is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: String,
    /// The rule.
    pub span: Span,
}

/// Compares.
///
/// # Errors
/// The first difference.
pub fn verify(policy: &Policy, compiled: &Compiled) -> Result<(), Difference> {
    let wrong = |what: &str| Difference { what: text!(what), span: Span::default() };
    let blob = Blob::parse(&compiled.blob).map_err(|_| wrong("the compiled form is damaged"))?;
    let questions = blob.questions();
    for (insns, questions) in
        [(&compiled.strict, 0), (&compiled.inspected, 0), (&compiled.shim, questions)]
    {
        check(&insns[..], questions).map_err(|_| wrong("a program that no machine takes"))?;
    }
    for (shape, insns) in
        [(Shape::Strict, &compiled.strict), (Shape::Inspected, &compiled.inspected)]
    {
        let (bytes, _) = blob.kernel(shape).as_chunks::<8>();
        let same = bytes.len() == insns.len()
            && (0..)
                .zip(insns)
                .all(|(at, insn)| ia2_core::cbpf::Program::insn(bytes, at) == Some(*insn));
        if !same {
            return Err(wrong("the filter is not the one in the compiled form"));
        }
    }
    let trial = Trial { policy, compiled, blob, exec: lets_exec(policy) };
    let mut seen = alloc::vec![false; policy.rules.len()];
    let rules = policy.rules.iter().filter(|rule| !matches!(rule.when, Expr::True | Expr::False));
    let most = ALL.checked_div(rules.count()).unwrap_or(ALL).clamp(LEAST, MOST);
    for nr in numbers(policy) {
        if guard(nr).is_some() {
            for args in guarded_samples(nr) {
                trial.kernel(nr, &args)?;
            }
        }
        let found = policy.rule_of(nr).and_then(|index| Some((index, policy.rules.get(index)?)));
        let Some((index, rule)) = found else {
            trial.places(nr, &[0; 6])?;
            for args in [[0; 6], [u64::MAX; 6]] {
                trial.call(nr, &args, None)?;
            }
            continue;
        };
        let calls = samples(&rule.when, most);
        let first = seen.get_mut(index).is_none_or(|seen| !core::mem::replace(seen, true));
        let step = if first { 1 } else { (calls.len() / FURTHER).max(1) };
        if let Some(args) = calls.first() {
            trial.places(nr, args)?;
        }
        for args in calls.iter().step_by(step) {
            trial.call(nr, args, Some(&rule.when))?;
        }
    }
    Ok(())
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
    let wrong = |what: &str| Difference { what: text!(what), span: Span::default() };
    let blob = Blob::parse(&compiled.blob).map_err(|_| wrong("the compiled form is damaged"))?;
    let trial = Trial { policy, compiled, blob, exec: lets_exec(policy) };
    let rule = policy.rule_of(nr).and_then(|index| policy.rules.get(index));
    trial.places(nr, args)?;
    trial.call(nr, args, rule.map(|rule| &rule.when))
}

/// Arguments that make a difference to what even the gate may not do: the loader's descriptors and those
/// beside them, the pinned path and others, flags.
fn guarded_samples(nr: u32) -> Vec<[u64; 6]> {
    const FD: u64 = LOADER_FD as u64;
    const VALUES: [u64; 9] = [
        3,
        FD - 2,
        FD - 1,
        FD,
        FD + 1,
        FD | 1 << 32,
        EMPTY_PATH,
        EMPTY_PATH + 1,
        EMPTY_PATH ^ 1 << 40,
    ];
    let flags: &[u64] = if nr == nr::EXECVEAT { &[0, 0x1000, 0x1100, 0x11000] } else { &[0] };
    let mut calls = Vec::new();
    for first in VALUES {
        for second in VALUES {
            calls.extend(flags.iter().map(|flags| [first, second, 0, 0, *flags, 0]));
        }
    }
    calls
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
    exec: bool,
}

impl<'a> Trial<'a> {
    /// Puts one call to all of them.
    fn call(&self, nr: u32, args: &[u64; 6], when: Option<&'a Expr>) -> Result<(), Difference> {
        self.kernel(nr, args)?;
        if nr >= X32_BIT {
            return Ok(());
        }
        self.ways(nr, args)?;
        let mut atoms = Vec::new();
        if let Some(when) = when {
            collect(when, &mut atoms);
        }
        // A bit for each question; and once, nothing can be read.
        let answers = match atoms.len() {
            0 => 1,
            few @ 1..=QUESTIONS => 1u64 << few,
            _ => 1 << QUESTIONS,
        };
        for answer in 0..answers {
            // Of many questions all but the first few get the same answers again.
            let bits = answer.wrapping_mul(0x1111_1111_1111_1111);
            let bits = if atoms.len() > QUESTIONS { bits } else { answer };
            self.shim(nr, args, &Answers { atoms: &atoms, bits, readable: true })?;
        }
        if !atoms.is_empty() {
            let bits = u64::MAX;
            self.shim(nr, args, &Answers { atoms: &atoms, bits, readable: false })?;
        }
        Ok(())
    }

    fn shim(&self, nr: u32, args: &[u64; 6], answers: &Answers<'_>) -> Result<(), Difference> {
        let meant = eval(self.policy, nr, args, &mut |atom| answers.of(|one| *one == atom, atom));
        let verdict = self.blob.judge(&Call { nr, args: *args }, &mut Answerer(answers));
        if self.is_same(&meant, &verdict) {
            return Ok(());
        }
        Err(self.difference(nr, args, "the shim's program does not say what is meant"))
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
    fn ways(&self, nr: u32, args: &[u64; 6]) -> Result<(), Difference> {
        let meant = by_numbers(self.policy, nr, args);
        let is_free = meant.is_some_and(|meant| meant.is_quiet());
        let is_for_kernel = meant.is_some_and(|meant| {
            !meant.log && matches!(meant.action, ActionKind::Allow | ActionKind::Errno(_))
        });
        let is_slow = |filtered| self.blob.is_slow(nr, filtered);
        let is_missed = (!is_free && !is_slow(false))
            || (!is_free && nr::is_inspected(nr) && !is_slow(true))
            || (!is_for_kernel && !is_slow(true));
        match is_missed {
            true => Err(self.difference(nr, args, "a call does not come to the shim")),
            false => Ok(()),
        }
    }

    /// The filters, for one call from where they can tell calls apart.
    fn kernel(&self, nr: u32, args: &[u64; 6]) -> Result<(), Difference> {
        let meant = by_numbers(self.policy, nr, args);
        for ip in [FAST_AFTER, ARGS_AFTER] {
            self.gate(nr, args, ip, meant.as_ref())?;
        }
        self.outside(nr, args, OUTSIDE, meant.as_ref())
    }

    /// The filters, for one call from everywhere, and from another architecture.
    fn places(&self, nr: u32, args: &[u64; 6]) -> Result<(), Difference> {
        let meant = by_numbers(self.policy, nr, args);
        self.gate(nr, args, RAW_AFTER, meant.as_ref())?;
        for ip in [GATE, FAST_AFTER + 1, FAST_AFTER - 1, RAW_AFTER ^ 1 << 32] {
            self.outside(nr, args, ip, meant.as_ref())?;
            let strict = run_filter(&self.compiled.strict[..], &Data::new(nr, ip, args));
            if strict != before_policy(nr).unwrap_or(RET_TRAP) {
                return Err(self.difference(nr, args, "a filter does not keep to the gate"));
            }
        }
        for ip in [OUTSIDE, FAST_AFTER, RAW_AFTER] {
            let data = Data::new(nr, ip, args).with_arch(AUDIT_ARCH_X86_64 ^ 1 << 31);
            for insns in [&self.compiled.strict, &self.compiled.inspected] {
                if run_filter(&insns[..], &data) != RET_ENOSYS {
                    return Err(self.difference(nr, args, "another architecture passes"));
                }
            }
        }
        Ok(())
    }

    fn gate(
        &self,
        nr: u32,
        args: &[u64; 6],
        ip: u64,
        meant: Option<&Outcome<'_>>,
    ) -> Result<(), Difference> {
        let data = Data::new(nr, ip, args);
        for insns in [&self.compiled.strict, &self.compiled.inspected] {
            if !self.is_meant(run_filter(&insns[..], &data), meant, &data, (nr, ip)) {
                return Err(self.difference(nr, args, "a filter does not say what is meant"));
            }
        }
        Ok(())
    }

    fn outside(
        &self,
        nr: u32,
        args: &[u64; 6],
        ip: u64,
        meant: Option<&Outcome<'_>>,
    ) -> Result<(), Difference> {
        let data = Data::new(nr, ip, args);
        let action = run_filter(&self.compiled.inspected[..], &data);
        match self.is_meant_outside(action, meant, &data, nr) {
            true => Ok(()),
            false => Err(self.difference(nr, args, "a filter does not keep to the gate")),
        }
    }

    /// Whether a filter says what is meant to a call from the gate.
    fn is_meant(
        &self,
        action: u32,
        meant: Option<&Outcome<'_>>,
        data: &Data,
        (nr, ip): (u32, u64),
    ) -> bool {
        if let Some(first) = before_policy(nr).or_else(|| guarded(nr, data)) {
            return action == first;
        }
        let is_fast = ip == FAST_AFTER;
        if !is_fast && own::is_own(nr, self.exec) {
            return action == RET_ALLOW;
        }
        let asked = if is_fast { RET_TRAP } else { RET_ALLOW };
        let Some(meant) = meant else { return action == asked };
        match meant.action {
            ActionKind::Allow => action == RET_ALLOW,
            ActionKind::Emulate => action == asked,
            ActionKind::KillProcess => action == RET_KILL_PROCESS,
            ActionKind::KillThread => action == RET_KILL_THREAD,
            ActionKind::Trap(data) => action == RET_TRAP | u32::from(data),
            ActionKind::Trace(data) => action == RET_TRACE | u32::from(data),
            ActionKind::Errno(errno) if !is_fast => action == RET_ERRNO | u32::from(errno),
            ActionKind::Errno(_) => {
                let told = self.blob.told(action as u16);
                action & 0xffff_0000 == RET_TRAP
                    && told.is_some_and(|told| self.is_same(meant, &told))
            }
        }
    }

    /// Whether the shape `inspected` says what is meant to a call from elsewhere: it traps, or the call is
    /// one that everybody may make.
    fn is_meant_outside(
        &self,
        action: u32,
        meant: Option<&Outcome<'_>>,
        data: &Data,
        nr: u32,
    ) -> bool {
        if let Some(first) = before_policy(nr) {
            return action == first;
        }
        let when = self.policy.rule_of(nr).and_then(|index| self.policy.rules.get(index));
        let when = when.map_or(&Expr::True, |rule| &rule.when);
        let is_free = !nr::is_inspected(nr)
            && meant.is_some_and(Outcome::is_plain_allow)
            && !names_gate(when);
        let if_free = guarded(nr, data).unwrap_or(RET_ALLOW);
        match is_free {
            false => action == RET_TRAP,
            // One call that is allowed need not mean that all are.
            true if *when == Expr::True => action == if_free,
            true => action == if_free || action == RET_TRAP,
        }
    }

    fn difference(&self, nr: u32, args: &[u64; 6], what: &str) -> Difference {
        let rule = self.policy.rule_of(nr).and_then(|index| self.policy.rules.get(index));
        let mut what = text!(what, ": call ", decimal(nr as usize), "(");
        for (index, arg) in args.iter().enumerate() {
            what.push_str(if index == 0 { "" } else { ", " });
            what.push_str(&hex(*arg));
        }
        what.push(')');
        Difference { what, span: rule.map(|rule| rule.span).unwrap_or_default() }
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

/// What is refused even to the gate.
fn guarded(nr: u32, data: &Data) -> Option<u32> {
    let insns: &[Insn] = guard(nr)?;
    Some(run_filter(insns, data)).filter(|action| *action != RET_ALLOW)
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

// Questions.

/// The questions of a condition, each once, in the order in which they stand there.
fn collect<'a>(expr: &'a Expr, atoms: &mut Vec<Atom<'a>>) {
    let atom = match expr {
        Expr::Not(inner) => return collect(inner, atoms),
        Expr::And(parts) | Expr::Or(parts) => {
            return parts.iter().for_each(|part| collect(part, atoms));
        }
        Expr::Path { arg, paths } => Atom::Path { arg: *arg, paths },
        Expr::From(caller) if *caller != Caller::Trampoline => Atom::From(caller),
        _ => return,
    };
    if !atoms.contains(&atom) {
        atoms.push(atom);
    }
}

/// The answers of one trial: a bit for each question.
struct Answers<'a> {
    atoms: &'a [Atom<'a>],
    bits: u64,
    readable: bool,
}

impl Answers<'_> {
    /// The answer to the question that `is` tells.
    fn of<T>(&self, is: impl Fn(&Atom<'_>) -> bool, _question: T) -> Result<bool, u16> {
        let at = self.atoms.iter().position(is).unwrap_or(0) as u32;
        let is_path =
            self.atoms.get(at as usize).is_some_and(|atom| matches!(atom, Atom::Path { .. }));
        match self.readable || !is_path {
            true => Ok(self.bits.wrapping_shr(at % 64) & 1 != 0),
            false => Err(UNREADABLE),
        }
    }
}

/// The same answers, for the reader of the compiled form.
struct Answerer<'a>(&'a Answers<'a>);

impl<'b> Asker<'b> for Answerer<'_> {
    fn path(&mut self, arg: u8, paths: blob::Paths<'b>) -> Result<bool, u16> {
        let is = |atom: &Atom<'_>| match (atom, paths) {
            (Atom::Path { arg: own, paths: Paths::Files }, blob::Paths::Files(_)) => *own == arg,
            (
                Atom::Path { arg: own, paths: Paths::Patterns(patterns) },
                blob::Paths::Patterns(found),
            ) => *own == arg && found.iter().eq(patterns.iter().map(String::as_str)),
            _ => false,
        };
        self.0.of(is, ())
    }

    fn from(&mut self, caller: blob::Caller<'b>) -> bool {
        let is = |atom: &Atom<'_>| match (atom, caller) {
            (Atom::From(Caller::Wrapper), blob::Caller::Wrapper)
            | (Atom::From(Caller::Vdso), blob::Caller::Vdso)
            | (Atom::From(Caller::Jit), blob::Caller::Jit) => true,
            (Atom::From(Caller::Module(name)), blob::Caller::Module(found)) => name == found,
            _ => false,
        };
        self.0.of(is, ()).unwrap_or(false)
    }
}

// Values.

/// For each argument, the values that matter to a condition.
#[derive(Default)]
struct Values {
    of: [Vec<u64>; 6],
}

/// Arguments that make a difference to the condition.
fn samples(when: &Expr, most: usize) -> Vec<[u64; 6]> {
    let mut values = Values::default();
    values.collect(when);
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

impl Values {
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
