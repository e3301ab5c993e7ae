// The owner writes other code over a call that has run: the new code runs, never the old.
#include "harness.h"

int main(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    page += 64; // with bytes before it, so that the call can be rewritten
    long (*call)(void) = (long (*)(void))page;
    static const unsigned char constant[8] = {0xb8, 7, 0, 0, 0, 0x90, 0x90, 0xc3};
    static const unsigned char shifted[9] = {0x90, 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
    for (int round = 0; round < 50; round++) {
        write_call(page, SYS_getpid);
        CHECK(call() == getpid() && call() == getpid());
        write_call(page, SYS_getppid);
        CHECK(call() == getppid() && call() == getppid());
        memcpy(page, constant, sizeof constant);
        CHECK(call() == 7);
        memcpy(page, shifted, sizeof shifted);
        CHECK(call() == getpid() && call() == getpid());
        write_call(page, 600);
        CHECK(call() == -ENOSYS && call() == -ENOSYS);
        // Only the number is rewritten, as a JIT patches an immediate.
        write_call(page, SYS_getpid);
        CHECK(call() == getpid());
    }
    done();
}
