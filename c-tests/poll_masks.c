// ppoll, pselect6, epoll_pwait and epoll_pwait2 wait under the given mask, the full one included,
// let an unblocked signal interrupt them, and restore the old mask.
#include "harness.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static volatile int count;
static void on_signal(int signal) { count += signal == SIGUSR1; }

static int ends[2], epoll;
static sigset_t full, open_usr1;

static long wait_with(int which, const sigset_t *mask, long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    struct timespec *limit = milliseconds < 0 ? 0 : &time;
    struct pollfd poll = {ends[0], POLLIN, 0};
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    long result;
    switch (which) {
    case 0: return ppoll(&poll, 1, limit, mask);
    case 1: return pselect(ends[0] + 1, &set, 0, 0, limit, mask);
    case 2: return epoll_pwait(epoll, &event, 1, (int)milliseconds, mask);
    default:
        result = RAW(441, epoll, &event, 1, limit, mask, 8); // epoll_pwait2
        if (result < 0) errno = (int)-result;
        return result < 0 ? -1 : result;
    }
}

int main(void) {
    handle(SIGUSR1, on_signal, SA_RESTART);
    CHECK(pipe(ends) == 0 && (epoll = epoll_create1(0)) >= 0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
    sigset_t block, now;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    sigaddset(&block, SIGSYS);
    CHECK(sigprocmask(SIG_BLOCK, &block, 0) == 0);
    sigfillset(&full);
    open_usr1 = full;
    sigdelset(&open_usr1, SIGUSR1);
    for (int which = 0; which < 4; which++) {
        for (int round = 0; round < 10; round++) {
            // Nothing to read, no signal, full mask: times out.
            CHECK(wait_with(which, &full, 1) == 0);
            // A pending signal that the mask blocks does not interrupt.
            count = 0;
            CHECK(raise(SIGUSR1) == 0 && count == 0);
            CHECK(wait_with(which, &full, 1) == 0 && count == 0);
            // One that the mask opens does, at once.
            CHECK_ERRNO(wait_with(which, &open_usr1, -1), EINTR);
            CHECK(count == 1);
            CHECK(sigprocmask(SIG_BLOCK, 0, &now) == 0);
            CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGSYS));
            CHECK(!sigismember(&now, SIGUSR2));
            // Something to read.
            CHECK(write(ends[1], "x", 1) == 1);
            CHECK(wait_with(which, &full, -1) == 1);
            CHECK(wait_with(which, 0, -1) == 1);
            char byte;
            CHECK(read(ends[0], &byte, 1) == 1);
            CHECK(RAW(SYS_getpid) == getpid());
        }
        // A signal that arrives while waiting.
        pid_t parent = getpid(), child = fork();
        if (child == 0) {
            do {
                kill(parent, SIGUSR1);
                usleep(1000);
            } while (getppid() == parent && read(ends[0], &event, 0) == 0 && count < 0);
            _exit(0);
        }
        count = 0;
        CHECK_ERRNO(wait_with(which, &open_usr1, -1), EINTR);
        CHECK(count == 1 && ended(child) == 0);
    }
    done();
}
