// A second process rewrites a path in shared memory while the first opens it, so that what is judged is not what
// is opened.
//# case: T81
//# title: a path is rewritten while it is judged
//# layers: U
//# policy: ia2
//# users: root, unprivileged
//# attack: openat = A1 EACCES
//# attack: open = A1 EACCES
//# twin: a path that nobody rewrites
#include "attack.h"

/// Shared: "/dev/null" in front of a zero, or the memory.
static char *path;

__attribute__((noreturn)) static void rewrite(void) {
    for (;;) {
        __atomic_store_n((long *)path, *(const long *)"/dev/nul", __ATOMIC_RELAXED);
        __atomic_store_n((int *)(path + 8), *(const int *)"l\0me", __ATOMIC_RELAXED);
        __atomic_store_n((int *)(path + 8), *(const int *)"lf/m", __ATOMIC_RELAXED);
        __atomic_store_n((long *)path, *(const long *)"/proc/se", __ATOMIC_RELAXED);
    }
}

static int is_memory(long fd) {
    char name[64], text[64] = {0};
    sprintf(name, "/proc/self/fd/%ld", fd);
    CHECK(readlink(name, text, sizeof text - 1) > 0);
    return strstr(text, "/mem") != 0;
}

static long race(long nr) {
    path = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(path != MAP_FAILED);
    strcpy(path, "/proc/self/mem");
    pid_t child = fork();
    if (child == 0) rewrite();
    long result = -ENOENT, refused = 0;
    for (int round = under_shim ? rounds(30000) : 3000000; round > 0 && result; round--) {
        long fd = nr == SYS_open ? call(nr, path, O_RDWR) : call(nr, AT_FDCWD, path, O_RDWR);
        if (fd == -EACCES) refused = 1;
        if (fd >= 0 && is_memory(fd)) result = 0;
        if (fd >= 0) close(fd);
    }
    CHECK(kill(child, SIGKILL) == 0 && ended(child) == 1000 + SIGKILL);
    return result && refused ? -EACCES : result;
}

static long quiet(long unused) { return only_error(RAW(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR)); }

int main(void) {
    attack("openat", race, SYS_openat);
    attack("open", race, SYS_open);
    twin("a path that nobody rewrites", quiet, 0);
    done();
}
