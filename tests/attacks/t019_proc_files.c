// Files of /proc and /dev that tell about a process or change it, beside mem.
//# case: T19, T111
//# title: other files of /proc and /dev
//# layers: U
//# policy: ia2
//# users: root, unprivileged
//# attack: /dev/mem [root] = A1 EACCES
//# attack: /proc/self/syscall is read = A1 EACCES
//# attack: /proc/self/pagemap is read = A1 EACCES
//# attack: /proc/self/clear_refs is written = A1 EACCES
//# attack: /proc/self/coredump_filter is written = A1 EACCES
//# attack: /proc/self/oom_score_adj is written = A1 EACCES
//# attack: a mapping's file is opened again [root] = open: it leads to the file, which the policy has
//# twin: /proc/self/status is read
//# twin: /proc/cpuinfo is read
#include "attack.h"

static const struct {
    const char *path;
    int flags;
} files[] = {
    {"/dev/mem", O_RDWR},
    {"/proc/self/syscall", O_RDONLY},
    {"/proc/self/pagemap", O_RDONLY},
    {"/proc/self/clear_refs", O_WRONLY},
    {"/proc/self/coredump_filter", O_WRONLY},
    {"/proc/self/oom_score_adj", O_WRONLY},
    {"/proc/self/status", O_RDONLY},
    {"/proc/cpuinfo", O_RDONLY},
};

/// Opens it; reads a byte, or writes what says nothing new.
static long open_file(long which) {
    long fd = call(SYS_openat, AT_FDCWD, files[which].path, files[which].flags);
    // Few kernels have /dev/mem: that root may look for it is enough.
    if (files[which].flags == O_RDWR) return fd >= 0 || (fd == -ENOENT && geteuid() == 0) ? 0 : fd;
    if (fd < 0) return fd;
    char text[8];
    if (files[which].flags == O_RDONLY) return read(fd, text, sizeof text) == sizeof text ? 0 : -EIO;
    const char *same = which == 3 ? "1" : which == 4 ? "0x33" : "0";
    return write(fd, same, strlen(same)) > 0 ? 0 : -errno;
}

/// The file of a mapping that can only be read is opened for writing.
static long mapped_file(long unused) {
    char name[] = "/tmp/ia2-t019-XXXXXX", path[96];
    int file = mkstemp(name);
    CHECK(file >= 0 && ftruncate(file, 4096) == 0);
    char *view = mmap(0, 4096, PROT_READ, MAP_SHARED, file, 0);
    CHECK(view != MAP_FAILED && close(file) == 0);
    sprintf(path, "/proc/self/map_files/%lx-%lx", (long)view, (long)view + 4096);
    long again = call(SYS_openat, AT_FDCWD, path, O_RDWR);
    CHECK(unlink(name) == 0);
    return again < 0 ? again : call(SYS_pwrite64, again, "x", 1, 0) == 1 && *view == 'x' ? 0 : -EIO;
}

int main(void) {
    attack("/dev/mem", open_file, 0);
    attack("/proc/self/syscall is read", open_file, 1);
    attack("/proc/self/pagemap is read", open_file, 2);
    attack("/proc/self/clear_refs is written", open_file, 3);
    attack("/proc/self/coredump_filter is written", open_file, 4);
    attack("/proc/self/oom_score_adj is written", open_file, 5);
    attack("a mapping's file is opened again", mapped_file, 0);
    twin("/proc/self/status is read", open_file, 6);
    twin("/proc/cpuinfo is read", open_file, 7);
    done();
}
