//! The assembly between the program and Rust: the slow entry with its exit, and the signal entry.
//!
//! # `ia2_slow`: an inspected call
//!
//! ```text
//! in:     rcx = address to return to, eax = number, arguments; r11 = anything
//! does:   registers, flags and xmm into the block; handler stack; dispatch::on_call
//! out:    through ia2_leave
//! stack:  the program's is not touched
//! ```
//! Rust code runs without alignment checks (AC), whatever the program has set.
//! Its first instruction sets `in_shim`. A signal before that finds all registers as the program
//! left them ([`is_arriving`]); a signal after it waits.
//!
//! # `ia2_leave`: back to the program
//!
//! ```text
//! in:     gs = block: frame, xmm, exit_target
//! does:   registers, flags, xmm from the block; clears in_shim; if signals wait: signal::drain, again
//! out:    jumps to exit_target with rcx = frame.rcx:
//!           gate.fast       the call goes on as the program made it
//!           ia2_done        back to the program, r11 = flags
//!           ia2_args        number and arguments from new_args, then gate.args
//!           ia2_sigreturn   rt_sigreturn from return_rsp
//! ```
//! From the store that clears `in_shim` to the jump out, a signal finds what the frame says
//! ([`is_leaving`]). The test for waiting signals must come after that store: one that arrived
//! between test and store would wait for the next inspected call. Nothing here may change a flag
//! after `popfq`, hence `jrcxz`.
//!
//! # `ia2_opened`: after an open that was to follow no link
//!
//! ```text
//! in:   as a post of the gate: rax = result, gs = block
//! out:  gate.POST_ARGS; or, if a link was found, ia2_slow again with the call as the program made it, and
//!       `tries` one higher
//! ```
//! The flags are the program's already, hence `lea` and `jrcxz`.
//!
//! # `ia2_signal`: every signal
//!
//! ```text
//! in:     as a signal handler: rdi, rsi, rdx; rsp = the frame, on the shim's alternate stack or where
//!         the program's handler would have it
//! does:   signal::on_signal, on a stack of the block
//! out:    rt_sigreturn from the same frame, or ia2_leave
//! ```
//! The handler that interrupted the program itself returns through `ia2_back`: a fault that
//! somebody sent meanwhile was noted, and is raised again before. One that is sent between that
//! look and the return finds the thread in a sequence that can be started again ([`restart_back`]).

#![allow(unsafe_code, reason = "global_asm")]

use crate::abi::errno::ELOOP;
use crate::abi::{SigFrame, UContext};
use crate::block::{Block, offset};
use crate::gate;
use core::arch::global_asm;
use core::mem::offset_of;

global_asm!(
    ".pushsection .text.ia2entry,\"ax\",@progbits",
    ".globl ia2_slow, ia2_slow_busy, ia2_leave, ia2_leaving, ia2_leaving_end",
    ".hidden ia2_slow, ia2_slow_busy, ia2_leave, ia2_leaving, ia2_leaving_end",
    ".globl ia2_slow_saved, ia2_leave_flags",
    ".hidden ia2_slow_saved, ia2_leave_flags",
    ".globl ia2_done, ia2_args, ia2_sigreturn, ia2_signal, ia2_back, ia2_back_end, ia2_restorer",
    ".hidden ia2_done, ia2_args, ia2_sigreturn, ia2_signal, ia2_back, ia2_back_end, ia2_restorer",
    ".globl ia2_opened, ia2_opened_link, ia2_opened_end",
    ".hidden ia2_opened, ia2_opened_link, ia2_opened_end",
    ".balign 64",
    "ia2_slow:",
    "mov dword ptr gs:[{in_shim}], 1",
    "ia2_slow_busy:",
    "mov gs:[{rax}], rax",
    "mov gs:[{rbx}], rbx",
    "mov gs:[{rcx}], rcx",
    "mov gs:[{rdx}], rdx",
    "mov gs:[{rsi}], rsi",
    "mov gs:[{rdi}], rdi",
    "mov gs:[{rbp}], rbp",
    "mov gs:[{rsp}], rsp",
    "mov gs:[{r8}], r8",
    "mov gs:[{r9}], r9",
    "mov gs:[{r10}], r10",
    "mov gs:[{r12}], r12",
    "mov gs:[{r13}], r13",
    "mov gs:[{r14}], r14",
    "mov gs:[{r15}], r15",
    "mov rsp, gs:[{hstack_top}]",
    "pushfq",
    "pop qword ptr gs:[{eflags}]",
    "ia2_slow_saved:",
    "cld",
    "test byte ptr gs:[{eflags} + 2], 4", // AC
    "jnz 6f",
    "7:",
    "movaps gs:[{xmm} + 0x00], xmm0",
    "movaps gs:[{xmm} + 0x10], xmm1",
    "movaps gs:[{xmm} + 0x20], xmm2",
    "movaps gs:[{xmm} + 0x30], xmm3",
    "movaps gs:[{xmm} + 0x40], xmm4",
    "movaps gs:[{xmm} + 0x50], xmm5",
    "movaps gs:[{xmm} + 0x60], xmm6",
    "movaps gs:[{xmm} + 0x70], xmm7",
    "movaps gs:[{xmm} + 0x80], xmm8",
    "movaps gs:[{xmm} + 0x90], xmm9",
    "movaps gs:[{xmm} + 0xa0], xmm10",
    "movaps gs:[{xmm} + 0xb0], xmm11",
    "movaps gs:[{xmm} + 0xc0], xmm12",
    "movaps gs:[{xmm} + 0xd0], xmm13",
    "movaps gs:[{xmm} + 0xe0], xmm14",
    "movaps gs:[{xmm} + 0xf0], xmm15",
    "call {on_call}", // the stack is 16-aligned: the block begins a page
    "ia2_leave:",
    "mov rsp, gs:[{hstack_top}]",
    "movaps xmm0, gs:[{xmm} + 0x00]",
    "movaps xmm1, gs:[{xmm} + 0x10]",
    "movaps xmm2, gs:[{xmm} + 0x20]",
    "movaps xmm3, gs:[{xmm} + 0x30]",
    "movaps xmm4, gs:[{xmm} + 0x40]",
    "movaps xmm5, gs:[{xmm} + 0x50]",
    "movaps xmm6, gs:[{xmm} + 0x60]",
    "movaps xmm7, gs:[{xmm} + 0x70]",
    "movaps xmm8, gs:[{xmm} + 0x80]",
    "movaps xmm9, gs:[{xmm} + 0x90]",
    "movaps xmm10, gs:[{xmm} + 0xa0]",
    "movaps xmm11, gs:[{xmm} + 0xb0]",
    "movaps xmm12, gs:[{xmm} + 0xc0]",
    "movaps xmm13, gs:[{xmm} + 0xd0]",
    "movaps xmm14, gs:[{xmm} + 0xe0]",
    "movaps xmm15, gs:[{xmm} + 0xf0]",
    "mov rax, gs:[{rax}]",
    "mov rbx, gs:[{rbx}]",
    "mov rdx, gs:[{rdx}]",
    "mov rsi, gs:[{rsi}]",
    "mov rdi, gs:[{rdi}]",
    "mov rbp, gs:[{rbp}]",
    "mov r8, gs:[{r8}]",
    "mov r9, gs:[{r9}]",
    "mov r10, gs:[{r10}]",
    "mov r12, gs:[{r12}]",
    "mov r13, gs:[{r13}]",
    "mov r14, gs:[{r14}]",
    "mov r15, gs:[{r15}]",
    "push qword ptr gs:[{eflags}]",
    "popfq", // from here on, no instruction may change a flag
    "ia2_leave_flags:",
    "mov rsp, gs:[{rsp}]",
    "mov dword ptr gs:[{in_shim}], 0",
    "ia2_leaving:", // from here on, a signal goes by the block's exit_kind
    "mov ecx, gs:[{deferred}]",
    "jrcxz 2f",
    "jmp 3f",
    "2:",
    "mov rcx, gs:[{rcx}]",
    "jmp gs:[{exit_target}]",
    "ia2_done:",
    "mov r11, gs:[{eflags}]",
    "jmp rcx",
    "ia2_args:",
    "mov eax, gs:[{new_args} + 0]",
    "mov rdi, gs:[{new_args} + 8]",
    "mov rsi, gs:[{new_args} + 16]",
    "mov rdx, gs:[{new_args} + 24]",
    "mov r10, gs:[{new_args} + 32]",
    "mov r8, gs:[{new_args} + 40]",
    "mov r9, gs:[{new_args} + 48]",
    "movabs r11, {args}",
    "jmp r11",
    "ia2_sigreturn:",
    "mov rsp, gs:[{return_rsp}]",
    "mov eax, {nr_sigreturn}",
    "movabs r14, {raw}",
    "jmp r14",
    "3:",
    "mov dword ptr gs:[{in_shim}], 1",
    "ia2_leaving_end:",
    "mov rsp, gs:[{hstack_top}]",
    "push 2", // no flag is set
    "popfq",
    "call {drain}",
    "jmp ia2_leave",
    "6:",
    "push 2",
    "popfq",
    "jmp 7b",
    "ia2_opened:",
    "lea ecx, [rax + {eloop}]",
    "jrcxz ia2_opened_link",
    "mov dword ptr gs:[{tries}], 0",
    "movabs rcx, {post_args}",
    "jmp rcx",
    "ia2_opened_link:",
    "mov ecx, gs:[{tries}]",
    "lea ecx, [rcx + 1]",
    "mov gs:[{tries}], ecx",
    "mov rax, gs:[{rax}]",
    "mov rdi, gs:[{rdi}]",
    "mov rsi, gs:[{rsi}]",
    "mov rdx, gs:[{rdx}]",
    "mov r10, gs:[{r10}]",
    "mov r8, gs:[{r8}]",
    "mov r9, gs:[{r9}]",
    "mov rcx, gs:[{rcx}]",
    "jmp ia2_slow",
    "ia2_opened_end:",
    ".balign 16",
    "ia2_signal:",
    "mov rbx, rsp", // the frame; rbx itself is in it
    "mov rax, gs:[{this}]",
    "mov rbp, gs:[{hstack_top}]", // nobody uses it, or the frame would be there
    "sub rax, rsp",
    "cmp rax, {stacks}",
    "cmovb rbp, rsp",
    "and rbp, -16", // the kernel leaves the stack as after a call
    "mov rsp, rbp",
    "test byte ptr [rbx + {uc_eflags} + 2], 4", // AC, which the kernel has left as it was
    "jnz 8f",
    "9:",
    "call {on_signal}",
    "cmp eax, {leave}",
    "je ia2_leave",
    "cmp eax, {back}",
    "mov r12d, 0", // not on the way back
    "jne 4f",
    "ia2_back:",
    "mov r12d, 1",
    "cmp dword ptr gs:[{deferred}], 0",
    "jne 5f",
    "4:",
    "lea rsp, [rbx + 8]", // as after the `ret` into a restorer
    "mov eax, {nr_sigreturn}",
    "movabs r14, {raw}",
    "jmp r14",
    "ia2_back_end:",
    "5:",
    "mov rsp, rbp",
    "call {requeue}",
    "jmp ia2_back",
    "8:",
    "pushfq", // rt_sigreturn does not restore all flags (FIX_EFLAGS): the others stay
    "and dword ptr [rsp], ~(1 << 18)",
    "popfq",
    "jmp 9b",
    "ia2_restorer:", // the kernel demands one; ia2_signal never returns to it
    "ud2",
    ".popsection",
    on_call = sym crate::dispatch::on_call,
    on_signal = sym crate::signal::on_signal,
    drain = sym crate::signal::drain,
    requeue = sym crate::signal::requeue_deferred,
    leave = const crate::signal::Next::Leave as u32,
    back = const crate::signal::Next::Back as u32,
    args = const gate::ARGS,
    raw = const gate::RAW,
    nr_sigreturn = const ia2_core::nr::RT_SIGRETURN,
    uc_eflags = const offset_of!(SigFrame, uc) + offset_of!(UContext, eflags),
    this = const offset::THIS,
    stacks = const crate::block::STACKS,
    in_shim = const offset::IN_SHIM,
    deferred = const offset::DEFERRED,
    exit_target = const offset::EXIT_TARGET,
    hstack_top = const offset::HSTACK_TOP,
    return_rsp = const offset::RETURN_RSP,
    new_args = const offset::NEW_ARGS,
    tries = const offset::TRIES,
    eloop = const ELOOP,
    post_args = const gate::POST_ARGS,
    xmm = const offset::XMM,
    eflags = const offset::FRAME_EFLAGS,
    rax = const offset::FRAME_RAX,
    rbx = const offset::FRAME_RBX,
    rcx = const offset::FRAME_RCX,
    rdx = const offset::FRAME_RDX,
    rsi = const offset::FRAME_RSI,
    rdi = const offset::FRAME_RDI,
    rbp = const offset::FRAME_RBP,
    rsp = const offset::FRAME_RSP,
    r8 = const offset::FRAME_R8,
    r9 = const offset::FRAME_R9,
    r10 = const offset::FRAME_R10,
    r12 = const offset::FRAME_R12,
    r13 = const offset::FRAME_R13,
    r14 = const offset::FRAME_R14,
    r15 = const offset::FRAME_R15,
);

unsafe extern "C" {
    static ia2_slow: u8;
    static ia2_slow_busy: u8;
    static ia2_slow_saved: u8;
    static ia2_leave_flags: u8;
    static ia2_leaving: u8;
    static ia2_leaving_end: u8;
    static ia2_done: u8;
    static ia2_args: u8;
    static ia2_sigreturn: u8;
    static ia2_opened: u8;
    static ia2_opened_link: u8;
    static ia2_opened_end: u8;
    static ia2_signal: u8;
    static ia2_back: u8;
    static ia2_back_end: u8;
    static ia2_restorer: u8;
}

macro_rules! addr {
    ($(#[$doc:meta])* $name:ident = $symbol:ident) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name() -> u64 {
            (&raw const $symbol).addr() as u64
        }
    };
}

addr!(
    /// Where the table sends inspected calls.
    slow_addr = ia2_slow
);
addr!(
    /// Exit target: the call is done.
    done_addr = ia2_done
);
addr!(
    /// Exit target: `gate.args`.
    args_addr = ia2_args
);
addr!(
    /// Exit target: rt_sigreturn.
    sigreturn_addr = ia2_sigreturn
);
addr!(
    /// A post: an open that was to follow no link.
    opened_addr = ia2_opened
);
addr!(
    /// The handler the kernel knows.
    signal_addr = ia2_signal
);
addr!(
    /// The restorer the kernel demands.
    restorer_addr = ia2_restorer
);

/// Whether `rip` is about to enter the slow path: registers are the program's, `rcx` has the
/// return address.
#[must_use]
pub fn is_arriving(rip: u64) -> bool {
    (slow_addr()..(&raw const ia2_slow_busy).addr() as u64).contains(&rip)
}

/// Whether `rip` is behind an open that was to follow no link. If so, whether its result is still in `rax`;
/// after that, the call is about to be made again.
#[must_use]
pub fn is_opened(rip: u64) -> Option<bool> {
    let (link, end) = (&raw const ia2_opened_link, &raw const ia2_opened_end);
    let is_it = (opened_addr()..end.addr() as u64).contains(&rip);
    is_it.then_some(rip < link.addr() as u64)
}

/// Whether `rip` is leaving the slow path: the registers are what the block's frame says.
#[must_use]
pub fn is_leaving(rip: u64) -> bool {
    let (start, end) = (&raw const ia2_leaving, &raw const ia2_leaving_end);
    (start.addr() as u64..end.addr() as u64).contains(&rip)
}

/// Whether the flags at `rip`, where the shim is busy, are the program's: not saved yet, or restored.
#[must_use]
pub fn has_flags_of_program(rip: u64) -> bool {
    let saved = (&raw const ia2_slow_saved).addr() as u64;
    let (restored, leaving) =
        ((&raw const ia2_leave_flags).addr() as u64, (&raw const ia2_leaving).addr() as u64);
    (slow_addr()..saved).contains(&rip) || (restored..leaving).contains(&rip)
}

/// Whether a thread at `rip` is about to return from a signal for the program, out of the block's copy of
/// the frame.
#[must_use]
pub fn is_returning(block: &Block, rip: u64, rsp: u64) -> bool {
    rsp == block.return_rsp.get() && (is_leaving(rip) || rip == gate::RAW)
}

/// Whether a thread at `rip` is in the handler the kernel knows, outside of Rust code: its stack may be
/// the program's. Its last call is not the rt_sigreturn of the program, which returns from the block.
#[must_use]
pub fn is_handling(block: &Block, rip: u64, rsp: u64) -> bool {
    (signal_addr()..restorer_addr()).contains(&rip)
        || (rip == gate::RAW && rsp != block.return_rsp.get())
}

/// If a handler was interrupted on its way back to what it interrupted, has it start that way again.
pub fn restart_back(uc: &mut UContext) {
    let (start, end) =
        ((&raw const ia2_back).addr() as u64, (&raw const ia2_back_end).addr() as u64);
    let is_last_call = uc.rip == gate::RAW && uc.rax == u64::from(ia2_core::nr::RT_SIGRETURN);
    if uc.r12 == 1 && (is_last_call || (start..end).contains(&uc.rip)) {
        uc.rip = start;
    }
}
