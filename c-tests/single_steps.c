// A program that steps through its own instructions by the trap flag sees each of them once, and a call
// as one instruction, after which (as the kernel has it) the next one is not shown either.
#include "harness.h"

void steps(void);
extern char steps_start[], steps_end[];
asm(".text\n.globl steps, steps_start, steps_end\n.type steps,@function\nsteps:\n.cfi_startproc\n"
    "pushf\norq $0x100, (%rsp)\npopf\nsteps_start:\nnop\nmov $1, %eax\n"
    "mov $110, %eax\nsyscall\nnop\nnop\n"                   // number and call in one patch
    "mov $500, %eax\ncmp %eax, %eax\nnop\nsyscall\nmov %eax, %ecx\nnop\nnop\n" // room behind
    "xor %edi, %edi\nxor %esi, %esi\nxor %edx, %edx\nmov $8, %r10d\nmov $14, %eax\nsyscall\nnop\n"
    "mov $110, %ecx\nxchg %ecx, %eax\nsyscall\nnop\nnop\nnop\n"
    "pushf\nandq $~0x100, (%rsp)\npopf\nsteps_end:\nnop\nret\n.cfi_endproc\n"
    ".size steps, . - steps\n");

static volatile int seen;
static uint64_t at[64];

static void on_step(int signal, siginfo_t *info, void *context) {
    uint64_t rip = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (signal != SIGTRAP || info->si_code != 2 || (uint64_t)info->si_addr != rip) {
        say("not a step, or of another address");
        _exit(1);
    }
    if (seen == 64) {
        say("too many steps");
        _exit(1);
    }
    at[seen++] = rip - (uint64_t)steps_start;
}

int main(void) {
    handle(SIGTRAP, on_step, SA_SIGINFO);
    for (int round = 0; round < 3; round++) {
        seen = 0;
        steps();
        for (int i = 0; i < seen; i++) say("%d: %d", round, (int)at[i]);
    }
    done();
}
