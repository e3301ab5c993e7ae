//! From objects to stubs and patches.
//!
//! Objects that lie together (the libraries do) share one arena of stubs. The arena is filled while
//! it is writable and not executable, and only then are the sites patched, each after a last look
//! at the bytes it was planned for.

#![allow(unsafe_code, reason = "writes stubs and patches")]

use crate::measure::{Found, Object, Objects, Text};
use crate::raw::GiveUp;
use alloc::vec::Vec;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::Ordering;
use ia2_core::layout::{ORIGINAL, STUB_SLOT};
use ia2_core::site::Refusal;
use ia2_plan::cache::{Cache, Entry};
use ia2_plan::plan::{self, Patch, Site};
use ia2_plan::stub::{self, Write};
use ia2_rt::state::{self, LEFT, Left};
use ia2_rt::sys;
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_POPULATE, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE,
};

/// Objects that start within this distance share an arena; the rest of a displacement's ±2 GiB is
/// for their own extent and the arena's.
const TOGETHER: u64 = 1 << 30;
/// Steps in which a place for an arena is tried where none of the gaps is free any more.
const ELSEWHERE: u64 = 16 << 20;
/// Lowest address an arena may have, well above what the kernel forbids to map.
const LOWEST: u64 = 1 << 20;

/// Patches all objects. Adds to `fresh` the plans that were not in `cache`.
///
/// # Safety
/// No code of the objects may run meanwhile.
pub(crate) unsafe fn all(
    objects: &Objects,
    cache: &Cache<'_>,
    mut fresh: Option<&mut Vec<Entry>>,
) -> Result<(), GiveUp> {
    let mut sites_of = |found: &Found| {
        let kept = found.key.and_then(|key| cache.get(&key));
        kept.map(|(_, sites)| sites).unwrap_or_else(|| {
            let plan = plan::plan(&found.image);
            if let (Some(fresh), Some(key)) = (&mut fresh, found.key) {
                fresh.push(Entry::new(key, &found.object.layout, &plan));
            }
            plan.sites
        })
    };
    let mut plans: Vec<(&Object, Vec<Site>)> =
        // Text that the dynamic linker is still to write into is left alone.
        objects
            .list
            .iter()
            .filter(|found| !found.image.relocates_text)
            .map(|found| (&found.object, sites_of(found)))
            .collect();
    let mut left = Vec::new();
    let mut rest = &mut plans[..];
    let mut mapped = objects.mapped.clone();
    while let Some((first, _)) = rest.first() {
        let start = first.start;
        let close = rest.iter().take_while(|(o, _)| o.end - start < TOGETHER).count().max(1);
        let (group, others) = rest.split_at_mut(close);
        // SAFETY: the caller's promise.
        unsafe { patch_group(group, &mut mapped, &(0..u64::MAX), &mut left) };
        rest = others;
    }
    let found: usize = plans.iter().map(|(_, sites)| sites.len()).sum();
    state::FOUND.store(found as u64, Ordering::Relaxed);
    state::PATCHED.store((found - left.len()) as u64, Ordering::Relaxed);
    left.sort_by_key(|left| left.addr);
    // SAFETY: boot, once.
    unsafe { LEFT.set_boot(keep(&left)?) };
    Ok(())
}

/// Patches an object that is mapped while the program runs, in `fresh`, which may be less than its
/// segment. `mapped` is as in [`Objects`].
///
/// # Safety
/// No code of the object may run meanwhile. The caller holds [`ia2_rt::lock::PATCH`].
pub(crate) unsafe fn library(
    object: &Object,
    sites: Vec<Site>,
    mut mapped: Vec<(u64, u64)>,
    fresh: &Range<u64>,
) {
    let found = sites.len();
    let mut left = Vec::new();
    // SAFETY: the caller's promise.
    unsafe { patch_group(&mut [(object, sites)], &mut mapped, fresh, &mut left) };
    let patched = found - left.len();
    let listed = left.iter().filter(|left| !LEFT.has(left.addr) && LEFT.add(**left)).count();
    state::FOUND.fetch_add((patched + listed) as u64, Ordering::Relaxed);
    state::PATCHED.fetch_add(patched as u64, Ordering::Relaxed);
}

/// Copies the list to memory that stays.
fn keep(left: &[Left]) -> Result<&'static [Left], GiveUp> {
    if left.is_empty() {
        return Ok(&[]);
    }
    let len = size_of_val(left) as u64;
    let addr = sys::mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        .map_err(GiveUp::because("no memory for the list of sites"))?;
    let to = ptr::with_exposed_provenance_mut::<Left>(addr as usize);
    // SAFETY: a fresh mapping of this size, page-aligned, never unmapped.
    Ok(unsafe {
        ptr::copy_nonoverlapping(left.as_ptr(), to, left.len());
        core::slice::from_raw_parts(to, left.len())
    })
}

/// Memory for stubs.
struct Arena {
    start: u64,
    len: u64,
}

/// Maps `len` bytes in the gap nearest to `object`, below it if possible: what the program maps
/// later then grows away from it.
fn map_arena(object: &Object, len: u64, mapped: &mut Vec<(u64, u64)>) -> Option<Arena> {
    let below = mapped.iter().rev().skip_while(|(start, _)| *start > object.start);
    let mut starts = Vec::new();
    let mut top = object.start;
    for (start, end) in below {
        if *end <= top && top - end >= len {
            starts.push(top - len);
        }
        top = *start;
    }
    starts.push(top.saturating_sub(len));
    let mut bottom = object.end;
    for (start, end) in mapped.iter().filter(|(start, _)| *start >= object.end) {
        if *start >= bottom && start - bottom >= len {
            starts.push(bottom);
        }
        bottom = *end;
    }
    // The list was made before the memory for planning grew, so a gap may be taken by now.
    starts.extend((1..TOGETHER / ELSEWHERE).map(|n| object.start.saturating_sub(n * ELSEWHERE)));
    let start = starts.into_iter().map(|start| start & !4095).find(|start| {
        let prot = PROT_READ | PROT_WRITE;
        // All of it is written at once, so it need not fault page by page.
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE;
        *start >= LOWEST
            && start.abs_diff(object.start) < TOGETHER
            && sys::mmap(*start, len, prot, flags, -1, 0) == Ok(*start)
    })?;
    mapped.push((start, start + len));
    mapped.sort_unstable();
    Some(Arena { start, len })
}

/// # Safety
/// As [`all`].
unsafe fn patch_group(
    group: &mut [(&Object, Vec<Site>)],
    mapped: &mut Vec<(u64, u64)>,
    writable: &Range<u64>,
    left: &mut Vec<Left>,
) {
    let slots: usize =
        group.iter().map(|(_, sites)| sites.iter().filter(|s| s.outcome.is_ok()).count()).sum();
    let len = (slots as u64 * (STUB_SLOT + ORIGINAL)).next_multiple_of(4096);
    let Some((first, _)) = group.first() else { return };
    let arena = if slots == 0 { None } else { map_arena(first, len, mapped) };
    let mut next = arena.as_ref().map_or(0, |arena| arena.start);
    let mut under = Vec::with_capacity(slots);
    for (object, sites) in group.iter_mut() {
        for site in sites {
            let stub = site.outcome.and_then(|patch| match arena {
                Some(_) => stub::emit(&patch, site, object.bias, next),
                None => Err(Refusal::NoStubMemory),
            });
            match stub {
                Ok(stub) => {
                    // SAFETY: the arena is writable, ours, and has a slot for every patch.
                    unsafe { put(next, &stub.bytes) };
                    under.extend(site.outcome.map(|patch| bytes_under(&patch)));
                    next += STUB_SLOT;
                }
                Err(reason) => {
                    left.push(Left { addr: site.addr.wrapping_add(object.bias), reason });
                    site.outcome = Err(reason);
                }
            }
        }
    }
    let Some(arena) = arena else { return };
    // SAFETY: as above; there is room for as many of these as slots, behind them.
    unsafe { put(next, under.as_flattened()) };
    let usable = sys::mprotect(arena.start, arena.len, PROT_READ | PROT_EXEC).is_ok()
        && ia2_rt::stub::register(arena.start, arena.start + arena.len, next);
    // The stubs lie in the order of the sites.
    let mut slot = arena.start;
    for (object, sites) in group.iter() {
        let mut rest = &sites[..];
        for text in object.text() {
            let text = Text {
                start: text.start.max(writable.start),
                end: text.end.min(writable.end),
                ..text
            };
            let end = text.end.wrapping_sub(object.bias);
            let (inside, others) = rest.split_at(rest.partition_point(|site| site.addr < end));
            rest = others;
            // SAFETY: the caller's promise.
            slot = unsafe { patch_text(text, inside, object.bias, slot, usable, left) };
        }
    }
}

/// The text that a patch covers, from its first byte, as far as the patch changes it.
fn bytes_under(patch: &Patch) -> [u8; ORIGINAL as usize] {
    let mut bytes = [0; ORIGINAL as usize];
    // Where the `SYSCALL` is not overwritten, it follows.
    for (to, from) in bytes.iter_mut().zip(patch.old.iter().chain(&[0x0f, 0x05])) {
        *to = *from;
    }
    bytes
}

/// Patches the sites in one mapping, whose stubs begin at `slot`, if those are `usable`. Answers
/// where the next stub is.
///
/// # Safety
/// As [`all`].
unsafe fn patch_text(
    text: Text,
    sites: &[Site],
    bias: u64,
    mut slot: u64,
    usable: bool,
    left: &mut Vec<Left>,
) -> u64 {
    let mut patches =
        sites.iter().filter_map(|site| Some((site.addr, site.outcome.ok()?))).peekable();
    if patches.peek().is_none() {
        return slot;
    }
    let len = text.end - text.start;
    let protect = |prot| sys::mprotect(text.start, len, prot);
    let execute = || {
        if let Err(errno) = protect(PROT_READ | PROT_EXEC) {
            crate::raw::give_up("patched text cannot be made executable again", errno);
        }
    };
    let ready = match usable {
        // Whoever may write to it may change an operand in place, and would hit the jump.
        true if text.write => Err(Refusal::Writable),
        true => protect(PROT_READ | PROT_WRITE).map_err(|_| {
            execute(); // a part may have been changed
            Refusal::NotWritable
        }),
        false => Err(Refusal::NoStubMemory),
    };
    for (addr, patch) in patches {
        let done = ready.and_then(|()| {
            let writes = stub::writes(&patch, bias, slot)?;
            // SAFETY: the text is writable now, and nobody runs it.
            unsafe { apply(text, &writes) }
        });
        if let Err(reason) = done {
            left.push(Left { addr: addr.wrapping_add(bias), reason });
        }
        slot += STUB_SLOT;
    }
    if ready.is_ok() {
        execute();
    }
    slot
}

/// Applies the writes of one site, if all the bytes are as planned.
///
/// # Safety
/// `text` must be writable, and not running.
unsafe fn apply(text: Text, writes: &[Option<Write>; 2]) -> Result<(), Refusal> {
    let as_planned = writes.iter().flatten().all(|write| {
        let end = write.addr.wrapping_add(write.len as u64);
        let inside = write.addr >= text.start && end <= text.end;
        // SAFETY: within the text, which is mapped and readable.
        inside && write.old.iter().zip(unsafe { get(write.addr, write.len) }).all(|(a, b)| a == b)
    });
    if !as_planned {
        return Err(Refusal::Changed);
    }
    for write in writes.iter().flatten() {
        if let Some(new) = write.new.get(..write.len) {
            // SAFETY: within the text, which is writable.
            unsafe { put(write.addr, new) };
        }
    }
    Ok(())
}

/// # Safety
/// `len` bytes at `addr` must be readable and stay unchanged while the slice lives.
unsafe fn get<'a>(addr: u64, len: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(ptr::with_exposed_provenance(addr as usize), len) }
}

/// # Safety
/// The bytes at `addr` must be writable and nobody else's.
unsafe fn put(addr: u64, bytes: &[u8]) {
    let to = ptr::with_exposed_provenance_mut(addr as usize);
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
}
