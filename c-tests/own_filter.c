// A program may confine itself to a few calls: the shim's own do not count. What it is told of filters
// and no_new_privs is its own doing, over fork, threads and exec.
//#Libc: glibc
#include "harness.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static void tell(const char *when) {
    say("%s: no_new_privs %ld, seccomp %ld", when, RAW(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        RAW(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0));
}

// Read, write, end, return from a handler, and signal oneself: SIGSYS kills for all the rest.
static long confine(void) {
#define ALLOW(nr)                                                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter insns[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_exit), ALLOW(SYS_exit_group), ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_tgkill), ALLOW(SYS_prctl), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog filter = {sizeof insns / sizeof *insns, insns};
    return RAW(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

static volatile int handled;

static void on_signal(int signal) {
    handled += signal;
}

static void *thread(void *unused) {
    tell("thread");
    return unused;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        tell("after exec");
        done();
    }
    tell("at start");
    pid_t child = fork();
    if (child == 0) {
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        tell("child");
        pthread_t id;
        CHECK(pthread_create(&id, 0, thread, 0) == 0 && pthread_join(id, 0) == 0);
        execl("/proc/self/exe", argv[0], "again", (char *)0);
        _exit(9);
    }
    say("%d", ended(child));
    child = fork();
    if (child == 0) {
        handle(SIGUSR1, on_signal, 0);
        pid_t pid = getpid(), tid = gettid();
        say("confined: %s", errno_name(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? confine() : -1));
        tell("confined");
        for (int i = 0; i < 3; i++) RAW(SYS_tgkill, pid, tid, SIGUSR1);
        say("handled: %d", handled);
        RAW(SYS_exit_group, 5);
    }
    say("%d", ended(child));
    child = fork();
    if (child == 0) {
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && confine() == 0);
        RAW(SYS_getppid);
        RAW(SYS_exit_group, 6);
    }
    say("%d", ended(child));
    child = fork();
    if (child == 0) {
        CHECK(setuid(65534) == 0 || errno == EPERM);
        say("without either: %s", errno_name(confine()));
        tell("without either");
        _exit(0);
    }
    say("%d", ended(child));
    tell("at the end");
    done();
}
