// Code run from a shared mapping of a file: the file keeps its bytes.
#include "harness.h"

int main(void) {
    unsigned char code[4096], now[4096];
    memset(code, 0xcc, sizeof code);
    write_call(code + 64, SYS_getpid);
    write_call(code + 4000, SYS_getppid);
    int fd = memfd_create("code", 0);
    CHECK(fd >= 0 && write(fd, code, sizeof code) == (ssize_t)sizeof code);
    for (int round = 0; round < 2; round++) {
        int flags = round ? MAP_PRIVATE : MAP_SHARED;
        unsigned char *page = mmap(0, 4096, PROT_READ | PROT_EXEC, flags, fd, 0);
        CHECK(page != MAP_FAILED);
        for (int i = 0; i < 100; i++) {
            CHECK(((long (*)(void))(page + 64))() == getpid());
            CHECK(((long (*)(void))(page + 4000))() == getppid());
        }
        CHECK(pread(fd, now, sizeof now, 0) == (ssize_t)sizeof now);
        CHECK(memcmp(code, now, sizeof now) == 0);
    }
    done();
}
