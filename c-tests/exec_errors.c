// An exec that fails gives its error in the old image, which goes on.
#include "harness.h"
#include <sys/stat.h>
#include <sys/resource.h>

static char folder[] = "/tmp/ia2-exec-errors-XXXXXX";
static char *const arguments[] = {"name", 0};
static char *const environment[] = {0};

static void write_file(const char *name, const void *bytes, size_t length, int mode) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void report(const char *what, long result) {
    say("%s: %ld", what, result);
    CHECK(RAW(SYS_getpid) == getpid());
}

static void at_path(const char *what, const char *path) {
    report(what, RAW(SYS_execve, path, arguments, environment));
}

int main(void) {
    CHECK(mkdtemp(folder) && chdir(folder) == 0);
    at_path("missing", "./missing");
    at_path("empty path", "");
    at_path("folder", "/tmp");
    at_path("device", "/dev/null");
    write_file("data", "text\n", 5, 0700);
    at_path("no program", "./data");
    write_file("empty", "", 0, 0700);
    at_path("empty file", "./empty");
    write_file("plain", "text\n", 5, 0600);
    at_path("not executable", "./plain");
    at_path("file as folder", "./plain/x");
    CHECK(symlink("loop", "loop") == 0);
    at_path("loop of links", "./loop");
    char name[5000];
    memset(name, 'a', sizeof name);
    name[300] = 0;
    at_path("long name", name);
    memset(name, '/', sizeof name);
    name[4999] = 0;
    at_path("long path", name);
    report("bad path", RAW(SYS_execve, 8, arguments, environment));
    report("bad arguments", RAW(SYS_execve, "/bin/true", 8, environment));
    char *const bad[] = {"name", (char *)8, 0};
    report("bad argument", RAW(SYS_execve, "/bin/true", bad, environment));
    report("bad environment", RAW(SYS_execve, "/bin/true", arguments, 8));
    report("bad variable", RAW(SYS_execve, "/bin/true", arguments, bad));
    char *huge = malloc(200000);
    memset(huge, 'x', 199999);
    huge[199999] = 0;
    char *const one[] = {"name", huge, 0};
    report("one long argument", RAW(SYS_execve, "/bin/true", one, environment));
    huge[100000] = 0;
    static char *many[200];
    for (int at = 0; at < 199; at++) many[at] = huge;
    report("many long arguments", RAW(SYS_execve, "/bin/true", many, environment));
    report("many long variables", RAW(SYS_execve, "/bin/true", arguments, many));

    CHECK(symlink("/bin/true", "link") == 0);
    report("wrong flag", RAW(SYS_execveat, AT_FDCWD, "/bin/true", arguments, environment, 1));
    report("link not followed",
           RAW(SYS_execveat, AT_FDCWD, "link", arguments, environment, AT_SYMLINK_NOFOLLOW));
    report("empty path without flag", RAW(SYS_execveat, AT_FDCWD, "", arguments, environment, 0));
    report("bad descriptor", RAW(SYS_execveat, 99, "", arguments, environment, AT_EMPTY_PATH));
    report("bad folder", RAW(SYS_execveat, 99, "x", arguments, environment, 0));
    int fd = open("data", O_RDONLY);
    report("file as folder", RAW(SYS_execveat, fd, "x", arguments, environment, 0));
    report("no program by descriptor",
           RAW(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH));

    // A program, damaged.
    static unsigned char program[1 << 20];
    int source = open("/bin/true", O_RDONLY);
    ssize_t length = read(source, program, sizeof program);
    CHECK(length > 4096 && close(source) == 0);
    write_file("whole", program, length, 0700);
    int writer = open("whole", O_WRONLY);
    at_path("being written", "./whole");
    CHECK(close(writer) == 0);
    write_file("cut", program, 40, 0700);
    at_path("cut off in the header", "./cut");
    program[18] = 3;
    write_file("machine", program, length, 0700);
    at_path("for another machine", "./machine");
    program[18] = 62;
    char *interpreter = memmem(program, length, "/lib64/ld-linux", 15);
    CHECK(interpreter);
    memcpy(interpreter, "/lib64/no-linux", 15);
    write_file("interpreter", program, length, 0700);
    at_path("missing interpreter", "./interpreter");
    char *end = interpreter + strlen(interpreter);
    memset(interpreter, '/', end - interpreter);
    memcpy(end - 9, "/dev/null", 9);
    write_file("device", program, length, 0700);
    at_path("device as interpreter", "./device");
    char data[40];
    snprintf(data, sizeof data, "/tmp");
    memcpy(end - 9, "/////tmp/", 9);
    write_file("folder", program, length, 0700);
    at_path("folder as interpreter", "./folder");
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0);
    done();
}
