// SIGCHLD's siginfo, waitid, WNOHANG, SA_NOCLDWAIT, and a handler that reaps.
#include "harness.h"

static volatile int reaped, code, status_seen;

static void on_child(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    code = info->si_code;
    status_seen = info->si_status;
    int status, saved = errno;
    while (waitpid(-1, &status, WNOHANG) > 0) reaped++;
    errno = saved;
}

int main(void) {
    sigset_t block, open;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    CHECK(sigprocmask(SIG_BLOCK, &block, &open) == 0);
    handle(SIGCHLD, on_child, SA_SIGINFO | SA_RESTART);
    for (int round = 1; round <= 50; round++) {
        pid_t child = fork();
        if (child == 0) _exit(round);
        while (reaped < round) sigsuspend(&open);
        CHECK(code == CLD_EXITED && status_seen == round);
    }
    CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    siginfo_t info;
    pid_t child = fork();
    if (child == 0) {
        raise(SIGKILL);
        _exit(0);
    }
    CHECK(waitid(P_PID, child, &info, WEXITED) == 0);
    CHECK(info.si_code == CLD_KILLED && info.si_status == SIGKILL && info.si_pid == child);
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    if ((child = fork()) == 0) _exit(0);
    CHECK_ERRNO(waitpid(child, 0, 0), ECHILD);
    done();
}
