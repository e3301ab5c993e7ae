// Threads run through the program's own text together: sites of all shapes, none of which has run.
#include "harness.h"

#define FUNCTION(n)                                                                                \
    __attribute__((noinline)) static long site_##n(long nr) { return RAW(nr, n, n, n) + n; }
#define TEN(n)                                                                                     \
    FUNCTION(n##0) FUNCTION(n##1) FUNCTION(n##2) FUNCTION(n##3) FUNCTION(n##4) FUNCTION(n##5)      \
    FUNCTION(n##6) FUNCTION(n##7) FUNCTION(n##8) FUNCTION(n##9)
TEN(1) TEN(2) TEN(3) TEN(4)
#define NAMES(n)                                                                                   \
    site_##n##0, site_##n##1, site_##n##2, site_##n##3, site_##n##4, site_##n##5, site_##n##6,     \
        site_##n##7, site_##n##8, site_##n##9
static long (*const sites[40])(long) = {NAMES(1), NAMES(2), NAMES(3), NAMES(4)};
static pthread_barrier_t start;

static void *run(void *unused) {
    pthread_barrier_wait(&start);
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 40; i++) CHECK(sites[i](SYS_getpid) == getpid() + 10 + i);
    return unused;
}

int main(void) {
    pthread_t threads[8];
    CHECK(pthread_barrier_init(&start, 0, 8) == 0);
    for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], 0, run, 0) == 0);
    for (int i = 0; i < 8; i++) CHECK(pthread_join(threads[i], 0) == 0);
    done();
}
