// SIGSEGV and SIGBUS sent by another thread, at any moment, leave mask and action as they were.
#include "harness.h"

static _Atomic long handled;
static _Atomic int stop;
static pid_t target;

static void on_fault(int signal, siginfo_t *info, void *context) {
    CHECK(signal == SIGSEGV || signal == SIGBUS);
    CHECK(info->si_code == SI_TKILL);
    (void)context;
    handled++;
}

static void on_tick(int signal) { (void)signal; }

static void *sender(void *argument) {
    while (!stop) {
        RAW(SYS_tgkill, getpid(), target, SIGSEGV);
        RAW(SYS_tgkill, getpid(), target, SIGALRM);
        RAW(SYS_tgkill, getpid(), target, SIGBUS);
    }
    return argument;
}

int main(void) {
    handle(SIGSEGV, on_fault, SA_SIGINFO);
    handle(SIGBUS, on_fault, SA_SIGINFO);
    handle(SIGALRM, on_tick, 0);
    target = RAW(SYS_gettid);
    pthread_t thread;
    CHECK(pthread_create(&thread, 0, sender, 0) == 0);
    uint64_t usr1 = 1ul << (SIGUSR1 - 1), got = 0;
    for (int round = 0; round < 3000 || handled < 100; round++) {
        struct sigaction action;
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &usr1, &got, 8) == 0 && got == 0);
        CHECK(sigaction(SIGSEGV, 0, &action) == 0 && action.sa_flags & SA_SIGINFO);
        CHECK(RAW(SYS_getpid) == getpid());
        CHECK(RAW(SYS_rt_sigprocmask, SIG_UNBLOCK, &usr1, &got, 8) == 0 && got == usr1);
    }
    stop = 1;
    CHECK(pthread_join(thread, 0) == 0);
    CHECK(handled > 0);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &got, 8) == 0 && got == 0);
    done();
}
