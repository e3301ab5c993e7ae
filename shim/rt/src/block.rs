//! The block: what the shim keeps per thread, found through the gs base.
//!
//! ```text
//! one region, low to high:
//!   guard     4 KiB   ---  a handler stack that overflows ends here
//!   altstack  64 KiB  rw-  where the kernel puts every signal frame
//!   hstack    64 KiB  rw-  where the slow entry runs safe Rust, and a library is planned
//!   Block    16 KiB   rw-  gs points at its first byte
//! ```
//! Blocks are never unmapped; a thread that exits marks its block free with its last store, and
//! the next clone takes it. All blocks hang on one list that only grows, so that the statistics
//! and the child of a fork can walk it.
//!
//! A signal may interrupt code that works on the block and run other code that works on the same
//! block, on the same thread. Fields are therefore cells, never reached through `&mut`, and those
//! that both sides write are atomics, so that the compiler keeps them in memory.

#![allow(unsafe_code, reason = "maps blocks and turns the gs base into a reference")]

use crate::abi::{SigAction, SigInfo};
use crate::action::Actions;
use crate::{lock, sys};
use core::arch::asm;
use core::cell::Cell;
use core::mem::offset_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use ia2_core::objects::Identity;
use ia2_core::regs::Frame;
use ia2_core::sigset::{AltStack, SIGSYS, SigSet, has};
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE,
};

/// How the slow entry is being left, so that a signal which arrives on the way out knows what the
/// registers in [`Block::frame`] stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExitKind {
    /// The call is done; the frame has its result.
    Done,
    /// The call goes to `fast` as the program made it.
    Pass,
    /// The call goes to `args` with an argument replaced; the frame has the program's arguments.
    Args,
    /// A last rt_sigprocmask goes to `args`; then the program goes on at `post_rip`, all registers
    /// from the frame.
    Unmask,
    /// rt_sigreturn from the copy of the program's frame.
    SigReturn,
}

/// What happened to one call: an entry of the ring that a debugger reads (docs/debugging.md).
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Trace {
    /// Address the call returns to.
    pub ret: u64,
    /// Its number.
    pub nr: u32,
    /// 0 passed, 1 done by the shim, 2 trapped, 3 signal (then `nr` is the signal).
    pub what: u32,
}

/// Entries of the ring.
pub const TRACE_LEN: usize = 64;

/// What [`Block::begin`] notes.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Before {
    blocked_held: SigSet,
    altstack: AltStack,
}

/// Per-thread memory of the shim.
#[repr(C, align(4096))]
pub struct Block {
    /// The gate parks the return address of a fast call here.
    pub ret: Cell<u64>,
    /// Fast calls counted by `gate.counted`.
    pub calls: Cell<u64>,
    /// Non-zero while Rust code of the shim runs on this thread.
    pub in_shim: AtomicU32,
    /// Signals that wait until the shim is left: a bit for each of `deferred_info` in use.
    pub deferred: AtomicU32,
    /// Non-zero while SIGSEGV or SIGBUS may be blocked, so that a copy must not raise them.
    pub fault_blocked: AtomicU32,
    /// Where the slow entry goes at its end.
    pub exit_target: Cell<u64>,
    /// Where `gate.args` goes after its call: one of the gate's posts.
    pub post: Cell<u64>,
    /// Where a post goes at its end.
    pub post_rip: Cell<u64>,
    /// Address of this block.
    pub this: Cell<u64>,
    /// One past the handler stack.
    pub hstack_top: Cell<u64>,
    /// The program's registers at the call being handled.
    pub frame: Cell<Frame>,
    /// Number and arguments for `gate.args`.
    pub new_args: Cell<[u64; 7]>,
    /// The program's xmm registers at the call being handled.
    pub xmm: Cell<Xmm>,
    /// Stack pointer for `ExitKind::SigReturn`.
    pub return_rsp: Cell<u64>,
    /// 0 free, 1 in use.
    pub state: AtomicU32,
    /// See [`ExitKind`].
    pub exit_kind: Cell<ExitKind>,

    /// The mask that `ExitKind::Unmask` sets.
    pub exit_mask: Cell<SigSet>,
    /// A mask of the program without the held signals, for the kernel to read.
    pub kernel_set: Cell<SigSet>,
    /// `{&kernel_set, 8}`: the sixth argument of pselect6 and of io_pgetevents.
    pub kernel_set_arg: Cell<[u64; 2]>,
    /// Held signals that the program believes blocked.
    pub blocked_held: Cell<SigSet>,
    /// Held signals waiting until the program unblocks them.
    pub pending_held: Cell<SigSet>,
    /// What each was sent with, in the order of [`crate::signal::HELD_ORDER`].
    pub pending_info: [Cell<SigInfo>; 4],
    /// The program's alternate stack.
    pub altstack: Cell<AltStack>,
    /// `blocked_held` and `altstack` when the call began, for a call that is made again.
    pub before: Cell<Before>,
    /// The mask that the call being handled waits with, if it does.
    pub wait_mask: Cell<Option<SigSet>>,
    /// The mask that an interrupted wait leaves in force for the handler.
    pub waited: Cell<Option<SigSet>>,
    /// What they were sent with: SIGSEGV, SIGBUS, any other. A slot is written by one handler at a
    /// time, since a signal is blocked while its handler runs.
    pub deferred_info: [Cell<SigInfo>; 3],
    /// A carrier was raised for the last of them.
    pub carrying: Cell<bool>,
    /// The kernel's mask for the program, noted when the shim blocks more for itself. A mask with
    /// SIGSYS is never the program's.
    pub program_mask: Cell<SigSet>,
    /// The program single-steps, and the last step was one of the shim.
    pub stepped: Cell<bool>,
    /// The program single-steps, and the exit has put that off until the mask is set.
    pub steps_later: Cell<bool>,

    /// An address that no patch covers and that has no `SYSCALL`, when so many arenas had been made known.
    pub plain: Cell<(u64, u64)>,

    /// The call in hand was judged by a policy, and is made with these arguments.
    pub judged: Cell<Option<[u64; 6]>>,
    /// The file that was judged in an exec.
    pub judged_file: Cell<Option<Identity>>,
    /// How often the call in hand, an open, has found a link where none was to be.
    pub tries: Cell<u32>,
    /// The paths that were judged: what the kernel is given.
    pub frozen: [Cell<[u8; FROZEN]>; 2],
    /// The flags of openat2 that were judged, likewise.
    pub frozen_how: Cell<[u64; 3]>,

    /// Address of the selector with which the program has switched Syscall User Dispatch on, or 0.
    pub selector: Cell<u64>,
    /// The task has set no_new_privs, or has it from a parent that did: not the shim.
    pub no_new_privs: AtomicBool,
    /// The task is under a filter of the program.
    pub filtered: AtomicBool,
    /// Flags of the clone that makes, or made, this task.
    pub clone_flags: Cell<u64>,
    /// The block of the task that makes, or made, it.
    pub maker: AtomicPtr<Block>,
    /// Stack pointer with which it starts.
    pub clone_rsp: Cell<u64>,
    /// The task lives in the memory of a process that it does not belong to.
    pub guest: Cell<bool>,
    /// The process that a guest belongs to; 0 for others.
    pub guest_pid: AtomicU32,
    /// The task was made by a vfork, and its end wakes up its parent, which frees the block.
    pub vforked: Cell<bool>,
    /// What an exec of this task mapped in its parent's memory: address and length.
    pub exec_memory: Cell<(u64, u64)>,
    /// The signal actions this task lives under.
    pub actions: Cell<&'static Actions>,
    /// Its own actions, where it shares its parent's memory but not its actions.
    pub own_actions: Actions,
    /// Calls the dispatch saw.
    pub inspected: Cell<u64>,
    /// Calls refused.
    pub denied: Cell<u64>,
    /// Next slot of `trace`.
    pub trace_next: Cell<usize>,
    /// The last calls.
    pub trace: [Cell<Trace>; TRACE_LEN],
    /// Next block of the list.
    pub next: AtomicPtr<Block>,
}

/// The sixteen xmm registers. Code for baseline x86-64 uses no wider vector register, and the
/// legacy encodings it uses leave the upper parts of ymm and zmm alone, so these 256 bytes are all
/// that the shim can disturb (docs/adr/0002).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub struct Xmm(pub [[u64; 2]; 16]);

/// Offsets from the gs base, for the assembly.
#[allow(missing_docs, reason = "fields of Block and Frame")]
pub mod offset {
    use super::{Block, Frame, offset_of};
    pub const RET: usize = offset_of!(Block, ret);
    pub const CALLS: usize = offset_of!(Block, calls);
    pub const IN_SHIM: usize = offset_of!(Block, in_shim);
    pub const DEFERRED: usize = offset_of!(Block, deferred);
    pub const FAULT_BLOCKED: usize = offset_of!(Block, fault_blocked);
    pub const EXIT_TARGET: usize = offset_of!(Block, exit_target);
    pub const POST: usize = offset_of!(Block, post);
    pub const POST_RIP: usize = offset_of!(Block, post_rip);
    pub const THIS: usize = offset_of!(Block, this);
    pub const HSTACK_TOP: usize = offset_of!(Block, hstack_top);
    pub const TRIES: usize = offset_of!(Block, tries);
    pub const XMM: usize = offset_of!(Block, xmm);
    pub const NEW_ARGS: usize = offset_of!(Block, new_args);
    pub const RETURN_RSP: usize = offset_of!(Block, return_rsp);
    pub const STATE: usize = offset_of!(Block, state);
    pub const FRAME: usize = offset_of!(Block, frame);
    pub const FRAME_RAX: usize = FRAME + offset_of!(Frame, rax);
    pub const FRAME_RBX: usize = FRAME + offset_of!(Frame, rbx);
    pub const FRAME_RCX: usize = FRAME + offset_of!(Frame, rcx);
    pub const FRAME_RDX: usize = FRAME + offset_of!(Frame, rdx);
    pub const FRAME_RSI: usize = FRAME + offset_of!(Frame, rsi);
    pub const FRAME_RDI: usize = FRAME + offset_of!(Frame, rdi);
    pub const FRAME_RBP: usize = FRAME + offset_of!(Frame, rbp);
    pub const FRAME_RSP: usize = FRAME + offset_of!(Frame, rsp);
    pub const FRAME_R8: usize = FRAME + offset_of!(Frame, r8);
    pub const FRAME_R9: usize = FRAME + offset_of!(Frame, r9);
    pub const FRAME_R10: usize = FRAME + offset_of!(Frame, r10);
    pub const FRAME_R12: usize = FRAME + offset_of!(Frame, r12);
    pub const FRAME_R13: usize = FRAME + offset_of!(Frame, r13);
    pub const FRAME_R14: usize = FRAME + offset_of!(Frame, r14);
    pub const FRAME_R15: usize = FRAME + offset_of!(Frame, r15);
    pub const FRAME_EFLAGS: usize = FRAME + offset_of!(Frame, eflags);
}

// The gate's slot is the first word, so that a debugger finds it at gs:0.
const _: () = assert!(offset::RET == 0);
const _: () = assert!(offset::XMM.is_multiple_of(16));

/// Bytes of a path with its NUL (PATH_MAX).
pub const FROZEN: usize = 4096;
const GUARD: usize = 4096;
const ALTSTACK: usize = 64 << 10;
const HSTACK: usize = 64 << 10;
/// Bytes of both stacks, which end where the block begins.
pub const STACKS: u64 = (ALTSTACK + HSTACK) as u64;
const REGION: usize = GUARD + ALTSTACK + HSTACK + size_of::<Block>();
// scripts/gdb.py has these two as numbers.
const _: () = assert!(offset::FRAME == 0x48 && HSTACK == 64 << 10);
/// Blocks mapped at once, but for the first: a program may have one thread only.
const BATCH: usize = 8;

/// First block of the list; set once, at boot.
static FIRST: AtomicPtr<Block> = AtomicPtr::new(ptr::null_mut());
/// Where the search for a free block begins.
static CURSOR: AtomicPtr<Block> = AtomicPtr::new(ptr::null_mut());

impl Block {
    /// The block of the calling thread.
    ///
    /// # Safety
    /// The gs base of this thread must be a block's: true for every thread once boot or
    /// [`crate::clone`] has set it.
    #[must_use]
    pub unsafe fn current() -> &'static Self {
        let this: *const Self;
        // SAFETY: gs:this holds the block's own address, by the caller's promise.
        unsafe {
            asm!("mov {}, gs:[{}]", out(reg) this, const offset::THIS, options(nostack, readonly, preserves_flags));
        }
        // SAFETY: blocks are never unmapped.
        unsafe { &*this }
    }

    /// The block's alternate stack, as the kernel is told.
    #[must_use]
    pub fn kernel_altstack(&self) -> AltStack {
        let top = self.this.get() - HSTACK as u64;
        AltStack { sp: top - ALTSTACK as u64, flags: 0, pad: 0, size: ALTSTACK as u64 }
    }

    /// Whether `rsp` lies on one of the block's stacks.
    #[must_use]
    pub fn owns_stack(&self, rsp: u64) -> bool {
        let top = self.this.get();
        rsp <= top && rsp > top - STACKS
    }

    /// Whether the task is a guest, and has been killed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self.guest_pid.load(Ordering::Relaxed) {
            0 => false,
            pid => sys::has_ended(pid),
        }
    }

    /// Starts the handling of a call: what must be put back if the call is made again.
    pub fn begin(&self) {
        let (blocked_held, altstack) = (self.blocked_held.get(), self.altstack.get());
        self.before.set(Before { blocked_held, altstack });
        self.wait_mask.set(None);
        self.judged.set(None);
        self.judged_file.set(None);
    }

    /// Puts back what [`Block::begin`] noted.
    pub fn rewind(&self) {
        let before = self.before.get();
        self.blocked_held.set(before.blocked_held);
        self.altstack.set(before.altstack);
    }

    /// Notes an event in the ring.
    pub fn trace(&self, ret: u64, nr: u32, what: u32) {
        let at = self.trace_next.get();
        if let Some(slot) = self.trace.get(at % TRACE_LEN) {
            slot.set(Trace { ret, nr, what });
        }
        self.trace_next.set(at.wrapping_add(1));
    }

    /// Leaves towards the program with the call done: `rax` becomes `result`.
    pub fn done(&self, result: i64) {
        let frame = Frame { rax: result as u64, ..self.frame.get() };
        self.frame.set(frame);
        self.exit_kind.set(ExitKind::Done);
        self.exit_target.set(crate::entry::done_addr());
    }

    /// Leaves towards the kernel with the call as the program made it, or as it was judged.
    pub fn pass(&self) {
        // The filter asks the shim about some of the calls at `fast`, and not at `args`.
        if let Some(args) = self.judged.get() {
            return self.pass_args(args);
        }
        self.exit_kind.set(ExitKind::Pass);
        self.exit_target.set(crate::gate::FAST);
    }

    /// Leaves towards the kernel with other arguments; the program's registers come back after.
    pub fn pass_args(&self, args: [u64; 6]) {
        let frame = self.frame.get();
        let [a, b, c, d, e, f] = args;
        self.new_args.set([u64::from(frame.nr()), a, b, c, d, e, f]);
        self.post.set(crate::gate::POST_ARGS);
        self.post_rip.set(frame.rcx);
        self.exit_kind.set(ExitKind::Args);
        self.exit_target.set(crate::entry::args_addr());
    }

    /// Leaves towards the kernel with an openat2 in place of the call that opens a file; if that gives ELOOP, and
    /// `again`, the call comes back to the shim.
    pub fn open(&self, args: [u64; 6], again: bool) {
        self.pass_args(args);
        let [_, a, b, c, d, e, f] = self.new_args.get();
        self.new_args.set([u64::from(ia2_core::nr::OPENAT2), a, b, c, d, e, f]);
        if again {
            self.post.set(crate::entry::opened_addr());
        } else {
            self.tries.set(0);
        }
    }

    /// Leaves by setting the kernel's signal mask to `mask` and going to `rip` with the registers
    /// of the frame.
    pub fn unmask(&self, mask: SigSet, rip: u64) {
        self.exit_mask.set(mask);
        self.new_args.set([
            u64::from(ia2_core::nr::RT_SIGPROCMASK),
            u64::from(ia2_core::sigset::SIG_SETMASK),
            self.exit_mask.as_ptr().addr() as u64,
            0,
            8,
            0,
            0,
        ]);
        self.post.set(crate::gate::POST_ALL);
        self.post_rip.set(rip);
        self.exit_kind.set(ExitKind::Unmask);
        self.exit_target.set(crate::entry::args_addr());
    }

    /// Blocks every signal of this thread, the held ones too, and gives the mask before. Nothing
    /// of the program may be read until a later exit unblocks them.
    pub fn block_all(&self) -> SigSet {
        self.block_these(u64::MAX)
    }

    /// As [`Block::block_all`], but for the faults that reading the program's memory may raise.
    pub fn block_but_faults(&self) -> SigSet {
        self.block_these(!crate::signal::FAULTS)
    }

    fn block_these(&self, mask: SigSet) -> SigSet {
        let old = sys::sigprocmask(ia2_core::sigset::SIG_SETMASK, Some(mask));
        // A signal that waits has blocked the others already, and noted the mask from before.
        if !has(old, SIGSYS) {
            self.program_mask.set(old);
        }
        self.program_mask.get()
    }
}

/// Maps the list's first blocks and takes one for the calling thread.
///
/// # Errors
/// The errno of mmap or mprotect.
pub fn boot() -> Result<&'static Block, i32> {
    grow()?; // no lock: there is no block yet that could own it
    find_free().ok_or(crate::abi::errno::ENOMEM)
}

/// Takes a free block, mapping more if there is none. Its state is 1 from now on.
///
/// # Errors
/// The errno of mmap or mprotect.
pub fn take() -> Result<&'static Block, i32> {
    // SAFETY: who makes a task has a block.
    let _guard = lock::BLOCKS.lock(unsafe { Block::current() });
    if let Some(block) = find_free() {
        return Ok(block);
    }
    grow()?;
    find_free().ok_or(crate::abi::errno::ENOMEM)
}

fn get(slot: &AtomicPtr<Block>) -> Option<&'static Block> {
    // SAFETY: the slots hold null or the address of a block, and blocks are never unmapped.
    NonNull::new(slot.load(Ordering::Acquire)).map(|block| unsafe { block.as_ref() })
}

/// All blocks, in use or not.
pub fn all() -> impl Iterator<Item = &'static Block> {
    core::iter::successors(get(&FIRST), |block| get(&block.next))
}

/// Where blocks are, with their stacks.
pub fn parts() -> impl Iterator<Item = core::ops::Range<u64>> {
    all().map(|block| {
        let end = block.this.get() + size_of::<Block>() as u64;
        end - REGION as u64..end
    })
}

fn find_free() -> Option<&'static Block> {
    let from_cursor = core::iter::successors(get(&CURSOR), |block| get(&block.next));
    for block in from_cursor.chain(all()) {
        // Acquire: the last stores of the thread that freed it come before ours.
        if block.state.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            CURSOR.store(ptr::from_ref(block).cast_mut(), Ordering::Relaxed);
            return Some(block);
        }
    }
    None
}

fn grow() -> Result<(), i32> {
    let batch = if FIRST.load(Ordering::Relaxed).is_null() { 1 } else { BATCH };
    let len = REGION * batch;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let base = sys::mmap(0, len as u64, PROT_READ | PROT_WRITE, flags, -1, 0)?;
    for index in 0..batch {
        let guard = base + (index * REGION) as u64;
        sys::mprotect(guard, GUARD as u64, PROT_NONE)?;
        let addr = guard + (REGION - size_of::<Block>()) as u64;
        let block = ptr::with_exposed_provenance_mut::<Block>(addr as usize);
        // SAFETY: fresh zeroed memory of this size and alignment, nobody else's yet. All-zero is
        // valid for every field but the ones written here before a reference is made.
        unsafe {
            (&raw mut (*block).actions).write(Cell::new(&crate::action::PROCESS));
            (&raw mut (*block).altstack).write(Cell::new(AltStack::NONE));
            (&raw mut (*block).wait_mask).write(Cell::new(None));
            (&raw mut (*block).waited).write(Cell::new(None));
            (&raw mut (*block).judged).write(Cell::new(None));
            (&raw mut (*block).judged_file).write(Cell::new(None));
            (&raw mut (*block).this).write(Cell::new(addr));
            (&raw mut (*block).hstack_top).write(Cell::new(addr));
            (&raw mut (*block).next).write(AtomicPtr::new(FIRST.load(Ordering::Relaxed)));
        }
        FIRST.store(block, Ordering::Release);
    }
    Ok(())
}

/// In the child of a fork: gives back every block but `own`, whose threads stayed behind.
pub fn forget_others(own: &Block) {
    for block in all() {
        if !ptr::eq(block, own) {
            block.state.store(0, Ordering::Relaxed);
        }
    }
}

const _: () = assert!(size_of::<Block>() <= 4 * 4096, "keep the block small");
const _: () = assert!(size_of::<SigAction>() == 32);
