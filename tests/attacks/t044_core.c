// The file of a core dump holds all that the process had, the shim's memory included.
//# case: T44
//# title: a core dump is allowed
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: setrlimit = A2 EPERM
//# attack: prlimit64 = A2 EPERM
//# attack: prlimit64 of another process = A2 EPERM
//# twin: a limit of descriptors
//# note: the limit is set to 0, which everybody may: what is judged is which limit, and whose
#include "attack.h"
#include <sys/resource.h>

static const struct rlimit none = {0, 0};

static long set(long unused) { return only_error(call(SYS_setrlimit, RLIMIT_CORE, &none)); }

static long set_of(long pid) { return only_error(call(SYS_prlimit64, pid, RLIMIT_CORE, &none, 0)); }

static long set_other(long unused) {
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    long result = only_error(call(SYS_prlimit64, child, RLIMIT_CORE, &none, 0));
    CHECK(kill(child, SIGKILL) == 0);
    ended(child);
    return result;
}

static long descriptors(long unused) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

int main(void) {
    attack("setrlimit", set, 0);
    attack("prlimit64", set_of, 0);
    attack("prlimit64 of another process", set_other, 0);
    twin("a limit of descriptors", descriptors, 0);
    done();
}
