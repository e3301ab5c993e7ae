// The program's end by SIGABRT, by abort, with the default action, is what its parent sees.
//#Exit: signal 6
#include "harness.h"

int main(void) {
    RAW(SYS_getpid);
    say("about to die");
    abort();
    say("still here");
    return 0;
}
