// sigaltstack's errors and reports: ENOMEM when too small, EINVAL for odd flags, EPERM while on
// it, SS_DISABLE, SS_AUTODISARM, SS_ONSTACK, and each thread's own.
#include "harness.h"

static char memory[65536] __attribute__((aligned(16))), other[65536];
static volatile int in_handler_errno, in_handler_flags;

static void on_signal(int signal) {
    (void)signal;
    stack_t stack = {.ss_sp = other, .ss_size = sizeof other}, now;
    CHECK(RAW(SYS_sigaltstack, 0, &now) == 0);
    in_handler_flags = now.ss_flags;
    in_handler_errno = -RAW(SYS_sigaltstack, &stack, 0);
}

static void *thread(void *unused) {
    stack_t now;
    CHECK(RAW(SYS_sigaltstack, 0, &now) == 0);
    CHECK(now.ss_flags == SS_DISABLE && now.ss_sp == 0 && now.ss_size == 0);
    return unused;
}

int main(void) {
    stack_t now, stack = {.ss_sp = memory, .ss_size = sizeof memory};
    CHECK(RAW(SYS_sigaltstack, 0, &now) == 0);
    say("at start: flags %d, base %d, size %d", now.ss_flags, now.ss_sp != 0, (int)now.ss_size);
    stack.ss_size = 1000;
    say("size 1000: %s", errno_name(RAW(SYS_sigaltstack, &stack, 0)));
    stack.ss_size = 2047;
    say("size 2047: %s", errno_name(RAW(SYS_sigaltstack, &stack, 0)));
    stack.ss_size = sizeof memory;
    stack.ss_flags = 99;
    say("flags 99: %s", errno_name(RAW(SYS_sigaltstack, &stack, 0)));
    stack.ss_flags = SS_ONSTACK; // accepted for history's sake
    say("SS_ONSTACK: %s", errno_name(RAW(SYS_sigaltstack, &stack, 0)));
    stack.ss_flags = 0;
    CHECK(RAW(SYS_sigaltstack, &stack, &now) == 0);
    CHECK(now.ss_sp == memory && now.ss_size == sizeof memory);
    CHECK(RAW(SYS_sigaltstack, 0, &now) == 0 && now.ss_flags == 0);
    handle(SIGUSR1, on_signal, SA_ONSTACK);
    CHECK(raise(SIGUSR1) == 0);
    say("on it: flags %d, changing %s", in_handler_flags, errno_name(in_handler_errno));
    CHECK(RAW(SYS_sigaltstack, 0, &now) == 0 && now.ss_sp == memory && now.ss_flags == 0);
    pthread_t other_thread;
    CHECK(pthread_create(&other_thread, 0, thread, 0) == 0 && pthread_join(other_thread, 0) == 0);
    stack.ss_flags = (int)0x80000000; // SS_AUTODISARM
    CHECK(RAW(SYS_sigaltstack, &stack, 0) == 0);
    CHECK(raise(SIGUSR1) == 0);
    say("autodisarm: flags %x, changing %s", in_handler_flags, errno_name(in_handler_errno));
    CHECK(RAW(SYS_sigaltstack, 0, &now) == 0);
    say("after: base %s, flags %x", now.ss_sp == memory ? "first" : "other", now.ss_flags);
    stack.ss_flags = SS_DISABLE;
    CHECK(RAW(SYS_sigaltstack, &stack, 0) == 0);
    CHECK(RAW(SYS_sigaltstack, 0, &now) == 0);
    CHECK(now.ss_flags == SS_DISABLE);
    CHECK(raise(SIGUSR1) == 0);
    say("disabled: flags %d, changing %s", in_handler_flags, errno_name(in_handler_errno));
    stack_t second = {.ss_sp = other, .ss_size = sizeof other};
    CHECK(RAW(SYS_sigaltstack, &second, 0) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(RAW(SYS_sigaltstack, 0, &now) == 0);
        _exit(now.ss_sp == other);
    }
    say("the child has the parent's: %d", ended(child));
    done();
}
