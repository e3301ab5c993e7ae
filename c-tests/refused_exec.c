// Every way to start another program is refused with EPERM, and the caller goes on: the new image
// would not have the gate. posix_spawn's child ends as glibc ends it.
//#Backstop: strict,inspected
//#Native: execve: exit 0
//#Shim: execve: exit EPERM
//#Native: fexecve: exit 0
//#Shim: fexecve: exit EPERM
//#Native: posix_spawn: ok
//#Shim: posix_spawn: EPERM
//#Native: system: ran
//#Shim: system: failed
//#Native: vfork and execve: exit 0
//#Shim: vfork and execve: exit EPERM
#include "harness.h"
#include <spawn.h>

static char *const arguments[] = {"true", 0};
static char *const environment[] = {0};

static void report(const char *what, int how) {
    if (how == 100 + EPERM) say("%s: exit EPERM", what);
    else say("%s: exit %d", what, how);
}

int main(void) {
    pid_t pid = fork();
    if (pid == 0) {
        execve("/bin/true", arguments, environment);
        _exit(100 + errno);
    }
    report("execve", ended(pid));
    if ((pid = fork()) == 0) {
        int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
        syscall(SYS_execveat, fd, "", arguments, environment, 0x1000);
        _exit(100 + errno);
    }
    report("fexecve", ended(pid));
    int error = posix_spawn(&pid, "/bin/true", 0, 0, arguments, environment);
    say("posix_spawn: %s", errno_name(error));
    if (error == 0) CHECK(ended(pid) == 0);
    int status = system("exit 0");
    say("system: %s", status == 0 ? "ran" : "failed"); // libcs differ in how
    static volatile int failed;
    if ((pid = vfork()) == 0) {
        execve("/bin/true", arguments, environment);
        failed = errno;
        _exit(100 + failed);
    }
    report("vfork and execve", ended(pid));
    CHECK(getpid() > 0 && RAW(SYS_getpid) == getpid());
    done();
}
