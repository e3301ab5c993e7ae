// A blocked SIGSYS that the program sends itself is pending, and sigtimedwait takes it.
#include "harness.h"

int main(void) {
    sigset_t set, pending;
    siginfo_t info;
    struct timespec none = {0, 0};
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0);
    CHECK(RAW(SYS_getppid) == getppid());
    CHECK(raise(SIGSYS) == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGSYS));
    CHECK(RAW(SYS_getpid) == getpid());
    CHECK(sigtimedwait(&set, &info, &none) == SIGSYS && info.si_pid == getpid());
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGSYS));
    done();
}
