// vfork: the child runs on the parent's stack and memory, makes calls, ends; the parent goes on
// where it was, with its stack as the child left it.
#include "harness.h"

int main(void) {
    static volatile int seen;
    for (int round = 0; round < 100; round++) {
        volatile int local = round;
        pid_t parent = getpid();
        seen = -1;
        pid_t pid = vfork();
        CHECK(pid >= 0);
        if (pid == 0) {
            seen = (RAW(SYS_getppid) == parent) * 1000 + round;
            RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8);
            local += RAW(SYS_read, -1, 0, 0) == -EBADF;
            _exit(round);
        }
        CHECK(seen == 1000 + round); // the parent only runs when the child has ended
        CHECK(local == round + 1);
        CHECK(ended(pid) == round);
        CHECK(RAW(SYS_getpid) == parent);
    }
    done();
}
