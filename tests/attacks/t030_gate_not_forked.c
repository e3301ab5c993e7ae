// A child that does not inherit the gate grows a stack of the attacker's down to its address, where the
// attacker's code lies then. No call is made in between.
//# case: T30
//# title: a child has other code at the gate's address
//# layers: B, M
//# policy: ia2, base
//# users: root, unprivileged
//# attack: code of its own at the address = A2 EPERM
//# twin: fork
#include "attack.h"

static long own_code_there(long unused) {
    if (!under_shim) CHECK(mmap(GATE, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == GATE);
    if (under_shim) CHECK(call(SYS_munmap, GATE + WINDOW_PAGES * 4096, 4096) == 0);
    long result = call(SYS_madvise, GATE, 4096, MADV_DONTFORK);
    if (result < 0) return result;
    int above = under_shim ? WINDOW_PAGES : 1;
    long stack = call(SYS_mmap, GATE + above * 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    if (only_error(stack)) return stack;
    pid_t child = fork();
    if (child == 0) {
        memcpy(GATE + 4096 - sizeof forbidden_code, forbidden_code, sizeof forbidden_code);
        _exit(run(GATE + 4096 - sizeof forbidden_code) == 0 ? 0 : 1);
    }
    return ended(child) == 0 ? 0 : -EIO;
}

static long plain_fork(long unused) {
    pid_t child = fork();
    if (child == 0) _exit(7);
    return ended(child) == 7 ? 0 : -EIO;
}

int main(void) {
    attack("code of its own at the address", own_code_there, 0);
    twin("fork", plain_fork, 0);
    done();
}
