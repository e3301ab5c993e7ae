// A page of code is written through /proc/self/mem, which the kernel does whatever the page allows, by
// every name that leads there. What a path leads to is judged, not how it is written.
//# case: T01, T02, T03, T05, T07
//# title: code is written through /proc/self/mem
//# layers: U
//# policy: ia2
//# users: root, unprivileged
//# attack: self = A1 EACCES
//# attack: thread-self = A1 EACCES
//# attack: by pid = A1 EACCES
//# attack: task of self = A1 EACCES
//# attack: task by pid = A1 EACCES
//# attack: dots and slashes = A1 EACCES
//# attack: root of self = A1 EACCES
//# attack: cwd of self = A1 EACCES
//# attack: open = A1 EACCES
//# attack: creat = A1 EACCES
//# attack: a folder's descriptor = A1 EACCES
//# attack: through fd of a folder = A1 EACCES
//# attack: chdir = A1 EACCES
//# attack: fchdir = A1 EACCES
//# attack: O_PATH, then opened again = A1 EACCES
//# attack: the sealed gate = A2 EACCES
//# twin: /proc/self/maps
//# twin: a file
//# twin: /proc/self/fd of a pipe
#include "attack.h"

/// Writes through `fd`, and sees.
static long write_code(long fd) {
    if (fd < 0) return fd;
    unsigned char *page = victim_code(), code[6];
    write_function(code, 2);
    long wrote = call(SYS_pwrite64, fd, code, sizeof code, page);
    return wrote < 0 ? wrote : gives(page) == 2 ? 0 : -EIO;
}

enum { OPENAT, OPEN, CREAT };
static char self[64], self_task[64], by_pid[64], task_by_pid[64];
static const struct {
    const char *name, *path;
    int by;
} names[] = {
    {"self", "/proc/self/mem", OPENAT},
    {"thread-self", "/proc/thread-self/mem", OPENAT},
    {"by pid", by_pid, OPENAT},
    {"task of self", self_task, OPENAT},
    {"task by pid", task_by_pid, OPENAT},
    {"dots and slashes", "/proc/./self//../self/mem", OPENAT},
    {"root of self", "/proc/self/root/proc/self/mem", OPENAT},
    {"cwd of self", "/proc/self/cwd/proc/self/mem", OPENAT},
    {"open", "/proc/self/mem", OPEN},
    {"creat", "/proc/self/mem", CREAT},
};

static long by_name(long which) {
    int pid = getpid();
    sprintf(self_task, "/proc/self/task/%d/mem", pid);
    sprintf(by_pid, "/proc/%d/mem", pid);
    sprintf(task_by_pid, "/proc/%d/task/%d/mem", pid, pid);
    CHECK(chdir("/") == 0);
    const char *path = names[which].path;
    switch (names[which].by) {
    case OPEN: return write_code(call(SYS_open, path, O_RDWR));
    case CREAT: return write_code(call(SYS_creat, path, 0600));
    default: return write_code(call(SYS_openat, AT_FDCWD, path, O_RDWR));
    }
}

static long by_folder(long unused) {
    long folder = call(SYS_openat, AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY);
    return folder < 0 ? folder : write_code(call(SYS_openat, folder, "mem", O_RDWR));
}

static long by_fd_of_folder(long unused) {
    long folder = call(SYS_openat, AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY);
    if (folder < 0) return folder;
    sprintf(self, "/proc/self/fd/%ld/mem", folder);
    return write_code(call(SYS_openat, AT_FDCWD, self, O_RDWR));
}

static long by_chdir(long unused) {
    long went = call(SYS_chdir, "/proc/self");
    return went < 0 ? went : write_code(call(SYS_openat, AT_FDCWD, "mem", O_RDWR));
}

static long by_fchdir(long unused) {
    long folder = call(SYS_openat, AT_FDCWD, "/proc/self", O_RDONLY | O_DIRECTORY);
    if (folder < 0) return folder;
    long went = call(SYS_fchdir, folder);
    return went < 0 ? went : write_code(call(SYS_openat, AT_FDCWD, "mem", O_RDWR));
}

static long by_path_descriptor(long unused) {
    long path = call(SYS_openat, AT_FDCWD, "/proc/self/mem", O_PATH);
    if (path < 0) return path;
    sprintf(self, "/dev/fd/%ld", path);
    return write_code(call(SYS_openat, AT_FDCWD, self, O_RDWR));
}

/// The last byte of the gate's page, which nobody executes: a seal does not keep it.
static long write_gate(long unused) {
    stand_in();
    long fd = call(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR);
    if (fd < 0) return fd;
    long wrote = call(SYS_pwrite64, fd, "g", 1, GATE + 4095);
    return wrote < 0 ? wrote : *(volatile unsigned char *)(GATE + 4095) == 'g' ? 0 : -EIO;
}

static long read_maps(long unused) {
    char text[16];
    int fd = open("/proc/self/maps", O_RDONLY);
    return fd < 0 ? -errno : read(fd, text, sizeof text) == sizeof text ? 0 : -EIO;
}

static long write_file(long unused) {
    char path[] = "/tmp/ia2-attack-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) return -errno;
    CHECK(unlink(path) == 0);
    return pwrite(fd, "x", 1, 0) == 1 ? 0 : -errno;
}

static long open_pipe(long unused) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    sprintf(self, "/proc/self/fd/%d", ends[1]);
    int fd = open(self, O_WRONLY);
    return fd < 0 ? -errno : write(fd, "x", 1) == 1 ? 0 : -errno;
}

int main(void) {
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) attack(names[i].name, by_name, i);
    attack("a folder's descriptor", by_folder, 0);
    attack("through fd of a folder", by_fd_of_folder, 0);
    attack("chdir", by_chdir, 0);
    attack("fchdir", by_fchdir, 0);
    attack("O_PATH, then opened again", by_path_descriptor, 0);
    attack("the sealed gate", write_gate, 0);
    twin("/proc/self/maps", read_maps, 0);
    twin("a file", write_file, 0);
    twin("/proc/self/fd of a pipe", open_pipe, 0);
    done();
}
