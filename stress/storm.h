// A storm of signals at one thread, and a feeder: a thread that after a while does what the other
// waits for. What holds in any order of events is checked here:
//
// - every queued signal is handled once, with its information, and in its order where handlers of one
//   signal do not nest;
// - a handler runs under the mask that its action says, and the mask after it is the one before;
// - a call is interrupted (EINTR) only if a handler ran, and never if it restarts.
#pragma once
#include "stress.h"

/// Signals with a queue: QUEUED of them to the thread, one more to the process.
#define QUEUED 4
#define FIRST_QUEUED (SIGRTMIN + 1)
#define TO_PROCESS (FIRST_QUEUED + QUEUED)
/// Only unblocked where a wait unblocks it.
#define ONLY_IN_WAITS (SIGRTMIN + 7)
/// Never unblocked: for signalfd and sigtimedwait.
#define FOR_FETCHING (SIGRTMIN + 8)
#define STORM_SIGNALS (QUEUED + 1 + 3)

static int storm_signals[STORM_SIGNALS];
static volatile long sent[STORM_SIGNALS], handled[STORM_SIGNALS], all_handled, plain_sent;
static volatile int storm_over;
static int storm_pid, target_tid;
static pthread_t storm_thread;
static struct sigaction storm_actions[STORM_SIGNALS];
/// No handler is without SA_RESTART.
static volatile int all_restart;
/// The mask of the thread, and the one of the wait it may be in.
static uint64_t base_mask, wait_mask;
static volatile int has_wait_mask;
static volatile long waits_ended;
static struct chance storm_handler_chance;

static uint64_t bit(int signal) { return 1ul << (signal - 1); }
static uint64_t set_bits(const sigset_t *set) { return *(const uint64_t *)set; }
static uint64_t mask_in_force(void) {
    uint64_t mask = 0;
    CHECK(RAW(SYS_rt_sigprocmask, 0, 0, &mask, 8) == 0);
    return mask;
}

static void on_storm(int signal, siginfo_t *info, void *context) {
    int error = errno, which = 0;
    ucontext_t *uc = context;
    all_handled++;
    if (signal == ONLY_IN_WAITS) {
        waits_ended++;
        return;
    }
    while (storm_signals[which] != signal) which++;
    struct sigaction *action = &storm_actions[which];
    // What the kernel gives: a queued signal's number in its order.
    if (which <= QUEUED) {
        CHECK(info->si_code == SI_QUEUE && info->si_pid == storm_pid && info->si_signo == signal);
        long number = (long)info->si_value.sival_ptr;
        NEED((action->sa_flags & SA_NODEFER) ? number < sent[which] : number == handled[which],
             "signal %d (of the queue): number %ld after %ld", which, number, handled[which]);
    }
    handled[which]++;
    uint64_t frame_mask = set_bits(&uc->uc_sigmask);
    uint64_t added = set_bits(&action->sa_mask);
    if (!(action->sa_flags & SA_NODEFER)) added |= bit(signal);
    uint64_t mask = mask_in_force();
    NEED(mask == (frame_mask | added) || (has_wait_mask && mask == (wait_mask | added)),
         "signal %d runs under %lx: frame %lx, action %lx, wait %lx", signal, mask, frame_mask, added,
         has_wait_mask ? wait_mask : 0);
    switch (next_of(&storm_handler_chance) % 8) {
    case 0: CHECK(RAW(SYS_getpid) == storm_pid); break;
    case 1: CHECK(RAW(500) == -ENOSYS); break;
    case 2: CHECK(RAW(SYS_read, -1, 0, 0) == -EBADF); break;
    case 3: RAW(SYS_sched_yield); break;
    case 4: CHECK(RAW(SYS_rt_sigaction, signal, 0, 0, 8) == 0); break;
    case 5: {
        struct timespec nothing = {0, 1};
        long result = RAW(SYS_nanosleep, &nothing, 0);
        CHECK(result == 0 || result == -EINTR);
        break;
    }
    default: break;
    }
    errno = error;
}

/// Other actions for all signals of the storm.
static void storm_turn(struct chance *chance) {
    uint64_t all = ~0ul, mask;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, 8) == 0);
    NEED(mask == base_mask, "the mask is %lx, not %lx", mask, base_mask);
    int kind = below(chance, 3); // all restart, none does, some do
    all_restart = kind == 0;
    for (int i = 0; i < STORM_SIGNALS; i++) {
        struct sigaction action = {.sa_sigaction = on_storm, .sa_flags = SA_SIGINFO};
        if (kind == 0 || (kind == 2 && once_in(chance, 2))) action.sa_flags |= SA_RESTART;
        if (once_in(chance, 3)) action.sa_flags |= SA_ONSTACK;
        if (once_in(chance, 4)) action.sa_flags |= SA_NODEFER;
        if (once_in(chance, 3)) *(uint64_t *)&action.sa_mask = next_of(chance) & ~(bit(SIGKILL) | bit(SIGSTOP));
        storm_actions[i] = action;
        CHECK(sigaction(storm_signals[i], &action, 0) == 0);
    }
    struct sigaction action = {.sa_sigaction = on_storm, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    CHECK(sigaction(ONLY_IN_WAITS, &action, 0) == 0);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &base_mask, 0, 8) == 0);
}

static int queue_signal(int to_thread, int signal, long number) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = storm_pid;
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)number;
    return to_thread ? syscall(SYS_rt_tgsigqueueinfo, storm_pid, to_thread, signal, &info)
                     : syscall(SYS_rt_sigqueueinfo, storm_pid, signal, &info);
}

static void *storm(void *unused) {
    (void)unused;
    struct chance chance = sequence(seed, 77);
    while (!storm_over) {
        struct timespec pause = span(1000 * (1 + below(&chance, once_in(&chance, 20) ? 3000 : 250)));
        nanosleep(&pause, 0);
        for (int many = once_in(&chance, 10) ? 12 : 1 + below(&chance, 3); many > 0; many--) {
            int which = below(&chance, STORM_SIGNALS);
            if (which <= QUEUED) {
                if (sent[which] - handled[which] > 12) continue;
                long number = sent[which]++; // it may be handled before the call returns
                if (queue_signal(which < QUEUED ? target_tid : 0, storm_signals[which], number) < 0) {
                    CHECK(errno == EAGAIN);
                    sent[which]--;
                }
            } else if (which == QUEUED + 1) {
                CHECK(syscall(SYS_tgkill, storm_pid, target_tid, storm_signals[which]) == 0);
            } else {
                CHECK(kill(storm_pid, storm_signals[which]) == 0);
            }
        }
    }
    return 0;
}

static void storm_start(void) {
    static char stack[1 << 20];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK(sigaltstack(&own, 0) == 0);
    for (int i = 0; i <= QUEUED; i++) storm_signals[i] = FIRST_QUEUED + i;
    storm_signals[QUEUED + 1] = SIGUSR1, storm_signals[QUEUED + 2] = SIGUSR2;
    storm_signals[QUEUED + 3] = SIGALRM;
    storm_pid = getpid(), target_tid = syscall(SYS_gettid);
    storm_handler_chance = sequence(seed, 78);
    uint64_t all = ~0ul;
    base_mask = bit(ONLY_IN_WAITS) | bit(FOR_FETCHING);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &base_mask, 0, 8) == 0);
    storm_turn(&plan);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8) == 0);
    CHECK(pthread_create(&storm_thread, 0, storm, 0) == 0);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &base_mask, 0, 8) == 0);
    long every = 500 + below(&plan, 3000);
    tick_every_us(every);
}

static void storm_end(void) {
    storm_over = 1;
    CHECK(pthread_join(storm_thread, 0) == 0);
    tick_every_us(0);
    CHECK(RAW(SYS_getpid) == storm_pid); // whatever was pending is handled now
    for (int i = 0; i <= QUEUED; i++)
        NEED(sent[i] == handled[i], "signal %d of the queue: sent %ld, handled %ld", i, sent[i], handled[i]);
}

// --- calls --------------------------------------------------------------------------------------

static const char *doing;

/// A call of the kernel that may be interrupted: made by this program or by libc, until it is not.
/// `restarts`: by a handler with SA_RESTART it is not interrupted; 2: by none.
static long made(int restarts, long *interrupted, long nr, long a, long b, long c, long d, long e, long f) {
    for (;;) {
        long count = all_handled, result;
        if (digest & 1) {
            result = RAW(nr, a, b, c, d, e, f);
        } else {
            result = syscall(nr, a, b, c, d, e, f);
            if (result == -1) result = -errno;
        }
        if (result != -EINTR) {
            NEED(result > -512 || result < -600, "%s: %ld leaked out of the kernel", doing, result);
            return result;
        }
        NEED(all_handled != count, "%s: interrupted without a handler", doing);
        NEED(restarts < 2 && !(restarts && all_restart), "%s: interrupted, but it restarts", doing);
        if (interrupted) {
            ++*interrupted;
            return result;
        }
    }
}
#define MADE_PICK(restarts, interrupted, nr, a, b, c, d, e, f, ...)                                \
    made(restarts, interrupted, nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/// `CALL(restarts, number, arguments…)`: made again while it is interrupted.
#define CALL(restarts, ...) MADE_PICK(restarts, 0, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
/// The same, once: may return -EINTR, which is counted.
#define CALL_ONCE(restarts, ...) MADE_PICK(restarts, &interruptions, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
static long interruptions;

// --- the feeder ---------------------------------------------------------------------------------

static struct {
    void (*work)(long, long, long);
    long a, b, c, delay;
} task;
static int task_state; // 0 none, 1 there

static void *feeder(void *unused) {
    (void)unused;
    for (;;) {
        while (__atomic_load_n(&task_state, __ATOMIC_ACQUIRE) == 0)
            syscall(SYS_futex, &task_state, FUTEX_WAIT, 0, 0, 0, 0);
        struct timespec pause = span(task.delay);
        if (task.delay) nanosleep(&pause, 0);
        task.work(task.a, task.b, task.c);
        __atomic_store_n(&task_state, 0, __ATOMIC_RELEASE);
        syscall(SYS_futex, &task_state, FUTEX_WAKE, 1, 0, 0, 0);
    }
    return 0;
}

static void feeder_start(void) {
    uint64_t all = ~0ul, mask;
    pthread_t thread;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, 8) == 0);
    CHECK(pthread_create(&thread, 0, feeder, 0) == 0 && pthread_detach(thread) == 0);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8) == 0);
}

/// Has `work` done a little later.
static void later(void (*work)(long, long, long), long a, long b, long c) {
    task.work = work, task.a = a, task.b = b, task.c = c;
    task.delay = once_in(&plan, 8) ? 0 : 1000 * below(&plan, once_in(&plan, 10) ? 8000 : 1200);
    __atomic_store_n(&task_state, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &task_state, FUTEX_WAKE, 1, 0, 0, 0);
}

/// Waits until it is done.
static void settled(void) {
    while (__atomic_load_n(&task_state, __ATOMIC_ACQUIRE) != 0)
        CALL(1, SYS_futex, &task_state, FUTEX_WAIT, 1, 0);
}
