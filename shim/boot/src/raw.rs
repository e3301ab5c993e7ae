//! System calls while there is no gate, and giving up.
//!
//! The two calls that make the gate cannot go through it; they, and the memory for planning, use
//! the one `SYSCALL` instruction below. Once the backstop is up it would trap like any other.

#![allow(unsafe_code, reason = "system calls")]

use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU8, Ordering};
use ia2_core::text::Text;
use ia2_rt::die::EXIT_REFUSED;
use ia2_rt::sys;
use linux_raw_sys::general::{__NR_exit_group, __NR_write};

/// Why the program is not started.
#[derive(Debug)]
pub struct GiveUp {
    /// What could not be done, and what to do about it.
    pub what: &'static str,
    /// The kernel's answer, 0 if it was not asked.
    pub errno: i32,
}

impl GiveUp {
    /// The kernel answered `errno` to what was needed for `what`.
    pub fn because(what: &'static str) -> impl FnOnce(i32) -> Self {
        move |errno| Self { what, errno }
    }
}

/// Makes call `nr`.
///
/// # Safety
/// The arguments must be ones with which the call breaks nothing that Rust code relies on.
#[inline(never)] // so that there is one `SYSCALL` in the library's text
pub unsafe fn call(nr: u32, args: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = args;
    let result;
    // SAFETY: the caller's promise; SYSCALL destroys rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") i64::from(nr) => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// How calls can be made, and what a failure means.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// There is no gate.
    Bare,
    /// The gate is there; the program does not run yet.
    Gate,
    /// The program runs, and a library of it is being planned.
    Live,
}

static PHASE: AtomicU8 = AtomicU8::new(Phase::Bare as u8);

/// For the loader, whose image has the gate: from here on calls go through it.
pub fn gate_is_there() {
    enter(Phase::Gate);
}

/// Enters a phase.
pub(crate) fn enter(phase: Phase) {
    PHASE.store(phase as u8, Ordering::Relaxed);
}

/// Whether it is this phase.
pub(crate) fn is(phase: Phase) -> bool {
    PHASE.load(Ordering::Relaxed) == phase as u8
}

/// For the panic handler of a leaf: only the planner could panic.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |location| u64::from(location.line()));
    let mut text = Text::<192>::new();
    text.str("internal error at ");
    text.str(info.location().map_or("unknown place", |location| location.file()));
    text.byte(b':').dec(line);
    give_up(core::str::from_utf8(text.as_bytes()).unwrap_or("internal error"), 0)
}

/// Says why on stderr and ends the process with status 125; once the program runs, by
/// [`ia2_rt::die`].
pub fn give_up(what: &str, errno: i32) -> ! {
    if is(Phase::Live) {
        ia2_rt::die::die(what, 0);
    }
    let mut text = Text::<512>::new();
    text.str("ia2shim: ").str(what);
    if errno != 0 {
        text.str(" (errno ").dec(errno.unsigned_abs().into()).byte(b')');
    }
    text.str("; the program was not started\n");
    let bytes = text.as_bytes();
    if is(Phase::Gate) {
        // Nobody is left to tell if this fails.
        let _ = sys::write(2, bytes);
        sys::exit_group(EXIT_REFUSED);
    }
    // SAFETY: writes from a live buffer, then ends.
    unsafe {
        call(__NR_write, [2, bytes.as_ptr().addr() as u64, bytes.len() as u64, 0, 0, 0]);
        loop {
            call(__NR_exit_group, [EXIT_REFUSED as u64, 0, 0, 0, 0, 0]);
        }
    }
}
