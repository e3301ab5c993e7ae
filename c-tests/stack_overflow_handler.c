// A stack overflow is a SIGSEGV that only an alternate stack can handle.
#include "harness.h"
#include <setjmp.h>

static char memory[65536] __attribute__((aligned(16)));
static sigjmp_buf back;
static volatile int caught, endless = 1;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)info, (void)context;
    caught += signal == SIGSEGV;
    siglongjmp(back, 1);
}

__attribute__((noinline)) static long deeper(volatile char *above) {
    volatile char here[4096];
    here[0] = above[0];
    return endless ? deeper(here) + here[0] : 0;
}

int main(void) {
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    CHECK(sigaltstack(&stack, 0) == 0);
    handle(SIGSEGV, on_signal, SA_SIGINFO | SA_ONSTACK);
    for (volatile int round = 0; round < 5; round++) {
        volatile char start[1] = {1};
        if (sigsetjmp(back, 1) == 0) deeper(start);
        CHECK(RAW(SYS_getpid) == getpid());
    }
    say("caught %d", caught);
    done();
}
