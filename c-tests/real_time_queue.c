// Real-time signals queue: lowest number first, in the order sent, none lost.
#include "harness.h"

static volatile int got[64], count;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    got[count++] = (signal - SIGRTMIN) * 100 + info->si_value.sival_int;
    RAW(SYS_getpid);
}

int main(void) {
    sigset_t block;
    sigemptyset(&block);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    for (int i = 0; i < 4; i++) {
        CHECK(sigaction(SIGRTMIN + i, &action, 0) == 0);
        sigaddset(&block, SIGRTMIN + i);
    }
    CHECK(sigprocmask(SIG_BLOCK, &block, 0) == 0);
    for (int i = 0; i < 10; i++)
        for (int which = 3; which >= 0; which--) {
            union sigval value = {.sival_int = i};
            CHECK(sigqueue(getpid(), SIGRTMIN + which, value) == 0);
        }
    CHECK(count == 0);
    CHECK(sigprocmask(SIG_UNBLOCK, &block, 0) == 0);
    CHECK(count == 40);
    for (int i = 0; i < 40; i++) CHECK(got[i] == i / 10 * 100 + i % 10);
    done();
}
