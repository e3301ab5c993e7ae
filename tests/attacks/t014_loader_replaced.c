// The loader's descriptor is taken away, another file is put into its slot, and its file is written to. The control
// plays the loader with a memory file of its own.
//# case: T14, T15, T16, T114
//# title: the loader, which every exec executes, is replaced
//# layers: B
//# policy: base, ia2
//# users: root, unprivileged
//# attack: close = A2 EBADF
//# attack: dup2 = A2 EBADF
//# attack: dup3 = A2 EBADF
//# attack: close_range = A2 EIO
//# attack: F_SETFD = A2 EBADF
//# attack: FIOCLEX = A2 EBADF
//# attack: F_DUPFD = A2 EBADF
//# attack: its file is written = A2 EPERM|ETXTBSY
//# attack: its file is cut = A2 EPERM|ETXTBSY
//# attack: its file is mapped = A2 EPERM|ETXTBSY
//# attack: its file gets a hole = A2 EPERM|ETXTBSY
//# twin: another descriptor is closed
//# twin: another descriptor is put elsewhere
//# twin: exec
//# note: EIO is a close_range around the loader; the file that is executed is ETXTBSY before it is sealed
#include "attack.h"
#include <sys/ioctl.h>
#include <sys/resource.h>

#define LOADER 1023
#define OTHER 1000

/// Natively: a memory file in the loader's slot.
static void put(int fd) {
    if (under_shim && fd == LOADER) return;
    int file = memfd_create("stand-in", 0);
    CHECK(file >= 0 && dup2(file, fd) == fd && close(file) == 0);
}

static long exec_again(long unused) {
    pid_t child = fork();
    if (child == 0) {
        char *const arguments[] = {"t014", "again", 0}, *const none[] = {0};
        execve("/proc/self/exe", arguments, none);
        _exit(127);
    }
    return ended(child) == (under_shim ? 3 : 2) ? 0 : -EIO;
}

typedef struct {
    const char *name;
    long nr, args[3];
} Taking;

static const Taking takings[] = {
    {"close", SYS_close, {LOADER}},
    {"dup2", SYS_dup2, {0, LOADER}},
    {"dup3", SYS_dup3, {0, LOADER, O_CLOEXEC}},
    {"close_range", SYS_close_range, {1010, LOADER, 0}},
    {"F_SETFD", SYS_fcntl, {LOADER, F_SETFD, FD_CLOEXEC}},
    {"FIOCLEX", SYS_ioctl, {LOADER, FIOCLEX, 0}},
    {"F_DUPFD", SYS_fcntl, {LOADER, F_DUPFD, 0}},
};

/// Reached if exec does not come by the loader any more, or its descriptor is known by another number.
static long take(long taking) {
    const Taking *one = (const Taking *)taking;
    put(LOADER);
    long result = only_error(call(one->nr, one->args[0], one->args[1], one->args[2]));
    if (result < 0) return result;
    return under_shim && one->nr == SYS_close_range && exec_again(0) == 0 ? -EIO : 0;
}

enum { WRITE, CUT, MAP, HOLE };

static long change_file(long how) {
    put(LOADER);
    long file = call(SYS_openat, AT_FDCWD, "/proc/self/fd/1023", O_RDWR);
    if (file < 0) return file;
    switch (how) {
    case WRITE: return only_error(call(SYS_write, file, "x", 1));
    case CUT: return call(SYS_ftruncate, file, 4096);
    case MAP: return only_error(call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    default: return call(SYS_fallocate, file, 3 /* PUNCH_HOLE | KEEP_SIZE */, 0, 4096);
    }
}

static long close_other(long unused) {
    put(OTHER);
    return close(OTHER) ? -errno : 0;
}

static long move_other(long unused) {
    put(OTHER);
    return dup2(0, OTHER) == OTHER && close_range(990, OTHER, 0) == 0 ? 0 : -errno;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "again")) return under_shim ? 3 : 2;
    struct rlimit limit = {4096, 4096};
    setrlimit(RLIMIT_NOFILE, &limit);
    for (unsigned i = 0; i < sizeof takings / sizeof *takings; i++) attack(takings[i].name, take, (long)&takings[i]);
    attack("its file is written", change_file, WRITE);
    attack("its file is cut", change_file, CUT);
    attack("its file is mapped", change_file, MAP);
    attack("its file gets a hole", change_file, HOLE);
    twin("another descriptor is closed", close_other, 0);
    twin("another descriptor is put elsewhere", move_other, 0);
    twin("exec", exec_again, 0);
    done();
}
