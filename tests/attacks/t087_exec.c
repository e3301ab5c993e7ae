// A program is executed without the shim's variables, by each form of exec. It makes a call that the policy
// refuses, from its own text.
//# case: T87, T88
//# title: exec leaves the shim behind
//# layers: X, B
//# policy: ia2
//# users: root, unprivileged
//# attack: execve, no environment = A2 EPERM
//# attack: execve, LD_PRELOAD emptied = A2 EPERM
//# attack: execve, settings of its own = A2 EPERM
//# attack: execveat of a descriptor = A2 EPERM
//# attack: execveat of a path = A2 EPERM
//# attack: by a script = A2 EPERM
//# attack: by the dynamic linker = A2 EPERM
//# attack: vfork = A2 EPERM
//# twin: execve, with the environment
#include "attack.h"
#include <sys/stat.h>

static char *const none[] = {0};
static char *const emptied[] = {"LD_PRELOAD=", 0};
static char *const settings[] = {"IA2_BACKSTOP=none", "IA2_POLICY=base", 0};
static char own_path[256], script[] = "/tmp/ia2-t087-XXXXXX";

enum { NONE, EMPTIED, SETTINGS, DESCRIPTOR, PATH, SCRIPT, LINKER, VFORK, ALLOWED };

static long execute(long how) {
    char *arguments[] = {own_path, how == ALLOWED ? "getppid" : "forbidden", 0};
    char *linked[] = {"ld", own_path, "forbidden", 0};
    int own = open(own_path, O_RDONLY | O_CLOEXEC);
    CHECK(own >= 0);
    pid_t child = how == VFORK ? vfork() : fork();
    if (child == 0) {
        long result = -EIO;
        switch (how) {
        case VFORK:
        case NONE: result = call(SYS_execve, own_path, arguments, none); break;
        case EMPTIED: result = call(SYS_execve, own_path, arguments, emptied); break;
        case SETTINGS: result = call(SYS_execve, own_path, arguments, settings); break;
        case DESCRIPTOR: result = call(SYS_execveat, own, "", arguments, none, AT_EMPTY_PATH); break;
        case PATH: result = call(SYS_execveat, AT_FDCWD, own_path, arguments, none, 0); break;
        case SCRIPT: result = call(SYS_execve, script, arguments, none); break;
        case LINKER: result = call(SYS_execve, "/lib64/ld-linux-x86-64.so.2", linked, none); break;
        case ALLOWED: result = call(SYS_execve, own_path, arguments, environ); break;
        }
        _exit((int)-result);
    }
    int code = ended(child);
    return code >= 1000 ? -EFAULT : -code;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        long result = strcmp(argv[1], "getppid") ? RAW(SYS_setfsuid, -1) : RAW(SYS_getppid);
        _exit(only_error(result) ? (int)-result : 0);
    }
    CHECK(realpath(argv[0], own_path));
    int fd = mkstemp(script);
    CHECK(fd >= 0 && dprintf(fd, "#!%s forbidden\n", own_path) > 0 && fchmod(fd, 0755) == 0 && close(fd) == 0);
    attack("execve, no environment", execute, NONE);
    attack("execve, LD_PRELOAD emptied", execute, EMPTIED);
    attack("execve, settings of its own", execute, SETTINGS);
    attack("execveat of a descriptor", execute, DESCRIPTOR);
    attack("execveat of a path", execute, PATH);
    attack("by a script", execute, SCRIPT);
    attack("by the dynamic linker", execute, LINKER);
    attack("vfork", execute, VFORK);
    twin("execve, with the environment", execute, ALLOWED);
    CHECK(unlink(script) == 0);
    done();
}
