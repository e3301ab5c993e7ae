// A SIGSYS that somebody sends, with a siginfo that says it came from a filter. The program's own handler
// gets what was sent; the shim never takes it for one of its traps.
//# case: T53, T54
//# title: SIGSYS is sent, with a forged origin
//# layers: B, U
//# policy: ia2
//# users: root, unprivileged
//# attack: kill = A2 EPERM
//# attack: tgkill = A2 EPERM
//# attack: tkill = A2 EPERM
//# attack: rt_sigqueueinfo, forged = A2 EPERM
//# attack: rt_tgsigqueueinfo, forged = A2 EPERM
//# attack: F_SETSIG = A2 EPERM
//# attack: a timer = open: the signal is behind a pointer; the program's own handler gets it, as natively
//# twin: SIGUSR1
#include "attack.h"
#include <sys/eventfd.h>

static volatile int got, code;
static void take(int signal, siginfo_t *info, void *context) {
    got = signal;
    code = info->si_code;
}

static long received(long result, int wanted_code) {
    if (result < 0) return result;
    for (int i = 0; i < 1000 && !got; i++) usleep(1000);
    return got == SIGSYS && code == wanted_code ? 0 : -EIO;
}

static long send(long nr) {
    handle(SIGSYS, take, SA_SIGINFO);
    pid_t pid = getpid();
    siginfo_t info = {.si_signo = SIGSYS, .si_code = 1 /* SYS_SECCOMP */};
    info.si_call_addr = (void *)send;
    info.si_syscall = SYS_setfsuid;
    info.si_arch = 0xc000003e;
    switch (nr) {
    case SYS_kill: return received(call(nr, pid, SIGSYS), SI_USER);
    case SYS_tkill: return received(call(nr, pid, SIGSYS), SI_TKILL);
    case SYS_tgkill: return received(call(nr, pid, pid, SIGSYS), SI_TKILL);
    case SYS_rt_sigqueueinfo: return received(call(nr, pid, SIGSYS, &info), 1);
    default: return received(call(nr, pid, pid, SIGSYS, &info), 1);
    }
}

static long by_descriptor(long unused) {
    handle(SIGSYS, take, SA_SIGINFO);
    int ends[2];
    CHECK(pipe(ends) == 0 && fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_SETFL, O_ASYNC) == 0);
    long result = call(SYS_fcntl, ends[0], F_SETSIG, SIGSYS);
    if (result < 0) return result;
    CHECK(write(ends[1], "x", 1) == 1);
    return received(0, SI_SIGIO);
}

static long by_timer(long unused) {
    handle(SIGSYS, take, SA_SIGINFO);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGSYS};
    int timer;
    long result = call(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
    struct itimerspec soon = {{0, 0}, {0, 1000000}};
    if (result == 0) result = call(SYS_timer_settime, timer, 0, &soon, 0);
    return received(result, SI_TIMER);
}

static long send_usr1(long unused) {
    handle(SIGUSR1, take, SA_SIGINFO);
    return raise(SIGUSR1) == 0 && got == SIGUSR1 ? 0 : -EIO;
}

int main(void) {
    attack("kill", send, SYS_kill);
    attack("tgkill", send, SYS_tgkill);
    attack("tkill", send, SYS_tkill);
    attack("rt_sigqueueinfo, forged", send, SYS_rt_sigqueueinfo);
    attack("rt_tgsigqueueinfo, forged", send, SYS_rt_tgsigqueueinfo);
    attack("F_SETSIG", by_descriptor, 0);
    attack("a timer", by_timer, 0);
    twin("SIGUSR1", send_usr1, 0);
    done();
}
