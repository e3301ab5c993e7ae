//! What the compiler demands of a library without a standard library: a panic handler, an
//! allocator, and a name that the prebuilt `alloc` refers to in debug builds.

#![allow(unsafe_code, reason = "language items")]

use core::panic::PanicInfo;

#[global_allocator]
static ALLOCATOR: ia2_boot::arena::Allocator = ia2_boot::arena::Allocator;

/// Live code cannot panic, so this is the planner: start-up gives up, a live program dies.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    ia2_boot::raw::panicked(info)
}

core::arch::global_asm!(
    ".globl rust_eh_personality, _Unwind_Resume",
    ".hidden rust_eh_personality, _Unwind_Resume",
    "rust_eh_personality:",
    "_Unwind_Resume:",
    "ud2",
);
