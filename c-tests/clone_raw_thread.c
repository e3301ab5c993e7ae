// A thread made by a raw clone with its own stack, without libc: it calls, and its end is seen
// through the cleared tid.
#include "clone.h"

static long result[4];

static long run(void *argument) {
    long *cell = argument;
    for (int i = 0; i < 100; i++) cell[0] = RAW(SYS_getpid);
    cell[1] = RAW(SYS_gettid);
    cell[2] = RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8);
    cell[3] = RAW(SYS_read, -1, 0, 0);
    return 0;
}

int main(void) {
    char *stack = map_pages(16, PROT_READ | PROT_WRITE);
    static int tid;
    for (int round = 0; round < 200; round++) {
        memset(result, 0, sizeof result);
        tid = -1;
        int got = -1;
        long pid = raw_clone(THREAD_FLAGS, stack + 65536, &got, &tid, 0, run, result);
        CHECK(pid > 0 && got == pid);
        // The child's tid word is only cleared at its end; it was never set to the tid.
        while (__atomic_load_n(&tid, __ATOMIC_ACQUIRE) != 0) RAW(SYS_futex, &tid, 0, -1, 0);
        CHECK(result[0] == getpid() && result[1] == pid);
        CHECK(result[2] == 0 && result[3] == -EBADF);
    }
    done();
}
