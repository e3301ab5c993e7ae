// A JIT that changes one byte of code that has run, the immediate before a call: the new number
// counts, in a page that stays writable.
#include "harness.h"

int main(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    page += 64; // with bytes before it, so that the call can be rewritten
    write_call(page, SYS_getpid);
    long (*call)(void) = (long (*)(void))page;
    for (int round = 0; round < 50; round++) {
        page[1] = SYS_getpid;
        CHECK(call() == getpid() && call() == getpid());
        page[1] = SYS_getppid;
        CHECK(call() == getppid() && call() == getppid());
    }
    done();
}
