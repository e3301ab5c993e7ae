// Numbers that stand at the site as an immediate: unknown, large and negative ones are ENOSYS,
// and a sign-extended or 64-bit immediate is cut to 32 bits.
#include "harness.h"

#define CALL(name, load)                                                                           \
    long name(void);                                                                               \
    asm(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n" load     \
        "\nsyscall\nret\n.cfi_endproc\n.size " #name ", . - " #name "\n")
CALL(call_500, "mov $500, %eax");
CALL(call_512, "mov $512, %eax");
CALL(call_1000, "mov $1000, %eax");
CALL(call_minus_1, "mov $-1, %eax");
CALL(call_minus_1_long, "mov $-1, %rax");
CALL(call_2_31, "mov $0x80000000, %eax");
CALL(call_getpid_long, "mov $39, %rax");
CALL(call_getpid_wide, "movabs $0x1234567800000027, %rax");
CALL(call_getpid_push, "push $39\npop %rax");
CALL(call_getpid_lea, "xor %edi, %edi\nlea 39(%rdi), %rax");
CALL(call_getpid_or, "xor %eax, %eax\nor $39, %al");
CALL(call_getpid_byte, "mov $0x100, %eax\nmov $39, %ax");
CALL(call_read_bad, "mov $-1, %edi\nxor %eax, %eax");
CALL(call_read_sub, "mov $-1, %edi\nsub %eax, %eax");
CALL(call_read_and, "mov $-1, %edi\nand $0, %eax");

int main(void) {
    for (int round = 0; round < 20; round++) {
        CHECK(call_500() == -ENOSYS);
        CHECK(call_512() == -ENOSYS);
        CHECK(call_1000() == -ENOSYS);
        CHECK(call_minus_1() == -ENOSYS);
        CHECK(call_minus_1_long() == -ENOSYS);
        CHECK(call_2_31() == -ENOSYS);
        CHECK(call_getpid_long() == getpid());
        CHECK(call_getpid_wide() == getpid());
        CHECK(call_getpid_push() == getpid());
        CHECK(call_getpid_lea() == getpid());
        CHECK(call_getpid_or() == getpid());
        CHECK(call_getpid_byte() == getpid());
        CHECK(call_read_bad() == -EBADF);
        CHECK(call_read_sub() == -EBADF);
        CHECK(call_read_and() == -EBADF);
    }
    done();
}
