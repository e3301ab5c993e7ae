// In a handler the mask is the old one plus sa_mask plus the signal (unless SA_NODEFER); after it
// the old one is back. SIGSYS in sa_mask is shown as set.
#include "harness.h"

static volatile uint64_t inside;

static void on_signal(int signal) {
    (void)signal;
    uint64_t now = 0;
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8);
    inside = now;
}

static uint64_t mask_now(void) {
    uint64_t now = 0;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &now, 8) == 0);
    return now;
}

static void run(const char *what, int flags, int extra) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    if (extra == 64)
        sigfillset(&action.sa_mask);
    else if (extra)
        sigaddset(&action.sa_mask, extra);
    CHECK(sigaction(SIGUSR1, &action, 0) == 0);
    uint64_t before = mask_now();
    CHECK(raise(SIGUSR1) == 0);
    // The two or three signals that libc keeps for itself differ between libcs; they are left out.
    say("%s: added %lx, %s after", what, (inside & ~before) & ~0x380000000ul,
        mask_now() == before ? "same" : "not the same");
}

int main(void) {
    run("plain", 0, 0);
    run("SIGUSR2", 0, SIGUSR2);
    run("SIGSYS", 0, SIGSYS);
    run("full", 0, 64);
    run("nodefer", SA_NODEFER, 0);
    run("nodefer and SIGUSR2", SA_NODEFER, SIGUSR2);
    run("nodefer and full", SA_NODEFER, 64);
    uint64_t some = 1ul << (SIGHUP - 1) | 1ul << (SIGSYS - 1);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &some, 0, 8) == 0);
    run("with HUP and SYS blocked", 0, SIGUSR2);
    CHECK(mask_now() == some);
    done();
}
