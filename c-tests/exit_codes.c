// Every exit status of a child arrives, by exit, _exit, exit_group and a thread's raw exit.
#include "harness.h"

int main(void) {
    for (int code = 0; code < 256; code++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (code % 4 == 0) exit(code);
            if (code % 4 == 1) _exit(code);
            if (code % 4 == 2) RAW(SYS_exit_group, code);
            RAW(SYS_exit, code);
        }
        CHECK(ended(pid) == code);
    }
    done();
}
