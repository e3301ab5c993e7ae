// vfork as raw code makes it: the return address is kept in a register, since the child will
// write over the stack.
#include "harness.h"

// long raw_vfork(void): as libc's.
long raw_vfork(void);
asm(".text\n.globl raw_vfork\n.type raw_vfork,@function\nraw_vfork:\n.cfi_startproc\n"
    "pop %rdi\nmov $58, %eax\nsyscall\npush %rdi\nret\n.cfi_endproc\n"
    ".size raw_vfork, . - raw_vfork\n");

__attribute__((noinline)) static void dirty_stack(void) {
    volatile char bytes[4096];
    for (int i = 0; i < 4096; i++) bytes[i] = (char)0xcc;
    CHECK(bytes[2048] == (char)0xcc);
}

int main(void) {
    for (int round = 0; round < 100; round++) {
        long pid = raw_vfork();
        CHECK(pid >= 0);
        if (pid == 0) {
            dirty_stack();
            RAW(SYS_getpid);
            RAW(SYS_mprotect, 0, 0, PROT_READ);
            RAW(SYS_exit_group, round);
        }
        CHECK(ended(pid) == round);
        CHECK(RAW(SYS_getpid) == getpid());
    }
    done();
}
