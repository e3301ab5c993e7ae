// Signals arrive at instructions of the program: while it runs one loop of calls, the interrupted
// address is always in that loop, and every register there has the value the loop gives it.
#include "harness.h"

// void loop(void): until `leave` is set, fast and inspected calls with patterned registers.
void loop(void);
extern char loop_start[], loop_end[], loop_pattern[];
volatile int leave_loop __attribute__((used)), in_loop __attribute__((used));
asm(".text\n.globl loop\n.type loop,@function\nloop:\n.cfi_startproc\n"
    "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\nsub $8, %rsp\n"
    "mov $0x1b1b1b1b, %ebx\nmov $0x5b5b5b5b, %ebp\nmov $0x12121212, %r12d\n"
    "mov $0x13131313, %r13d\nmov $0x14141414, %r14d\nmov $0x15151515, %r15d\n"
    "mov $0x08080808, %r8d\nmov $0x09090909, %r9d\n"
    "movl $1, in_loop(%rip)\n.globl loop_pattern\nloop_pattern:\n"
    "1: mov $39, %eax\nsyscall\n"
    "mov $500, %eax\nsyscall\n"
    "xor %edi, %edi\nxor %esi, %esi\nxor %edx, %edx\nmov $8, %r10d\nmov $14, %eax\nsyscall\n"
    "mov $110, %ecx\nmov %ecx, %eax\nnop\nsyscall\n"
    "mov $-1, %edi\nxor %eax, %eax\nsyscall\nnop\nnop\nnop\n"
    "cmpl $0, leave_loop(%rip)\nje 1b\n"
    "movl $0, in_loop(%rip)\n.globl loop_end\nloop_end:\n"
    "add $8, %rsp\npop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
    ".cfi_endproc\n.size loop, . - loop\n");

static volatile long ticks, at_call;

static void on_tick(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    char *rip = (char *)r[REG_RIP];
    if (leave_loop) return; // a last tick, on the way out of the loop
    if (!in_loop) return; // before it, or after it
    if (rip < (char *)loop || rip > loop_end) {
        say("interrupted outside of the loop, tick %s, window %s", ticks ? "later" : "first",
            (uint64_t)rip >> 32 == 0x7e90 ? "of the gate" : "elsewhere");
        _exit(1);
    }
    if (rip >= loop_pattern && rip < loop_end) {
        CHECK(r[REG_RBX] == 0x1b1b1b1b && r[REG_RBP] == 0x5b5b5b5b && r[REG_R12] == 0x12121212);
        CHECK(r[REG_R13] == 0x13131313 && r[REG_R14] == 0x14141414 && r[REG_R15] == 0x15151515);
        CHECK(r[REG_R8] == 0x08080808 && r[REG_R9] == 0x09090909);
        if ((unsigned char)rip[-2] == 0x0f && rip[-1] == 0x05) {
            at_call++; // just behind a call: as the kernel leaves it
            CHECK(r[REG_RCX] == r[REG_RIP]);
            CHECK(r[REG_RAX] == getpid() || r[REG_RAX] == -ENOSYS || r[REG_RAX] == 0 ||
                  r[REG_RAX] == getppid() || r[REG_RAX] == -EBADF || r[REG_RAX] == 39 ||
                  r[REG_RAX] == 500 || r[REG_RAX] == 14 || r[REG_RAX] == 110);
        }
    }
    if (++ticks == 3000) leave_loop = 1;
    RAW(SYS_getpid);
}

int main(void) {
    handle(SIGALRM, on_tick, SA_SIGINFO);
    tick_every_us(100);
    loop();
    tick_every_us(0);
    CHECK(ticks >= 3000);
    done();
}
