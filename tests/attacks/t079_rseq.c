// A restartable sequence: the kernel sends a thread that it interrupts there to an address that lies in memory of
// the program's. Over the gate, that is a way past whatever is checked, without a call.
//# case: T79
//# title: rseq sends a thread elsewhere
//# layers: B, U
//# policy: ia2
//# users: root, unprivileged
//# attack: rseq is registered = A2 ENOSYS
//# attack: the C library's area [preloaded] = A2 ETIMEDOUT
//# twin: getcpu
//# twin: a thread
#include "attack.h"
#include <sched.h>
#include <sys/rseq.h>

static struct {
    struct rseq area;
    char rest[64];
} mine __attribute__((aligned(64)));

static long register_own(long unused) {
    // The library's is taken off first: a thread has one.
    char *library = (char *)__builtin_thread_pointer() + __rseq_offset;
    if (__rseq_size) {
        long taken = call(SYS_rseq, library, 32, 1, RSEQ_SIG);
        if (taken < 0) return taken;
    }
    return only_error(call(SYS_rseq, &mine, 32, 0, RSEQ_SIG));
}

/// In the sequence until the kernel sends it out of it; bounded, because it may never.
static long by_library(long unused) {
    if (!__rseq_size) return -ENOSYS;
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    static struct rseq_cs sequence __attribute__((aligned(32)));
    handle(SIGALRM, SIG_IGN, 0);
    tick_every_us(2000);
    for (long try = 0; try < 20; try++) {
        long left = rounds(100000000), sent = 0;
        asm volatile("lea 1f(%%rip), %%rax\n mov %%rax, 8(%2)\n"
                     "lea 2f(%%rip), %%rcx\n sub %%rax, %%rcx\n mov %%rcx, 16(%2)\n"
                     "lea 3f(%%rip), %%rax\n mov %%rax, 24(%2)\n"
                     "mov %2, 8(%3)\n"
                     "1: dec %0\n jnz 1b\n"
                     "2: jmp 4f\n"
                     ".byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n"
                     "3: mov $1, %1\n"
                     "4:\n"
                     : "+r"(left), "+r"(sent)
                     : "r"(&sequence), "r"(area)
                     : "rax", "rcx", "memory");
        if (sent) return 0;
    }
    return -ETIMEDOUT;
}

static long processor(long unused) { return sched_getcpu() < 0 ? -errno : 0; }

static void *nothing(void *unused) { return unused; }

static long thread(long unused) {
    pthread_t id;
    return pthread_create(&id, 0, nothing, 0) == 0 && pthread_join(id, 0) == 0 ? 0 : -EIO;
}

int main(void) {
    attack("rseq is registered", register_own, 0);
    attack("the C library's area", by_library, 0);
    twin("getcpu", processor, 0);
    twin("a thread", thread, 0);
    done();
}
