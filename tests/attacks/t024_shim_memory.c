// The shim's other memory, which has no fixed address: the block of the thread, where the gs base points,
// and the shim's own data and code; and memory of the kernel's and of libc that programs rely on.
//# case: T22, T24, T57, T77, T109, T110
//# title: the shim's own data is written, unmapped or discarded
//# layers: K
//# policy: ia2
//# users: root, unprivileged
//# needs: PKU
//# attack: a store to the block = open: needs PKU: the shim's data is as writable to the program as to the shim
//# attack: the kernel writes to the block = open: as a store
//# attack: the shim's code is protected anew = A2 EPERM
//# without mseal: the shim's code is protected anew = open: its text cannot be sealed
//# attack: the vDSO is unmapped = open: it is not sealed; the shim does not use it
//# attack: gs is turned elsewhere = open: WRGSBASE is no call; the gate uses gs to find the block
//# attack: gs is set by arch_prctl = A1 EPERM
//# twin: fs is read
#include "attack.h"
#include <asm/prctl.h>

/// Where the gs base points: to the shim's block; natively to a page that plays one.
static char *block(void) {
    char *at;
    if (under_shim) {
        asm volatile("rdgsbase %0" : "=r"(at));
        return at;
    }
    at = map_pages(2, PROT_READ | PROT_WRITE);
    return at;
}

/// In the second page of the block, which is the trace's.
enum { SAFE = 4096 };

static long store(long unused) {
    char *at = block();
    at[SAFE] ^= 1;
    return 0;
}

static long kernel_writes(long unused) {
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    return only_error(call(SYS_read, ends[0], block() + SAFE, 1));
}

typedef struct {
    unsigned long from, to;
} Range;

/// The first executable mapping whose line says `name`, or that lies at the loader's place.
static Range code_of(const char *name, int or_loader) {
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    char line[512], rights[8];
    Range range = {0, 0};
    while (fgets(line, sizeof line, maps)) {
        CHECK(sscanf(line, "%lx-%lx %7s", &range.from, &range.to, rights) == 3);
        int is_it = strstr(line, name) || (or_loader && range.from >> 24 == 0x7e9010000000 >> 24);
        if (is_it && rights[2] == 'x') break;
        range.to = 0;
    }
    CHECK(range.to && fclose(maps) == 0);
    return range;
}

/// With what it has already, which a sealed mapping refuses as well.
static long protect_code(long unused) {
    Range code = code_of(under_shim ? "libia2shim" : "/libc", under_shim);
    return only_error(call(SYS_mprotect, code.from, 4096, PROT_READ | PROT_EXEC));
}

static long unmap_vdso(long unused) {
    Range vdso = code_of("[vdso]", 0);
    return only_error(call(SYS_munmap, vdso.from, vdso.to - vdso.from));
}

/// Turned to memory of the program's, which is then what the gate takes for the block.
static long turn_gs(long unused) {
    unsigned long before, own = (unsigned long)map_pages(4, PROT_READ | PROT_WRITE), after;
    asm volatile("rdgsbase %0\n wrgsbase %2\n rdgsbase %1\n wrgsbase %0" : "=&r"(before), "=&r"(after) : "r"(own));
    return after == own ? 0 : -EIO;
}

static long set_gs(long unused) {
    char *own = map_pages(4, PROT_READ | PROT_WRITE);
    unsigned long before = 0, after = 0;
    asm volatile("rdgsbase %0" : "=r"(before));
    long result = call(SYS_arch_prctl, ARCH_SET_GS, own);
    asm volatile("rdgsbase %0\n wrgsbase %1" : "=&r"(after) : "r"(before));
    return result < 0 ? result : after == (unsigned long)own ? 0 : -EIO;
}

static long read_fs(long unused) {
    unsigned long fs = 0;
    return RAW(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs ? 0 : -EIO;
}

int main(void) {
    attack("a store to the block", store, 0);
    attack("the kernel writes to the block", kernel_writes, 0);
    attack("the shim's code is protected anew", protect_code, 0);
    attack("the vDSO is unmapped", unmap_vdso, 0);
    attack("gs is turned elsewhere", turn_gs, 0);
    attack("gs is set by arch_prctl", set_gs, 0);
    twin("fs is read", read_fs, 0);
    done();
}
