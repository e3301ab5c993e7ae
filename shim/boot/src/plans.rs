//! Plans that were made before: where they are, and how to get at them.
//!
//! The first process of a tree takes them from the file [`NAME`] beside the library, which `ia2 cache`
//! writes. With what it has planned itself it puts them behind the settings
//! ([`ia2_core::handover::PARTS_AT`]), in sealed memory that all further processes of the tree read,
//! so that nobody can forge one for another.

#![allow(unsafe_code, reason = "makes slices of mapped memory")]

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use ia2_core::handover::CONFIG_FD;
use ia2_plan::cache::Key;
use ia2_rt::sys::{self, Identity};
use linux_raw_sys::general::{MAP_PRIVATE, O_RDONLY, PROT_READ};

/// Name of the file beside the library.
const NAME: &[u8] = b"ia2-plans\0";

/// Where behind the settings there are plans, and how many bytes.
static INHERITED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// A file mapped for reading; unmapped when dropped.
pub(crate) struct File {
    start: u64,
    len: u64,
}

impl File {
    /// Nothing.
    pub(crate) const EMPTY: Self = Self { start: 0, len: 0 };

    /// `len` bytes of an open file.
    pub(crate) fn map(fd: i32, offset: u64, len: u64) -> Option<Self> {
        let start = sys::mmap(0, len, PROT_READ, MAP_PRIVATE, fd, offset).ok()?;
        Some(Self { start, len })
    }

    /// Its bytes, for as long as it is not dropped.
    ///
    /// # Safety
    /// The file must not become shorter meanwhile.
    pub(crate) unsafe fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: mapped by `map`, and the caller's promise that all of it stays there.
        unsafe {
            let start = ptr::with_exposed_provenance(self.start as usize);
            core::slice::from_raw_parts(start, self.len as usize)
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.len != 0 {
            sys::munmap(self.start, self.len);
        }
    }
}

/// What plans of this file are kept under.
pub(crate) fn key(file: Identity) -> Option<Key> {
    Key::new(file.device, file.inode, file.size, file.modified, file.changed)
}

/// The plans in the folder of `library`, a path. They are copied: somebody may write a new file over
/// this one meanwhile.
pub(crate) fn beside(library: &[u8]) -> Vec<u8> {
    let mut plans = Vec::new();
    if let Ok(fd) = sys::open(&crate::seat::beside(library, NAME), O_RDONLY, 0) {
        plans.resize(sys::file_size(fd).unwrap_or(0) as usize, 0);
        let len = sys::pread(fd, &mut plans, 0);
        plans.truncate(len.unwrap_or(0));
        sys::close(fd);
    }
    plans
}

/// Notes that there are plans behind the settings, from `start` to `end`.
pub(crate) fn are_inherited(start: u64, end: u64) {
    let [at, len] = &INHERITED;
    at.store(start, Ordering::Relaxed);
    len.store(end.saturating_sub(start), Ordering::Relaxed);
}

/// The plans behind the settings.
pub(crate) fn inherited() -> File {
    let [at, len] = &INHERITED;
    match len.load(Ordering::Relaxed) {
        0 => File::EMPTY,
        len => File::map(CONFIG_FD, at.load(Ordering::Relaxed), len).unwrap_or(File::EMPTY),
    }
}
