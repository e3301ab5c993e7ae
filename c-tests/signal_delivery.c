// Handlers run with the right number, siginfo and context, from raise, kill, sigqueue and tgkill.
#include "harness.h"

static volatile int count, number, code, value;
static volatile pid_t sender;
static volatile uid_t user;

static void on_signal(int signal, siginfo_t *info, void *context) {
    count++;
    number = signal;
    code = info->si_code;
    sender = info->si_pid;
    user = info->si_uid;
    value = info->si_value.sival_int;
    CHECK(info->si_signo == signal && context != 0);
    CHECK(RAW(SYS_getpid) == getpid());
}

int main(void) {
    for (int signal = 1; signal <= 64; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP || (signal >= 32 && signal < SIGRTMIN)) continue;
        handle(signal, on_signal, SA_SIGINFO);
        count = 0;
        CHECK(kill(getpid(), signal) == 0);
        CHECK(count == 1 && number == signal && code == SI_USER);
        CHECK(sender == getpid() && user == getuid());
        CHECK(RAW(SYS_tgkill, getpid(), getpid(), signal) == 0);
        CHECK(count == 2 && number == signal && code == SI_TKILL);
        union sigval queued = {.sival_int = signal * 3};
        CHECK(sigqueue(getpid(), signal, queued) == 0);
        CHECK(count == 3 && number == signal && code == SI_QUEUE && value == signal * 3);
        struct sigaction plain = {.sa_handler = SIG_DFL}, old;
        CHECK(sigaction(signal, &plain, &old) == 0);
        CHECK(old.sa_sigaction == on_signal && (old.sa_flags & SA_SIGINFO));
    }
    done();
}
