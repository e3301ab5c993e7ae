// Random state of all registers, flags, x87, vector and protection-key state and the red zone before
// a harmless call, at sites of every kind; after it everything must be as the hardware leaves it.
// Meanwhile a timer's handler disturbs all of that state and makes calls.
//#Rounds: 30000 1000000
#include "stress.h"
#include <cpuid.h>
#include <poll.h>
#include <sys/epoll.h>

// --- all state of the processor -----------------------------------------------------------------

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, RSP, FLAGS, WORDS };

uint64_t before[WORDS] __attribute__((used)), after[WORDS] __attribute__((used));
uint64_t own_rsp __attribute__((used)), site_address __attribute__((used));

#define AREA 16384
_Alignas(64) uint8_t area_in[AREA] __attribute__((used));    // what is loaded
_Alignas(64) uint8_t area_start[AREA] __attribute__((used)); // what was there then
_Alignas(64) uint8_t area_end[AREA] __attribute__((used));   // what was there after the call
_Alignas(64) uint8_t area_own[AREA] __attribute__((used));   // what C code lives with
_Alignas(64) uint8_t area_trash[AREA];                       // what the handler leaves
uint32_t components __attribute__((used));
static uint32_t offsets[32], sizes[32];
volatile int in_probe __attribute__((used));

/// Loads all of `before` and `area_in`, goes to the site at `site_address`, which comes back to
/// `probe_back`, and stores all to `after` and `area_end`.
void probe(void);
extern char probe_back[], probe_end[];
asm(".text\n.globl probe\n.type probe,@function\nprobe:\n.cfi_startproc\n"
    "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, own_rsp(%rip)\n"
    "movl $1, in_probe(%rip)\n"
    "xor %edx, %edx\nmov components(%rip), %eax\nxrstor64 area_in(%rip)\n"
    "xsave64 area_start(%rip)\n"
    "pushq before+128(%rip)\npopfq\n"
    "mov before(%rip), %rax\nmov before+8(%rip), %rbx\nmov before+16(%rip), %rcx\n"
    "mov before+24(%rip), %rdx\nmov before+32(%rip), %rsi\nmov before+40(%rip), %rdi\n"
    "mov before+48(%rip), %rbp\nmov before+56(%rip), %r8\nmov before+64(%rip), %r9\n"
    "mov before+72(%rip), %r10\nmov before+80(%rip), %r11\nmov before+88(%rip), %r12\n"
    "mov before+96(%rip), %r13\nmov before+104(%rip), %r14\nmov before+112(%rip), %r15\n"
    "mov before+120(%rip), %rsp\n"
    "jmp *site_address(%rip)\n"
    ".globl probe_back\nprobe_back:\n"
    "mov %rax, after(%rip)\nmov %rbx, after+8(%rip)\nmov %rcx, after+16(%rip)\n"
    "mov %rdx, after+24(%rip)\nmov %rsi, after+32(%rip)\nmov %rdi, after+40(%rip)\n"
    "mov %rbp, after+48(%rip)\nmov %r8, after+56(%rip)\nmov %r9, after+64(%rip)\n"
    "mov %r10, after+72(%rip)\nmov %r11, after+80(%rip)\nmov %r12, after+88(%rip)\n"
    "mov %r13, after+96(%rip)\nmov %r14, after+104(%rip)\nmov %r15, after+112(%rip)\n"
    "mov %rsp, after+120(%rip)\nmov own_rsp(%rip), %rsp\n"
    "pushfq\npopq after+128(%rip)\npushq $0x202\npopfq\n"
    "xor %edx, %edx\nmov components(%rip), %eax\nxsave64 area_end(%rip)\n"
    "xrstor64 area_own(%rip)\n"
    "movl $0, in_probe(%rip)\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
    ".globl probe_end\nprobe_end:\n.cfi_endproc\n.size probe, . - probe\n");
void *probe_back_address __attribute__((used)) = probe_back;

/// CF PF AF ZF SF DF OF, NT, AC, ID: what a program can set and a call keeps.
#define LOOSE_FLAGS (0xcd5ul | 1ul << 14 | 1ul << 18 | 1ul << 21)

static void find_components(void) {
    uint32_t a, b, c, d, low, high;
    CHECK(__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE));
    // AMX tiles, if they are to be had: they make the signal frame 8 KiB larger.
    if (seed % 2) syscall(SYS_arch_prctl, 0x1023, 18);
    uint64_t allowed = 0;
    syscall(SYS_arch_prctl, 0x1022, &allowed);
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    components = low & 0x2e7; // x87, SSE, AVX, opmask, zmm high halves, zmm16-31, PKRU
    if ((low >> 17 & 3) == 3 && allowed >> 18 & 1) components |= 3 << 17;
    for (int i = 2; i < 32; i++) {
        __cpuid_count(0xd, i, a, b, c, d);
        if (!(components >> i & 1)) continue;
        sizes[i] = a, offsets[i] = b;
        CHECK(a + b <= AREA);
    }
    asm volatile("xsave64 %0" : "=m"(area_own) : "a"(components), "d"(0) : "memory");
}

static void fill(uint8_t *area, struct chance *chance) {
    memset(area, 0, 512 + 64);
    for (int at = 32; at < 416; at += 8) *(uint64_t *)(area + at) = next_of(chance);
    for (int i = 0; i < 8; i++) memset(area + 32 + 16 * i + 10, 0, 6);
    for (int i = 2; i < 32; i++)
        for (uint32_t at = 0; at + 8 <= sizes[i]; at += 8)
            *(uint64_t *)(area + offsets[i] + at) = next_of(chance);
    *(uint16_t *)(area + 0) = 0x7f | (next_of(chance) & 0xf00); // all exceptions masked
    *(uint16_t *)(area + 2) = next_of(chance) & 0x7f7f;
    area[4] = next_of(chance);
    uint32_t known = *(uint32_t *)(area_own + 28);
    *(uint32_t *)(area + 24) = ((next_of(chance) & 0xffff) | 0x1f80) & (known ? known : 0xffbf);
    if (sizes[9]) *(uint64_t *)(area + offsets[9]) = next_of(chance) & 0xfffffffc;
    if (sizes[17]) {
        uint8_t *config = area + offsets[17];
        memset(config, 0, 64);
        config[0] = 1;
        for (int i = 0; i < 8; i++) {
            config[16 + 2 * i] = 64;
            config[48 + i] = 16;
        }
    }
    // Some components in their initial state.
    uint64_t present = components;
    if (once_in(chance, 4)) present &= next_of(chance);
    if (sizes[17] && once_in(chance, 2)) present &= ~(3ul << 17);
    if ((present >> 17 & 3) != 3) present &= ~(3ul << 17);
    *(uint64_t *)(area + 512) = present;
}

// --- sites --------------------------------------------------------------------------------------

struct site {
    char *entry, *after, *end;
    long number; // the one in its text, or -1: the one in rax
};

#define TEXT_OF(x) #x
#define NUMBER(x) TEXT_OF(x)
#define SITE(name, first, then)                                                                    \
    extern char name[], name##_after[], name##_end[];                                              \
    asm(".text\n.p2align 3\n.globl " #name "\n.type " #name ",@function\n" #name                   \
        ":\n.cfi_startproc\n" first "\nsyscall\n" #name "_after:\n" then                           \
        "\njmp *probe_back_address(%rip)\n" #name "_end:\n.cfi_endproc\n.size " #name              \
        ", . - " #name "\n");

// The number in a register.
SITE(in_register, "nopw 0(%rax,%rax)", "nop\nnop\nnop\nnop")
SITE(in_register_bare, "", "")
SITE(in_register_moved, "mov %rbx, %rbx\nmov %r9, %r9", "mov %r12, %r12\nlea 0(%rsp), %rsp")
SITE(in_register_aimed, "jmp 1f\n2: jmp *probe_back_address(%rip)\n.p2align 4\n1:", "jmp 2b")
SITE(in_register_crowded, "jmp 1f\n2: nop\n1:", "3: jrcxz 2b\njmp 4f\njmp 3b\n4:")

#define CONSTANTS(X)                                                                               \
    X(read) X(write) X(close) X(lseek) X(mmap) X(mprotect) X(munmap) X(rt_sigaction)               \
    X(rt_sigprocmask) X(ioctl) X(access) X(sched_yield) X(madvise) X(nanosleep) X(getpid) X(fork)  \
    X(fcntl) X(readlink) X(getuid) X(getppid) X(rt_sigpending) X(rt_sigtimedwait) X(sigaltstack)   \
    X(arch_prctl) X(gettid) X(futex) X(clock_gettime) X(ppoll) X(pselect6) X(epoll_pwait)          \
    X(signalfd4) X(getcpu) X(clone3)
#define CONSTANT_SITE(name)                                                                        \
    SITE(plain_##name, "mov $" NUMBER(SYS_##name) ", %eax", "")                                    \
    SITE(early_##name, "mov $" NUMBER(SYS_##name) ", %eax\nmov %r13, %r13\nnop", "mov %r14, %r14")
CONSTANTS(CONSTANT_SITE)

#define ROW(name, number) {name, name##_after, name##_end, number},
#define CONSTANT_ROWS(name) ROW(plain_##name, SYS_##name) ROW(early_##name, SYS_##name)
#define REGISTER_SITES 5
static struct site written[] = {
    ROW(in_register, -1) ROW(in_register_bare, -1) ROW(in_register_moved, -1)
    ROW(in_register_aimed, -1) ROW(in_register_crowded, -1) CONSTANTS(CONSTANT_ROWS)
};
#define WRITTEN (sizeof written / sizeof written[0])

/// A site at `at`: `mov $number,%eax` if it is not negative, some nops, the call, back.
static struct site generate(uint8_t *at, long number, int nops) {
    struct site site = {(char *)at, 0, 0, number};
    if (number >= 0) {
        *at++ = 0xb8;
        memcpy(at, &(int){number}, 4);
        at += 4;
    }
    memset(at, 0x90, nops);
    at += nops;
    memcpy(at, "\x0f\x05", 2);
    at += 2;
    site.after = (char *)at;
    memcpy(at, "\xff\x25", 2); // jmp through an aligned pointer: alignment checks may be on
    site.end = (char *)at + 6;
    uint32_t gap = -(uint64_t)site.end % 8;
    memcpy(at + 2, &gap, 4);
    memcpy(at + 6 + gap, &(uint64_t){(uint64_t)probe_back}, 8);
    return site;
}

/// Pages of generated code, each with one site at a random place, remade now and then.
#define PAGES 8
static struct site generated[PAGES];
static uint8_t *code;
static void regenerate(int page, long number) {
    uint8_t *at = code + page * 4096;
    if (page > 0) CHECK(mprotect(at, 4096, PROT_READ | PROT_WRITE) == 0); // page 0 stays writable
    memset(at, 0xcc, 4096);
    generated[page] = generate(at + below(&plan, 4000), number, below(&plan, 5));
    if (page > 0) CHECK(mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0);
}

// --- calls --------------------------------------------------------------------------------------

static int null_fd, poll_fd;
static long pid, parent, uid;
static uint8_t *own_page, *mapped;
static uint64_t mask_now;                     // the signal mask, as it must be
static uint64_t word_in[16], word_out[16];    // what calls read and write
static char path_of_self[PATH_MAX], text_out[PATH_MAX];
static long self_length;
static uint32_t futex_word;
static stack_t own_stack;
static uint8_t handler_stack[65536];

static void arguments(long a, long b, long c, long d, long e, long f) {
    before[RDI] = a, before[RSI] = b, before[RDX] = c;
    before[R10] = d, before[R8] = e, before[R9] = f;
}

#define ANY(n) (next_of(&plan))
#define WRONG_FD (once_in(&plan, 2) ? -1l : 0x7ffffff0l)
/// An address that the kernel takes for one of a program.
#define SOME_ADDRESS (next_of(&plan) >> 18)

static long free_number(void) {
    switch (below(&plan, 5)) {
    case 0: return 480 + below(&plan, 31);
    case 1: return 512 + below(&plan, 100000);
    case 2: return 0xffffffff;
    case 3: return 0xfffffff0 - below(&plan, 1000);
    default: return 0x10000 * (1 + below(&plan, 100)) + 39;
    }
}

/// Prepares a random call of `number`; what it will return, or LONG_MIN: something checked later.
static long prepare(long number) {
    arguments(ANY(), ANY(), ANY(), ANY(), ANY(), ANY());
    memset(word_out, 0xee, sizeof word_out);
    switch (number) {
    case SYS_getpid: return pid;
    case SYS_gettid: return pid;
    case SYS_getppid: return parent;
    case SYS_getuid: return uid;
    case SYS_sched_yield: return 0;
    case SYS_read: before[RDI] = WRONG_FD; return -EBADF;
    case SYS_close: before[RDI] = WRONG_FD; return -EBADF;
    case SYS_lseek: before[RDI] = WRONG_FD; return -EBADF;
    case SYS_fcntl: before[RDI] = WRONG_FD; return -EBADF;
    case SYS_ioctl: before[RDI] = WRONG_FD; return -EBADF;
    case SYS_write: before[RDI] = null_fd, before[RSI] = SOME_ADDRESS, before[RDX] = 0; return 0;
    case SYS_madvise: before[RDI] = SOME_ADDRESS | 1; return -EINVAL;
    case SYS_access: before[RDI] = 16, before[RSI] &= 7; return -EFAULT;
    case SYS_getcpu:
        before[RDI] = (long)word_out, before[RSI] = 0;
        return 0;
    case SYS_mmap:
        if (mapped) {
            arguments(SOME_ADDRESS & ~4095ul, 0, ANY(), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            return -EINVAL;
        }
        arguments(0, 4096, PROT_READ | (once_in(&plan, 3) ? PROT_EXEC : PROT_WRITE),
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return LONG_MIN;
    case SYS_munmap:
        if (!mapped) {
            arguments((long)own_page + 1, 4096, ANY(), ANY(), ANY(), ANY());
            return -EINVAL;
        }
        before[RDI] = (long)mapped, before[RSI] = 4096;
        return 0;
    case SYS_mprotect: {
        static const int protections[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE,
                                          PROT_READ | PROT_EXEC};
        before[RDI] = (long)own_page, before[RSI] = 4096, before[RDX] = protections[below(&plan, 4)];
        return 0;
    }
    case SYS_rt_sigprocmask: {
        word_in[0] = next_of(&plan);
        if (!once_in(&plan, 4)) word_in[0] &= ~(1ul << (SIGALRM - 1) | 1ul << (SIGRTMIN + 2 - 1));
        int how = below(&plan, 5);
        before[RDX] = once_in(&plan, 4) ? 0 : (long)word_out;
        before[R10] = 8;
        if (how == 4) { before[RSI] = 0; return 0; }
        before[RDI] = how | next_of(&plan) << 32, before[RSI] = (long)word_in;
        return how == 3 ? -EINVAL : 0;
    }
    case SYS_rt_sigaction: {
        static const int signals[] = {SIGUSR1, SIGSEGV, SIGSYS, SIGUSR2, SIGKILL, 64};
        before[RDI] = signals[below(&plan, 6)] | next_of(&plan) << 32, before[RSI] = 0;
        before[RDX] = (long)word_out, before[R10] = 8;
        if (once_in(&plan, 4)) { before[R10] = ANY() | 1; return -EINVAL; }
        return 0;
    }
    case SYS_rt_sigpending: before[RDI] = (long)word_out, before[RSI] = 8; return 0;
    case SYS_rt_sigtimedwait:
        memset(word_in, 0, sizeof word_in);
        word_in[0] = 1ul << (SIGUSR1 - 1) | 1ul << (SIGSYS - 1);
        before[RDI] = (long)word_in, before[RDX] = (long)(word_in + 2), before[R10] = 8;
        before[RSI] = once_in(&plan, 2) ? 0 : (long)word_out;
        return -EAGAIN;
    case SYS_sigaltstack:
        before[RDI] = 0, before[RSI] = (long)word_out;
        return 0;
    case SYS_arch_prctl: before[RDI] = 0x1003, before[RSI] = (long)word_out; return 0; // GET_FS
    case SYS_futex:
        before[RDI] = (long)&futex_word;
        if (once_in(&plan, 2)) { before[RSI] = 1, before[RDX] = 1; return 0; } // wake
        before[RSI] = 128, before[RDX] = futex_word + 1, before[R10] = 0; // another value
        return -EAGAIN;
    case SYS_clock_gettime:
        before[RDI] = once_in(&plan, 2) ? CLOCK_MONOTONIC : 99, before[RSI] = (long)word_out;
        return before[RDI] == 99 ? -EINVAL : 0;
    case SYS_nanosleep:
        memset(word_in, 0, sizeof word_in);
        word_in[0] = once_in(&plan, 2) ? -1 : 0;
        before[RDI] = (long)word_in, before[RSI] = 0;
        return LONG_MIN;
    case SYS_readlink:
        before[RDI] = (long)path_of_self, before[RSI] = (long)text_out, before[RDX] = sizeof text_out;
        return self_length;
    case SYS_ppoll:
        memset(word_in, 0, sizeof word_in);
        word_in[4] = next_of(&plan);
        arguments(0, 0, (long)word_in, once_in(&plan, 3) ? 0 : (long)(word_in + 4), 8, ANY());
        return LONG_MIN; // 0, or interrupted
    case SYS_pselect6:
        memset(word_in, 0, sizeof word_in);
        word_in[4] = next_of(&plan), word_in[6] = (long)(word_in + 4), word_in[7] = 8;
        arguments(0, 0, 0, 0, (long)word_in, once_in(&plan, 3) ? 0 : (long)(word_in + 6));
        return LONG_MIN;
    case SYS_epoll_pwait:
        word_in[4] = next_of(&plan);
        arguments(poll_fd, (long)word_out, 1, 0, once_in(&plan, 3) ? 0 : (long)(word_in + 4), 8);
        return LONG_MIN;
    case SYS_signalfd4:
        word_in[0] = 1ul << (SIGUSR1 - 1) | 1ul << (SIGSEGV - 1);
        arguments(-1, (long)word_in, 8, O_CLOEXEC, ANY(), ANY());
        return LONG_MIN; // a descriptor
    case SYS_clone3: before[RDI] = 0, before[RSI] = once_in(&plan, 2) ? 8 : 100000;
        return before[RSI] == 8 ? -EINVAL : -E2BIG;
    case SYS_fork: return LONG_MIN;
    default: return -ENOSYS;
    }
}

static int forked_child;

/// Checks and undoes what the call did, beyond its result.
static void conclude(long number, long result) {
    switch (number) {
    case SYS_mmap:
        if (mapped) break;
        NEED(result > 0 && result % 4096 == 0, "mmap: %ld", result);
        mapped = (uint8_t *)result;
        break;
    case SYS_munmap:
        if (result == 0) mapped = 0;
        break;
    case SYS_rt_sigprocmask: {
        const uint64_t never = 1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1);
        int changes = before[RSI] != 0;
        if (result == 0) {
            NEED(before[RDX] == 0 || word_out[0] == mask_now, "old mask %lx, expected %lx",
                 word_out[0], mask_now);
            if (changes)
                switch ((int)before[RDI]) {
                case SIG_BLOCK: mask_now |= word_in[0] & ~never; break;
                case SIG_UNBLOCK: mask_now &= ~word_in[0]; break;
                default: mask_now = word_in[0] & ~never;
                }
        }
        break;
    }
    case SYS_arch_prctl: {
        uint64_t self;
        asm("mov %%fs:0, %0" : "=r"(self));
        CHECK(word_out[0] == self);
        break;
    }
    case SYS_sigaltstack: CHECK(memcmp(word_out, &own_stack, sizeof own_stack) == 0); break;
    case SYS_readlink: CHECK(text_out[0] == '/'); break;
    case SYS_nanosleep:
        if (word_in[0]) NEED(result == -EINVAL, "nanosleep: %ld", result);
        else NEED(result == 0 || result == -EINTR, "nanosleep: %ld", result);
        break;
    case SYS_ppoll: case SYS_pselect6: case SYS_epoll_pwait:
        NEED(result == 0 || result == -EINTR, "wait %ld: %ld", number, result);
        break;
    case SYS_signalfd4:
        NEED(result > 2, "signalfd4: %ld", result);
        CHECK(close(result) == 0);
        break;
    case SYS_fork:
        NEED(result >= 0, "fork: %ld", result);
        break;
    }
}

// --- the timer ----------------------------------------------------------------------------------

static struct chance handler_chance;
static volatile long ticks, in_sites;
static timer_t timer;
static int use_timer;
static struct site current;

static void rearm(void) {
    long delay = 1000 * (5 + below(&handler_chance, once_in(&handler_chance, 2) ? 60 : 500));
    if (use_timer) {
        struct itimerspec time = {{0, 0}, {0, delay}};
        CHECK(timer_settime(timer, 0, &time, 0) == 0);
    } else {
        struct itimerval time = {{0, 0}, {0, delay / 1000}};
        CHECK(setitimer(ITIMER_REAL, &time, 0) == 0);
    }
}

static void on_tick(int signal, siginfo_t *info, void *context) {
    uint64_t flags;
    uint32_t mxcsr;
    uint16_t control;
    // Off with alignment checks, but not with NT and ID, which a return from a signal does not restore.
    asm volatile("pushfq\nmov (%%rsp), %0\nandq $~0x40000, (%%rsp)\npopfq\nstmxcsr %1\nfnstcw %2"
                 : "=r"(flags), "=m"(mxcsr), "=m"(control) : : "cc");
    int error = errno;
    (void)signal, (void)info;
    NEED(!(flags & 0x500) && mxcsr == 0x1f80 && control == 0x37f,
         "a handler starts with flags %lx, mxcsr %x, control word %x", flags, mxcsr, control);
    ucontext_t *uc = context;
    greg_t *r = uc->uc_mcontext.gregs;
    char *rip = (char *)r[REG_RIP];
    ticks++;
    if (in_probe && rip >= current.entry && rip < current.end) {
        in_sites++;
        static const int places[] = {REG_RBX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_R8, REG_R9,
                                     REG_R10, REG_R12, REG_R13, REG_R14, REG_R15, REG_RSP};
        static const int ours[] = {RBX, RDX, RSI, RDI, RBP, R8, R9, R10, R12, R13, R14, R15, RSP};
        for (int i = 0; i < 13; i++)
            NEED((uint64_t)r[places[i]] == before[ours[i]], "interrupted: register %d is %llx, was %lx",
                 ours[i], r[places[i]], before[ours[i]]);
        if (rip == current.after) CHECK((char *)r[REG_RCX] == rip);
        NEED(!((r[REG_EFL] ^ before[FLAGS]) & LOOSE_FLAGS), "interrupted: flags %llx, were %lx",
             r[REG_EFL], before[FLAGS]);
        uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
        CHECK(memcmp(fp + 160, area_start + 160, 256) == 0);
        CHECK(memcmp(fp + 24, area_start + 24, 4) == 0);
    } else if (in_probe) {
        NEED(rip >= (char *)probe && rip < probe_end,
             "interrupted outside of all sites: %s, %+ld from the site's entry (%ld long), %+ld from the "
             "pages; signal %d, rax %llx, rcx %+ld from the entry, rsp %s", (uint64_t)rip >> 32 == 0x7e90 ?
             "in the shim's window" : "elsewhere", rip - current.entry, current.end - current.entry,
             rip - (char *)code, signal, r[REG_RAX], (char *)r[REG_RCX] - current.entry,
             (uint64_t)r[REG_RSP] == before[RSP] ? "of the round" : "another");
    }
    CHECK(RAW(SYS_getpid) == pid || forked_child);
    CHECK(RAW(500 + ticks % 100) == -ENOSYS);
    CHECK(RAW(SYS_rt_sigprocmask, 0, 0, 0, 8) == 0);
    rearm();
    errno = error;
    // The state that is left here is restored by the return.
    asm volatile("xrstor64 %0" : : "m"(area_trash), "a"(components), "d"(0) : "memory");
}

// --- one round ----------------------------------------------------------------------------------

static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9",
                                    "r10", "r11", "r12", "r13", "r14", "r15", "rsp", "flags"};
static long round_now, number_now;

static void expect(const char *what, uint64_t found, uint64_t wanted) {
    if (found != wanted)
        FAIL("round %ld, call %ld at site %+ld: %s is %#lx, expected %#lx", round_now, number_now,
             current.entry - in_register, what, found, wanted);
}

static void expect_same(const char *what, uint32_t from, uint32_t length) {
    for (uint32_t at = from; at < from + length; at++)
        if (area_start[at] != area_end[at])
            FAIL("round %ld, call %ld at site %+ld: %s changed at byte %u: %02x became %02x", round_now,
                 number_now, current.entry - in_register, what, at - from, area_start[at], area_end[at]);
}

static long any_number(void) {
#define NUMBER_OF(name) SYS_##name,
    static const long numbers[] = {CONSTANTS(NUMBER_OF)};
    long number = numbers[below(&plan, sizeof numbers / sizeof numbers[0])];
    if (number == SYS_fork && !once_in(&plan, 20)) number = SYS_getpid;
    return once_in(&plan, 8) ? free_number() : number;
}

static uint8_t stack_memory[262144];

static void one_round(void) {
    int kind = below(&plan, 8);
    long number;
    if (kind < 3) {
        current = written[REGISTER_SITES + below(&plan, WRITTEN - REGISTER_SITES)];
        if (current.number == SYS_fork && !once_in(&plan, 10)) current = written[REGISTER_SITES];
    } else if (kind < 6) {
        current = written[below(&plan, REGISTER_SITES)];
    } else {
        int page = below(&plan, PAGES);
        if (once_in(&plan, 64)) regenerate(page, once_in(&plan, 3) ? -1 : any_number());
        current = generated[page];
    }
    for (int i = 0; i < WORDS; i++) before[i] = next_of(&plan);
    number = current.number >= 0 ? current.number : any_number();
    number_now = number;
    if (number == SYS_fork && current.number >= 0 && !once_in(&plan, 10)) {
        current = written[0];
        number_now = number = SYS_getpid;
    }
    long wanted = prepare(number);
    if (current.number < 0) before[RAX] = (uint32_t)number | next_of(&plan) << 32;
    before[FLAGS] = (next_of(&plan) & LOOSE_FLAGS) | 0x202;
    if (!once_in(&plan, 4)) before[FLAGS] &= ~(1ul << 14 | 1ul << 18 | 1ul << 21);
    before[RSP] = (uint64_t)stack_memory + 131072 + below(&plan, 65536);
    uint8_t *zone = (uint8_t *)before[RSP] - 128, zone_before[128];
    for (int i = 0; i < 128; i++) zone_before[i] = zone[i] = next_of(&plan);
    fill(area_in, &plan);
    memset(after, 0xee, sizeof after);
    memset(area_end, 0xee, 576);
    site_address = (uint64_t)current.entry;
    note(current.number), note(number);
    if (number == SYS_readlink) memset(text_out, 0, 64);

    probe();

    long result = after[RAX];
    forked_child = number == SYS_fork && result == 0;
    note(before[RBX]);
    if (wanted != LONG_MIN) {
        expect("rax", result, wanted);
    }
    for (int i = 0; i <= RSP; i++)
        if (i != RAX && i != RCX && i != R11) expect(names[i], after[i], before[i]);
    expect("rcx", after[RCX], (uint64_t)current.after);
    expect("flags", after[FLAGS], before[FLAGS]);
    expect("r11", after[R11], before[FLAGS]);
    if (memcmp(zone, zone_before, 128)) FAIL("round %ld, call %ld: red zone changed", round_now, number);
    expect_same("x87 control, status or tags", 0, 5);
    expect_same("mxcsr", 24, 4);
    for (int i = 0; i < 8; i++) expect_same("an x87 register", 32 + 16 * i, 10);
    expect_same("xmm", 160, 256);
    for (int i = 2; i < 32; i++)
        if ((components >> i & 1) && !(i > 16 && forked_child)) // tiles are not inherited
            expect_same(i == 2 ? "ymm" : i == 9 ? "pkru" : "zmm, k or tiles",
                                             offsets[i], sizes[i]);
    conclude(number, result);
    if (number == SYS_fork) {
        if (forked_child) _exit(42);
        CHECK(ended(result) == 42);
    }
}

int main(int count, char **texts) {
    start(count, texts);
    find_components();
    pid = getpid(), parent = getppid(), uid = getuid();
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(null_fd >= 0 && poll_fd >= 0);
    own_page = map_pages(1, PROT_READ | PROT_WRITE);
    code = map_pages(PAGES, PROT_READ | PROT_WRITE | PROT_EXEC);
    snprintf(path_of_self, sizeof path_of_self, "/proc/self/exe");
    self_length = readlink(path_of_self, text_out, sizeof text_out);
    CHECK(self_length > 0);
    for (int page = 0; page < PAGES; page++) regenerate(page, page % 2 ? any_number() : -1);
    handler_chance = sequence(seed, 1);
    fill(area_trash, &handler_chance);
    own_stack = (stack_t){.ss_sp = 0, .ss_flags = SS_DISABLE, .ss_size = 0};
    if (seed / 2 % 2) {
        own_stack = (stack_t){.ss_sp = handler_stack, .ss_flags = 0, .ss_size = sizeof handler_stack};
        CHECK(sigaltstack(&own_stack, 0) == 0);
    }
    CHECK(RAW(SYS_sigaltstack, 0, &own_stack) == 0); // as the kernel writes it
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigaddset(&action.sa_mask, SIGALRM);
    sigaddset(&action.sa_mask, SIGRTMIN + 2);
    CHECK(sigaction(SIGALRM, &action, 0) == 0 && sigaction(SIGRTMIN + 2, &action, 0) == 0);
    for (round_now = 0; round_now < turns; round_now++) {
        if (round_now % 1000 == 500) {
            use_timer = next_of(&plan) % 2;
            rearm();
        }
        one_round();
    }
    uint64_t all = ~0ul;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8) == 0);
    finish();
}
