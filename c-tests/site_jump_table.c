// A jump table whose entries lead to the instruction after a call, to the call, and to the
// instruction before it: moving any of them would break the function.
#include "harness.h"

// long table(which): 0 → the mov, 1 → the syscall (eax is 110), 2 → behind it, 3 → further on.
long table(long which);
asm(".text\n.p2align 4\n.globl table\n.type table,@function\ntable:\n.cfi_startproc\n"
    "mov $110, %eax\n"
    "lea 9f(%rip), %rdx\n"
    "movslq (%rdx,%rdi,4), %rcx\n"
    "add %rdx, %rcx\n"
    "jmp *%rcx\n"
    "1: mov %esi, %eax\n"
    "2: syscall\n"
    "3: add $1, %rax\n"
    "4: add $2, %rax\n"
    "ret\n.cfi_endproc\n.size table, . - table\n"
    ".section .rodata\n.p2align 2\n9: .long 1b - 9b, 2b - 9b, 3b - 9b, 4b - 9b\n.text\n");
extern long table2(long which, long nr) asm("table");

int main(void) {
    for (int round = 0; round < 100; round++) {
        CHECK(table2(0, SYS_getpid) == getpid() + 3);
        CHECK(table2(1, 0) == getppid() + 3);
        CHECK(table2(2, 0) == 110 + 3);
        CHECK(table2(3, 0) == 110 + 2);
    }
    done();
}
