// Code written through one view of a shared mapping and run through another, as JITs with W^X do.
#include "harness.h"

int main(void) {
    int fd = memfd_create("code", 0);
    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    unsigned char *writable = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *runnable = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(writable != MAP_FAILED && runnable != MAP_FAILED);
    for (int round = 0; round < 50; round++) {
        int nr = round & 1 ? SYS_getpid : SYS_getppid;
        write_call(writable + 64, nr);
        long (*call)(void) = (long (*)(void))(runnable + 64);
        for (int i = 0; i < 10; i++) CHECK(call() == (round & 1 ? getpid() : getppid()));
    }
    done();
}
