// A program makes its own text writable, changes a function that holds a call, and runs it.
#include "harness.h"

long changed(void);
asm(".text\n.p2align 12\n.globl changed\n.type changed,@function\nchanged:\n.cfi_startproc\n"
    "mov $39, %eax\nsyscall\nret\n.cfi_endproc\n.size changed, . - changed\n.p2align 12\n");

int main(void) {
    unsigned char *code = (unsigned char *)(uintptr_t)changed;
    for (int i = 0; i < 10; i++) CHECK(changed() == getpid());
    CHECK(mprotect(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    write_call(code, SYS_getppid);
    for (int i = 0; i < 10; i++) CHECK(changed() == getppid());
    write_call(code, 600);
    CHECK(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
    for (int i = 0; i < 10; i++) CHECK(changed() == -ENOSYS);
    done();
}
