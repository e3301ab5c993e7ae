// x87, SSE, AVX and AVX-512 registers and their control words survive fast and inspected calls.
#include "vector.h"

VECTOR_PROBE(call);

static void run(const char *what, long nr, const void *a, const void *b, const void *c, long d,
                long e) {
    uint64_t words[7] = {nr, (uint64_t)a, (uint64_t)b, (uint64_t)c, d, e, 0};
    memcpy(vector_call, words, sizeof words);
    for (int round = 0; round < 20; round++) vector_compare(what, call);
}

int main(void) {
    static uint64_t mask, action[8];
    static stack_t stack;
    vector_prepare();
    char *page = map_pages(1, PROT_READ | PROT_WRITE);
    run("getpid", SYS_getpid, 0, 0, 0, 0, 0);
    run("500", 500, 0, 0, 0, 0, 0);
    run("write", SYS_write, (void *)1, "", (void *)0, 0, 0);
    run("rt_sigprocmask", SYS_rt_sigprocmask, 0, 0, &mask, 8, 0);
    run("rt_sigprocmask, bad pointer", SYS_rt_sigprocmask, 0, (void *)1, &mask, 8, 0);
    run("rt_sigaction", SYS_rt_sigaction, (void *)SIGUSR1, 0, action, 8, 0);
    run("sigaltstack", SYS_sigaltstack, 0, &stack, 0, 0, 0);
    run("mmap", SYS_mmap, page, (void *)4096, (void *)(PROT_READ | PROT_EXEC),
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
    run("mprotect", SYS_mprotect, page, (void *)4096, (void *)(PROT_READ | PROT_WRITE), 0, 0);
    for (int round = 0; round < 10; round++) {
        uint64_t words[7] = {SYS_clone, SIGCHLD, 0, 0, 0, 0, 0};
        memcpy(vector_call, words, sizeof words);
        vector_compare("clone", call);
        CHECK((long)vector_result >= 0);
        if (vector_result == 0) _exit(9);
        CHECK(ended(vector_result) == 9);
    }
    done();
}
