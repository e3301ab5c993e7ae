// Every way to start another program: it gets its arguments, environment, name, signal mask, ignored
// signals and descriptors, and its parent the status. The program that is started is this one.
#include "harness.h"
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

extern char **environ;

static void list(const char *what, char **strings) {
    char line[400] = "";
    for (; *strings; strings++) {
        strcat(line, " [");
        strncat(line, *strings, 60);
        strcat(line, "]");
    }
    say("  %s:%s", what, line);
}

static const char *base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/// What a started program finds.
static int report(char **argv) {
    list("argv", argv);
    list("environment", environ);
    char exe[300] = "", other[300] = "";
    CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    CHECK(readlink("/proc/thread-self/exe", other, sizeof other - 1) > 0);
    say("  exe: %s%s", base(exe), strcmp(exe, other) ? ", but another by thread" : "");
    char comm[17] = "";
    CHECK(prctl(PR_GET_NAME, comm) == 0);
    say("  comm: %s, execfn: %s", comm, (const char *)getauxval(AT_EXECFN));
    char text[400];
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t length = read(fd, text, sizeof text);
    size_t wanted = 0;
    for (char **at = argv; *at; at++) wanted += strlen(*at) + 1;
    say("  command line: %s", length == (ssize_t)wanted ? "as argv" : "another length");
    close(fd);
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, 0, &mask) == 0);
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction action;
        if (sigismember(&mask, signal)) say("  blocked: %d", signal);
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        CHECK(sigaction(signal, 0, &action) == 0);
        if (action.sa_handler != SIG_DFL) say("  not default: %d", signal);
    }
    stack_t stack;
    CHECK(sigaltstack(0, &stack) == 0 && stack.ss_flags == SS_DISABLE);
    say("  descriptor 9: %s, 8: %s", fcntl(9, F_GETFD) < 0 ? "closed" : "open",
        fcntl(8, F_GETFD) < 0 ? "closed" : "open");
    long heap = RAW(SYS_brk, 0);
    CHECK(RAW(SYS_brk, heap + (16 << 20)) == heap + (16 << 20));
    memset((void *)heap, 1, 16 << 20);
    return 42;
}

static char *const arguments[] = {"name", "child", "", "two words", 0};
static char *const environment[] = {"A=1", "EMPTY=", "NOEQUALS", 0};

static void on_signal(int signal) { (void)signal; }

static void *exec_in_thread(void *argument) {
    (void)argument;
    execve("/proc/self/exe", arguments, environment);
    return 0;
}

#define IN_CHILD(what, ...)                                                                        \
    do {                                                                                           \
        say("%s", what);                                                                           \
        pid_t pid = fork();                                                                        \
        CHECK(pid >= 0);                                                                           \
        if (pid == 0) {                                                                            \
            __VA_ARGS__;                                                                           \
            _exit(100 + errno);                                                                    \
        }                                                                                          \
        say("  ended: %d", ended(pid));                                                            \
    } while (0)

int main(int argc, char **argv) {
    if (argc > 1) return report(argv);
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(self >= 0);
    IN_CHILD("execve", execve("/proc/self/exe", arguments, environment));
    IN_CHILD("without arguments and environment", {
        char *const only[] = {"name", "child", 0};
        execve("/proc/self/exe", only, 0);
    });
    IN_CHILD("execveat, empty path",
             syscall(SYS_execveat, self, "", arguments, environment, AT_EMPTY_PATH));
    IN_CHILD("execveat, in a folder", {
        int folder = open("/proc/self", O_PATH | O_DIRECTORY);
        CHECK(dup2(folder, 7) == 7);
        syscall(SYS_execveat, 7, "exe", arguments, environment, 0);
    });
    IN_CHILD("execveat, absolute path",
             syscall(SYS_execveat, -77, "/proc/self/exe", arguments, environment, 0));
    IN_CHILD("a memory file", {
        int memory = memfd_create("copy", 0);
        char block[65536];
        ssize_t got;
        while ((got = read(self, block, sizeof block)) > 0) CHECK(write(memory, block, got) == got);
        CHECK(fcntl(memory, F_SETFD, FD_CLOEXEC) == 0);
        fexecve(memory, arguments, environment);
    });
    IN_CHILD("signal state", {
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGUSR1);
        sigaddset(&mask, SIGTRAP);
        sigaddset(&mask, SIGSYS);
        CHECK(sigprocmask(SIG_SETMASK, &mask, 0) == 0);
        CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR && signal(SIGSEGV, SIG_IGN) != SIG_ERR);
        CHECK(signal(SIGHUP, on_signal) != SIG_ERR && signal(SIGBUS, on_signal) != SIG_ERR);
        static char memory[65536];
        stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
        CHECK(sigaltstack(&stack, 0) == 0);
        execve("/proc/self/exe", arguments, environment);
    });
    IN_CHILD("descriptors", {
        CHECK(dup2(1, 9) == 9 && dup2(1, 8) == 8 && fcntl(8, F_SETFD, FD_CLOEXEC) == 0);
        execve("/proc/self/exe", arguments, environment);
    });
    IN_CHILD("from a thread", {
        pthread_t thread;
        CHECK(pthread_create(&thread, 0, exec_in_thread, 0) == 0);
        pthread_join(thread, 0);
    });
    say("posix_spawn");
    pid_t pid;
    CHECK(posix_spawn(&pid, "/proc/self/exe", 0, 0, arguments, environment) == 0);
    say("  ended: %d", ended(pid));
    say("vfork");
    for (int round = 0; round < 3; round++) {
        pid = vfork();
        if (pid == 0) {
            execve("/proc/self/exe", arguments, environment);
            _exit(100);
        }
        CHECK(ended(pid) == 42);
    }
    say("system: %d", WEXITSTATUS(system("exit 3")));
    FILE *pipe = popen("echo from a pipe", "r");
    char line[40] = "";
    CHECK(pipe && fgets(line, sizeof line, pipe) && pclose(pipe) == 0);
    say("popen: %s", line);
    done();
}
