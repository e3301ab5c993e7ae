// Where the kernel has acted before it finds a bad pointer, the act stays done: the mask is set
// although the old mask could not be written, and so are the action and the alternate stack.
#include "harness.h"

int main(void) {
    uint64_t usr1 = 1ul << (SIGUSR1 - 1), now = 0;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &usr1, 8, 8) == -EFAULT);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8) == 0);
    say("after sigprocmask: usr1 %s", now & usr1 ? "blocked" : "open");

    uint64_t ignore[4] = {1, 0, 0, 0}, old[4] = {9, 9, 9, 9};
    CHECK(RAW(SYS_rt_sigaction, SIGUSR2, ignore, 8, 8) == -EFAULT);
    CHECK(RAW(SYS_rt_sigaction, SIGUSR2, 0, old, 8) == 0);
    say("after sigaction: usr2 handler %lu", old[0]);

    old[0] = 9;
    CHECK(RAW(SYS_rt_sigaction, SIGSYS, ignore, 8, 8) == -EFAULT);
    CHECK(RAW(SYS_rt_sigaction, SIGSYS, 0, old, 8) == 0);
    say("after sigaction: sys handler %lu", old[0]);

    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory}, got;
    CHECK(RAW(SYS_sigaltstack, &stack, 8) == -EFAULT);
    CHECK(RAW(SYS_sigaltstack, 0, &got) == 0);
    say("after sigaltstack: %s", got.ss_sp == memory ? "set" : "not set");
    done();
}
