// T114: taking the loader's descriptor away, putting another file in its slot, and writing to its
// file, by the program's calls and by the gate's instructions. Afterwards exec still starts programs
// under the shim. The control plays the loader with a memory file of its own; the twin does the same to
// another descriptor.
//#Backstop: strict,inspected
//#Native: loader: close ok, dup2 ok, dup3 ok, close_range ok, F_SETFD ok, FIOCLEX ok
//#Native: loader, at the gate: close ok, dup2 ok, dup3 ok, close_range ok, F_SETFD ok, FIOCLEX ok
//#Native: its file: write ok, truncate ok, map ok
//#Native: another descriptor: close ok, dup2 ok, dup3 ok, close_range ok, F_SETFD ok, FIOCLEX ok
//#Native: another descriptor, at the gate: close ok, dup2 ok, dup3 ok, close_range ok, F_SETFD ok, FIOCLEX ok
//#Native: the next program: started
//#Shim: loader: close EBADF, dup2 EBADF, dup3 EBADF, close_range ok, F_SETFD EBADF, FIOCLEX EBADF
//#Shim: loader, at the gate: close EBADF, dup2 EBADF, dup3 EBADF, close_range EPERM, F_SETFD EBADF, FIOCLEX EBADF
//#Shim: its file: write EPERM, truncate EPERM, map EPERM
//#Shim: another descriptor: close ok, dup2 ok, dup3 ok, close_range ok, F_SETFD ok, FIOCLEX ok
//#Shim: another descriptor, at the gate: close ok, dup2 ok, dup3 ok, close_range ok, F_SETFD ok, FIOCLEX ok
//#Shim: the next program: started under the shim
#include "attack.h"
#include <sys/ioctl.h>
#include <sys/resource.h>

#define LOADER 1023

static long plainly(long nr, long a, long b, long c, long d, long e) {
    return syscall(nr, a, b, c, d, e) < 0 ? -errno : 0;
}

/// Opens `fd` as a memory file, where the kernel lets us.
static void put(int fd) {
    int file = memfd_create("stand-in", 0);
    CHECK(file >= 0);
    if (fd != LOADER || !is_under_shim()) CHECK(dup2(file, fd) == fd);
    close(file);
}

static const char *result_of(long result) { return errno_name(result < 0 ? (int)result : 0); }

static void take(const char *what, int fd, int first, long (*call)(long, long, long, long, long, long)) {
    const char *results[6];
    int other = open("/dev/null", O_RDONLY);
    put(fd), results[0] = result_of(call(SYS_close, fd, 0, 0, 0, 0));
    put(fd), results[1] = result_of(call(SYS_dup2, other, fd, 0, 0, 0));
    put(fd), results[2] = result_of(call(SYS_dup3, other, fd, O_CLOEXEC, 0, 0));
    put(fd), results[3] = result_of(call(SYS_close_range, first, fd, 0, 0, 0));
    put(fd), results[4] = result_of(call(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC, 0, 0));
    put(fd), results[5] = result_of(call(SYS_ioctl, fd, FIOCLEX, 0, 0, 0));
    say("%s: close %s, dup2 %s, dup3 %s, close_range %s, F_SETFD %s, FIOCLEX %s", what, results[0],
        results[1], results[2], results[3], results[4], results[5]);
    close(other);
}

int main(int argc, char **argv) {
    if (argc > 1) return is_under_shim() ? 3 : 2;
    struct rlimit limit = {4096, 4096};
    setrlimit(RLIMIT_NOFILE, &limit);
    take("loader", LOADER, 1010, plainly);
    take("loader, at the gate", LOADER, 1010, at_gate);

    char byte = 0;
    put(LOADER);
    int file = open("/proc/self/fd/1023", O_RDWR);
    CHECK(file >= 0);
    long wrote = write(file, &byte, 1) < 0 ? -errno : 0;
    long cut = ftruncate(file, 4096) ? -errno : 0;
    long map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED ? -errno : 0;
    say("its file: write %s, truncate %s, map %s", result_of(wrote), result_of(cut), result_of(map));
    close(file);

    take("another descriptor", 1000, 990, plainly);
    take("another descriptor, at the gate", 1000, 990, at_gate);

    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", argv[0], "again", (char *)0);
        _exit(127);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    int code = WEXITSTATUS(status);
    say("the next program: %s",
        code == 3 ? "started under the shim" : code == 2 ? "started" : "not started");
    done();
}
