// SA_RESETHAND: the handler runs once, the action is the default again; also for SIGSYS.
#include "harness.h"

static volatile int count;
static volatile int inside_default;

static void on_signal(int signal) {
    struct sigaction now;
    CHECK(sigaction(signal, 0, &now) == 0);
    inside_default = now.sa_handler == SIG_DFL;
    count++;
}

static void run(int signal) {
    pid_t child = fork();
    if (child == 0) {
        handle(signal, on_signal, (int)SA_RESETHAND);
        CHECK(raise(signal) == 0);
        CHECK(count == 1 && inside_default);
        raise(signal);
        _exit(0);
    }
    say("second one: %d", ended(child));
}

int main(void) {
    run(SIGUSR1);
    run(SIGTERM);
    run(SIGSYS);
    done();
}
