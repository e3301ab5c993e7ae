// Two thousand threads, made and joined one after another, then in groups of fifty.
#include "harness.h"

static void *one(void *argument) {
    CHECK(RAW(SYS_getpid) == getpid());
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
    return (char *)argument + 1;
}

int main(void) {
    pthread_t threads[50];
    void *result;
    for (intptr_t i = 0; i < 1000; i++) {
        CHECK(pthread_create(&threads[0], 0, one, (void *)i) == 0);
        CHECK(pthread_join(threads[0], &result) == 0 && (intptr_t)result == i + 1);
    }
    for (int group = 0; group < 20; group++) {
        for (intptr_t i = 0; i < 50; i++)
            CHECK(pthread_create(&threads[i], 0, one, (void *)i) == 0);
        for (intptr_t i = 0; i < 50; i++)
            CHECK(pthread_join(threads[i], &result) == 0 && (intptr_t)result == i + 1);
    }
    done();
}
