// rt_sigreturn with a frame that no signal made: it loads every register. Within one compartment that is no
// more than a jump; between compartments it is all registers at once, PKRU among them. What the context then
// does is judged as anything else.
//# case: T55, T56
//# title: rt_sigreturn with a forged frame
//# layers: U, K
//# policy: ia2
//# users: root, unprivileged
//# needs: PKU
//# attack: a context of choice = open: needs PKU: without it a jump can do the same
//# attack: to a refused call = A2 EPERM
//# twin: a handler returns
#include "attack.h"

static volatile long *told;
static long stack[4096];

__attribute__((force_align_arg_pointer, noreturn)) static void landed(long makes_call) {
    *told = makes_call ? run((const void *)makes_call) : 0;
    _exit(0);
}

static long forge(long makes_call) {
    struct {
        void *restorer;
        ucontext_t context;
        siginfo_t info;
        char state[4096];
    } __attribute__((aligned(64))) *frame;
    frame = map_pages(4, PROT_READ | PROT_WRITE);
    told = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(told != MAP_FAILED);
    *told = -EIO;
    unsigned char *code = map_pages(1, PROT_READ | PROT_WRITE);
    memcpy(code, forbidden_code, sizeof forbidden_code);
    CHECK(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
    frame->context.uc_flags = 2 | 4; // UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
    greg_t *registers = frame->context.uc_mcontext.gregs;
    registers[REG_RIP] = (greg_t)landed;
    registers[REG_RSP] = (greg_t)(stack + 4095);
    registers[REG_RDI] = makes_call ? (greg_t)code : 0;
    registers[REG_EFL] = 0x202;
    registers[REG_CSGSFS] = 0x33 | (greg_t)0x2b << 48;
    long nr = SYS_rt_sigreturn;
    unsigned char *at = manner == CALL ? 0 : gates[manner == FAST ? 0 : 2];
    pid_t child = fork();
    if (child == 0) {
        if (at)
            asm volatile("mov %0, %%rsp\n mov %%rsp, %%gs:0\n mov %%rsp, %%r15\n jmp *%1" ::"r"(&frame->context), "r"(at), "a"(nr) : "r15", "memory");
        else
            asm volatile("mov %0, %%rsp\n syscall" ::"r"(&frame->context), "a"(nr) : "memory");
        _exit(0);
    }
    int code_of_end = ended(child);
    return code_of_end ? -EFAULT : *told;
}

static volatile int handled;
static void count(int signal) { handled++; }

static long handler_returns(long unused) {
    handle(SIGUSR1, count, 0);
    return raise(SIGUSR1) == 0 && handled == 1 ? 0 : -EIO;
}

int main(void) {
    attack("a context of choice", forge, 0);
    attack("to a refused call", forge, 1);
    twin("a handler returns", handler_returns, 0);
    done();
}
