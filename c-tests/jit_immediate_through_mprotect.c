// A JIT that keeps its pages either writable or executable changes one byte of code that has run,
// the immediate before a call: the new number counts.
#include "harness.h"

int main(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    write_call(page + 64, SYS_getpid);
    long (*call)(void) = (long (*)(void))(page + 64);
    for (int round = 0; round < 50; round++) {
        CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
        page[65] = round & 1 ? SYS_getpid : SYS_getppid;
        CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
        for (int i = 0; i < 5; i++) CHECK(call() == (round & 1 ? getpid() : getppid()));
    }
    done();
}
