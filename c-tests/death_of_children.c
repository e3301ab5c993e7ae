// How a child died is what waitpid reports, for signals from itself, from the parent, and faults.
#include "harness.h"

static void report(const char *what, pid_t pid) { say("%s: %d", what, ended(pid)); }

int main(void) {
    static const int raised[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGABRT, SIGKILL, SIGUSR1, SIGSEGV,
                                 SIGPIPE, SIGALRM, SIGTERM, SIGSYS,  SIGBUS,  SIGFPE,  SIGTRAP};
    for (unsigned i = 0; i < sizeof raised / sizeof *raised; i++) {
        // Who started this may ignore some of them (nohup does), and that is inherited.
        if (raised[i] != SIGKILL) CHECK(signal(raised[i], SIG_DFL) != SIG_ERR);
        pid_t pid = fork();
        if (pid == 0) {
            raise(raised[i]);
            _exit(0);
        }
        report("raised", pid);
        int ends[2];
        char byte;
        CHECK(pipe(ends) == 0);
        if ((pid = fork()) == 0) {
            CHECK(write(ends[1], "x", 1) == 1);
            for (;;) RAW(SYS_pause);
        }
        CHECK(read(ends[0], &byte, 1) == 1 && kill(pid, raised[i]) == 0);
        report("killed", pid);
        CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
    pid_t pid = fork();
    static int *volatile nowhere = (int *)8;
    if (pid == 0) *nowhere = 1;
    report("bad store", pid);
    if ((pid = fork()) == 0) asm volatile("ud2");
    report("ud2", pid);
    if ((pid = fork()) == 0) asm volatile("int3");
    report("int3", pid);
    if ((pid = fork()) == 0) asm volatile("xor %%ecx, %%ecx\nxor %%edx, %%edx\nidiv %%ecx" ::: "rax", "rcx", "rdx");
    report("divide by zero", pid);
    if ((pid = fork()) == 0) asm volatile("hlt");
    report("hlt", pid);
    if ((pid = fork()) == 0) ((void (*)(void))0x7e8ffff00000)();
    report("jump to nothing", pid);
    done();
}
