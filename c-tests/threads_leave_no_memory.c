// A hundred thousand threads, at most forty at a time: memory that is not given back would show.
//#Libc: glibc
//#Backstop: strict
#include "harness.h"

static void *one(void *unused) {
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8);
    return unused;
}

/// Resident and mapped pages.
static void pages(long *resident, long *mapped) {
    char text[128] = {0};
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
    CHECK(sscanf(text, "%ld %ld", mapped, resident) == 2);
}

static void make(int rounds) {
    pthread_t threads[40];
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 40; i++) CHECK(pthread_create(&threads[i], &attributes, one, 0) == 0);
        for (int i = 0; i < 40; i++) CHECK(pthread_join(threads[i], 0) == 0);
    }
}

int main(void) {
    long resident, mapped, resident_after, mapped_after;
    make(100); // what is kept for the next threads is there now
    pages(&resident, &mapped);
    make(2500);
    pages(&resident_after, &mapped_after);
    // A block of the shim is 35 pages; each thread that left one would be far beyond this.
    CHECK(resident_after - resident < 512 && mapped_after - mapped < 4096);
    done();
}
