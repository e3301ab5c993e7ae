// While a read is blocked and restarted, the handler's context names the call: the address is the
// SYSCALL itself with the number in rax (restart), or the one after it with -EINTR.
#include "harness.h"

long read_here(long fd, void *buffer, long size);
extern char read_call[], read_after[];
asm(".text\n.globl read_here\n.type read_here,@function\nread_here:\n.cfi_startproc\n"
    "mov $0x51515151, %r8d\nxor %eax, %eax\n.globl read_call\nread_call: syscall\n"
    ".globl read_after\nread_after: ret\n.cfi_endproc\n.size read_here, . - read_here\n");

static int ends[2];
static volatile long ticks, restarts, interrupts;

static void on_tick(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    ticks++;
    if (r[REG_RIP] == (long)read_call && r[REG_RAX] == SYS_read) {
        CHECK(r[REG_R8] == 0x51515151 && r[REG_RDI] == ends[0] && r[REG_RDX] == 1);
        restarts++;
    }
    if (r[REG_RIP] == (long)read_after && r[REG_RAX] == -EINTR) {
        CHECK(r[REG_R8] == 0x51515151 && r[REG_RCX] == (long)read_after);
        interrupts++;
    }
    if (ticks % 5 == 0) CHECK(write(ends[1], "x", 1) == 1);
}

int main(void) {
    char byte;
    CHECK(pipe(ends) == 0);
    handle(SIGALRM, on_tick, SA_SIGINFO | SA_RESTART);
    tick_every_us(1000);
    while (restarts < 20) CHECK(read_here(ends[0], &byte, 1) == 1);
    tick_every_us(0);
    CHECK(interrupts == 0);
    handle(SIGALRM, on_tick, SA_SIGINFO);
    tick_every_us(1000);
    while (interrupts < 20) {
        long result = read_here(ends[0], &byte, 1);
        CHECK(result == 1 || result == -EINTR);
    }
    tick_every_us(0);
    done();
}
