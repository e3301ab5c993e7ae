//! From what a policy means to the programs that say so: two shapes of one for the kernel, and one for
//! the shim.
//!
//! ```text
//! strict     arch, x32 ─ address ─ number ──────► exempt ─ condition ─► what happens, or guard
//! inspected  arch, x32 ─ number ┬ address ─ number ► exempt ─ condition ─► what happens, or guard
//!                               └ allowed for everybody: guard ─► allow
//! shim                   number ────────────────────── condition ─► index of a verdict
//! ```
//! *address*: only the gate's three calls come farther ([`ia2_core::layout`]). *guard*: what even the gate
//! may not do, whatever the policy allows ([`ia2_core::bpf::GUARDS`]). *exempt*: what the shim calls for itself passes where it makes
//! its calls ([`ia2_core::own`]). The second shape looks at nothing but the number before it allows a call,
//! so the kernel's cache of constant answers holds.
//!
//! # What only the shim can tell
//!
//! The kernel cannot know whether a path is one of a list. From a condition with such parts it gets two
//! without: one that holds if the whole could, and one that holds if the whole must. What is left between
//! them is *asked*: from the gate's `fast`, where no shim has looked at the call, it traps; from the other
//! two, where one has, it is allowed.
//!
//! # What the kernel says
//!
//! | verdict | from `fast` | from `args` and `raw` |
//! |---|---|---|
//! | allow | allow | allow |
//! | emulate | trap | allow: it is the shim's way to do it |
//! | errno | trap, with the verdict's index plus 1, so that the shim can tell of it | the errno |
//! | asked | trap | allow |
//! | kill, trap, trace | the same | the same |
//!
//! # Who looks first
//!
//! The shim judges a call before the kernel does if it can be asked about, logged, emulated, traced or
//! killed, or is refused in any case, for then it can tell of it; and if it gets the call anyway. What is
//! otherwise allowed or refused with an errno takes the fast way, and the kernel decides. So the shim must
//! judge what it gets on other ways too, for at `args` and `raw` the kernel may let it pass.
//!
//! # The size of things
//!
//! Nothing here recurses deeper than [`condition::DEPTH`], and neither machine takes more than 4096
//! instructions ([`cbpf::MAX`]).

use crate::assemble::{Graph, Id, decide};
use crate::condition::{self, Coder, assume, has_path, has_question, names_gate};
use crate::diag::{Code, Diagnostic, Severity};
use crate::eval::{Cause, Outcome};
use crate::policy::{Caller, Expr, Paths, Policy};
use crate::span::Span;
use crate::text;
use crate::{verify, write};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::bpf::{
    self, AUDIT_ARCH_X86_64, Insn, RET_ALLOW, RET_ENOSYS, RET_ERRNO, RET_KILL_PROCESS,
    RET_KILL_THREAD, RET_TRACE, RET_TRAP, SKIPPED, X32_BIT,
};
use ia2_core::calls;
use ia2_core::cbpf::{self, op};
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER, RAW_AFTER, TABLE_NUMBERS};
use ia2_core::nr;
use ia2_core::own::{self, Needs};
use ia2_core::verdict::ActionKind;

/// A program of more instructions is worth a warning.
const LARGE: usize = 1024;
/// Most verdicts: `SECCOMP_RET_DATA` holds the index plus 1.
const VERDICTS: usize = u16::MAX as usize;

/// What a policy was compiled to.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// All of it, as [`ia2_core::blob::Blob`] reads it.
    pub blob: Vec<u8>,
    /// The filter in the shape `strict`.
    pub strict: Vec<Insn>,
    /// The filter in the shape `inspected`.
    pub inspected: Vec<Insn>,
    /// The program of the shim.
    pub shim: Vec<Insn>,
    /// What is worth knowing.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles a policy, and compares what came out of it with [`crate::eval`].
///
/// # Errors
/// What makes it impossible; with E0899, an error of this compiler.
pub fn compile(policy: &Policy) -> Result<Compiled, Vec<Diagnostic>> {
    let compiled = compile_unverified(policy)?;
    match verify::verify(policy, &compiled) {
        Ok(()) => Ok(compiled),
        Err(difference) => Err(alloc::vec![Diagnostic {
            help: text!("nothing is enforced; please report this policy"),
            ..error("E0899", difference.span, text!("internal error: ", difference.what))
        }]),
    }
}

/// Compiles a policy.
///
/// # Errors
/// What makes it impossible.
pub fn compile_unverified(policy: &Policy) -> Result<Compiled, Vec<Diagnostic>> {
    let too_deep =
        policy.rules.iter().filter(|rule| !condition::fits(&rule.when, condition::DEPTH));
    let mut errors: Vec<Diagnostic> = too_deep
        .map(|rule| error("E0802", rule.span, text!("the condition is nested too deeply")))
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut shim = Shim::of(policy);
    let shim_start = shim.start();
    let mut kernel = Kernel { policy, coder: Coder::default(), needs: needs(policy) };
    let (strict, inspected) = kernel.starts(&mut shim);
    if shim.coder.failed || kernel.coder.failed {
        errors.push(error("E0803", Span::default(), text!("a value is too complex")));
    }
    if shim.verdicts.len() >= VERDICTS {
        errors.push(error("E0804", Span::default(), text!("there are too many rules")));
    }
    let strict = kernel.coder.graph.assemble(strict);
    let inspected = kernel.coder.graph.assemble(inspected);
    let program = shim.coder.graph.assemble(shim_start);
    let mut warnings = Vec::new();
    for (name, len) in [
        ("filter in the shape `strict`", strict.len()),
        ("filter in the shape `inspected`", inspected.len()),
        ("program of the shim", program.len()),
    ] {
        let most = decimal(cbpf::MAX);
        let size = text!("the ", name, " has ", decimal(len), " instructions, of at most ", most);
        let found = Diagnostic {
            help: text!("let calls share a rule, or give lists of values as ranges"),
            ..error("E0801", Span::default(), size)
        };
        match len {
            _ if len > cbpf::MAX => errors.push(found),
            _ if len > LARGE => warnings.push(Diagnostic {
                severity: Severity::Warning,
                code: Code("W0801"),
                ..found
            }),
            _ => {}
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let parts = write::Parts {
        strict: &strict,
        inspected: &inspected,
        shim: &program,
        slow: shim.slow(|nr, class| {
            class.is_slow || (!class.is_free && nr::is_inspected(nr)) || policy.maps(nr)
        }),
        slow_alone: shim.slow(|_, class| !class.is_free),
        verdicts: &shim.verdicts,
        asks: &shim.asks,
    };
    let blob = write::write(policy, &parts);
    Ok(Compiled { blob, strict, inspected, shim: program, warnings })
}

fn error(code: &'static str, span: Span, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: Code(code),
        message,
        span,
        label: String::new(),
        related: Vec::new(),
        help: String::new(),
    }
}

/// A number in decimal.
pub(crate) fn decimal(mut number: usize) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push((number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(digit.wrapping_add(b'0'))).collect()
}

/// What the policy needs the shim to do.
#[must_use]
pub fn needs(policy: &Policy) -> Needs {
    let lets = |nr| outcomes(policy, nr).into_iter().flatten().any(|one| one.action.lets_through());
    Needs {
        exec: [nr::EXECVE, nr::EXECVEAT].into_iter().any(lets),
        paths: policy.rules.iter().any(|rule| has_path(&rule.when)),
    }
}

/// The calls that the policy does not simply allow, but the kernel lets pass at the gate's `args` and
/// `raw`, because the shim makes them for itself. What the policy says to them holds up to A1. Sorted.
#[must_use]
pub fn exempted(policy: &Policy) -> Vec<u32> {
    let is_free = |nr| {
        let mut all = outcomes(policy, nr).into_iter().flatten();
        all.all(|one| one.action == ActionKind::Allow)
    };
    let mut numbers: Vec<u32> =
        needs(policy).rows().map(|row| row.nr).filter(|nr| !is_free(*nr)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// What can happen to a call, as far as that can be seen without a look into its condition.
fn outcomes(policy: &Policy, nr: u32) -> [Option<Outcome<'_>>; 2] {
    let Some(index) = policy.rule_of(nr) else {
        return [Some(Outcome::without_rule(policy, nr)), None];
    };
    let when = policy.rules.get(index).map(|rule| &rule.when);
    let outcome = |held| Outcome::of_rule(policy, index, held);
    match when {
        Some(Expr::True) => [outcome(true), None],
        Some(Expr::False) => [None, outcome(false)],
        _ => [outcome(true), outcome(false)],
    }
}

/// The numbers from which on something else may be said: all that anybody names, and what follows each.
/// Below the x32 numbers, which no policy is asked about.
pub(crate) fn borders(policy: &Policy) -> Vec<u32> {
    let named = calls::all().map(|call| call.nr);
    let ruled = policy.calls.iter().map(|row| row.0);
    let guarded = bpf::GUARDS.iter().map(|row| row.0);
    let owned = own::numbers();
    let inspected = nr::INSPECTED.iter().map(|row| row.0);
    let memory = nr::MEMORY.iter().copied();
    let all = named.chain(ruled).chain(guarded).chain(owned).chain(inspected).chain(memory);
    let mut borders: Vec<u32> =
        all.filter(|nr| *nr < X32_BIT).flat_map(|nr| [nr, nr.wrapping_add(1)]).chain([0]).collect();
    borders.sort_unstable();
    borders.dedup();
    borders
}

/// What kind of call a number is, by all that can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    /// It is allowed whatever its arguments are, and nothing is logged.
    is_plain: bool,
    /// The same, if not the kernel but the shim does it.
    is_free: bool,
    /// The shim has to look at it even if the kernel has a filter: it can be asked, or be anything but
    /// allowed or refused with an errno, or cannot be allowed at all.
    is_slow: bool,
}

/// What the shim can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question<'a> {
    /// Whether the path behind the argument is one of these.
    Path { arg: u8, paths: &'a Paths },
    /// Whether the call comes from there.
    From(&'a Caller),
}

/// The program that decides everything, and returns the index of a verdict.
struct Shim<'a> {
    policy: &'a Policy,
    coder: Coder,
    verdicts: Vec<Outcome<'a>>,
    /// Which verdict each rule has if it failed, and if it held.
    of_rule: Vec<[Option<u32>; 2]>,
    asks: Vec<Question<'a>>,
    /// From which number on which node counts.
    parts: Vec<(u32, Id)>,
    /// Of each node that begins a number's code.
    classes: BTreeMap<Id, Class>,
}

impl<'a> Shim<'a> {
    fn of(policy: &'a Policy) -> Self {
        let mut shim = Self {
            policy,
            coder: Coder::default(),
            verdicts: Vec::new(),
            of_rule: alloc::vec![[None; 2]; policy.rules.len()],
            asks: Vec::new(),
            parts: Vec::new(),
            classes: BTreeMap::new(),
        };
        for nr in borders(policy) {
            let id = shim.number(nr);
            shim.parts.push((nr, id));
        }
        shim
    }

    fn start(&mut self) -> Id {
        let graph = &mut self.coder.graph;
        // There is always a number 0.
        let tree = decide(graph, &self.parts).unwrap_or_else(|| graph.ret(0));
        graph.load(bpf::NR, tree)
    }

    /// The index of a verdict.
    fn verdict(&mut self, outcome: Outcome<'a>) -> u32 {
        let slot = match outcome.cause {
            Cause::Rule { index, held } => {
                self.of_rule.get_mut(index).and_then(|verdicts| verdicts.get_mut(usize::from(held)))
            }
            _ => None,
        };
        if let Some(Some(index)) = slot {
            return *index;
        }
        let index = match &slot {
            None => self.verdicts.iter().position(|one| one.cause == outcome.cause),
            Some(_) => None,
        };
        let index = match index {
            Some(index) => index as u32,
            None => {
                self.verdicts.push(outcome);
                self.verdicts.len().wrapping_sub(1) as u32
            }
        };
        if let Some(slot) = slot {
            *slot = Some(index);
        }
        index
    }

    fn returns(&mut self, outcome: Outcome<'a>) -> Id {
        let verdict = self.verdict(outcome);
        self.coder.graph.ret(verdict)
    }

    /// The code of one number.
    fn number(&mut self, nr: u32) -> Id {
        let policy = self.policy;
        let found = policy.rule_of(nr).and_then(|index| Some((index, policy.rules.get(index)?)));
        let Some((index, rule)) = found else {
            return self.returns(Outcome::without_rule(policy, nr));
        };
        let mut end = |held| match Outcome::of_rule(policy, index, held) {
            Some(outcome) => self.returns(outcome),
            None => self.returns(Outcome::without_rule(policy, nr)),
        };
        // Verdicts of ends that are not reached would be there for nothing.
        match &rule.when {
            Expr::True => end(true),
            Expr::False => end(false),
            when => {
                let (yes, no) = (end(true), end(false));
                self.condition(when, yes, no)
            }
        }
    }

    /// A condition with questions: what numbers decide first, then the parts with questions from left to
    /// right, as [`crate::eval`] says. Parts that numbers decide need no second look: all of them hold
    /// where an `And` could, and none does where an `Or` need not.
    fn condition(&mut self, expr: &'a Expr, yes: Id, no: Id) -> Id {
        if !has_question(expr) {
            return self.coder.condition(expr, yes, no);
        }
        match expr {
            Expr::Not(inner) => self.condition(inner, no, yes),
            Expr::And(parts) => {
                let open = parts.iter().rev().filter(|part| has_question(part));
                let asked = open.fold(yes, |next, part| self.condition(part, next, no));
                self.coder.condition(&assume(expr, true), asked, no)
            }
            Expr::Or(parts) => {
                let open = parts.iter().rev().filter(|part| has_question(part));
                let asked = open.fold(no, |next, part| self.condition(part, yes, next));
                self.coder.condition(&assume(expr, false), yes, asked)
            }
            Expr::Path { arg, paths } => self.ask(Question::Path { arg: *arg, paths }, yes, no),
            Expr::From(caller) => self.ask(Question::From(caller), yes, no),
            // Has no question.
            _ => no,
        }
    }

    fn ask(&mut self, question: Question<'a>, yes: Id, no: Id) -> Id {
        let index = match self.asks.iter().position(|known| *known == question) {
            Some(index) => index,
            None => {
                self.asks.push(question);
                self.asks.len().wrapping_sub(1)
            }
        };
        self.coder.graph.branch(op::ASK, index as u32, yes, no)
    }

    /// The node where the code of a number begins.
    fn part(&self, nr: u32) -> Option<Id> {
        let at = self.parts.partition_point(|part| part.0 <= nr).checked_sub(1)?;
        self.parts.get(at).map(|part| part.1)
    }

    fn class(&mut self, nr: u32) -> Class {
        const UNKNOWN: Class = Class { is_plain: false, is_free: false, is_slow: true };
        let Some(id) = self.part(nr) else { return UNKNOWN };
        if let Some(class) = self.classes.get(&id) {
            return *class;
        }
        let ends = self.coder.graph.ends(id);
        let outcomes = || ends.returns.iter().filter_map(|k| self.verdicts.get(*k as usize));
        let is_left_to_kernel = |one: &Outcome<'_>| {
            matches!(one.action, ActionKind::Allow | ActionKind::Errno(_)) && !one.log
        };
        let class = Class {
            is_plain: !ends.asks && outcomes().all(Outcome::is_plain_allow),
            is_free: !ends.asks && outcomes().all(Outcome::is_quiet),
            is_slow: ends.asks
                || !outcomes().all(is_left_to_kernel)
                || !outcomes().any(Outcome::is_plain_allow),
        };
        self.classes.insert(id, class);
        class
    }

    /// Numbers of a kind: a bit for each, and one for all that have none.
    fn slow(&mut self, is: impl Fn(u32, Class) -> bool) -> write::Numbers {
        let mut numbers = write::Numbers::default();
        for nr in 0..TABLE_NUMBERS as u32 {
            if is(nr, self.class(nr)) {
                numbers.add(nr);
            }
        }
        let beyond: Vec<u32> = self.parts.iter().map(|part| part.0).collect();
        numbers.beyond = beyond
            .into_iter()
            .filter(|nr| u64::from(*nr) >= TABLE_NUMBERS)
            .chain([TABLE_NUMBERS as u32])
            .any(|nr| is(nr, self.class(nr)));
        numbers
    }
}

/// Both shapes of the filter.
struct Kernel<'a> {
    policy: &'a Policy,
    coder: Coder,
    needs: Needs,
}

impl<'a> Kernel<'a> {
    /// Where the shapes `strict` and `inspected` start.
    fn starts(&mut self, shim: &mut Shim<'a>) -> (Id, Id) {
        let trap = self.coder.graph.ret(RET_TRAP);
        let allow = self.coder.graph.ret(RET_ALLOW);
        let (mut all, mut tied, mut first) = (Vec::new(), Vec::new(), Vec::new());
        // Stands for the second look in the first one's tree, and is no node of it.
        let mut free = Vec::new();
        let borders: Vec<u32> = shim.parts.iter().map(|part| part.0).collect();
        for nr in borders {
            let code = self.number(nr, shim);
            all.push((nr, code));
            let is_looked_at = nr::is_inspected(nr) || self.policy.maps(nr);
            let is_free = shim.class(nr).is_plain && !is_looked_at && !self.names_gate(nr);
            free.push((nr, is_free));
            // Where the first look lets everybody pass, the second may say anything.
            if !is_free {
                tied.push((if tied.is_empty() { 0 } else { nr }, code));
            }
        }
        let graph = &mut self.coder.graph;
        let strict = decide(graph, &all).unwrap_or(trap);
        let strict = graph.load(bpf::NR, strict);
        let strict = gate_only(graph, strict);
        let strict = prologue(graph, strict);
        let second = decide(graph, &tied).unwrap_or(trap);
        let second = graph.load(bpf::NR, second);
        let second = gate_only(graph, second);
        for (nr, is_free) in free {
            let id = match (is_free, bpf::guard(nr)) {
                (false, _) => second,
                (true, Some(guard)) => graph.import(guard, &[]),
                (true, None) => allow,
            };
            first.push((nr, id));
        }
        let inspected = decide(graph, &first).unwrap_or(trap);
        let inspected = graph.load(bpf::NR, inspected);
        (strict, prologue(graph, inspected))
    }

    fn names_gate(&self, nr: u32) -> bool {
        let rule = self.policy.rule_of(nr).and_then(|index| self.policy.rules.get(index));
        rule.is_some_and(|rule| names_gate(&rule.when))
    }

    /// The code of one number, for calls from the gate.
    fn number(&mut self, nr: u32, shim: &mut Shim<'a>) -> Id {
        let allow = match bpf::guard(nr) {
            Some(guard) => self.coder.graph.import(guard, &[]),
            None => self.coder.graph.ret(RET_ALLOW),
        };
        let code = self.policy_of(nr, allow, shim);
        let Some(own) = own::form(nr, self.needs) else { return code };
        let ends = [(own::NOT_OWN, code), (RET_ALLOW, allow)];
        let rest = self.coder.graph.import(own.insns(), &ends);
        self.if_fast(code, rest)
    }

    /// What the policy says; what it allows goes on at `allow`.
    fn policy_of(&mut self, nr: u32, allow: Id, shim: &mut Shim<'a>) -> Id {
        let policy = self.policy;
        let found = policy.rule_of(nr).and_then(|index| Some((index, policy.rules.get(index)?)));
        let Some((index, rule)) = found else {
            return self.end(Outcome::without_rule(policy, nr), allow, shim);
        };
        let mut end = |held| match Outcome::of_rule(policy, index, held) {
            Some(outcome) => self.end(outcome, allow, shim),
            None => self.end(Outcome::without_rule(policy, nr), allow, shim),
        };
        let when = &rule.when;
        match when {
            Expr::True => return end(true),
            Expr::False => return end(false),
            _ => {}
        }
        let (yes, no) = (end(true), end(false));
        if !has_question(when) {
            return self.coder.condition(when, yes, no);
        }
        let trap = self.coder.graph.ret(RET_TRAP);
        let asked = self.if_fast(trap, allow);
        let open = self.coder.condition(&assume(when, false), yes, asked);
        self.coder.condition(&assume(when, true), open, no)
    }

    /// One way for calls from the gate's `fast`, another for the rest.
    fn if_fast(&mut self, fast: Id, rest: Id) -> Id {
        let branch = self.coder.graph.branch(op::JEQ_K, FAST_AFTER as u32, fast, rest);
        match branch == rest {
            true => rest,
            false => self.coder.graph.load(bpf::IP_LOW, branch),
        }
    }

    fn end(&mut self, outcome: Outcome<'a>, allow: Id, shim: &mut Shim<'a>) -> Id {
        let graph = &mut self.coder.graph;
        match outcome.action {
            ActionKind::Allow => allow,
            ActionKind::KillProcess => graph.ret(RET_KILL_PROCESS),
            ActionKind::KillThread => graph.ret(RET_KILL_THREAD),
            ActionKind::Trap(data) => graph.ret(RET_TRAP | u32::from(data)),
            ActionKind::Trace(data) => graph.ret(RET_TRACE | u32::from(data)),
            ActionKind::Emulate => {
                let trap = graph.ret(RET_TRAP);
                self.if_fast(trap, allow)
            }
            ActionKind::Errno(errno) => {
                // There are fewer than VERDICTS.
                let told = (shim.verdict(outcome) as u16).wrapping_add(1);
                let trap = graph.ret(RET_TRAP | u32::from(told));
                let refuse = graph.ret(RET_ERRNO | u32::from(errno));
                self.if_fast(trap, refuse)
            }
        }
    }
}

/// As [`bpf::Filter`]: what is no native call, and what is no call at all.
fn prologue(graph: &mut Graph, next: Id) -> Id {
    let (allow, refuse) = (graph.ret(RET_ALLOW), graph.ret(RET_ENOSYS));
    let x32 = graph.branch(op::JGE_K, X32_BIT, refuse, next);
    let skipped = graph.branch(op::JEQ_K, SKIPPED, allow, x32);
    let number = graph.load(bpf::NR, skipped);
    let arch = graph.branch(op::JEQ_K, AUDIT_ARCH_X86_64, number, refuse);
    graph.load(bpf::ARCH, arch)
}

/// The gate's three calls go on, the rest traps.
fn gate_only(graph: &mut Graph, next: Id) -> Id {
    let trap = graph.ret(RET_TRAP);
    let low = [RAW_AFTER, ARGS_AFTER, FAST_AFTER]
        .into_iter()
        .fold(trap, |rest, addr| graph.branch(op::JEQ_K, addr as u32, next, rest));
    let low = graph.load(bpf::IP_LOW, low);
    let high = graph.branch(op::JEQ_K, (FAST_AFTER >> 32) as u32, low, trap);
    graph.load(bpf::IP_HIGH, high)
}
