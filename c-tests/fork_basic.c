// fork: the child has its own pid and memory, its calls work, and its status comes back.
#include "harness.h"

int main(void) {
    static int shared = 1;
    pid_t parent = getpid();
    for (int round = 0; round < 50; round++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            CHECK(getppid() == parent && getpid() != parent);
            CHECK(RAW(SYS_getpid) == getpid() && RAW(SYS_getppid) == parent);
            shared = 2;
            for (int i = 0; i < 100; i++) CHECK(RAW(SYS_read, -1, 0, 0) == -EBADF);
            _exit(round);
        }
        CHECK(ended(pid) == round && shared == 1);
    }
    done();
}
