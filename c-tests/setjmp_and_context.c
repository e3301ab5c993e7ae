// setjmp/longjmp, and getcontext, makecontext, swapcontext with calls on each stack. (glibc's
// swapcontext changes the mask by a call of its own.)
//#Libc: glibc
#include "harness.h"
#include <setjmp.h>

static ucontext_t main_context, first, second;
static char first_stack[65536], second_stack[65536];
static volatile int steps;

static void run(int which) {
    for (int i = 0; i < 100; i++) {
        CHECK(RAW(SYS_getpid) == getpid());
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
        steps++;
        CHECK(swapcontext(which ? &second : &first, which ? &first : &second) == 0);
    }
}

int main(void) {
    jmp_buf back;
    volatile int jumps = 0;
    setjmp(back);
    if (++jumps < 100) {
        CHECK(RAW(SYS_getpid) == getpid());
        longjmp(back, 1);
    }
    CHECK(getcontext(&first) == 0 && getcontext(&second) == 0);
    first.uc_stack.ss_sp = first_stack;
    first.uc_stack.ss_size = sizeof first_stack;
    first.uc_link = &main_context;
    second.uc_stack.ss_sp = second_stack;
    second.uc_stack.ss_size = sizeof second_stack;
    second.uc_link = &main_context;
    makecontext(&first, (void (*)(void))run, 1, 0);
    makecontext(&second, (void (*)(void))run, 1, 1);
    CHECK(swapcontext(&main_context, &first) == 0);
    say("jumps %d, steps %d", jumps, steps);
    done();
}
