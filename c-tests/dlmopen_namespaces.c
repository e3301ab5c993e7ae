// The same library in several link-map namespaces: each copy of its text works, and a second libc
// comes with it.
//#Libc: glibc
//#Library: dlopen_inline_call.lib.c
//#MaxTraps: 10
#include "harness.h"
#include <dlfcn.h>

int main(void) {
    for (int round = 0; round < 3; round++) {
        void *library = dlmopen(LM_ID_NEWLM, "./dlopen_inline_call.lib.so", RTLD_NOW);
        CHECK(library != 0);
        long (*pid)(void) = (long (*)(void))dlsym(library, "library_pid");
        CHECK(pid != 0);
        void *libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
        CHECK(libc != 0);
        int (*other_getpid)(void) = (int (*)(void))dlsym(libc, "getpid");
        CHECK(other_getpid != 0 && other_getpid != getpid);
        for (int i = 0; i < 100; i++) CHECK(pid() == getpid() && other_getpid() == getpid());
    }
    done();
}
