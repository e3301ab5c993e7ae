//! The statistics: one line of JSON per process, appended to a file when the process ends
//! (`IA2_STATS`). A process that a signal kills writes none, nor one that confines itself.

use crate::block::{self, Block};
use crate::patch::each_region;
use crate::state::{self, LEFT, STATS_PATH};
use crate::{exe, memory, sys};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ia2_core::text::Text;
use linux_raw_sys::general::{O_APPEND, O_CREAT, O_WRONLY};

/// The line was written, or is being written.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// A filter of the program's own may end it for writing.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Has no line written, in this process and its children.
pub fn give_up() {
    GIVEN_UP.store(true, Ordering::Relaxed);
}

/// Adds the block's counters to those of the process, before its thread is gone.
pub fn retire(block: &Block) {
    let add = |to: &AtomicU64, from: &core::cell::Cell<u64>| {
        to.fetch_add(from.replace(0), Ordering::Relaxed);
    };
    add(&state::CALLS, &block.calls);
    add(&state::INSPECTED, &block.inspected);
    add(&state::DENIED, &block.denied);
}

/// In the child of a fork: it has done nothing yet.
pub fn forget(block: &Block) {
    block.calls.set(0);
    block.inspected.set(0);
    block.denied.set(0);
    state::THREADS.store(1, Ordering::Relaxed);
    WRITTEN.store(false, Ordering::Relaxed);
    for counter in [&state::CALLS, &state::INSPECTED, &state::DENIED, &state::TRAPS] {
        counter.store(0, Ordering::Relaxed);
    }
}

/// Appends the line, if a file was named: before the process ends.
///
/// The counters of other threads are read while they run; what they count in this moment may or may
/// not be in it. Of several threads that end the process at once, the first writes, and the others
/// wait here for the end.
pub fn write() {
    if GIVEN_UP.load(Ordering::Relaxed) {
        return;
    }
    while WRITTEN.swap(true, Ordering::Relaxed) {
        sys::sleep(1_000_000);
    }
    // Nobody is left to tell if the file cannot be opened: boot has tried it once.
    let Some(Ok(fd)) = open() else { return };
    sys::flock(fd, true);
    let mut out = Out { text: Text::new(), fd };
    line(&mut out);
    out.flush();
    sys::close(fd);
}

/// Opens the file, if one was named.
pub fn open() -> Option<Result<i32, i32>> {
    let mut path = [0; 4096];
    let path = STATS_PATH.get(&mut path)?;
    Some(sys::open(path, O_WRONLY | O_APPEND | O_CREAT, 0o666))
}

struct Out {
    text: Text<2048>,
    fd: i32,
}

impl Out {
    /// A text with room for one more entry.
    fn entry(&mut self) -> &mut Text<2048> {
        if self.text.room() < 1280 {
            self.flush();
        }
        &mut self.text
    }

    fn flush(&mut self) {
        // A full disk: the line stays incomplete, which a reader of JSON lines notices.
        let _ = sys::write(self.fd, self.text.as_bytes());
        self.text.clear();
    }
}

fn line(out: &mut Out) {
    let mut path = [0; 4096];
    let exe = exe::shown(&mut path);
    let exe = exe.get(..1024).unwrap_or(exe); // an entry has room for so much
    let live = |field: fn(&Block) -> u64| {
        block::all()
            .filter(|block| block.state.load(Ordering::Relaxed) != 0)
            .fold(0u64, |sum, block| sum.wrapping_add(field(block)))
    };
    let inspected =
        state::INSPECTED.load(Ordering::Relaxed).wrapping_add(live(|b| b.inspected.get()));
    let fast = state::CALLS.load(Ordering::Relaxed).wrapping_add(live(|b| b.calls.get()));
    let denied = state::DENIED.load(Ordering::Relaxed).wrapping_add(live(|b| b.denied.get()));
    let text = out.entry();
    text.str("{\"schema\":\"ia2.stats/1\",\"pid\":").dec(sys::getpid() as u64);
    text.str(",\"exe\":").json(exe);
    let text = out.entry();
    text.str(",\"sites\":{\"found\":").dec(state::FOUND.load(Ordering::Relaxed));
    text.str(",\"patched\":").dec(state::PATCHED.load(Ordering::Relaxed));
    text.str(",\"unpatched\":[");
    unpatched(out);
    let text = out.entry();
    text.str("]},\"traps\":").dec(state::TRAPS.load(Ordering::Relaxed));
    text.str(",\"calls\":").dec(fast.wrapping_add(inspected));
    text.str(",\"inspected\":").dec(inspected);
    text.str(",\"denied\":").dec(denied);
    if let Some(found) = memory::compare() {
        text.str(",\"memory\":{\"regions\":").dec(found.regions.into());
        text.str(",\"wrong\":").dec(found.wrong.into());
        if let Some((start, end)) = found.first {
            text.str(",\"first\":\"").hex(start).byte(b'-').hex(end).byte(b'"');
        }
        text.byte(b'}');
    }
    text.str("}\n");
}

/// The sites left alone, each with the module it lies in now.
fn unpatched(out: &mut Out) {
    let left = || LEFT.boot().iter().copied().chain(LEFT.late());
    let mut first = true;
    let mut entry = |out: &mut Out, addr: u64, reason: &str, module: &[u8]| {
        let text = out.entry();
        if !core::mem::take(&mut first) {
            text.byte(b',');
        }
        text.str("{\"addr\":\"").hex(addr).str("\",\"module\":").json(module);
        text.str(",\"reason\":\"").str(reason).str("\"}");
    };
    let mut named = 0;
    each_region(|region| {
        for site in left().filter(|site| region.exec && region.contains(site.addr)) {
            entry(out, site.addr, site.reason.name(), region.path);
            named += 1;
        }
        true
    });
    if named == left().count() {
        return;
    }
    // Some are unmapped by now: list those too, so that found = patched + unpatched.
    for site in left() {
        let mut mapped = false;
        each_region(|region| {
            mapped = region.exec && region.contains(site.addr);
            !mapped
        });
        if !mapped {
            entry(out, site.addr, site.reason.name(), b"");
        }
    }
}
