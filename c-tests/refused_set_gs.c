// The gs base is the one register that is taken: setting it is refused, reading it answers 0.
// The fs base is the program's.
//#Native: set gs: ok
//#Shim: set gs: EPERM
//#Backstop: strict,inspected,sud
#include "harness.h"

int main(void) {
    static uint64_t cell[2];
    uint64_t gs = 1, fs = 0;
    CHECK(RAW(SYS_arch_prctl, 0x1004, &gs) == 0 && gs == 0);
    say("set gs: %s", errno_name(RAW(SYS_arch_prctl, 0x1001, cell)));
    CHECK(RAW(SYS_arch_prctl, 0x1003, &fs) == 0 && fs != 0);
    CHECK(RAW(SYS_arch_prctl, 0x1002, fs) == 0);
    CHECK(RAW(SYS_arch_prctl, 0x1003, 8) == -EFAULT);
    CHECK(getpid() == RAW(SYS_getpid));
    done();
}
