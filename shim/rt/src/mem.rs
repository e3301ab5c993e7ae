//! `memcpy` and its kin, which the compiler calls by itself.
//!
//! They are hidden: a preloaded library that exported them would replace the program's own.
//! `rep movsb` is what Linux uses on processors with fast strings; the shim copies little.

#![allow(unsafe_code, reason = "global_asm")]

core::arch::global_asm!(
    ".pushsection .text.ia2mem,\"ax\",@progbits",
    ".globl memcpy, memmove, memset, memcmp, bcmp, strlen",
    ".hidden memcpy, memmove, memset, memcmp, bcmp, strlen",
    "memmove:", // (rdi to, rsi from, rdx len) -> rax to
    "mov rax, rdi",
    "sub rax, rsi",
    "cmp rax, rdx", // to - from < len, unsigned: copying forward would overrun the source
    "jae memcpy",
    "mov rax, rdi",
    "mov rcx, rdx",
    "lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "memset:", // (rdi to, esi byte, rdx len) -> rax to
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "bcmp:",
    "memcmp:", // (rdi, rsi, rdx len) -> eax
    "xor eax, eax",
    "mov rcx, rdx",
    "cmp rcx, rcx", // equal if there is nothing to compare
    "repe cmpsb",
    "je 1f",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub eax, ecx",
    "1:",
    "ret",
    "strlen:", // (rdi) -> rax
    "xor eax, eax",
    "2:",
    "cmp byte ptr [rdi + rax], 0",
    "je 3f",
    "inc rax",
    "jmp 2b",
    "3:",
    "ret",
    ".popsection",
);
