// A call made by libc and the same call made here give the same answer.
#include "harness.h"
#include <sys/stat.h>
#include <sys/utsname.h>

int main(void) {
    for (int round = 0; round < 100; round++) {
        CHECK(RAW(SYS_getpid) == getpid());
        CHECK(RAW(SYS_gettid) == getpid());
        CHECK(RAW(SYS_getppid) == getppid());
        CHECK(RAW(SYS_getuid) == (long)getuid());
        CHECK(RAW(SYS_getpgid) == getpgid(0));
        CHECK(RAW(SYS_umask, 022) == umask(022));
    }
    struct utsname one, two;
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    CHECK(uname(&one) == 0 && RAW(SYS_uname, &two) == 0);
    CHECK(strcmp(one.release, two.release) == 0);
    char here[512], there[512];
    CHECK(getcwd(here, sizeof here) != 0);
    CHECK(RAW(SYS_getcwd, there, sizeof there) == (long)strlen(here) + 1);
    CHECK(strcmp(here, there) == 0);
    done();
}
