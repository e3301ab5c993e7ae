// What /proc/self/exe is, by every call that follows it and under every name.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct stat own;

static const char *error(long result) { return result < 0 ? strerror(errno) : "ok"; }

static void read_link(const char *what, int folder, const char *path, size_t size) {
    char text[PATH_MAX + 1];
    memset(text, '#', sizeof text);
    long length = syscall(SYS_readlinkat, folder, path, text, size);
    const char *why = error(length);
    // One byte behind the text shows whether more was written.
    printf("%s, %zu bytes: %ld %s %.*s\n", what, size, length, why, (int)(length + 1), text);
}

static void is_own(const char *what, int fd) {
    struct stat found;
    const char *why = error(fd);
    if (fd < 0 || fstat(fd, &found)) {
        printf("%s: %s\n", what, why);
        return;
    }
    int same = found.st_ino == own.st_ino && found.st_dev == own.st_dev;
    printf("%s: %s\n", what, same ? "this program" : "another file");
    close(fd);
}

static void *in_thread(void *unused) {
    char path[64];
    sprintf(path, "/proc/%ld/exe", syscall(SYS_gettid));
    read_link("by the number of a thread", AT_FDCWD, path, PATH_MAX);
    return unused;
}

int main(int argc, char **argv) {
    if (argc > 1) return printf("executed again as %s\n", argv[0]) < 0;
    char path[64], text[PATH_MAX];
    struct stat found;
    struct statx more;
    struct open_how how = {.flags = O_RDONLY};
    const char *self = "/proc/self/exe";
    int folder = open("/proc/self", O_PATH | O_DIRECTORY), status;
    pthread_t thread;
    if (stat(argv[0], &own)) return 1;

    size_t sizes[] = {PATH_MAX, 5, 1, 0, (size_t)-1};
    for (int i = 0; i < 5; i++) read_link("self", AT_FDCWD, self, sizes[i]);
    read_link("thread-self", AT_FDCWD, "/proc/thread-self/exe", PATH_MAX);
    read_link("folder", folder, "exe", PATH_MAX);
    read_link("missing", folder, "no/exe", PATH_MAX);
    sprintf(path, "/proc/%d/exe", getpid());
    read_link("by number", AT_FDCWD, path, PATH_MAX);
    sprintf(path, "/proc/self/task/%d/exe", getpid());
    read_link("by task", AT_FDCWD, path, PATH_MAX);
    pthread_create(&thread, 0, in_thread, 0);
    pthread_join(thread, 0);
    read_link("with more slashes", AT_FDCWD, "/proc//self/./exe", PATH_MAX);
    read_link("the link itself", open(self, O_PATH | O_NOFOLLOW), "", PATH_MAX);
    if (chdir("/proc/self") == 0) read_link("here", AT_FDCWD, "./exe", PATH_MAX);
    if (chdir("/") == 0) read_link("by steps", AT_FDCWD, "proc/self/../self/exe", PATH_MAX);
    long length = syscall(SYS_readlink, self, text, sizeof text);
    printf("readlink: %.*s\n", (int)length, text);
    length = syscall(SYS_readlink, self, (char *)8, sizeof text);
    printf("to nowhere: %s\n", error(length));
    printf("realpath: %s\n", realpath(self, 0));

    is_own("open", (int)syscall(SYS_open, self, O_RDONLY | O_CLOEXEC));
    is_own("openat", openat(folder, "exe", O_RDONLY));
    is_own("O_PATH", open(self, O_PATH));
    is_own("O_NOFOLLOW", open(self, O_RDONLY | O_NOFOLLOW));
    is_own("openat2", (int)syscall(SYS_openat2, AT_FDCWD, self, &how, sizeof how));
    how.resolve = RESOLVE_NO_MAGICLINKS;
    is_own("no magic links", (int)syscall(SYS_openat2, AT_FDCWD, self, &how, sizeof how));
    long result = syscall(SYS_stat, self, &found);
    printf("stat: %s %d\n", error(result), found.st_ino == own.st_ino);
    result = fstatat(folder, "exe", &found, 0);
    printf("fstatat: %s %d\n", error(result), found.st_ino == own.st_ino);
    result = lstat(self, &found);
    printf("lstat: %s %d\n", error(result), S_ISLNK(found.st_mode));
    result = statx(folder, "exe", 0, STATX_ALL, &more);
    printf("statx: %s %d\n", error(result), more.stx_ino == own.st_ino);
    printf("access: %s\n", error(access(self, X_OK)));
    printf("faccessat2: %s\n", error(faccessat(folder, "exe", R_OK, AT_EACCESS)));

    fflush(stdout);
    if (fork() == 0) {
        execl(self, "me", "again", NULL);
        _exit(127);
    }
    wait(&status);
    printf("executed: %#x\n", status);
    fflush(stdout);
    if (fork() == 0) {
        read_link("in a child", AT_FDCWD, self, PATH_MAX);
        fflush(stdout);
        _exit(0);
    }
    wait(&status);

    // Somebody else's is not this program's, whichever way it is looked at.
    int ends[2];
    char byte;
    if (pipe(ends)) return 1;
    pid_t other = fork();
    if (other == 0) {
        close(ends[1]);
        execl("/bin/sh", "sh", "-c", "read x", (char *)0);
        _exit(127);
    }
    usleep(300000);
    sprintf(path, "/proc/%d", other);
    int there = open(path, O_PATH | O_DIRECTORY);
    length = readlinkat(there, "exe", text, sizeof text);
    text[length < 0 ? 0 : length] = 0;
    char own_path[PATH_MAX] = {0};
    if (readlink(self, own_path, sizeof own_path - 1) < 0) return 1;
    printf("another process: %s\n", strcmp(text, own_path) ? "not this program" : "this program");
    kill(other, SIGKILL);
    waitpid(other, &status, 0);

    // A file that has taken the program's place is not the program.
    char moved[PATH_MAX + 8];
    sprintf(moved, "%s.moved", own_path);
    if (rename(own_path, moved) == 0) {
        int fd = open(own_path, O_WRONLY | O_CREAT | O_EXCL, 0755);
        if (write(fd, "#! other", 8) != 8) return 1;
        close(fd);
        fd = open(self, O_RDONLY);
        printf("replaced: %s\n", fd >= 0 && read(fd, &byte, 1) == 1 && byte == '#' ? "the other" : "not the other");
        if (rename(moved, own_path)) return 1;
    }
    return 0;
}
