// Calls in hand-written code whose functions nothing describes, with data beside them: they work,
// and the data is untouched.
//#Library: library_without_unwind_tables.lib.c
#include "harness.h"
#include <dlfcn.h>

int main(void) {
    void *library = dlopen("./library_without_unwind_tables.lib.so", RTLD_NOW);
    CHECK(library != 0);
    long (*pid)(void) = (long (*)(void))dlsym(library, "bare_pid");
    long (*call)(long) = (long (*)(long))dlsym(library, "bare_call");
    const unsigned char *data = dlsym(library, "bare_data");
    CHECK(pid && call && data);
    for (int i = 0; i < 1000; i++) {
        CHECK(pid() == getpid());
        CHECK(call(SYS_getppid) == getppid());
    }
    static const unsigned char expected[8] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3};
    static const unsigned char between[6] = {0x0f, 0x05, 0x00, 0x0f, 0x05, 0xb8};
    CHECK(memcmp(data, expected, 8) == 0);
    CHECK(memcmp((const unsigned char *)(uintptr_t)pid + 8, between, 6) == 0);
    done();
}
