// A vfork child sets its own actions and mask, as posix_spawn's does; the parent's stay.
#include "harness.h"

static volatile int count;
static void on_signal(int signal) { count += signal == SIGUSR1; }

int main(void) {
    handle(SIGUSR1, on_signal, 0);
    sigset_t all, now;
    sigfillset(&all);
    for (int round = 0; round < 30; round++) {
        pid_t pid = vfork();
        if (pid == 0) {
            struct sigaction plain = {.sa_handler = SIG_DFL}, ignore = {.sa_handler = SIG_IGN};
            for (int signal = 1; signal < 32; signal++)
                sigaction(signal, signal & 1 ? &plain : &ignore, 0);
            sigprocmask(SIG_SETMASK, &all, 0);
            _exit(RAW(SYS_getppid) > 0 ? 4 : 5);
        }
        CHECK(ended(pid) == 4);
        count = 0;
        CHECK(raise(SIGUSR1) == 0 && count == 1);
        CHECK(sigprocmask(SIG_BLOCK, 0, &now) == 0);
        CHECK(!sigismember(&now, SIGUSR1) && !sigismember(&now, SIGTERM));
    }
    done();
}
