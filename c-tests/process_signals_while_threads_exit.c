// Queued signals to the process arrive exactly once each, whichever threads end meanwhile.
#include "clone.h"
#include <sched.h>

enum { SENT = 20000 };
static _Atomic long handled, sum;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    handled++;
    sum += info->si_value.sival_int;
}

/// Lets signals in and ends at once, without libc, which would block them before.
static long short_life(void *argument) {
    (void)argument;
    uint64_t none = 0;
    RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    RAW(SYS_getpid);
    return 0;
}

static void *sender(void *argument) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, 0);
    for (int at = 1; at <= SENT; at++) {
        CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){at}) == 0);
        for (int turn = 0; handled < at; turn++)
            if (turn % 1000 == 999) sched_yield();
    }
    return argument;
}

int main(void) {
    handle(SIGRTMIN, on_signal, SA_SIGINFO | SA_RESTART);
    pthread_t from;
    CHECK(pthread_create(&from, 0, sender, 0) == 0);
    // So that only threads that come and go can take them.
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    CHECK(pthread_sigmask(SIG_BLOCK, &one, 0) == 0);
    char *stack = map_pages(16, PROT_READ | PROT_WRITE);
    static int tid;
    for (long round = 0; handled < SENT && round < 1000000; round++) {
        tid = -1;
        CHECK(raw_clone(THREAD_FLAGS, stack + 65536, &tid, &tid, 0, short_life, 0) > 0);
        wait_cleared(&tid);
    }
    CHECK(handled == SENT && sum == (long)SENT * (SENT + 1) / 2);
    done();
}
