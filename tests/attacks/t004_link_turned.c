// A link to /proc/self/mem is opened; then a link that another process turns between a harmless file and
// /proc/self/mem, until an open that was judged by the one ends at the other.
//# case: T04
//# title: a link leads to /proc/self/mem, or is turned there meanwhile
//# layers: U
//# policy: ia2
//# users: root, unprivileged
//# attack: a link = A1 EACCES
//# attack: a turned link = A1 EACCES
//# twin: a link to a file
#include "attack.h"

static char folder[] = "/tmp/ia2-t004-XXXXXX";
static char *name_in(const char *name) {
    char *path;
    CHECK(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

/// Whether `fd` is /proc/self/mem.
static int is_memory(long fd) {
    char byte = 0, target[64];
    sprintf(target, "/proc/self/fd/%ld", fd);
    char text[64] = {0};
    CHECK(readlink(target, text, sizeof text - 1) > 0);
    return pread(fd, &byte, 1, (long)folder) == 1 && strstr(text, "/mem") && byte == folder[0];
}

static long open_link(long is_harmless) {
    char *link = name_in("link");
    CHECK(symlink(is_harmless ? "/dev/null" : "/proc/self/mem", link) == 0);
    long fd = call(SYS_openat, AT_FDCWD, link, O_RDWR);
    CHECK(unlink(link) == 0);
    return fd < 0 ? fd : is_harmless || is_memory(fd) ? 0 : -EIO;
}

__attribute__((noreturn)) static void turn(const char *link, const char *spare, const char *harmful) {
    for (;;) {
        CHECK(symlink(harmful, spare) == 0 && rename(spare, link) == 0);
        CHECK(symlink("/dev/null", spare) == 0 && rename(spare, link) == 0);
    }
}

static long open_turned(long unused) {
    char *turned = name_in("turned"), *spare = name_in("spare"), harmful[64];
    sprintf(harmful, "/proc/%d/mem", getpid());
    CHECK(symlink("/dev/null", turned) == 0);
    pid_t child = fork();
    if (child == 0) turn(turned, spare, harmful);
    long result = -EACCES;
    for (int round = under_shim ? rounds(30000) : 1000000; round > 0 && result != 0; round--) {
        long fd = call(SYS_openat, AT_FDCWD, turned, O_RDWR);
        if (fd >= 0 && is_memory(fd)) result = 0;
        if (fd >= 0) close(fd);
    }
    CHECK(kill(child, SIGKILL) == 0 && ended(child) == 1000 + SIGKILL && unlink(turned) == 0);
    unlink(spare);
    return result;
}

int main(void) {
    CHECK(mkdtemp(folder));
    attack("a link", open_link, 0);
    attack("a turned link", open_turned, 0);
    twin("a link to a file", open_link, 1);
    CHECK(rmdir(folder) == 0);
    done();
}
