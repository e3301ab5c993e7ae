// What the attacks use: calls made by the gate's own instructions, with registers of the attacker's.
//
// Without the shim there is no gate, and `at_gate` is a plain call: that is the control.
#pragma once
#include "harness.h"

#define GATE ((unsigned char *)0x7e9000000000)

static int is_under_shim(void) { return msync(GATE, 4096, MS_ASYNC) == 0; }

static long at_gate(long nr, long a, long b, long c, long d, long e) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    long result;
    if (!is_under_shim()) {
        asm volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
        return result;
    }
    unsigned char *at = 0;
    for (int offset = 0; offset < 4094; offset++) // the last one comes back through r15
        if (GATE[offset] == 0x0f && GATE[offset + 1] == 0x05) at = GATE + offset;
    asm volatile("lea 1f(%%rip), %%r15\n jmp *%%rbx\n1:"
                 : "=a"(result)
                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "b"(at)
                 : "rcx", "r11", "r15", "memory");
    return result;
}
