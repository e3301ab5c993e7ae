// sigaction reports exactly what was set: handler, flags, mask, for every signal, SIGSYS too.
#include "harness.h"

static void one(int signal) { (void)signal; }

int main(void) {
    // The kernel's own structure: handler, flags, restorer, mask.
    struct { uint64_t handler, flags, restorer, mask; } set, old;
    static const uint64_t flags[] = {0, SA_RESTART, SA_NODEFER | SA_SIGINFO, SA_ONSTACK | SA_RESETHAND,
                                     SA_NOCLDSTOP | SA_NOCLDWAIT};
    for (int signal = 1; signal <= 64; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        CHECK(RAW(SYS_rt_sigaction, signal, 0, &old, 8) == 0);
        if (old.handler) say("signal %d starts with handler %d", signal, (int)old.handler);
        uint64_t before = old.handler;
        for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
            set.handler = (uint64_t)one;
            set.flags = flags[i] | 0x04000000;
            set.restorer = 0x1234560 + i;
            set.mask = 0x5555555500000000ul | (uint64_t)signal << i;
            CHECK(RAW(SYS_rt_sigaction, signal, &set, 0, 8) == 0);
            memset(&old, 0xee, sizeof old);
            CHECK(RAW(SYS_rt_sigaction, signal, 0, &old, 8) == 0);
            uint64_t mask = set.mask & ~(1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1));
            if (old.handler != set.handler) say("signal %d: handler differs", signal);
            if (old.flags != set.flags) say("signal %d: flags %lx", signal, old.flags ^ set.flags);
            if (old.restorer != set.restorer) say("signal %d: restorer differs", signal);
            if (old.mask != mask) say("signal %d: mask %lx", signal, old.mask ^ mask);
        }
        set.handler = 1; // ignored
        set.flags = 0;
        set.restorer = 0;
        set.mask = 1ul << (SIGSYS - 1) | 1ul << 40;
        CHECK(RAW(SYS_rt_sigaction, signal, &set, &old, 8) == 0 && old.handler == (uint64_t)one);
        CHECK(RAW(SYS_rt_sigaction, signal, 0, &old, 8) == 0);
        CHECK(old.handler == 1 && old.mask == set.mask);
        set.handler = before;
        CHECK(RAW(SYS_rt_sigaction, signal, &set, &old, 8) == 0 && old.handler == 1);
    }
    CHECK(RAW(SYS_getpid) == getpid());
    done();
}
