// A library of hand-written code: no unwind tables, no symbol sizes, data between the functions.
__asm__(".text\n.globl bare_pid\nbare_pid: mov $39, %eax\nsyscall\nret\n"
        ".byte 0x0f, 0x05, 0x00, 0x0f, 0x05, 0xb8\n"
        ".globl bare_call\nbare_call: mov %rdi, %rax\nsyscall\nret\n"
        ".globl bare_data\nbare_data: .byte 0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3\n");
