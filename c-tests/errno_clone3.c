// clone3 checks its arguments as the kernel does.
#include "harness.h"

int main(void) {
    static uint64_t arguments[64];
#define TRY(name, pointer, size) say("%s: %s", name, errno_name(RAW(435, pointer, size)))
    TRY("size 0", arguments, 0);
    TRY("size 63", arguments, 63);
    TRY("size 5000", arguments, 5000);
    arguments[20] = 1;
    TRY("unknown field set", arguments, 200);
    arguments[20] = 0;
    arguments[0] = 0x100; // CLONE_VM in the exit signal's place is a flag: no stack
    arguments[4] = 0x1ff;
    TRY("exit signal 511", arguments, 64);
    arguments[4] = 0;
    arguments[0] = 0x800; // CLONE_SIGHAND without CLONE_VM
    TRY("SIGHAND without VM", arguments, 64);
    arguments[0] = 0x10000; // CLONE_THREAD without CLONE_SIGHAND
    TRY("THREAD without SIGHAND", arguments, 64);
    arguments[0] = 0;
    arguments[6] = 4096; // a stack size without a stack
    TRY("stack size without stack", arguments, 64);
    arguments[6] = 0;
    arguments[5] = 4096; // a stack without a size
    TRY("stack without size", arguments, 64);
    TRY("bad pointer", 8, 64);
    say("clone SIGHAND without VM: %s", errno_name(RAW(SYS_clone, 0x800 | SIGCHLD)));
    say("clone THREAD alone: %s", errno_name(RAW(SYS_clone, 0x10000 | SIGCHLD)));
    done();
}
