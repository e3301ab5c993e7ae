// Protection keys are taken off a page. Without keys of hardware there is one compartment, whose pages are
// all its own: key -1 and key 0 are what every program may give.
//# case: T21
//# title: a page's key is taken off
//# layers: U, K
//# policy: ia2
//# users: root, unprivileged
//# needs: PKU
//# attack: key -1 = open: needs PKU: whose page it is cannot be told without keys
//# attack: to both writable and executable = A2 EACCES
//# twin: mprotect of an own page
#include "attack.h"

static long take_key(long protection) {
    unsigned char *page = map_pages(1, PROT_READ);
    long result = call(SYS_pkey_mprotect, page, 4096, protection, -1);
    if (result < 0) return result;
    page[0] = 1;
    return 0;
}

static long own_page(long unused) {
    void *page = map_pages(1, PROT_READ);
    return mprotect(page, 4096, PROT_READ | PROT_WRITE) ? -errno : 0;
}

int main(void) {
    attack("key -1", take_key, PROT_READ | PROT_WRITE);
    attack("to both writable and executable", take_key, PROT_READ | PROT_WRITE | PROT_EXEC);
    twin("mprotect of an own page", own_page, 0);
    done();
}
