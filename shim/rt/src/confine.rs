//! How the program confines itself: seccomp filters of its own, and no_new_privs.
//!
//! A filter of the program judges every call, also those that the shim makes for itself: a program
//! that allows itself read, write and exit would die of the first signal mask that the shim sets. So a
//! filter is installed with a few instructions before it ([`Filter::exempt`]) that let the calls of
//! [`OWN`] pass where the shim makes them. What the shim does in the program's name (mmap, clone, a
//! signal action) is still judged. After a filter nothing is patched live any more, and no statistics are
//! written, for both take calls that are not in the list.
//!
//! Syscall User Dispatch of the program works with the gate's `fast` call as what is dispatched, and the
//! rest of the gate as the range that is not; the calls that the shim makes in the program's name are
//! compared with the selector here. A range of the program's own would have to be compared with each
//! call, so it is refused, as by a kernel without the feature; so is all of it where the backstop is
//! the same thing.
//!
//! The program is told of its own filters, and of its own no_new_privs, not of the shim's.

use crate::abi::SYS_USER_DISPATCH;
use crate::abi::errno::{EACCES, EINVAL};
use crate::block::{self, Block};
use crate::state::{self, Backstop};
use crate::sys::{PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP};
use crate::{gate, lock, signal, stats, sys, usermem};
use core::sync::atomic::{AtomicU64, Ordering};
use ia2_core::bpf::Filter;
use ia2_core::layout::GATE;
use ia2_core::nr;
use ia2_core::regs::Frame;
use linux_raw_sys::general as k;

const PR_SET_SECCOMP: u32 = 22;
const PR_SET_NO_NEW_PRIVS: u32 = 38;
const PR_SET_SYSCALL_USER_DISPATCH: u32 = 59;
const PR_SYS_DISPATCH_ON: u64 = 1;
const SET_MODE_FILTER: u32 = 1;
const FLAG_TSYNC: u64 = 1;
const MODE_FILTER: u64 = 2;
/// Most instructions of a filter (`BPF_MAXINSNS`).
const MAX: usize = 4096;

/// What the shim calls for itself at any time, and what of it nobody would miss in a sandbox: masks,
/// signal frames, its stack and handlers, raising a signal again, the base of gs, and sleep in a lock.
const OWN: [u32; 9] = [
    nr::RT_SIGACTION,
    nr::RT_SIGPROCMASK,
    nr::RT_SIGRETURN,
    k::__NR_nanosleep,
    k::__NR_getpid,
    nr::SIGALTSTACK,
    nr::ARCH_PRCTL,
    k::__NR_gettid,
    k::__NR_rt_tgsigqueueinfo,
];

/// The filter being installed. Guarded by [`lock::PATCH`].
static BUFFER: [AtomicU64; MAX] = [const { AtomicU64::new(0) }; MAX];

/// prctl(2).
pub fn prctl(block: &Block, args: [u64; 6]) {
    let [option, b, c, d, e, _] = args;
    match option as u32 {
        PR_GET_SECCOMP => {
            let filtered = block.filtered.load(Ordering::Relaxed);
            told(block, args, if filtered { MODE_FILTER.cast_signed() } else { 0 });
        }
        PR_GET_NO_NEW_PRIVS if b | c | d | e == 0 => {
            told(block, args, block.no_new_privs.load(Ordering::Relaxed).into());
        }
        PR_SET_NO_NEW_PRIVS if b == 1 && c | d | e == 0 => {
            block.no_new_privs.store(true, Ordering::Relaxed);
            block.pass();
        }
        PR_SET_SECCOMP if b == MODE_FILTER => add(block, nr::PRCTL, args, 0),
        PR_SET_SYSCALL_USER_DISPATCH => user_dispatch(block, args),
        _ => block.pass(),
    }
}

/// A question that the program's filters may refuse; else the answer is `value`.
fn told(block: &Block, args: [u64; 6], value: i64) {
    let result = sys::pass(nr::PRCTL, args);
    block.done(if result < 0 { result } else { value });
}

fn user_dispatch(block: &Block, args: [u64; 6]) {
    const USER_END: u64 = 1 << 47; // a selector past it is EFAULT
    let [option, operation, offset, len, selector, _] = args;
    let whole = offset <= GATE && gate::GATE_END <= offset.saturating_add(len);
    let mut args = args;
    if operation == PR_SYS_DISPATCH_ON && !whole {
        if (offset, len) == (0, 0) {
            let len = gate::GATE_END - gate::ARGS;
            args = [option, operation, gate::ARGS, len, selector, 0];
        } else if len != 0 && offset.checked_add(len).is_some() && selector < USER_END {
            return block.done(-i64::from(EINVAL));
        }
    }
    if state::backstop() == Backstop::Sud {
        return block.done(-i64::from(EINVAL));
    }
    let result = sys::pass(nr::PRCTL, args);
    if result == 0 {
        block.selector.set(if whole { 0 } else { selector });
    }
    block.done(result);
}

/// Whether the call of `frame`, which the shim looks at, is one that the program dispatches to its own
/// handler of SIGSYS.
pub fn dispatched(block: &Block, frame: &Frame) -> bool {
    const ALLOW: u8 = 0;
    let selector = block.selector.get();
    if selector == 0 {
        return false;
    }
    let mut byte = ALLOW;
    let to = (&raw mut byte).addr() as u64;
    if usermem::copy(to, selector, 1).is_err() || byte == ALLOW {
        return false;
    }
    signal::raise_sigsys(frame, SYS_USER_DISPATCH, 0);
    block.done(frame.rax.cast_signed());
    true
}

/// seccomp(2).
pub fn seccomp(block: &Block, args: [u64; 6]) {
    let [operation, flags, ..] = args;
    match operation as u32 {
        SET_MODE_FILTER => add(block, nr::SECCOMP, args, flags),
        _ => block.pass(),
    }
}

/// Makes the call that installs the filter whose `struct sock_fprog` is at the third argument. It is the
/// program's own call, for a filter that is there already may refuse one and not the other.
fn add(block: &Block, number: u32, args: [u64; 6], flags: u64) {
    let [a, b, program, ..] = args;
    let Ok([len, insns]) = usermem::read::<[u64; 2]>(program) else {
        return block.pass(); // the kernel finds the same, or something else first
    };
    let len = usize::from(len as u16);
    let exempt = Filter::exempt(&OWN, [gate::ARGS_AFTER, gate::RAW_AFTER]);
    let before = exempt.insns().len();
    if len == 0 || before + len > MAX {
        return block.pass(); // too long a filter is taken as it is
    }
    // The kernel would not refuse, for the shim has set no_new_privs.
    let allowed = block.no_new_privs.load(Ordering::Relaxed) || sys::is_admin();
    if !allowed {
        return block.done(-i64::from(EACCES));
    }
    let _guard = lock::PATCH.lock(block);
    let to = BUFFER.as_ptr().addr() as u64;
    let copied = usermem::copy(to, exempt.insns().as_ptr().addr() as u64, before * 8)
        .and_then(|()| usermem::copy(to + before as u64 * 8, insns, len * 8));
    if let Err(errno) = copied {
        return block.done(-i64::from(errno));
    }
    let all = [(before + len) as u64, to];
    let all = (&raw const all).addr() as u64;
    let result = sys::pass(number, [a, b, all, 0, 0, 0]);
    // With TSYNC, a positive result is a thread that has another filter.
    if result == 0 || (result > 0 && flags & FLAG_TSYNC == 0) {
        state::PATCHING.store(false, Ordering::Relaxed);
        stats::give_up();
        block.filtered.store(true, Ordering::Relaxed);
        for other in block::all().filter(|_| flags & FLAG_TSYNC != 0) {
            other.filtered.store(true, Ordering::Relaxed);
            if block.no_new_privs.load(Ordering::Relaxed) {
                other.no_new_privs.store(true, Ordering::Relaxed);
            }
        }
    }
    block.done(result);
}
