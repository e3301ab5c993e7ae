// A handler for which the stack has no room: SIGSEGV comes instead, on its alternate stack if there
// is a handler for it, else as the end.
#include "probe.h"

PROBE(kill_without_stack, "mov $0x10, %rsp\nmov $234, %eax\nsyscall");

static void on_signal(int signal) { say("no stack, but signal %d was handled", signal); }

static void on_fault(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    say("signal %d, code %#x, address %p", signal, info->si_code, info->si_addr);
    say("stack pointer %#llx, result %lld", uc->uc_mcontext.gregs[REG_RSP],
        uc->uc_mcontext.gregs[REG_RAX]);
    say("%s", uc->uc_mcontext.gregs[REG_RIP] == (long long)kill_without_stack_after ? "behind the call"
                                                                                   : "elsewhere");
    _exit(42);
}

static int child(int with_handler, int flags) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        static char stack[65536];
        stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
        CHECK(sigaltstack(&alternate, 0) == 0);
        handle(SIGUSR1, on_signal, 0);
        if (with_handler) handle(SIGSEGV, on_fault, SA_SIGINFO | flags);
        probe_fill();
        probe_call(SYS_tgkill, getpid(), RAW(SYS_gettid), SIGUSR1, 0, 0, 0);
        kill_without_stack();
        _exit(1);
    }
    return ended(pid);
}

int main(void) {
    say("handler on the alternate stack: %d", child(1, SA_ONSTACK));
    say("handler on no stack: %d", child(1, 0));
    say("no handler: %d", child(0, 0));
    done();
}
