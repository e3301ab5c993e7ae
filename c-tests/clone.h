// Raw clone and clone3: a child that starts a function on a stack of its own.
#pragma once
#include "harness.h"

/// `clone(flags, stack top, parent tid, child tid, tls)`; the child runs `function(argument)` and
/// then exits its thread with the result.
long raw_clone(unsigned long flags, void *stack_top, int *parent_tid, int *child_tid, void *tls,
               long (*function)(void *), void *argument);
asm(".text\n.globl raw_clone\n.type raw_clone,@function\nraw_clone:\n.cfi_startproc\n"
    "mov 8(%rsp), %rax\nmov %rax, -8(%rsi)\nmov %r9, -16(%rsi)\nsub $16, %rsi\n"
    "mov %rcx, %r10\nmov $56, %eax\nsyscall\n"
    "test %rax, %rax\njz 1f\nret\n"
    "1: xor %ebp, %ebp\npop %rax\npop %rdi\nand $-16, %rsp\ncall *%rax\n"
    "mov %rax, %rdi\nmov $60, %eax\nsyscall\nhlt\n.cfi_endproc\n.size raw_clone, . - raw_clone\n");

/// `clone3(arguments, size)`; the child runs `function(argument)` likewise.
long raw_clone3(void *arguments, long size, long (*function)(void *), void *argument);
asm(".text\n.globl raw_clone3\n.type raw_clone3,@function\nraw_clone3:\n.cfi_startproc\n"
    "mov %rdx, %r8\nmov %rcx, %r9\nmov $435, %eax\nsyscall\n"
    "test %rax, %rax\njz 1f\nret\n"
    "1: xor %ebp, %ebp\nmov %r9, %rdi\nand $-16, %rsp\ncall *%r8\n"
    "mov %rax, %rdi\nmov $60, %eax\nsyscall\nhlt\n.cfi_endproc\n.size raw_clone3, . - raw_clone3\n");

/// CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | PARENT_SETTID | CHILD_CLEARTID
#define THREAD_FLAGS (0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x100000 | 0x200000)

/// Waits until the kernel has cleared a thread's tid.
static void wait_cleared(int *tid) {
    int seen;
    while ((seen = __atomic_load_n(tid, __ATOMIC_ACQUIRE)) != 0)
        RAW(SYS_futex, tid, 0, seen, 0, 0, 0);
}
