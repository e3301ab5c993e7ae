// Six arguments arrive: mmap of a file at an offset, pselect6, futex with two words, and calls
// whose unused registers hold rubbish.
#include "harness.h"

int main(void) {
    int fd = memfd_create("six", 0);
    char page[4096];
    CHECK(fd >= 0);
    for (int i = 0; i < 4; i++) {
        memset(page, 'a' + i, sizeof page);
        CHECK(write(fd, page, sizeof page) == (ssize_t)sizeof page);
    }
    for (int i = 0; i < 4; i++) {
        char *at = (char *)RAW(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 4096 * i);
        CHECK(at[0] == 'a' + i && at[4095] == 'a' + i);
        CHECK(RAW(SYS_munmap, at, 4096, -1, -1, -1, -1) == 0);
    }
    int one = 1, two = 2;
    CHECK(RAW(SYS_futex, &one, 3, 1, 1, &two, 0) == 0);    // FUTEX_REQUEUE
    CHECK(RAW(SYS_futex, &one, 4, 1, 1, &two, 7) == -EAGAIN); // CMP_REQUEUE: one is not 7
    CHECK(RAW(SYS_futex, &one, 4, 1, 1, &two, 1) == 0);
    long to = 0, from = 4096;
    int out = memfd_create("out", 0);
    CHECK(RAW(SYS_copy_file_range, fd, &from, out, &to, 4096, 0) == 4096);
    CHECK(RAW(SYS_copy_file_range, fd, &from, out, &to, 4096, 1) == -EINVAL); // a flag
    CHECK(pread(out, page, 10, 0) == 10 && page[0] == 'b');
    CHECK(RAW(SYS_getpid, -1, -1, -1, -1, -1, -1) == getpid());
    done();
}
