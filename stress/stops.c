// Children that wait in calls with a time limit are stopped and continued at random, with and without
// signals that they handle: without a handler a sleep goes on where it was (restart_syscall), and no
// wait ends too early.
//#Rounds: 40 800
#include "stress.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

static volatile long handled;
static void on_signal(int signal) {
    (void)signal;
    handled++;
}

/// What a child does: calls with limits, until its time is over. Whether the kernel lets a stop
/// interrupt it is the kernel's; see signal(7).
static void child(struct chance chance, int with_handlers) {
    int ends[2], set = epoll_create1(0);
    CHECK(pipe(ends) == 0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) == 0);
    for (int times = 0; times < 12; times++) {
        int64_t whole = 1000 * (100 + below(&chance, 4000)), begin = now();
        struct timespec time = span(whole), end = span(begin + whole), left = {0, 0};
        int word = 1;
        struct pollfd fd = {ends[0], POLLIN, 0};
        uint64_t set_of_none = 0;
        long count = handled, result;
        int kind = below(&chance, 9), always = 1; // a stop without a handler does not interrupt it
        switch (kind) {
        case 0: result = RAW(SYS_nanosleep, &time, &left); break;
        case 1: result = RAW(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, &left); break;
        case 2: result = RAW(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &end, 0); break;
        case 3: result = RAW(SYS_poll, &fd, 1, 1 + whole / 1000000); break;
        case 4: result = RAW(SYS_ppoll, &fd, 1, &time, &set_of_none, 8); break;
        case 5: result = RAW(SYS_futex, &word, FUTEX_WAIT, 1, &time); break;
        case 6: result = RAW(SYS_futex, &word, FUTEX_WAIT_BITSET, 1, &end, 0, -1); break;
        case 7: result = RAW(SYS_epoll_pwait, set, &event, 1, 1 + whole / 1000000, &set_of_none, 8), always = 0; break;
        default: result = RAW(SYS_rt_sigtimedwait, &set_of_none, 0, &time, 8), always = 0;
        }
        long timeout = kind < 3 || kind == 3 || kind == 4 || kind == 7 ? 0 : kind < 7 ? -ETIMEDOUT : -EAGAIN;
        if (result == -EINTR) {
            NEED(!always || handled != count, "kind %d: interrupted without a handler", kind);
        } else {
            NEED(result == timeout, "kind %d: %ld", kind, result);
            NEED(now() - begin >= (kind == 3 || kind == 7 ? whole / 1000000 * 1000000 : whole),
                 "kind %d: too early", kind);
        }
        CHECK(RAW(500) == -ENOSYS);
    }
    _exit(with_handlers ? 21 : 20);
}

int main(int count, char **texts) {
    start(count, texts);
    handle(SIGUSR2, SIG_IGN, 0);
    for (long round = 0; round < turns; round++) {
        plan = sequence(seed, 1000 + round);
        int with_handlers = below(&plan, 3), status;
        int flags = with_handlers == 2 ? SA_RESTART : 0;
        handle(SIGUSR1, with_handlers ? (void *)on_signal : SIG_IGN, flags);
        handle(SIGCONT, with_handlers ? (void *)on_signal : SIG_DFL, flags);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
            child(plan, with_handlers);
        }
        note(with_handlers);
        struct chance chance = sequence(seed, 5000 + round);
        for (;;) {
            struct timespec pause = span(1000 * below(&chance, 2000));
            nanosleep(&pause, 0);
            // Without a handler these are ignored, and nothing may be interrupted by them.
            static const int harmless[] = {SIGCONT, SIGUSR1, SIGUSR2};
            if (once_in(&chance, 2)) CHECK(kill(pid, harmless[below(&chance, 3)]) == 0);
            CHECK(kill(pid, SIGSTOP) == 0);
            pid_t got = waitpid(pid, &status, WUNTRACED);
            CHECK(got == pid);
            if (!WIFSTOPPED(status)) break;
            if (once_in(&chance, 3)) {
                struct timespec rest = span(1000 * below(&chance, 3000));
                nanosleep(&rest, 0);
            }
            CHECK(kill(pid, SIGCONT) == 0);
        }
        NEED(WIFEXITED(status) && WEXITSTATUS(status) == (with_handlers ? 21 : 20), "a child ended with %x", status);
    }
    finish();
}
