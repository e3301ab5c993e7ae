// Code written to a page that is and stays writable and executable runs 1,000 times.
#include "harness.h"

int main(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    write_call(page, SYS_getpid);
    long (*call)(void) = (long (*)(void))page;
    for (int round = 0; round < 1000; round++) CHECK(call() == getpid());
    done();
}
