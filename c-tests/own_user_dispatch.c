// Syscall User Dispatch of the program's own: its handler sees the calls it blocks, with their numbers
// and addresses, and nothing else; children start without it.
//#Backstop: strict,inspected,none
#include "harness.h"
#include <sys/prctl.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static volatile char blocked;
static volatile int seen, number, code;
static volatile long distance;

static void on_sigsys(int signal, siginfo_t *info, void *context) {
    (void)signal;
    blocked = 0; // the way back is a call as well
    seen++;
    number = info->si_syscall;
    code = info->si_code;
    distance = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] - (long)info->si_call_addr;
}

static void try_call(const char *name, long nr) {
    seen = 0, number = -1, code = 0, distance = -1;
    blocked = 1;
    long result = RAW(nr, 0, 0, 0, 8);
    blocked = 0;
    say("%s: %s, seen %d, code %d, number %d, distance %ld", name, result == nr ? "its number" : "another",
        seen, code, number == nr, distance);
}

int main(void) {
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_sigsys;
    CHECK(sigaction(SIGSYS, &action, 0) == 0);
    CHECK(prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &blocked) == 0);
    try_call("getpid", SYS_getpid);
    try_call("sched_yield", SYS_sched_yield);
    try_call("rt_sigprocmask", SYS_rt_sigprocmask);
    try_call("none", 9999);
    pid_t child = fork();
    if (child == 0) {
        blocked = 1;
        _exit(RAW(SYS_getppid) != SYS_getppid && seen != 0 ? 3 : 4);
    }
    say("child: %d", ended(child));
    CHECK(prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0) == 0);
    try_call("off", SYS_getppid);
    done();
}
