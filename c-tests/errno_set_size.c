// A signal set's size that is not 8 is EINVAL, and comes before a bad pointer.
#include "harness.h"

int main(void) {
    static uint64_t mask, event[8];
    static struct timespec zero;
    static const long sizes[4] = {0, 4, 16, 128};
    int epoll = RAW(SYS_epoll_create1, 0);
    for (int i = 0; i < 4; i++) {
        long size = sizes[i];
#define TRY(name, ...) say("%s size %ld: %s", name, size, errno_name(RAW(__VA_ARGS__)))
        TRY("sigprocmask", SYS_rt_sigprocmask, SIG_BLOCK, &mask, 0, size);
        TRY("sigprocmask bad", SYS_rt_sigprocmask, SIG_BLOCK, 1, 0, size);
        TRY("sigaction", SYS_rt_sigaction, SIGUSR1, 0, 0, size);
        TRY("sigaction SIGSYS bad", SYS_rt_sigaction, SIGSYS, 1, 0, size);
        TRY("sigpending", SYS_rt_sigpending, 1, size > 8 ? size : 8);
        TRY("sigsuspend", SYS_rt_sigsuspend, 1, size);
        TRY("sigtimedwait", SYS_rt_sigtimedwait, 1, 0, &zero, size);
        TRY("ppoll", SYS_ppoll, 0, 0, &zero, &mask, size);
        TRY("ppoll without mask", SYS_ppoll, 0, 0, &zero, 0, size);
        TRY("epoll_pwait", SYS_epoll_pwait, epoll, event, 1, 0, &mask, size);
        TRY("epoll_pwait without mask", SYS_epoll_pwait, epoll, event, 1, 0, 0, size);
        TRY("signalfd4", SYS_signalfd4, -1, &mask, size, 0);
        uint64_t sixth[2] = {(uint64_t)&mask, size};
        TRY("pselect6", SYS_pselect6, 0, 0, 0, 0, &zero, sixth);
    }
    say("how 3: %s", errno_name(RAW(SYS_rt_sigprocmask, 3, &mask, 0, 8)));
    say("how -1: %s", errno_name(RAW(SYS_rt_sigprocmask, -1, &mask, 0, 8)));
    say("how 3, no set: %s", errno_name(RAW(SYS_rt_sigprocmask, 3, 0, 0, 8)));
    for (int signal = -1; signal <= 66; signal++)
        if (RAW(SYS_rt_sigaction, signal, 0, 0, 8) != 0) say("sigaction(%d) old: refused", signal);
    static const uint64_t ignore[4] = {1, 0, 0, 0};
    say("ignore SIGKILL: %s", errno_name(RAW(SYS_rt_sigaction, SIGKILL, ignore, 0, 8)));
    say("ignore SIGSTOP: %s", errno_name(RAW(SYS_rt_sigaction, SIGSTOP, ignore, 0, 8)));
    done();
}
