// A process that shares memory but is no thread (CLONE_VM without THREAD), with its own stack;
// both go on at the same time, and both get signals.
#include "clone.h"

static volatile long calls;
static volatile int stop;

static long run(void *argument) {
    long me = RAW(SYS_getpid);
    while (!stop) {
        if (RAW(SYS_getpid) != me || RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) != 0) return 9;
        calls++;
    }
    return RAW(SYS_getppid) == (long)argument ? 6 : 8;
}

int main(void) {
    char *stack = map_pages(16, PROT_READ | PROT_WRITE);
    for (int round = 0; round < 20; round++) {
        stop = 0;
        calls = 0;
        long pid = raw_clone(0x100 | SIGCHLD, stack + 65536, 0, 0, 0, run, (void *)(long)getpid());
        CHECK(pid > 0);
        while (calls < 200) {
            CHECK(RAW(SYS_getpid) == getpid());
            CHECK(RAW(SYS_sched_yield) == 0);
        }
        stop = 1;
        CHECK(ended(pid) == 6);
    }
    // With CLONE_VFORK the parent waits, as posix_spawn's does.
    stop = 1;
    for (int round = 0; round < 50; round++) {
        long pid = raw_clone(0x100 | 0x4000 | SIGCHLD, stack + 65536, 0, 0, 0, run,
                             (void *)(long)getpid());
        CHECK(pid > 0 && ended(pid) == 6);
    }
    done();
}
