// An alternate stack may be smaller than a signal needs: it is accepted, and the signal that does not
// fit becomes a SIGSEGV. One that has asked for large registers must bring more.
#include "harness.h"

static char memory[4096] __attribute__((aligned(64)));
static volatile int fits = 1;

static void on_user(int signal) {
    (void)signal;
}

static void on_segv(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fits = 0;
    say("SIGSEGV: code %d", info->si_code == SI_KERNEL);
    stack_t off = {.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&off, 0) == 0);
}

int main(void) {
    stack_t stack = {.ss_sp = memory, .ss_size = 2048};
    say("2048 bytes: %s", errno_name(RAW(SYS_sigaltstack, &stack, 0)));
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_segv;
    CHECK(sigaction(SIGSEGV, &action, 0) == 0);
    handle(SIGUSR1, on_user, SA_ONSTACK);
    CHECK(RAW(SYS_tgkill, getpid(), gettid(), SIGUSR1) == 0);
    say("it fits: %d", fits);
    long got = RAW(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18);
    say("large registers: %d", got == 0);
    say("2048 bytes: %s", errno_name(RAW(SYS_sigaltstack, &stack, 0)));
    stack.ss_sp = map_pages(16, PROT_READ | PROT_WRITE), stack.ss_size = 16 * 4096;
    say("64 KiB: %s", errno_name(RAW(SYS_sigaltstack, &stack, 0)));
    done();
}
