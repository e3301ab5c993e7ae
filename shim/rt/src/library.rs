//! Libraries that are mapped while the program runs: dlopen, or a dynamic linker at work.
//!
//! Their text is rewritten inside the very mmap(2) that makes it executable: nobody runs it before
//! that call has returned, and the file it comes from is at hand, so it is planned as at start.
//! Planning takes memory and code that do not belong to the live crate; boot hands the planner over
//! as a function, which runs here on the handler stack, with signals deferred, under
//! [`crate::lock::PATCH`].

#![allow(unsafe_code, reason = "a pointer to a function that boot hands over")]

use crate::block::Block;
use crate::{lock, memory, sys};
use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use ia2_core::nr;
use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_PRIVATE, MAP_TYPE, PROT_EXEC, PROT_WRITE};

/// A part of a file that has just been mapped executable, private and read-only.
#[derive(Clone, Debug)]
pub struct FreshText {
    /// Where.
    pub range: Range<u64>,
    /// The protection it has, `PROT_*`.
    pub prot: u32,
    /// The file.
    pub fd: i32,
    /// Offset in the file of the first byte.
    pub offset: u64,
}

/// Plans and patches a text that nobody runs yet.
pub type Planner = fn(&FreshText);

static PLANNER: AtomicPtr<Planner> = AtomicPtr::new(ptr::null_mut());

/// Has `planner` called for every text that is mapped from now on. For boot.
pub fn set_planner(planner: &'static Planner) {
    PLANNER.store(ptr::from_ref(planner).cast_mut(), Ordering::Release);
}

fn planner() -> Option<&'static Planner> {
    // SAFETY: null, or what `set_planner` got.
    unsafe { PLANNER.load(Ordering::Acquire).as_ref() }
}

/// Whether an mmap(2) with these arguments makes text of a file that can be planned.
///
/// Not text that stays writable, whose owner may change any byte of it; nor a shared mapping, where
/// a patch would reach the file.
fn is_text([_, _, prot, flags, ..]: [u64; 6]) -> bool {
    let (prot, flags) = (prot as u32, flags as u32);
    prot & (PROT_EXEC | PROT_WRITE) == PROT_EXEC
        && flags & MAP_ANONYMOUS == 0
        && flags & MAP_TYPE == MAP_PRIVATE
}

/// Makes the mmap(2) of the program if it maps text to be planned, and gives its result; else `None`.
///
/// Not for a task that could be killed in the middle of it while others live on in the same memory.
pub fn map(block: &Block, args: [u64; 6]) -> Option<i64> {
    if !is_text(args) || block.guest.get() {
        return None;
    }
    let planner = planner()?;
    let [_, len, prot, _, fd, offset] = args;
    let result = memory::pass(block, nr::MMAP, args);
    if let Ok(start) = sys::check(result) {
        let _guard = lock::PATCH.lock(block);
        let end = start.saturating_add(len).saturating_add(4095) & !4095;
        planner(&FreshText { range: start..end, prot: prot as u32, fd: fd as i32, offset });
    }
    Some(result)
}
