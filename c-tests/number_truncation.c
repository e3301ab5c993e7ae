// The kernel takes eax as the number: high bits are ignored; unknown, huge and negative numbers
// are ENOSYS.
#include "harness.h"

static void line(const char *what, long result) {
    say("%s: %s", what, result < 0 ? errno_name(result) : "ok");
}

int main(void) {
    for (int round = 0; round < 3; round++) {
        CHECK(RAW(0x100000000 + SYS_getpid) == getpid());
        CHECK(RAW(0xdeadbeef00000000 + SYS_getpid) == getpid());
        CHECK(RAW(0x8000000000000000 + SYS_getpid) == getpid());
        line("500", RAW(500));
        line("511", RAW(511));
        line("512", RAW(512));
        line("600", RAW(600));
        line("1000", RAW(1000));
        line("65535", RAW(65535));
        line("2^31", RAW(0x80000000));
        line("2^31-1", RAW(0x7fffffff));
        line("-1", RAW(-1));
        line("-2", RAW(-2));
        line("0xffffffff", RAW(0xffffffff));
        line("high half with -1", RAW(0x1ffffffff));
        line("high half with sigprocmask", RAW(0x500000000 + SYS_rt_sigprocmask, 0, 0, 0, 8));
        line("high half with bad sigprocmask", RAW(0x500000000 + SYS_rt_sigprocmask, 0, 1, 0, 8));
    }
    done();
}
