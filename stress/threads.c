// Threads that begin and end all the time while signals are sent to each of them and to the process,
// timers fire, and other threads fork: every signal that was queued to a thread is handled or fetched
// by it before it ends, once, and nobody else's errno, mask or result is disturbed.
//#Rounds: 150 3000
#include "stress.h"
#include "../c-tests/clone.h"

#define THREADS 6
#define QUEUED SIGRTMIN

static pid_t own_pid;
static volatile long process_sent, process_handled;
static volatile int over;

struct slot {
    volatile int tid;           // 0: nobody to send to
    volatile long sent;         // written by the sender, under the lock
    volatile long handled;      // written by the thread
    pthread_mutex_t lock;
    pthread_t thread;
    uint64_t chance;
    volatile int begun;
};
static struct slot slots[THREADS];
static __thread struct slot *own_slot;

static uint64_t bit(int signal) { return 1ul << (signal - 1); }

static void on_queued(int signal, siginfo_t *info, void *context) {
    (void)context;
    int error = errno;
    struct slot *slot = own_slot;
    CHECK(signal == QUEUED && slot && info->si_code == SI_QUEUE);
    NEED((long)info->si_value.sival_ptr == slot->handled, "number %ld after %ld",
         (long)info->si_value.sival_ptr, slot->handled);
    slot->handled++;
    CHECK(RAW(SYS_gettid) == slot->tid || slot->tid == 0);
    CHECK(RAW(500) == -ENOSYS);
    errno = error;
}

static void on_any(int signal, siginfo_t *info, void *context) {
    (void)info, (void)context;
    int error = errno;
    if (signal == QUEUED + 1) __atomic_add_fetch(&process_handled, 1, __ATOMIC_SEQ_CST);
    CHECK(RAW(SYS_getpid) == own_pid);
    errno = error;
}

/// One thread: calls of all kinds, then an end of some kind.
static void *live(void *argument) {
    struct slot *slot = argument;
    struct chance chance = {slot->chance};
    own_slot = slot;
    if (once_in(&chance, 2)) {
        // An alternate stack of its own, which dies with it.
        static __thread char stack[65536];
        stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
        CHECK(sigaltstack(&own, 0) == 0);
    }
    uint64_t mine = bit(QUEUED), none = 0, mask = 0;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8) == 0);
    slot->tid = syscall(SYS_gettid);
    for (int i = below(&chance, 400); i > 0; i--) {
        switch (below(&chance, 9)) {
        case 0: CHECK(RAW(SYS_getpid) == own_pid); break;
        case 1: CHECK(RAW(SYS_gettid) == slot->tid); break;
        case 2: CHECK_ERRNO(close(-1), EBADF); break;
        case 3: {
            struct timespec time = {0, below(&chance, 50000)};
            CHECK(nanosleep(&time, 0) == 0 || errno == EINTR);
            break;
        }
        case 4:
            CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &mine, &mask, 8) == 0 && mask == 0);
            {
                long count = slot->handled;
                RAW(SYS_sched_yield);
                CHECK(slot->handled == count);
            }
            CHECK(RAW(SYS_rt_sigprocmask, SIG_UNBLOCK, &mine, &mask, 8) == 0 && mask == mine);
            break;
        case 5: {
            long at = RAW(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            CHECK(at > 0 && RAW(SYS_munmap, at, 4096) == 0);
            break;
        }
        case 6:
            if (once_in(&chance, 40)) {
                pid_t pid = RAW(SYS_fork);
                CHECK(pid >= 0);
                if (pid == 0) {
                    long me = RAW(SYS_getpid);
                    RAW(SYS_exit_group, me != own_pid && RAW(500) == -ENOSYS ? 33 : 1);
                }
                CHECK(ended(pid) == 33);
            }
            break;
        case 7: {
            int word = 1;
            struct timespec time = {0, 20000};
            long result = RAW(SYS_futex, &word, 0, 1, &time);
            CHECK(result == -ETIMEDOUT || result == -EINTR);
            break;
        }
        default: CHECK(RAW(SYS_rt_sigaction, SIGUSR1, 0, 0, 8) == 0);
        }
    }
    // No more is sent; what was sent and not handled is fetched, in order.
    uint64_t all = ~0ul;
    if (once_in(&chance, 2)) CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8) == 0);
    CHECK(pthread_mutex_lock(&slot->lock) == 0);
    slot->tid = 0;
    CHECK(pthread_mutex_unlock(&slot->lock) == 0);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8) == 0);
    siginfo_t info;
    struct timespec now = {0, 0};
    while (RAW(SYS_rt_sigtimedwait, &mine, &info, &now, 8) == QUEUED) {
        CHECK((long)info.si_value.sival_ptr == slot->handled);
        slot->handled++;
    }
    NEED(slot->handled == slot->sent, "to a thread: sent %ld, handled %ld", slot->sent, slot->handled);
    if (once_in(&chance, 2)) RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8); // the end is stormy
    if (once_in(&chance, 2)) pthread_exit(slot);
    return slot;
}

/// A thread without libc.
static long live_raw(void *argument) {
    for (int i = 0; i < 50; i++)
        if (RAW(SYS_getpid) != own_pid || RAW(500) != -ENOSYS || RAW(SYS_rt_sigprocmask, 0, 0, 0, 8) != 0)
            RAW(SYS_exit_group, 9);
    *(volatile int *)argument = 1;
    return 0;
}

static void *send_signals(void *unused) {
    (void)unused;
    struct chance chance = sequence(seed, 5);
    while (!over) {
        struct slot *slot = &slots[below(&chance, THREADS)];
        CHECK(pthread_mutex_lock(&slot->lock) == 0);
        if (slot->tid && slot->sent - slot->handled < 20) {
            siginfo_t info;
            memset(&info, 0, sizeof info);
            info.si_signo = QUEUED, info.si_code = SI_QUEUE, info.si_pid = own_pid;
            info.si_value.sival_ptr = (void *)slot->sent;
            slot->sent++;
            if (syscall(SYS_rt_tgsigqueueinfo, own_pid, slot->tid, QUEUED, &info) < 0) {
                CHECK(errno == EAGAIN);
                slot->sent--;
            }
            if (once_in(&chance, 4)) CHECK(syscall(SYS_tgkill, own_pid, slot->tid, SIGUSR1) == 0);
        }
        CHECK(pthread_mutex_unlock(&slot->lock) == 0);
        if (once_in(&chance, 8)) CHECK(kill(own_pid, SIGUSR2) == 0);
        if (once_in(&chance, 8) && process_sent - process_handled < 50) {
            union sigval value = {.sival_int = 1};
            process_sent++;
            if (sigqueue(own_pid, QUEUED + 1, value) < 0) {
                CHECK(errno == EAGAIN);
                process_sent--;
            }
        }
        if (once_in(&chance, 6)) {
            struct timespec pause = span(1000 * below(&chance, 200));
            nanosleep(&pause, 0);
        }
    }
    return 0;
}

int main(int count, char **texts) {
    start(count, texts);
    own_pid = getpid();
    uint64_t all = ~0ul, none = 0;
    for (int i = 0; i < 2; i++) {
        struct sigaction action = {.sa_sigaction = i ? on_any : on_queued};
        action.sa_flags = SA_SIGINFO | SA_RESTART | (seed >> i & 1 ? SA_ONSTACK : 0);
        if (!i) CHECK(sigaction(QUEUED, &action, 0) == 0);
        else
            CHECK(sigaction(QUEUED + 1, &action, 0) == 0 && sigaction(SIGUSR1, &action, 0) == 0 &&
                  sigaction(SIGUSR2, &action, 0) == 0 && sigaction(SIGALRM, &action, 0) == 0);
    }
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8) == 0); // until a thread opens up
    for (int i = 0; i < THREADS; i++) CHECK(pthread_mutex_init(&slots[i].lock, 0) == 0);
    pthread_t sender;
    CHECK(pthread_create(&sender, 0, send_signals, 0) == 0);
    tick_every_us(700);
    for (long round = 0; round < turns; round++) {
        plan = sequence(seed, 1000 + round);
        for (int i = 0; i < THREADS; i++) {
            slots[i].chance = next_of(&plan) | 1;
            slots[i].sent = slots[i].handled = 0;
            CHECK(pthread_create(&slots[i].thread, 0, live, &slots[i]) == 0);
        }
        if (once_in(&plan, 2)) {
            static char stack[65536] __attribute__((aligned(16)));
            static int tid, well;
            tid = 1, well = 0;
            CHECK(raw_clone(THREAD_FLAGS, stack + sizeof stack, &tid, &tid, 0, live_raw, &well) > 0);
            wait_cleared(&tid);
            CHECK(well == 1);
        }
        for (int i = 0; i < THREADS; i++) {
            void *result;
            CHECK(pthread_join(slots[i].thread, &result) == 0 && result == &slots[i]);
            note(slots[i].chance);
        }
    }
    over = 1;
    CHECK(pthread_join(sender, 0) == 0);
    tick_every_us(0);
    own_slot = &slots[0];
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8) == 0);
    NEED(process_sent == process_handled, "to the process: sent %ld, handled %ld", process_sent, process_handled);
    finish();
}
