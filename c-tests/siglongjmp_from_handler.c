// A handler leaves by siglongjmp, out of busy calls and out of a blocked read, thousands of times;
// mask and calls work after each.
#include "harness.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile int jumps;

static void on_tick(int signal) {
    (void)signal;
    jumps++;
    siglongjmp(back, 1);
}

int main(void) {
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    handle(SIGALRM, on_tick, 0);
    sigsetjmp(back, 1);
    if (jumps < 1000) {
        struct itimerval once = {{0, 0}, {0, 100 + jumps % 50}};
        CHECK(setitimer(ITIMER_REAL, &once, 0) == 0);
        for (;;) {
            CHECK(RAW(SYS_getpid) == getpid());
            CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
        }
    }
    if (jumps < 1100) {
        struct itimerval once = {{0, 0}, {0, 200}};
        CHECK(setitimer(ITIMER_REAL, &once, 0) == 0);
        for (;;) CHECK(read(ends[0], &byte, 1) == 1);
    }
    uint64_t mask = 1;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8) == 0 && mask == 0);
    say("jumps: %d", jumps);
    done();
}
