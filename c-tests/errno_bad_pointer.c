// A bad pointer in a call that somebody inspects gives what the kernel gives, never a crash.
#include "harness.h"

static char *bad[6];
static const char *const bad_name[6] = {"one",      "noncanonical", "kernel",
                                        "unmapped", "no access",    "half past the end"};
static uint64_t mask, action[8];
static struct timespec zero;
static uint64_t event[8];

static void line(const char *call, int which, long result) {
    say("%-18s %-18s %s", call, bad_name[which], result < 0 ? errno_name(result) : "ok");
}

int main(void) {
    char *pages = map_pages(4, PROT_READ | PROT_WRITE);
    CHECK(munmap(pages + 4096, 4096) == 0);
    CHECK(mprotect(pages + 8192, 4096, PROT_NONE) == 0);
    bad[0] = (char *)1;
    bad[1] = (char *)0x8000000000000000;
    bad[2] = (char *)0xffffffff80000000;
    bad[3] = pages + 4096 + 64;
    bad[4] = pages + 8192 + 64;
    bad[5] = pages + 4096 - 4;
    int epoll = RAW(SYS_epoll_create1, 0);
    CHECK(epoll >= 0);
    for (int i = 0; i < 6; i++) {
#define TRY(name, ...) line(name, i, RAW(__VA_ARGS__))
        TRY("sigaction new", SYS_rt_sigaction, SIGUSR1, bad[i], action, 8);
        TRY("sigaction old", SYS_rt_sigaction, SIGUSR1, 0, bad[i], 8);
        TRY("sigaction SIGSYS", SYS_rt_sigaction, SIGSYS, bad[i], 0, 8);
        TRY("SIGSYS old", SYS_rt_sigaction, SIGSYS, 0, bad[i], 8);
        TRY("sigprocmask new", SYS_rt_sigprocmask, SIG_BLOCK, bad[i], &mask, 8);
        TRY("sigprocmask old", SYS_rt_sigprocmask, SIG_BLOCK, 0, bad[i], 8);
        TRY("sigpending", SYS_rt_sigpending, bad[i], 8);
        TRY("sigsuspend", SYS_rt_sigsuspend, bad[i], 8);
        TRY("sigtimedwait set", SYS_rt_sigtimedwait, bad[i], 0, &zero, 8);
        TRY("sigtimedwait time", SYS_rt_sigtimedwait, &mask, 0, bad[i], 8);
        TRY("sigaltstack new", SYS_sigaltstack, bad[i], 0);
        TRY("sigaltstack old", SYS_sigaltstack, 0, bad[i]);
        TRY("ppoll mask", SYS_ppoll, 0, 0, &zero, bad[i], 8);
        TRY("ppoll time", SYS_ppoll, 0, 0, bad[i], 0, 8);
        TRY("ppoll fds", SYS_ppoll, bad[i], 1, &zero, 0, 8);
        TRY("pselect6 sixth", SYS_pselect6, 0, 0, 0, 0, &zero, bad[i]);
        uint64_t sixth[2] = {(uint64_t)bad[i], 8};
        TRY("pselect6 mask", SYS_pselect6, 0, 0, 0, 0, &zero, sixth);
        TRY("epoll_pwait mask", SYS_epoll_pwait, epoll, event, 1, 0, bad[i], 8);
        TRY("epoll_pwait2 mask", 441, epoll, event, 1, &zero, bad[i], 8);
        TRY("epoll_pwait2 time", 441, epoll, event, 1, bad[i], 0, 8);
        TRY("signalfd4", SYS_signalfd4, -1, bad[i], 8, 0);
        TRY("signalfd", SYS_signalfd, -1, bad[i], 8);
        TRY("rt_sigqueueinfo", SYS_rt_sigqueueinfo, getpid(), SIGURG, bad[i]);
        TRY("rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGURG, bad[i]);
        TRY("clone3", 435, bad[i], 64);
        TRY("seccomp", SYS_seccomp, 1, 0, bad[i]);
        TRY("prctl name", SYS_prctl, 15, bad[i]);
        TRY("open", SYS_openat, -100, bad[i], 0, 0);
    }
    done();
}
