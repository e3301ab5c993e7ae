// A program makes text that holds calls writable, finds its own bytes there, and changes operands of
// the instructions around a call in place. Each function is there twice: as code, and as bytes to
// compare it with.
//#MaxTraps: 400
#include "harness.h"

#define FUNCTION(name, body)                                                             \
    asm(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n" \
        body "\n.cfi_endproc\n" #name "_end: .size " #name ", . - " #name                \
        "\n.p2align 4\n.pushsection .rodata\n" #name "_bytes:\n" body "\n.popsection\n"); \
    extern long name(long, long);                                                        \
    extern unsigned char name##_end[], name##_bytes[];

asm(".text\n.p2align 12\n");
FUNCTION(loads_before, "mov $39, %eax\nsyscall\nret")
FUNCTION(works_behind, "mov %edi, %eax\nsyscall\nadd $1, %rax\nadd %rsi, %rax\nret")
FUNCTION(works_before, "mov %rdi, %rax\nadd $0, %al\nmov %rsi, %rdi\nsyscall\nret")
FUNCTION(reaches_padding, "push %rbx\nmov %edi, %eax\nsyscall\npop %rbx\nret\nnop\nnop\nnop\nnop\nnop\nnop")
FUNCTION(far_operand, "lea 1f(%rip), %rdx\n1: mov %edi, %eax\nsyscall\nmov %rdx, %rsi\nret")
asm(".text\n.p2align 12\n");

static void same(const char *what, long (*code)(long, long), unsigned char *end, unsigned char *bytes) {
    size_t length = end - (unsigned char *)(uintptr_t)code;
    say("%s: %s", what, memcmp((void *)(uintptr_t)code, bytes, length) ? "other bytes" : "its bytes");
}
#define SAME(name) same(#name, name, name##_end, name##_bytes)

static void run(int times) {
    long pid = getpid();
    for (int i = 0; i < times; i++) {
        CHECK(loads_before(0, 0) == pid);
        CHECK(works_behind(SYS_getpid, 5) == pid + 6);
        CHECK(works_before(SYS_getpid, 0) == pid);
        CHECK(reaches_padding(SYS_getpid, 0) == pid);
        CHECK(far_operand(SYS_getpid, 0) == pid);
    }
}

int main(void) {
    unsigned char *page = (unsigned char *)((uintptr_t)loads_before & ~4095ul);
    run(20);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    SAME(loads_before);
    SAME(works_behind);
    SAME(works_before);
    SAME(far_operand);
    run(20);
    // One operand each: the number, a summand behind the call, a summand before it.
    unsigned char *code = (unsigned char *)(uintptr_t)loads_before;
    CHECK(code[0] == 0xb8);
    code[1] = SYS_getppid;
    CHECK(loads_before(0, 0) == getppid());
    code = (unsigned char *)(uintptr_t)works_behind;
    CHECK(code[2] == 0x0f && code[7] == 1);
    code[7] = 2;
    CHECK(works_behind(SYS_getpid, 0) == getpid() + 2);
    code = (unsigned char *)(uintptr_t)works_before;
    CHECK(code[3] == 4 && code[4] == 0);
    code[4] = 1;
    CHECK(works_before(SYS_getpid - 1, 0) == getpid());
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(loads_before(0, 0) == getppid());
        CHECK(works_behind(SYS_getpid, 0) == getpid() + 2);
        CHECK(works_before(SYS_getpid - 1, 0) == getpid());
        CHECK(reaches_padding(SYS_getpid, 0) == getpid());
    }
    // Text of a library that is made writable: its calls go on, and so do those of other threads.
    unsigned char *libc = (unsigned char *)((uintptr_t)(void *)getppid & ~4095ul);
    for (int i = 0; i < 10; i++) {
        CHECK(mprotect(libc, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0 && getppid() > 0);
        CHECK(mprotect(libc, 4096, PROT_READ | PROT_EXEC) == 0 && getppid() > 0);
    }
    done();
}
