// membarrier's registrations are the program's own: what it has not registered fails, and is not told.
//#Libc: glibc
#include "harness.h"
#include <linux/membarrier.h>

#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

static void try_all(const char *when) {
    say("%s: %ld %s %s", when, RAW(SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS),
        errno_name(RAW(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED)),
        errno_name(RAW(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)));
}

int main(void) {
    try_all("at start");
    say("flags: %s", errno_name(RAW(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 7)));
    say("unknown: %s", errno_name(RAW(SYS_membarrier, -1)));
    CHECK(RAW(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) == 0);
    try_all("sync core");
    CHECK(RAW(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0);
    try_all("both");
    pid_t child = fork();
    if (child == 0) {
        try_all("child");
        _exit(0);
    }
    say("%d", ended(child));
    done();
}
