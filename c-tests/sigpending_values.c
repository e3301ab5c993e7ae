// Blocked signals are pending, are reported so, and arrive when they are unblocked.
#include "harness.h"

static volatile int order[8], count;
static void on_signal(int signal) { order[count++] = signal; }

int main(void) {
    sigset_t block, pending;
    sigemptyset(&block);
    const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM};
    for (int i = 0; i < 3; i++) {
        handle(signals[i], on_signal, 0);
        sigaddset(&block, signals[i]);
    }
    CHECK(sigprocmask(SIG_BLOCK, &block, 0) == 0);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
    CHECK(raise(SIGUSR1) == 0 && kill(getpid(), SIGTERM) == 0 && raise(SIGUSR1) == 0);
    CHECK(count == 0 && sigpending(&pending) == 0);
    CHECK(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGTERM));
    CHECK(!sigismember(&pending, SIGUSR2) && !sigismember(&pending, SIGSYS));
    CHECK(sigprocmask(SIG_UNBLOCK, &block, 0) == 0);
    say("arrived %d", count);
    CHECK(count == 2 && order[0] + order[1] == SIGUSR1 + SIGTERM);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
    done();
}
