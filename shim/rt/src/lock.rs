//! Spin locks for the few things that several tasks share.
//!
//! Held for microseconds by code that runs nothing of the program and is not interrupted by code of
//! the program (signals are deferred while the shim runs). Who waits longer sleeps between tries,
//! for the holder may be a thread of lower priority on the same processor.
//!
//! A fork takes the locks before it makes the child, so that the child, whose other threads are
//! gone, finds the data whole and the locks its own to release. A task that shares the memory without
//! being a thread may be killed while it holds one: the parent of a vfork takes it back when it wakes
//! up ([`Lock::release_of`]), and for others who waits looks whether the owner still lives. Order:
//! [`EXEC`], [`PATCH`], [`BLOCKS`], that of [`crate::action::Actions`], [`MEMORY`].

#![allow(unsafe_code, reason = "turns the owner into a reference")]

use crate::block::Block;
use crate::sys;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A spin lock that guards a convention, not a value. It holds the block of its owner; null is free.
#[derive(Debug)]
pub struct Lock(AtomicPtr<Block>);

/// Held while a descriptor is inheritable that only the next image may have, and while a task is
/// made that gets a copy of all descriptors.
pub static EXEC: Lock = Lock::new();
/// Guards the list of blocks.
pub static BLOCKS: Lock = Lock::new();
/// Guards live patching and late stub memory.
pub static PATCH: Lock = Lock::new();
/// Guards the map of memory ([`crate::memory`]), over the calls that change it.
pub static MEMORY: Lock = Lock::new();

/// Tries before a wait sleeps, and for how long it does.
const TRIES: u32 = 1000;
const SLEEP_NS: u64 = 50_000;

/// Releases its lock when dropped.
pub struct Guard<'a>(&'a Lock);

impl Lock {
    /// A free lock.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Takes the lock for the task of `block`, waiting for it.
    pub fn lock(&self, block: &Block) -> Guard<'_> {
        loop {
            if let Some(guard) = wait(|| self.try_lock(block)) {
                return guard;
            }
            // SAFETY: null, or a block, and blocks are never unmapped.
            if let Some(owner) = unsafe { self.0.load(Ordering::Acquire).as_ref() }
                && owner.is_gone()
            {
                self.release_of(owner);
            }
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self, block: &Block) -> Option<Guard<'_>> {
        self.try_lock_for(ptr::from_ref(block).cast_mut())
    }

    fn try_lock_for(&self, owner: *mut Block) -> Option<Guard<'_>> {
        self.0
            .compare_exchange(ptr::null_mut(), owner, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Guard(self)) // not `then_some`: a guard that is not wanted would release the lock
    }

    /// Releases the lock, whoever held it: in the child of a fork, where nobody else is left.
    pub fn force_release(&self) {
        self.0.store(ptr::null_mut(), Ordering::Release);
    }

    /// Releases the lock if the task of `block`, which is gone, held it.
    pub fn release_of(&self, block: &Block) {
        let owner = ptr::from_ref(block).cast_mut();
        let _ =
            self.0.compare_exchange(owner, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.store(ptr::null_mut(), Ordering::Release);
    }
}

/// Tries for a while, and then sleeps a little.
pub fn wait<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..TRIES {
        let got = attempt();
        if got.is_some() {
            return got;
        }
        core::hint::spin_loop();
    }
    sys::sleep(SLEEP_NS);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A try that fails leaves the lock with its owner.
    #[test]
    fn a_taken_lock_stays_taken() {
        let lock = Lock::new();
        lock.0.store(ptr::dangling_mut(), Ordering::Relaxed);
        let other = ptr::without_provenance_mut(4096);
        assert!(lock.try_lock_for(other).is_none());
        assert!(lock.try_lock_for(other).is_none());
        lock.force_release();
        let guard = lock.try_lock_for(other);
        assert!(guard.is_some() && lock.try_lock_for(ptr::dangling_mut()).is_none());
        drop(guard);
        assert!(lock.try_lock_for(other).is_some());
    }
}
