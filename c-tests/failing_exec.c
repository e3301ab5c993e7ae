// An exec that must fail anyway fails, and the caller goes on.
//#Backstop: strict,inspected
//#Native: missing file: ENOENT
//#Shim: missing file: refused
//#Native: bad pointer: EFAULT
//#Shim: bad pointer: refused
#include "harness.h"

static void report(const char *what, long result, int native) {
    CHECK(result < 0);
    if (result == -native) say("%s: %s", what, errno_name(native));
    else say("%s: %s", what, result == -EPERM ? "refused" : "another errno");
}

int main(void) {
    report("missing file", RAW(SYS_execve, "/does/not/exist", 0, 0), ENOENT);
    report("bad pointer", RAW(SYS_execve, 8, 0, 0), EFAULT);
    CHECK(RAW(SYS_getpid) == getpid());
    done();
}
