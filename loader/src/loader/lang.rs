//! What the compiler demands of a program without a standard library.

#![allow(unsafe_code, reason = "language items")]

use core::panic::PanicInfo;

#[global_allocator]
static ALLOCATOR: ia2_boot::arena::Allocator = ia2_boot::arena::Allocator;

/// Only the planner could panic: the program is not started, or ends if it is a library's turn.
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
