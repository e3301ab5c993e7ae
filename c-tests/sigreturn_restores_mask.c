// The mask before a handler comes back when it returns, also when the handler changed it by a call;
// through SA_SIGINFO and plain handlers, for SIGSYS as well.
#include "harness.h"

static void on_signal(int signal) {
    (void)signal;
    uint64_t all = UINT64_MAX, none = 0, now = 0;
    RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8);
    CHECK(now >> (SIGSYS - 1) & 1);
}

int main(void) {
    handle(SIGUSR1, on_signal, 0);
    handle(SIGUSR2, on_signal, SA_SIGINFO | SA_NODEFER);
    for (int round = 0; round < 64; round++) {
        uint64_t mask = 1ul << round | 1ul << 40, now = 0;
        mask &= ~(1ul << (SIGUSR1 - 1) | 1ul << (SIGUSR2 - 1));
        uint64_t shown = mask & ~(1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1));
        CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8) == 0);
        CHECK(RAW(SYS_kill, getpid(), SIGUSR1) == 0 && RAW(SYS_kill, getpid(), SIGUSR2) == 0);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8) == 0 && now == shown);
    }
    done();
}
