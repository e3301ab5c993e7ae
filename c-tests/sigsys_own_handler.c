// A program has its own SIGSYS handler: it runs for SIGSYS that somebody sends (also a forged
// one), not for the program's calls; nested in calls and in itself.
#include "harness.h"

static volatile int count, code, value;

static void on_signal(int signal, siginfo_t *info, void *context) {
    CHECK(signal == SIGSYS && info->si_signo == SIGSYS && context != 0);
    count++;
    code = info->si_code;
    value = info->si_value.sival_int;
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    write_call(page, SYS_getppid);
    CHECK(((long (*)(void))page)() == getppid()); // a fresh site inside the handler
    CHECK(munmap(page, 4096) == 0);
}

int main(void) {
    handle(SIGSYS, on_signal, SA_SIGINFO);
    for (int round = 0; round < 20; round++) {
        count = 0;
        unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
        write_call(page, SYS_getppid);
        CHECK(((long (*)(void))page)() == getppid() && count == 0);
        CHECK(raise(SIGSYS) == 0 && count == 1 && code == SI_TKILL);
        CHECK(kill(getpid(), SIGSYS) == 0 && count == 2 && code == SI_USER);
        union sigval queued = {.sival_int = round};
        CHECK(sigqueue(getpid(), SIGSYS, queued) == 0);
        CHECK(count == 3 && code == SI_QUEUE && value == round);
        CHECK(munmap(page, 4096) == 0);
    }
    done();
}
