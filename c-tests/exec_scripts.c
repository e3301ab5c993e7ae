// Scripts lead to their interpreters, with the arguments that the kernel makes.
#include "harness.h"
#include <sys/stat.h>

static char folder[] = "/tmp/ia2-exec-scripts-XXXXXX";

static void write_file(const char *name, const char *text, int mode) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void run(const char *what, const char *path) {
    char *const arguments[] = {"dropped", "one", "two words", 0};
    char *const environment[] = {"A=1", "PATH=/bin:/usr/bin", 0};
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execve(path, arguments, environment);
        _exit(100 + errno);
    }
    say("%s: %d", what, ended(pid));
}

int main(void) {
    CHECK(mkdtemp(folder) && chdir(folder) == 0);
    write_file("plain", "#!/bin/sh\necho \"$0 $# $1 $2\"\nexit 3\n", 0700);
    run("plain", "./plain");
    write_file("argument", "#! \t/bin/sh   -e \t\nfalse\necho not here\n", 0700);
    run("argument", "./argument");
    write_file("spaces", "#!/bin/echo  a  b\n", 0700);
    run("spaces", "./spaces");
    write_file("no-newline", "#!/bin/echo", 0700);
    run("no newline", "./no-newline");
    char line[300];
    snprintf(line, sizeof line, "#!%s/plain first\n", folder);
    write_file("nested", line, 0700);
    pid_t pid = fork();
    if (pid == 0) {
        // The path of the folder differs in each run.
        close(1);
        CHECK(open("/dev/null", O_WRONLY) == 1);
        execl("./nested", "dropped", "x", (char *)0);
        _exit(100 + errno);
    }
    say("nested: %d", ended(pid));
    snprintf(line, sizeof line, "#!%s/deep\n", folder);
    write_file("deep", line, 0700);
    run("endless", "./deep");
    char name[2] = "1";
    write_file("0", "#!/bin/true\n", 0700);
    for (int at = 1; at < 8; at++, name[0]++) {
        snprintf(line, sizeof line, "#!%s/%d\n", folder, at - 1);
        write_file(name, line, 0700);
        char what[20];
        snprintf(what, sizeof what, "depth %d", at);
        run(what, name);
    }
    write_file("missing", "#!/does/not/exist\n", 0700);
    run("missing interpreter", "./missing");
    write_file("folder", "#!/tmp\n", 0700);
    run("folder as interpreter", "./folder");
    write_file("unnamed", "#!\necho\n", 0700);
    run("no interpreter", "./unnamed");
    write_file("not-executable", "#!/bin/sh\n", 0600);
    run("not executable", "./not-executable");
    snprintf(line, sizeof line, "#!%s/not-executable\n", folder);
    write_file("by-not-executable", line, 0700);
    run("interpreter not executable", "./by-not-executable");
    char *const arguments[] = {"dropped", "by descriptor", 0};
    for (int cloexec = 0; cloexec < 2; cloexec++) {
        if ((pid = fork()) == 0) {
            int fd = open("spaces", O_RDONLY | (cloexec ? O_CLOEXEC : 0));
            CHECK(dup3(fd, 20, cloexec ? O_CLOEXEC : 0) == 20);
            syscall(SYS_execveat, 20, "", arguments, 0, AT_EMPTY_PATH);
            _exit(100 + errno);
        }
        say("by descriptor: %d", ended(pid));
    }
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0);
    done();
}
