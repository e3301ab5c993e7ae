// What the kernel writes when a thread ends, wherever the thread told it to.
//# case: T80
//# title: the end of a thread writes to memory of another
//# layers: U, K
//# policy: ia2
//# users: root, unprivileged
//# needs: PKU
//# attack: set_tid_address = open: needs PKU: whose page it is cannot be told without keys
//# twin: a thread that says nothing
#include "attack.h"
#include "../../c-tests/clone.h"

static volatile int word = 7;

static long end(void *is_told) {
    if (is_told) call(SYS_set_tid_address, &word);
    return 0;
}

/// A thread that libc does not know, because libc's have an address set.
static long at_end(long is_told) {
    char *stack = map_pages(16, PROT_READ | PROT_WRITE);
    int ended_at = -1;
    long made = raw_clone(THREAD_FLAGS, stack + 65536, &ended_at, &ended_at, 0, end, (void *)is_told);
    if (made < 0) return made;
    if (!is_told) wait_cleared(&ended_at);
    for (int i = 0; i < 2000 && word && is_told; i++) usleep(1000);
    return (word == 0) == is_told ? 0 : -EPERM;
}

int main(void) {
    attack("set_tid_address", at_end, 1);
    twin("a thread that says nothing", at_end, 0);
    done();
}
