//! The only way to stop.
//!
//! Live code that cannot go on says where and why on stderr and then crashes on purpose, with the
//! default action of SIGILL, so that a core dump shows the state.

#![allow(unsafe_code, reason = "the crash itself")]

use crate::abi::{SIG_DFL, SigAction};
use crate::sys;
use ia2_core::sigset::{SIG_SETMASK, SIGILL};
use ia2_core::text::Text;

/// Exit status of a process that the shim refuses to start.
pub const EXIT_REFUSED: i32 = 125;

/// Stops the process: `why`, and an address that says where (0 if none does).
pub fn die(why: &str, addr: u64) -> ! {
    let mut text = Text::<256>::new();
    text.str("ia2shim: fatal: ").str(why);
    if addr != 0 {
        text.str(" at ").hex(addr);
    }
    text.byte(b'\n');
    // Nobody is left to tell if these fail.
    let _ = sys::write(2, text.as_bytes());
    let _ = sys::sigaction(SIGILL, Some(&SigAction { handler: SIG_DFL, ..SigAction::default() }));
    sys::sigprocmask(SIG_SETMASK, Some(0));
    // SAFETY: `ud2` raises SIGILL, whose default action ends the process.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
