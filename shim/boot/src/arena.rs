//! Memory for planning: a bump allocator over anonymous mappings, all unmapped when boot is done, or
//! a library that was mapped later is patched.
//!
//! Only boot allocates, on the only thread, and the planner of libraries, under the lock of live
//! patching, so there is nothing to lock. Nothing is freed before the end but the latest
//! allocation, which can also grow in place: that is what a `Vec` being filled needs.

#![allow(unsafe_code, reason = "a global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;
use ia2_rt::sys;
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, PROT_READ, PROT_WRITE,
};

/// Size of the first chunk, in bytes: what it takes if all plans are at hand. As nearly all of it will
/// be used, its pages are asked for at once, which is cheaper than to fault for each.
const FIRST: usize = 64 << 10;
/// Size of the second one: what it takes to plan a C library.
const SECOND: usize = 128 << 10;
/// Least size of a further one.
const CHUNK: usize = 4 << 20;
/// First bytes of a chunk: the chunk before it, and its own size.
const HEADER: usize = 16;

/// The allocator; a leaf makes it `#[global_allocator]`.
pub struct Arena {
    /// First free byte of the newest chunk.
    next: Cell<usize>,
    /// One past its end.
    end: Cell<usize>,
    /// Its start, or 0.
    chunk: Cell<usize>,
    /// How many there are.
    count: Cell<u32>,
}

// SAFETY: used by one thread only, by the promise of `boot`.
unsafe impl Sync for Arena {}

/// The one arena.
pub static ARENA: Arena =
    Arena { next: Cell::new(0), end: Cell::new(0), chunk: Cell::new(0), count: Cell::new(0) };

/// Forwards to [`ARENA`]; what a leaf names as its allocator.
pub struct Allocator;

impl Arena {
    fn bump(&self, layout: Layout) -> Option<usize> {
        let start = self.next.get().checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        if end > self.end.get() {
            return None;
        }
        self.next.set(end);
        Some(start)
    }

    fn grow(&self, least: usize) -> Option<()> {
        let (usual, populate) = match self.count.get() {
            0 => (FIRST, MAP_POPULATE),
            1 => (SECOND, MAP_POPULATE),
            _ => (CHUNK, 0),
        };
        self.count.set(self.count.get() + 1);
        let len = least.checked_add(HEADER)?.checked_next_multiple_of(4096)?.max(usual);
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | populate;
        let start = sys::mmap(0, len as u64, PROT_READ | PROT_WRITE, flags, -1, 0).ok()? as usize;
        // SAFETY: the first bytes of the mapping just made.
        unsafe {
            ptr::with_exposed_provenance_mut::<[usize; 2]>(start).write([self.chunk.get(), len])
        };
        self.chunk.set(start);
        self.next.set(start + HEADER);
        self.end.set(start + len);
        Some(())
    }
}

// SAFETY: blocks are disjoint parts of private mappings that live until `release`.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let got = ARENA.bump(layout).or_else(|| {
            ARENA.grow(layout.size().checked_add(layout.align())?)?;
            ARENA.bump(layout)
        });
        got.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block.addr() + layout.size() == ARENA.next.get() {
            ARENA.next.set(block.addr());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let is_last = block.addr() + layout.size() == ARENA.next.get();
        if let Some(end) = block.addr().checked_add(new_size)
            && is_last
            && end <= ARENA.end.get()
        {
            ARENA.next.set(end);
            return block;
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: as `alloc`; both blocks have at least the smaller of the two sizes.
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(new_size));
            }
            new
        }
    }
}

/// Makes sure that there is memory, as far as that can be known. False if there is none.
pub(crate) fn reserve() -> bool {
    ARENA.end.get() != 0 || ARENA.grow(0).is_some()
}

/// Unmaps everything that was allocated.
///
/// # Safety
/// Nothing allocated may be used any more.
pub unsafe fn release() {
    let mut chunk = ARENA.chunk.replace(0);
    ARENA.count.set(0);
    ARENA.next.set(0);
    ARENA.end.set(0);
    while chunk != 0 {
        // SAFETY: written by `grow`.
        let [before, len] = unsafe { ptr::with_exposed_provenance::<[usize; 2]>(chunk).read() };
        sys::munmap(chunk as u64, len as u64);
        chunk = before;
    }
}
