// A handler that uses every vector register leaves the interrupted code's as they were.
#include "vector.h"

VECTOR_PROBE(call);

static void on_signal(int signal) {
    (void)signal;
    asm volatile("pcmpeqb %%xmm0, %%xmm0\npcmpeqb %%xmm7, %%xmm7\npcmpeqb %%xmm15, %%xmm15\n"
                 "fninit\nfld1" ::: "memory");
    if (vector_mask & 4) asm volatile("vzeroall" ::: "memory");
    RAW(SYS_getpid);
    RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8);
}

int main(void) {
    vector_prepare();
    handle(SIGUSR1, on_signal, 0);
    uint64_t words[7] = {SYS_kill, getpid(), SIGUSR1, 0, 0, 0, 0};
    memcpy(vector_call, words, sizeof words);
    for (int round = 0; round < 100; round++) vector_compare("kill", call);
    // Asynchronous: a timer while the probe makes a call that blocks a little.
    handle(SIGALRM, on_signal, 0);
    static struct timespec nap = {0, 200000};
    uint64_t sleep[7] = {SYS_nanosleep, (uint64_t)&nap, 0, 0, 0, 0, 0};
    memcpy(vector_call, sleep, sizeof sleep);
    tick_every_us(100);
    for (int round = 0; round < 200; round++) vector_compare("nanosleep", call);
    tick_every_us(0);
    done();
}
