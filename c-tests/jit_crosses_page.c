// A call in JIT memory whose bytes lie on both sides of a page boundary, at every offset, with
// the second page of the same and of another protection.
#include "harness.h"

int main(void) {
    for (int kind = 0; kind < 2; kind++)
        for (int before = 1; before <= 8; before++) {
            unsigned char *pages = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
            memset(pages, 0xcc, 8192);
            write_call(pages + 4096 - before, SYS_getpid);
            if (kind) CHECK(mprotect(pages + 4096, 4096, PROT_READ | PROT_EXEC) == 0);
            long (*call)(void) = (long (*)(void))(pages + 4096 - before);
            for (int round = 0; round < 50; round++) CHECK(call() == getpid());
            CHECK(pages[4096 - before - 1] == 0xcc && pages[4096 - before + 8] == 0xcc);
        }
    done();
}
