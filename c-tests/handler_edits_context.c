// What a handler writes into its context counts after it: rax, other registers, rip, flags, the
// mask, and vector registers.
#include "harness.h"

extern char edit_skip[], edit_target[];
static volatile int what;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *uc = context;
    greg_t *r = uc->uc_mcontext.gregs;
    switch (what) {
    case 0: r[REG_RAX] = 0x1234; r[REG_RBX] = 0x5678; r[REG_R15] = 0x9abc; break;
    case 1: r[REG_RIP] = (long)edit_target; break;
    case 2: sigaddset(&uc->uc_sigmask, SIGUSR2); sigaddset(&uc->uc_sigmask, SIGSYS); break;
    case 3: sigemptyset(&uc->uc_sigmask); break;
    case 4: r[REG_EFL] |= 0x8d5; break;
    case 5: uc->uc_mcontext.fpregs->mxcsr = 0x9fc0; break;
    case 6: memset(&uc->uc_mcontext.fpregs->_xmm[7], 0x77, 16); break;
    }
}

int main(void) {
    handle(SIGUSR1, on_signal, SA_SIGINFO);
    for (int round = 0; round < 20; round++) {
        long pid = getpid(), rax, rbx, r15;
        what = 0; // kill(pid, SIGUSR1), whose result the handler replaces
        asm volatile("mov $62, %%eax\nsyscall\nmov %%rbx, %1\nmov %%r15, %2"
                     : "=&a"(rax), "=&r"(rbx), "=&r"(r15)
                     : "D"(pid), "S"((long)SIGUSR1)
                     : "rcx", "r11", "rbx", "r15", "memory");
        CHECK(rax == 0x1234 && rbx == 0x5678 && r15 == 0x9abc);
        what = 1;
        long way = 0;
        asm volatile("mov $62, %%eax\nsyscall\nmov $1, %0\njmp 1f\n.globl edit_target\n"
                     "edit_target: mov $2, %0\n1:"
                     : "=&b"(way)
                     : "D"(pid), "S"((long)SIGUSR1)
                     : "rax", "rcx", "r11", "memory");
        CHECK(way == 2);
        what = 2;
        sigset_t now;
        CHECK(raise(SIGUSR1) == 0 && sigprocmask(SIG_BLOCK, 0, &now) == 0);
        CHECK(sigismember(&now, SIGUSR2) && sigismember(&now, SIGSYS));
        CHECK(!sigismember(&now, SIGUSR1));
        what = 3;
        CHECK(kill(pid, SIGUSR1) == 0 && sigprocmask(SIG_BLOCK, 0, &now) == 0);
        CHECK(!sigismember(&now, SIGUSR2) && !sigismember(&now, SIGSYS));
        what = 4;
        uint64_t flags;
        asm volatile("xor %%edx, %%edx\nmov $62, %%eax\nsyscall\npushfq\npop %0"
                     : "=&b"(flags)
                     : "D"(pid), "S"((long)SIGUSR1)
                     : "rax", "rcx", "rdx", "r11", "memory", "cc");
        CHECK((flags & 0x8d5) == 0x8d5);
        what = 5;
        uint32_t mxcsr = 0, plain = 0x1f80;
        CHECK(kill(pid, SIGUSR1) == 0);
        asm volatile("stmxcsr %0\nldmxcsr %1" : "+m"(mxcsr) : "m"(plain));
        CHECK(mxcsr == 0x9fc0);
        what = 6;
        unsigned char xmm[16];
        asm volatile("pxor %%xmm7, %%xmm7\nmov $62, %%eax\nsyscall\nmovdqu %%xmm7, %0"
                     : "=m"(xmm)
                     : "D"(pid), "S"((long)SIGUSR1)
                     : "rax", "rcx", "r11", "xmm7", "memory");
        for (int i = 0; i < 16; i++) CHECK(xmm[i] == 0x77);
    }
    done();
}
