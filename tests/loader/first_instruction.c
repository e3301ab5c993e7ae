// Prints what the registers hold at the first instruction, and what lies around the stack pointer.
// No libc: nothing runs before.
#include <stdint.h>

struct state {
    uint64_t general[16]; // rax rbx rcx rdx rsi rdi rbp rsp r8-r15
    uint64_t flags;
    uint32_t mxcsr;
    uint16_t x87[16]; // fnstenv, 28 bytes
    uint64_t segments[4];
    _Alignas(16) uint8_t vector[256];
} state;

__asm__(".globl _start\n"
        "_start:\n"
        "mov %rax, state(%rip)\n"
        "lea state(%rip), %rax\n"
        "mov %rbx, 8(%rax); mov %rcx, 16(%rax); mov %rdx, 24(%rax)\n"
        "mov %rsi, 32(%rax); mov %rdi, 40(%rax); mov %rbp, 48(%rax); mov %rsp, 56(%rax)\n"
        "mov %r8, 64(%rax); mov %r9, 72(%rax); mov %r10, 80(%rax); mov %r11, 88(%rax)\n"
        "mov %r12, 96(%rax); mov %r13, 104(%rax); mov %r14, 112(%rax); mov %r15, 120(%rax)\n"
        "pushfq; popq 128(%rax)\n"
        "stmxcsr 136(%rax)\n"
        "fnstenv 140(%rax)\n"
        "mov %ds, %ecx; mov %rcx, 176(%rax); mov %es, %ecx; mov %rcx, 184(%rax)\n"
        "mov %fs, %ecx; mov %rcx, 192(%rax); mov %gs, %ecx; mov %rcx, 200(%rax)\n"
        "movups %xmm0, 208(%rax); movups %xmm1, 224(%rax); movups %xmm2, 240(%rax)\n"
        "movups %xmm3, 256(%rax); movups %xmm4, 272(%rax); movups %xmm5, 288(%rax)\n"
        "movups %xmm6, 304(%rax); movups %xmm7, 320(%rax); movups %xmm8, 336(%rax)\n"
        "movups %xmm9, 352(%rax); movups %xmm10, 368(%rax); movups %xmm11, 384(%rax)\n"
        "movups %xmm12, 400(%rax); movups %xmm13, 416(%rax); movups %xmm14, 432(%rax)\n"
        "movups %xmm15, 448(%rax)\n"
        "mov %rsp, %rdi\n"
        "call report\n");

_Static_assert(__builtin_offsetof(struct state, mxcsr) == 136, "layout");
_Static_assert(__builtin_offsetof(struct state, x87) == 140, "layout");
_Static_assert(__builtin_offsetof(struct state, segments) == 176, "layout");
_Static_assert(__builtin_offsetof(struct state, vector) == 208, "layout");

static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void line(const char *name, uint64_t value) {
    char text[64];
    int at = 0;
    while (*name) text[at++] = *name++;
    for (int shift = 60; shift >= 0; shift -= 4) text[at++] = "0123456789abcdef"[value >> shift & 15];
    text[at++] = '\n';
    call(1, 1, (long)text, at);
}

void report(uint64_t *sp) {
    for (int i = 0; i < 16; i++) line("register ", i == 7 ? state.general[i] % 16 : state.general[i]);
    line("flags ", state.flags);
    line("mxcsr ", state.mxcsr);
    for (int i = 0; i < 14; i++) line("x87 ", state.x87[i]);
    for (int i = 0; i < 4; i++) line("segment ", state.segments[i]);
    uint64_t fs = 1;
    call(158, 0x1003, (long)&fs, 0);
    line("fs ", fs);
    for (int i = 0; i < 256; i++)
        if (state.vector[i]) line("vector ", i);
    line("argc ", sp[0]);
    line("end ", sp[1 + sp[0]]);
    call(231, 0, 0, 0);
}
