// A program that sets the trap flag sees a step at each of its own instructions, and none elsewhere.
// A system call makes one step together with the instruction behind it.
#include "harness.h"

#define TRAP_FLAG 0x100L

extern char stepped_text[], stepped_text_end[];
static char at[64];
static volatile int steps, elsewhere;

static void on_trap(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    char *rip = (char *)regs[REG_RIP];
    steps++;
    if (rip >= stepped_text && rip <= stepped_text_end) {
        at[rip - stepped_text]++;
    } else {
        elsewhere++;
    }
}

// A call that nobody inspects, one that the shim makes itself (nothing is changed), one with its
// number in a register, and one that does not exist.
static void stepped(void) {
    asm volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                 "stepped_text:\n"
                 "nop\n"
                 "mov $39, %%eax\n syscall\n"
                 "nop\n xor %%ebx, %%ebx\n"
                 "mov $131, %%eax\n xor %%edi, %%edi\n xor %%esi, %%esi\n syscall\n"
                 "mov %%eax, %%ebx\n"
                 "mov $14, %%eax\n xor %%edi, %%edi\n xor %%esi, %%esi\n xor %%edx, %%edx\n"
                 "mov $8, %%r10d\n syscall\n nop\n"
                 "mov $186, %%ebx\n xchg %%eax, %%ebx\n syscall\n nop\n"
                 "mov $9999, %%eax\n syscall\n nop\n"
                 "pushfq\n andq $~0x100, (%%rsp)\n popfq\n"
                 "stepped_text_end:\n nop\n"
                 :
                 :
                 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r10", "r11", "memory", "cc");
}

int main(void) {
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_trap;
    CHECK(sigaction(SIGTRAP, &action, 0) == 0);
    for (int round = 0; round < 2; round++) {
        memset(at, 0, sizeof at);
        steps = elsewhere = 0;
        stepped();
        say("%d steps, %d elsewhere", steps, elsewhere);
        for (int i = 0; i < (int)sizeof at; i++) {
            if (at[i] != 0) say(" at %d: %d", i, at[i]);
        }
    }
    // Through the C library, and over a fork: the trap flag is still on behind it, in the child too.
    steps = 0;
    asm volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n" ::: "memory", "cc");
    pid_t child = RAW(SYS_fork); // musl's fork blocks SIGTRAP, which is the end of a step
    long flags;
    asm volatile("pushfq\n pop %0\n" : "=r"(flags));
    asm volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq\n" ::: "memory", "cc");
    if (child == 0) _exit((flags & TRAP_FLAG) && steps > 10 ? 3 : 4);
    say("trap flag: %d, child: %d", (flags & TRAP_FLAG) != 0, ended(child));
    done();
}
