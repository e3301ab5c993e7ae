// restart_syscall made by the program itself, and sleeps that are restarted after a stop.
#include "harness.h"
#include <poll.h>

int main(void) {
    CHECK(RAW(SYS_restart_syscall) == -EINTR);
    for (int round = 0; round < 5; round++) {
        int ends[2], status;
        char byte;
        CHECK(pipe(ends) == 0);
        pid_t child = fork();
        if (child == 0) {
            CHECK(write(ends[1], "x", 1) == 1);
            _exit(poll(0, 0, 100) == 0 ? 0 : 1); // poll with a timeout restarts by restart_syscall
        }
        CHECK(read(ends[0], &byte, 1) == 1);
        CHECK(kill(child, SIGSTOP) == 0);
        CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
        CHECK(kill(child, SIGCONT) == 0 && ended(child) == 0);
        CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
    done();
}
