// Every register but rax, rcx and r11 survives the calls that somebody looks at.
#include "probe.h"

PROBE(call, "nop\nsyscall");
PROBE(procmask, "mov $14, %eax\nsyscall");

static void run(const char *what, void (*probe)(void), void *after, long low, long high) {
    for (int round = 0; round < 20; round++) {
        probe();
        if ((long)probe_out.rax < low || (long)probe_out.rax > high) say("%s: wrong result", what);
        probe_compare(what, after);
    }
}

int main(void) {
    static uint64_t mask, action[8];
    static stack_t stack;
    static struct timespec zero;
    char *page = map_pages(4, PROT_READ | PROT_WRITE);
    probe_fill();
    probe_call(0, SIG_BLOCK, 0, (long)&mask, 8, 5, 6);
    run("rt_sigprocmask, number at the site", procmask, procmask_after, 0, 0);
#define CALL(nr, a, b, c, d, e, f, low, high)                                                      \
    probe_fill();                                                                                  \
    probe_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f));              \
    run(#nr, call, call_after, low, high)
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, 0, &mask, 8, 5, 6, 0, 0);
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, 1, &mask, 8, 5, 6, -EFAULT, -EFAULT);
    CALL(SYS_rt_sigaction, SIGUSR1, 0, action, 8, 5, 6, 0, 0);
    CALL(SYS_rt_sigaction, 99, 0, action, 8, 5, 6, -EINVAL, -EINVAL);
    CALL(SYS_sigaltstack, 0, &stack, 3, 4, 5, 6, 0, 0);
    CALL(SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE, 4, 5, 6, 0, 0);
    CALL(SYS_munmap, page + 8192, 4096, 3, 4, 5, 6, 0, 0);
    CALL(SYS_mmap, page + 8192, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
         -1, 0, 1, INT64_MAX);
    CALL(SYS_madvise, page, 4096, 4, 4, 5, 6, 0, 0);
    CALL(SYS_rt_sigpending, &mask, 8, 3, 4, 5, 6, 0, 0);
    CALL(SYS_poll, 0, 0, 0, 4, 5, 6, 0, 0);
    CALL(SYS_ppoll, 0, 0, &zero, &mask, 8, 6, 0, 0);
    CALL(SYS_clone3, 0, 0, 3, 4, 5, 6, -EINVAL, -EINVAL);
    CALL(SYS_close, -1, 2, 3, 4, 5, 6, -EBADF, -EBADF);
    CALL(SYS_dup2, -1, 99, 3, 4, 5, 6, -EBADF, -EBADF);
    CALL(SYS_arch_prctl, 0x7777, 2, 3, 4, 5, 6, -EINVAL, -EINVAL);
    CALL(SYS_prctl, 0x77777777, 2, 3, 4, 5, 6, -EINVAL, -EINVAL);
    done();
}
