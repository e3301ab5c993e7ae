// sigtimedwait and sigwaitinfo take pending signals with their siginfo, time out with EAGAIN, and
// a set that names SIGSYS works.
#include "harness.h"

static void on_signal(int signal) { (void)signal; }

int main(void) {
    sigset_t set;
    siginfo_t info;
    struct timespec soon = {0, 1000000}, none = {0, 0};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 3);
    sigaddset(&set, SIGSYS);
    CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0);
    for (int round = 0; round < 20; round++) {
        CHECK_ERRNO(sigtimedwait(&set, &info, &none), EAGAIN);
        CHECK_ERRNO(sigtimedwait(&set, &info, &soon), EAGAIN);
        CHECK(raise(SIGUSR1) == 0);
        CHECK(sigtimedwait(&set, &info, &none) == SIGUSR1);
        CHECK(info.si_signo == SIGUSR1 && info.si_pid == getpid());
        union sigval value = {.sival_int = 77 + round};
        CHECK(sigqueue(getpid(), SIGRTMIN + 3, value) == 0);
        CHECK(sigwaitinfo(&set, &info) == SIGRTMIN + 3);
        CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 77 + round);
    }
    // A handler for a signal outside the set interrupts it.
    handle(SIGALRM, on_signal, SA_RESTART);
    tick_every_us(2000);
    CHECK(RAW(SYS_rt_sigtimedwait, &set, &info, 0, 8) == -EINTR);
    tick_every_us(0);
    CHECK(RAW(SYS_getpid) == getpid());
    done();
}
