// Code that found the gate loads registers and jumps there. No address tells it from the shim; what the filter
// refuses by number and scalar arguments stays refused, what only the shim refuses does not.
//# case: T74, T75, T76
//# title: the gate's SYSCALL is used by other code
//# layers: B, K
//# policy: ia2
//# users: root, unprivileged
//# needs: PKU
//# attack: a number that is refused = A2 EPERM
//# attack: a copy of the gate elsewhere = A2 EPERM
//# attack: writable and executable memory = A2 EACCES
//# attack: a path = A1 EACCES
//# twin: getppid
#include "attack.h"

static long number(long unused) { return forbidden(); }

static unsigned char *copy_of_gate(void) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    memset(page, 0xcc, 4096);
    if (under_shim)
        memcpy(page, GATE, 4096);
    else
        memcpy(page + 0x240, "\x0f\x05\x41\xff\xe7", 5); // as `raw`
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    return page;
}

/// By the copy of `raw`, which needs nothing of the shim's.
static long copy(long unused) {
    unsigned char *at = copy_of_gate() + (under_shim ? gates[2] - GATE : 0x240);
    long result;
    asm volatile("lea 1f(%%rip), %%r15\n jmp *%%rbx\n1:" : "=a"(result) : "a"(SYS_setfsuid), "D"(-1), "b"(at) : "rcx", "r11", "r15", "memory");
    return only_error(result);
}

static long write_and_execute(long unused) {
    return only_error(call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static long path(long unused) { return only_error(call(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR)); }

static long parent(long unused) { return RAW(SYS_getppid) == getppid() ? 0 : -EIO; }

int main(void) {
    attack("a number that is refused", number, 0);
    attack("a copy of the gate elsewhere", copy, 0);
    attack("writable and executable memory", write_and_execute, 0);
    attack("a path", path, 0);
    twin("getppid", parent, 0);
    done();
}
