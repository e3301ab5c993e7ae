// sigsuspend waits with the given mask (a full one but for one signal, SIGSYS included), runs the
// handler under it, returns EINTR and restores the old mask.
#include "harness.h"

static volatile int count;
static volatile uint64_t inside;

static void on_signal(int signal) {
    (void)signal;
    uint64_t now = 0;
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8);
    inside = now;
    count++;
}

int main(void) {
    sigset_t block, old, wait;
    handle(SIGUSR1, on_signal, SA_RESTART);
    handle(SIGUSR2, on_signal, 0);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &block, 0) == 0);
    for (int round = 0; round < 50; round++) {
        pid_t child = fork();
        if (child == 0) {
            kill(getppid(), SIGUSR1);
            _exit(0);
        }
        sigfillset(&wait);
        sigdelset(&wait, SIGUSR1);
        count = 0;
        CHECK_ERRNO(sigsuspend(&wait), EINTR);
        CHECK(count == 1);
        CHECK(inside >> (SIGSYS - 1) & 1 && inside >> (SIGUSR2 - 1) & 1);
        CHECK(sigprocmask(SIG_BLOCK, 0, &old) == 0);
        CHECK(sigismember(&old, SIGUSR1) && !sigismember(&old, SIGUSR2));
        CHECK(ended(child) == 0);
    }
    done();
}
