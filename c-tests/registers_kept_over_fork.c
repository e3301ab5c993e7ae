// After fork and after clone without a stack, parent and child find every register as it was.
#include "probe.h"

PROBE(call, "nop\nsyscall");
PROBE(fork_here, "mov $57, %eax\nsyscall");

static void both(const char *what, void (*probe)(void), void *after) {
    probe();
    pid_t pid = probe_out.rax;
    CHECK(pid >= 0);
    probe_compare(pid ? what : "child", after);
    if (pid == 0) _exit(7);
    CHECK(ended(pid) == 7);
}

int main(void) {
    for (int round = 0; round < 20; round++) {
        probe_fill();
        both("fork, number at the site", fork_here, fork_here_after);
        probe_fill();
        probe_call(SYS_fork, 1, 2, 3, 4, 5, 6);
        both("fork", call, call_after);
        probe_fill();
        probe_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 6);
        both("clone", call, call_after);
        uint64_t arguments[8] = {0, 0, 0, 0, SIGCHLD, 0, 0, 0};
        probe_fill();
        probe_call(SYS_clone3, (long)arguments, sizeof arguments, 3, 4, 5, 6);
        both("clone3", call, call_after);
    }
    done();
}
