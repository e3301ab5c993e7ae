// Names files in uncommon ways and says what each call gave, in a folder with `open/file`, `shut/file`, a
// `kept` beside each, and the links `open/out` -> `../shut/made`, `open/in` -> `made`, which lead to nothing yet.
// gcc -O1 -pthread
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void said(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

static long open2(const char *path, const void *how, size_t size) {
    long fd = syscall(SYS_openat2, AT_FDCWD, path, how, size);
    if (fd >= 0) close((int)fd);
    return fd;
}

// What another thread changes all the time.
static struct { _Atomic(unsigned long) flags; unsigned long mode, resolve; } racing_how;
static char racing_path[] = "open/kept";
static atomic_int raced;

static void *race(void *unused) {
    (void)unused;
    while (!raced) {
        racing_how.flags = O_WRONLY;
        memcpy(racing_path, "shut", 4);
        for (volatile int i = 0; i < 40; i++) continue;
        racing_how.flags = O_RDONLY;
        memcpy(racing_path, "open", 4);
        for (volatile int i = 0; i < 40; i++) continue;
    }
    return 0;
}

int main(void) {
    struct stat data;
    said("create where a link leads out", open("open/out", O_CREAT | O_WRONLY, 0600));
    said("create where a link leads in", open("open/in", O_CREAT | O_WRONLY, 0600));

    struct { struct open_how how; unsigned long more; } how = {{.flags = O_RDONLY}, 0};
    said("openat2 in", open2("open/file", &how, sizeof how.how));
    said("openat2 out", open2("shut/file", &how, sizeof how.how));
    said("openat2, too small", open2("open/file", &how, 16));
    said("openat2, larger", open2("open/file", &how, sizeof how));
    how.more = 1;
    said("openat2, newer", open2("open/file", &how, sizeof how));
    said("openat2, bad pointer", open2("open/file", (void *)8, sizeof how.how));

    said("rename within", rename("open/made", "open/renamed"));
    said("rename out", rename("open/renamed", "shut/renamed"));
    said("rename in", rename("shut/file", "open/stolen"));

    int fd = open("open/file", O_RDONLY);
    said("stat of a descriptor", syscall(SYS_newfstatat, fd, "", &data, AT_EMPTY_PATH));
    said("stat of a pipe", syscall(SYS_newfstatat, 1, "", &data, AT_EMPTY_PATH));
    said("stat of an empty path", syscall(SYS_newfstatat, fd, "", &data, 0));
    said("stat in", syscall(SYS_newfstatat, AT_FDCWD, "open/file", &data, 0));
    said("stat out", syscall(SYS_newfstatat, AT_FDCWD, "shut/kept", &data, 0));

    // In `read/` files may be read, and not written; in `open/` both.
    pthread_t thread;
    pthread_create(&thread, 0, race, 0);
    int written = 0, left = 0;
    for (int i = 0; i < 20000; i++) {
        long got = syscall(SYS_openat2, AT_FDCWD, "read/file", &racing_how, sizeof racing_how);
        if (got >= 0) written += (fcntl((int)got, F_GETFL) & O_ACCMODE) == O_WRONLY, close((int)got);
        got = open(racing_path, O_RDONLY);
        char first = 0;
        if (got >= 0) left += read((int)got, &first, 1) == 1 && first == 's', close((int)got);
    }
    raced = 1;
    pthread_join(thread, 0);
    printf("opened for writing: %s\n", written ? "yes" : "no");
    printf("the other file: %s\n", left ? "yes" : "no");
    return 0;
}
