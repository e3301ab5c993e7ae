// Calls at the first and the last bytes of a mapping whose neighbours are not mapped.
#include "harness.h"

int main(void) {
    unsigned char *pages = map_pages(3, PROT_READ | PROT_WRITE | PROT_EXEC);
    CHECK(munmap(pages, 4096) == 0 && munmap(pages + 8192, 4096) == 0);
    unsigned char *page = pages + 4096;
    // First bytes: the number is in eax already.
    static const unsigned char first[3] = {0x0f, 0x05, 0xc3};
    memcpy(page, first, 3);
    write_call(page + 4096 - 8, SYS_getppid);
    long (*last)(void) = (long (*)(void))(page + 4096 - 8);
    for (int round = 0; round < 50; round++) {
        long result;
        asm volatile("call *%1"
                     : "=a"(result)
                     : "r"(page), "a"(SYS_getpid)
                     : "rcx", "r11", "memory");
        CHECK(result == getpid());
        CHECK(last() == getppid());
    }
    // The very last bytes: `syscall` ends the mapping, and control comes back by a jump before it.
    // A child gets there, so that the fault behind the call is seen as the kernel gives it.
    static const unsigned char ending[7] = {0xb8, SYS_getpid, 0, 0, 0, 0x0f, 0x05};
    memcpy(page + 4096 - 7, ending, 7);
    pid_t pid = fork();
    if (pid == 0) {
        ((void (*)(void))(page + 4096 - 7))();
        _exit(0);
    }
    say("running off the end: %d", ended(pid));
    done();
}
