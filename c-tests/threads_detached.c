// Detached threads end on their own; the main thread leaves by pthread_exit and the last thread's
// exit(0) ends the process.
#include "harness.h"

static volatile int ready;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *detached(void *unused) {
    CHECK(RAW(SYS_gettid) != getpid());
    pthread_mutex_lock(&lock);
    ready++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return unused;
}

static void *last(void *main_thread) {
    CHECK(pthread_join(*(pthread_t *)main_thread, 0) == 0);
    CHECK(RAW(SYS_getpid) == getpid());
    done();
}

int main(void) {
    static pthread_t self;
    self = pthread_self();
    pthread_t thread;
    for (int i = 0; i < 100; i++) {
        CHECK(pthread_create(&thread, 0, detached, 0) == 0 && pthread_detach(thread) == 0);
        pthread_mutex_lock(&lock);
        while (ready <= i) pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
    }
    CHECK(pthread_create(&thread, 0, last, &self) == 0);
    pthread_exit(0);
}
