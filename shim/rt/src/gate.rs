//! The gate: the only `SYSCALL` instructions that the kernel accepts.
//!
//! The page is a copy of the blob below, at the fixed address [`layout::GATE`]. There are three
//! `SYSCALL`s in it, each with a purpose of its own, so that the address at which a signal finds a
//! thread says what the thread was doing (see [`crate::boundary`]):
//!
//! | `SYSCALL` | whose call | what comes after |
//! |---|---|---|
//! | `fast` | the program's, arguments as it gave them | back to the address parked in the block's `ret` |
//! | `args` | the program's, with an argument replaced; or the last call of the shim before it leaves | through the block's `post` |
//! | `raw` | the shim's own | `jmp *%r15` |
//!
//! # fast
//!
//! ```text
//! in:   rcx = address to return to, eax = number, arguments, r11 = anything
//! out:  rax = result, rcx = the address returned to, r11 = flags: as the hardware leaves them
//! uses: gs:ret; no stack, no flags
//! ```
//! SYSCALL destroys rcx, so the return address is parked in the block and taken back. Two things
//! could overwrite it in between: the calls of a signal handler that runs now, which is why
//! [`crate::boundary`] completes or rewinds the interrupted call before the handler runs; and a
//! task that shares the block, which is why fork, vfork and clone never come here with a child
//! that has no block of its own.
//!
//! # The padding behind each `SYSCALL`
//!
//! On Intel's server cores (seen on family 6 model 207) the first branch that is fetched behind a
//! SYSRET is not predicted, and an indirect one then costs some 9 ns: more than the rest of the
//! gate. 120 bytes of straight-line code in between, as eight long `nop`s, cost less than a
//! nanosecond and make the return as cheap as the native one, which has a `ret` in that place.
//!
//! # generic
//!
//! Looks `eax` up in the table without touching the flags (there is no stack to save them on):
//! `jrcxz` is the one test of x86 that needs none. `bswap` brings the number's upper half down.

#![allow(unsafe_code, reason = "global_asm of the gate page")]

use crate::block::offset;
use core::arch::global_asm;
use ia2_core::layout::{self, GATE, TABLE};

/// First byte of `fast` that also counts the call in the block.
pub const FAST_COUNTED: u64 = GATE + 0x0a;
/// `fast`.
pub const FAST: u64 = GATE + 0x20;
/// Its `SYSCALL`.
pub const FAST_SYSCALL: u64 = GATE + 0x29;
/// The instruction after it: the call is done, the return address in the block.
pub const FAST_AFTER: u64 = layout::FAST_AFTER;
/// Its last instruction, `jmp *%rcx`: the return address is in `rcx`.
pub const FAST_JMP: u64 = GATE + 0xac;
/// One past the end of `fast`.
pub const FAST_END: u64 = GATE + 0xae;
/// `generic`: look the number up and jump on.
pub const GENERIC: u64 = GATE + 0xc0;
/// One past the end of `generic`.
pub const GENERIC_END: u64 = GATE + 0x140;
/// `args`, which begins with its `SYSCALL`.
pub const ARGS: u64 = GATE + 0x140;
/// The instruction after it.
pub const ARGS_AFTER: u64 = layout::ARGS_AFTER;
/// A `post`: restore everything that the shim's last call used, and go to the block's `post_rip`.
pub const POST_ALL: u64 = GATE + 0x1d0;
/// A `post`: restore the argument registers of the program's call and return to it.
pub const POST_ARGS: u64 = GATE + 0x1d9;
/// One past the end of the posts.
pub const POST_END: u64 = GATE + 0x240;
/// `raw`, which begins with its `SYSCALL`.
pub const RAW: u64 = GATE + 0x240;
/// The instruction after it.
pub const RAW_AFTER: u64 = layout::RAW_AFTER;
/// One past the gate's last instruction.
pub const GATE_END: u64 = GATE + 0x300;

/// What the filter allows: the addresses *after* the three `SYSCALL`s, as the kernel reports them.
pub const ALLOWED: [u64; 3] = [FAST_AFTER, ARGS_AFTER, RAW_AFTER];

/// The longest `nop`: 15 bytes.
macro_rules! long_nop {
    () => {
        ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0"
    };
}

global_asm!(
    ".pushsection .rodata.ia2gate,\"a\",@progbits",
    ".balign 64",
    ".globl ia2_gate_blob, ia2_gate_blob_end",
    ".hidden ia2_gate_blob, ia2_gate_blob_end",
    "ia2_gate_blob:",
    ".org ia2_gate_blob + {fast_counted}, 0xcc", // `.org` cannot go back: the addresses hold
    "mov r11, gs:[{calls}]",
    "lea r11, [r11 + 1]", // not `inc`: the flags are the program's
    "mov gs:[{calls}], r11",
    ".org ia2_gate_blob + {fast}, 0x90",
    "mov gs:[{ret}], rcx",
    ".org ia2_gate_blob + {fast_syscall}, 0x90",
    "syscall",
    ".org ia2_gate_blob + {fast_after}, 0x90",
    ".rept 8",
    long_nop!(),
    ".endr",
    "mov rcx, gs:[{ret}]",
    ".org ia2_gate_blob + {fast_jmp}, 0x90",
    "jmp rcx",
    ".org ia2_gate_blob + {fast_end}, 0xcc",
    ".org ia2_gate_blob + {generic}, 0xcc",
    "mov gs:[{ret}], rcx",
    "mov ecx, eax",
    "bswap ecx", // the upper half of the number, bytes swapped, is now the lower
    "movzx ecx, cx",
    "jrcxz 2f",
    "1:",
    "movabs r11, {other}", // 512 or more
    "jmp 5f",
    "2:",
    "movabs r11, {table}",
    "movzx ecx, ah",
    "jrcxz 4f", // below 256
    "lea ecx, [rcx - 1]",
    "jrcxz 3f", // 256..511
    "jmp 1b",
    "3:",
    "lea r11, [r11 + 256 * 8]",
    "4:",
    "movzx ecx, al",
    "lea r11, [r11 + rcx * 8]",
    "5:",
    "mov rcx, gs:[{ret}]",
    "jmp [r11]",
    ".org ia2_gate_blob + {args}, 0xcc",
    "syscall",
    ".org ia2_gate_blob + {args_after}, 0x90",
    ".rept 8",
    long_nop!(),
    ".endr",
    "jmp gs:[{post}]",
    ".org ia2_gate_blob + {post_all}, 0xcc",
    "mov rax, gs:[{rax}]",
    ".org ia2_gate_blob + {post_args}, 0x90",
    "mov rdi, gs:[{rdi}]",
    "mov rsi, gs:[{rsi}]",
    "mov rdx, gs:[{rdx}]",
    "mov r10, gs:[{r10}]",
    "mov r8, gs:[{r8}]",
    "mov r9, gs:[{r9}]",
    "mov rcx, gs:[{rcx}]",
    "jmp gs:[{post_rip}]",
    ".org ia2_gate_blob + {raw}, 0xcc",
    "syscall",
    ".org ia2_gate_blob + {raw_after}, 0x90",
    ".rept 8",
    long_nop!(),
    ".endr",
    "jmp r15",
    ".org ia2_gate_blob + {end}, 0xcc",
    "ia2_gate_blob_end:",
    ".popsection",
    fast_counted = const FAST_COUNTED - GATE,
    fast = const FAST - GATE,
    fast_syscall = const FAST_SYSCALL - GATE,
    fast_after = const FAST_AFTER - GATE,
    fast_jmp = const FAST_JMP - GATE,
    fast_end = const FAST_END - GATE,
    generic = const GENERIC - GATE,
    args = const ARGS - GATE,
    args_after = const ARGS_AFTER - GATE,
    post_all = const POST_ALL - GATE,
    post_args = const POST_ARGS - GATE,
    raw = const RAW - GATE,
    raw_after = const RAW_AFTER - GATE,
    end = const GATE_END - GATE,
    table = const TABLE,
    other = const ia2_core::layout::table_entry(Some(512)),
    calls = const offset::CALLS,
    ret = const offset::RET,
    post = const offset::POST,
    post_rip = const offset::POST_RIP,
    rax = const offset::FRAME_RAX,
    rdi = const offset::FRAME_RDI,
    rsi = const offset::FRAME_RSI,
    rdx = const offset::FRAME_RDX,
    rcx = const offset::FRAME_RCX,
    r8 = const offset::FRAME_R8,
    r9 = const offset::FRAME_R9,
    r10 = const offset::FRAME_R10,
);

unsafe extern "C" {
    static ia2_gate_blob: u8;
    static ia2_gate_blob_end: u8;
}

/// The bytes of the gate, to be copied to [`layout::GATE`].
///
/// [`layout::GATE`]: ia2_core::layout::GATE
#[must_use]
pub fn blob() -> &'static [u8] {
    let start = &raw const ia2_gate_blob;
    let end = &raw const ia2_gate_blob_end;
    // SAFETY: both symbols delimit one constant section part, defined above, start first.
    unsafe { core::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// Whether `rip` lies in the gate page.
#[must_use]
pub const fn contains(rip: u64) -> bool {
    rip >= GATE && rip < GATE_END
}
