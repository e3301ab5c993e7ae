// Sites in the program's text whose bytes lie on both sides of a page boundary, at every offset.
#include "harness.h"

#define CROSS(name, before)                                                                        \
    long name(void);                                                                               \
    asm(".section .text.cross,\"ax\",@progbits\n.p2align 12\n.skip 4096 - " #before ", 0x90\n"     \
        ".globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n"                \
        "mov $39, %eax\nsyscall\nnop\nnop\nnop\nret\n.cfi_endproc\n"                               \
        ".size " #name ", . - " #name "\n.p2align 12\n.text\n")
CROSS(cross_1, 1);
CROSS(cross_2, 2);
CROSS(cross_3, 3);
CROSS(cross_4, 4);
CROSS(cross_5, 5);
CROSS(cross_6, 6);
CROSS(cross_7, 7);
CROSS(cross_8, 8);

int main(void) {
    long (*const all[8])(void) = {cross_1, cross_2, cross_3, cross_4,
                                  cross_5, cross_6, cross_7, cross_8};
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < 8; i++) CHECK(all[i]() == getpid());
    done();
}
