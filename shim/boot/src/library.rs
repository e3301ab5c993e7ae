//! Libraries that are mapped while the program runs: the planner that [`ia2_rt::library`] calls.
//!
//! If the tree has the library's plan, that is used. Else: most libraries have no `SYSCALL`; a look at the
//! text that was just mapped tells. Where there is one, the library is planned from its file, since
//! its other segments may not be mapped yet, and patched as at start. Everything allocated is unmapped
//! at the end.

#![allow(unsafe_code, reason = "makes slices of mapped memory")]

use crate::measure::{self, Object};
use crate::plans::{self, File};
use crate::{arena, rewrite};
use alloc::vec::Vec;
use core::ptr;
use ia2_plan::cache::{self, Cache, Layout};
use ia2_plan::image::Image;
use ia2_plan::plan::{self, Site};
use ia2_plan::scan;
use ia2_rt::library::{FreshText, Planner};
use ia2_rt::sys;
use linux_raw_sys::general::PROT_READ;

/// What boot hands to the live code.
pub(crate) static PLANNER: Planner = patch;

fn patch(text: &FreshText) {
    if text.prot & PROT_READ == 0 {
        return; // what cannot be read is not looked at, and left to trap
    }
    let Ok(file) = sys::identity(text.fd) else { return };
    let key = plans::key(file);
    let inherited = plans::inherited();
    // SAFETY: memory that is sealed.
    let cache = Cache::new(unsafe { inherited.bytes() });
    let known = key.filter(|key| cache.has(key));
    if (known.is_some() || has_pair(text, file.size)) && arena::reserve() {
        match known.and_then(|key| cache.get(&key)) {
            Some((layout, sites)) => apply(text, layout, sites),
            None => plan_file(text, file.size),
        }
        // SAFETY: everything that was allocated has been dropped.
        unsafe { arena::release() };
    }
}

/// Whether what was mapped of a file of `size` bytes could hold a site.
fn has_pair(text: &FreshText, size: u64) -> bool {
    // Pages behind the end of the file are mapped, but there is nothing in them.
    let len = text.range.end.saturating_sub(text.range.start).min(size.saturating_sub(text.offset));
    if len == 0 {
        return false;
    }
    let start = ptr::with_exposed_provenance(text.range.start as usize);
    // SAFETY: just mapped, readable, and the program does not know the address yet.
    let bytes = unsafe { core::slice::from_raw_parts(start, len as usize) };
    let mut found = false;
    scan::syscall_pairs(bytes, |_| found = true);
    found
}

fn plan_file(text: &FreshText, size: u64) {
    let Some(file) = File::map(text.fd, 0, size) else { return };
    // SAFETY: nobody who makes a library shorter while it is being loaded wants it to run.
    let Ok(image) = Image::from_file(unsafe { file.bytes() }) else { return };
    // The dynamic linker must find its own bytes where it will write.
    if !image.relocates_text {
        apply(text, Layout::of(&image), plan::plan(&image).sites);
    }
}

/// Patches what has been mapped of the object with this layout and these sites.
fn apply(text: &FreshText, layout: Layout, mut sites: Vec<Site>) {
    let Some((bias, segment)) = cache::place(&layout, &text.range, text.offset) else { return };
    // What else the mapping covers is not where it was linked to be.
    sites.retain(|site| {
        segment.contains(&site.addr) && text.range.contains(&site.addr.wrapping_add(bias))
    });
    if sites.is_empty() {
        return;
    }
    ia2_rt::stub::sweep();
    let Ok(mapped) = measure::mapped() else { return };
    let (start, end) =
        (text.range.start.min(bias), text.range.end.max(bias.wrapping_add(layout.end)));
    let object = Object { bias, start, end, layout };
    // SAFETY: the program does not know yet where the text is, so nobody runs it.
    unsafe { rewrite::library(&object, sites, mapped, &text.range) };
}
