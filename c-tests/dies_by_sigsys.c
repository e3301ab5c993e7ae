// The program's end by SIGSYS, raised by itself, with the default action, is what its parent sees.
//#Exit: signal 31
#include "harness.h"

int main(void) {
    RAW(SYS_getpid);
    say("about to die");
    raise(SIGSYS);
    say("still here");
    return 0;
}
