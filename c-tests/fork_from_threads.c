// Four threads fork while four others make calls; every child makes calls, and a thread.
#include "harness.h"

static volatile int stop;

static void *busy(void *unused) {
    while (!stop) {
        CHECK(RAW(SYS_getpid) == getpid());
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
    }
    return unused;
}

static void *in_child(void *unused) {
    CHECK(RAW(SYS_getpid) == getpid() && RAW(SYS_gettid) != getpid());
    return unused;
}

static void *forks(void *unused) {
    for (int round = 0; round < 25; round++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            pthread_t thread;
            CHECK(RAW(SYS_gettid) == getpid());
            CHECK(pthread_create(&thread, 0, in_child, 0) == 0 && pthread_join(thread, 0) == 0);
            _exit(5);
        }
        CHECK(ended(pid) == 5);
    }
    return unused;
}

int main(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], 0, i < 4 ? forks : busy, 0) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], 0) == 0);
    stop = 1;
    for (int i = 4; i < 8; i++) CHECK(pthread_join(threads[i], 0) == 0);
    done();
}
