// clone's other uses: a child with no exit signal, shared files without shared memory, tids
// written in child and parent, a child of the caller's parent.
#include "clone.h"

int main(void) {
    // No exit signal: only __WCLONE or __WALL waits for it.
    long pid = RAW(SYS_clone, 0);
    if (pid == 0) RAW(SYS_exit, 3);
    int status = 0;
    CHECK(waitpid(pid, &status, 0x40000000) == pid && WEXITSTATUS(status) == 3);
    // CLONE_FILES: a descriptor opened by the child is open here.
    pid = RAW(SYS_clone, 0x400 | SIGCHLD);
    if (pid == 0) _exit(dup2(1, 55) == 55 ? 0 : 1);
    CHECK(ended(pid) == 0 && fcntl(55, F_GETFD) == 0 && close(55) == 0);
    // CLONE_CHILD_SETTID and PARENT_SETTID, without shared memory.
    static int parent_tid, child_tid;
    pid = RAW(SYS_clone, 0x01000000 | 0x00100000 | SIGCHLD, 0, &parent_tid, &child_tid);
    if (pid == 0) _exit(child_tid == getpid() ? 4 : 5);
    CHECK(ended(pid) == 4 && parent_tid == pid && child_tid == 0);
    // CLONE_FS: the child's umask is ours.
    pid = RAW(SYS_clone, 0x200 | SIGCHLD);
    if (pid == 0) RAW(SYS_umask, 077), _exit(0);
    CHECK(ended(pid) == 0 && RAW(SYS_umask, 022) == 077);
    // CLONE_PIDFD
    int pidfd = -1;
    pid = RAW(SYS_clone, 0x1000 | SIGCHLD, 0, &pidfd);
    if (pid == 0) _exit(0);
    CHECK(pidfd >= 0 && ended(pid) == 0 && close(pidfd) == 0);
    done();
}
