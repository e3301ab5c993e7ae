// A signal that a call itself raises is delivered when that call is complete: the context names
// the address after it, rax holds the result.
#include "harness.h"

long kill_here(long nr, long pid, long signal);
extern char kill_after[];
asm(".text\n.globl kill_here\n.type kill_here,@function\nkill_here:\n.cfi_startproc\n"
    "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nsyscall\n"
    ".globl kill_after\nkill_after:\nret\n.cfi_endproc\n.size kill_here, . - kill_here\n");
long kill_known(long pid, long signal);
extern char known_after[];
asm(".text\n.globl kill_known\n.type kill_known,@function\nkill_known:\n.cfi_startproc\n"
    "mov $62, %eax\nsyscall\n"
    ".globl known_after\nknown_after:\nret\n.cfi_endproc\n.size kill_known, . - kill_known\n");
long mask_here(long how, void *set);
extern char mask_after[];
asm(".text\n.globl mask_here\n.type mask_here,@function\nmask_here:\n.cfi_startproc\n"
    "xor %edx, %edx\nmov $8, %r10d\nmov $14, %eax\nsyscall\n"
    ".globl mask_after\nmask_after:\nret\n.cfi_endproc\n.size mask_here, . - mask_here\n");

static volatile long count, rax;
static volatile char *rip;
static volatile uint64_t rcx;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    count++;
    rip = (char *)r[REG_RIP];
    rax = r[REG_RAX];
    rcx = r[REG_RCX];
}

int main(void) {
    handle(SIGUSR1, on_signal, SA_SIGINFO);
    for (int round = 1; round <= 100; round++) {
        rax = 55;
        CHECK(kill_here(SYS_kill, getpid(), SIGUSR1) == 0);
        CHECK(rip == kill_after && rax == 0 && rcx == (uint64_t)kill_after);
        CHECK(kill_known(getpid(), SIGUSR1) == 0);
        CHECK(rip == known_after && rax == 0 && rcx == (uint64_t)known_after);
        uint64_t usr1 = 1ul << (SIGUSR1 - 1);
        CHECK(mask_here(SIG_BLOCK, &usr1) == 0);
        CHECK(raise(SIGUSR1) == 0 && count == 3 * round - 1);
        CHECK(mask_here(SIG_UNBLOCK, &usr1) == 0);
        CHECK(count == 3 * round && rip == mask_after && rax == 0);
        CHECK(rcx == (uint64_t)mask_after);
    }
    done();
}
