// The program's end by SIGILL, by ud2, with the default action, is what its parent sees.
//#Exit: signal 4
#include "harness.h"

int main(void) {
    RAW(SYS_getpid);
    say("about to die");
    asm volatile("ud2");
    say("still here");
    return 0;
}
