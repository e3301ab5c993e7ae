//! The map of the process's memory, where a policy asks for one: it is made from `/proc/self/maps` at
//! boot, and every call that changes memory is judged by it and recorded in it, under one lock
//! ([`lock::MEMORY`]), so that the kernel and the map change together.
//!
//! What the program calls comes by [`pass`], what the shim calls for itself by [`own_mmap`] and its like
//! (out of [`crate::sys`]); the latter belongs to the shim, and no call of the program changes it.
//!
//! Some calls change what only the kernel knows: one that fails half way, one that attaches a segment of
//! some length. Then the part is [learnt](Held::learn) from `/proc/self/maps`.
//!
//! A fork copies the map with the memory and takes the lock before it does. Who shares the memory shares
//! the map. A task of another process that dies with the lock leaves [`BUSY`], and who comes next learns
//! everything anew.

#![allow(unsafe_code, reason = "the map lives in memory of its own")]

use crate::abi::errno::{EACCES, ENOMEM, ENOSYS};
use crate::block::{self, Block};
use crate::{lock, patch, policy, report, stub, sys, usermem};
use core::cell::UnsafeCell;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use ia2_core::blob::{Cause, Verdict};
use ia2_core::layout::{GATE, WINDOW_END};
use ia2_core::maps::Region;
use ia2_core::memory::{DONTFORK, Judge, Mapping, Op, Refusal, SET_UP, key_rights, round_up};
use ia2_core::nr;
use ia2_core::objects::{Identity, Objects};
use ia2_core::regions::{EXEC, Full, Map, READ, SHIM, State, WRITE};
use ia2_core::verdict::{ActionKind, Memory};
use linux_raw_sys::general as k;

const PAGE: u64 = 4096;
/// No address of a program is higher.
const END: u64 = 1 << 47;

/// The map; guarded by [`lock::MEMORY`].
struct Kept(UnsafeCell<Option<Map<'static>>>);

// SAFETY: only who holds the lock looks at it.
unsafe impl Sync for Kept {}

static MAP: Kept = Kept(UnsafeCell::new(None));
static ON: AtomicBool = AtomicBool::new(false);
/// What the policies ask for: [`WX`], [`SCAN`].
static RULES: AtomicU8 = AtomicU8::new(0);
const WX: u8 = 1;
const SCAN: u8 = 2;
/// Somebody is between a call and its record.
static BUSY: AtomicBool = AtomicBool::new(false);
/// The end of the heap, as brk(2) told it last.
static HEAP_END: AtomicU64 = AtomicU64::new(0);
/// The program has said that it is set up ([`SET_UP`]).
static IS_SET_UP: AtomicBool = AtomicBool::new(false);
/// There is memory that the child of a fork does not get.
static NOT_FORKED: AtomicBool = AtomicBool::new(false);

/// Whether there is a map.
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Makes the map, if a policy asks for one; the shim's text is at `own`.
///
/// # Errors
/// The errno of what could not be done.
///
/// # Safety
/// To be called by boot, while nothing else runs.
pub unsafe fn boot(block: &'static Block, own: Option<Range<u64>>) -> Result<(), i32> {
    let rules = policy::layers().fold(Memory::default(), |all, one| all.and(one.memory()));
    if !rules.map {
        return Ok(());
    }
    let most = most_mappings();
    let nodes = slice(2 * most + 1024)?;
    let objects = slice(most + 64)?;
    // SAFETY: the caller's promise.
    unsafe { *MAP.0.get() = Some(Map::new(nodes, Objects::new(objects))) };
    RULES.store((u8::from(rules.wx) * WX) | (u8::from(rules.scan) * SCAN), Ordering::Relaxed);
    HEAP_END.store(sys::pass(nr::BRK, [0; 6]) as u64, Ordering::Relaxed);
    ON.store(true, Ordering::Relaxed);
    let mut held = Held::take(block).ok_or(ENOMEM)?;
    held.learn_all(own).map_err(|Unlearnt| EACCES)
}

/// How many mappings the kernel lets a process have.
fn most_mappings() -> usize {
    const USUAL: usize = 65_530;
    let Ok(fd) = sys::open(b"/proc/sys/vm/max_map_count\0", k::O_RDONLY | k::O_CLOEXEC, 0) else {
        return USUAL;
    };
    let mut digits = [0; 16];
    let len = sys::read(fd, &mut digits).unwrap_or(0);
    sys::close(fd);
    let digits =
        digits.get(..len).unwrap_or(&[]).iter().map_while(|byte| (*byte as char).to_digit(10));
    let most =
        digits.fold(0usize, |sum, digit| sum.saturating_mul(10).saturating_add(digit as usize));
    most.clamp(1024, 4 << 20)
}

/// So many zeros, of which only those that are written take memory.
fn slice<T>(len: usize) -> Result<&'static mut [T], i32> {
    let flags = k::MAP_PRIVATE | k::MAP_ANONYMOUS | k::MAP_NORESERVE;
    let bytes = (len * size_of::<T>()) as u64;
    let start = sys::mmap(0, bytes, k::PROT_READ | k::PROT_WRITE, flags, -1, 0)?;
    // SAFETY: fresh memory of this length, aligned to a page, never unmapped; and both types that are kept
    // in it may be all zero: numbers and booleans.
    Ok(unsafe {
        let start = core::ptr::with_exposed_provenance_mut::<T>(start as usize);
        core::slice::from_raw_parts_mut(start, len)
    })
}

/// Makes a memory call of the program's, unless there is something against it. Without a map it is just made.
pub fn pass(block: &Block, number: u32, args: [u64; 6]) -> i64 {
    let Some(mut held) = Held::take(block) else { return sys::pass(number, args) };
    let op = Op::of(number, args);
    if number == nr::MMAP && args[0] == SET_UP && args[1] == 0 {
        IS_SET_UP.store(true, Ordering::Relaxed);
    }
    let result = held.call(&op, number, args);
    drop(held);
    match result {
        Ok(result) => result,
        Err(refusal) => {
            say(block, refusal);
            match op {
                // The kernel's way to say that it stays where it is.
                Op::Break(_) => HEAP_END.load(Ordering::Relaxed).cast_signed(),
                _ => -i64::from(refusal.errno()),
            }
        }
    }
}

/// Reports a refusal, as one of a policy.
fn say(block: &Block, refusal: Refusal) {
    block.denied.set(block.denied.get().wrapping_add(1));
    let verdict = Verdict {
        action: ActionKind::Errno(refusal.errno()),
        log: false,
        reason: refusal.reason(),
        cause: Cause::Memory(refusal),
    };
    report::say(block, &block.frame.get(), &verdict);
}

/// mmap(2) for the shim itself.
pub fn own_mmap(make: impl FnOnce() -> i64, len: u64, prot: u32, flags: u32) -> i64 {
    own(make, |map, result| {
        let start = sys::check(result).map_err(|_| Full)?;
        let shared = flags & k::MAP_SHARED != 0;
        let state = State { owner: SHIM, shared, ..State::anonymous(prot_bits(prot)) };
        map.map(start..start + round_up(len).unwrap_or(len), state)
    })
}

/// munmap(2) for the shim itself.
pub fn own_munmap(make: impl FnOnce() -> i64, range: Range<u64>) -> i64 {
    own(make, |map, result| match result {
        0 => map.unmap(range.start..round_up(range.end).unwrap_or(range.end)),
        _ => Ok(()),
    })
}

/// mprotect(2) for the shim itself.
pub fn own_mprotect(make: impl FnOnce() -> i64, range: Range<u64>, prot: u32) -> i64 {
    own(make, |map, result| match result {
        0 => map.change(range.start..round_up(range.end).unwrap_or(range.end), |state| State {
            prot: prot_bits(prot),
            ..state
        }),
        _ => Ok(()),
    })
}

/// Makes a call of the shim's, and records what it says. A map that is full is not told: what it does not
/// know of the shim's it cannot keep from the program, no worse than without.
fn own(
    make: impl FnOnce() -> i64,
    note: impl FnOnce(&mut Map<'static>, i64) -> Result<(), Full>,
) -> i64 {
    // SAFETY: where there is a map, this thread has a block.
    let held = is_on().then(|| Held::take(unsafe { Block::current() })).flatten();
    let result = make();
    if let Some(held) = held {
        let _ = note(held.map, result);
    }
    result
}

/// In the child of a fork: what it did not get is not in its map.
pub fn forked(block: &Block) {
    if NOT_FORKED.load(Ordering::Relaxed)
        && let Some(mut held) = Held::take(block)
    {
        let _ = held.learn(0..END);
    }
}

/// What the map and the kernel say of each other, for the statistics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comparison {
    /// How many regions the map has.
    pub regions: u32,
    /// How many parts are not as the kernel says.
    pub wrong: u32,
    /// The first of them.
    pub first: Option<(u64, u64)>,
}

/// Compares the map with `/proc/self/maps`.
pub fn compare() -> Option<Comparison> {
    // SAFETY: where there is a map, this thread has a block.
    let held = is_on().then(|| Held::take(unsafe { Block::current() })).flatten()?;
    let mut found = Comparison { regions: held.map.len(), ..Comparison::default() };
    let mut wrong = |part: Range<u64>| {
        found.wrong += 1;
        found.first = found.first.or(Some((part.start, part.end)));
    };
    let mut at = 0;
    let is_read = patch::each_region(|region| {
        if region.end > END {
            return true;
        }
        let (from, to) = (at, region.start);
        held.map.pieces(from..to).for_each(|(part, _)| wrong(part));
        // What a stack has grown by, the map has not seen.
        let grown = held.map.first(region.start..region.end).filter(|(_, state)| state.grows);
        let start = grown.map_or(region.start, |(part, _)| part.start);
        let same = |state: State| (state.prot, state.shared) == (prot_of(&region), region.shared);
        if !held.map.every(start..region.end, same) {
            wrong(region.start..region.end);
        }
        at = region.end;
        true
    });
    held.map.pieces(at..END).for_each(|(part, _)| wrong(part));
    is_read.then_some(found)
}

const fn prot_bits(prot: u32) -> u8 {
    prot as u8 & (READ | WRITE | EXEC)
}

fn prot_of(region: &Region<'_>) -> u8 {
    let bit = |is, bit| if is { bit } else { 0 };
    bit(region.read, READ) | bit(region.write, WRITE) | bit(region.exec, EXEC)
}

/// `/proc/self/maps` cannot be read, or there is no room for what it says.
struct Unlearnt;

/// The map, locked.
struct Held<'a> {
    map: &'static mut Map<'static>,
    _guard: lock::Guard<'a>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Relaxed); // the lock's release orders it
    }
}

/// What a new mapping is of.
#[derive(Clone, Copy, Default)]
struct Mapped {
    /// The number of the object, or 0.
    object: u32,
    /// Its pages are larger, so that it may be longer than what was asked for.
    is_huge: bool,
}

/// What becomes of a call: its result, or what there is against it.
type Outcome = Result<i64, Refusal>;

impl<'a> Held<'a> {
    /// The map, if there is one.
    fn take(block: &'a Block) -> Option<Self> {
        if !is_on() {
            return None;
        }
        let guard = lock::MEMORY.lock(block);
        // SAFETY: the lock is held, and the guard lives as long as the reference.
        let map = unsafe { (*MAP.0.get()).as_mut()? };
        let mut held = Self { map, _guard: guard };
        if BUSY.swap(true, Ordering::Relaxed) {
            // Its owner is gone. What cannot be learnt stays as it was.
            let _ = held.learn(0..END);
        }
        Some(held)
    }

    /// Judges the call, makes it and records what it did.
    fn call(&mut self, op: &Op, number: u32, args: [u64; 6]) -> Outcome {
        let full = -i64::from(ENOMEM);
        let room = match op {
            Op::Move { from, .. } => self.map.has_room_for(from),
            _ => self.map.has_room(),
        };
        if !room {
            return Ok(full);
        }
        self.catch_up(op);
        let what = match op {
            Op::Map(mapping) => match self.what(mapping, args[4] as i32) {
                Ok(what) => what,
                Err(Full) => return Ok(full),
            },
            _ => Mapped::default(),
        };
        let object = what.object;
        let result = self.judged(op, object).and_then(|()| match op {
            Op::Protect { range, prot, .. } if self.scans() && prot & EXEC != 0 => {
                self.protect_scanned(range, number, args)
            }
            _ => Ok(sys::pass(number, args)),
        });
        let result = result.and_then(|result| {
            let made = self.note(op, what, result);
            made.unwrap_or(Ok(result))
        });
        self.map.objects_mut().forget(object);
        result
    }

    fn judged(&self, op: &Op, object: u32) -> Result<(), Refusal> {
        let rules = RULES.load(Ordering::Relaxed);
        let judge = Judge {
            map: self.map,
            rules: Memory { map: true, wx: rules & WX != 0, scan: rules & SCAN != 0 },
            is_set_up: IS_SET_UP.load(Ordering::Relaxed),
            heap_end: HEAP_END.load(Ordering::Relaxed),
        };
        judge.judge(op, object)
    }

    fn scans(&self) -> bool {
        RULES.load(Ordering::Relaxed) & SCAN != 0
    }

    /// What a mapping is of.
    fn what(&mut self, mapping: &Mapping, fd: i32) -> Result<Mapped, Full> {
        const HUGE: u64 = 2 << 20;
        let (mut is_huge, objects) = (mapping.is_huge(), self.map.objects_mut());
        let object = match (mapping.is_file(), mapping.is_shared()) {
            (false, false) => 0,
            (false, true) => objects.nameless()?,
            (true, _) => match sys::identity(fd) {
                Ok(file) => {
                    is_huge |= file.block >= HUGE;
                    objects.number(file.file())?
                }
                Err(_) => 0, // the kernel finds the same
            },
        };
        Ok(Mapped { object, is_huge })
    }

    /// What a stack has grown by since it was looked at, if the call is about that.
    fn catch_up(&mut self, op: &Op) {
        let (Op::Unmap(range)
        | Op::Seal(range)
        | Op::Protect { range, .. }
        | Op::Move { from: range, .. }) = op
        else {
            return;
        };
        if let Some((next, state)) = self.map.first(range.start..END)
            && state.grows
            && next.start > range.start
        {
            let _ = self.learn(range.start..next.start);
        }
    }

    /// Records what a call has done; for some, what there is against it is only found now.
    fn note(&mut self, op: &Op, what: Mapped, result: i64) -> Result<Outcome, Unlearnt> {
        let value = sys::check(result);
        let made = value.is_ok();
        match op {
            Op::Map(mapping) => {
                let Ok(start) = value else {
                    // What was there may be gone.
                    self.learn(mapping.replaced())?;
                    return Ok(Ok(result));
                };
                if !start.is_multiple_of(PAGE) {
                    return Ok(Ok(result)); // a filter of the program's has answered
                }
                let range = start..start + mapping.len;
                self.map.map(range.clone(), mapping.state(what.object))?;
                if what.is_huge {
                    self.learn_region(start)?;
                }
                return Ok(self.seams(&range).map(|()| result));
            }
            Op::Unmap(range) if result == 0 => self.map.unmap(range.clone())?,
            Op::Unmap(range) if !made => self.learn(range.clone())?,
            Op::Protect { range, prot, keyed, down } if result == 0 => {
                self.map.change(range.clone(), |state| State {
                    prot: *prot,
                    mprotected: true,
                    pkey_mprotected: state.pkey_mprotected || *keyed,
                    ..state
                })?;
                if *down {
                    self.learn_region(range.start)?;
                }
                return Ok(self.seams(range).map(|()| result));
            }
            // Up to where it failed, it has done it.
            Op::Protect { range, .. } if !made => self.learn(range.clone())?,
            Op::Move { from, len, to, keep } => match value {
                Ok(at) if at.is_multiple_of(PAGE) => {
                    let range = at..at + len;
                    self.moved(from, &range, *keep)?;
                    return Ok(self.seams(&range).map(|()| result));
                }
                Ok(_) => {}
                // What is there, or what is too long, is unmapped first.
                Err(_) => {
                    self.learn(from.clone())?;
                    self.learn(to.map_or(0..0, |to| to..to + len))?;
                }
            },
            Op::Advise { advice: DONTFORK, .. } if result == 0 => {
                NOT_FORKED.store(true, Ordering::Relaxed);
            }
            Op::Seal(range) => return Ok(Ok(self.seal(range, result)?)),
            Op::Break(_) => self.heap(result as u64)?,
            Op::Attach { .. } if made => self.learn_region(result as u64)?,
            Op::Detach(addr) if result == 0 => self.detached(*addr)?,
            Op::Other if made => self.learn(0..END)?,
            _ => {}
        }
        Ok(Ok(result))
    }

    fn moved(&mut self, from: &Range<u64>, to: &Range<u64>, keep: bool) -> Result<(), Unlearnt> {
        if to.start != from.start || from.is_empty() {
            let is_one = self.map.first(from.clone()).is_some_and(|(first, _)| first == *from);
            self.map.relocate(from.clone(), to.clone(), keep)?;
            if !is_one && !from.is_empty() {
                // Since Linux 6.17 several mappings move together, and what is between them at `to` stays.
                self.learn(from.clone())?;
                self.learn(to.clone())?;
            }
            return Ok(());
        }
        if to.end <= from.end {
            return Ok(self.map.unmap(to.end..from.end)?);
        }
        let last = self.map.find(from.end - PAGE).unwrap_or_default();
        Ok(self.map.map(from.end..to.end, last)?)
    }

    /// What mseal(2) said; where the kernel does not know it, the map does.
    fn seal(&mut self, range: &Range<u64>, result: i64) -> Result<i64, Unlearnt> {
        if result != 0 && result != -i64::from(ENOSYS) {
            return Ok(result);
        }
        if !self.map.every(range.clone(), |_| true) {
            return Ok(-i64::from(ENOMEM));
        }
        self.map.change(range.clone(), |state| State { protected: true, ..state })?;
        Ok(0)
    }

    fn heap(&mut self, now: u64) -> Result<(), Unlearnt> {
        let before = HEAP_END.load(Ordering::Relaxed);
        let (Some(from), Some(to)) = (round_up(before), round_up(now)) else { return Ok(()) };
        // Anything else is not an answer of the kernel's.
        if !(PAGE..END).contains(&now) {
            return Ok(());
        }
        HEAP_END.store(now, Ordering::Relaxed);
        if from < to {
            self.map.map(from..to, State::anonymous(READ | WRITE))?;
        } else {
            self.map.unmap(to..from)?;
        }
        Ok(())
    }

    /// The parts of a segment follow each other, as far as they are there.
    fn detached(&mut self, addr: u64) -> Result<(), Unlearnt> {
        let Some(object) = self.map.find(addr).map(|state| state.object) else { return Ok(()) };
        let parts = self.map.pieces(addr..END).take_while(|(_, state)| state.object == object);
        let end = parts.last().map_or(addr, |(part, _)| part.end);
        self.learn(addr..end)
    }

    /// mprotect(2) of what may be executed afterwards: nobody can write it while it is looked through.
    fn protect_scanned(&mut self, range: &Range<u64>, number: u32, args: [u64; 6]) -> Outcome {
        if self.map.any(range.clone(), |state| state.has(WRITE)) {
            let result = protect(range, READ);
            if result != 0 {
                return Ok(result);
            }
        }
        if !has_key_rights(range) {
            return Ok(sys::pass(number, args));
        }
        // As it was, piece by piece.
        for (part, state) in self.map.pieces(range.clone()) {
            protect(&part, state.prot);
        }
        Err(Refusal::KeyRights)
    }

    /// Looks across the ends of what has become executable: an instruction may go over them. Then it is not
    /// executable any more.
    fn seams(&mut self, range: &Range<u64>) -> Result<(), Refusal> {
        let exec = |addr: u64| self.map.find(addr).is_some_and(|state| state.has(EXEC));
        if !self.scans() || range.is_empty() || !exec(range.start) {
            return Ok(());
        }
        let seam = |at: u64| {
            exec(at.wrapping_sub(1)) && exec(at) && has_key_rights(&(at.saturating_sub(2)..at + 2))
        };
        if !seam(range.start) && !seam(range.end) {
            return Ok(());
        }
        protect(range, READ);
        // It was recorded a moment ago, so there is room.
        let _ = self.map.change(range.clone(), |state| State { prot: READ, ..state });
        Err(Refusal::KeyRights)
    }

    /// The region that `addr` lies in, as the kernel has it.
    fn learn_region(&mut self, addr: u64) -> Result<(), Unlearnt> {
        let mut whole = 0..0;
        patch::each_region(|region| {
            if region.contains(addr) {
                whole = region.start..region.end;
            }
            whole.is_empty()
        });
        self.learn(whole)
    }

    /// Everything, at boot; and what of it is the shim's.
    fn learn_all(&mut self, own: Option<Range<u64>>) -> Result<(), Unlearnt> {
        self.learn(0..END)?;
        let window = GATE..WINDOW_END;
        for part in [window].into_iter().chain(own).chain(stub::parts()).chain(block::parts()) {
            self.map.change(part, |state| State { owner: SHIM, ..state })?;
        }
        Ok(())
    }

    /// What is in `range`, from `/proc/self/maps`. What was known of it beside stays known.
    fn learn(&mut self, range: Range<u64>) -> Result<(), Unlearnt> {
        if range.is_empty() {
            return Ok(());
        }
        let mut at = range.start;
        let mut learnt = Ok(());
        let is_read = patch::each_region(|region| {
            let part = region.start.max(range.start)..region.end.min(range.end);
            if region.end > END || part.is_empty() {
                return true;
            }
            learnt = self.learn_one(at, &part, &region);
            at = part.end;
            learnt.is_ok()
        });
        if !is_read {
            return Err(Unlearnt);
        }
        learnt?;
        Ok(self.map.unmap(at..range.end)?)
    }

    /// One line: nothing from `at` on, and then this.
    fn learn_one(
        &mut self,
        at: u64,
        part: &Range<u64>,
        region: &Region<'_>,
    ) -> Result<(), Unlearnt> {
        self.map.unmap(at..part.start)?;
        let object = match (region.inode, region.shared) {
            (0, false) => 0,
            (0, true) => self.map.objects_mut().nameless()?,
            (inode, _) => {
                self.map.objects_mut().number(Identity { device: region.device, inode })?
            }
        };
        let new = State {
            shared: region.shared,
            grows: region.path == b"[stack]",
            object,
            ..State::anonymous(prot_of(region))
        };
        let mut from = part.start;
        while from < part.end {
            let known = self.map.first(from..part.end);
            let next = known.as_ref().map_or(part.end, |(piece, _)| piece.start);
            if from < next {
                self.map.map(from..next, new)?;
            }
            let Some((piece, _)) = known else { break };
            self.map.change(piece.clone(), |old| match old.shared == new.shared {
                true => State { prot: new.prot, ..old },
                false => new,
            })?;
            from = piece.end;
        }
        self.map.objects_mut().forget(object);
        Ok(())
    }
}

impl From<Full> for Unlearnt {
    fn from(Full: Full) -> Self {
        Self
    }
}

/// mprotect(2) in the program's name, which is not recorded.
fn protect(range: &Range<u64>, prot: u8) -> i64 {
    sys::pass(nr::MPROTECT, [range.start, range.end - range.start, prot.into(), 0, 0, 0])
}

/// Whether there is such an instruction in the memory, as far as it can be read.
fn has_key_rights(range: &Range<u64>) -> bool {
    const STEP: usize = 512;
    let mut buffer = [0u8; STEP + 2];
    let mut at = range.start;
    while at < range.end {
        let len = ((range.end - at) as usize).min(STEP);
        let Some(room) = buffer.get_mut(2..2 + len) else { return true };
        let to = room.as_mut_ptr().addr() as u64;
        if usermem::copy(to, at, len).is_err() {
            room.fill(0);
        }
        let Some(filled) = buffer.get(..2 + len) else { return true };
        if key_rights(filled).is_some() {
            return true;
        }
        buffer.copy_within(len..2 + len, 0);
        at += len as u64;
    }
    false
}
