//! Patching one site while other threads may be running it.
//!
//! # The protocol
//!
//! A site's instruction of `n` bytes (5 to 7) becomes a jump of 5. Other processors may be fetching
//! it at any moment, and x86 promises nothing about a fetch that sees half of a write, except that
//! a single byte is seen old or new. So, under [`lock::PATCH`]:
//!
//! 1. the address is published in [`AT`], and the first byte becomes `int3`. A thread now runs the
//!    old instruction, or traps: then [`catch`] holds it until the patch is whole and sends it back
//!    to the first byte;
//! 2. membarrier(SYNC_CORE): every thread of the process passes a serialising instruction, so no
//!    processor has the old instruction in flight any more. A thread interrupted *inside* it does
//!    not exist: one instruction is interrupted before or after, and after it stands the `SYSCALL`,
//!    which is not touched;
//! 3. the tail is written. Nobody fetches it: who comes by traps on the first byte;
//! 4. membarrier again, so that no processor holds the old tail;
//! 5. the first byte becomes that of the jump. A thread now jumps, or still traps and is sent back;
//! 6. membarrier, then the address is taken back. A thread that trapped before step 5 and reaches
//!    [`catch`] after this is recognised by the ring of patched addresses.
//!
//! SIGTRAP is a held signal, so step 1 kills nobody who has it blocked.
//!
//! # What may be patched
//!
//! Only a private, executable mapping of the program that is not writable: what its owner may change
//! in place is left alone, and what it makes writable again gets its bytes back
//! ([`make_writable`]). Private, because a shared mapping would carry the change into a file or
//! another process. `/proc/self/maps` is read to know, which costs some tens of microseconds, once
//! per site; a site that was given up is not looked at again.

#![allow(unsafe_code, reason = "writes into the program's text")]

use crate::abi::UContext;
use crate::block::Block;
use crate::state::{self, Left};
use crate::stub::{self, InUse};
use crate::{lock, memory, sys, usermem};
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use ia2_core::late;
use ia2_core::layout::{ORIGINAL, StubHeader};
use ia2_core::maps::Region;
use ia2_core::regs::Frame;
use ia2_core::site::Refusal;
use linux_raw_sys::general::{O_RDONLY, PROT_EXEC, PROT_READ, PROT_WRITE};

const INT3: u8 = 0xcc;

/// The address being patched, or 0.
static AT: AtomicU64 = AtomicU64::new(0);
const RING: usize = 32;
/// The addresses patched last.
static DONE: [AtomicU64; RING] = [const { AtomicU64::new(0) }; RING];
static DONE_NEXT: AtomicUsize = AtomicUsize::new(0);

/// membarrier commands (membarrier(2)).
const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
/// See [`PRIVATE_EXPEDITED_SYNC_CORE`]; to be called before the first one.
pub const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;

/// If a SIGTRAP comes from a site in the middle of a patch, waits for the patch and sends the
/// thread back to the site.
pub fn catch(uc: &mut UContext) -> bool {
    let addr = uc.rip.wrapping_sub(1);
    let patched = || (AT.load(Ordering::Acquire) != addr).then_some(());
    while lock::wait(patched).is_none() {}
    let known = DONE.iter().any(|slot| slot.load(Ordering::Acquire) == addr);
    // A breakpoint that a debugger or the program put there since is not ours.
    if !known || usermem::peek(addr).is_ok_and(|[first]| first == INT3) {
        return false;
    }
    uc.rip = addr;
    true
}

/// Plans and patches the site that has just trapped, if it can be done; else notes why not.
///
/// Not by a task that could be killed in the middle of it while others live on in the same memory.
pub fn late(block: &Block, site: u64, frame: &Frame) {
    if block.guest.get() {
        return;
    }
    // Not a `SYSCALL`: the vsyscall page, or bytes that are gone already.
    if usermem::peek(site) != Ok([0x0f, 0x05]) || state::LEFT.has(site) {
        return;
    }
    // Somebody is patching: this site, probably. If not, it will trap again.
    let Some(_guard) = lock::PATCH.try_lock(block) else { return };
    state::FOUND.fetch_add(1, Ordering::Relaxed);
    match try_late(site, frame) {
        Ok(()) => {
            state::PATCHED.fetch_add(1, Ordering::Relaxed);
        }
        Err(reason) => {
            if !state::LEFT.add(Left { addr: site, reason }) {
                state::FOUND.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

fn try_late(site: u64, frame: &Frame) -> Result<(), Refusal> {
    let mapping = mapping_of(site).ok_or(Refusal::LateUnproven)?;
    if mapping.prot & PROT_WRITE != 0 {
        return Err(Refusal::Writable);
    }
    // At the mapping's start there may be fewer bytes than are looked at; zeros stand for the rest
    // and begin no instruction that is looked for.
    let mut before = [0; late::BEFORE];
    let start = (site - late::BEFORE as u64).max(mapping.start);
    let missing = (late::BEFORE as u64).saturating_sub(site - start);
    let to = before.as_mut_ptr().addr() as u64 + missing;
    usermem::copy(to, start, (site - start) as usize).map_err(|_| Refusal::Changed)?;
    let patch = late::plan(&before, site, frame).ok_or(Refusal::LateUnproven)?;
    let slot = stub::take(site).ok_or(Refusal::NoStubMemory)?;
    let bytes = late::stub(&patch, site, slot).ok_or(Refusal::NoStubMemory)?;
    let start = site - u64::from(patch.len);
    let jump =
        late::jump(start, slot + ia2_core::layout::STUB_CODE).ok_or(Refusal::NoStubMemory)?;
    if !stub::fill(slot, &bytes) {
        return Err(Refusal::NotWritable);
    }
    write_live(start, &jump, mapping.prot)
}

/// An mprotect(2) or pkey_mprotect(2) that makes text writable: takes the patches in it back before, for
/// whoever changes an operand in place must find the program's own bytes there. The lock is held until
/// the call is made, so that no other thread patches in between. `None` if there are no patches, and
/// the call is still to be made.
pub fn make_writable(block: &Block, number: u32, args: [u64; 6]) -> Option<i64> {
    let [addr, len, ..] = args;
    // The kernel rounds the length up to whole pages.
    let end = addr.saturating_add(len).saturating_add(4095) & !4095;
    // Text that is being patched now was not yet, when this call was made.
    if block.guest.get() || !stub::may_be_in(addr, end) {
        return None;
    }
    let _guard = lock::PATCH.lock(block);
    stub::all_in(addr, end).for_each(|patch| take_back(&patch));
    Some(memory::pass(block, number, args))
}

/// Puts the program's bytes back. They are those of whole instructions, but the last of them may be cut
/// off: a `SYSCALL` that the patch left in place. An island of form D stays: a thread may be on its way
/// to it.
fn take_back(patch: &InUse) {
    let InUse { slot, header, original } = *patch;
    let covered = header.covers();
    let mut bytes = [0; ORIGINAL as usize];
    let len = match original {
        Some(kept) => {
            let len = bytes.len().min((covered.end - covered.start) as usize);
            usermem::copy(bytes.as_mut_ptr().addr() as u64, kept, len).map(|()| len).ok()
        }
        None => moved(slot, header).map(|moved| {
            for (to, from) in bytes.iter_mut().zip(moved) {
                *to = from;
            }
            moved.len()
        }),
    };
    if let Some(old) = len.and_then(|len| bytes.get(..len))
        && stub::is_in_place(slot, header)
        && let Some(mapping) = mapping_of(covered.start)
    {
        // What fails here leaves the jump, whose target stays: no worse than before.
        let _ = write_live(covered.start, old, mapping.prot);
    }
    stub::retire(slot, header);
    state::FOUND.fetch_sub(1, Ordering::Relaxed);
    state::PATCHED.fetch_sub(1, Ordering::Relaxed);
}

/// The first five bytes of the instruction that moved to `slot`, a late one.
fn moved(slot: u64, header: StubHeader) -> Option<[u8; 5]> {
    let len = usize::from(header.reenter) - ia2_core::layout::STUB_CODE as usize;
    let moved = slot + ia2_core::layout::STUB_CODE;
    let mut bytes = usermem::read::<[u8; 8]>(moved).ok()?;
    if let [0x48 | 0x4c, 0x8d, modrm, a, b, c, d, _] = bytes
        && modrm & 0xc7 == 0x05
    {
        let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
        let target = moved.wrapping_add(len as u64).wrapping_add_signed(distance);
        let old = (target.wrapping_sub(header.site) as i32).to_le_bytes();
        for (to, from) in bytes.iter_mut().skip(3).zip(old) {
            *to = from;
        }
    }
    bytes.first_chunk().copied()
}

/// A private executable mapping.
struct Mapping {
    start: u64,
    prot: u32,
}

/// The mapping of `addr`, if it is one that may be patched.
fn mapping_of(addr: u64) -> Option<Mapping> {
    let mut found = None;
    each_region(|region| {
        let mine = region.contains(addr);
        if mine && region.exec && !region.shared {
            let read = if region.read { PROT_READ } else { 0 };
            let write = if region.write { PROT_WRITE } else { 0 };
            let prot = PROT_EXEC | read | write;
            found = Some(Mapping { start: region.start, prot });
        }
        !mine
    });
    found
}

/// Calls `visit` for each line of `/proc/self/maps` until it gives false. Lines longer than the
/// buffer lose their end. False if the file cannot be read.
pub fn each_region(mut visit: impl FnMut(Region<'_>) -> bool) -> bool {
    let Ok(fd) = sys::open(b"/proc/self/maps\0", O_RDONLY, 0) else { return false };
    let mut buffer = [0u8; 1024];
    let mut filled = 0;
    'file: while let Some(room) = buffer.get_mut(filled..) {
        let got = sys::read(fd, room).unwrap_or(0).min(room.len());
        filled += got;
        let mut start = 0;
        while let Some(rest) = buffer.get(start..filled) {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                if filled == buffer.len() && start == 0 {
                    start = filled; // too long a line: its path is cut, and the next may be lost
                }
                break;
            };
            let line = rest.get(..end).unwrap_or(&[]);
            if let Some(region) = Region::parse(line)
                && !visit(region)
            {
                break 'file;
            }
            start += end + 1;
        }
        if start > filled || filled > buffer.len() {
            break; // never, but the compiler is to see that nothing here panics
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if got == 0 {
            break;
        }
    }
    sys::close(fd);
    true
}

/// The protocol of the module's text.
fn write_live(addr: u64, new: &[u8], prot: u32) -> Result<(), Refusal> {
    let page = addr & !4095;
    let len = ((addr + new.len() as u64 + 4095) & !4095) - page;
    let [first, tail @ ..] = new else { return Ok(()) };
    sync_cores().map_err(|_| Refusal::NotWritable)?;
    sys::mprotect(page, len, prot | PROT_WRITE).map_err(|_| Refusal::NotWritable)?;
    AT.store(addr, Ordering::SeqCst);
    let done = store(addr, INT3).is_ok() && {
        // The registration was tried above, so these do not fail.
        let _ = sync_cores();
        let tail_is_whole =
            tail.iter().zip(1..).all(|(byte, offset)| store(addr + offset, *byte).is_ok());
        let _ = sync_cores();
        let first_is_whole = store(addr, *first).is_ok();
        let _ = sync_cores();
        tail_is_whole && first_is_whole
    };
    let slot = DONE_NEXT.fetch_add(1, Ordering::Relaxed);
    if let Some(slot) = DONE.get(slot % RING) {
        slot.store(addr, Ordering::Release);
    }
    AT.store(0, Ordering::SeqCst);
    // It had this protection a moment ago; if it cannot have it again, it is writable, no worse.
    let _ = sys::mprotect(page, len, prot);
    if done { Ok(()) } else { Err(Refusal::Changed) }
}

/// Makes every thread of the process pass a serialising instruction.
fn sync_cores() -> Result<(), i32> {
    sys::membarrier(PRIVATE_EXPEDITED_SYNC_CORE).or_else(|_| {
        sys::membarrier(REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)?;
        sys::membarrier(PRIVATE_EXPEDITED_SYNC_CORE)
    })
}

/// Stores one byte of text.
fn store(addr: u64, byte: u8) -> Result<(), i32> {
    usermem::peek::<2>(addr)?;
    // SAFETY: the byte was readable just now and its page was made writable by `write_live`; the
    // program unmapping its own text at this very moment would fault the program as well. Atomic,
    // because other processors fetch it.
    unsafe {
        let cell = AtomicU8::from_ptr(core::ptr::with_exposed_provenance_mut(addr as usize));
        cell.store(byte, Ordering::SeqCst);
    }
    Ok(())
}
