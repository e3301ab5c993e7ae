// brk and sbrk, mremap, madvise, mincore, mprotect on data, mlock: the heap and the maps are the
// program's own.
//#Libc: glibc
#include "harness.h"

int main(void) {
    char *before = sbrk(0);
    CHECK(before != (void *)-1 && sbrk(100000) == before);
    memset(before, 7, 100000);
    CHECK((char *)sbrk(0) == before + 100000 && sbrk(-100000) == before + 100000);
    CHECK(RAW(SYS_brk, 0) == (long)sbrk(0));

    char *pages = map_pages(4, PROT_READ | PROT_WRITE);
    memset(pages, 9, 4 * 4096);
    char *moved = mremap(pages, 4 * 4096, 64 * 4096, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && moved[0] == 9 && moved[4 * 4096 - 1] == 9 && moved[5 * 4096] == 0);
    CHECK(mremap(moved, 64 * 4096, 2 * 4096, 0) == moved);
    CHECK_ERRNO(mremap(moved + 8 * 4096, 4096, 8192, MREMAP_MAYMOVE), EFAULT);
    char *target = map_pages(8, PROT_NONE);
    CHECK(mremap(moved, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    CHECK(target[0] == 9);
    CHECK(madvise(target, 4096, MADV_DONTNEED) == 0 && target[0] == 0 && target[4096] == 9);
    unsigned char in_core[2];
    CHECK(mincore(target, 8192, in_core) == 0 && (in_core[1] & 1));
    CHECK_ERRNO(mincore(target + 1, 4096, in_core), EINVAL);
    CHECK(munmap(target, 8 * 4096) == 0);
    CHECK_ERRNO(mincore(target, 4096, in_core), ENOMEM);
    CHECK_ERRNO(mprotect(target, 4096, PROT_READ), ENOMEM);
    CHECK_ERRNO(mmap(target, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 1),
                EINVAL);
    for (int i = 0; i < 200; i++) {
        size_t size = 1000ul * (i + 1) * 7;
        char *block = malloc(size);
        CHECK(block != 0);
        memset(block, i, size);
        free(block);
    }
    done();
}
