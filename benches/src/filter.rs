//! What a call costs under filters of many rules: ours, and others that say the same.
//!
//! The rules are numbers that no kernel knows, each allowed if its first argument is its own. So the kernel's
//! bitmap, which answers known numbers that are always allowed, has no part in it, and a call that a filter
//! allows takes the shortest way there is through the kernel.
//!
//! A filter cannot be taken off, so each batch has a forked child of its own. It makes its calls, and its
//! exit, where the gate's `fast` makes them, since ours trap everywhere else.
//!
//! # Safety
//!
//! The code at the gate's address is written here, before the first child, and a child runs nothing but this
//! file: it shares no lock with anybody, and ends by a system call.
#![allow(unsafe_code, reason = "mmap, fork and waitpid; calls made at the gate's address")]

use crate::floor::{address_filter, install_filter};
use crate::site::CALLS_PER_CHUNK;
use crate::worker::CHUNKS_PER_BATCH;
use core::ffi::c_int;
use core::fmt::Write as _;
use core::ptr;
use ia2_core::bpf::{self, Insn, RET_ALLOW, RET_ENOSYS, RET_ERRNO, RET_TRAP, X32_BIT};
use ia2_core::calls::Width;
use ia2_core::cbpf::op;
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER, GATE, RAW_AFTER};
use ia2_core::verdict::ActionKind;
use ia2_policy::compile::compile;
use ia2_policy::policy::{Action, Expr, Op, Policy, Rule, Value};
use ia2_policy::span::Span;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Who makes the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// No filter.
    Nobody,
    /// Address and number, as `address-filter`.
    Address,
    /// This project's compiler, the shape `strict`.
    Ours,
    /// The address as well, then one number after the other.
    Linear,
    /// libseccomp as it is used most: one number after the other, without the address.
    Libseccomp,
    /// libseccomp with `SCMP_FLTATR_CTL_OPTIMIZE` 2: a binary search, without the address.
    LibseccompTree,
}

impl Maker {
    /// Those whose filters have rules.
    pub(crate) const RULED: [Self; 4] =
        [Self::Ours, Self::Linear, Self::Libseccomp, Self::LibseccompTree];

    /// Name in the table and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nobody => "no filter",
            Self::Address => "address-filter",
            Self::Ours => "ours",
            Self::Linear => "linear",
            Self::Libseccomp => "libseccomp",
            Self::LibseccompTree => "libseccomp, tree",
        }
    }
}

/// How many rules there are. Ours needs about ten instructions for each, since it also tells the shim which
/// rule refused a call; the last is about as many as there is room for.
pub(crate) const RULES: [u32; 4] = [1, 10, 100, 380];

/// The number of rule `index`.
const fn nr(index: u32) -> u32 {
    1000 + 3 * index
}

/// What is refused by a rule.
const REFUSED: u16 = libc::EPERM as u16;

/// One filter and one call.
pub(crate) struct Row {
    pub(crate) maker: Maker,
    pub(crate) rules: u32,
    /// Instructions of the filter.
    pub(crate) len: usize,
    /// Which rule the call has.
    pub(crate) index: u32,
    /// Nanoseconds per chunk.
    pub(crate) chunks: Vec<u32>,
}

impl Row {
    /// Whether its call has the last rule, if not the first.
    pub(crate) fn is_late(&self) -> bool {
        self.index > 0
    }
}

/// Measures all of them in turn, `turns` times, in the opposite order every other time.
pub(crate) fn measure(turns: usize) -> Result<Vec<Row>, String> {
    map_gate()?;
    let shared = Shared::map()?;
    let mut all: Vec<(Row, Vec<libc::sock_filter>)> = Vec::new();
    let mut add = |maker, rules, index, filter: &[libc::sock_filter]| {
        let len = filter.len();
        all.push((Row { maker, rules, len, index, chunks: Vec::new() }, filter.to_vec()));
    };
    add(Maker::Nobody, 0, 0, &[]);
    add(Maker::Address, 0, 0, &address_filter([FAST_AFTER, ARGS_AFTER, RAW_AFTER])?);
    for rules in RULES {
        for maker in Maker::RULED {
            let filter = kernel(&filter(maker, rules)?);
            add(maker, rules, 0, &filter);
            if rules > 1 {
                add(maker, rules, rules - 1, &filter);
            }
        }
    }
    for turn in 0..turns {
        let mut order: Vec<_> = all.iter_mut().collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for (row, filter) in order {
            let wrong = |what| format!("{}, {} rules: {what}", row.maker.name(), row.rules);
            row.chunks.extend(batch(&shared, filter, row.index).map_err(wrong)?);
        }
    }
    Ok(all.into_iter().map(|(row, _)| row).collect())
}

// Filters.

fn filter(maker: Maker, rules: u32) -> Result<Vec<Insn>, String> {
    match maker {
        Maker::Ours => {
            let compiled = compile(&policy(rules));
            Ok(compiled.map_err(|errors| format!("{errors:?}"))?.strict)
        }
        Maker::Linear => Ok(linear(rules)),
        Maker::Libseccomp => libseccomp(rules, 1),
        Maker::LibseccompTree => libseccomp(rules, 2),
        Maker::Nobody | Maker::Address => Err("it has no rules".to_owned()),
    }
}

fn policy(rules: u32) -> Policy {
    let action = |kind| Action { kind, ..Action::default() };
    let refused = ActionKind::Errno(REFUSED);
    let rule = |index: u32| Rule {
        span: Span::default(),
        when: Expr::Compare {
            op: Op::Eq,
            left: Value::Argument(0),
            right: Value::Constant(index.into()),
            width: Width::W64,
            signed: false,
        },
        then: action(ActionKind::Allow),
        otherwise: action(refused),
    };
    let exit = Rule { when: Expr::True, ..rule(0) };
    let mut policy =
        Policy { default: action(refused), unknown: action(refused), ..Policy::default() };
    policy.rules = core::iter::once(exit).chain((0..rules).map(rule)).collect();
    policy.calls = vec![(libc::SYS_exit_group as u32, 0)];
    policy.calls.extend((0..rules).map(|index| (nr(index), index as u16 + 1)));
    policy
}

/// Addresses as the strict filter looks at them, then every number in turn.
fn linear(rules: u32) -> Vec<Insn> {
    let insn = |code, k, jt, jf| Insn { code, jt, jf, k };
    let load = |offset| insn(op::LD_W_ABS, offset, 0, 0);
    let mut all = vec![
        load(bpf::ARCH),
        insn(op::JEQ_K, bpf::AUDIT_ARCH_X86_64, 0, 2),
        load(bpf::NR),
        insn(op::JGE_K, X32_BIT, 0, 1),
        insn(op::RET_K, RET_ENOSYS, 0, 0),
        load(bpf::IP_HIGH),
        insn(op::JEQ_K, (FAST_AFTER >> 32) as u32, 0, 4),
        load(bpf::IP_LOW),
        insn(op::JEQ_K, FAST_AFTER as u32, 3, 0),
        insn(op::JEQ_K, ARGS_AFTER as u32, 2, 0),
        insn(op::JEQ_K, RAW_AFTER as u32, 1, 0),
        insn(op::RET_K, RET_TRAP, 0, 0),
        load(bpf::NR),
    ];
    for index in 0..rules {
        all.extend([
            insn(op::JEQ_K, nr(index), 0, 4),
            load(bpf::argument(0)),
            insn(op::JEQ_K, index, 0, 1),
            insn(op::RET_K, RET_ALLOW, 0, 0),
            insn(op::RET_K, RET_ERRNO | u32::from(REFUSED), 0, 0),
        ]);
    }
    all.extend([
        insn(op::JEQ_K, libc::SYS_exit_group as u32, 0, 1),
        insn(op::RET_K, RET_ALLOW, 0, 0),
        insn(op::RET_K, RET_ERRNO | u32::from(REFUSED), 0, 0),
    ]);
    all
}

/// Has libseccomp make it; see the helper.
fn libseccomp(rules: u32, level: u32) -> Result<Vec<Insn>, String> {
    const HELPER: &str = include_str!("../../shim/policy/tests/libseccomp.c");
    let folder = std::env::temp_dir().join(format!("ia2-bench-{}-seccomp", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let made = || -> Result<Vec<u8>, String> {
        let (source, program) = (folder.join("scmp.c"), folder.join("scmp"));
        let told = |path: &Path, e| format!("{}: {e}", path.display());
        std::fs::write(&source, HELPER).map_err(|e| told(&source, e))?;
        let built =
            Command::new("cc").arg(&source).arg("-o").arg(&program).arg("-lseccomp").status();
        if !built.is_ok_and(|status| status.success()) {
            return Err("libseccomp or cc is missing: scripts/deps cc libseccomp".to_owned());
        }
        let mut text = format!("{level} {REFUSED}\n{} 0\n", libc::SYS_exit_group);
        for index in 0..rules {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} 1 0 0 0 {index}", nr(index));
        }
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| told(&program, e))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes()).map_err(|e| told(&program, e))?;
        }
        let output = child.wait_with_output().map_err(|e| told(&program, e))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(format!("libseccomp: {}", output.status)),
        }
    };
    let bytes = made();
    let _ = std::fs::remove_dir_all(&folder);
    let bytes = bytes?;
    let rows = bytes.as_chunks::<8>().0.iter();
    Ok(rows
        .map(|&[a, b, jt, jf, c, d, e, f]| Insn {
            code: u16::from_le_bytes([a, b]),
            jt,
            jf,
            k: u32::from_le_bytes([c, d, e, f]),
        })
        .collect())
}

fn kernel(insns: &[Insn]) -> Vec<libc::sock_filter> {
    let insn = |&Insn { code, jt, jf, k }: &Insn| libc::sock_filter { code, jt, jf, k };
    insns.iter().map(insn).collect()
}

// Children.

/// `mov %rdi,%rax; mov %rsi,%rdi; syscall; ret`, so that the address after the `syscall` is the gate's.
const CODE: [u8; 9] = [0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x0f, 0x05, 0xc3];
/// Where it starts.
const CODE_ADDR: u64 = FAST_AFTER - CODE.len() as u64 + 1;

fn map_gate() -> Result<(), String> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: nothing of this process is replaced; the page is ours for good, and CODE lies within.
    unsafe {
        let page =
            libc::mmap(GATE as *mut _, 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page as u64 != GATE {
            return Err(format!("the gate's address: {}", std::io::Error::last_os_error()));
        }
        ptr::copy_nonoverlapping(CODE.as_ptr(), CODE_ADDR as *mut u8, CODE.len());
        libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC);
    }
    Ok(())
}

/// Makes a call with one argument, at the gate's address.
fn call(nr: u32, arg: u64) -> i64 {
    // SAFETY: the code keeps the C convention; the calls are such that no kernel knows, and exit_group.
    unsafe {
        let code: extern "C" fn(u64, u64) -> i64 =
            core::mem::transmute(CODE_ADDR as *const core::ffi::c_void);
        code(nr.into(), arg)
    }
}

/// What a child leaves: the times of its chunks.
struct Shared(*mut [u32; CHUNKS_PER_BATCH]);

impl Shared {
    fn map() -> Result<Self, String> {
        let (prot, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new page, which stays.
        let page = unsafe { libc::mmap(ptr::null_mut(), 4096, prot, flags, -1, 0) };
        match page == libc::MAP_FAILED {
            true => Err(format!("shared memory: {}", std::io::Error::last_os_error())),
            false => Ok(Self(page.cast())),
        }
    }

    fn write(&self, chunks: [u32; CHUNKS_PER_BATCH]) {
        // SAFETY: the page is larger, and only one process at a time uses it.
        unsafe { self.0.write_volatile(chunks) }
    }

    fn read(&self) -> [u32; CHUNKS_PER_BATCH] {
        // SAFETY: as above.
        unsafe { self.0.read_volatile() }
    }
}

/// Why a child ended: its exit status.
const NOT_INSTALLED: c_int = 3;
const WRONG_ANSWER: c_int = 4;

/// A child that installs the filter and makes the calls of rule `index`.
fn batch(
    shared: &Shared,
    filter: &[libc::sock_filter],
    index: u32,
) -> Result<[u32; CHUNKS_PER_BATCH], String> {
    shared.write([0; CHUNKS_PER_BATCH]);
    // SAFETY: this process has one thread, so the child may call anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let status = match filter.is_empty() || install_filter(filter).is_ok() {
            true => child(shared, index),
            false => NOT_INSTALLED,
        };
        loop {
            call(libc::SYS_exit_group as u32, status as u64);
        }
    }
    let mut status = 0;
    // SAFETY: `status` is ours to write. A pid of -1 finds no child, which is told below.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    match (pid > 0 && waited == pid, status) {
        (true, 0) => Ok(shared.read()),
        (true, status) => Err(format!(
            "the child ended with wait status {status:#x} ({NOT_INSTALLED}00: no filter, {WRONG_ANSWER}00: \
             wrong answer)"
        )),
        _ => Err(format!("fork: {}", std::io::Error::last_os_error())),
    }
}

fn child(shared: &Shared, index: u32) -> c_int {
    let (nr, arg) = (nr(index), u64::from(index));
    if call(nr, arg) != -i64::from(libc::ENOSYS) {
        return WRONG_ANSWER;
    }
    let chunk = || {
        for _ in 0..CALLS_PER_CHUNK {
            call(nr, arg);
        }
    };
    chunk();
    let mut chunks = [0; CHUNKS_PER_BATCH];
    for time in &mut chunks {
        let start = Instant::now();
        chunk();
        *time = u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX);
    }
    shared.write(chunks);
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ia2_core::cbpf::{Data, MAX, check, run_filter};

    #[test]
    fn all_filters_say_the_same() {
        for rules in RULES {
            let filters =
                Maker::RULED.map(|maker| (maker, filter(maker, rules).expect("it is made")));
            for (maker, insns) in &filters {
                assert_eq!(check(&insns[..], 0), Ok(()), "{maker:?}");
                assert!(insns.len() <= MAX, "{maker:?}: {}", insns.len());
                let run = |nr, arg| {
                    run_filter(&insns[..], &Data::new(nr, ARGS_AFTER, &[arg, 0, 0, 0, 0, 0]))
                };
                for index in 0..rules {
                    let wrong = u64::from(index) + 1;
                    let refused = RET_ERRNO | u32::from(REFUSED);
                    assert_eq!(run(nr(index), index.into()), RET_ALLOW, "{maker:?} {index}");
                    assert_eq!(run(nr(index), wrong), refused, "{maker:?} {index}");
                    assert_eq!(run(nr(index) + 1, index.into()), refused, "{maker:?} {index}");
                }
                assert_eq!(run(libc::SYS_exit_group as u32, 0), RET_ALLOW, "{maker:?}");
            }
        }
    }

    #[test]
    fn a_filter_that_refuses_is_told() {
        map_gate().expect("the gate's address is free");
        let shared = Shared::map().expect("a page");
        let refuse = kernel(&linear(1));
        assert!(batch(&shared, &refuse, 0).is_ok());
        // No rule has this number.
        let error = batch(&shared, &refuse, 7).expect_err("it is refused");
        assert!(error.contains("0x400"), "{error}");
    }
}
