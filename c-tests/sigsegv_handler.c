// A SIGSEGV handler gets the address and code of the fault, mends it, and the access is repeated.
#include "harness.h"

static char *page;
static volatile int count, code;
static volatile void *address;

static void on_signal(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    CHECK(signal == SIGSEGV && info->si_signo == SIGSEGV);
    count++;
    code = info->si_code;
    address = info->si_addr;
    CHECK(uc->uc_mcontext.gregs[REG_TRAPNO] == 14);
    CHECK((void *)uc->uc_mcontext.gregs[REG_CR2] == info->si_addr);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
}

int main(void) {
    page = map_pages(1, PROT_READ | PROT_WRITE);
    handle(SIGSEGV, on_signal, SA_SIGINFO);
    for (int round = 0; round < 100; round++) {
        CHECK(mprotect(page, 4096, round & 1 ? PROT_NONE : PROT_READ) == 0);
        *(volatile int *)(page + 40 * round) = round;
        CHECK(count == round + 1 && code == SEGV_ACCERR && address == page + 40 * round);
        CHECK(*(volatile int *)(page + 40 * round) == round);
    }
    done();
}
