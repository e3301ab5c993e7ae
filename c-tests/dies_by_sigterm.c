// The program's end by SIGTERM, raised by itself, with the default action, is what its parent sees.
//#Exit: signal 15
#include "harness.h"

int main(void) {
    RAW(SYS_getpid);
    say("about to die");
    raise(SIGTERM);
    say("still here");
    return 0;
}
