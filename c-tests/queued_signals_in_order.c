// Signals queued to a thread by another arrive in the order sent, none lost, whatever calls it makes.
#include "harness.h"

static volatile long handled;
static long sent;
static pid_t pid, tid;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    CHECK((long)info->si_value.sival_ptr == handled && info->si_code == SI_QUEUE);
    handled++;
}

static void *send_all(void *unused) {
    (void)unused;
    while (sent < 2000) {
        if (sent - handled > 8) continue;
        siginfo_t info;
        memset(&info, 0, sizeof info);
        info.si_code = SI_QUEUE;
        info.si_value.sival_ptr = (void *)sent;
        CHECK(RAW(SYS_rt_tgsigqueueinfo, pid, tid, SIGRTMIN, &info) == 0);
        sent++;
    }
    return 0;
}

int main(void) {
    sigset_t set, old;
    pthread_t sender;
    pid = getpid(), tid = RAW(SYS_gettid);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGRTMIN, &action, 0) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, &old) == 0);
    CHECK(pthread_create(&sender, 0, send_all, 0) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &old, 0) == 0);
    while (handled < 2000) {
        CHECK(RAW(SYS_rt_sigaction, SIGUSR1, 0, 0, 8) == 0);
        CHECK(RAW(SYS_sigaltstack, 0, 0) == 0);
        CHECK(RAW(SYS_getpid) == pid);
    }
    CHECK(pthread_join(sender, 0) == 0);
    done();
}
