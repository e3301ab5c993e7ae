//! What the policy says to a call, and what happens then.
//!
//! The kernel's filter decides what numbers and scalars decide, wherever the call comes from. A call
//! with any other outcome than "made" or "refused with an errno, on a condition" goes the slow way, and is
//! judged here first: so that a refusal can be reported, and for what only the shim can tell (paths,
//! callers). What the filter refuses at the gate's `fast` instruction comes here too, by a trap.
//!
//! Every layer is asked, and the strictest answer counts (seccomp(2)).

#![allow(unsafe_code, reason = "the layers are set once, at boot")]

use crate::abi::errno::ENOSYS;
use crate::ask::Asking;
use crate::block::Block;
use crate::{clone, report, state, stats, sys};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use ia2_core::blob::{Blob, Call, Cause, Verdict};
use ia2_core::bpf::X32_BIT;
use ia2_core::handover::MOST_LAYERS;
use ia2_core::layout::TABLE_NUMBERS;
use ia2_core::nr;
use ia2_core::regs::Frame;
use ia2_core::sigset::SIGSYS;
use ia2_core::verdict::ActionKind;

/// The policies in force.
struct Layers {
    blobs: UnsafeCell<[Option<Blob<'static>>; MOST_LAYERS]>,
    len: AtomicUsize,
    /// Of each number, where its search ends in each layer's program ([`Blob::start_of`]), once somebody has
    /// asked; all that find it find the same.
    starts: [[AtomicU16; TABLE_NUMBERS as usize]; MOST_LAYERS],
}

// SAFETY: a slot is written before `len` covers it, by the only thread there is, and never again.
unsafe impl Sync for Layers {}

static LAYERS: Layers = Layers {
    blobs: UnsafeCell::new([None; MOST_LAYERS]),
    len: AtomicUsize::new(0),
    starts: [const { [const { AtomicU16::new(0) }; TABLE_NUMBERS as usize] }; MOST_LAYERS],
};

/// Adds a layer. False if there is no room.
///
/// # Safety
/// To be called by boot, while nothing else runs.
pub unsafe fn add(blob: Blob<'static>) -> bool {
    let len = LAYERS.len.load(Ordering::Relaxed);
    // SAFETY: the caller's promise.
    let slots = unsafe { &mut *LAYERS.blobs.get() };
    let Some(slot) = slots.get_mut(len) else { return false };
    *slot = Some(blob);
    LAYERS.len.store(len + 1, Ordering::Release);
    true
}

/// The layers.
pub fn layers() -> impl Iterator<Item = &'static Blob<'static>> {
    let len = LAYERS.len.load(Ordering::Acquire);
    // SAFETY: slots below `len` are never written again; the others are not looked at.
    let slots = unsafe { &*LAYERS.blobs.get().cast_const() };
    slots.iter().take(len).flatten()
}

/// Whether there is a policy besides `base`.
pub fn is_there() -> bool {
    LAYERS.len.load(Ordering::Relaxed) != 0
}

/// Whether the shim has to judge call `nr` before it is made; `filtered` where the kernel has the
/// policy's filter.
#[must_use]
pub fn is_slow(nr: u32, filtered: bool) -> bool {
    layers().any(|layer| layer.is_slow(nr, filtered))
}

/// Whether call `nr` comes to the shim where no filter decides anything: to be judged, or for the map of
/// memory, which a call that every layer allows is in as well.
#[must_use]
pub fn is_looked_at(nr: u32) -> bool {
    is_slow(nr, false) || is_slow(nr, true)
}

/// Whether every layer allows call `nr` in any case, and says nothing about it.
#[must_use]
pub fn is_free(nr: u32) -> bool {
    nr < X32_BIT && !is_slow(nr, false)
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is made, with these arguments.
    Made([u64; 6]),
    /// It opens a file, and is made as openat2 with these arguments; if that finds a link, and `again`, it is
    /// judged again.
    Opened {
        /// Of openat2.
        args: [u64; 6],
        /// Not for the last time.
        again: bool,
    },
    /// It is not made, and gives this.
    Gives(i64),
    /// It is not made; the program gets SIGSYS, with this as `si_errno`.
    Traps(u16),
    /// A signal comes first, and then it is judged again: the exit is set.
    Again,
}

/// What becomes of the call of `frame`, whose `rcx` is where it returns to. Reports a refusal.
pub fn effect(block: &Block, frame: &Frame) -> Effect {
    let call = Call { nr: frame.nr(), args: frame.args() };
    if call.nr >= X32_BIT {
        // No calls of this architecture; a policy is not asked, nor by the filter.
        return Effect::Gives(-i64::from(ENOSYS));
    }
    if let Some(effect) = straight(block, frame, &call) {
        return effect;
    }
    let mut places = [None, None];
    let mut asking = Asking::walked(block, frame, &mut places);
    let Some(verdict) = strictest(&call, &mut asking) else { return Effect::Made(call.args) };
    let quiet = matches!(verdict.cause, Cause::Argument);
    if !verdict.action.lets_through() && !quiet {
        block.denied.set(block.denied.get().wrapping_add(1));
    }
    if (verdict.log || !verdict.action.lets_through()) && !quiet {
        report::say(block, frame, &verdict);
    }
    match verdict.action {
        ActionKind::Allow | ActionKind::Emulate => asking.made(),
        ActionKind::Errno(errno) => Effect::Gives(-i64::from(errno)),
        ActionKind::Trap(data) => Effect::Traps(data),
        ActionKind::Trace(_) => Effect::Gives(sys::pass(call.nr, call.args)),
        ActionKind::KillThread => kill_thread(block, frame),
        ActionKind::KillProcess => kill_process(block),
    }
}

/// What becomes of an open whose path can be judged as it is, if it is allowed and nothing is said about
/// it. Else it is judged by where its path leads, so that it is told the kernel's errors first.
fn straight(block: &Block, frame: &Frame, call: &Call) -> Option<Effect> {
    let mut asking = Asking::straight(block, frame)?;
    let verdict = strictest(call, &mut asking)?;
    let is_allowed = verdict.action == ActionKind::Allow && !verdict.log;
    (is_allowed && asking.holds()).then(|| asking.made())
}

/// What the strictest layer says.
fn strictest(call: &Call, asking: &mut Asking<'_, '_>) -> Option<Verdict<'static>> {
    layers()
        .zip(&LAYERS.starts)
        .map(|(layer, starts)| layer.judge_from(start(layer, starts, call.nr), call, asking))
        .reduce(|strict, next| if next.action < strict.action { next } else { strict })
}

/// Where the layer's program begins to look at more than the number.
fn start(layer: &Blob<'_>, starts: &[AtomicU16], nr: u32) -> usize {
    let Some(slot) = starts.get(nr as usize) else { return 0 };
    match slot.load(Ordering::Relaxed) {
        0 => {
            let start = layer.start_of(nr);
            // A program has fewer than 4096 instructions.
            slot.store(start as u16, Ordering::Relaxed);
            start
        }
        known => known.into(),
    }
}

/// Dies as from `SECCOMP_RET_KILL_PROCESS`: of SIGSYS. (The filter would do it too, but not for the
/// calls that the shim makes for itself.)
fn kill_process(block: &Block) -> Effect {
    block.block_all();
    stats::write();
    loop {
        sys::die_of(SIGSYS);
    }
}

/// Ends the thread as `SECCOMP_RET_KILL_THREAD` does; the last one takes the process with it.
fn kill_thread(block: &Block, frame: &Frame) -> Effect {
    if state::THREADS.load(Ordering::Relaxed) < 2 {
        return kill_process(block);
    }
    clone::exit_thread(block, &Frame { rax: nr::EXIT.into(), rdi: SIGSYS.into(), ..*frame });
    Effect::Again
}
