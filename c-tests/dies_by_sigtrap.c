// The program's end by SIGTRAP, by int3, with the default action, is what its parent sees.
//#Exit: signal 5
#include "harness.h"

int main(void) {
    RAW(SYS_getpid);
    say("about to die");
    asm volatile("int3");
    say("still here");
    return 0;
}
