// Numbers with the x32 bit are ENOSYS, as on a kernel without x32.
#include "harness.h"

int main(void) {
    for (int round = 0; round < 3; round++) {
        CHECK(RAW(0x40000000 + SYS_getpid) == -ENOSYS);
        CHECK(RAW(0x40000000 + SYS_rt_sigprocmask, 0, 0, 0, 8) == -ENOSYS);
        CHECK(RAW(0x40000200) == -ENOSYS);
        for (int nr = 512; nr < 548; nr++) CHECK(RAW(nr) == -ENOSYS);
        for (int nr = 512; nr < 548; nr++) CHECK(RAW(0x40000000 + nr) == -ENOSYS);
    }
    done();
}
