// The program's end by SIGKILL, raised by itself, with the default action, is what its parent sees.
//#Exit: signal 9
#include "harness.h"

int main(void) {
    RAW(SYS_getpid);
    say("about to die");
    raise(SIGKILL);
    say("still here");
    return 0;
}
