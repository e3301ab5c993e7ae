// The program's end by SIGSEGV, by a bad access, with the default action, is what its parent sees.
//#Exit: signal 11
#include "harness.h"

int main(void) {
    RAW(SYS_getpid);
    say("about to die");
    static int *volatile nowhere = (int *)16;
    *nowhere = 1;
    say("still here");
    return 0;
}
