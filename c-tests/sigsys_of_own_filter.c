// A filter of the program's own that traps a call: SIGSYS reaches the handler, and ends the program
// where it is ignored or blocked.
//#Libc: glibc
#include "harness.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static volatile int seen;

static void on_sigsys(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    seen = info->si_syscall;
}

static void trap_getppid(void) {
    struct sock_filter insns[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof insns / sizeof *insns, insns};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

int main(void) {
    for (int how = 0; how < 4; how++) {
        pid_t child = fork();
        if (child == 0) {
            struct sigaction action = {.sa_flags = SA_SIGINFO};
            action.sa_sigaction = on_sigsys;
            if (how == 1) action = (struct sigaction){.sa_handler = SIG_IGN};
            if (how == 2) action = (struct sigaction){.sa_handler = SIG_DFL};
            CHECK(sigaction(SIGSYS, &action, 0) == 0);
            if (how == 3) {
                sigset_t set;
                sigemptyset(&set);
                sigaddset(&set, SIGSYS);
                CHECK(sigprocmask(SIG_BLOCK, &set, 0) == 0);
            }
            trap_getppid();
            RAW(SYS_getppid);
            _exit(seen == SYS_getppid ? 7 : 8);
        }
        say("%s: %d", how == 0 ? "handler" : how == 1 ? "ignored" : how == 2 ? "default" : "blocked", ended(child));
    }
    done();
}
