// Functions that load every register, make one call and store every register.
//
// `PROBE(name, site)` makes `name()`: it loads all general registers and the flags from `probe_in`,
// runs the instructions of `site`, and stores what it finds in `probe_out`, without touching
// anything between. `name_after` is the address of the instruction after the site.
#pragma once
#include "harness.h"

struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};
struct registers probe_in __attribute__((used)), probe_out __attribute__((used));
uint64_t probe_saved_rsp __attribute__((used)), probe_out_rsp __attribute__((used));

#define PROBE(name, site)                                                                          \
    extern char name##_after[];                                                                    \
    void name(void);                                                                               \
    asm(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n"         \
        "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"                       \
        "mov %rsp, probe_saved_rsp(%rip)\n"                                                        \
        "pushq probe_in+120(%rip)\npopfq\n"                                                        \
        "mov probe_in(%rip), %rax\nmov probe_in+8(%rip), %rbx\nmov probe_in+16(%rip), %rcx\n"      \
        "mov probe_in+24(%rip), %rdx\nmov probe_in+32(%rip), %rsi\nmov probe_in+40(%rip), %rdi\n"  \
        "mov probe_in+48(%rip), %rbp\nmov probe_in+56(%rip), %r8\nmov probe_in+64(%rip), %r9\n"    \
        "mov probe_in+72(%rip), %r10\nmov probe_in+80(%rip), %r11\nmov probe_in+88(%rip), %r12\n"  \
        "mov probe_in+96(%rip), %r13\nmov probe_in+104(%rip), %r14\n"                              \
        "mov probe_in+112(%rip), %r15\n" site "\n" #name "_after:\n"                               \
        "mov %rax, probe_out(%rip)\nmov %rbx, probe_out+8(%rip)\nmov %rcx, probe_out+16(%rip)\n"   \
        "mov %rdx, probe_out+24(%rip)\nmov %rsi, probe_out+32(%rip)\n"                             \
        "mov %rdi, probe_out+40(%rip)\nmov %rbp, probe_out+48(%rip)\n"                             \
        "mov %r8, probe_out+56(%rip)\nmov %r9, probe_out+64(%rip)\nmov %r10, probe_out+72(%rip)\n" \
        "mov %r11, probe_out+80(%rip)\nmov %r12, probe_out+88(%rip)\n"                             \
        "mov %r13, probe_out+96(%rip)\nmov %r14, probe_out+104(%rip)\n"                            \
        "mov %r15, probe_out+112(%rip)\nmov %rsp, probe_out_rsp(%rip)\n"                           \
        "mov probe_saved_rsp(%rip), %rsp\n"                                                        \
        "pushfq\npopq probe_out+120(%rip)\ncld\n"                                                  \
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"                        \
        ".cfi_endproc\n.size " #name ", . - " #name "\n")

/// Status flags CF PF AF ZF SF DF OF.
#define STATUS_FLAGS 0xcd5ul

/// Fills `probe_in` with values that tell the registers apart.
static void probe_fill(void) {
    uint64_t *word = (uint64_t *)&probe_in;
    for (int i = 0; i < 15; i++) word[i] = 0x1111111111111111ul * (i + 1) ^ 0xa5a5000000005a5aul;
    probe_in.flags = 0x202;
    memset(&probe_out, 0xee, sizeof probe_out);
}

/// Sets the call and its arguments.
static void probe_call(long nr, long a, long b, long c, long d, long e, long f) {
    probe_in.rax = nr;
    probe_in.rdi = a;
    probe_in.rsi = b;
    probe_in.rdx = c;
    probe_in.r10 = d;
    probe_in.r8 = e;
    probe_in.r9 = f;
}

/// Says which registers are not what the hardware leaves after a call.
static void probe_compare(const char *what, void *after) {
#define KEPT(register)                                                                             \
    if (probe_out.register != probe_in.register) say("%s: " #register " changed", what)
    KEPT(rbx); KEPT(rdx); KEPT(rsi); KEPT(rdi); KEPT(rbp); KEPT(r8); KEPT(r9); KEPT(r10);
    KEPT(r12); KEPT(r13); KEPT(r14); KEPT(r15);
#undef KEPT
    if (probe_out_rsp != probe_saved_rsp) say("%s: rsp changed", what);
    if (probe_out.rcx != (uint64_t)after) say("%s: rcx is not the next address", what);
    if ((probe_out.flags & STATUS_FLAGS) != (probe_in.flags & STATUS_FLAGS))
        say("%s: flags %#lx became %#lx", what, probe_in.flags & STATUS_FLAGS,
            probe_out.flags & STATUS_FLAGS);
    if ((probe_out.r11 & STATUS_FLAGS) != (probe_in.flags & STATUS_FLAGS))
        say("%s: r11 does not hold the flags", what);
    if ((probe_out.r11 & ~STATUS_FLAGS) != 0x202)
        say("%s: r11 holds other bits: %#lx", what, probe_out.r11);
}
