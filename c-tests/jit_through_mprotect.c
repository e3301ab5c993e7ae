// A JIT that rewrites the whole of a small function through mprotect RW and back to RX.
#include "harness.h"

int main(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    long (*call)(void) = (long (*)(void))page;
    for (int round = 0; round < 50; round++) {
        int nr = round & 1 ? SYS_getpid : SYS_getppid;
        long expect = round & 1 ? getpid() : getppid();
        CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
        memset(page, 0xcc, 4096);
        write_call(page + round, nr);
        CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
        call = (long (*)(void))(page + round);
        for (int i = 0; i < 20; i++) CHECK(call() == expect);
        CHECK(page[round + 7] == 0xc3 && page[round + 8] == 0xcc);
    }
    done();
}
