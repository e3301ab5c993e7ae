// A program with alignment checks on (AC) makes calls and takes signals, and keeps them on.
#include "probe.h"

#define AC (1ul << 18)
PROBE(with_checks, "syscall");

static volatile long ticks;
static void on_tick(int signal) {
    // The kernel leaves AC on for the handler; C code is not made for it.
    asm volatile("pushfq\nandq $~0x40000, (%%rsp)\npopfq" : : : "cc", "memory");
    ticks += signal == SIGALRM;
}

static long checked(long nr, long a, long b, long c, long d, long e, long f) {
    probe_fill();
    probe_call(nr, a, b, c, d, e, f);
    probe_in.flags = 0x202 | AC;
    with_checks();
    asm volatile("pushfq\nandq $~0x40000, (%%rsp)\npopfq" : : : "cc", "memory");
    CHECK((probe_out.flags & AC) && (probe_out.r11 & AC));
    return probe_out.rax;
}

int main(void) {
    static char odd[64];
    static uint64_t set;
    handle(SIGALRM, on_tick, SA_RESTART);
    tick_every_us(100);
    int fd = open("/proc/self/maps", O_RDONLY);
    CHECK(fd >= 0);
    for (int round = 0; round < 300 || ticks < 100; round++) {
        CHECK(checked(SYS_getpid, 0, 0, 0, 0, 0, 0) == getpid());
        CHECK(checked(SYS_read, fd, (long)odd + 1, 7, 0, 0, 0) >= 0);
        CHECK(checked(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)odd + 3, 8, 0, 0) == 0);
        CHECK(checked(SYS_rt_sigprocmask, SIG_BLOCK, (long)&set, (long)odd + 5, 8, 0, 0) == 0);
        CHECK(checked(SYS_rt_sigaction, SIGUSR1, 0, (long)odd + 1, 8, 0, 0) == 0);
        CHECK(checked(SYS_sigaltstack, 0, (long)odd + 1, 0, 0, 0, 0) == 0);
        long at = checked(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(at > 0 && checked(SYS_munmap, at, 4096, 0, 0, 0, 0) == 0);
        CHECK(checked(SYS_readlink, (long)"/proc/self/exe", (long)odd + 1, 40, 0, 0, 0) > 0);
    }
    tick_every_us(0);
    done();
}
