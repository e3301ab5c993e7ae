//! From objects to stubs and patches.
//!
//! Objects that lie together (the libraries do) share one arena of stubs. The arena is filled while
//! it is writable and not executable, and only then are the sites patched, each after a last look
//! at the bytes it was planned for.

#![allow(unsafe_code, reason = "writes stubs and patches")]

use crate::measure::{Object, Objects, Text};
use crate::raw::GiveUp;
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::Ordering;
use ia2_core::layout::STUB_SLOT;
use ia2_core::site::Refusal;
use ia2_plan::plan::{self, ObjectPlan};
use ia2_plan::stub::{self, Write};
use ia2_rt::state::{self, LEFT, Left};
use ia2_rt::sys;
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE,
};

/// Objects that start within this distance share an arena; the rest of a displacement's ±2 GiB is
/// for their own extent and the arena's.
const TOGETHER: u64 = 1 << 30;
/// Lowest address an arena may have, well above what the kernel forbids to map.
const LOWEST: u64 = 1 << 20;

/// Patches all objects.
///
/// # Safety
/// No code of the objects may run meanwhile.
pub(crate) unsafe fn all(objects: &Objects) -> Result<(), GiveUp> {
    let plans: Vec<(&Object, ObjectPlan)> =
        objects.list.iter().map(|object| (object, plan::plan(&object.image))).collect();
    let mut left = Vec::new();
    let mut rest = &plans[..];
    let mut mapped = objects.mapped.clone();
    while let Some((first, _)) = rest.first() {
        let close = rest.iter().take_while(|(o, _)| o.end - first.start < TOGETHER).count().max(1);
        let (group, others) = rest.split_at(close);
        // SAFETY: the caller's promise.
        unsafe { patch_group(group, &mut mapped, &mut left) };
        rest = others;
    }
    let found: usize = plans.iter().map(|(_, plan)| plan.sites.len()).sum();
    state::FOUND.store(found as u64, Ordering::Relaxed);
    state::PATCHED.store((found - left.len()) as u64, Ordering::Relaxed);
    left.sort_by_key(|left| left.addr);
    // SAFETY: boot, once.
    unsafe { LEFT.set_boot(keep(&left)?) };
    Ok(())
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

struct Arena {
    start: u64,
    len: u64,
    /// Next free slot.
    next: u64,
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
    let start = starts.into_iter().map(|start| start & !4095).find(|start| {
        let prot = PROT_READ | PROT_WRITE;
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        *start >= LOWEST
            && start.abs_diff(object.start) < TOGETHER
            && sys::mmap(*start, len, prot, flags, -1, 0) == Ok(*start)
    })?;
    mapped.push((start, start + len));
    mapped.sort_unstable();
    Some(Arena { start, len, next: start })
}

/// # Safety
/// As [`all`].
unsafe fn patch_group(
    group: &[(&Object, ObjectPlan)],
    mapped: &mut Vec<(u64, u64)>,
    left: &mut Vec<Left>,
) {
    let slots: usize =
        group.iter().map(|(_, p)| p.sites.iter().filter(|s| s.outcome.is_ok()).count()).sum();
    let len = (slots as u64 * STUB_SLOT).next_multiple_of(4096);
    let Some((first, _)) = group.first() else { return };
    let mut arena = if slots == 0 { None } else { map_arena(first, len, mapped) };
    let mut writes: Vec<Vec<(u64, [Option<Write>; 2])>> = Vec::with_capacity(group.len());
    for (object, plan) in group {
        let mut of_object = Vec::with_capacity(plan.sites.len());
        for site in &plan.sites {
            let addr = site.addr.wrapping_add(object.bias);
            let stub = match (&site.outcome, &mut arena) {
                (Ok(patch), Some(arena)) => {
                    stub::emit(patch, site, object.bias, arena.next).and_then(|slot| {
                        let writes = stub::writes(patch, object.bias, arena.next)?;
                        // SAFETY: the arena is writable, ours, and has a slot for every patch.
                        unsafe { put(arena.next, &slot.bytes) };
                        arena.next += STUB_SLOT;
                        Ok(writes)
                    })
                }
                (Ok(_), None) => Err(Refusal::NoStubMemory),
                (Err(reason), _) => Err(*reason),
            };
            match stub {
                Ok(writes) => of_object.push((addr, writes)),
                Err(reason) => left.push(Left { addr, reason }),
            }
        }
        writes.push(of_object);
    }
    let usable = arena.is_some_and(|arena| {
        sys::mprotect(arena.start, arena.len, PROT_READ | PROT_EXEC).is_ok()
            && ia2_rt::stub::register(arena.start, arena.start + arena.len, arena.next)
    });
    for ((object, _), writes) in group.iter().zip(&writes) {
        if usable {
            // SAFETY: the caller's promise.
            unsafe { patch_object(object, writes, left) };
        } else {
            let refused =
                |(addr, _): &(u64, _)| Left { addr: *addr, reason: Refusal::NoStubMemory };
            left.extend(writes.iter().map(refused));
        }
    }
}

/// # Safety
/// As [`all`].
unsafe fn patch_object(object: &Object, sites: &[(u64, [Option<Write>; 2])], left: &mut Vec<Left>) {
    for text in &object.text {
        let inside = |site: &&(u64, [Option<Write>; 2])| (text.start..text.end).contains(&site.0);
        if !sites.iter().any(|site| inside(&site)) {
            continue;
        }
        let len = text.end - text.start;
        if sys::mprotect(text.start, len, PROT_READ | PROT_WRITE).is_err() {
            let refused = |(addr, _): &(u64, _)| Left { addr: *addr, reason: Refusal::NotWritable };
            left.extend(sites.iter().filter(inside).map(refused));
            continue;
        }
        for (addr, writes) in sites.iter().filter(inside) {
            // SAFETY: the text is writable now, and nobody runs it.
            if !unsafe { apply(text, writes) } {
                left.push(Left { addr: *addr, reason: Refusal::Changed });
            }
        }
        if let Err(errno) = sys::mprotect(text.start, len, PROT_READ | PROT_EXEC) {
            crate::raw::give_up("patched text cannot be made executable again", errno);
        }
    }
}

/// Applies the writes of one site, if all the bytes are as planned.
///
/// # Safety
/// `text` must be writable, and not running.
unsafe fn apply(text: &Text, writes: &[Option<Write>; 2]) -> bool {
    let as_planned = writes.iter().flatten().all(|write| {
        let end = write.addr.wrapping_add(write.len as u64);
        let inside = write.addr >= text.start && end <= text.end;
        let old = write.old.get(..write.len);
        // SAFETY: within the text, which is mapped and readable.
        inside && old == Some(unsafe { get(write.addr, write.len) })
    });
    if as_planned {
        for write in writes.iter().flatten() {
            if let Some(new) = write.new.get(..write.len) {
                // SAFETY: within the text, which is writable.
                unsafe { put(write.addr, new) };
            }
        }
    }
    as_planned
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
