// Futexes: raw wait and wake, a wrong value, a timeout; mutexes and conditions under contention.
#include "harness.h"

static int word;
static long shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *waker(void *unused) {
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    while (RAW(SYS_futex, &word, 1, 1) == 0) sched_yield();
    return unused;
}

static void *adds(void *unused) {
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&lock);
        shared++;
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

int main(void) {
    struct timespec soon = {0, 1000000};
    CHECK(RAW(SYS_futex, &word, 0, 5, &soon) == -EAGAIN);
    CHECK(RAW(SYS_futex, &word, 0, 0, &soon) == -ETIMEDOUT);
    CHECK(RAW(SYS_futex, 8, 0, 0, &soon) == -EFAULT);
    for (int round = 0; round < 100; round++) {
        pthread_t thread;
        word = 0;
        CHECK(pthread_create(&thread, 0, waker, 0) == 0);
        // The waker only stops when it has woken somebody, so somebody must wait.
        long result;
        do {
            result = RAW(SYS_futex, &word, 0, 1, 0);
        } while (result == -EAGAIN);
        CHECK(result == 0 && pthread_join(thread, 0) == 0);
    }
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], 0, adds, 0) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], 0) == 0);
    say("sum %ld", shared);
    done();
}
