// Threads made by a raw clone3, with a stack given as base and size, and with CLEAR_SIGHAND for a
// process.
#include "clone.h"

struct clone3_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

static long result[2];

static long run(void *argument) {
    long *cell = argument;
    cell[0] = RAW(SYS_getpid);
    cell[1] = RAW(SYS_gettid);
    return 0;
}

static long exits_with_action(void *unused) {
    (void)unused;
    uint64_t action[4];
    CHECK(RAW(SYS_rt_sigaction, SIGUSR1, 0, action, 8) == 0);
    uint64_t usr1 = action[0];
    CHECK(RAW(SYS_rt_sigaction, SIGSYS, 0, action, 8) == 0);
    return (usr1 == 0) + 2 * (action[0] == 0);
}

static void on_signal(int signal) { (void)signal; }

int main(void) {
    char *stack = map_pages(16, PROT_READ | PROT_WRITE);
    static int tid;
    for (int round = 0; round < 100; round++) {
        tid = -1;
        int got = -1;
        struct clone3_arguments thread = {.flags = THREAD_FLAGS,
                                          .child_tid = (uint64_t)&tid,
                                          .parent_tid = (uint64_t)&got,
                                          .stack = (uint64_t)stack,
                                          .stack_size = 65536};
        long pid = raw_clone3(&thread, sizeof thread, run, result);
        CHECK(pid > 0 && got == pid);
        while (__atomic_load_n(&tid, __ATOMIC_ACQUIRE) != 0) RAW(SYS_futex, &tid, 0, -1, 0);
        CHECK(result[0] == getpid() && result[1] == pid);
    }
    handle(SIGUSR1, on_signal, 0);
    handle(SIGSYS, on_signal, 0);
    struct clone3_arguments process = {.exit_signal = SIGCHLD};
    say("actions kept: %d", ended(raw_clone3(&process, 88, exits_with_action, 0)));
    process.flags = 0x100000000; // CLONE_CLEAR_SIGHAND
    say("actions cleared: %d", ended(raw_clone3(&process, 88, exits_with_action, 0)));
    done();
}
