// Thread-local data of libc threads stays each thread's own through calls, traps and signals.
#include "harness.h"

static __thread long mine;
static __thread volatile int handled;
static pthread_barrier_t all;

static void on_signal(int signal) { handled += signal == SIGUSR1; }

static void *run(void *argument) {
    long me = mine = (long)argument;
    pthread_barrier_wait(&all);
    for (int i = 0; i < 500; i++) {
        CHECK(RAW(SYS_getpid) == getpid());
        errno = (int)me;
        CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
        CHECK(mine == me && errno == (int)me && handled == i + 1);
    }
    return 0;
}

int main(void) {
    pthread_t threads[8];
    handle(SIGUSR1, on_signal, SA_RESTART);
    CHECK(pthread_barrier_init(&all, 0, 8) == 0);
    for (long i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], 0, run, (void *)(i + 1)) == 0);
    for (int i = 0; i < 8; i++) CHECK(pthread_join(threads[i], 0) == 0);
    CHECK(mine == 0 && handled == 0);
    done();
}
