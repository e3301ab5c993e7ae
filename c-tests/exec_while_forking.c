// A program that another thread is about to execute is not among the descriptors of a child.
#include "harness.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int stop;
static char *big;

static int count(void) {
    int n = 0;
    for (int fd = 0; fd < 64; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void *executes(void *unused) {
    char *argv[] = {"true", big, 0};
    while (!stop) {
        execv("/bin/true", argv);
        if (errno != E2BIG) say("execv: %s", errno_name(errno));
    }
    return unused;
}

int main(int argc, char **argv) {
    char text[8], *again[] = {argv[0], text, 0};
    if (argc > 1) return count() != atoi(argv[1]);
    sprintf(text, "%d", count());
    size_t size = 200000; // one argument may have 128 KiB
    big = calloc(size, 1);
    memset(big, 'x', size - 1);
    pthread_t thread;
    pthread_create(&thread, 0, executes, 0);
    int more = 0;
    for (int i = rounds(300); i > 0; i--) {
        pid_t child = i % 2 ? fork() : vfork();
        if (!child) {
            execv("/proc/self/exe", again);
            _exit(2);
        }
        int status;
        waitpid(child, &status, 0);
        more += status != 0;
    }
    stop = 1;
    pthread_join(thread, 0);
    say("programs with a descriptor too many: %d", more);
    done();
}
