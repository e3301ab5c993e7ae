// Threads that map, unmap, protect and move in one range, at random and all at once. What is there at the end
// nobody knows beforehand; the shim's map of memory is compared with the kernel's when the program exits.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 8, PAGES = 256, PAGE = 4096 };

static char *range;
static long rounds;
static int file;
static long made[6];

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
    return *seed;
}

static void *thread(void *given) {
    uint64_t seed = (uintptr_t)given * 0x9e3779b97f4a7c15 + 1;
    static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
    for (long round = 0; round < rounds; round++) {
        uint64_t dice = next(&seed);
        size_t at = dice % PAGES, len = 1 + (dice >> 16) % 16, to = (dice >> 24) % PAGES;
        if (at + len > PAGES) len = PAGES - at;
        if (to + len > PAGES) to = 0;
        char *start = range + at * PAGE, *target = range + to * PAGE;
        int prot = prots[dice >> 32 & 3], what = dice >> 40 & 7, is_made = 0;
        switch (what) {
        case 0:
        case 1:
            is_made = mmap(start, len * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
            break;
        case 2: is_made = mmap(start, len * PAGE, prot, MAP_SHARED | MAP_FIXED, file, to * PAGE) != MAP_FAILED; break;
        case 3: is_made = munmap(start, len * PAGE) == 0; break;
        case 4:
        case 5: is_made = mprotect(start, len * PAGE, prot) == 0; break;
        case 6:
            is_made = (at + len <= to || to + len <= at) &&
                      mremap(start, len * PAGE, len * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) != MAP_FAILED;
            break;
        case 7: is_made = mremap(start, len * PAGE, PAGE, 0) != MAP_FAILED; break;
        }
        if (is_made) __atomic_fetch_add(&made[what > 5 ? 5 : what], 1, __ATOMIC_RELAXED);
    }
    return 0;
}

int main(int argc, char **argv) {
    rounds = argc > 1 ? atol(argv[1]) : 1000;
    file = memfd_create("file", 0);
    range = mmap(0, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file < 0 || ftruncate(file, PAGES * PAGE) || range == MAP_FAILED) return 1;
    pthread_t threads[THREADS];
    for (long number = 0; number < THREADS; number++)
        if (pthread_create(&threads[number], 0, thread, (void *)(number + 1))) return 1;
    for (int number = 0; number < THREADS; number++) pthread_join(threads[number], 0);
    for (int what = 0; what < 6; what++)
        if (!made[what]) return 2;
    if (fork() == 0) return 0; // the child's map is a copy
    return 0;
}
