// Every register but rax, rcx and r11 survives a call that nobody inspects; rcx is the next
// address, r11 the flags.
#include "probe.h"

PROBE(known_number, "mov $39, %eax\nsyscall");
PROBE(number_in_register, "nop\nsyscall");
PROBE(zero_number, "xor %eax, %eax\nsyscall");
extern char no_room_next[];
PROBE(no_room_before, "syscall\nno_room_next: nop\nnop\nnop\nnop\nnop");

static void run(const char *what, void (*probe)(void), void *after, long expect, long clear) {
    for (int round = 0; round < 50; round++) {
        probe_out.rax = 77;
        if (clear) probe_in.flags = 0x246; // xor leaves ZF and PF set, AF undefined
        probe();
        if (clear) probe_out.flags &= ~0x10ul, probe_out.r11 &= ~0x10ul;
        if ((long)probe_out.rax != expect) say("%s: wrong result", what);
        probe_compare(what, after);
    }
}

int main(void) {
    probe_fill();
    run("getpid, number at the site", known_number, known_number_after, getpid(), 0);
    probe_fill();
    probe_call(SYS_getppid, 1, 2, 3, 4, 5, 6);
    run("getppid, number in a register", number_in_register, number_in_register_after, getppid(), 0);
    probe_fill();
    probe_call(500, -1, 2, 3, 4, 5, 6);
    run("500", number_in_register, number_in_register_after, -ENOSYS, 0);
    probe_fill();
    probe_call(SYS_read, -1, 0, 0, 4, 5, 6);
    run("read", zero_number, zero_number_after, -EBADF, 1);
    probe_fill();
    probe_call(SYS_write, -1, 0, 0, 4, 5, 6);
    run("write, nothing before the site", no_room_before, no_room_next, -EBADF, 0);
    done();
}
