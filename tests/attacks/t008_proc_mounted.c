// A second /proc, where no rule about paths looks: in a namespace of its own, and by a descriptor that is
// mounted nowhere. All of it in a private namespace of mounts, which ends with the attempt.
//# case: T08
//# title: /proc is mounted a second time
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: unshare, NEWUSER = A2 EPERM
//# attack: mount [root] = A2 EPERM
//# attack: fsopen [root] = A2 EPERM
//# twin: unshare, FILES
#include "attack.h"
#include <sched.h>
#include <sys/mount.h>

static char folder[] = "/tmp/ia2-t008-XXXXXX";

static long unshare_user(long flags) { return only_error(call(SYS_unshare, flags)); }

/// Tells root's attempts from those of a program that may not make them.
static long enter(void) {
    long result = call(SYS_unshare, CLONE_NEWNS);
    if (result == 0) CHECK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0) == 0 || errno == EPERM);
    return result;
}

static long mount_proc(long unused) {
    long entered = enter();
    if (entered < 0) return entered;
    long result = call(SYS_mount, "proc", folder, "proc", 0, 0);
    if (result < 0) return result;
    char path[64];
    sprintf(path, "%s/self/maps", folder);
    return access(path, R_OK) == 0 ? 0 : -EIO;
}

static long open_proc(long unused) {
    long entered = enter();
    if (entered < 0) return entered;
    long fs = call(SYS_fsopen, "proc", 0);
    return fs < 0 ? fs : only_error(call(SYS_fsconfig, fs, 6, 0, 0, 0));
}

int main(void) {
    CHECK(mkdtemp(folder));
    attack("unshare, NEWUSER", unshare_user, CLONE_NEWUSER);
    attack("mount", mount_proc, 0);
    attack("fsopen", open_proc, 0);
    twin("unshare, FILES", unshare_user, CLONE_FILES);
    CHECK(rmdir(folder) == 0);
    done();
}
