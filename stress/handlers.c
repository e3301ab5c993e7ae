// Handlers that do more than return: nest, jump out, edit the frame (mask, registers, address), fork,
// vfork, clone, change their own action, run once (SA_RESETHAND), run on the alternate stack; raised by
// the thread itself, by timers, and in the middle of blocking calls.
//#Rounds: 3000 200000
#include "stress.h"
#include "../c-tests/clone.h"
#include <setjmp.h>
#include <spawn.h>

static pid_t own_pid, own_tid;
static char other_stack[1 << 18] __attribute__((aligned(64)));
static stack_t own_stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};

static uint64_t bit(int signal) { return 1ul << (signal - 1); }
static uint64_t mask_in_force(void) {
    uint64_t mask = 0;
    CHECK(RAW(SYS_rt_sigprocmask, 0, 0, &mask, 8) == 0);
    return mask;
}
static void set_mask(uint64_t mask) { CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8) == 0); }

static void act(int signal, void *handler, int flags, uint64_t mask) {
    struct sigaction action = {.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler,
                               .sa_flags = flags | SA_SIGINFO};
    *(uint64_t *)&action.sa_mask = mask;
    CHECK(sigaction(signal, &action, 0) == 0);
}

static void raise_here(int signal) {
    switch (below(&plan, 4)) {
    case 0: CHECK(RAW(SYS_tgkill, own_pid, own_tid, signal) == 0); break;
    case 1: CHECK(kill(own_pid, signal) == 0); break;
    case 2: CHECK(raise(signal) == 0); break;
    default: {
        union sigval value = {.sival_int = 7};
        CHECK(sigqueue(own_pid, signal, value) == 0);
    }
    }
}

/// A signal that does not disturb: no core dump of the default action.
static int any_signal(void) {
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGUSR1,
                                  SIGSEGV, SIGUSR2, SIGPIPE, SIGTERM, SIGCHLD, SIGURG, SIGXCPU,
                                  SIGWINCH, SIGSYS, SIGIO};
    uint64_t which = below(&plan, 24);
    return which < 18 ? signals[which] : SIGRTMIN + (int)which - 18;
}

static int on_own_stack(void) {
    char here;
    return &here >= other_stack && &here < other_stack + sizeof other_stack;
}

// --- nesting: each handler raises the next, under the masks that the actions say -----------------

static volatile int depth, deepest;
static int wanted_depth, nest_flags[8], nest_signals[8];
static uint64_t nest_masks[8], nest_expected[8];

static void on_nest(int signal, siginfo_t *info, void *context) {
    (void)info;
    int level = depth++;
    CHECK(signal == nest_signals[level]);
    uint64_t before = *(uint64_t *)&((ucontext_t *)context)->uc_sigmask;
    uint64_t wanted = before | nest_masks[level] | (nest_flags[level] & SA_NODEFER ? 0 : bit(signal));
    CHECK(mask_in_force() == wanted && (level == 0 || before == nest_expected[level - 1]));
    nest_expected[level] = wanted;
    CHECK(on_own_stack() == ((nest_flags[level] & SA_ONSTACK) || (level > 0 && on_own_stack())));
    struct sigaction action;
    CHECK(sigaction(signal, 0, &action) == 0);
    CHECK(((action.sa_flags & SA_RESETHAND) && action.sa_handler == SIG_DFL) ||
          (!(action.sa_flags & SA_RESETHAND) && action.sa_sigaction == on_nest));
    if (depth > deepest) deepest = depth;
    if (level + 1 < wanted_depth) {
        uint64_t blocked = mask_in_force() & bit(nest_signals[level + 1]);
        CHECK(RAW(SYS_tgkill, own_pid, own_tid, nest_signals[level + 1]) == 0);
        if (blocked) CHECK(deepest == level + 1); // it comes when this one returns
    }
    CHECK(mask_in_force() == wanted);
}

static void nesting(void) {
    wanted_depth = 1 + below(&plan, 6), depth = deepest = 0;
    for (int i = 0; i < wanted_depth; i++) {
        int again;
        do {
            nest_signals[i] = any_signal();
            again = 0;
            for (int j = 0; j < i; j++) again |= nest_signals[i] == nest_signals[j];
        } while (again);
        nest_flags[i] = (once_in(&plan, 2) ? SA_ONSTACK : 0) | (once_in(&plan, 3) ? SA_NODEFER : 0) |
                        (once_in(&plan, 4) ? SA_RESETHAND : 0) | (once_in(&plan, 2) ? SA_RESTART : 0);
        // Signals of this nest are not in the masks, so that it nests.
        nest_masks[i] = next_of(&plan) & 0x7fffffff00000000ul & ~(bit(SIGRTMIN) * 0xfff >> 4);
        act(nest_signals[i], on_nest, nest_flags[i], nest_masks[i]);
    }
    // What an altstack says of where it is, is checked by each level.
    raise_here(nest_signals[0]);
    NEED(deepest == wanted_depth, "depth %d of %d", deepest, wanted_depth);
    CHECK(mask_in_force() == 0 && !on_own_stack());
    for (int i = 0; i < wanted_depth; i++) {
        struct sigaction action;
        CHECK(sigaction(nest_signals[i], 0, &action) == 0);
        CHECK((action.sa_handler == SIG_DFL) == !!(nest_flags[i] & SA_RESETHAND));
        act(nest_signals[i], on_nest, 0, 0);
    }
}

// --- jumping out ---------------------------------------------------------------------------------

static sigjmp_buf away;
static jmp_buf away_with_mask;
static volatile int jump_kind;
static void on_jump(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    CHECK(RAW(500) == -ENOSYS);
    if (jump_kind) siglongjmp(away, 5);
    longjmp(away_with_mask, 6);
}

/// Out of a handler, also out of calls that block; the mask comes back by the jump or by hand.
static void jumping(void) {
    static int ends[2] = {-1, -1};
    if (ends[0] < 0) CHECK(pipe2(ends, O_CLOEXEC) == 0);
    int signal = once_in(&plan, 2) ? SIGALRM : any_signal();
    uint64_t mask = once_in(&plan, 2) ? bit(SIGUSR1) | bit(SIGSYS) : 0;
    if (mask & bit(signal)) mask = 0;
    int how = below(&plan, 5), flags = once_in(&plan, 2) ? SA_ONSTACK : 0;
    long delay = 20 + below(&plan, 300);
    jump_kind = once_in(&plan, 2);
    act(signal, on_jump, flags, next_of(&plan) & ~bit(SIGKILL));
    set_mask(mask);
    int result = jump_kind ? sigsetjmp(away, 1) : _setjmp(away_with_mask);
    if (result == 0) {
        if (signal != SIGALRM) raise_here(signal);
        struct itimerval timer = {{0, 0}, {0, delay}};
        CHECK(setitimer(ITIMER_REAL, &timer, 0) == 0);
        char byte;
        struct timespec time = {100, 0};
        for (;;) {
            if (how == 0) RAW(SYS_read, ends[0], &byte, 1);
            else if (how == 1) RAW(SYS_nanosleep, &time, 0);
            else if (how == 2) RAW(SYS_ppoll, 0, 0, 0, &mask, 8);
            else if (how == 3) RAW(SYS_rt_sigaction, SIGUSR1, 0, 0, 8);
            else pause();
        }
    }
    CHECK(result == (jump_kind ? 5 : 6));
    if (jump_kind) CHECK(mask_in_force() == mask);
    set_mask(0);
    act(signal, on_nest, 0, 0);
    stack_t stack;
    CHECK(sigaltstack(0, &stack) == 0 && stack.ss_flags == 0);
}

// --- editing the frame ---------------------------------------------------------------------------

/// `edited(tid, signal)`: raises the signal with known registers; the handler changes them. Returns
/// what is in rax then; the others are stored in `seen`.
long edited(long pid, long tid, long signal, long number);
uint64_t seen[16] __attribute__((used));
extern char edited_call[], edited_after[], edited_other[];
asm(".text\n.globl edited\n.type edited,@function\nedited:\n.cfi_startproc\n"
    "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rcx, %rax\nmov $1, %ebx\nmov $2, %ebp\nmov $3, %r12d\nmov $4, %r13d\nmov $5, %r14d\n"
    "mov $6, %r15d\nmov $7, %r8d\nmov $8, %r9d\nmov $9, %r10d\n"
    ".globl edited_call\nedited_call: syscall\n.globl edited_after\nedited_after:\n"
    "mov %rbx, seen(%rip)\nmov %rbp, seen+8(%rip)\nmov %r12, seen+16(%rip)\nmov %r13, seen+24(%rip)\n"
    "mov %r14, seen+32(%rip)\nmov %r15, seen+40(%rip)\nmov %r8, seen+48(%rip)\n"
    "mov %r9, seen+56(%rip)\nmov %r10, seen+64(%rip)\nmov %rcx, seen+72(%rip)\n"
    "mov %r11, seen+80(%rip)\nmov %rdi, seen+88(%rip)\nmov %rsi, seen+96(%rip)\n"
    "mov %rdx, seen+104(%rip)\npushfq\npop seen+112(%rip)\ncld\n"
    "2: pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
    ".globl edited_other\nedited_other: cld\nmov $-77, %rax\njmp 2b\n"
    ".cfi_endproc\n.size edited, . - edited\n");

static uint64_t edits[16], edit_mask;
static int edit_kind;
static volatile int edit_count;
static void on_edit(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *uc = context;
    greg_t *r = uc->uc_mcontext.gregs;
    edit_count++;
    NEED(r[REG_RIP] == (long)edited_after && r[REG_RAX] == 0 && r[REG_RCX] == r[REG_RIP],
         "a signal raised by tgkill is not delivered at its end");
    CHECK(r[REG_RBX] == 1 && r[REG_R10] == 9 && r[REG_R15] == 6);
    static const int places[] = {REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_R8, REG_R9,
                                 REG_R10, REG_RCX, REG_R11, REG_RDI, REG_RSI, REG_RDX};
    for (int i = 0; i < 14; i++) r[places[i]] = edits[i];
    r[REG_EFL] = (r[REG_EFL] & ~0xcd5l) | edits[14];
    r[REG_RAX] = edits[15];
    *(uint64_t *)&uc->uc_sigmask = edit_mask;
    if (edit_kind == 1) r[REG_RIP] = (long)edited_other;
    if (edit_kind == 2 && edit_count == 1) {
        // The call is made anew, as a call without effect.
        r[REG_RIP] = (long)edited_call;
        r[REG_RAX] = 555;
    }
    if (edit_kind == 3 && edit_count == 1) {
        r[REG_RIP] = (long)edited_call; // and once more with the signal
        r[REG_RAX] = SYS_tgkill;
        r[REG_RDI] = own_pid, r[REG_RSI] = own_tid, r[REG_RDX] = signal;
        r[REG_RBX] = 1, r[REG_R10] = 9, r[REG_R15] = 6;
        *(uint64_t *)&uc->uc_sigmask = 0;
    }
}

static void editing(void) {
    int signal = any_signal();
    for (int i = 0; i < 16; i++) edits[i] = next_of(&plan);
    edits[14] &= 0xcd5;
    edit_mask = next_of(&plan) & ~(bit(SIGKILL) | bit(SIGSTOP));
    edit_kind = below(&plan, 4), edit_count = 0;
    act(signal, on_edit, once_in(&plan, 2) ? SA_ONSTACK : 0, next_of(&plan));
    long result = edited(own_pid, own_tid, signal, SYS_tgkill);
    CHECK(edit_count == (edit_kind == 3 ? 2 : 1));
    CHECK(mask_in_force() == edit_mask);
    set_mask(0);
    if (edit_kind == 1) {
        CHECK(result == -77);
    } else {
        CHECK(result == (edit_kind == 2 ? -ENOSYS : (long)edits[15]));
        for (int i = 0; i < 14; i++) {
            uint64_t wanted = edits[i];
            if (edit_kind == 2 && i == 9) wanted = (uint64_t)edited_after;
            if (edit_kind == 2 && i == 10) continue; // the flags
            NEED(seen[i] == wanted, "edited register %d is %lx, not %lx", i, seen[i], wanted);
        }
        CHECK((seen[14] & 0xcd5) == edits[14]);
    }
    act(signal, on_nest, 0, 0);
}

// --- making tasks in a handler -------------------------------------------------------------------

static volatile int task_kind, task_code;
static volatile int task_done;
static long thread_body(void *argument) {
    task_done = RAW(SYS_getpid) == own_pid && argument == &task_done;
    return 0;
}

static void on_task(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info, (void)context;
    static char stacks[16384] __attribute__((aligned(16)));
    static int tid;
    uint64_t mask = mask_in_force();
    switch (task_kind) {
    case 0: {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            // Its mask is the handler's; it may return from the handler and end there.
            CHECK(mask_in_force() == mask);
            if (task_code % 2) _exit(task_code);
            task_done = 2;
            return;
        }
        CHECK(ended(pid) == task_code);
        break;
    }
    case 1: {
        pid_t pid = vfork();
        CHECK(pid >= 0);
        if (pid == 0) {
            task_done = mask_in_force() == mask;
            _exit(task_code);
        }
        CHECK(task_done && ended(pid) == task_code);
        break;
    }
    case 2:
        tid = 1;
        task_done = 0;
        CHECK(raw_clone(THREAD_FLAGS, stacks + sizeof stacks, &tid, &tid, 0, thread_body, (void *)&task_done) > 0);
        wait_cleared(&tid);
        CHECK(task_done);
        break;
    default: {
        pid_t pid;
        char *const arguments[] = {"true", 0};
        CHECK(posix_spawn(&pid, "/bin/true", 0, 0, arguments, 0) == 0);
        CHECK(ended(pid) == 0);
    }
    }
    CHECK(mask_in_force() == mask);
    task_done = 1;
}

static void making_tasks(void) {
    int signal;
    do {
        signal = any_signal();
    } while (signal == SIGCHLD);
    task_kind = below(&plan, 40);
    if (task_kind < 39) task_kind %= 3;
    else task_kind = 3;
    task_code = below(&plan, 200), task_done = 0;
    handle(SIGCHLD, SIG_DFL, 0);
    // musl's posix_spawn does not put back its own signals, 32 to 34.
    act(signal, on_task, once_in(&plan, 2) ? SA_ONSTACK : 0,
        next_of(&plan) & ~bit(SIGCHLD) & ~0x380000000ul);
    raise_here(signal);
    if (task_done == 2) {
        CHECK(mask_in_force() == 0 && getpid() != own_pid);
        _exit(task_code);
    }
    CHECK(task_done == 1 && mask_in_force() == 0);
    act(signal, on_nest, 0, 0);
}

// --- real faults, and queues ---------------------------------------------------------------------

static volatile int faults, fault_kind;
static void on_fault(int signal, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    faults++;
    CHECK(signal == (fault_kind == 0 ? SIGSEGV : fault_kind == 1 ? SIGILL : SIGTRAP));
    CHECK(info->si_code > 0);
    if (fault_kind == 0) CHECK(info->si_addr == (void *)16);
    r[REG_RIP] += fault_kind == 0 ? 3 : fault_kind == 1 ? 2 : 0;
    RAW(SYS_getpid);
}

static void faulting(void) {
    fault_kind = below(&plan, 3), faults = 0;
    int signal = fault_kind == 0 ? SIGSEGV : fault_kind == 1 ? SIGILL : SIGTRAP;
    act(signal, on_fault, once_in(&plan, 2) ? SA_ONSTACK : 0, next_of(&plan));
    if (fault_kind == 0) asm volatile(".byte 0x48, 0x8b, 0x02" : : "d"(16l) : "rax"); // mov (%rdx),%rax
    if (fault_kind == 1) asm volatile("ud2");
    if (fault_kind == 2) asm volatile("int3");
    CHECK(faults == 1 && mask_in_force() == 0);
    act(signal, on_nest, 0, 0);
}

static volatile int order[256], orders;
static void on_order(int signal, siginfo_t *info, void *context) {
    (void)context;
    order[orders++] = (signal - SIGRTMIN) * 1000 + info->si_value.sival_int;
    RAW(SYS_rt_sigaction, signal, 0, 0, 8);
}

/// Queued while blocked, in any order; handled by number, and of one number in the order sent.
static void queueing(void) {
    int count = 1 + below(&plan, 60), counts[4] = {0}, next[4] = {0}, last = 0;
    uint64_t set = 0;
    for (int i = 0; i < 4; i++) {
        act(SIGRTMIN + i, on_order, 0, ~0ul);
        set |= bit(SIGRTMIN + i);
    }
    orders = 0;
    set_mask(set);
    for (int i = 0; i < count; i++) {
        int which = below(&plan, 4);
        union sigval value = {.sival_int = counts[which]++};
        CHECK(sigqueue(own_pid, SIGRTMIN + which, value) == 0);
    }
    CHECK(orders == 0);
    set_mask(0);
    CHECK(orders == count);
    for (int i = 0; i < count; i++) {
        int which = order[i] / 1000;
        CHECK(which >= last && order[i] % 1000 == next[which]++);
        last = which;
    }
}

int main(int count, char **texts) {
    start(count, texts);
    own_pid = getpid(), own_tid = syscall(SYS_gettid);
    CHECK(sigaltstack(&own_stack, 0) == 0);
    static void (*const kinds[])(void) = {nesting, nesting, nesting, jumping, editing, editing,
                                          editing, making_tasks, faulting, faulting, queueing};
    for (long round = 0; round < turns; round++) {
        plan = sequence(seed, 1000 + round);
        int kind = below(&plan, sizeof kinds / sizeof kinds[0]);
        note(kind);
        kinds[kind]();
        NEED(mask_in_force() == 0, "a mask is left by kind %d", kind);
    }
    finish();
}
