// SIG_BLOCK, SIG_UNBLOCK and SIG_SETMASK give the old mask and the right new one, for every
// signal, SIGSYS as well; SIGKILL and SIGSTOP are never in it; set and old may be one place.
#include "harness.h"

static uint64_t now(void) {
    uint64_t mask = 0;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8) == 0);
    return mask;
}

int main(void) {
    const uint64_t never = 1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1);
    uint64_t old, all = UINT64_MAX, none = 0;
    CHECK(now() == 0);
    for (int signal = 1; signal <= 64; signal++) {
        uint64_t bit = 1ul << (signal - 1);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &bit, &old, 8) == 0 && old == 0);
        CHECK(now() == (bit & ~never));
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &bit, &old, 8) == 0 && old == (bit & ~never));
        CHECK(RAW(SYS_rt_sigprocmask, SIG_UNBLOCK, &bit, &old, 8) == 0 && old == (bit & ~never));
        CHECK(now() == 0);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &bit, &old, 8) == 0 && old == 0);
        CHECK(now() == (bit & ~never));
        uint64_t other = ~bit;
        CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &other, &old, 8) == 0);
        CHECK(old == (bit & ~never) && now() == (~bit & ~never));
        CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8) == 0);
    }
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8) == 0 && old == 0);
    CHECK(now() == ~never);
    uint64_t same = 1ul << (SIGUSR1 - 1) | 1ul << (SIGSYS - 1);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &same, &same, 8) == 0 && same == ~never);
    CHECK(now() == (1ul << (SIGUSR1 - 1) | 1ul << (SIGSYS - 1)));
    CHECK(RAW(SYS_getpid) == getpid());
    done();
}
