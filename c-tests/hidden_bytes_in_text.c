// `0f 05` that is not an instruction stays as it is: in an immediate, in a displacement, in data
// between functions; and the code that holds it works.
//#Flags: -rdynamic
#include "harness.h"

extern const unsigned char data_in_text[16], hidden_immediate[], hidden_end[];
long immediate(void), displacement(long), skipped(void);
asm(".text\n.globl data_in_text\n.p2align 4\ndata_in_text:\n"
    ".byte 0xb8,0x27,0,0,0,0x0f,0x05,0xc3,0x0f,0x05,0x0f,0x05,0x90,0x90,0x90,0x90\n"
    ".globl hidden_immediate\nhidden_immediate:\n"
    ".globl immediate\n.type immediate,@function\nimmediate:\n.cfi_startproc\n"
    "mov $0x050f050f, %eax\nmov $39, %ecx\nret\n.cfi_endproc\n.size immediate, . - immediate\n"
    ".globl displacement\n.type displacement,@function\ndisplacement:\n.cfi_startproc\n"
    "lea 0x050f(%rdi), %rax\nlea 0xe05(%rax), %rax\nret\n"
    ".cfi_endproc\n.size displacement, . - displacement\n"
    ".globl skipped\n.type skipped,@function\nskipped:\n.cfi_startproc\n"
    "mov $39, %eax\njmp 1f\n.byte 0xb8, 0x27, 0, 0, 0, 0x0f, 0x05\n1: ret\n"
    ".cfi_endproc\n.size skipped, . - skipped\n.globl hidden_end\nhidden_end:\n");

static const unsigned char expected[] = {
    0xb8, 0x0f, 0x05, 0x0f, 0x05, 0xb9, 39, 0, 0, 0, 0xc3,                  // immediate
    0x48, 0x8d, 0x87, 0x0f, 0x05, 0, 0, 0x48, 0x8d, 0x80, 0x05, 0x0e, 0, 0, // displacement
    0xc3,
    0xb8, 0x27, 0, 0, 0, 0xeb, 7, // skipped; the bytes after the jump may be called a site
};

int main(void) {
    static const unsigned char data[16] = {0xb8, 0x27, 0, 0,    0,    0x0f, 0x05, 0xc3,
                                           0x0f, 5,    15, 5,    0x90, 0x90, 0x90, 0x90};
    for (int round = 0; round < 3; round++) {
        CHECK(memcmp((const void *)(uintptr_t)data_in_text, data, 16) == 0);
        CHECK(memcmp((const void *)(uintptr_t)hidden_immediate, expected, sizeof expected) == 0);
        CHECK(immediate() == 0x050f050f);
        CHECK(displacement(0) == 0x50f + 0xe05);
        CHECK(skipped() == 39);
        CHECK(getppid() > 0);
    }
    done();
}
