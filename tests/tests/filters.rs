//! Filters in the kernel: children take them, make calls, and leave what they got in shared memory. Our
//! machine must have said the same of each program, and of each call.
//!
//! A compiled policy lets calls pass from the gate only, so the children have a gate: a page at the
//! gate's address with a `SYSCALL` at each of its places.

#![allow(unsafe_code, reason = "fork, raw system calls, and a page of code")]

#[path = "../../shim/policy/tests/common/mod.rs"]
mod common;

use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicI64, Ordering};
use ia2_core::bpf::{Insn, RET_ALLOW, RET_ERRNO, RET_TRACE, RET_TRAP};
use ia2_core::cbpf::{Data, check, op, run_filter};
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER, GATE, RAW_AFTER};
use ia2_core::verdict::ActionKind;
use ia2_policy::compile::compile;
use ia2_policy::policy::{Action, Policy};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// What a child leaves.
struct Shared {
    slots: &'static [AtomicI64],
}

impl Shared {
    /// Written over by every call that comes back.
    const NOTHING: i64 = i64::MIN;

    fn new(len: usize) -> Self {
        // SAFETY: fresh memory, of integers.
        let slots = unsafe {
            let addr = libc::mmap(
                ptr::null_mut(),
                len * 8,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(addr, libc::MAP_FAILED);
            core::slice::from_raw_parts(addr.cast::<AtomicI64>(), len)
        };
        for slot in slots {
            slot.store(Self::NOTHING, Ordering::Relaxed);
        }
        Self { slots }
    }

    fn get(&self, at: usize) -> Option<i64> {
        Some(self.slots[at].load(Ordering::Relaxed)).filter(|value| *value != Self::NOTHING)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and the children are gone.
        unsafe { libc::munmap(self.slots.as_ptr().cast_mut().cast(), size_of_val(self.slots)) };
    }
}

/// Runs `child` in a process of its own, and gives the status with which that ends.
///
/// # Safety
/// `child` must not allocate or lock: another thread may have held the lock.
unsafe fn in_child(child: impl FnOnce()) -> i32 {
    // SAFETY: the caller's promise; the child does not return.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0, "no child");
        if pid == 0 {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            child();
            // Not by a call, which a filter could refuse.
            asm!("ud2", options(noreturn));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        status
    }
}

/// Has the kernel take a filter: 0, or an errno with its sign turned.
fn take(insns: &[Insn]) -> i64 {
    let program =
        libc::sock_fprog { len: insns.len() as u16, filter: insns.as_ptr().cast_mut().cast() };
    // SAFETY: the program lives while the calls are made.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return -1;
        }
        raw(libc::SYS_seccomp as u32, [1, 0, (&raw const program).addr() as u64, 0, 0, 0])
    }
}

/// Makes a call from here.
///
/// # Safety
/// As the call.
unsafe fn raw(nr: u32, [a, b, c, d, e, f]: [u64; 6]) -> i64 {
    let result;
    // SAFETY: the caller's promise; SYSCALL destroys rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") i64::from(nr) => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// Makes a call from the gate, whose `SYSCALL` ends at `after`.
///
/// # Safety
/// As the call, and there must be a gate.
unsafe fn from_gate(after: u64, nr: u32, [a, b, c, d, e, f]: [u64; 6]) -> i64 {
    let result;
    // SAFETY: the caller's promise; at the gate a `ret` follows.
    unsafe {
        asm!(
            "call r12",
            in("r12") after - 2,
            inlateout("rax") i64::from(nr) => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// `si_errno` of the last SIGSYS.
static TRAPPED: AtomicI64 = AtomicI64::new(-1);

extern "C" fn on_sigsys(_signal: i32, info: *const [i32; 32], _context: *const u8) {
    // SAFETY: the kernel's siginfo; the second word is the errno.
    let [_, errno, ..] = unsafe { *info };
    TRAPPED.store(errno.into(), Ordering::Relaxed);
}

/// Maps a gate, and a handler of SIGSYS that returns through it.
///
/// # Safety
/// Only in a child.
unsafe fn make_gate() -> bool {
    const MOV_EAX_RT_SIGRETURN: [u8; 5] = [0xb8, 15, 0, 0, 0];
    const SYSCALL_RET: [u8; 3] = [0x0f, 0x05, 0xc3];
    const SA_RESTORER: u64 = 0x0400_0000;
    let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a page of our own, in a place where nobody else is.
    unsafe {
        let gate = ptr::with_exposed_provenance_mut::<libc::c_void>(GATE as usize);
        let page = libc::mmap(gate, 4096, prot, flags, -1, 0);
        if page != gate {
            return false;
        }
        let put = |at: u64, bytes: &[u8]| {
            let to = page.cast::<u8>().add((at - GATE) as usize);
            ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        };
        for after in [FAST_AFTER, ARGS_AFTER, RAW_AFTER] {
            put(after - 2, &SYSCALL_RET);
        }
        put(RAW_AFTER - 7, &MOV_EAX_RT_SIGRETURN);
        let handler: extern "C" fn(i32, *const [i32; 32], *const u8) = on_sigsys;
        let flags = libc::SA_SIGINFO as u64 | SA_RESTORER;
        let action = [handler as usize as u64, flags, RAW_AFTER - 7, 0];
        let action = (&raw const action).addr() as u64;
        let sigsys = libc::SIGSYS as u64;
        raw(libc::SYS_rt_sigaction as u32, [sigsys, action, 0, 8, 0, 0]) == 0
    }
}

/// Calls that ignore their arguments, give the same each time, and do no harm. The last one is none.
const HARMLESS: [u32; 10] = [24, 39, 102, 104, 107, 108, 110, 111, 186, 600];

/// What a trap leaves: no result of a call is as large.
const TRAP: i64 = 1 << 40;

/// What a call gives if the filter says this.
fn expected(action: u32, native: i64) -> i64 {
    let data = i64::from(action & 0xffff);
    match action & 0xffff_0000 {
        RET_ALLOW => native,
        RET_ERRNO => -data,
        RET_TRAP => TRAP + data,
        // There is no tracer.
        RET_TRACE => -i64::from(libc::ENOSYS),
        _ => panic!("{action:#x} would be the end"),
    }
}

/// A policy that is about harmless calls, and kills nobody.
fn tamed(mut policy: Policy) -> Policy {
    let tame = |action: &mut Action| {
        if matches!(action.kind, ActionKind::KillProcess | ActionKind::KillThread) {
            action.kind = ActionKind::Errno(99);
        }
    };
    let rules = policy.rules.len();
    for rule in &mut policy.rules {
        tame(&mut rule.then);
        tame(&mut rule.otherwise);
    }
    tame(&mut policy.default);
    tame(&mut policy.unknown);
    let numbers = HARMLESS.iter().enumerate().skip(1);
    policy.calls = numbers.map(|(at, nr)| (*nr, (at % rules) as u16)).collect();
    policy
}

#[test]
fn compiled_policies_say_to_the_kernel_what_they_say_to_us() {
    let mut runner = TestRunner::deterministic();
    let policies = common::policy(common::condition());
    let trials = proptest::collection::vec(common::args(), 12);
    let calls = HARMLESS.len() * 12 * 4;
    let shared = Shared::new(calls + HARMLESS.len());
    let mut kinds = [0u32; 4];
    for round in 0..80 {
        let policy = tamed(policies.new_tree(&mut runner).unwrap().current());
        let trials = trials.new_tree(&mut runner).unwrap().current();
        let compiled = compile(&policy).expect("it compiles");
        let insns = if round % 2 == 0 { &compiled.strict } else { &compiled.inspected };
        let places = [FAST_AFTER, ARGS_AFTER, RAW_AFTER, FAST_AFTER + 0x700];
        let all = HARMLESS.iter().flat_map(|nr| {
            trials.iter().flat_map(move |args| places.map(|after| (*nr, args, after)))
        });
        // SAFETY: the child makes harmless calls, writes to its slots, and ends.
        let status = unsafe {
            in_child(|| {
                if !make_gate() {
                    return;
                }
                // A `SYSCALL` that is not the gate's.
                let other = ptr::with_exposed_provenance_mut::<[u8; 3]>(GATE as usize + 0x729);
                other.write([0x0f, 0x05, 0xc3]);
                let (results, natives) = shared.slots.split_at(calls);
                for (slot, nr) in natives.iter().zip(HARMLESS) {
                    slot.store(raw(nr, [0; 6]), Ordering::Relaxed);
                }
                if take(insns) != 0 {
                    return;
                }
                for (slot, (nr, args, after)) in results.iter().zip(all.clone()) {
                    TRAPPED.store(-1, Ordering::Relaxed);
                    let result = from_gate(after, nr, *args);
                    let errno = TRAPPED.load(Ordering::Relaxed);
                    // The call that trapped is as it was: its number is in the register.
                    let is_rolled_back = errno >= 0 && result == i64::from(nr);
                    let result = if is_rolled_back { TRAP + errno } else { result };
                    slot.store(result, Ordering::Relaxed);
                }
                from_gate(RAW_AFTER, libc::SYS_exit_group as u32, [7, 0, 0, 0, 0, 0]);
            })
        };
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:#x}");
        for (at, (nr, args, after)) in all.enumerate() {
            let action = run_filter(&insns[..], &Data::new(nr, after, args));
            let native = HARMLESS.iter().position(|one| *one == nr).expect("one of them");
            let native = shared.get(calls + native).expect("it was made");
            let got = shared.get(at);
            assert_eq!(
                got,
                Some(expected(action, native)),
                "{nr} {args:x?} {after:#x} {action:#x}"
            );
            kinds[match action & 0xffff_0000 {
                RET_ALLOW => 0,
                RET_ERRNO => 1,
                RET_TRAP => 2,
                _ => 3,
            }] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 100), "hardly anything was tried: {kinds:?}");
}

#[test]
fn killed_is_killed() {
    for kind in [ActionKind::KillProcess, ActionKind::KillThread] {
        let mut policy = Policy::default();
        policy.rules.push(common::rule(
            common::equals(0, 5, ia2_core::calls::Width::W32),
            kind,
            ActionKind::Allow,
        ));
        policy.calls = vec![(110, 0)];
        let compiled = compile(&policy).expect("it compiles");
        for (first, after, ends) in [
            (5, FAST_AFTER, true),
            (5, RAW_AFTER, true),
            (5 | 1 << 32, ARGS_AFTER, true),
            (6, FAST_AFTER, false),
        ] {
            // SAFETY: harmless calls.
            let status = unsafe {
                in_child(|| {
                    if make_gate() && take(&compiled.strict) == 0 {
                        from_gate(after, 110, [first, 0, 0, 0, 0, 0]);
                        from_gate(RAW_AFTER, libc::SYS_exit_group as u32, [7, 0, 0, 0, 0, 0]);
                    }
                })
            };
            let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS;
            let exited = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7;
            assert!(if ends { killed } else { exited }, "{kind:?} {first:#x} {status:#x}");
        }
    }
}

/// All operations that there are, and some that there are not.
const CODES: [u16; 46] = [
    op::LD_IMM,
    op::LD_W_ABS,
    op::LD_W_ABS,
    op::LD_W_ABS,
    op::LD_MEM,
    op::LD_MEM,
    op::LD_W_LEN,
    op::LDX_IMM,
    op::LDX_MEM,
    op::LDX_W_LEN,
    op::ST,
    op::ST,
    op::STX,
    op::ADD_K,
    op::ADD_X,
    op::SUB_K,
    op::SUB_X,
    op::MUL_K,
    op::MUL_X,
    op::DIV_K,
    op::DIV_X,
    op::OR_K,
    op::OR_X,
    op::AND_K,
    op::AND_X,
    op::LSH_K,
    op::LSH_X,
    op::RSH_K,
    op::RSH_X,
    op::NEG,
    op::XOR_K,
    op::XOR_X,
    op::JA,
    op::JEQ_K,
    op::JEQ_X,
    op::JGT_K,
    op::JGT_X,
    op::JGE_K,
    op::JGE_X,
    op::JSET_K,
    op::JSET_X,
    op::RET_K,
    op::RET_A,
    op::TAX,
    op::TXA,
    op::TAX,
];

fn insn(
    codes: impl Strategy<Value = u16>,
    ks: impl Strategy<Value = u32>,
) -> impl Strategy<Value = Insn> {
    (codes, 0..4u8, 0..4u8, ks).prop_map(|(code, jt, jf, k)| Insn { code, jt, jf, k })
}

/// Constants that fit operations of some kind, mostly.
fn small() -> impl Strategy<Value = u32> {
    proptest::prop_oneof![
        4 => 0..4u32,
        2 => (0..16u32).prop_map(|word| word * 4),
        1 => 0..70u32,
        1 => any::<u32>(),
    ]
}

#[test]
fn kernel_takes_the_programs_that_we_take() {
    let code = proptest::prop_oneof![
        60 => proptest::sample::select(CODES.to_vec()),
        1 => any::<u16>(),
        1 => 0..0x100u16,
    ];
    let end = proptest::prop_oneof![
        20 => proptest::sample::select(vec![op::RET_K, op::RET_A]).boxed(),
        1 => proptest::sample::select(CODES.to_vec()).boxed(),
    ];
    let body = proptest::collection::vec(insn(code, small()), 0..9);
    let programs = (body, insn(end, small())).prop_map(|(mut body, end)| {
        body.push(end);
        body
    });
    let mut runner = TestRunner::deterministic();
    let shared = Shared::new(1);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..3000 {
        let program = programs.new_tree(&mut runner).unwrap().current();
        shared.slots[0].store(Shared::NOTHING, Ordering::Relaxed);
        // SAFETY: the child takes a filter, says so, and ends.
        unsafe { in_child(|| shared.slots[0].store(take(&program), Ordering::Relaxed)) };
        let got = shared.get(0).expect("the child could say it");
        let fault = check(&program[..], 0);
        let wanted = if fault.is_ok() { 0 } else { -i64::from(libc::EINVAL) };
        assert_eq!(got, wanted, "{fault:?} {program:?}");
        *(if fault.is_ok() { &mut taken } else { &mut refused }) += 1;
    }
    assert!(taken > 300 && refused > 300, "{taken} were taken and {refused} refused");
    // The longest, and one that is longer.
    for (len, wanted) in [(0, -libc::EINVAL), (1, 0), (4096, 0), (4097, -libc::EINVAL)] {
        let program = vec![Insn { code: op::RET_K, jt: 0, jf: 0, k: RET_ALLOW }; len];
        // SAFETY: as above.
        unsafe { in_child(|| shared.slots[0].store(take(&program), Ordering::Relaxed)) };
        assert_eq!(shared.get(0), Some(wanted.into()), "{len}");
        assert_eq!(check(&program[..], 0).is_ok(), wanted == 0, "{len}");
    }
}

#[test]
fn kernel_computes_what_we_compute() {
    // What is returned is always an errno below 256, whatever was computed.
    const ENDING: [Insn; 3] = [
        Insn { code: op::AND_K, jt: 0, jf: 0, k: 0xff },
        Insn { code: op::OR_K, jt: 0, jf: 0, k: RET_ERRNO },
        Insn { code: op::RET_A, jt: 0, jf: 0, k: 0 },
    ];
    let codes: Vec<u16> =
        CODES.iter().copied().filter(|code| ![op::RET_K, op::RET_A].contains(code)).collect();
    let ks = proptest::prop_oneof![
        3 => 0..32u32,
        2 => (4..16u32).prop_map(|word| word * 4),
        1 => common::number().prop_map(|number| number as u32),
    ];
    let body = proptest::collection::vec(insn(proptest::sample::select(codes), ks), 1..24);
    let trials = proptest::collection::vec(common::args(), 8);
    let mut runner = TestRunner::deterministic();
    let shared = Shared::new(8);
    let (mut tried, mut killed) = (0, 0);
    while tried < 400 {
        let mut program = body.new_tree(&mut runner).unwrap().current();
        // Bits from all over end up in the low byte.
        for by in [16, 8] {
            program.extend([
                Insn { code: op::ST, jt: 0, jf: 0, k: 0 },
                Insn { code: op::RSH_K, jt: 0, jf: 0, k: by },
                Insn { code: op::LDX_MEM, jt: 0, jf: 0, k: 0 },
                Insn { code: op::XOR_X, jt: 0, jf: 0, k: 0 },
            ]);
        }
        program.extend(ENDING);
        if check(&program[..], 0).is_err() {
            continue;
        }
        tried += 1;
        let trials = trials.new_tree(&mut runner).unwrap().current();
        for slot in shared.slots {
            slot.store(Shared::NOTHING, Ordering::Relaxed);
        }
        // SAFETY: a harmless call.
        let status = unsafe {
            in_child(|| {
                if take(&program) != 0 {
                    return;
                }
                for (slot, args) in shared.slots.iter().zip(&trials) {
                    // The address is not to be known here; no other word of the data differs.
                    slot.store(raw(110, *args), Ordering::Relaxed);
                }
            })
        };
        let reads_address =
            program.iter().any(|insn| insn.code == op::LD_W_ABS && [8, 12].contains(&insn.k));
        if reads_address {
            continue;
        }
        for (at, args) in trials.iter().enumerate() {
            match run_filter(&program[..], &Data::new(110, 0, args)) {
                // A division by zero.
                0 => {
                    killed += 1;
                    assert_eq!(shared.get(at), None, "{args:x?} {program:?}");
                    assert_eq!(libc::WTERMSIG(status), libc::SIGSYS);
                    break;
                }
                action => {
                    let errno = i64::from(action & 0xffff);
                    assert_eq!(shared.get(at), Some(-errno), "{args:x?} {program:?}");
                }
            }
        }
    }
    assert!(killed > 0, "nobody divided by zero");
}
