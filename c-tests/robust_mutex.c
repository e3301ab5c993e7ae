// A thread dies with a robust mutex held: the next owner is told. (The robust list is per thread
// and registered by a call.)
#include "harness.h"

static pthread_mutex_t mutex;

static void *dies(void *unused) {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    return unused;
}

int main(void) {
    pthread_mutexattr_t robust;
    pthread_mutexattr_init(&robust);
    CHECK(pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(&mutex, &robust) == 0);
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, 0, dies, 0) == 0 && pthread_join(thread, 0) == 0);
        CHECK(pthread_mutex_lock(&mutex) == EOWNERDEAD);
        CHECK(pthread_mutex_consistent(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    }
    done();
}
