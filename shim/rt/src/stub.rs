//! Stub memory: the arenas made at start, and those made later for sites found at a trap.
//!
//! An arena is a row of 64-byte slots within ±2 GiB of the text it serves, readable and executable.
//! A slot once filled stays as it is, because a thread may be in it.

use crate::{sys, usermem};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use ia2_core::layout::{ORIGINAL, STUB_CODE, STUB_SLOT, StubHeader};
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE,
};

/// One row of slots. `next` is stored last when it is made and first when it is given up, so that
/// a reader finds slots only in a row that is there.
struct Arena {
    start: AtomicU64,
    end: AtomicU64,
    /// First free slot; below `start` if the arena is not in use.
    next: AtomicU64,
    /// 1 if all its slots were filled before it was made known, and the bytes under their patches follow
    /// them; 0 if they are taken one by one.
    whole: AtomicU64,
    /// Its sites lie between these addresses.
    low: AtomicU64,
    high: AtomicU64,
}

const MAX: usize = 256;
static ARENAS: [Arena; MAX] = [const {
    Arena {
        start: AtomicU64::new(0),
        end: AtomicU64::new(0),
        next: AtomicU64::new(0),
        whole: AtomicU64::new(0),
        low: AtomicU64::new(u64::MAX),
        high: AtomicU64::new(0),
    }
}; MAX];
static LEN: AtomicUsize = AtomicUsize::new(0);
/// How often an arena was made known.
static REGISTERED: AtomicU64 = AtomicU64::new(0);

/// Bytes of an arena that is made late.
const LATE_LEN: u64 = 64 << 10;
/// How far an arena may be from a site: ±2 GiB less a margin for both ends.
const REACH: u64 = (1 << 31) - (1 << 20);

impl Arena {
    /// Notes where the site of a slot lies.
    fn note(&self, slot: u64) {
        if let Ok(word) = usermem::read::<u64>(slot) {
            let site = StubHeader::unpack(word).site;
            self.low.fetch_min(site, Ordering::Relaxed);
            self.high.fetch_max(site, Ordering::Relaxed);
        }
    }

    /// Whether a patch of it may touch `start..end`.
    fn may_touch(&self, start: u64, end: u64) -> bool {
        self.low.load(Ordering::Relaxed) < end.saturating_add(ORIGINAL)
            && start < self.high.load(Ordering::Relaxed).saturating_add(ORIGINAL)
    }
}

/// Where stubs are.
pub fn parts() -> impl Iterator<Item = core::ops::Range<u64>> {
    let part =
        |arena: &Arena| arena.start.load(Ordering::Relaxed)..arena.end.load(Ordering::Relaxed);
    arenas().map(part).filter(|part| part.start != 0)
}

fn arenas() -> impl Iterator<Item = &'static Arena> {
    ARENAS.iter().take(LEN.load(Ordering::Acquire))
}

/// Makes an arena known whose slots below `next` are filled. False if there is no room for it.
///
/// The caller holds [`crate::lock::PATCH`], or is boot.
pub fn register(start: u64, end: u64, next: u64) -> bool {
    let is_free = |arena: &Arena| arena.start.load(Ordering::Relaxed) == 0;
    let Some(index) = ARENAS.iter().position(is_free) else { return false };
    let Some(arena) = ARENAS.get(index) else { return false };
    arena.end.store(end, Ordering::Relaxed);
    arena.whole.store(u64::from(next != start), Ordering::Relaxed);
    arena.low.store(u64::MAX, Ordering::Relaxed);
    arena.high.store(0, Ordering::Relaxed);
    (start..next).step_by(STUB_SLOT as usize).for_each(|slot| arena.note(slot));
    arena.start.store(start, Ordering::Release);
    arena.next.store(next, Ordering::Release);
    LEN.fetch_max(index + 1, Ordering::Release);
    REGISTERED.fetch_add(1, Ordering::Release);
    true
}

/// How often an arena was made known: with it may come text that is patched already.
#[must_use]
pub fn registered() -> u64 {
    REGISTERED.load(Ordering::Acquire)
}

/// Gives up the arenas that no patch leads to any more: their text is unmapped, or other text is there
/// now, so no thread can be in their stubs. The caller holds [`crate::lock::PATCH`].
pub fn sweep() {
    for arena in arenas().filter(|arena| arena.whole.load(Ordering::Relaxed) != 0) {
        let (start, next) =
            (arena.start.load(Ordering::Relaxed), arena.next.load(Ordering::Relaxed));
        let in_use = |index: u64| {
            let slot = start + index * STUB_SLOT;
            let header = usermem::read::<u64>(slot).map(StubHeader::unpack);
            header.is_ok_and(|header| is_in_place(slot, header))
        };
        if start < next && !(0..(next - start) / STUB_SLOT).any(in_use) {
            // A reader that comes meanwhile finds no slot in it.
            arena.next.store(0, Ordering::Release);
            sys::munmap(start, arena.end.load(Ordering::Relaxed) - start);
            arena.start.store(0, Ordering::Release);
        }
    }
}

/// The slot that `addr` lies in, and its header.
#[must_use]
pub fn header_at(addr: u64) -> Option<(u64, StubHeader)> {
    arenas().find(|arena| {
        let start = arena.start.load(Ordering::Acquire);
        let holds = addr >= start && addr < arena.next.load(Ordering::Acquire);
        // Else it was given up in between, and perhaps made anew elsewhere.
        holds && arena.start.load(Ordering::Acquire) == start
    })?;
    let slot = addr & !(STUB_SLOT - 1);
    let word = usermem::read::<u64>(slot).ok()?;
    Some((slot, StubHeader::unpack(word)))
}

/// The slot that runs the instruction at `addr`, if a patch covers it.
///
/// The patch itself tells: its jump, which stands at `addr` or not far before, leads to the slot.
#[must_use]
pub fn covering(addr: u64) -> Option<(u64, StubHeader)> {
    Window::around(addr)?.covering(addr)
}

/// What there is to know of the instruction at `addr`.
pub enum Code {
    /// A patch covers it, and this slot runs it.
    Covered(u64, StubHeader),
    /// It is a `SYSCALL`.
    Syscall,
    /// Neither, or nothing is there.
    Other,
}

/// What the instruction at `addr` is.
#[must_use]
pub fn code_at(addr: u64) -> Code {
    let Some(window) = Window::around(addr) else { return Code::Other };
    match (window.covering(addr), window.0.get(Window::BACK..)) {
        (Some((slot, header)), _) => Code::Covered(slot, header),
        (None, Some([0x0f, 0x05, ..])) => Code::Syscall,
        _ => Code::Other,
    }
}

/// Where a `jmp rel32` at `addr` leads.
fn jump_target(addr: u64, distance: [u8; 4]) -> u64 {
    addr.wrapping_add(5).wrapping_add_signed(i32::from_le_bytes(distance).into())
}

/// The bytes around an address; zeros where nothing is mapped.
struct Window([u8; 24]);

impl Window {
    /// How many of them lie before: a patch is no longer than that.
    const BACK: usize = 16;

    fn around(addr: u64) -> Option<Self> {
        let mut window = Self([0; 24]);
        let from = addr.checked_sub(Self::BACK as u64)?;
        // The pages on both sides of an edge, each for itself.
        let edge = (4096 - from as usize % 4096).min(window.0.len());
        let (first, second) = window.0.split_at_mut(edge);
        for (to, from) in [(first, from), (second, from.checked_add(edge as u64)?)] {
            if to.is_empty() {
                break;
            }
            let _ = usermem::copy(to.as_mut_ptr().addr() as u64, from, to.len());
        }
        Some(window)
    }

    /// See [`covering`]; the window is that around `addr`.
    fn covering(&self, addr: u64) -> Option<(u64, StubHeader)> {
        let leads = |start: u64, jump: u64, distance: [u8; 4]| {
            let target = jump_target(jump, distance);
            let (slot, header) = header_at(target)?;
            let covered = header.covers();
            let is_it =
                target == slot + STUB_CODE && covered.start == start && covered.contains(&addr);
            is_it.then_some((slot, header))
        };
        if let Some([0xeb, distance, ..]) = self.0.get(Window::BACK..) {
            let island = (addr + 2).wrapping_add_signed(distance.cast_signed().into());
            let Ok([0xe9, a, b, c, d]) = usermem::peek(island) else { return None };
            return leads(addr, island, [a, b, c, d]);
        }
        // The nearest one first.
        let before = self.0.first_chunk().map_or(0, |bytes| bytes_that_are(0xe9, *bytes));
        let here = u32::from(self.0.get(Window::BACK) == Some(&0xe9)) << Window::BACK;
        let mut jumps = before | here;
        while let Some(at) = jumps.checked_ilog2() {
            jumps ^= 1 << at;
            let start = addr - (Window::BACK as u64 - u64::from(at));
            let rest = self.0.get(at as usize..).and_then(|rest| rest.split_first_chunk());
            let Some(([_, a, b, c, d], _)) = rest else { continue };
            if let Some(found) = leads(start, start, [*a, *b, *c, *d]) {
                return Some(found);
            }
        }
        None
    }
}

/// A bit for each of the bytes that is `wanted`.
fn bytes_that_are(wanted: u8, bytes: [u8; Window::BACK]) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().rev().fold(0, |bits, word| {
        let other = u64::from_le_bytes(*word) ^ u64::from_le_bytes([wanted; 8]);
        // The top bit of each byte that is zero; the product brings the eight together.
        let zeros = !(((other & LOW) + LOW) | other | LOW) >> 7;
        bits << 8 | (zeros.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    })
}

/// Whether the patch that leads to `slot` is still there.
#[must_use]
pub fn is_in_place(slot: u64, header: StubHeader) -> bool {
    let start = header.covers().start;
    match usermem::read::<[u8; 8]>(start) {
        Ok([0xe9, a, b, c, d, ..]) => jump_target(start, [a, b, c, d]) == slot + STUB_CODE,
        Ok([0xeb, ..]) => start == header.site,
        _ => false,
    }
}

/// The site whose island is at `addr`: the jump to its stub, in padding that the site's own two bytes
/// jump to.
#[must_use]
pub fn island_at(addr: u64) -> Option<u64> {
    let [0xe9, a, b, c, d] = usermem::peek(addr).ok()? else { return None };
    let target = jump_target(addr, [a, b, c, d]);
    let (slot, header) = header_at(target)?;
    let start = header.covers().start;
    let is_island = target == slot + STUB_CODE && addr != start && start == header.site;
    is_island.then_some(header.site)
}

/// A patch in use.
#[derive(Clone, Copy)]
pub struct InUse {
    /// Its slot.
    pub slot: u64,
    /// The slot's header.
    pub header: StubHeader,
    /// Where [`ORIGINAL`] bytes of the text under it are kept, if they are.
    pub original: Option<u64>,
}

/// Whether there may be patches in `start..end`.
pub fn may_be_in(start: u64, end: u64) -> bool {
    arenas().any(|arena| arena.may_touch(start, end))
}

/// The patches in use that touch `start..end`. The caller holds [`crate::lock::PATCH`].
pub fn all_in(start: u64, end: u64) -> impl Iterator<Item = InUse> {
    arenas().filter(move |arena| arena.may_touch(start, end)).flat_map(move |arena| {
        let first = arena.start.load(Ordering::Relaxed);
        let next = arena.next.load(Ordering::Relaxed);
        let whole = arena.whole.load(Ordering::Relaxed) != 0;
        (0..next.saturating_sub(first) / STUB_SLOT).filter_map(move |index| {
            let slot = first + index * STUB_SLOT;
            let header = StubHeader::unpack(usermem::read::<u64>(slot).ok()?);
            let covered = header.covers();
            let original = whole.then_some(next + index * ORIGINAL);
            (!header.is_retired() && covered.start < end && start < covered.end).then_some(InUse {
                slot,
                header,
                original,
            })
        })
    })
}

/// Marks a stub as one whose patch is gone. Its code stays: a thread may be in it.
pub fn retire(slot: u64, header: StubHeader) {
    write(slot, &header.retired().pack().to_le_bytes());
}

/// A free slot within reach of `site`, mapping an arena if there is none. The caller holds
/// [`crate::lock::PATCH`] and fills it with [`fill`].
#[must_use]
pub fn take(site: u64) -> Option<u64> {
    let near = |arena: &&Arena| {
        let next = arena.next.load(Ordering::Relaxed);
        arena.whole.load(Ordering::Relaxed) == 0
            && next < arena.end.load(Ordering::Relaxed)
            && next.abs_diff(site) < REACH
    };
    if let Some(arena) = arenas().find(near) {
        return Some(arena.next.load(Ordering::Relaxed));
    }
    let start = map_near(site)?;
    register(start, start + LATE_LEN, start).then_some(start)
}

/// Maps an arena within reach of `site`: first below it, then above, ever farther.
fn map_near(site: u64) -> Option<u64> {
    const STEP: u64 = 32 << 20;
    let base = site & !0xffff;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    (1..REACH / STEP).find_map(|steps| {
        let (below, above) = (base.checked_sub(steps * STEP), base.checked_add(steps * STEP));
        [below, above].into_iter().flatten().find_map(|addr| {
            let got = sys::mmap(addr, LATE_LEN, PROT_READ | PROT_EXEC, flags, -1, 0).ok()?;
            if got == addr {
                return Some(got);
            }
            sys::munmap(got, LATE_LEN); // a kernel before 4.17 takes the address for a hint
            None
        })
    })
}

/// Fills the slot that [`take`] gave. False if the arena cannot be written.
///
/// Its neighbours stay executable all along; nobody jumps to the slot before the site is patched.
pub fn fill(slot: u64, bytes: &[u8; STUB_SLOT as usize]) -> bool {
    let Some(arena) = arenas().find(|arena| {
        // A full arena ends where another may begin.
        arena.next.load(Ordering::Relaxed) == slot && slot < arena.end.load(Ordering::Relaxed)
    }) else {
        return false;
    };
    let filled = write(slot, bytes);
    if filled {
        arena.note(slot);
        arena.next.store(slot + STUB_SLOT, Ordering::Release);
    }
    filled
}

/// Writes into a slot; its page stays executable meanwhile.
fn write(slot: u64, bytes: &[u8]) -> bool {
    let page = slot & !4095;
    if sys::mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC).is_err() {
        return false;
    }
    let copied = usermem::copy(slot, bytes.as_ptr().addr() as u64, bytes.len()).is_ok();
    // If this fails the page stays writable, no worse.
    let _ = sys::mprotect(page, 4096, PROT_READ | PROT_EXEC);
    copied
}

#[cfg(test)]
mod tests {
    use super::bytes_that_are;

    #[test]
    fn each_byte_is_found_where_it_is() {
        for at in 0..16 {
            for other in [0, 1, 0x69, 0x7f, 0x80, 0xe8, 0xea, 0xff] {
                let mut bytes = [other; 16];
                assert_eq!(bytes_that_are(0xe9, bytes), 0, "{other:x}");
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = 0xe9);
                assert_eq!(bytes_that_are(0xe9, bytes), 1 << at, "{other:x}");
                assert_eq!(bytes_that_are(other, bytes), 0xffff & !(1 << at), "{other:x}");
            }
        }
    }
}
