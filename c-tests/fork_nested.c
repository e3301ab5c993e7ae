// Each child forks the next, eight deep; all of them make calls on the way down and up.
#include "harness.h"

static int down(int depth) {
    if (depth == 8) return 8;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(RAW(SYS_getpid) == getpid());
        _exit(down(depth + 1));
    }
    int deepest = ended(pid);
    CHECK(RAW(SYS_getpid) == getpid());
    return deepest;
}

int main(void) {
    say("deepest: %d", down(0));
    done();
}
