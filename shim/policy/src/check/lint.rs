//! What a policy should not forget. Nothing here is an error, and none of it is said of a policy that
//! has one.
//!
//! | code | says |
//! |---|---|
//! | W0401 | no way to exit |
//! | N0402 | a rule for a call that normally never reaches the kernel |
//! | L0301 | a blocklist without io_uring: a second way to make most calls |
//! | L0302 | W^X for mmap, and not for mprotect |
//! | L0303 | one call restricted, and another that does the same is not |
//! | L0304 | EPERM for calls that are new: libraries fall back on ENOSYS only |

use super::names::name_of;
use super::rank::Decided;
use super::settings::Settings;
use crate::diag::{Diagnostic, Findings, quote};
use crate::load::Program;
use crate::policy::{Expr, Policy, Rule, Value};
use crate::span::Span;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls;
use ia2_core::verdict::ActionKind;

/// Calls that do what others do.
struct Alike {
    calls: &'static [&'static str],
    /// Each can do what the others do, with other arguments: a condition on one of them is lost if
    /// another has none. Else each can do what those before it do, in its own way, and a refusal is
    /// lost if a later one is allowed.
    conditions: bool,
}

const fn same(calls: &'static [&'static str]) -> Alike {
    Alike { calls, conditions: true }
}

const fn like(calls: &'static [&'static str]) -> Alike {
    Alike { calls, conditions: false }
}

const ALIKE: &[Alike] = &[
    same(&["open", "openat", "openat2", "creat", "open_by_handle_at"]),
    same(&["execve", "execveat"]),
    same(&["clone", "clone3"]),
    same(&["kill", "tkill", "tgkill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo"]),
    same(&["dup2", "dup3"]),
    same(&["rename", "renameat", "renameat2"]),
    same(&["unlink", "unlinkat"]),
    same(&["rmdir", "unlinkat"]),
    same(&["link", "linkat"]),
    same(&["symlink", "symlinkat"]),
    same(&["mkdir", "mkdirat"]),
    same(&["mknod", "mknodat"]),
    same(&["chmod", "fchmodat", "fchmodat2"]),
    same(&["chown", "lchown", "fchownat"]),
    same(&["readlink", "readlinkat"]),
    same(&["access", "faccessat", "faccessat2"]),
    same(&["stat", "lstat", "newfstatat", "statx"]),
    same(&["setxattr", "lsetxattr", "setxattrat"]),
    same(&["removexattr", "lremovexattr", "removexattrat"]),
    same(&["utime", "utimes", "futimesat", "utimensat"]),
    same(&["setrlimit", "prlimit64"]),
    same(&["accept", "accept4"]),
    same(&["ioperm", "iopl"]),
    like(&["fork", "vfork", "clone", "clone3"]),
    like(&["sendto", "sendmsg", "sendmmsg"]),
    like(&["recvfrom", "recvmsg", "recvmmsg"]),
    like(&["init_module", "finit_module"]),
    like(&["kexec_load", "kexec_file_load"]),
    like(&["process_vm_readv", "process_vm_writev", "ptrace"]),
    like(&["setuid", "setreuid", "setresuid"]),
    like(&["setgid", "setregid", "setresgid"]),
    like(&["mount", "move_mount", "fsmount", "open_tree"]),
    like(&["unshare", "setns"]),
    like(&["swapon", "swapoff"]),
    like(&["settimeofday", "clock_settime", "adjtimex", "clock_adjtime"]),
];

/// Calls that the C library answers from the vDSO.
const VDSO: &[&str] = &["gettimeofday", "clock_gettime", "time", "getcpu"];

const PROT_EXEC: u64 = 4;
const ENOSYS: u16 = 38;

struct Lint<'a> {
    policy: &'a Policy,
    settings: &'a Settings,
    decided: &'a [Decided<'a>],
}

pub(super) fn lint(
    policy: &Policy,
    program: &Program,
    settings: &Settings,
    decided: &[Decided<'_>],
    findings: &mut Findings,
) {
    let lint = Lint { policy, settings, decided };
    lint.exit(program, findings);
    lint.vdso(findings);
    lint.io_uring(findings);
    lint.write_or_execute(findings);
    for row in ALIKE {
        lint.alike(row, findings);
    }
    lint.new_calls(findings);
}

impl Lint<'_> {
    fn nr(name: &str) -> Option<u32> {
        calls::number(name)
    }

    fn rule(&self, nr: u32) -> Option<&Rule> {
        self.policy.rule_of(nr).and_then(|number| self.policy.rules.get(number))
    }

    /// Where the rule of a call reaches it, and whether by name.
    fn reached(&self, nr: u32) -> Option<(Span, bool)> {
        self.decided
            .iter()
            .flat_map(|decided| &decided.calls)
            .find_map(|reached| (reached.nr == nr).then_some((reached.span, reached.named)))
    }

    /// What a call without a rule has.
    fn unruled(&self, nr: u32) -> ActionKind {
        let since = calls::by_nr(nr).map(|call| call.since);
        let is_known =
            since.is_some_and(|since| self.policy.baseline.is_none_or(|last| since <= last));
        if is_known { self.policy.default.kind } else { self.policy.unknown.kind }
    }

    fn may_pass(&self, nr: u32) -> bool {
        let Some(rule) = self.rule(nr) else { return self.unruled(nr).lets_through() };
        (rule.then.kind.lets_through() && rule.when != Expr::False)
            || (rule.otherwise.kind.lets_through() && rule.when != Expr::True)
    }

    fn always_passes(&self, nr: u32) -> bool {
        let Some(rule) = self.rule(nr) else { return self.unruled(nr).lets_through() };
        (rule.then.kind.lets_through() || rule.when == Expr::False)
            && (rule.otherwise.kind.lets_through() || rule.when == Expr::True)
    }

    fn exit(&self, program: &Program, findings: &mut Findings) {
        let exits = ["exit_group", "exit"];
        if exits.iter().any(|name| Self::nr(name).is_none_or(|nr| self.may_pass(nr))) {
            return;
        }
        let header = program.header.as_ref().map(|header| header.span);
        let span = header.filter(|span| span.end > 0).unwrap_or(self.settings.default_span);
        let found = Diagnostic::new("W0401", span, String::from("no way to exit"));
        findings.push(found.help("allow `exit_group`, and `exit` for threads"));
    }

    fn vdso(&self, findings: &mut Findings) {
        for nr in VDSO.iter().filter_map(|name| Self::nr(name)) {
            let Some((span, true)) = self.reached(nr) else { continue };
            if self.always_passes(nr) {
                continue;
            }
            let message = text!(quote(&name_of(nr)), " normally never reaches the kernel");
            let found = Diagnostic::new("N0402", span, message);
            findings
                .push(found.help("the C library answers it from the vDSO, where no rule applies"));
        }
    }

    fn io_uring(&self, findings: &mut Findings) {
        let setup = Self::nr("io_uring_setup");
        let Some(nr) = setup.filter(|nr| self.may_pass(*nr)) else { return };
        if !self.policy.default.kind.lets_through() {
            return;
        }
        let span = self.reached(nr).map_or(self.settings.default_span, |(span, _)| span);
        let message = String::from("a blocklist that allows `io_uring_setup`");
        let found = Diagnostic::new("L0301", span, message);
        findings.push(
            found.help(
                "what is submitted to a ring passes no filter: `io_uring_setup : errno ENOSYS`",
            ),
        );
    }

    fn write_or_execute(&self, findings: &mut Findings) {
        let asks = |nr: u32| self.rule(nr).is_some_and(|rule| asks_exec(&rule.when));
        let Some(mmap) = Self::nr("mmap").filter(|nr| asks(*nr)) else { return };
        let mut others = ["mprotect", "pkey_mprotect"].iter().filter_map(|name| Self::nr(name));
        if let Some(nr) = others.find(|nr| self.may_pass(*nr) && !asks(*nr)) {
            let span = self.reached(mmap).map_or_else(Span::default, |(span, _)| span);
            let name = quote(&name_of(nr));
            let message = text!("`mmap` looks at PROT_EXEC, but ", name, " does not");
            let found = Diagnostic::new("L0302", span, message);
            let help = "memory can be made executable later: give both the condition";
            findings.push(found.help(help));
        }
    }

    /// Whether the policy means to keep this call from doing what it does. ENOSYS only says: use
    /// another one.
    fn is_restricted(&self, nr: u32, conditions: bool) -> bool {
        let Some(rule) = self.rule(nr) else { return false };
        let refusal = if rule.when == Expr::True { rule.then.kind } else { rule.otherwise.kind };
        let restricted = if conditions { !self.always_passes(nr) } else { !self.may_pass(nr) };
        restricted && refusal != ActionKind::Errno(ENOSYS)
    }

    /// Complains once of each row.
    fn alike(&self, row: &Alike, findings: &mut Findings) {
        let mut all = row.calls.iter().filter_map(|name| Self::nr(name));
        let mut passed = Vec::new();
        let restricted = all.find(|nr| {
            let found = self.is_restricted(*nr, row.conditions);
            if !found && row.conditions {
                passed.push(*nr);
            }
            found
        });
        let Some(restricted) = restricted else { return };
        let mut others = passed.into_iter().chain(all);
        let Some(free) = others.find(|nr| self.always_passes(*nr)) else { return };
        let span = self.reached(restricted).map_or_else(Span::default, |(span, _)| span);
        let (restricted, free) = (quote(&name_of(restricted)), quote(&name_of(free)));
        let message = text!(restricted, " is restricted, but ", free, " is not");
        let found = Diagnostic::new("L0303", span, message);
        findings.push(found.help("the one can do what the other does"));
    }

    fn new_calls(&self, findings: &mut Findings) {
        let is_other =
            |kind: ActionKind| matches!(kind, ActionKind::Errno(number) if number != ENOSYS);
        let help = "libraries try new calls, and fall back on ENOSYS only";
        if is_other(self.policy.unknown.kind) {
            let span = self.settings.unknown_span.unwrap_or(self.settings.default_span);
            let message = String::from("calls that are newer than this policy do not get ENOSYS");
            let found = Diagnostic::new("L0304", span, message);
            findings.push(found.help(text!(help, ": `unknown errno ENOSYS`")));
        } else if is_other(self.policy.default.kind) && self.policy.baseline.is_none() {
            let span = self.settings.default_span;
            let message = String::from("without a `baseline`, no call counts as new");
            let found = Diagnostic::new("L0304", span, message);
            findings.push(found.help(text!(help, ": `baseline linux 6.3`, the kernel you know")));
        }
    }
}

/// Whether a condition compares bits that PROT_EXEC is among.
fn asks_exec(expr: &Expr) -> bool {
    match expr {
        Expr::Not(inner) => asks_exec(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().any(asks_exec),
        Expr::Compare { left, right, .. } => {
            is_prot(left) && (constant(left) | constant(right)) & PROT_EXEC != 0
        }
        Expr::In { value, .. } => is_prot(value),
        _ => false,
    }
}

/// The argument `prot` of all three calls.
fn is_prot(value: &Value) -> bool {
    match value {
        Value::Argument(index) => *index == 2,
        Value::And(left, right) | Value::Or(left, right) | Value::Xor(left, right) => {
            is_prot(left) || is_prot(right)
        }
        Value::Shl(inner, _) | Value::Not(inner) => is_prot(inner),
        Value::Constant(_) | Value::Number => false,
    }
}

fn constant(value: &Value) -> u64 {
    match value {
        Value::Constant(bits) => *bits,
        Value::And(left, right) | Value::Or(left, right) | Value::Xor(left, right) => {
            constant(left) | constant(right)
        }
        Value::Shl(inner, _) | Value::Not(inner) => constant(inner),
        Value::Argument(_) | Value::Number => 0,
    }
}
