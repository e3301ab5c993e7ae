// A process may have so many instructions of filters. All are used up; what is executed then has none left for the
// shim's, which it has inherited.
//# case: T99
//# title: the kernel's room for filters is used up
//# layers: B, X
//# policy: ia2
//# users: root, unprivileged
//# attack: then a refused call = A2 EPERM
//# attack: then exec and a refused call = A2 EPERM|EIO
//# twin: one filter, and an allowed call
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static struct sock_filter insns[4096];
static char own_path[256];

static long fill(long most) {
    for (int i = 0; i < 4096; i++) insns[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    for (long count = 0; count < most; count++) {
        // Shorter and shorter, so that nothing is left; the shim puts a few before each.
        struct sock_fprog filter = {count < 8 ? 3000 : 1, insns};
        long result = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
        if (result == -ENOMEM && count >= 8) return 0;
        if (result < 0 && result != -ENOMEM) return result;
    }
    return 0;
}

static long then_call(long unused) {
    long filled = fill(4000);
    return filled < 0 ? filled : forbidden();
}

static long then_exec(long unused) {
    long filled = fill(4000);
    if (filled < 0) return filled;
    char *const arguments[] = {own_path, "forbidden", 0}, *const none[] = {0};
    pid_t child = fork();
    if (child == 0) _exit((int)-call(SYS_execve, own_path, arguments, none));
    int code = ended(child);
    return code >= 1000 ? -EIO : -code;
}

static long one(long unused) {
    long filled = fill(1);
    return filled < 0 ? filled : RAW(SYS_getppid) == getppid() ? 0 : -EIO;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        long result = RAW(SYS_setfsuid, -1);
        _exit(only_error(result) ? (int)-result : 0);
    }
    CHECK(realpath(argv[0], own_path));
    attack("then a refused call", then_call, 0);
    attack("then exec and a refused call", then_exec, 0);
    twin("one filter, and an allowed call", one, 0);
    done();
}
