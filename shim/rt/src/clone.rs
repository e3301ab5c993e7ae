//! fork, vfork, clone, clone3, and the end of a thread.
//!
//! A new task needs a block before its first instruction, and the return slot of its maker must not
//! be shared with it for a moment. So all of these calls are made from here, on the handler stack,
//! with every signal blocked, by `ia2_clone` below. Cases:
//!
//! 1. **The child shares the memory** (a thread, a child of vfork, CLONE_VM alone): the parent takes
//!    a block for it and fills in the registers with which it starts. The child's first act is to
//!    point gs at that block, its second to leave the parent's handler stack.
//! 2. **The child has its own memory** (fork): it has a copy of the parent's block at the same
//!    address, and the kernel copied the gs base.
//!
//! Either way the child leaves by the shim's normal exit, which restores the registers and, with
//! the last call, the signal mask that the parent had.
//!
//! The parent of a vfork sleeps until the child has the memory no more, and then takes the child's
//! block back, with the locks that it was perhaps killed with. A thread gives its block back with
//! its last store before `exit`.

#![allow(unsafe_code, reason = "two tasks come back from one call")]

use crate::abi::CloneArgs;
use crate::block::{self, Block, offset};
use crate::{gate, lock, memory, signal, state, stats, sys, usermem};
use core::arch::{asm, global_asm};
use core::ptr;
use core::sync::atomic::Ordering;
use ia2_core::nr;
use ia2_core::regs::Frame;
use ia2_core::sigset::AltStack;
use linux_raw_sys::general as k;

global_asm!(
    ".pushsection .text.ia2clone,\"ax\",@progbits",
    ".globl ia2_clone",
    ".hidden ia2_clone",
    // in:  rdi = &[number, six arguments], rsi = the child's block
    // out: rax = the call's result, in the parent; the child leaves by ia2_leave
    "ia2_clone:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov r12, rsi", // the child finds its block here
    "mov r13, rdi",
    "mov rax, [r13]",
    "mov rdi, [r13 + 8]",
    "mov rsi, [r13 + 16]",
    "mov rdx, [r13 + 24]",
    "mov r10, [r13 + 32]",
    "mov r8, [r13 + 40]",
    "mov r9, [r13 + 48]",
    "movabs r14, {raw}",
    "lea r15, [rip + 2f]",
    "jmp r14", // no call: the child comes back on another stack
    "2:",
    "test rax, rax",
    "jz 3f",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    "3:", // the child; its stack pointer is of no use yet
    "cmp byte ptr [rip + {fsgsbase}], 0",
    "je 4f",
    "wrgsbase r12",
    "jmp 5f",
    "4:",
    "mov eax, {nr_arch_prctl}",
    "mov edi, {set_gs}",
    "mov rsi, r12",
    "lea r15, [rip + 5f]",
    "jmp r14",
    "5:",
    "mov rsp, gs:[{hstack_top}]",
    "call {child}",
    "jmp ia2_leave",
    ".popsection",
    raw = const gate::RAW,
    fsgsbase = sym state::FSGSBASE,
    nr_arch_prctl = const nr::ARCH_PRCTL,
    set_gs = const state::ARCH_SET_GS,
    hstack_top = const offset::HSTACK_TOP,
    child = sym child,
);

unsafe extern "C" {
    fn ia2_clone(call: *const [u64; 7], child_block: u64) -> i64;
}

const VM: u64 = k::CLONE_VM as u64;
const VFORK: u64 = k::CLONE_VFORK as u64;
const FILES: u64 = k::CLONE_FILES as u64;
const THREAD: u64 = k::CLONE_THREAD as u64;
const SIGHAND: u64 = k::CLONE_SIGHAND as u64;
const CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Flags of the call and the stack pointer of the child (0: the parent's); `None` if the arguments
/// cannot be read, which the kernel will find as well.
fn requested(frame: &Frame) -> Option<(u64, u64)> {
    let args = frame.args();
    match frame.nr() {
        nr::FORK => Some((0, 0)),
        nr::VFORK => Some((VM | VFORK, 0)),
        nr::CLONE => Some((args[0], args[1])),
        _ => {
            if args[1] < size_of::<CloneArgs>() as u64 {
                return None;
            }
            let clone_args = usermem::read::<CloneArgs>(args[0]).ok()?;
            let sp = match clone_args.stack {
                0 => 0,
                stack => stack.wrapping_add(clone_args.stack_size),
            };
            Some((clone_args.flags, sp))
        }
    }
}

/// Makes the call of `frame`.
pub fn clone(block: &'static Block, frame: &Frame) {
    let Some((flags, sp)) = requested(frame) else { return block.pass() };
    if flags & (FILES | THREAD) == FILES {
        state::FILES_SHARED.store(true, Ordering::Relaxed);
    }
    let shares_memory = flags & VM != 0;
    let mask = block.block_all();
    let child = if shares_memory {
        match block::take() {
            Ok(child) => child,
            Err(errno) => {
                block.done(-i64::from(errno));
                return block.unmask(mask, frame.rcx);
            }
        }
    } else {
        block
    };
    let child_rsp = if sp == 0 { frame.rsp } else { sp };
    if shares_memory {
        prepare(block, child, flags);
        child.frame.set(*frame);
        child.xmm.set(block.xmm.get());
    }
    child.clone_flags.set(flags);
    child.clone_rsp.set(child_rsp);
    child.maker.store(ptr::from_ref(block).cast_mut(), Ordering::Relaxed);
    child.unmask(mask, frame.rcx);
    let counted = shares_memory && !child.guest.get();
    if counted {
        state::THREADS.fetch_add(1, Ordering::Relaxed);
    }

    let [a, b, c, d, e, f] = frame.args();
    let call = [u64::from(frame.nr()), a, b, c, d, e, f];
    let result = {
        // The child of a vfork releases it, for the parent sleeps until that ends.
        if flags & FILES == 0 && !block.guest.get() {
            core::mem::forget(lock::EXEC.lock(block));
        }
        // The child of a fork must find the locks in order, so they are ours while it is made.
        let _guards = (!shares_memory).then(|| {
            let actions = &block.actions.get().lock;
            let guards = (lock::PATCH.lock(block), lock::BLOCKS.lock(block), actions.lock(block));
            (guards, lock::MEMORY.lock(block))
        });
        // SAFETY: the child's block is filled; the child never returns here, see `ia2_clone`.
        unsafe { ia2_clone(&raw const call, child.this.get()) }
    };
    lock::EXEC.release_of(block);
    if result < 0 && counted {
        state::THREADS.fetch_sub(1, Ordering::Relaxed);
    }
    if shares_memory && (result < 0 || child.vforked.get()) {
        for lock in [&lock::PATCH, &lock::BLOCKS, &block.actions.get().lock, &lock::MEMORY] {
            lock.release_of(child);
        }
        if let (memory @ 1.., len) = child.exec_memory.replace((0, 0)) {
            sys::munmap(memory, len);
        }
        child.state.store(0, Ordering::Release);
    }
    block.done(result);
    block.unmask(mask, frame.rcx);
}

/// What the block of a child that shares the memory starts with.
fn prepare(parent: &Block, child: &'static Block, flags: u64) {
    child.in_shim.store(1, Ordering::Relaxed);
    child.deferred.store(0, Ordering::Relaxed);
    child.fault_blocked.store(0, Ordering::Relaxed);
    child.carrying.set(false);
    child.pending_held.set(0);
    child.blocked_held.set(parent.blocked_held.get());
    // As the kernel: a child of vfork keeps the alternate stack.
    let keeps = flags & VFORK != 0;
    child.altstack.set(if keeps { parent.altstack.get() } else { AltStack::NONE });
    child.guest.set(parent.guest.get() || flags & THREAD == 0);
    child.guest_pid.store(0, Ordering::Relaxed);
    child.exec_memory.set((0, 0));
    child.vforked.set(flags & (VFORK | THREAD) == VFORK);
    child.selector.set(0); // Syscall User Dispatch is not inherited
    for (to, from) in
        [(&child.no_new_privs, &parent.no_new_privs), (&child.filtered, &parent.filtered)]
    {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    child.calls.set(0);
    child.inspected.set(0);
    child.denied.set(0);
    if flags & SIGHAND != 0 {
        child.actions.set(parent.actions.get());
    } else {
        child.own_actions.copy_from(parent, parent.actions.get());
        child.actions.set(&child.own_actions);
    }
}

/// The child's first Rust code, on its own handler stack with all signals blocked.
extern "C" fn child() {
    // SAFETY: `ia2_clone` has just set gs.
    let block = unsafe { Block::current() };
    let flags = block.clone_flags.get();
    if flags & (VFORK | FILES) == VFORK {
        // The maker sleeps now, and holds the lock. (Any other releases it itself.)
        // SAFETY: a block, and blocks are never unmapped.
        let maker = unsafe { block.maker.load(Ordering::Relaxed).as_ref() };
        maker.inspect(|maker| lock::EXEC.release_of(maker));
    }
    if flags & VM != 0 && block.guest.get() {
        block.guest_pid.store(sys::getpid() as u32, Ordering::Relaxed);
    }
    let frame = Frame { rax: 0, rsp: block.clone_rsp.get(), ..block.frame.get() };
    block.frame.set(frame);
    if flags & VM == 0 {
        block.selector.set(0);
        let own = &block.actions.get().lock;
        for lock in [&lock::EXEC, &lock::PATCH, &lock::BLOCKS, own, &lock::MEMORY] {
            lock.force_release();
        }
        memory::forked(block);
        block::forget_others(block);
        block.deferred.store(0, Ordering::Relaxed);
        block.pending_held.set(0);
        block.carrying.set(false);
        block.guest.set(false);
        block.guest_pid.store(0, Ordering::Relaxed);
        block.vforked.set(false);
        block.exec_memory.set((0, 0));
        stats::forget(block);
    } else if sys::sigaltstack(Some(&block.kernel_altstack())).is_err() {
        crate::die::die("no alternate stack for a new thread", 0);
    }
    if flags & CLEAR_SIGHAND != 0 {
        block.actions.get().reset_handlers();
        if signal::install(block).is_err() {
            crate::die::die("no signal handler for a new process", 0);
        }
    }
    if state::backstop() == state::Backstop::Sud && arm_dispatch().is_err() {
        crate::die::die("no dispatch for a new thread", 0);
    }
    signal::put_off_steps(block);
}

/// Switches Syscall User Dispatch on for this task: everything outside the gate traps. It is not
/// inherited, neither by threads nor over fork.
///
/// # Errors
/// The errno of prctl(2): EINVAL before Linux 5.11.
pub fn arm_dispatch() -> Result<(), i32> {
    const PR_SET_SYSCALL_USER_DISPATCH: u32 = 59;
    const PR_SYS_DISPATCH_ON: u64 = 1;
    let len = gate::GATE_END - ia2_core::layout::GATE;
    let start = ia2_core::layout::GATE;
    sys::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, start, len, 0).map(|_| ())
}

/// exit(2), and exit_group(2) of a task that shares its memory with others: gives the block back.
///
/// Returns only if a signal arrived before the others were blocked: it would be lost with the
/// thread, while natively another one may take it. It is delivered, and then the call made anew.
pub fn exit_thread(block: &Block, frame: &Frame) {
    block.block_all();
    if block.deferred.load(Ordering::Relaxed) != 0 {
        return block.pass();
    }
    stats::retire(block);
    // Whoever counts down to zero comes after all the others have added their counters.
    if !block.guest.get() && state::THREADS.fetch_sub(1, Ordering::AcqRel) == 1 {
        stats::write();
    }
    // The block of a vfork's child is given back by the parent, which the child's end wakes up.
    let freed =
        if block.vforked.get() { &raw const block.deferred } else { &raw const block.state };
    // SAFETY: every signal is blocked, so after the store that frees the block nothing of this
    // thread reads or writes it any more: the two calls below use registers only. exit does not
    // return.
    unsafe {
        asm!(
            "mov dword ptr [{state}], 0",
            "jmp {gate}",
            state = in(reg) freed,
            gate = in(reg) gate::RAW,
            in("rax") u64::from(frame.nr()),
            in("rdi") frame.rdi,
            options(noreturn),
        );
    }
}
