// Functions that load all vector and x87 state, make one call and store that state.
//
// `VECTOR_PROBE(name)` makes `name()`: XRSTOR of `vector_in`, the call in `vector_call`, XSAVE to
// `vector_out`. Which components are compared follows from XCR0, so the program tests what the
// processor has (x87, SSE, AVX, AVX-512) and its output is the same everywhere.
#pragma once
#include "harness.h"
#include <cpuid.h>

#define VECTOR_AREA 16384
_Alignas(64) uint8_t vector_in[VECTOR_AREA] __attribute__((used));
_Alignas(64) uint8_t vector_out[VECTOR_AREA] __attribute__((used));
uint64_t vector_call[7] __attribute__((used));
uint64_t vector_result __attribute__((used));
uint32_t vector_mask __attribute__((used));

#define VECTOR_PROBE(name)                                                                         \
    void name(void);                                                                               \
    asm(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n"         \
        "xor %edx, %edx\nmov vector_mask(%rip), %eax\nxrstor64 vector_in(%rip)\n"                  \
        "mov vector_call+8(%rip), %rdi\nmov vector_call+16(%rip), %rsi\n"                          \
        "mov vector_call+24(%rip), %rdx\nmov vector_call+32(%rip), %r10\n"                         \
        "mov vector_call+40(%rip), %r8\nmov vector_call+48(%rip), %r9\n"                           \
        "mov vector_call(%rip), %rax\nsyscall\nmov %rax, vector_result(%rip)\n"                    \
        "xor %edx, %edx\nmov vector_mask(%rip), %eax\nxsave64 vector_out(%rip)\n"                  \
        "fninit\npushq $0x1f80\nldmxcsr (%rsp)\npop %rax\nret\n"                                   \
        ".cfi_endproc\n.size " #name ", . - " #name "\n")

static uint32_t vector_offset[8], vector_size[8];

/// Finds the components, and fills `vector_in` with a pattern that no component's start state has.
static void vector_prepare(void) {
    uint32_t a, b, c, d, low, high;
    CHECK(__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE));
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    vector_mask = low & 0xe7; // x87, SSE, AVX, opmask, high halves of zmm, zmm16-31
    __cpuid_count(0xd, 0, a, b, c, d);
    CHECK(b <= VECTOR_AREA);
    for (int i = 2; i < 8; i++) {
        __cpuid_count(0xd, i, a, b, c, d);
        vector_size[i] = a;
        vector_offset[i] = b;
        if (vector_mask >> i & 1)
            for (uint32_t at = 0; at < a; at++) vector_in[b + at] = (uint8_t)(at * 7 + i * 31 + 1);
    }
    *(uint16_t *)(vector_in + 0) = 0x0e7f;  // FCW: round up, 53 bits... all exceptions masked
    *(uint16_t *)(vector_in + 2) = 0x3800;  // FSW: top of stack 7
    vector_in[4] = 0xff;                    // FTW: all eight registers in use
    *(uint32_t *)(vector_in + 24) = 0xffc0; // MXCSR: masked, round to zero, FTZ, DAZ
    for (int i = 0; i < 8; i++)
        for (int at = 0; at < 10; at++) vector_in[32 + i * 16 + at] = (uint8_t)(at + i * 16 + 3);
    for (int at = 0; at < 256; at++) vector_in[160 + at] = (uint8_t)(at * 5 + 9);
    *(uint64_t *)(vector_in + 512) = vector_mask;
}

static int vector_differs(uint32_t from, uint32_t length) {
    return memcmp(vector_in + from, vector_out + from, length) != 0;
}

/// Runs `probe` on the call in `vector_call` and says which state changed.
static void vector_compare(const char *what, void (*probe)(void)) {
    static const char *const names[8] = {"",       "",        "ymm high halves", "",
                                         "", "opmask", "zmm high halves", "zmm16-31"};
    memset(vector_out, 0xee, 512);
    probe();
    if (vector_differs(0, 6)) say("%s: x87 control, status or tags changed", what);
    for (int i = 0; i < 8; i++)
        if (vector_differs(32 + i * 16, 10)) say("%s: st%d changed", what, i);
    if (vector_differs(24, 4)) say("%s: mxcsr changed", what);
    for (int i = 0; i < 16; i++)
        if (vector_differs(160 + i * 16, 16)) say("%s: xmm%d changed", what, i);
    for (int i = 2; i < 8; i++)
        if ((vector_mask >> i & 1) && vector_differs(vector_offset[i], vector_size[i]))
            say("%s: %s changed", what, names[i]);
}
