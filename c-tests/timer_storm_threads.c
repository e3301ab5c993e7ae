// Two threads move data through pipes while both get signals all the time.
#include "harness.h"

static volatile int stop;
static __thread volatile long handled;
static void on_signal(int signal) {
    handled += signal > 0;
    RAW(SYS_getpid);
}

static void *move(void *argument) {
    int ends[2];
    long seed = (long)argument, count = 0;
    CHECK(pipe(ends) == 0);
    while (!stop || handled < 100) {
        long out = seed * 1000003 + count, in = 0;
        CHECK(write(ends[1], &out, sizeof out) == sizeof out);
        CHECK(read(ends[0], &in, sizeof in) == sizeof in && in == out);
        CHECK(RAW(SYS_gettid) != getpid());
        CHECK(RAW(501) == -ENOSYS);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
        count++;
    }
    return 0;
}

int main(void) {
    pthread_t threads[2];
    handle(SIGUSR1, on_signal, SA_RESTART);
    for (long i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], 0, move, (void *)(i + 1)) == 0);
    for (int round = 0; round < 4000; round++) {
        CHECK(pthread_kill(threads[round & 1], SIGUSR1) == 0);
        if (round % 16 == 0) CHECK(sched_yield() == 0);
    }
    stop = 1; // each goes on until it has handled enough
    for (int i = 0; i < 2; i++)
        while (pthread_tryjoin_np(threads[i], 0) != 0)
            CHECK(pthread_kill(threads[i], SIGUSR1) == 0);
    done();
}
