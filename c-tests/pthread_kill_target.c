// pthread_kill reaches the thread it names; a process signal reaches the one that has it open.
#include "harness.h"

static pthread_barrier_t all;
static __thread volatile int mine;
static volatile int handled[5], stop;
static __thread int index_here;

static void on_signal(int signal) {
    mine += signal > 0;
    __atomic_add_fetch(&handled[index_here], 1, __ATOMIC_SEQ_CST);
}

static void *run(void *argument) {
    index_here = (int)(intptr_t)argument;
    if (index_here == 4) { // only this one has SIGUSR2 open
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        CHECK(pthread_sigmask(SIG_UNBLOCK, &set, 0) == 0);
    }
    pthread_barrier_wait(&all);
    while (!stop) CHECK(RAW(SYS_getpid) == getpid());
    return (void *)(intptr_t)mine;
}

int main(void) {
    pthread_t threads[5];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    handle(SIGUSR1, on_signal, SA_RESTART);
    handle(SIGUSR2, on_signal, SA_RESTART);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, 0) == 0); // inherited by the threads
    CHECK(pthread_barrier_init(&all, 0, 5) == 0);
    for (intptr_t i = 1; i < 5; i++) CHECK(pthread_create(&threads[i], 0, run, (void *)i) == 0);
    pthread_barrier_wait(&all);
    for (int round = 1; round <= 60; round++) {
        int to = 1 + round % 3;
        int before = handled[to];
        CHECK(pthread_kill(threads[to], SIGUSR1) == 0);
        while (__atomic_load_n(&handled[to], __ATOMIC_SEQ_CST) == before) sched_yield();
        before = handled[4];
        CHECK(kill(getpid(), SIGUSR2) == 0);
        while (__atomic_load_n(&handled[4], __ATOMIC_SEQ_CST) == before) sched_yield();
    }
    stop = 1;
    for (int i = 1; i < 5; i++) {
        void *result;
        CHECK(pthread_join(threads[i], &result) == 0);
        say("thread %d handled %d", i, (int)(intptr_t)result);
    }
    CHECK(mine == 0);
    done();
}
