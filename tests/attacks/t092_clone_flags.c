// Tasks with namespaces of their own, or that a tracer does not see, by clone and clone3; and children that share
// memory with their parent.
//# case: T92, T93, T96
//# title: a new task leaves the sandbox
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: clone, NEWUSER = A2 EPERM
//# attack: clone, NEWUSER and NEWNS = A2 EPERM
//# attack: clone3, NEWUSER = A2 ENOSYS
//# attack: unshare, NEWUSER and NEWPID = A2 EPERM
//# attack: a vforked child's call = A2 EPERM
//# attack: a cloned child's call = A2 EPERM
//# twin: fork
//# twin: unshare, FS
#include "attack.h"
#include <linux/sched.h>
#include <sched.h>

static long in_child(long pid) {
    if (pid == 0) RAW(SYS_exit_group, 7);
    return pid < 0 ? pid : ended((pid_t)pid) == 7 ? 0 : -EIO;
}

/// As fork, but of those flags.
static long by_clone(long flags) {
    manner = under_shim && manner != CALL ? manner : CALL;
    return in_child(call(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
}

static long by_clone3(long flags) {
    struct clone_args arguments = {.flags = flags, .exit_signal = SIGCHLD};
    return in_child(call(SYS_clone3, &arguments, sizeof arguments));
}

static long by_unshare(long flags) { return only_error(call(SYS_unshare, flags)); }

static long after_vfork(long unused) {
    volatile long result = -EIO;
    pid_t child = vfork();
    if (child == 0) {
        result = forbidden();
        _exit(0);
    }
    ended(child);
    return result;
}

static long after_clone(long unused) {
    volatile long *result = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(result != MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        *result = forbidden();
        _exit(0);
    }
    ended(child);
    return *result;
}

int main(void) {
    attack("clone, NEWUSER", by_clone, CLONE_NEWUSER);
    attack("clone, NEWUSER and NEWNS", by_clone, CLONE_NEWUSER | CLONE_NEWNS);
    attack("clone3, NEWUSER", by_clone3, CLONE_NEWUSER);
    attack("unshare, NEWUSER and NEWPID", by_unshare, CLONE_NEWUSER | CLONE_NEWPID);
    attack("a vforked child's call", after_vfork, 0);
    attack("a cloned child's call", after_clone, 0);
    twin("fork", by_clone, 0);
    twin("unshare, FS", by_unshare, CLONE_FS);
    done();
}
