// With SA_ONSTACK a handler runs on the alternate stack, without it on the normal one; nested
// handlers stay there; uc_stack tells.
#include "harness.h"

static char stack_memory[65536] __attribute__((aligned(4096)));
static volatile int inside, calls, told;

static int on_alternate(void *at) {
    return (char *)at >= stack_memory && (char *)at < stack_memory + sizeof stack_memory;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)info;
    char here;
    ucontext_t *uc = context;
    inside = on_alternate(&here);
    told = uc->uc_stack.ss_sp == stack_memory && uc->uc_stack.ss_size == sizeof stack_memory;
    CHECK(inside == on_alternate(context));
    CHECK(((uintptr_t)__builtin_frame_address(0) & 15) == 0);
    calls++;
    RAW(SYS_getpid);
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8);
    if (signal == SIGUSR1) {
        int before = inside;
        CHECK(raise(SIGUSR2) == 0);
        CHECK(inside == before); // a nested handler stays on the stack it interrupts
        inside = before;
    }
}

int main(void) {
    stack_t stack = {.ss_sp = stack_memory, .ss_size = sizeof stack_memory}, old;
    CHECK(sigaltstack(&stack, &old) == 0 && (old.ss_flags & SS_DISABLE));
    handle(SIGUSR2, on_signal, SA_SIGINFO | SA_ONSTACK);
    for (int round = 0; round < 20; round++) {
        handle(SIGUSR1, on_signal, SA_SIGINFO | SA_ONSTACK);
        CHECK(raise(SIGUSR1) == 0 && inside && told);
        handle(SIGTERM, on_signal, SA_SIGINFO);
        CHECK(raise(SIGTERM) == 0 && !inside && told);
    }
    say("handlers: %d", calls);
    done();
}
