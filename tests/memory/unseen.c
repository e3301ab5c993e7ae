// Memory that changes without a call of the program's own: one that its code makes at the gate's `raw`, where
// only the shim calls. Not the shim's way, so its map knows nothing of it.
#include <sys/mman.h>
#include <sys/syscall.h>

#define GATE ((unsigned char *)0x7e9000000000)

int main(void) {
    unsigned char *at = 0;
    for (int offset = 0; offset < 4094; offset++)
        if (GATE[offset] == 0x0f && GATE[offset + 1] == 0x05) at = GATE + offset;
    long result;
    register long r10 asm("r10") = MAP_PRIVATE | MAP_ANONYMOUS;
    register long r8 asm("r8") = -1;
    register long r9 asm("r9") = 0;
    asm volatile("lea 1f(%%rip), %%r15\n jmp *%%rbx\n1:"
                 : "=a"(result)
                 : "a"(SYS_mmap), "D"(0), "S"(4096), "d"(PROT_READ), "r"(r10), "r"(r8), "r"(r9), "b"(at)
                 : "rcx", "r11", "r15", "memory");
    return result < 0;
}
