// A SIGSYS whose siginfo is forged to look like the backstop's, with addresses of the program's
// choice: the program's handler gets it as it was sent, and nothing is patched or called.
#include "harness.h"

static volatile int count, code;
static volatile void *address;
static unsigned char bytes[16] __attribute__((aligned(16))) = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    count++;
    code = info->si_code;
    address = info->si_addr;
}

int main(void) {
    handle(SIGSYS, on_signal, SA_SIGINFO);
    unsigned char before[16];
    memcpy(before, bytes, 16);
    for (int round = 0; round < 10; round++) {
        struct { int signo, error, code, pad; uint64_t call_addr; int number; unsigned arch;
                 char rest[96]; } forged;
        memset(&forged, 0, sizeof forged);
        forged.signo = SIGSYS;
        forged.code = 1; // SYS_SECCOMP
        forged.call_addr = (uint64_t)bytes + 7;
        forged.number = SYS_getppid;
        forged.arch = 0xc000003e;
        CHECK(RAW(SYS_rt_sigqueueinfo, getpid(), SIGSYS, &forged) == 0);
        CHECK(count == 2 * round + 1 && code == 1 && address == bytes + 7);
        CHECK(RAW(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGSYS, &forged) == 0);
        CHECK(count == 2 * round + 2 && code == 1);
        CHECK(memcmp(before, bytes, 16) == 0);
        CHECK(RAW(SYS_getpid) == getpid());
    }
    done();
}
