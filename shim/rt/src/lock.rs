//! Spin locks for the few things that all threads share.
//!
//! Held for microseconds by code that runs nothing of the program and is not interrupted by code of
//! the program (signals are deferred while the shim runs). A fork takes both before it makes the
//! child, so that the child, whose other threads are gone, finds the data whole and the locks its
//! own to release. Order: [`PATCH`], [`BLOCKS`].

use core::sync::atomic::{AtomicBool, Ordering};

/// A spin lock that guards a convention, not a value.
pub struct Lock(AtomicBool);

/// Guards the list of blocks and the signal actions.
pub static BLOCKS: Lock = Lock::new();
/// Guards live patching and late stub memory.
pub static PATCH: Lock = Lock::new();

/// Releases its lock when dropped.
pub struct Guard<'a>(&'a Lock);

impl Lock {
    const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Takes the lock, waiting for it.
    pub fn lock(&self) -> Guard<'_> {
        loop {
            for _ in 0..100 {
                if let Some(guard) = self.try_lock() {
                    return guard;
                }
                core::hint::spin_loop();
            }
            crate::sys::sched_yield();
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<Guard<'_>> {
        self.0
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then_some(Guard(self))
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// In the child of a fork, whose parent held both locks for it: releases them.
pub fn release_in_child() {
    BLOCKS.0.store(false, Ordering::Release);
    PATCH.0.store(false, Ordering::Release);
}
