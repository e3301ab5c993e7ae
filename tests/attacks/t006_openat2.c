// /proc/self/mem by openat2, whose flags of resolution change which links are followed.
//# case: T06
//# title: /proc/self/mem is opened by openat2
//# layers: U
//# policy: ia2
//# users: root, unprivileged
//# attack: no flags = A1 EACCES
//# attack: RESOLVE_NO_MAGICLINKS = A1 EACCES
//# attack: RESOLVE_NO_SYMLINKS, by pid = A1 EACCES
//# attack: RESOLVE_BENEATH = A1 EACCES
//# attack: RESOLVE_IN_ROOT = A1 EACCES
//# twin: /proc/self/maps, RESOLVE_NO_MAGICLINKS
#include "attack.h"
#include <linux/openat2.h>

static long open_by(const char *folder, const char *path, unsigned long resolve, unsigned long flags) {
    int at = AT_FDCWD;
    if (folder) CHECK((at = open(folder, O_RDONLY | O_DIRECTORY)) >= 0);
    struct open_how how = {.flags = flags, .resolve = resolve};
    long fd = call(SYS_openat2, at, path, &how, sizeof how);
    if (fd < 0) return fd;
    char byte = 0, *here = strdup("here");
    CHECK(here);
    if (flags == O_RDONLY) return read(fd, &byte, 1) == 1 ? 0 : -EIO;
    return pwrite(fd, "t", 1, (long)here) == 1 && here[0] == 't' ? 0 : -EIO;
}

static long plain(long resolve) { return open_by(0, "/proc/self/mem", resolve, O_RDWR); }

static long by_pid(long unused) {
    char path[64];
    sprintf(path, "/proc/%d/mem", getpid());
    return open_by(0, path, RESOLVE_NO_SYMLINKS, O_RDWR);
}

static long in_folder(long resolve) {
    return open_by("/proc/self", resolve == RESOLVE_IN_ROOT ? "/mem" : "mem", resolve, O_RDWR);
}

static long maps(long unused) { return open_by(0, "/proc/self/maps", RESOLVE_NO_MAGICLINKS, O_RDONLY); }

int main(void) {
    attack("no flags", plain, 0);
    attack("RESOLVE_NO_MAGICLINKS", plain, RESOLVE_NO_MAGICLINKS);
    attack("RESOLVE_NO_SYMLINKS, by pid", by_pid, 0);
    attack("RESOLVE_BENEATH", in_folder, RESOLVE_BENEATH);
    attack("RESOLVE_IN_ROOT", in_folder, RESOLVE_IN_ROOT);
    twin("/proc/self/maps, RESOLVE_NO_MAGICLINKS", maps, 0);
    done();
}
