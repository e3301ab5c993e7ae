// Calls inside a library that is loaded, unloaded and loaded again by dlopen: with a constant number,
// with one that comes in a register, and with the next instruction in the way. None of them traps.
//#Library: dlopen_inline_call.lib.c
//#MaxTraps: 10
#include "harness.h"
#include <dlfcn.h>

int main(void) {
    for (int round = 0; round < 5; round++) {
        void *library = dlopen("./dlopen_inline_call.lib.so", RTLD_NOW);
        if (!library) say("%s", dlerror());
        CHECK(library != 0);
        long (*pid)(void) = (long (*)(void))dlsym(library, "library_pid");
        long (*call)(long) = (long (*)(long))dlsym(library, "library_call");
        long (*twice)(void) = (long (*)(void))dlsym(library, "library_twice");
        CHECK(pid && call && twice);
        for (int i = 0; i < 1000; i++) {
            CHECK(pid() == getpid());
            CHECK(call(SYS_getppid) == getppid());
            CHECK(twice() == getpid() + getppid());
        }
        CHECK(dlclose(library) == 0);
    }
    done();
}
