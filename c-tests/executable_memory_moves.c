// Code that has run is moved by mremap, unmapped in part, and made data again; it still works where
// it is, and the data is what was written.
#include "harness.h"

int main(void) {
    for (int round = 0; round < 20; round++) {
        unsigned char *pages = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
        memset(pages, 0xcc, 8192);
        write_call(pages + 200, SYS_getpid);
        write_call(pages + 4096 + 200, SYS_getppid);
        CHECK(((long (*)(void))(pages + 200))() == getpid());
        CHECK(((long (*)(void))(pages + 4296))() == getppid());
        unsigned char *target = map_pages(2, PROT_NONE);
        CHECK(mremap(pages, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
        write_call(target + 400, SYS_gettid);
        CHECK(((long (*)(void))(target + 400))() == getpid());
        memset(target, 0xcc, 4096);
        write_call(target + 200, SYS_getppid);
        CHECK(((long (*)(void))(target + 200))() == getppid());
        CHECK(munmap(target, 4096) == 0);
        CHECK(mprotect(target + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
        memset(target + 4096, round, 4096);
        for (int i = 0; i < 4096; i++) CHECK(target[4096 + i] == round);
        CHECK(munmap(target + 4096, 4096) == 0);
    }
    done();
}
