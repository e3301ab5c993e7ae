// The signal mask, SIGSYS included, goes to threads and children, and each then has its own.
#include "harness.h"

static uint64_t now(void) {
    uint64_t mask = 0;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8) == 0);
    return mask;
}

static const uint64_t some = 1ul << (SIGUSR1 - 1) | 1ul << (SIGSYS - 1) | 1ul << 50;

static void *thread(void *unused) {
    CHECK(now() == some);
    uint64_t none = 0;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8) == 0 && now() == 0);
    return unused;
}

int main(void) {
    for (volatile int round = 0; round < 20; round++) {
        uint64_t none = 0;
        CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &some, 0, 8) == 0);
        pthread_t one;
        CHECK(pthread_create(&one, 0, thread, 0) == 0 && pthread_join(one, 0) == 0);
        CHECK(now() == some);
        pid_t child = fork();
        if (child == 0) {
            CHECK(now() == some);
            CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8) == 0 && now() == 0);
            _exit(0);
        }
        CHECK(ended(child) == 0 && now() == some);
        child = vfork();
        if (child == 0) _exit(now() == some ? 0 : 1);
        CHECK(ended(child) == 0);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8) == 0 && now() == 0);
    }
    done();
}
