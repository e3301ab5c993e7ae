// munmap and mmap at the same address with new code: nothing of the old code's patch is left.
#include "harness.h"

int main(void) {
    unsigned char *place = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int round = 0; round < 60; round++) {
        CHECK(munmap(place, 4096) == 0);
        CHECK(mmap(place, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == place);
        int at = 64 + round % 3, nr = round & 1 ? SYS_getpid : SYS_getppid;
        write_call(place + at, nr);
        long (*call)(void) = (long (*)(void))(place + at);
        for (int i = 0; i < 10; i++) CHECK(call() == (round & 1 ? getpid() : getppid()));
        if (round % 5 == 0) { // or mapped over, without munmap
            CHECK(mmap(place, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == place);
            write_call(place + 64, SYS_gettid);
            CHECK(((long (*)(void))(place + 64))() == getpid());
        }
    }
    done();
}
