// What the races execute: a program as small as can be, whose exit status says which of the two it is.
#include <sys/syscall.h>

__attribute__((noreturn)) void _start(void) {
    for (;;) asm volatile("syscall" : : "a"(SYS_exit), "D"(STATUS) : "rcx", "r11", "memory");
}
