// What every program here uses: checks, deterministic output, raw calls.
//
// Output is compared byte for byte between a native run and a run under the shim, so it never
// holds a pid, an address or a time. `say` writes at once, without stdio, so that a fork never
// prints a line twice. A program that reaches its end says EXIT-SUCCESS: one that stops early with
// status 0 does not pass.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wunused-function"

/// Writes one formatted line (without a newline of its own) to standard output, in one write.
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    char line[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line - 1, format, list);
    va_end(list);
    if (length > (int)sizeof line - 2) length = sizeof line - 2;
    line[length++] = '\n';
    for (int at = 0; at < length;) {
        ssize_t wrote = write(1, line + at, length - at);
        if (wrote < 0 && errno != EINTR) _exit(3);
        if (wrote > 0) at += wrote;
    }
}

/// So many rounds; a tenth where a round that starts programs takes a hundred times longer (tests/README.md).
static int rounds(int many) { return getenv("IA2_TESTS_EMULATED") ? (many + 9) / 10 : many; }

/// The name of an errno value, so that output reads well.
static const char *errno_name(int value) {
    switch (value < 0 ? -value : value) {
    case 0: return "ok";
    case EPERM: return "EPERM";
    case ENOENT: return "ENOENT";
    case ESRCH: return "ESRCH";
    case EINTR: return "EINTR";
    case EBADF: return "EBADF";
    case ECHILD: return "ECHILD";
    case EAGAIN: return "EAGAIN";
    case ENOMEM: return "ENOMEM";
    case EACCES: return "EACCES";
    case EFAULT: return "EFAULT";
    case EEXIST: return "EEXIST";
    case ENOTDIR: return "ENOTDIR";
    case EINVAL: return "EINVAL";
    case ENOTTY: return "ENOTTY";
    case ESPIPE: return "ESPIPE";
    case EPIPE: return "EPIPE";
    case E2BIG: return "E2BIG";
    case ENOSYS: return "ENOSYS";
    case ETIMEDOUT: return "ETIMEDOUT";
    default: return "other-errno";
    }
}

/// Fails the program, naming the place.
static void check_failed(const char *file, int line, const char *what, int error) {
    const char *slash = strrchr(file, '/');
    say("%s:%d: CHECK failed: %s (errno %s)", slash ? slash + 1 : file, line, what,
        errno_name(error));
    _exit(1);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) check_failed(__FILE__, __LINE__, #condition, errno);                     \
    } while (0)

/// Checks that a libc call failed with this errno.
#define CHECK_ERRNO(call, wanted)                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((long)(call) != -1 || errno != (wanted))                                               \
            check_failed(__FILE__, __LINE__, #call " fails with " #wanted, errno);                 \
    } while (0)

/// Ends a program that did what it should.
__attribute__((noreturn)) static void done(void) {
    say("EXIT-SUCCESS");
    exit(0);
}

/// A system call made here and not in libc; returns what the kernel returned.
__attribute__((always_inline)) static inline long raw6(long nr, long a, long b, long c, long d,
                                                       long e, long f) {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}
#define RAW_PICK(nr, a, b, c, d, e, f, ...)                                                        \
    raw6((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/// `RAW(nr, arguments…)`; missing arguments are 0.
#define RAW(...) RAW_PICK(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/// Waits for a child and says how it ended: 0..255 for exit, 1000 + n for signal n.
static int ended(pid_t pid) {
    int status = 0;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    CHECK(got == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// Memory that is read-, write- and executable, or fails.
static void *map_pages(size_t pages, int protection) {
    void *memory = mmap(0, pages * 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/// Installs a handler; `flags` may hold SA_SIGINFO or not.
static void handle(int signal, void *handler, int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler;
    action.sa_flags = flags;
    CHECK(sigaction(signal, &action, 0) == 0);
}

/// Starts (or with 0 stops) a repeating SIGALRM.
static void tick_every_us(long microseconds) {
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    CHECK(setitimer(ITIMER_REAL, &timer, 0) == 0);
}

/// Code of `mov $nr,%eax ; syscall ; ret`, eight bytes.
static void write_call(unsigned char *at, int nr) {
    const unsigned char code[8] = {0xb8, nr & 255, nr >> 8 & 255, nr >> 16 & 255,
                                   nr >> 24, 0x0f, 0x05, 0xc3};
    memcpy(at, code, sizeof code);
}
