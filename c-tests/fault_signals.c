// SIGTRAP by int3, SIGFPE, SIGILL, SIGBUS and an unmapped SIGSEGV: number, code, address, and the
// instruction the context names; the handler steps over it.
#include "harness.h"

extern char at_int3[], at_div[], at_ud2[], at_load[], at_hlt[];
static volatile int signals, code;
static volatile uint64_t rip, address;

static void on_signal(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    signals = signals * 100 + signal;
    code = info->si_code;
    address = (uint64_t)info->si_addr;
    rip = uc->uc_mcontext.gregs[REG_RIP];
    if (signal != SIGTRAP) uc->uc_mcontext.gregs[REG_RIP] += 2; // each faulting one is two bytes
}

int main(void) {
    handle(SIGTRAP, on_signal, SA_SIGINFO);
    handle(SIGFPE, on_signal, SA_SIGINFO);
    handle(SIGILL, on_signal, SA_SIGINFO);
    handle(SIGSEGV, on_signal, SA_SIGINFO);
    handle(SIGBUS, on_signal, SA_SIGINFO);
    for (int round = 0; round < 20; round++) {
        signals = 0;
        asm volatile(".globl at_int3\nat_int3: int3" ::: "memory");
        CHECK(signals == SIGTRAP && code == SI_KERNEL && rip == (uint64_t)at_int3 + 1);
        signals = 0;
        asm volatile("xor %%ecx, %%ecx\nmov $1, %%eax\nxor %%edx, %%edx\n"
                     ".globl at_div\nat_div: idiv %%ecx" ::: "rax", "rcx", "rdx", "memory");
        CHECK(signals == SIGFPE && code == FPE_INTDIV && rip == (uint64_t)at_div);
        CHECK(address == (uint64_t)at_div);
        signals = 0;
        asm volatile(".globl at_ud2\nat_ud2: ud2" ::: "memory");
        CHECK(signals == SIGILL && code == ILL_ILLOPN && rip == (uint64_t)at_ud2);
        signals = 0;
        asm volatile("mov $0x10, %%eax\n.globl at_load\nat_load: mov (%%rax), %%eax"
                     ::: "rax", "memory");
        CHECK(signals == SIGSEGV && code == SEGV_MAPERR && rip == (uint64_t)at_load);
        CHECK(address == 0x10);
        signals = 0;
        asm volatile(".globl at_hlt\nat_hlt: hlt\nnop" ::: "memory");
        CHECK(signals == SIGSEGV && code == SI_KERNEL && rip == (uint64_t)at_hlt);
        // SIGBUS: beyond the end of a file.
        int fd = memfd_create("short", 0);
        CHECK(fd >= 0);
        char *beyond = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
        CHECK(beyond != MAP_FAILED);
        signals = 0;
        asm volatile("mov %0, %%rax\nmov (%%rax), %%ecx" ::"r"(beyond) : "rax", "rcx", "memory");
        CHECK(signals == SIGBUS && code == BUS_ADRERR && address == (uint64_t)beyond);
        CHECK(munmap(beyond, 4096) == 0 && close(fd) == 0);
    }
    done();
}
