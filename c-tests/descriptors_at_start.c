// The program finds the descriptors it was given and no others, may close everything above 2, and
// go on.
#include "harness.h"
#include <dirent.h>

int main(void) {
    int fd = open("/dev/null", O_RDONLY);
    say("first free descriptor: %d", fd);
    CHECK(close(fd) == 0);
    CHECK(RAW(436, 3, 0xffffffffu, 0) == 0); // close_range
    for (int i = 3; i < 1100; i++) CHECK(RAW(SYS_close, i) == -EBADF);
    pid_t child = fork();
    if (child == 0) _exit(RAW(SYS_getppid) > 0 ? 6 : 7);
    CHECK(ended(child) == 6);
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    write_call(page, SYS_getpid);
    CHECK(((long (*)(void))page)() == getpid());
    CHECK(RAW(SYS_close, 0) == 0 && RAW(SYS_close, 2) == 0);
    done();
}
