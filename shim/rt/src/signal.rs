//! One delivered signal: a trap of the backstop, a thread caught in the middle of a live patch, a
//! fault of the shim's own copy loop, something that must wait, or a signal for the program.
//!
//! All of them arrive at [`on_signal`], on the shim's alternate stack, with every signal blocked
//! but the two faults that a copy loop may raise.
//!
//! # Traps
//!
//! A trapped call is not made here. The handler points the interrupted context at the gate's
//! `generic` entry, with the return address in `rcx`, and returns: the call is then made as a
//! rewritten one is, with the program's own signal mask, and can be interrupted like one.
//!
//! # Signals for the program
//!
//! The context is moved to an instruction boundary ([`crate::boundary`]), the frame is copied to
//! the program's stack ([`crate::sigframe`]), and the shim leaves into the handler by its normal
//! exit, whose last act is to set the mask under which the handler runs.
//!
//! # Signals that must wait
//!
//! While Rust code of the shim works for the program, a signal is noted in the block and every
//! further one is blocked by editing the mask in the frame. The shim's exit finds the note and sets the
//! mask with its last call, so that the signal arrives when the program is back at a boundary
//! ([`drain`]). A fault that was sent is raised again, with the information it had. Any other signal
//! stays in the block and a SIGSYS is raised in its place, the *carrier*: raised again, it would come
//! behind those of its kind that were queued meanwhile, and be lost where the queue is full. The kernel
//! delivers SIGSYS before everything else.

#![allow(unsafe_code, reason = "called from the signal entry with raw pointers")]

use crate::abi::errno::ENOSYS;
use crate::abi::{
    SI_KERNEL, SIG_DFL, SIG_IGN, SYS_SECCOMP, SYS_USER_DISPATCH, SigAction, SigInfo, TRAP_TRACE,
    UContext, sa,
};
use crate::block::{Block, ExitKind, Xmm};
use crate::policy::{self, Effect};
use crate::{boundary, die, entry, gate, mask, patch, sigframe, state, sys, usermem};
use core::sync::atomic::Ordering;
use ia2_core::bpf::AUDIT_ARCH_X86_64;
use ia2_core::regs::Frame;
use ia2_core::sigset::{
    HELD, SIGBUS, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SigSet, UNBLOCKABLE, has, only,
};

/// The signals a copy loop of [`usermem`] may raise.
pub const FAULTS: SigSet = only(SIGSEGV) | only(SIGBUS);

/// The held signals, in the order of [`Block::pending_info`].
pub const HELD_ORDER: [u32; 4] = [SIGSYS, SIGTRAP, SIGSEGV, SIGBUS];

/// Information of the carrier. The code is positive, so that it needs no room in the queue.
const CARRIER: i32 = 0x4941_3200;
/// The note of a signal that is no fault.
const OTHER: usize = 2;

const SIGFPE: u32 = 8;
/// The flag that makes a trap of each instruction.
pub const TRAP_FLAG: u64 = 1 << 8;
/// Direction, resume and trap flag: clear when a handler starts.
const FLAGS_CLEARED: u64 = 1 << 10 | 1 << 16 | TRAP_FLAG;

/// What the entry does next.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Next {
    /// Return from the kernel's frame, as edited.
    Return = 0,
    /// Leave by the block's exit.
    Leave = 1,
    /// Return from the kernel's frame to the program, which this handler interrupted.
    Back = 2,
}

/// Entered from `ia2_signal` in [`crate::entry`].
///
/// # Safety
/// `info` and `uc` must be the kernel's, on this thread's alternate stack, and nobody else's for
/// the duration; the gs base must be this thread's block. The kernel and boot see to both.
pub unsafe extern "C" fn on_signal(sig: u32, info: *const SigInfo, uc: *mut UContext) -> Next {
    // SAFETY: the caller's promise.
    let (block, info, uc) = unsafe { (Block::current(), &*info, &mut *uc) };
    if has(FAULTS, sig)
        && info.code > 0
        && let Some(rip) = usermem::fixup(uc.rip)
    {
        uc.rip = rip;
        return Next::Return;
    }
    let busy = block.in_shim.load(Ordering::Relaxed) != 0
        || (block.owns_stack(uc.rsp) && !entry::is_returning(block, uc.rip, uc.rsp))
        || entry::is_handling(block, uc.rip, uc.rsp);
    if sig == SIGSYS && is_trap(info, uc) {
        if busy {
            die::die("system call from inside the shim", uc.rip);
        }
        return trapped(block, info, uc);
    }
    if sig == SIGTRAP && info.code == TRAP_TRACE && is_step_of_shim(block, uc, busy) {
        return Next::Return;
    }
    if sig == SIGTRAP && patch::catch(uc) {
        return Next::Back;
    }
    if busy {
        if info.code > 0 && info.code != SI_KERNEL && is_fault(sig) {
            die::die("fault inside the shim", uc.rip);
        }
        defer(block, info, uc);
        return Next::Return;
    }
    block.in_shim.store(1, Ordering::Relaxed);
    // The kernel blocks a signal while its handler runs.
    block.fault_blocked.store(u32::from(has(FAULTS, sig)), Ordering::Relaxed);
    block.waited.set(None);
    block.stepped.set(false);
    if has(uc.sigmask, SIGSYS) {
        // On the way out, with a signal waiting: the mask in force is the shim's.
        uc.sigmask = block.program_mask.get();
    }
    let refused = sig == SIGSYS && is_refused(info, uc);
    let place = uc.rip;
    boundary::settle(block, uc);
    // The program's Syscall User Dispatch comes before any filter.
    let by_policy = refused && info.code == SYS_SECCOMP && place == gate::FAST_AFTER;
    // The address of an instruction in a stub is told as the program's.
    let moved = place != uc.rip && names_place(sig, info, place);
    let next = if sig == SIGSYS && block.carrying.replace(false) {
        if info.code != CARRIER {
            sys::requeue(info); // a SIGSYS of the program was pending, so no carrier was added
        }
        carried(block, uc)
    } else if let Some(next) = by_policy.then(|| refused_by_policy(block, uc)).flatten() {
        next
    } else if refused || moved {
        let mut info = *info;
        let [addr, ..] = &mut info.rest;
        *addr = uc.rip; // not the gate's
        deliver(block, sig, &info, uc, refused)
    } else {
        deliver(block, sig, info, uc, false)
    };
    if next == Next::Back {
        boundary::resume(block, uc);
    }
    if next != Next::Leave {
        block.in_shim.store(0, Ordering::Relaxed);
    }
    if block.deferred.load(Ordering::Relaxed) == 0 {
        // Else the end of the wait does it; nothing of the program is read before.
        block.fault_blocked.store(0, Ordering::Relaxed);
    }
    next
}

/// Whether a step of a program with the trap flag set is one that it does not have without the shim:
/// inside the shim, and the one that comes back to the program. (Natively a `SYSCALL` and the
/// instruction behind it make one step.)
///
/// In Rust code the trap flag is off: there are sections in which SIGTRAP is blocked. The exit
/// restores the program's flags.
fn is_step_of_shim(block: &Block, uc: &mut UContext, busy: bool) -> bool {
    if busy {
        if !entry::has_flags_of_program(uc.rip) {
            uc.eflags &= !TRAP_FLAG;
        }
        block.stepped.set(true);
        return true;
    }
    if boundary::is_inside(uc.rip) {
        if block.steps_later.replace(false) {
            uc.eflags |= TRAP_FLAG;
        }
        block.stepped.set(true);
        return true;
    }
    block.stepped.replace(false)
}

/// An exit that sets the mask last would die of a step before that, with SIGTRAP blocked. It leaves
/// without the trap flag, and a SIGTRAP that waits for the mask brings it back.
pub fn put_off_steps(block: &Block) {
    let frame = block.frame.get();
    if block.exit_kind.get() == ExitKind::Unmask && frame.eflags & TRAP_FLAG != 0 {
        block.frame.set(Frame { eflags: frame.eflags & !TRAP_FLAG, ..frame });
        block.steps_later.set(true);
        let (signo, code) = (SIGTRAP as i32, TRAP_TRACE);
        sys::requeue(&SigInfo { signo, code, ..SigInfo::default() });
    }
}

/// Whether the address in `info` is that of the instruction, `place`, and not one that it used.
fn names_place(sig: u32, info: &SigInfo, place: u64) -> bool {
    let [addr, ..] = info.rest;
    has(only(SIGILL) | only(SIGFPE) | only(SIGTRAP), sig) && info.code > 0 && addr == place
}

fn is_fault(sig: u32) -> bool {
    has(FAULTS | only(SIGILL) | only(SIGFPE), sig)
}

/// The vsyscall page.
const VSYSCALL: core::ops::Range<u64> = 0xffff_ffff_ff60_0000..0xffff_ffff_ff60_1000;

/// Whether this SIGSYS says that the instruction before `rip` was a call that the backstop caught.
///
/// The information can be forged (rt_sigqueueinfo to oneself), so it must agree with the registers:
/// a call that comes from the gate was let through, a filter that does not look at a number never
/// trapped it, and SYSCALL leaves the return address in `rcx`. In the vsyscall page there is no
/// SYSCALL; the kernel gives its address, and has returned to the caller already.
fn is_trap(info: &SigInfo, uc: &UContext) -> bool {
    let [call_addr, number_and_arch, ..] = info.rest;
    let agrees = number_and_arch as u32 == uc.rax as u32
        && !gate::contains(uc.rip)
        && (VSYSCALL.contains(&call_addr) || (call_addr == uc.rip && uc.rcx == uc.rip));
    agrees
        && match state::backstop() {
            state::Backstop::Strict => info.code == SYS_SECCOMP,
            state::Backstop::Inspected => {
                let nr = uc.rax as u32;
                info.code == SYS_SECCOMP
                    && (ia2_core::nr::is_inspected(nr) || policy::is_looked_at(nr))
            }
            state::Backstop::Sud => info.code == SYS_USER_DISPATCH,
            state::Backstop::None => false,
        }
}

/// Whether this SIGSYS says that a filter of the program's own, or its Syscall User Dispatch, has caught
/// the call before `rip`, which may be the gate's. What is forged does not agree with the registers.
fn is_refused(info: &SigInfo, uc: &UContext) -> bool {
    let [call_addr, number_and_arch, ..] = info.rest;
    matches!(info.code, SYS_SECCOMP | SYS_USER_DISPATCH)
        && call_addr == uc.rip
        && number_and_arch as u32 == uc.rax as u32
}

/// Raises SIGSYS for the program, as a filter does for the call of `frame`: the shim has not made it.
pub fn raise_sigsys(frame: &Frame, code: i32, errno: i32) {
    let number = u64::from(frame.nr()) | u64::from(AUDIT_ARCH_X86_64) << 32;
    let mut info = SigInfo { signo: SIGSYS as i32, errno, code, ..SigInfo::default() };
    let [call_addr, number_and_arch, ..] = &mut info.rest;
    (*call_addr, *number_and_arch) = (boundary::program_address(frame.rcx), number);
    sys::requeue(&info);
}

/// A call that the filter has not let through at the gate's `fast` instruction, with `uc` behind it: the
/// policy's refusal, or a call that goes by another instruction. `None` if it is neither, but a filter
/// of the program's own.
fn refused_by_policy(block: &Block, uc: &mut UContext) -> Option<Next> {
    if !policy::is_there() {
        return None;
    }
    let frame = Frame { rcx: uc.rip, ..uc.frame() };
    match policy::effect(block, &frame) {
        Effect::Gives(result) => uc.rax = result.cast_unsigned(),
        Effect::Made(_) if block.filtered.load(Ordering::Relaxed) => return None,
        Effect::Made(_) | Effect::Opened { .. } => {
            uc.rcx = uc.rip;
            uc.rip = gate::GENERIC;
        }
        // What traps or kills does so everywhere; SIGSYS goes on to the program.
        Effect::Traps(_) | Effect::Again => return None,
    }
    Some(Next::Back)
}

fn trapped(block: &Block, info: &SigInfo, uc: &mut UContext) -> Next {
    state::TRAPS.fetch_add(1, Ordering::Relaxed);
    block.trace(uc.rip, uc.rax as u32, 2);
    let ret = uc.rip;
    let frame = Frame { rcx: ret, ..uc.frame() };
    let [call_addr, ..] = info.rest;
    if VSYSCALL.contains(&call_addr) {
        // The kernel has returned from it. There is no `SYSCALL` that a signal could find the thread
        // at, and none of the three calls waits: it is made here.
        block.in_shim.store(1, Ordering::Relaxed);
        uc.rax = vsyscall(block, &frame);
        block.in_shim.store(0, Ordering::Relaxed);
        return Next::Back;
    }
    if state::PATCHING.load(Ordering::Relaxed) {
        block.in_shim.store(1, Ordering::Relaxed);
        patch::late(block, ret.wrapping_sub(2), &frame);
        block.in_shim.store(0, Ordering::Relaxed);
    }
    uc.rcx = ret;
    uc.rip = gate::GENERIC;
    Next::Back
}

/// Makes a call of the vsyscall page, if the policy lets it.
fn vsyscall(block: &Block, frame: &Frame) -> u64 {
    let effect = match policy::is_there() {
        true => policy::effect(block, frame),
        false => Effect::Made(frame.args()),
    };
    let result = match effect {
        Effect::Made(args) => sys::pass(frame.nr(), args),
        Effect::Gives(result) => result,
        Effect::Opened { .. } | Effect::Traps(_) | Effect::Again => -i64::from(ENOSYS),
    };
    result.cast_unsigned()
}

/// Delivers the signal that a carrier stands for.
fn carried(block: &Block, uc: &mut UContext) -> Next {
    let info = block.deferred_info.get(OTHER).map(core::cell::Cell::get).unwrap_or_default();
    let sig = info.signo as u32;
    if has(uc.sigmask, sig) {
        // The handler of a fault came first and blocks it.
        sys::requeue(&info);
        return Next::Back;
    }
    deliver(block, sig, &info, uc, false)
}

/// Notes a signal, and blocks the others in the interrupted code, which is the shim's.
///
/// A fault that somebody sent is blocked as well, or a flood of two kinds of them would pile frame
/// on frame. Then the copy loops must not fault ([`usermem`]); one that is interrupted is left as it
/// is.
fn defer(block: &Block, info: &SigInfo, uc: &mut UContext) {
    if !has(uc.sigmask, SIGSYS) {
        block.program_mask.set(uc.sigmask);
    }
    let sig = info.signo as u32;
    let index = match sig {
        SIGSEGV => 0,
        SIGBUS => 1,
        _ => OTHER, // all the others are blocked from here on
    };
    // As the kernel: one of a kind waits.
    if block.deferred.load(Ordering::Relaxed) & 1 << index == 0
        && let Some(slot) = block.deferred_info.get(index)
    {
        slot.set(*info);
        block.deferred.fetch_or(1 << index, Ordering::Relaxed);
    }
    uc.sigmask |= !FAULTS;
    if has(FAULTS, sig) && usermem::fixup(uc.rip).is_none() {
        uc.sigmask |= only(sig);
        block.fault_blocked.store(1, Ordering::Relaxed);
    }
    entry::restart_back(uc);
}

/// Hands a signal to the program, whose context `uc` is at a boundary.
fn deliver(block: &Block, sig: u32, info: &SigInfo, uc: &mut UContext, refused: bool) -> Next {
    block.trace(uc.rip, sig, 3);
    // A fault cannot wait and cannot be ignored, nor what a filter of the program's own traps: the
    // kernel makes it the default then.
    let forced = refused || (info.code > 0 && (is_fault(sig) || sig == SIGTRAP));
    let blocked = has(block.blocked_held.get(), sig);
    if blocked {
        if forced {
            return die_of(sig, info, uc);
        }
        mask::keep_pending(block, sig, info);
        return Next::Back;
    }
    let action = block.actions.get().deliver(block, sig);
    match action.handler {
        SIG_IGN if !forced => return Next::Back,
        SIG_IGN | SIG_DFL => return die_of(sig, info, uc),
        _ => {}
    }
    let Ok(rsp) = sigframe::push(block, info, uc, &action) else {
        // force_sigsegv (kernel/signal.c): with SIGSEGV itself that is the end.
        let forced = SigInfo { signo: SIGSEGV as i32, code: SI_KERNEL, ..SigInfo::default() };
        return if sig == SIGSEGV {
            die_of(SIGSEGV, &forced, uc)
        } else {
            deliver(block, SIGSEGV, &forced, uc, false)
        };
    };
    let own = if action.flags & sa::NODEFER != 0 { 0 } else { only(sig) };
    // An interrupted wait: its mask is in force, while the frame has the one from before it.
    let base = block.waited.replace(None).unwrap_or(uc.sigmask | block.blocked_held.get());
    let mask = (base | action.mask | own) & !UNBLOCKABLE;
    block.blocked_held.set(mask & HELD);
    start_handler(block, sig, rsp, &action, uc, mask & !HELD);
    Next::Leave
}

/// Prepares the exit into a handler: the registers as the kernel sets them.
fn start_handler(
    block: &Block,
    sig: u32,
    rsp: u64,
    action: &SigAction,
    uc: &UContext,
    mask: SigSet,
) {
    let uc_addr = rsp + 8;
    block.frame.set(Frame {
        rax: 0,
        rdi: u64::from(sig),
        rsi: uc_addr + size_of::<UContext>() as u64,
        rdx: uc_addr,
        rsp,
        eflags: uc.eflags & !FLAGS_CLEARED,
        ..uc.frame()
    });
    block.xmm.set(Xmm::default());
    block.begin();
    block.unmask(mask, action.handler);
}

/// The default action of a signal whose kernel handler is the shim's: the handler is taken away and
/// the signal raised again. The held ones kill: nothing runs at the place any more, and the core dump
/// shows the program's address, not one in a stub.
fn die_of(sig: u32, info: &SigInfo, uc: &mut UContext) -> Next {
    // The kernel refuses only KILL and STOP, which never come here.
    let _ = sys::sigaction(sig, Some(&SigAction { handler: SIG_DFL, ..SigAction::default() }));
    uc.sigmask &= !only(sig);
    sys::requeue(info);
    if has(HELD, sig) { Next::Return } else { Next::Back }
}

/// Called by the exit when signals were deferred: has them arrive again and turns the exit into one
/// that sets the mask last. A call that was not made yet is made anew, from its beginning.
///
/// # Safety
/// Entered from `ia2_leave` only.
pub unsafe extern "C" fn drain() {
    // SAFETY: the gs base is this thread's block, or there would have been no exit.
    let block = unsafe { Block::current() };
    requeue_deferred();
    let saved = block.program_mask.get();
    let ret = block.frame.get().rcx;
    match block.exit_kind.get() {
        ExitKind::Unmask => {}
        ExitKind::Done => block.unmask(saved, ret),
        ExitKind::Pass | ExitKind::Args | ExitKind::SigReturn => {
            block.rewind();
            block.unmask(saved, gate::GENERIC);
        }
    }
    put_off_steps(block);
}

/// Has the deferred signals arrive again, with every signal blocked from here on.
pub extern "C" fn requeue_deferred() {
    // SAFETY: the gs base is this thread's block, or nothing could have been deferred.
    let block = unsafe { Block::current() };
    sys::sigprocmask(ia2_core::sigset::SIG_SETMASK, Some(u64::MAX));
    let waiting = block.deferred.swap(0, Ordering::Relaxed);
    for (index, slot) in block.deferred_info.iter().enumerate() {
        if waiting & 1 << index == 0 {
            continue;
        }
        if index == OTHER {
            block.carrying.set(true);
            let carrier = SigInfo { signo: SIGSYS as i32, code: CARRIER, ..SigInfo::default() };
            sys::requeue(&carrier);
        } else {
            sys::requeue(&slot.get());
        }
    }
    block.fault_blocked.store(0, Ordering::Relaxed);
}

/// Installs the shim's handler for every held signal. For boot, and for children whose handlers the
/// kernel has reset.
///
/// # Errors
/// The errno of rt_sigaction.
pub fn install(block: &Block) -> Result<(), i32> {
    for sig in HELD_ORDER {
        let action = block.actions.get().get(block, sig);
        sys::sigaction(sig, Some(&crate::action::for_kernel(sig, &action)))?;
    }
    Ok(())
}
