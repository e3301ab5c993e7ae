// A descriptor is copied out of a process, which may be oneself: no dup that the shim looks at.
//# case: T13
//# title: pidfd_getfd copies a descriptor
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: by pidfd_open = A2 EPERM
//# twin: dup
#include "attack.h"

static long by_pidfd(long unused) {
    long pidfd = call(SYS_pidfd_open, getpid(), 0);
    return pidfd < 0 ? pidfd : only_error(call(SYS_pidfd_getfd, pidfd, 1, 0));
}

static long duplicate(long unused) { return dup(1) < 0 ? -errno : 0; }

int main(void) {
    attack("by pidfd_open", by_pidfd, 0);
    twin("dup", duplicate, 0);
    done();
}
