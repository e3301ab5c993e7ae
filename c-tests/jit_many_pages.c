// Two thousand pages of code, each used and unmapped: whatever a patched site costs is not a limit
// on how many sites a program may have in its life.
#include "harness.h"

int main(void) {
    for (int round = 0; round < 2000; round++) {
        unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
        for (int i = 0; i < 4; i++) write_call(page + 100 * i, i & 1 ? SYS_getpid : SYS_gettid);
        for (int i = 0; i < 8; i++) CHECK(((long (*)(void))(page + 100 * (i & 3)))() == getpid());
        CHECK(munmap(page, 4096) == 0);
    }
    done();
}
