// A timer fires all the time while data goes through a pipe: every byte arrives, in order, and no
// call returns what it should not.
#include "harness.h"

static volatile long ticks;
static void on_tick(int signal) {
    ticks += signal == SIGALRM;
    RAW(SYS_getpid);
}

static unsigned char byte_at(long position) { return (unsigned char)(position * 131 + (position >> 8)); }

int main(void) {
    int ends[2];
    static unsigned char out[3000], in[3000];
    CHECK(pipe(ends) == 0);
    for (int flags = 0; flags < 2; flags++) {
        handle(SIGALRM, on_tick, flags ? SA_RESTART : 0);
        tick_every_us(50);
        long written = 0, got = 0;
        ticks = 0;
        while (got < 3000000 || ticks < 200) {
            for (int i = 0; i < 3000; i++) out[i] = byte_at(written + i);
            for (int at = 0; at < 3000;) {
                ssize_t n = write(ends[1], out + at, 3000 - at);
                if (n < 0 && errno == EINTR) continue;
                CHECK(n > 0);
                at += n;
            }
            written += 3000;
            while (got < written) {
                ssize_t n = read(ends[0], in, sizeof in);
                if (n < 0 && errno == EINTR) continue;
                CHECK(n > 0);
                for (int i = 0; i < n; i++) CHECK(in[i] == byte_at(got + i));
                got += n;
            }
            CHECK(RAW(500) == -ENOSYS && RAW(SYS_getpid) == getpid());
            CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8) == 0);
        }
        tick_every_us(0);
    }
    done();
}
