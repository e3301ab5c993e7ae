// With SA_RESTART a blocked read goes on after handlers, as often as they come, and returns data.
#include "harness.h"

static int ends[2];
static volatile int ticks;

static void on_tick(int signal) {
    (void)signal;
    if (++ticks == 5) CHECK(write(ends[1], "data", 4) == 4);
}

int main(void) {
    char bytes[8];
    CHECK(pipe(ends) == 0);
    handle(SIGALRM, on_tick, SA_RESTART);
    for (int round = 0; round < 10; round++) {
        ticks = 0;
        tick_every_us(1000);
        if (round & 1)
            CHECK(read(ends[0], bytes, 8) == 4);
        else
            CHECK(RAW(SYS_read, ends[0], bytes, 8) == 4);
        CHECK(memcmp(bytes, "data", 4) == 0 && ticks >= 5);
        tick_every_us(0);
    }
    done();
}
