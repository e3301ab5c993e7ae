// Memory is read and written by calls that name a process: oneself, one's parent.
//# case: T41, T42
//# title: memory is written by process_vm_writev and ptrace
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: process_vm_readv of oneself = A1 EPERM
//# attack: process_vm_writev of oneself = A2 EPERM
//# attack: a child writes its parent's code = A2 EPERM
//# attack: PTRACE_TRACEME = A2 EPERM
//# twin: waitpid
#include "attack.h"
#include <sys/ptrace.h>
#include <sys/uio.h>

static long copy(long nr) {
    char from = 'f', to = 't';
    struct iovec local = {nr == SYS_process_vm_readv ? &to : &from, 1};
    struct iovec remote = {nr == SYS_process_vm_readv ? &from : &to, 1};
    long result = call(nr, getpid(), &local, 1, &remote, 1, 0);
    return result < 0 ? result : *(volatile char *)&to == 'f' ? 0 : -EIO;
}

static long by_child(long unused) {
    unsigned char *page = victim_code();
    pid_t child = fork();
    if (child == 0) {
        pid_t parent = getppid();
        long result = call(SYS_ptrace, PTRACE_SEIZE, parent, 0, 0);
        if (result == 0) result = call(SYS_ptrace, PTRACE_INTERRUPT, parent, 0, 0);
        manner = CALL;
        if (result < 0) _exit((int)-result);
        int status;
        CHECK(waitpid(parent, &status, __WALL) == parent);
        CHECK(ptrace(PTRACE_POKETEXT, parent, page, 0xc300000002b8) == 0);
        CHECK(ptrace(PTRACE_DETACH, parent, 0, 0) == 0);
        _exit(0);
    }
    int code = ended(child);
    return code ? -code : gives(page) == 2 ? 0 : -EIO;
}

static long be_traced(long unused) { return only_error(call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)); }

static long wait_for_child(long unused) {
    pid_t child = fork();
    if (child == 0) _exit(5);
    return ended(child) == 5 ? 0 : -EIO;
}

int main(void) {
    attack("process_vm_readv of oneself", copy, SYS_process_vm_readv);
    attack("process_vm_writev of oneself", copy, SYS_process_vm_writev);
    attack("a child writes its parent's code", by_child, 0);
    attack("PTRACE_TRACEME", be_traced, 0);
    twin("waitpid", wait_for_child, 0);
    done();
}
