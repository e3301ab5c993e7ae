//! libia2shim.a: the shim, linked into a program.
//!
//! This leaf is the constructor and the version; the rest of the archive is in `parts.s`. How the two
//! become one object is in `object.ld`, and why in docs/adr/0013.
#![no_std]
#![deny(unsafe_code)]

#[path = "../../src/lang.rs"]
mod lang;
#[path = "../../src/version.rs"]
mod version;

pub use version::ia2shim_version;

use ia2_boot::linked::Parts;

#[allow(unsafe_code, reason = "a name that parts.s jumps to, and the promise to boot")]
mod start {
    use super::Parts;

    // Hidden, so that scripts/archive makes it local to the object.
    core::arch::global_asm!(
        ".pushsection .text.ia2linked,\"ax\",@progbits",
        ".globl ia2_linked",
        ".hidden ia2_linked",
        "ia2_linked:",
        "jmp {constructor}",
        ".popsection",
        constructor = sym constructor,
    );

    extern "C" fn constructor(parts: &'static Parts) {
        // SAFETY: called by the C library's start-up, in a constructor, with the parts of this very
        // program, before it makes a thread.
        unsafe { ia2_boot::boot_linked(parts) };
    }
}
