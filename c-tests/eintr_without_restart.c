// Without SA_RESTART a blocked read, a wait and a sleep return EINTR.
#include "harness.h"
#include <poll.h>

static volatile int ticks;
static void on_tick(int signal) { ticks += signal == SIGALRM; }

int main(void) {
    int ends[2];
    char byte;
    struct timespec hour = {3600, 0}, left = {0, 0};
    CHECK(pipe(ends) == 0);
    handle(SIGALRM, on_tick, 0);
    for (int round = 0; round < 5; round++) {
        ticks = 0;
        tick_every_us(1000);
        CHECK_ERRNO(read(ends[0], &byte, 1), EINTR);
        CHECK(RAW(SYS_read, ends[0], &byte, 1) == -EINTR);
        CHECK_ERRNO(nanosleep(&hour, &left), EINTR);
        CHECK(left.tv_sec >= 3500);
        CHECK(RAW(SYS_nanosleep, &hour, &left) == -EINTR);
        CHECK_ERRNO(pause(), EINTR);
        CHECK_ERRNO(poll(0, 0, -1), EINTR);
        pid_t child = fork();
        if (child == 0) {
            for (;;) pause();
        }
        CHECK_ERRNO(waitpid(child, 0, 0), EINTR);
        CHECK(kill(child, SIGKILL) == 0);
        CHECK(ended(child) == 1000 + SIGKILL);
        tick_every_us(0);
        CHECK(ticks >= 7);
    }
    done();
}
