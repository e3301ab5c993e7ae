// Handlers within handlers, twenty deep, each making calls; SA_NODEFER lets one nest in itself.
#include "harness.h"

static volatile int depth, deepest, calls;

static void on_real_time(int signal) {
    if (++depth > deepest) deepest = depth;
    calls++;
    CHECK(RAW(SYS_getpid) == getpid());
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
    if (signal < SIGRTMIN + 19) CHECK(raise(signal + 1) == 0);
    depth--;
}

static void on_itself(int signal) {
    if (++depth > deepest) deepest = depth;
    calls++;
    if (depth < 20) CHECK(raise(signal) == 0);
    depth--;
}

int main(void) {
    for (int i = 0; i < 20; i++) handle(SIGRTMIN + i, on_real_time, 0);
    for (int round = 0; round < 20; round++) CHECK(raise(SIGRTMIN) == 0);
    say("calls %d, deepest %d", calls, deepest);
    calls = deepest = 0;
    handle(SIGUSR1, on_itself, SA_NODEFER);
    for (int round = 0; round < 20; round++) CHECK(raise(SIGUSR1) == 0);
    say("calls %d, deepest %d", calls, deepest);
    CHECK(depth == 0);
    done();
}
