// pthread_cancel ends a thread in a blocked read and in a sleep, runs its cleanup, and is not lost
// when it comes just before the call.
#include "harness.h"

static int ends[2];
static volatile int cleaned;

static void cleanup(void *argument) { cleaned += (int)(intptr_t)argument; }

static void *blocked(void *kind) {
    char byte;
    struct timespec hour = {3600, 0};
    pthread_cleanup_push(cleanup, (void *)1);
    for (;;) {
        if (kind)
            read(ends[0], &byte, 1);
        else
            nanosleep(&hour, 0);
    }
    pthread_cleanup_pop(0);
    return 0;
}

static void *busy(void *unused) {
    pthread_cleanup_push(cleanup, (void *)1);
    for (;;) {
        RAW(SYS_getpid);
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return unused;
}

static void *asynchronous(void *unused) {
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
    for (;;) RAW(SYS_getpid);
    return unused;
}

static void run(void *(*function)(void *), void *argument) {
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, 0, function, argument) == 0);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
}

int main(void) {
    CHECK(pipe(ends) == 0);
    for (int round = 0; round < 100; round++) {
        run(blocked, 0);
        run(blocked, (void *)1);
        run(busy, 0);
        run(asynchronous, 0);
    }
    CHECK(cleaned <= 300);
    // Cancelled when it is surely blocked: the thread has said so by reading once.
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        void *result;
        int left = 1;
        CHECK(pthread_create(&thread, 0, blocked, (void *)1) == 0);
        CHECK(write(ends[1], "x", 1) == 1);
        while (left) { // until it has taken the byte
            struct timeval none = {0, 0};
            fd_set set;
            FD_ZERO(&set);
            FD_SET(ends[0], &set);
            left = select(ends[0] + 1, &set, 0, 0, &none);
        }
        cleaned = 0;
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 1);
    }
    done();
}
