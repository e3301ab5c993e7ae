// All 128 combinations of CF PF AF ZF SF DF OF survive a fast and an inspected call.
#include "probe.h"

PROBE(fast, "mov $39, %eax\nsyscall");
PROBE(inspected, "mov $14, %eax\nsyscall");
PROBE(any, "nop\nsyscall");

int main(void) {
    static const uint64_t bits[7] = {1, 4, 16, 64, 128, 1024, 2048};
    static uint64_t mask;
    for (int combination = 0; combination < 128; combination++) {
        uint64_t flags = 0x202;
        for (int i = 0; i < 7; i++)
            if (combination >> i & 1) flags |= bits[i];
        probe_fill();
        probe_in.flags = flags;
        fast();
        probe_compare("getpid", fast_after);
        probe_call(0, SIG_BLOCK, 0, (long)&mask, 8, 0, 0);
        inspected();
        probe_compare("rt_sigprocmask", inspected_after);
        probe_call(SYS_rt_sigaction, SIGUSR1, 0, 0, 8, 0, 0);
        any();
        probe_compare("rt_sigaction", any_after);
        probe_call(SYS_getuid, 0, 0, 0, 0, 0, 0);
        any();
        probe_compare("getuid", any_after);
    }
    done();
}
