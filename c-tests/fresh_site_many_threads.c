// Sixteen threads reach the same call, which nobody has run before, at the same time; 100 times.
#include "harness.h"

#define THREADS 16
static pthread_barrier_t start, end;
static long (*volatile call)(void);

static void *run(void *unused) {
    for (int round = 0; round < 100; round++) {
        pthread_barrier_wait(&start);
        for (int i = 0; i < 20; i++) CHECK(call() == getpid());
        pthread_barrier_wait(&end);
    }
    return unused;
}

int main(void) {
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&start, 0, THREADS + 1) == 0);
    CHECK(pthread_barrier_init(&end, 0, THREADS + 1) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], 0, run, 0) == 0);
    unsigned char *pages = map_pages(100, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int round = 0; round < 100; round++) {
        unsigned char *at = pages + round * 4096 + 4090 - round % 16;
        if (round == 99) at -= 4000;
        write_call(at, SYS_getpid);
        call = (long (*)(void))at;
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&end);
    }
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], 0) == 0);
    done();
}
