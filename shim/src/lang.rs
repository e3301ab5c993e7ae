//! What the compiler demands of a library without a standard library: a panic handler, an
//! allocator, and a name that the prebuilt `alloc` refers to in debug builds.

#![allow(unsafe_code, reason = "language items")]

use core::panic::PanicInfo;

#[global_allocator]
static ALLOCATOR: ia2_boot::arena::Allocator = ia2_boot::arena::Allocator;

/// Live code cannot panic, so this is the planner: start-up gives up, a live program dies.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |location| u64::from(location.line()));
    let mut text = ia2_core::text::Text::<192>::new();
    text.str("internal error at ");
    text.str(info.location().map_or("unknown place", |location| location.file()));
    text.byte(b':').dec(line);
    ia2_boot::raw::give_up(core::str::from_utf8(text.as_bytes()).unwrap_or("internal error"), 0)
}

core::arch::global_asm!(
    ".globl rust_eh_personality, _Unwind_Resume",
    ".hidden rust_eh_personality, _Unwind_Resume",
    "rust_eh_personality:",
    "_Unwind_Resume:",
    "ud2",
);
