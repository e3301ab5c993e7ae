// A leaf function's data in the 128 bytes below rsp survive fast and inspected calls.
#include "harness.h"

// long red_zone(nr, a, b, c, d): fills the red zone, makes the call, counts changed words.
long red_zone(long nr, long a, long b, long c, long d);
asm(".text\n.globl red_zone\n.type red_zone,@function\nred_zone:\n.cfi_startproc\n"
    "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nmov %rcx, %rdx\nmov %r8, %r10\n"
    "mov $-16, %r9\n"
    "1: mov %r9, (%rsp,%r9,8)\ninc %r9\njnz 1b\n"
    "syscall\n"
    "xor %eax, %eax\nmov $-16, %r9\n"
    "2: cmp %r9, (%rsp,%r9,8)\nje 3f\ninc %eax\n3: inc %r9\njnz 2b\n"
    "ret\n.cfi_endproc\n.size red_zone, . - red_zone\n");

int main(void) {
    static uint64_t mask;
    for (int round = 0; round < 100; round++) {
        CHECK(red_zone(SYS_getpid, 0, 0, 0, 0) == 0);
        CHECK(red_zone(500, 0, 0, 0, 0) == 0);
        CHECK(red_zone(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, 8) == 0);
        CHECK(red_zone(SYS_rt_sigaction, SIGUSR2, 0, 0, 8) == 0);
        CHECK(red_zone(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS) == 0);
        CHECK(red_zone(SYS_rt_sigprocmask, SIG_BLOCK, 1, 0, 8) == 0);
    }
    done();
}
