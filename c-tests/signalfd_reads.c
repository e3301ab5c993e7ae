// signalfd delivers blocked signals as data; a set that names SIGSYS is accepted.
#include "harness.h"
#include <poll.h>
#include <sys/signalfd.h>

int main(void) {
    sigset_t set;
    struct signalfd_siginfo info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGSYS);
    CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_ERRNO(read(fd, &info, sizeof info), EAGAIN);
    for (int round = 0; round < 20; round++) {
        CHECK(raise(round & 1 ? SIGUSR1 : SIGTERM) == 0);
        struct pollfd poll_one = {fd, POLLIN, 0};
        CHECK(poll(&poll_one, 1, -1) == 1);
        CHECK(read(fd, &info, sizeof info) == sizeof info);
        CHECK(info.ssi_signo == (uint32_t)(round & 1 ? SIGUSR1 : SIGTERM));
        CHECK(info.ssi_pid == (uint32_t)getpid() && info.ssi_code == SI_TKILL);
        CHECK(RAW(SYS_getpid) == getpid());
    }
    // A new set for the same descriptor.
    sigdelset(&set, SIGUSR1);
    CHECK(signalfd(fd, &set, 0) == fd && raise(SIGUSR1) == 0);
    CHECK_ERRNO(read(fd, &info, sizeof info), EAGAIN);
    CHECK_ERRNO(signalfd(987654, &set, 0), EBADF);
    done();
}
