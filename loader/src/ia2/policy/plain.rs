//! A filter for programs that run without the shim: bubblewrap, systemd, a loader of your own.
//!
//! It looks at no addresses and spares no call of the shim's, and so it has nobody to ask: a rule that the
//! shim decides is an error. Before it is given away it is compared with the policy's meaning at all points
//! that the policy can tell apart.

use ia2_core::bpf::{
    self, AUDIT_ARCH_X86_64, Insn, RET_ALLOW, RET_ENOSYS, RET_ERRNO, RET_KILL_PROCESS,
    RET_KILL_THREAD, RET_TRACE, RET_TRAP, SKIPPED, X32_BIT,
};
use ia2_core::calls;
use ia2_core::cbpf::{self, Data, op};
use ia2_core::verdict::ActionKind;
use ia2_policy::assemble::{Graph, Id, decide};
use ia2_policy::condition::{Coder, has_question, names_gate};
use ia2_policy::diag::Diagnostic;
use ia2_policy::eval::{Outcome, eval};
use ia2_policy::policy::{Action, Expr, Policy, Rule};
use ia2_policy::span::Span;

use super::space::{Given, Space};

/// `SECCOMP_RET_LOG`.
const RET_LOG: u32 = 0x7ffc_0000;
/// An address that is nobody's.
const IP: u64 = 0x40_1000;

/// The filter.
///
/// # Errors
/// What it cannot say.
pub(crate) fn filter(policy: &Policy) -> Result<Vec<Insn>, Vec<Diagnostic>> {
    let errors: Vec<Diagnostic> = policy.rules.iter().filter_map(needs_shim).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut coder = Coder::default();
    let mut parts: Vec<(u32, Id)> = Vec::new();
    for nr in numbers(policy) {
        let code = number(&mut coder, policy, nr);
        if parts.last().is_none_or(|last| last.1 != code) {
            parts.push((nr, code));
        }
    }
    let graph = &mut coder.graph;
    let tree = decide(graph, &parts).unwrap_or_else(|| graph.ret(RET_KILL_PROCESS));
    let tree = graph.load(bpf::NR, tree);
    let start = prologue(graph, tree);
    let insns = graph.assemble(start);
    if coder.failed {
        return Err(vec![whole("E0803", "a value is too complex".to_owned())]);
    }
    if insns.len() > cbpf::MAX {
        let (len, most) = (insns.len(), cbpf::MAX);
        return Err(vec![whole(
            "E0801",
            format!("the filter has {len} instructions, of at most {most}"),
        )]);
    }
    match difference(policy, &insns) {
        None => Ok(insns),
        Some(what) => Err(vec![whole("E0899", format!("internal error: {what}"))]),
    }
}

/// A filter as seccomp(2) takes it.
pub(crate) fn bytes(insns: &[Insn]) -> Vec<u8> {
    let bytes = insns.iter().flat_map(|insn| {
        let [a, b] = insn.code.to_le_bytes();
        let [c, d, e, f] = insn.k.to_le_bytes();
        [a, b, insn.jt, insn.jf, c, d, e, f]
    });
    bytes.collect()
}

fn whole(code: &'static str, message: String) -> Diagnostic {
    Diagnostic::new(code, Span::default(), message)
}

/// That a rule cannot do without the shim.
fn needs_shim(rule: &Rule) -> Option<Diagnostic> {
    let emulates = |action: &Action| action.kind == ActionKind::Emulate;
    let what = if has_question(&rule.when) {
        "only the shim can tell where a path leads or a call comes from"
    } else if names_gate(&rule.when) {
        "without the shim there is no trampoline"
    } else if emulates(&rule.then) || emulates(&rule.otherwise) {
        "only the shim can do a call in its own way"
    } else {
        return None;
    };
    let message = "this rule needs the shim".to_owned();
    let help = "write a rule by numbers for the plain shape, or use `strict`";
    Some(Diagnostic::new("E0901", rule.span, message).label(what).help(help))
}

/// The numbers from which on something else may be said.
fn numbers(policy: &Policy) -> Vec<u32> {
    let named = calls::all().map(|call| call.nr).chain(policy.calls.iter().map(|row| row.0));
    let all = named.filter(|nr| *nr < X32_BIT).flat_map(|nr| [nr, nr + 1]).chain([0]);
    let mut all: Vec<u32> = all.collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn number(coder: &mut Coder, policy: &Policy, nr: u32) -> Id {
    let found = policy.rule_of(nr).and_then(|index| Some((index, policy.rules.get(index)?)));
    let Some((index, rule)) = found else {
        return coder.graph.ret(action(&Outcome::without_rule(policy, nr)));
    };
    let mut end = |held| {
        let said = Outcome::of_rule(policy, index, held);
        coder.graph.ret(said.map_or(RET_KILL_PROCESS, |said| action(&said)))
    };
    match &rule.when {
        Expr::True => end(true),
        Expr::False => end(false),
        when => {
            let (yes, no) = (end(true), end(false));
            coder.condition(when, yes, no)
        }
    }
}

/// What the kernel is told.
fn action(said: &Outcome<'_>) -> u32 {
    match said.action {
        ActionKind::Allow | ActionKind::Emulate if said.log => RET_LOG,
        ActionKind::Allow | ActionKind::Emulate => RET_ALLOW,
        ActionKind::KillProcess => RET_KILL_PROCESS,
        ActionKind::KillThread => RET_KILL_THREAD,
        ActionKind::Trap(data) => RET_TRAP | u32::from(data),
        ActionKind::Errno(errno) => RET_ERRNO | u32::from(errno),
        ActionKind::Trace(data) => RET_TRACE | u32::from(data),
    }
}

/// As that of the other shapes: what is no native call, and what is no call at all.
fn prologue(graph: &mut Graph, next: Id) -> Id {
    let (allow, refuse) = (graph.ret(RET_ALLOW), graph.ret(RET_ENOSYS));
    let x32 = graph.branch(op::JGE_K, X32_BIT, refuse, next);
    let skipped = graph.branch(op::JEQ_K, SKIPPED, allow, x32);
    let number = graph.load(bpf::NR, skipped);
    let arch = graph.branch(op::JEQ_K, AUDIT_ARCH_X86_64, number, refuse);
    graph.load(bpf::ARCH, arch)
}

/// A call that the filter judges in another way than the policy.
fn difference(policy: &Policy, insns: &[Insn]) -> Option<String> {
    /// Points of one call.
    const POINTS: usize = 5000;
    let given = Given::default();
    for nr in numbers(policy) {
        for point in Space::new(&[policy], nr, &given).points().take(POINTS) {
            let wanted = action(&eval(policy, nr, &point.args, &mut |_| Ok(false)));
            let found = cbpf::run_filter(insns, &Data::new(nr, IP, &point.args));
            if wanted != found {
                return Some(format!("{}: {found:#x}, not {wanted:#x}", point.written([false; 6])));
            }
        }
    }
    None
}
