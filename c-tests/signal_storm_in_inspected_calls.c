// A timer fires all the time while masks, actions, alternate stacks and maps are changed and read
// back: each call is made once, and what it says is right.
#include "harness.h"

static volatile long ticks;
static char stack_memory[2][65536];

static void on_tick(int signal) {
    ticks += signal == SIGALRM;
    uint64_t mask = 0;
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8);
    CHECK(mask >> (SIGALRM - 1) & 1);
}

static void ignored(int signal) { (void)signal; }

int main(void) {
    handle(SIGALRM, on_tick, SA_RESTART | SA_ONSTACK);
    tick_every_us(50);
    const uint64_t sys = 1ul << (SIGSYS - 1), usr1 = 1ul << (SIGUSR1 - 1);
    for (long round = 0; ticks < 4000 || round < 4000; round++) {
        uint64_t old = 0, set = round & 1 ? sys | usr1 : usr1, none = 0;
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8) == 0 && old == 0);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &old, 8) == 0 && old == set);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, &old, 8) == 0 && old == set);
        struct sigaction action, was;
        memset(&action, 0, sizeof action);
        action.sa_handler = round & 1 ? ignored : SIG_IGN;
        CHECK(sigaction(SIGSYS, &action, 0) == 0 && sigaction(SIGSYS, 0, &was) == 0);
        CHECK(was.sa_handler == action.sa_handler);
        stack_t stack = {.ss_sp = stack_memory[round & 1], .ss_size = 65536}, got;
        CHECK(sigaltstack(&stack, 0) == 0 && sigaltstack(0, &got) == 0);
        CHECK(got.ss_sp == stack_memory[round & 1] && got.ss_flags == 0);
        char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
        page[9] = 9;
        CHECK(munmap(page, 4096) == 0);
        CHECK(RAW(SYS_getpid) == getpid());
    }
    tick_every_us(0);
    done();
}
