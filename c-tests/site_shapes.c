// Sites as compilers and people write them: with the number just before, in a register, in a
// loop, twice in a row, computed, with neighbours that read rip, rcx, r11, flags or the stack.
#include "harness.h"

#define SITE(name, body)                                                                           \
    long name(long, long, long);                                                                   \
    asm(".text\n.p2align 4\n.globl " #name "\n.type " #name ",@function\n" #name                   \
        ":\n.cfi_startproc\n" body "\n.cfi_endproc\n.size " #name ", . - " #name "\n")

long pid_cell __attribute__((used)), next_cell __attribute__((used));

SITE(number_before, "mov $39, %eax\nsyscall\nret");
SITE(number_in_register, "mov %rdi, %rax\nsyscall\nret");
SITE(number_early, "mov $39, %eax\nmov %esi, %r8d\nmov %r8d, %r9d\nsyscall\nret");
SITE(in_loop, "mov $100, %r8d\n1:\nmov $39, %eax\nsyscall\ndec %r8d\njnz 1b\nret");
SITE(loop_to_site, "mov $39, %eax\nmov $100, %r8d\n1:\nsyscall\nmov $39, %eax\ndec %r8d\njnz 1b\n"
                   "syscall\nret");
SITE(twice, "mov $110, %eax\nsyscall\nmov $39, %eax\nsyscall\nret");
SITE(twice_unknown, "mov %rdi, %rax\nsyscall\nsyscall\nret");
SITE(computed, "lea -1(%rdi), %rax\nadd $1, %rax\nsyscall\nret");
SITE(zero, "mov $-1, %edi\nxor %eax, %eax\nsyscall\nret");
SITE(cell_before, "mov $39, %eax\nmov pid_cell(%rip), %rdi\nsyscall\nmov %rdi, %rax\nret");
SITE(cell_after, "mov %rdi, %rax\nsyscall\nmov pid_cell(%rip), %rdx\nsub %rdx, %rax\nret");
SITE(lea_after, "mov %rdi, %rax\nsyscall\nlea pid_cell(%rip), %rax\nret");
SITE(store_after, "mov %rdi, %rax\nsyscall\nmov %rax, next_cell(%rip)\nret");
SITE(reads_rcx_before, "mov $39, %eax\nmov %rdx, %rcx\nmov %rcx, %r10\nsyscall\nmov %r10, %rax\nret");
SITE(rcx_before_next, "mov %rdi, %rax\nmov $77, %ecx\nmov %rcx, %r10\nsyscall\nmov %r10, %rax\nret");
SITE(r11_before, "mov %rdi, %rax\nmov $78, %r11d\nlea 1(%r11), %r10\nsyscall\nmov %r10, %rax\nret");
SITE(reads_rcx_after, "mov %rdi, %rax\nsyscall\nmov %rcx, %rdx\nlea 0(%rip), %rax\nsub %rdx, %rax\n"
                      "ret"); // 3 + 7 bytes on
SITE(reads_r11_after, "mov %rdi, %rax\ncmp %rax, %rax\nsyscall\nmov %r11, %rax\nand $0x40, %eax\n"
                      "ret");
SITE(flags_through, "cmp $3, %rsi\nmov $39, %eax\nsyscall\nje 1f\nmov $-2, %rax\n1: ret");
SITE(flags_through_unknown, "mov %rdi, %rax\ncmp $3, %rsi\nsyscall\njne 1f\nret\n1: mov $-2, %rax\n"
                            "ret");
SITE(jump_over, "mov $39, %eax\ntest %rsi, %rsi\njne 1f\nsyscall\n1: nop\nnop\nnop\nnop\nret");
SITE(jump_to_site, "mov $110, %eax\ntest %rsi, %rsi\njne 1f\nmov $39, %eax\n1: syscall\nret");
SITE(jump_behind, "mov %rdi, %rax\ntest %rsi, %rsi\njne 1f\nsyscall\n1: sub $1, %rax\nnop\nret");
SITE(pushes_around, "push %rbx\nmov %rdi, %rax\npush %rbx\nsyscall\npop %rbx\npop %rbx\nret");
SITE(stack_after, "push %rdi\nmov %rdi, %rax\nsyscall\nmov (%rsp), %rax\nadd $8, %rsp\nret");
SITE(call_after, "mov %rdi, %rax\nsyscall\ncall number_before\nret");
SITE(jump_after, "mov %rdi, %rax\nsyscall\njmp 1f\nud2\n1: ret");
SITE(branch_after, "mov %rdi, %rax\nsyscall\ncmp $-4095, %rax\njae 1f\nret\n1: mov $-3, %rax\nret");
SITE(at_once, "syscall\nret");
SITE(wide_prefix, "mov %rdi, %rax\n.byte 0x48\nsyscall\nret");
SITE(odd_prefix, "mov %rdi, %rax\n.byte 0x66\nsyscall\nret");
SITE(nops_before, "mov %rdi, %rax\nnopw 0(%rax,%rax)\nsyscall\nret");
SITE(string_before, "mov %rdi, %rax\nlea next_cell(%rip), %rdi\nstosb\nmov $39, %eax\nsyscall\nret");
SITE(xchg_before, "xchg %rax, %rdi\nsyscall\nret");
SITE(conditional_move, "mov $110, %eax\nmov $39, %edx\ntest %rsi, %rsi\ncmove %edx, %eax\nsyscall\n"
                       "ret");
SITE(end_without_ret, "mov $39, %eax\nsyscall\njmp 1f\n.p2align 4\n1: ret");

int main(void) {
    long me = getpid(), parent = getppid();
    pid_cell = me;
    for (int round = 0; round < 50; round++) {
        CHECK(number_before(0, 0, 0) == me);
        CHECK(number_in_register(SYS_getppid, 0, 0) == parent);
        CHECK(number_in_register(SYS_getpid, 0, 0) == me);
        CHECK(number_early(0, 7, 0) == me);
        CHECK(in_loop(0, 0, 0) == me);
        CHECK(loop_to_site(0, 0, 0) == me);
        CHECK(twice(0, 0, 0) == me);
        // The first result is the second number, so take one that has no effect.
        CHECK(twice_unknown(600, 0, 0) == -ENOSYS);
        CHECK(computed(SYS_getpid, 0, 0) == me);
        CHECK(zero(0, 0, 0) == -EBADF);
        CHECK(cell_before(0, 0, 0) == me);
        CHECK(cell_after(SYS_getpid, 0, 0) == 0);
        CHECK(lea_after(SYS_getpid, 0, 0) == (long)&pid_cell);
        next_cell = 0;
        store_after(SYS_getpid, 0, 0);
        CHECK(next_cell == me);
        CHECK(reads_rcx_before(0, 0, 1234) == 1234);
        CHECK(rcx_before_next(SYS_getpid, 0, 0) == 77);
        CHECK(r11_before(SYS_getpid, 0, 0) == 79);
        CHECK(reads_rcx_after(SYS_getpid, 0, 0) == 10);
        CHECK(reads_r11_after(SYS_getpid, 0, 0) == 0x40);
        CHECK(flags_through(0, 3, 0) == me && flags_through(0, 4, 0) == -2);
        CHECK(flags_through_unknown(SYS_getpid, 3, 0) == me);
        CHECK(flags_through_unknown(SYS_getpid, 4, 0) == -2);
        CHECK(jump_over(0, 0, 0) == me && jump_over(0, 1, 0) == 39);
        CHECK(jump_to_site(0, 0, 0) == me && jump_to_site(0, 1, 0) == parent);
        CHECK(jump_behind(SYS_getpid, 0, 0) == me - 1 && jump_behind(9, 1, 0) == 8);
        CHECK(pushes_around(SYS_getpid, 0, 0) == me);
        CHECK(stack_after(SYS_getpid, 0, 0) == SYS_getpid);
        CHECK(call_after(SYS_getppid, 0, 0) == me);
        CHECK(jump_after(SYS_getppid, 0, 0) == parent);
        CHECK(branch_after(SYS_getpid, 0, 0) == me && branch_after(600, 0, 0) == -3);
        long result;
        asm volatile("call at_once" : "=a"(result) : "a"(SYS_getpid) : "rcx", "r11", "memory");
        CHECK(result == me);
        CHECK(wide_prefix(SYS_getpid, 0, 0) == me);
        CHECK(odd_prefix(SYS_getpid, 0, 0) == me);
        CHECK(nops_before(SYS_getpid, 0, 0) == me);
        CHECK(string_before(SYS_getpid, 0, 0) == me);
        CHECK(xchg_before(SYS_getpid, 0, 0) == me);
        CHECK(conditional_move(0, 0, 0) == me && conditional_move(0, 1, 0) == parent);
        CHECK(end_without_ret(0, 0, 0) == me);
    }
    done();
}
