// Opens in every way, in a folder of its own, and what came of each: the same, whoever judges their paths.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static char here[4000];

/// Says what was opened, by its name, type, flags and permissions, and closes it.
static void say(const char *what, long fd) {
    if (fd < 0) {
        printf("%s: %s\n", what, strerrorname_np(errno));
        return;
    }
    char link[64], name[4096] = {0};
    sprintf(link, "/proc/self/fd/%ld", fd);
    struct stat stat;
    if (readlink(link, name, sizeof name - 1) < 0 || fstat(fd, &stat)) perror("fd");
    size_t len = strlen(here);
    const char *shown = strncmp(name, here, len) ? name : name + len;
    if (strchr(shown, '[') || strchr(shown, '#')) shown = "nameless"; // a pipe, O_TMPFILE: another number each time
    printf("%s: %s, mode %o, flags %o, closes on exec %d\n", what, shown, stat.st_mode, fcntl(fd, F_GETFL),
           fcntl(fd, F_GETFD));
    close(fd);
}
#define SAY(call) say(#call, call)

static long open2(int folder, const char *path, unsigned long flags, unsigned long mode, unsigned long resolve) {
    struct open_how how = {flags, mode, resolve};
    return syscall(SYS_openat2, folder, path, &how, sizeof how);
}

static void wake(int unused) {}

int main(void) {
    umask(027);
    if (!getcwd(here, sizeof here) || mkdir("folder", 0755) || mkfifo("fifo", 0600)) return 1;
    if (symlink("file", "link") || symlink("nothing", "dangling") || symlink("folder", "to-folder")) return 1;
    if (symlink("loop", "loop") || symlink("/proc/self/fd/0", "magic")) return 1;
    char absolute[4100], long_name[300], long_path[5000];
    sprintf(absolute, "%s/file", here);
    memset(long_name, 'n', sizeof long_name - 1), long_name[sizeof long_name - 1] = 0;
    memset(long_path, '/', sizeof long_path - 1), long_path[sizeof long_path - 1] = 0;

    SAY(open("file", O_RDWR));
    SAY(open("file", O_RDWR | O_CREAT | O_EXCL, 0666));
    SAY(open("file", O_RDWR | O_CREAT | O_EXCL, 0666));
    SAY(open("file", O_WRONLY | O_APPEND | O_CREAT, 0777));
    SAY(open(absolute, O_RDONLY | O_CLOEXEC));
    SAY(open(absolute, O_RDONLY | O_DIRECTORY));
    SAY(syscall(SYS_open, absolute, O_RDONLY | 040 | 0x40000000, 07777)); // flags that open does not know
    SAY(syscall(SYS_open, absolute, 3));
    SAY(syscall(SYS_creat, "made", 04751));
    SAY(open("made/", O_RDONLY));
    SAY(open("none/", O_RDWR | O_CREAT, 0600));
    SAY(open("folder/", O_RDONLY));
    SAY(open("folder", O_RDWR));
    SAY(open("folder/../file", O_RDONLY | O_NONBLOCK | O_NOATIME));
    SAY(open("folder/.", O_RDONLY | O_DIRECTORY));
    SAY(open("folder", O_TMPFILE | O_RDWR, 0666));
    SAY(open("folder", O_TMPFILE, 0666));
    SAY(open("link", O_RDONLY | O_SYNC));
    SAY(open("link", O_RDONLY | O_NOFOLLOW));
    SAY(open("link", O_PATH | O_NOFOLLOW | O_RDWR));
    SAY(open("link", O_PATH | O_CLOEXEC));
    SAY(open("dangling", O_RDONLY));
    SAY(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600));
    SAY(open("dangling", O_RDWR | O_CREAT, 0600));
    SAY(open("to-folder/new", O_RDWR | O_CREAT | O_TRUNC, 0640));
    SAY(open("to-folder/", O_RDONLY | O_NOFOLLOW));
    SAY(open("to-folder", O_RDONLY | O_NOFOLLOW));
    SAY(open("loop", O_RDONLY));
    SAY(open("loop/x", O_RDONLY));
    SAY(open("file/x", O_RDONLY));
    SAY(open("missing/x", O_RDWR | O_CREAT, 0600));
    SAY(open("", O_RDONLY));
    SAY(open(long_name, O_RDONLY));
    SAY(open(long_path, O_RDONLY));
    SAY(open((char *)8, O_RDONLY));
    SAY(open("magic", O_RDONLY));
    SAY(open("/proc/self/fd/0", O_RDONLY));
    SAY(open("/proc/self/cwd/file", O_RDONLY));
    SAY(open("/proc/self/cwd/newer", O_RDWR | O_CREAT, 0600));
    int folder = open("folder", O_PATH);
    SAY(openat(folder, "new", O_RDWR));
    SAY(openat(folder, "../file", O_RDONLY));
    SAY(openat(999, "file", O_RDONLY));
    SAY(openat(999, absolute, O_RDONLY));
    SAY(openat(folder, "fresh", O_WRONLY | O_CREAT, 0666));
    SAY(open2(folder, "new", O_RDONLY, 0, 0));
    SAY(open2(folder, "new", O_RDONLY, 0600, 0));
    SAY(open2(folder, "new", 1ul << 40, 0, 0));
    SAY(open2(folder, "../file", O_RDONLY, 0, RESOLVE_BENEATH));
    SAY(open2(folder, "new", O_RDWR, 0, RESOLVE_BENEATH));
    SAY(open2(AT_FDCWD, "link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    SAY(open2(AT_FDCWD, "to-folder/new", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    SAY(open2(AT_FDCWD, "/proc/self/cwd/file", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    SAY(open2(AT_FDCWD, absolute, O_RDONLY, 0, RESOLVE_BENEATH));
    SAY(open2(folder, "newest", O_RDWR | O_CREAT, 0604, RESOLVE_NO_XDEV));

    struct stat stat;
    printf("lstat link/: %d\n", lstat("to-folder/", &stat) ? errno : S_ISDIR(stat.st_mode));
    printf("rmdir link/: %s\n", rmdir("to-folder/") ? strerrorname_np(errno) : "done");
    printf("unlink file/: %s\n", unlink("file/") ? strerrorname_np(errno) : "done");
    printf("rename link: %s\n", rename("link", "moved") ? strerrorname_np(errno) : "done");
    printf("rename to link/: %s\n", rename("moved", "to-folder/moved") ? strerrorname_np(errno) : "done");
    printf("mkdir x/: %s\n", mkdir("folder/x/", 0700) ? strerrorname_np(errno) : "done");
    printf("rmdir .: %s\n", rmdir("folder/x/.") ? strerrorname_np(errno) : "done");
    printf("rmdir x: %s\n", rmdir("to-folder/x") ? strerrorname_np(errno) : "done");

    // A fifo that nobody writes: the open waits, and a signal ends it, or does not.
    struct sigaction action = {.sa_handler = wake};
    sigaction(SIGALRM, &action, 0);
    struct itimerval soon = {.it_value = {.tv_usec = 50000}};
    setitimer(ITIMER_REAL, &soon, 0);
    SAY(open("fifo", O_RDONLY));
    char fifo[4100];
    sprintf(fifo, "%s/fifo", here);
    setitimer(ITIMER_REAL, &soon, 0);
    SAY(open(fifo, O_RDONLY));
    SAY(open(fifo, O_RDONLY | O_NONBLOCK));
    SAY(open(fifo, O_WRONLY | O_NONBLOCK));
    if (chdir("folder") || rmdir("../folder") == 0) return 2;
    return 0;
}
