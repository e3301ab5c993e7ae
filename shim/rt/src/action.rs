//! The program's signal actions, kept beside the kernel's.
//!
//! Every handler of the program is reached through the shim's own ([`crate::signal`]), so the
//! kernel has the shim's handler where the program set one, and what the program set is here. For
//! the held signals the kernel has the shim's handler whatever the program set.
//!
//! Processes that share memory without sharing actions (a child of vfork, of posix_spawn) each have
//! their own table: [`crate::block::Block::actions`].

use crate::abi::errno::{EFAULT, EINVAL};
use crate::abi::{SIG_DFL, SIG_IGN, SigAction, sa};
use crate::block::Block;
use crate::lock::Lock;
use crate::{entry, sys, usermem};
use core::sync::atomic::{AtomicU64, Ordering, fence};
use ia2_core::sigset::{HELD, SIG_MAX, SIGKILL, SIGSTOP, UNBLOCKABLE, has};

/// One action as four words, read and written under the table's lock.
#[derive(Debug, Default)]
struct Slot {
    handler: AtomicU64,
    flags: AtomicU64,
    restorer: AtomicU64,
    mask: AtomicU64,
}

/// The actions of all signals. The lock also covers what the kernel is told, so that table and
/// kernel agree.
#[derive(Debug)]
pub struct Actions {
    /// Guards the slots.
    pub lock: Lock,
    /// Odd while a slot changes, another number afterwards: what is read while it is even and stays the
    /// same is one action, without the lock (a sequence lock).
    changes: AtomicU64,
    slots: [Slot; SIG_MAX as usize],
}

/// The actions of the process, shared by its threads.
pub static PROCESS: Actions = Actions::new();

impl Actions {
    const fn new() -> Self {
        Self {
            lock: Lock::new(),
            changes: AtomicU64::new(0),
            slots: [const {
                Slot {
                    handler: AtomicU64::new(SIG_DFL),
                    flags: AtomicU64::new(0),
                    restorer: AtomicU64::new(0),
                    mask: AtomicU64::new(0),
                }
            }; SIG_MAX as usize],
        }
    }

    fn slot(&self, sig: u32) -> Option<&Slot> {
        self.slots.get((sig as usize).checked_sub(1)?)
    }

    /// The action of `sig`, for the task of `block`.
    #[must_use]
    pub fn get(&self, block: &Block, sig: u32) -> SigAction {
        let _guard = self.lock.lock(block);
        self.slot(sig).map_or(SigAction::default(), Slot::load)
    }

    /// The action with which `sig` is delivered to the task of `block`; if it has SA_RESETHAND, it
    /// becomes the default for the next one.
    #[must_use]
    pub fn deliver(&self, block: &Block, sig: u32) -> SigAction {
        let before = self.changes.load(Ordering::Acquire);
        let action = self.slot(sig).map_or(SigAction::default(), Slot::load);
        fence(Ordering::Acquire);
        let is_one = before.is_multiple_of(2) && self.changes.load(Ordering::Relaxed) == before;
        if is_one && action.flags & sa::RESETHAND == 0 {
            return action;
        }
        let _guard = self.lock.lock(block);
        let action = self.slot(sig).map_or(SigAction::default(), Slot::load);
        if action.flags & sa::RESETHAND != 0 && !matches!(action.handler, SIG_DFL | SIG_IGN) {
            let default = SigAction { handler: SIG_DFL, ..action };
            self.set(sig, &default);
            if !has(HELD, sig) {
                // The kernel refuses only KILL and STOP, which have no handlers.
                let _ = sys::sigaction(sig, Some(&default));
            }
        }
        action
    }

    fn set(&self, sig: u32, action: &SigAction) {
        if let Some(slot) = self.slot(sig) {
            // The caller has the lock, so nobody else counts.
            let changes = self.changes.load(Ordering::Relaxed) | 1;
            self.changes.store(changes, Ordering::Relaxed);
            fence(Ordering::Release);
            slot.store(action);
            self.changes.store(changes.wrapping_add(1), Ordering::Release);
        }
    }

    /// Becomes a copy of `other` that nobody has locked, for the task of `block`.
    pub fn copy_from(&self, block: &Block, other: &Self) {
        let _guard = other.lock.lock(block);
        self.lock.force_release();
        for (to, from) in self.slots.iter().zip(&other.slots) {
            to.store(&from.load());
        }
    }

    /// Makes every caught signal default again: CLONE_CLEAR_SIGHAND.
    pub fn reset_handlers(&self) {
        for slot in &self.slots {
            if slot.handler.load(Ordering::Relaxed) != SIG_IGN {
                slot.store(&SigAction::default());
            }
        }
    }

    /// Records an action that was in force before the shim came.
    pub fn adopt(&self, sig: u32, action: &SigAction) {
        self.set(sig, action);
    }
}

impl Slot {
    fn load(&self) -> SigAction {
        SigAction {
            handler: self.handler.load(Ordering::Relaxed),
            flags: self.flags.load(Ordering::Relaxed),
            restorer: self.restorer.load(Ordering::Relaxed),
            mask: self.mask.load(Ordering::Relaxed),
        }
    }

    fn store(&self, action: &SigAction) {
        self.handler.store(action.handler, Ordering::Relaxed);
        self.flags.store(action.flags, Ordering::Relaxed);
        self.restorer.store(action.restorer, Ordering::Relaxed);
        self.mask.store(action.mask, Ordering::Relaxed);
    }
}

/// The action the kernel gets for a signal whose action the program wants to be `wanted`: the
/// shim's handler on the shim's stack with every signal but the faults blocked, or what the program
/// wants where that is no handler.
#[must_use]
pub fn for_kernel(sig: u32, wanted: &SigAction) -> SigAction {
    if matches!(wanted.handler, SIG_DFL | SIG_IGN) && !has(HELD, sig) {
        return *wanted;
    }
    // What the program ignores interrupts no call of it, as far as the kernel restarts calls.
    let restart = if wanted.handler == SIG_IGN { sa::RESTART } else { 0 };
    // A trap needs nothing of the program's stack. Where the frame of a handler belongs on it, the
    // kernel puts it there.
    let onstack = if has(HELD, sig) { sa::ONSTACK } else { wanted.flags & sa::ONSTACK };
    SigAction {
        handler: entry::signal_addr(),
        flags: restart
            | onstack
            | (wanted.flags & (sa::RESTART | sa::NOCLDSTOP | sa::NOCLDWAIT | sa::EXPOSE_TAGBITS))
            | sa::SIGINFO
            | sa::RESTORER,
        restorer: entry::restorer_addr(),
        mask: !crate::signal::FAULTS,
    }
}

/// rt_sigaction(2) as the program made it.
pub fn rt_sigaction(block: &Block, args: [u64; 6]) -> i64 {
    match try_rt_sigaction(block, args) {
        Ok(()) => 0,
        Err(errno) => -i64::from(errno),
    }
}

fn try_rt_sigaction(block: &Block, args: [u64; 6]) -> Result<(), i32> {
    let [sig, new_addr, old_addr, size, ..] = args;
    let sig = sig as u32;
    if size != 8 {
        return Err(EINVAL);
    }
    let new = if new_addr == 0 { None } else { Some(usermem::read::<SigAction>(new_addr)?) };
    if sig == 0 || sig > SIG_MAX || (new.is_some() && (sig == SIGKILL || sig == SIGSTOP)) {
        return Err(EINVAL);
    }
    let actions = block.actions.get();
    let old = {
        let _guard = actions.lock.lock(block);
        let old = actions.slot(sig).map_or(SigAction::default(), Slot::load);
        if let Some(mut new) = new {
            new.flags &= sa::KNOWN;
            new.mask &= !UNBLOCKABLE;
            sys::sigaction(sig, Some(&for_kernel(sig, &new)))?;
            actions.set(sig, &new);
        }
        old
    };
    if old_addr != 0 {
        usermem::write(old_addr, &old).map_err(|_| EFAULT)?;
    }
    Ok(())
}
