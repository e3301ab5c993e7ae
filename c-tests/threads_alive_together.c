// Four hundred threads alive at the same time, all of them calling.
#include "harness.h"

#define THREADS 400
static pthread_barrier_t all;

static void *one(void *argument) {
    pthread_barrier_wait(&all);
    for (int i = 0; i < 200; i++) {
        CHECK(RAW(SYS_getpid) == getpid());
        CHECK(RAW(SYS_read, -1, argument, 1) == -EBADF);
        CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
    }
    pthread_barrier_wait(&all);
    return argument;
}

int main(void) {
    static pthread_t threads[THREADS];
    pthread_attr_t small;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 65536) == 0);
    CHECK(pthread_barrier_init(&all, 0, THREADS) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], &small, one, 0) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], 0) == 0);
    done();
}
