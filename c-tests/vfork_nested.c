// A child of vfork makes one of its own, tries to execute what is not there, changes what its parent
// sees, and runs a program in the end.
#include "harness.h"
#include <spawn.h>

extern char **environ;
static volatile int steps;

int main(void) {
    char *const nothing[] = {"nothing", 0}, *const program[] = {"sh", "-c", "exit 5", 0};
    for (volatile int round = rounds(50); round > 0; round--) {
        steps = 0;
        pid_t child = vfork();
        if (child == 0) {
            steps++;
            pid_t grandchild = vfork();
            if (grandchild == 0) {
                steps++;
                execv("/nowhere/nothing", nothing);
                steps += errno == ENOENT;
                execv("/", nothing);
                steps += errno == EACCES;
                _exit(3);
            }
            int status;
            if (waitpid(grandchild, &status, 0) == grandchild && status == 3 << 8) steps++;
            pid_t other = vfork();
            if (other == 0) {
                execv("/bin/sh", program);
                _exit(9);
            }
            if (waitpid(other, &status, 0) == other && status == 5 << 8) steps++;
            kill(getpid(), round % 2 ? SIGKILL : SIGTERM);
            _exit(8);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == (round % 2 ? SIGKILL : SIGTERM));
        CHECK(steps == 6);
    }
    for (int round = rounds(20); round > 0; round--) {
        pid_t pid;
        int status;
        CHECK(posix_spawn(&pid, "/nowhere/nothing", 0, 0, nothing, environ) == ENOENT);
        CHECK(posix_spawn(&pid, "/bin/sh", 0, 0, program, environ) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == 5 << 8);
    }
    say("steps: %d", steps);
    done();
}
