// Calls inside a library that is loaded, unloaded and loaded again by dlopen.
//#Library: dlopen_inline_call.lib.c
//#MaxTraps: 60
#include "harness.h"
#include <dlfcn.h>

int main(void) {
    for (int round = 0; round < 5; round++) {
        void *library = dlopen("./dlopen_inline_call.lib.so", RTLD_NOW);
        if (!library) say("%s", dlerror());
        CHECK(library != 0);
        long (*pid)(void) = (long (*)(void))dlsym(library, "library_pid");
        long (*call)(long) = (long (*)(long))dlsym(library, "library_call");
        CHECK(pid && call);
        for (int i = 0; i < 1000; i++) {
            CHECK(pid() == getpid());
            CHECK(call(SYS_getppid) == getppid());
        }
        CHECK(dlclose(library) == 0);
    }
    done();
}
