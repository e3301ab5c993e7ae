// What the attacks share: the table of attempts that a program makes, and the manners of making a call.
//
// Under the shim each attempt is made three times, each in a process of its own: by calls of the
// program's (`call`), and by jumping to the gate's `fast` and `raw` SYSCALL with registers of the
// attacker's (`fast`, `raw`). The first is what code can do that only misbehaves (A1), the others are
// what native code of any kind can do (A2). Natively there is no gate: that run is the control.
#pragma once
#include "../../c-tests/harness.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

/// First byte of the gate's page (`core/layout.rs`).
#define GATE ((unsigned char *)0x7e9000000000)
/// One past the window: gate, constants, table.
#define WINDOW_PAGES 4

static enum { CALL, FAST, RAW_CALL, MANNERS } manner;
static const char *const manner_names[MANNERS] = {"call", "fast", "raw"};

static int under_shim;
/// The gate's SYSCALLs: fast, args, raw.
static unsigned char *gates[3];

__attribute__((constructor)) static void find_the_gate(void) {
    under_shim = msync(GATE, 4096, MS_ASYNC) == 0;
    int found = 0;
    for (int offset = 0; under_shim && offset < 4094; offset++) {
        if (GATE[offset] != 0x0f || GATE[offset + 1] != 0x05) continue;
        CHECK(found < 3);
        gates[found++] = GATE + offset;
    }
    CHECK(!under_shim || found == 3);
}

/// Makes a call by the SYSCALL at `at`, wherever that returns to.
static long jump(unsigned char *at, long nr, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result;
    asm volatile("lea 1f(%%rip), %%r15\n mov %%r15, %%gs:0\n jmp *%%rbx\n1:"
                 : "=a"(result)
                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), "b"(at)
                 : "rcx", "r11", "r15", "memory");
    return result;
}

/// Makes a call in the manner of this attempt; gives what the kernel gives.
static long make_call(long nr, long a, long b, long c, long d, long e, long f) {
    return manner == CALL ? raw6(nr, a, b, c, d, e, f)
                          : jump(gates[manner == FAST ? 0 : 2], nr, a, b, c, d, e, f);
}
#define CALL_PICK(nr, a, b, c, d, e, f, ...)                                                       \
    make_call((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/// `call(nr, arguments…)`; missing arguments are 0.
#define call(...) CALL_PICK(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/// One attempt: 0 if it reached its goal, else the errno it got, negative.
typedef long (*Attempt)(long with);

/// What becomes of an attempt in a process of its own. It is told by memory that both see: an attack
/// may leave a process that cannot even exit.
static const char *outcome(Attempt attempt, long with, const char *reached) {
    static char text[32];
    volatile long *told = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(told != MAP_FAILED);
    *told = 1;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        *told = attempt(with);
        manner = CALL;
        _exit(0);
    }
    int end = ended(child);
    long result = *told;
    CHECK(munmap((void *)told, 4096) == 0);
    if (result == 0) return reached;
    if (result < 0) {
        const char *name = strerrorname_np((int)-result);
        CHECK(name);
        return name;
    }
    if (end < 1000) {
        snprintf(text, sizeof text, "exit %d", end);
        return text;
    }
    const char *name = sigabbrev_np(end - 1000);
    snprintf(text, sizeof text, "SIG%s", name ? name : "?");
    return text;
}

/// Makes an attempt in every manner, and tells what became of it.
static void attack(const char *name, Attempt attempt, long with) {
    char line[256];
    int length = snprintf(line, sizeof line, "attack %s:", name);
    for (manner = CALL; manner < (under_shim ? MANNERS : FAST); manner++)
        length += snprintf(line + length, sizeof line - length, "%s %s %s", manner ? "," : "",
                           manner_names[manner], outcome(attempt, with, "succeeded"));
    manner = CALL;
    say("%s", line);
}

/// What must still work.
static void twin(const char *name, Attempt attempt, long with) {
    say("twin %s: %s", name, outcome(attempt, with, "works"));
}

/// 0 for every result that is no error.
static long only_error(long result) { return result < 0 && result > -4096 ? result : 0; }

/// A call that does no harm and must not be made: it reached the kernel if that says what it says to
/// these arguments (0 for anything but an error), or that it has no such call.
typedef struct {
    const char *name;
    int says;
    long nr, args[6];
} Asked;

static long ask(long asked) {
    const Asked *one = (const Asked *)asked;
    const long *args = one->args;
    long result = only_error(call(one->nr, args[0], args[1], args[2], args[3], args[4], args[5]));
    return result == -one->says || result == -ENOSYS ? 0 : result ? result : -EDOM; // EDOM: it was to fail
}

#define attack_each(table)                                                                         \
    for (unsigned i = 0; i < sizeof(table) / sizeof *(table); i++)                                 \
        attack((table)[i].name, ask, (long)&(table)[i])

/// A call that policy `ia2` refuses and that does nothing: it asks for the file system's user.
static long forbidden(void) { return only_error(call(SYS_setfsuid, -1)); }

/// Code that makes that call, 13 bytes.
static const unsigned char forbidden_code[13] = {0xb8, SYS_setfsuid, 0, 0,    0,    0xbf, 0xff,
                                                 0xff, 0xff,         0xff, 0x0f, 0x05, 0xc3};

static long run(const void *code) { return only_error(((long (*)(void))(uintptr_t)code)()); }

/// `mov $value,%eax ; ret`, 6 bytes.
static void write_function(unsigned char *at, unsigned char value) {
    const unsigned char code[6] = {0xb8, value, 0, 0, 0, 0xc3};
    memcpy(at, code, sizeof code);
}

/// A page of code that gives 1 when it is called: what attacks try to change to 2.
static unsigned char *victim_code(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    write_function(page, 1);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 && run(page) == 0);
    return page;
}

static int gives(const unsigned char *code) {
    return ((int (*)(void))(uintptr_t)code)();
}

/// Natively: pages where the window would be, so that what is done to it has something to do it to.
static void stand_in(void) {
    if (under_shim) return;
    void *got = mmap(GATE, WINDOW_PAGES * 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(got == GATE);
    memset(GATE, 0xcc, 4096);
    CHECK(mprotect(GATE, 4096, PROT_READ | PROT_EXEC) == 0);
    CHECK(mprotect(GATE + 4096, 3 * 4096, PROT_READ) == 0);
}
