// The program takes away what the shim may need: descriptors, memory, time, stack. Then it makes a call that the
// policy refuses, where it is trapped.
//# case: T108
//# title: limits are lowered under the shim
//# layers: U
//# policy: ia2
//# users: root, unprivileged
//# attack: NOFILE = A2 EPERM
//# attack: AS = A2 EPERM
//# attack: STACK = A2 EPERM
//# attack: SIGPENDING = A2 EPERM
//# attack: FSIZE = A2 EPERM
//# attack: NPROC = A2 EPERM
//# twin: NOFILE, and an allowed call
#include "attack.h"
#include <sys/resource.h>

static const struct rlimit none = {0, 0};

static long lower(long which) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    memcpy(page, forbidden_code, sizeof forbidden_code);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    long result = call(SYS_setrlimit, which, &none);
    return result < 0 ? result : run(page);
}

static long and_go_on(long unused) {
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    return RAW(SYS_getppid) == getppid() && write(1, "", 0) == 0 ? 0 : -EIO;
}

int main(void) {
    attack("NOFILE", lower, RLIMIT_NOFILE);
    attack("AS", lower, RLIMIT_AS);
    attack("STACK", lower, RLIMIT_STACK);
    attack("SIGPENDING", lower, RLIMIT_SIGPENDING);
    attack("FSIZE", lower, RLIMIT_FSIZE);
    attack("NPROC", lower, RLIMIT_NPROC);
    twin("NOFILE, and an allowed call", and_go_on, 0);
    done();
}
