// Faults of the program's own, each told in full by its handler: number, code, address, instruction,
// all registers. The instructions stand alone, just behind a call, and just before one.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

// Where they point: [0] readable, [1] nothing, [2] no access, [3] read only, [4] beyond the end of a
// file, [5] non-canonical.
uint64_t place[6] __attribute__((used));
uint64_t saved_rsp __attribute__((used));
typedef void Function(void);

// The registers have patterns, but for r8 (the place), rcx and r11 behind a call.
#define ROUTINE(name, before, instruction, after)                                                  \
    extern char name##_at[], name##_end[];                                                         \
    void name(void);                                                                               \
    asm(".text\n.globl " #name ", " #name "_at, " #name "_end\n.type " #name ",@function\n" #name  \
        ":\n.cfi_startproc\n"                                                                      \
        "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"                       \
        "mov %rsp, saved_rsp(%rip)\n"                                                              \
        "mov $0x1b1b1b1b, %ebx\nmov $0x5b5b5b5b, %ebp\nmov $0x12121212, %r12d\n"                   \
        "mov $0x13131313, %r13d\nmov $0x14141414, %r14d\nmov $0x15151515, %r15d\n"                 \
        "mov $0x0d1d1d1d, %edi\nmov $0x51515151, %esi\nmov $0xd2d2d2d2d2, %rdx\n"                  \
        "mov $0x09090909, %r9d\nmov $0x10101010, %r10d\nmov $0x11111111, %r11d\n"                  \
        "mov $0x0c0c0c0c, %ecx\nmov $0x0a0a0a0a, %eax\n" before "\n" #name "_at:\n" instruction    \
        "\n" #name "_end:\n" after "\njmp leave_routine\n.cfi_endproc\n.size " #name ", . - " #name \
        "\n")

asm(".text\n.globl leave_routine\nleave_routine:\ncld\nmov saved_rsp(%rip), %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n");
void leave_routine(void);

#define AT(n) "mov place+8*" #n "(%rip), %r8\n"
#define GETPPID "mov $110, %eax\nsyscall\n"      /* the number and the call in one patch */
#define KNOWN "mov $500, %eax\ncmp %eax, %eax\nnop\nsyscall\n" /* ENOSYS; room behind is wanted */

ROUTINE(unmapped_load, AT(1), "mov (%r8), %rdi", "");
ROUTINE(unmapped_store, AT(1), "mov %rdi, 16(%r8)", "");
ROUTINE(no_access_load, AT(2), "mov (%r8), %edi", "");
ROUTINE(read_only_store, AT(3), "movl $5, 4(%r8)", "");
ROUTINE(beyond_file, AT(4), "movzbl 8(%r8), %edi", "");
ROUTINE(non_canonical, AT(5), "mov (%r8), %rdi", "");
ROUTINE(non_canonical_stack, AT(5), "mov %r8, %rbp\nmov (%rbp), %rdi", "");
ROUTINE(jump_to_nothing, AT(1), "jmp *%r8", "");
ROUTINE(jump_to_data, AT(3), "jmp *%r8", "");
ROUTINE(jump_non_canonical, AT(5), "jmp *%r8", "");
ROUTINE(divide, "xor %edx, %edx\nxor %ecx, %ecx", "div %ecx", "");
ROUTINE(divide_overflow, "mov $0x80000000, %eax\nmov $-1, %edx\nmov $-1, %ecx", "idiv %ecx", "");
ROUTINE(undefined, "", "ud2", "");
ROUTINE(undefined_prefix, "", ".byte 0xf0, 0x90", "");
ROUTINE(breakpoint, "", "int3", "");
ROUTINE(breakpoint_long, "", ".byte 0xcd, 3", "");
ROUTINE(overflow_trap, "", "int $4", "");
ROUTINE(privileged, "", "hlt", "");
ROUTINE(port, "", "in $0x60, %al", "");
ROUTINE(aligned, AT(0), "movaps 8(%r8), %xmm0", "");
ROUTINE(icebp, "", ".byte 0xf1", "");
ROUTINE(interrupt, "", "int $0x42", "");

// Behind a call. The number is right before it, or farther away.
ROUTINE(call_load, AT(1) GETPPID, "mov (%r8), %rdi", "");
ROUTINE(call_load_wide, AT(1) GETPPID, "mov 0x12345(%r8), %rdi", "");
ROUTINE(call_ud2, GETPPID, "ud2", "nop\nnop\nnop");
ROUTINE(call_int3, GETPPID, "int3", "nop\nnop\nnop");
ROUTINE(call_divide, GETPPID "xor %ecx, %ecx\nxor %edx, %edx", "div %ecx", "nop");
ROUTINE(known_load, AT(1) KNOWN, "mov (%r8), %rdi", "");
ROUTINE(known_load_wide, AT(1) KNOWN, "mov 0x12345(%r8), %rdi", "");
ROUTINE(known_store, AT(3) KNOWN, "mov %rax, 8(%r8)", "");
ROUTINE(known_beyond, AT(4) KNOWN, "movzbl (%r8), %edi", "");
ROUTINE(known_non_canonical, AT(5) KNOWN, "mov %rax, 8(%r8)", "");
ROUTINE(known_aligned, AT(0) KNOWN, "movaps 8(%r8), %xmm0", "");
ROUTINE(known_ud2, KNOWN, "ud2", "nop\nnop\nnop");
ROUTINE(known_int3, KNOWN, "int3", "nop\nnop\nnop");
ROUTINE(known_second, AT(1) KNOWN "lea 3(%rax), %rsi", "mov (%r8), %rdi", "nop");
ROUTINE(known_divide, "xor %r9d, %r9d\nxor %edx, %edx\n" KNOWN, "div %r9d", "nop");
ROUTINE(known_write, AT(1) "mov $5000, %edi\n" KNOWN, "mov %rsi, (%r8)", "");

// Before a call, which is never made.
ROUTINE(load_call, AT(1) "mov $110, %eax", "mov (%r8), %rdi", "syscall\nnop\nnop\nnop");
ROUTINE(store_call, AT(3) "mov $110, %eax", "mov %esi, 4(%r8)", "syscall\nnop\nnop\nnop");
ROUTINE(divide_call, "xor %ecx, %ecx\nxor %edx, %edx\nmov $110, %eax", "div %ecx",
        "syscall\nmov %eax, %eax\nnop");
ROUTINE(ud2_call, "mov $110, %eax", "ud2", "syscall\nmov %eax, %eax\nnop");
ROUTINE(int3_call, "mov $110, %eax", "int3", "syscall\nmov %eax, %eax\nnop");
ROUTINE(number_load_call, AT(1), "mov (%r8), %eax", "syscall\nmov %eax, %eax\nnop");
ROUTINE(load_number_call, AT(1), "mov (%r8), %edi", "mov $110, %eax\nsyscall\n");

#define EACH(do)                                                                                   \
    do(unmapped_load) do(unmapped_store) do(no_access_load) do(read_only_store) do(beyond_file)    \
    do(non_canonical) do(non_canonical_stack) do(jump_to_nothing) do(jump_to_data)                 \
    do(jump_non_canonical) do(divide) do(divide_overflow) do(undefined) do(undefined_prefix)       \
    do(breakpoint) do(breakpoint_long) do(overflow_trap) do(privileged) do(port) do(aligned)       \
    do(icebp) do(interrupt)                                                                        \
    do(call_load) do(call_load_wide) do(call_ud2) do(call_int3) do(call_divide)                    \
    do(known_load) do(known_load_wide) do(known_store) do(known_beyond) do(known_non_canonical)    \
    do(known_aligned) do(known_ud2) do(known_int3) do(known_second) do(known_divide)               \
    do(known_write)                                                                                \
    do(load_call) do(store_call) do(divide_call) do(ud2_call) do(int3_call) do(number_load_call)   \
    do(load_number_call)

#define ROW(name) {#name, name, name##_at, name##_end},
static const struct { const char *name; Function *run; char *at, *end; } routines[] = {EACH(ROW)};
#define COUNT (sizeof routines / sizeof *routines)

static volatile int current;
static volatile sig_atomic_t times;

static const char *told(uint64_t value) {
    static char text[8][64];
    static int next;
    char *to = text[next++ % 8];
    for (size_t i = 0; i < COUNT; i++)
        if (value >= (uint64_t)routines[i].run && value <= (uint64_t)routines[i].end + 16) {
            long offset = (long)(value - (uint64_t)routines[i].at);
            snprintf(to, 64, "%s%+ld", routines[i].name, offset);
            return to;
        }
    for (int i = 0; i < 6; i++)
        if (value - place[i] < 0x20000) {
            snprintf(to, 64, "place %d + %#lx", i, (unsigned long)(value - place[i]));
            return to;
        }
    if (value - (saved_rsp - 4096) < 8192) {
        snprintf(to, 64, "stack %+ld", (long)(value - saved_rsp));
        return to;
    }
    if (value == (uint64_t)getppid()) return "getppid()";
    snprintf(to, 64, "%#lx", (unsigned long)value);
    return to;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    greg_t *r = uc->uc_mcontext.gregs;
    sigset_t now;
    sigprocmask(SIG_BLOCK, 0, &now);
    printf("%s: %s code %d errno %d address %s\n", routines[current].name, sigabbrev_np(number),
           info->si_code, info->si_errno, told((uint64_t)info->si_addr));
    printf("  rip %s trap %lld error %#llx", told(r[REG_RIP]), r[REG_TRAPNO], r[REG_ERR]);
    if (number == SIGSEGV || number == SIGBUS) printf(" cr2 %s", told(r[REG_CR2]));
    printf("\n ");
    static const struct { const char *name; int at; } names[] = {
        {"rax", REG_RAX}, {"rbx", REG_RBX}, {"rcx", REG_RCX}, {"rdx", REG_RDX}, {"rsi", REG_RSI},
        {"rdi", REG_RDI}, {"rbp", REG_RBP}, {"rsp", REG_RSP}, {"r8", REG_R8}, {"r9", REG_R9},
        {"r10", REG_R10}, {"r11", REG_R11}, {"r12", REG_R12}, {"r13", REG_R13}, {"r14", REG_R14},
        {"r15", REG_R15}, {"flags", REG_EFL}, {"segments", REG_CSGSFS}, {"mask", REG_OLDMASK}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        printf(" %s %s", names[i].name, told(r[names[i].at]));
    printf("\n  flags %#lx mask %d blocked %d\n", uc->uc_flags, sigismember(&uc->uc_sigmask, number),
           sigismember(&now, number));
    times++;
    r[REG_RIP] = (greg_t)leave_routine;
}

// Single steps: the instructions that the trap flag shows, one by one.
extern char steps_start[], steps_end[], steps_call_start[], steps_call_end[];
void steps(void), steps_call(void);
asm(".text\n.globl steps, steps_start, steps_end\nsteps:\n"
    "pushf\norq $0x100, (%rsp)\npopf\nsteps_start:\nnop\nmov $1, %eax\nadd $2, %eax\nnop\n"
    "pushf\nandq $~0x100, (%rsp)\npopf\nsteps_end:\nnop\nret\n"
    ".globl steps_call, steps_call_start, steps_call_end\nsteps_call:\n"
    "pushf\norq $0x100, (%rsp)\npopf\nsteps_call_start:\nnop\nmov $110, %eax\nsyscall\nnop\nnop\n"
    "mov $500, %eax\ncmp %eax, %eax\nnop\nsyscall\nmov %eax, %ecx\nnop\nnop\n"
    "xor %edi, %edi\nxor %esi, %esi\nxor %edx, %edx\nmov $8, %r10d\nmov $14, %eax\nsyscall\nnop\n"
    "mov $110, %ecx\nxchg %ecx, %eax\nsyscall\nnop\nnop\nnop\n"
    "pushf\nandq $~0x100, (%rsp)\npopf\nsteps_call_end:\nnop\nret\n");

static long stepped[64];
static volatile int steps_seen;
static char *volatile base;

static void on_step(int number, siginfo_t *info, void *context) {
    (void)number;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (steps_seen < 64) {
        stepped[steps_seen++] = (char *)r[REG_RIP] - base;
        if (info->si_code != TRAP_TRACE || info->si_addr != (void *)r[REG_RIP])
            printf("step with code %d\n", info->si_code);
    }
}

static void handle(int number, void (*function)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = function, .sa_flags = SA_SIGINFO | flags};
    if (sigaction(number, &action, 0)) perror("sigaction");
}

// What a child ends with that has no handler, ignores the signal, or has it blocked.
static void fatal(const char *how, int number, void (*prepare)(int)) {
    for (size_t i = 0; i < COUNT; i += 3) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            static const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
            for (int s = 0; s < 5; s++) signal(all[s], SIG_DFL);
            for (int s = 0; s < 5; s++) prepare(all[s]);
            routines[i].run();
            _exit(99);
        }
        int status = 0;
        waitpid(child, &status, 0);
        printf("%s, %s: %s %d\n", how, routines[i].name,
               WIFSIGNALED(status) ? "signal" : "exit",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    (void)number;
}

static void by_default(int number) { (void)number; }
static void ignored(int number) { signal(number, SIG_IGN); }
static void blocked(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, 0);
}

int main(int count, char **words) {
    setvbuf(stdout, 0, _IOFBF, 1 << 16);
    static char readable[256] __attribute__((aligned(64)));
    char *pages = mmap(0, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    place[0] = (uint64_t)readable;
    munmap(pages, 1 << 19);
    place[1] = (uint64_t)pages;
    place[2] = (uint64_t)pages + (1 << 19);
    mprotect(pages + (1 << 19) + 0x40000, 0x20000, PROT_READ);
    place[3] = (uint64_t)pages + (1 << 19) + 0x40000;
    int fd = memfd_create("short", 0);
    if (ftruncate(fd, 4096)) return 1;
    place[4] = (uint64_t)mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0)) return 1;
    place[5] = 0x8000deadbeef0000;

    static const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    if (count > 1 && strcmp(words[1], "steps") == 0) {
        handle(SIGTRAP, on_step, 0);
        for (int i = 0; i < 2; i++) {
            steps_seen = 0;
            base = i ? steps_call_start : steps_start;
            if (i) steps_call(); else steps();
            printf("steps:");
            for (int s = 0; s < steps_seen; s++) printf(" %ld", stepped[s]);
            printf("\n");
        }
        return 0;
    }
    if (count > 1 && strcmp(words[1], "fatal") == 0) {
        fatal("default", 0, by_default);
        fatal("ignored", 0, ignored);
        fatal("blocked", 0, blocked);
        return 0;
    }
    int flags = count > 1 && strcmp(words[1], "altstack") == 0 ? SA_ONSTACK | SA_NODEFER : 0;
    if (flags) {
        stack_t stack = {.ss_sp = malloc(1 << 17), .ss_size = 1 << 17};
        sigaltstack(&stack, 0);
    }
    for (int s = 0; s < 5; s++) handle(all[s], on_fault, flags);
    for (int round = 0; round < 2; round++)
        for (current = 0; current < (int)COUNT; current++) {
            int before = times;
            routines[current].run();
            if (times != before + 1) printf("%s: %d signals\n", routines[current].name, times - before);
        }
    return 0;
}
