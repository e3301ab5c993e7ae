// fork inside a signal handler; the child returns from the handler and goes on.
#include "harness.h"

static volatile pid_t child;
static volatile int handled;

static void on_signal(int signal) {
    (void)signal;
    handled++;
    child = fork();
}

int main(void) {
    handle(SIGUSR1, on_signal, 0);
    for (int round = 0; round < 20; round++) {
        handled = 0;
        CHECK(raise(SIGUSR1) == 0);
        CHECK(handled == 1 && child >= 0);
        if (child == 0) {
            CHECK(raise(SIGUSR2) == 0 || 1);
            _exit(3);
        }
        CHECK(ended(child) == 1000 + SIGUSR2);
    }
    done();
}
