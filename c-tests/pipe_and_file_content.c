// What is written to a pipe and to a file is what is read back.
#include "harness.h"
#include <sys/uio.h>

int main(void) {
    int ends[2];
    char out[4096], in[4096];
    CHECK(pipe(ends) == 0);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof out; i++) out[i] = (char)(i * 31 + round);
        CHECK(write(ends[1], out, sizeof out) == (ssize_t)sizeof out);
        CHECK(read(ends[0], in, sizeof in) == (ssize_t)sizeof in);
        CHECK(memcmp(in, out, sizeof in) == 0);
    }
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0) {
        fd = memfd_create("content", 0);
        CHECK(fd >= 0);
    }
    struct iovec parts[3] = {{out, 1000}, {out + 1000, 96}, {out + 1096, 3000}};
    CHECK(writev(fd, parts, 3) == 4096);
    CHECK(pread(fd, in, 4096, 0) == 4096 && memcmp(in, out, 4096) == 0);
    CHECK(lseek(fd, 100, SEEK_SET) == 100);
    CHECK(read(fd, in, 10) == 10 && memcmp(in, out + 100, 10) == 0);
    CHECK(ftruncate(fd, 5000) == 0 && lseek(fd, 0, SEEK_END) == 5000);
    done();
}
