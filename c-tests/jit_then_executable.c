// Code written to a page that is then made executable: mprotect from RW to RX.
//#MaxTraps: 45
#include "harness.h"

int main(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    write_call(page, SYS_getpid);
    write_call(page + 64, SYS_getppid);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    long (*call)(void) = (long (*)(void))page, (*other)(void) = (long (*)(void))(page + 64);
    for (int round = 0; round < 1000; round++) CHECK(call() == getpid() && other() == getppid());
    done();
}
