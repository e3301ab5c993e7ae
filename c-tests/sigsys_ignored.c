// A program ignores SIGSYS, as nginx does, or sets it to the default: its calls go on, from sites
// old and new, and it sees the action it set.
#include "harness.h"

static void fresh_calls(void) {
    unsigned char *pages = map_pages(10, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int i = 0; i < 10; i++) {
        write_call(pages + i * 4096, SYS_getppid);
        CHECK(((long (*)(void))(pages + i * 4096))() == getppid());
    }
    CHECK(munmap(pages, 10 * 4096) == 0);
}

int main(void) {
    struct sigaction old;
    CHECK(signal(SIGSYS, SIG_IGN) == SIG_DFL);
    fresh_calls();
    CHECK(raise(SIGSYS) == 0);
    fresh_calls();
    CHECK(sigaction(SIGSYS, 0, &old) == 0 && old.sa_handler == SIG_IGN);
    CHECK(signal(SIGSYS, SIG_DFL) == SIG_IGN);
    fresh_calls();
    CHECK(sigaction(SIGSYS, 0, &old) == 0 && old.sa_handler == SIG_DFL);
    pid_t child = fork();
    if (child == 0) {
        fresh_calls();
        raise(SIGSYS);
        _exit(0);
    }
    say("default: %d", ended(child));
    done();
}
