// What a process can ask about itself: name, dumpable, death signal, personality, limits, the
// action and mask it starts with.
#include "harness.h"
#include <sys/prctl.h>
#include <sys/resource.h>

int main(void) {
    char name[17] = {0};
    int signal = 9;
    CHECK(prctl(PR_GET_NAME, name) == 0);
    say("name %.8s, dumpable %d, keepcaps %d", name, prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS));
    CHECK(prctl(PR_GET_PDEATHSIG, &signal) == 0);
    say("death signal %d, personality %lx", signal, RAW(SYS_personality, 0xffffffff));
    CHECK(prctl(PR_SET_NAME, "another") == 0 && prctl(PR_GET_NAME, name) == 0);
    CHECK(strcmp(name, "another") == 0);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    say("stack limit %lu, priority %d", (unsigned long)limit.rlim_cur, getpriority(PRIO_PROCESS, 0));
    say("child subreaper %ld", RAW(SYS_prctl, 37, &signal) == 0 ? (long)signal : -1);
    uint64_t mask = 1;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8) == 0);
    say("mask at start %lx", mask);
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    CHECK(status != 0);
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, "SigIgn", 6) == 0 || strncmp(line, "ShdPnd", 6) == 0 ||
            strncmp(line, "Threads", 7) == 0 || strncmp(line, "TracerPid", 9) == 0)
            line[strcspn(line, "\n")] = 0, say("%s", line);
    }
    fclose(status);
    done();
}
