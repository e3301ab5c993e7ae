// `int` arguments are 32 bits wide for the kernel: what stands in the high half does not matter.
#include "harness.h"

int main(void) {
    int ends[2];
    char byte = 'x', got = 0;
    CHECK(pipe(ends) == 0);
    CHECK(RAW(SYS_write, 0x100000000 | ends[1], &byte, 1) == 1);
    CHECK(RAW(SYS_read, 0xffffffff00000000 | ends[0], &got, 1) == 1 && got == 'x');
    uint64_t usr1 = 1ul << (SIGUSR1 - 1), old = 1;
    CHECK(RAW(SYS_rt_sigprocmask, 0x700000000 | SIG_BLOCK, &usr1, &old, 8) == 0 && old == 0);
    CHECK(RAW(SYS_rt_sigprocmask, 0x700000000 | SIG_UNBLOCK, &usr1, &old, 8) == 0 && old == usr1);
    uint64_t ignore[4] = {1, 0, 0, 0}, was[4];
    CHECK(RAW(SYS_rt_sigaction, 0x900000000 | SIGUSR1, ignore, 0, 8) == 0);
    CHECK(RAW(SYS_rt_sigaction, SIGUSR1, 0, was, 8) == 0 && was[0] == 1);
    CHECK(RAW(SYS_rt_sigaction, 0x900000000 | SIGSYS, ignore, 0, 8) == 0);
    CHECK(RAW(SYS_rt_sigaction, SIGSYS, 0, was, 8) == 0 && was[0] == 1);
    CHECK(RAW(SYS_getpid) == getpid());
    // A size is a long: its high half counts.
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &usr1, &old, 0x100000008) == -EINVAL);
    CHECK(RAW(SYS_dup2, 0xabc00000000 | ends[0], 0xdef00000000 | 77) == 77);
    CHECK(close(77) == 0);
    CHECK(RAW(SYS_prctl, 0x100000000 | 3) == RAW(SYS_prctl, 3));
    done();
}
