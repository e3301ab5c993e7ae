// A timer fires all the time while the program forks, vforks and starts threads: each child begins
// once, and signals go on in the parent.
#include "harness.h"

static volatile long ticks;
static void on_tick(int signal) { ticks += signal == SIGALRM; }
static void *thread(void *argument) { return (char *)argument + 1; }

int main(void) {
    handle(SIGALRM, on_tick, SA_RESTART);
    int ends[2];
    CHECK(pipe(ends) == 0);
    tick_every_us(200);
    long made = 0;
    for (int round = 0; round < 150 || ticks < 300; round++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            CHECK(write(ends[1], "x", 1) == 1);
            _exit(11);
        }
        made++;
        CHECK(ended(pid) == 11);
        pid = vfork();
        CHECK(pid >= 0);
        if (pid == 0) {
            RAW(SYS_write, ends[1], "x", 1);
            _exit(12);
        }
        made++;
        CHECK(ended(pid) == 12);
        pthread_t one;
        void *result;
        CHECK(pthread_create(&one, 0, thread, (void *)7) == 0);
        CHECK(pthread_join(one, &result) == 0 && result == (void *)8);
        if (round % 50 == 49) { // each child has written once
            static char bytes[4096];
            CHECK(read(ends[0], bytes, sizeof bytes) == made);
            made = 0;
        }
    }
    tick_every_us(0);
    long before = ticks;
    CHECK(raise(SIGALRM) == 0 && ticks >= before + 1);
    done();
}
