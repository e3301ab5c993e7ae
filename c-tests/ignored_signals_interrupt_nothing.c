// Signals that are ignored, also those that the shim holds, do not interrupt calls that restart.
#include "harness.h"

static int ends[2];
static pthread_t reader;

static void *send_all(void *unused) {
    (void)unused;
    for (int round = 0; round < 200; round++) {
        static const int signals[] = {SIGSYS, SIGTRAP, SIGUSR1, SIGSEGV, SIGBUS};
        struct timespec pause = {0, 200000};
        nanosleep(&pause, 0);
        CHECK(pthread_kill(reader, signals[round % 5]) == 0);
        if (round % 10 == 9) CHECK(write(ends[1], "x", 1) == 1);
    }
    return 0;
}

int main(void) {
    static const int signals[] = {SIGSYS, SIGTRAP, SIGUSR1, SIGSEGV, SIGBUS};
    char byte;
    pthread_t sender;
    for (int i = 0; i < 5; i++) handle(signals[i], SIG_IGN, 0);
    CHECK(pipe(ends) == 0);
    reader = pthread_self();
    CHECK(pthread_create(&sender, 0, send_all, 0) == 0);
    for (int i = 0; i < 20; i++) CHECK(read(ends[0], &byte, 1) == 1);
    CHECK(pthread_join(sender, 0) == 0);
    done();
}
