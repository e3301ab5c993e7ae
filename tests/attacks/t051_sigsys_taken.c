// SIGSYS is taken from the shim: its action, or its delivery. Then a call that the policy refuses is made where
// it is trapped. Either the shim still answers, or the kernel ends the process: it is never made.
//# case: T51, T52, T61
//# title: SIGSYS is reset, ignored, handled, blocked, read from a descriptor
//# layers: U, B
//# policy: ia2
//# users: root, unprivileged
//# attack: SIG_DFL = A2 EPERM
//# attack: SIG_IGN = A2 EPERM
//# attack: a handler = A2 EPERM
//# attack: a handler's mask = A2 EPERM
//# attack: rt_sigprocmask = A2 EPERM
//# attack: ppoll's mask = A2 EPERM
//# attack: signalfd4 = A2 EPERM
//# attack: sigreturn's mask = A2 EPERM
//# twin: its own SIGSYS handler
#include "attack.h"
#include <sys/signalfd.h>

#define ALL 0xffffffffffffffffUL
static const unsigned long all = ALL;

struct kernel_action {
    void *handler;
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

asm("restorer: mov $15, %eax\n syscall");
void restorer(void);

/// The call from new code, which is trapped in any case; natively, it is made.
static long from_new_code(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    memcpy(page, forbidden_code, sizeof forbidden_code);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    return run(page);
}

static volatile long in_handler = 1;
static void nothing(int signal) { (void)signal; }
static void make_it(int signal) { in_handler = from_new_code(); }

static long set_action(int signal, void *handler, unsigned long mask) {
    struct kernel_action action = {handler, 0x04000000 /* SA_RESTORER */, restorer, mask};
    return call(SYS_rt_sigaction, signal, &action, 0, 8);
}

static long with_action(long handler) {
    long result = set_action(SIGSYS, (void *)handler, 0);
    return result < 0 ? result : from_new_code();
}

static long in_a_handler(long unused) {
    long result = set_action(SIGUSR1, (void *)make_it, ALL);
    if (result < 0) return result;
    CHECK(raise(SIGUSR1) == 0);
    return in_handler;
}

static long blocked(long unused) {
    long result = call(SYS_rt_sigprocmask, SIG_BLOCK, &all, 0, 8);
    return result < 0 ? result : from_new_code();
}

/// A handler that runs under the mask of ppoll has it.
static long in_ppoll(long unused) {
    struct timespec none = {0, 0};
    long result = set_action(SIGUSR1, (void *)make_it, 0);
    CHECK(result == 0 && raise(SIGUSR1) == 0);
    result = call(SYS_ppoll, 0, 0, &none, &all, 8);
    return result < 0 ? result : from_new_code();
}

static long by_descriptor(long unused) {
    long result = call(SYS_rt_sigprocmask, SIG_BLOCK, &all, 0, 8);
    if (result == 0) result = call(SYS_signalfd4, -1, &all, 8, 0);
    return result < 0 ? result : from_new_code();
}

static void block_all(int signal, siginfo_t *info, void *context) {
    memset(&((ucontext_t *)context)->uc_sigmask, 0xff, 8);
}

static long after_return(long unused) {
    struct kernel_action action = {(void *)block_all, 0x04000000 | SA_SIGINFO, restorer, 0};
    long result = call(SYS_rt_sigaction, SIGUSR1, &action, 0, 8);
    if (result < 0) return result;
    CHECK(raise(SIGUSR1) == 0);
    return from_new_code();
}

static volatile int handled;
static void count(int signal) { handled++; }

static long own_handler(long unused) {
    handle(SIGSYS, count, 0);
    sigset_t set;
    CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGSYS) == 0 && sigprocmask(SIG_BLOCK, &set, 0) == 0);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, 0) == 0);
    struct sigaction action;
    CHECK(sigaction(SIGSYS, 0, &action) == 0);
    return action.sa_handler == count ? 0 : -EIO;
}

int main(void) {
    attack("SIG_DFL", with_action, (long)SIG_DFL);
    attack("SIG_IGN", with_action, (long)SIG_IGN);
    attack("a handler", with_action, (long)nothing);
    attack("a handler's mask", in_a_handler, 0);
    attack("rt_sigprocmask", blocked, 0);
    attack("ppoll's mask", in_ppoll, 0);
    attack("signalfd4", by_descriptor, 0);
    attack("sigreturn's mask", after_return, 0);
    twin("its own SIGSYS handler", own_handler, 0);
    done();
}
