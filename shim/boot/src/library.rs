//! Libraries that are mapped while the program runs: the planner that [`ia2_rt::library`] calls.
//!
//! Most libraries have no `SYSCALL`; a look at the text that was just mapped tells. Where there is
//! one, the library is planned from its file, since its other segments may not be mapped yet, and
//! patched as at start. Everything allocated is unmapped at the end.

#![allow(unsafe_code, reason = "makes slices of mapped memory")]

use crate::measure::{self, Object};
use crate::{arena, rewrite};
use core::ops::Range;
use core::ptr;
use ia2_plan::image::Image;
use ia2_plan::{plan, scan};
use ia2_rt::library::{FreshText, Planner};
use ia2_rt::sys;
use linux_raw_sys::general::{MAP_PRIVATE, PROT_READ};

/// What boot hands to the live code.
pub(crate) static PLANNER: Planner = patch;

/// A file mapped for reading; unmapped when dropped.
struct File {
    start: u64,
    len: u64,
}

impl File {
    fn map(fd: i32, len: u64) -> Option<Self> {
        let start = sys::mmap(0, len, PROT_READ, MAP_PRIVATE, fd, 0).ok()?;
        Some(Self { start, len })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        sys::munmap(self.start, self.len);
    }
}

/// # Safety
/// `len` bytes at `start` must be mapped readable as long as the slice is used.
unsafe fn bytes_at(start: u64, len: u64) -> &'static [u8] {
    // SAFETY: the caller's promise.
    unsafe {
        core::slice::from_raw_parts(ptr::with_exposed_provenance(start as usize), len as usize)
    }
}

fn patch(text: &FreshText) {
    let Ok(size) = sys::file_size(text.fd) else { return };
    // Pages behind the end of the file are mapped, but there is nothing in them.
    let len = size.saturating_sub(text.offset).min(text.range.end.saturating_sub(text.range.start));
    if text.prot & PROT_READ == 0 || len == 0 {
        return;
    }
    // SAFETY: just mapped, readable, and the program does not know the address yet.
    let bytes = unsafe { bytes_at(text.range.start, len) };
    let mut found = false;
    scan::syscall_pairs(bytes, |_| found = true);
    if !found || !arena::reserve() {
        return;
    }
    if let Some(file) = File::map(text.fd, size) {
        plan_file(text, &file);
    }
    // SAFETY: everything that was allocated has been dropped.
    unsafe { arena::release() };
}

fn plan_file(text: &FreshText, file: &File) {
    // SAFETY: mapped until the caller drops it, and all that is made of it here is dropped before.
    let bytes = unsafe { bytes_at(file.start, file.len) };
    let Ok(image) = Image::from_file(bytes) else { return };
    if image.relocates_text {
        return; // the dynamic linker will write into it, and must find its own bytes
    }
    let Some((bias, segment)) = place(text, &image, bytes) else { return };
    let mut plan = plan::plan(&image);
    // What else the mapping covers is not where it was linked to be.
    plan.sites.retain(|site| {
        segment.contains(&site.addr) && text.range.contains(&site.addr.wrapping_add(bias))
    });
    ia2_rt::stub::sweep();
    let Ok(mapped) = measure::mapped() else { return };
    let (start, end) =
        (text.range.start.min(bias), text.range.end.max(bias.wrapping_add(image.end)));
    let object = Object { bias, start, end, image };
    // SAFETY: the program does not know yet where the text is, so nobody runs it.
    unsafe { rewrite::library(&object, plan, mapped, &text.range) };
}

/// What the mapping adds to link-time addresses, and the link-time addresses of the executable segment
/// whose beginning it holds.
fn place(text: &FreshText, image: &Image<'_>, file: &[u8]) -> Option<(u64, Range<u64>)> {
    image.segments.iter().filter(|segment| segment.exec).find_map(|segment| {
        let offset = segment.bytes.as_ptr().addr().checked_sub(file.as_ptr().addr())? as u64;
        let start = text.range.start.checked_add(offset.checked_sub(text.offset)?)?;
        let end = segment.vaddr.checked_add(segment.bytes.len() as u64)?;
        let bias = start.wrapping_sub(segment.vaddr);
        text.range.contains(&start).then_some((bias, segment.vaddr..end))
    })
}
