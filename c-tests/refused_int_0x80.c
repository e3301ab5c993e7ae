// The 32-bit entry is no way around: `int $0x80` is refused, and the program goes on.
//#Backstop: strict,inspected
//#Native: int 0x80 getpid: answered
//#Shim: int 0x80 getpid: refused
#include "harness.h"

int main(void) {
    long result;
    asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    say("int 0x80 getpid: %s", (int)result == getpid() ? "answered" : "refused");
    CHECK((int)result == getpid() || (int)result < 0);
    done();
}
