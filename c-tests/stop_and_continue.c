// A sleeping child is stopped and continued: its sleep goes on (restart_syscall) and returns 0.
#include "harness.h"

int main(void) {
    for (int round = 0; round < 3; round++) {
        int ends[2], status;
        char byte;
        CHECK(pipe(ends) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct timespec time = {0, 400000000}, left = {0, 0}, before, after;
            clock_gettime(CLOCK_MONOTONIC, &before);
            CHECK(write(ends[1], "x", 1) == 1);
            long result = RAW(SYS_nanosleep, &time, &left);
            clock_gettime(CLOCK_MONOTONIC, &after);
            long slept = (after.tv_sec - before.tv_sec) * 1000 +
                         (after.tv_nsec - before.tv_nsec) / 1000000;
            _exit(result == 0 && slept >= 399 ? 0 : 1);
        }
        CHECK(read(ends[0], &byte, 1) == 1);
        for (int times = 0; times < 3; times++) {
            CHECK(kill(pid, SIGSTOP) == 0);
            CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
            CHECK(kill(pid, SIGCONT) == 0);
            CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
        }
        CHECK(ended(pid) == 0);
        CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
    done();
}
