// A filter that the program installs makes a call lie: it says 0 and does nothing. For the program's own calls that
// is its right. What the shim calls for itself while there is such a filter must not be judged by it.
//# case: T97
//# title: a filter of the program's lies to the shim
//# layers: U, B
//# policy: ia2
//# users: root, unprivileged
//# attack: a filter over the shim's own calls = A1 EIO
//# attack: by prctl = A2 EPERM
//# attack: a listener = A2 EPERM
//# twin: a filter over its own calls
//# note: the control of the first finds its own getpid fooled; EIO is a filter that is there and has no power over the shim
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static struct sock_filter lies[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_fprog filter = {sizeof lies / sizeof *lies, lies};

static long install(unsigned flags) {
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
}

/// Whether getpid, made where the shim makes its own calls, is answered by the filter.
static int is_fooled(void) {
    return (under_shim ? jump(gates[2], SYS_getpid, 0, 0, 0, 0, 0, 0) : RAW(SYS_getpid)) == 0;
}

static long over_the_shim(long unused) {
    long result = install(0);
    return result < 0 ? result : is_fooled() ? 0 : -EIO;
}

static long by_prctl(long unused) {
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    return only_error(call(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
}

static long listener(long unused) { return only_error(install(SECCOMP_FILTER_FLAG_NEW_LISTENER)); }

static long own(long unused) {
    long result = install(0);
    if (result < 0) return result;
    return RAW(SYS_getpid) == 0 ? 0 : -EIO;
}

int main(void) {
    attack("a filter over the shim's own calls", over_the_shim, 0);
    attack("by prctl", by_prctl, 0);
    attack("a listener", listener, 0);
    twin("a filter over its own calls", own, 0);
    done();
}
