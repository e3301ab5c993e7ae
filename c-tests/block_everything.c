// With every signal blocked a program makes calls from sites old and new, and nothing happens to
// it; the mask it sees is the one it set.
#include "harness.h"

int main(void) {
    sigset_t all, now;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, 0) == 0);
    for (int round = 0; round < 1000; round++) {
        CHECK(RAW(SYS_getpid) == getpid());
        CHECK(RAW(SYS_read, -1, 0, 0) == -EBADF);
    }
    unsigned char *pages = map_pages(20, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int i = 0; i < 20; i++) {
        write_call(pages + i * 4096, SYS_getppid);
        CHECK(((long (*)(void))(pages + i * 4096))() == getppid());
    }
    uint64_t mask = 0;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &(uint64_t){UINT64_MAX}, 0, 8) == 0);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8) == 0);
    CHECK(mask == ~(1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1)));
    pid_t child = fork();
    if (child == 0) {
        write_call(pages + 100, SYS_getppid);
        CHECK(((long (*)(void))(pages + 100))() == getppid());
        CHECK(sigprocmask(SIG_BLOCK, 0, &now) == 0 && sigismember(&now, SIGSYS));
        _exit(0);
    }
    CHECK(ended(child) == 0);
    CHECK(raise(SIGTERM) == 0 && raise(SIGUSR1) == 0);
    done();
}
