// A thread's exit_group ends a process whose other threads are blocked and busy.
//#Exit: 42
// Without a backstop a call from a site that cannot be rewritten is not seen, and neither is the end.
//#Backstop: strict,inspected,sud
#include "harness.h"

static pthread_barrier_t all;

static void *busy(void *unused) {
    pthread_barrier_wait(&all);
    for (;;) RAW(SYS_getpid);
    return unused;
}

static void *blocked(void *ends) {
    char byte;
    pthread_barrier_wait(&all);
    RAW(SYS_read, ((int *)ends)[0], &byte, 1);
    return 0;
}

static void *ender(void *unused) {
    pthread_barrier_wait(&all);
    say("ending");
    RAW(SYS_exit_group, 42);
    return unused;
}

int main(void) {
    static int ends[2];
    pthread_t thread;
    CHECK(pipe(ends) == 0 && pthread_barrier_init(&all, 0, 7) == 0);
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&thread, 0, busy, 0) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&thread, 0, blocked, ends) == 0);
    CHECK(pthread_create(&thread, 0, ender, 0) == 0);
    pthread_barrier_wait(&all);
    for (;;) RAW(SYS_pause);
}
