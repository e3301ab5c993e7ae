// After READ_IMPLIES_EXEC every page that can be read can be executed.
//# case: T34
//# title: personality makes data executable
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: READ_IMPLIES_EXEC = A2 EPERM
//# attack: ADDR_NO_RANDOMIZE = A2 EPERM
//# twin: uname
#include "attack.h"
#include <sys/personality.h>
#include <sys/utsname.h>

static long read_implies_exec(long unused) {
    long result = call(SYS_personality, READ_IMPLIES_EXEC);
    if (result < 0) return result;
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    write_function(page, 2);
    return gives(page) == 2 ? 0 : -EIO;
}

static long no_random_addresses(long unused) { return only_error(call(SYS_personality, ADDR_NO_RANDOMIZE)); }

static long name(long unused) {
    struct utsname names;
    return uname(&names) ? -errno : 0;
}

int main(void) {
    attack("READ_IMPLIES_EXEC", read_implies_exec, 0);
    attack("ADDR_NO_RANDOMIZE", no_random_addresses, 0);
    twin("uname", name, 0);
    done();
}
