// Calls inside a library that is loaded, unloaded and loaded again by dlopen. The one whose number is
// a constant traps once each time the library is loaded; the one whose number comes in a register
// keeps trapping (docs/adr/0006), so it is made less often.
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
        }
        for (int i = 0; i < 5; i++) CHECK(call(SYS_getppid) == getppid());
        CHECK(dlclose(library) == 0);
    }
    done();
}
