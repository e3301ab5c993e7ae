// The heap is cut off below a page that was made read-only, and grown again: the page is back, empty and
// writable.
//# case: T31
//# title: brk replaces a protected page of the heap
//# layers: U, K
//# policy: ia2
//# users: root, unprivileged
//# needs: PKU
//# attack: cut and grown = open: needs PKU: whose page it is cannot be told without keys
//# twin: malloc
#include "attack.h"

static long cut_and_grow(long unused) {
    char *end = sbrk(0);
    char *page = (char *)(((long)end + 8191) & -4096);
    CHECK(call(SYS_brk, page + 8192) == (long)(page + 8192));
    page[0] = 'p';
    CHECK(mprotect(page, 4096, PROT_READ) == 0);
    long cut = call(SYS_brk, page);
    if (cut != (long)page) return only_error(cut) ? cut : -EPERM;
    CHECK(call(SYS_brk, page + 8192) == (long)(page + 8192));
    page[0]++;
    return page[0] == 1 ? 0 : -EIO;
}

static long allocate(long unused) {
    void *memory = malloc(100000);
    free(memory);
    return memory ? 0 : -ENOMEM;
}

int main(void) {
    attack("cut and grown", cut_and_grow, 0);
    twin("malloc", allocate, 0);
    done();
}
