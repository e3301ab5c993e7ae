// What can be done to mappings is done to the shim's window: the gate, the constants, the table. Afterwards
// the gate still makes calls.
//# case: T23, T27, T28, T39
//# title: the gate is unmapped, replaced, moved, made writable, discarded
//# layers: B, M
//# policy: ia2, base
//# users: root, unprivileged
//# attack: munmap = A2 EPERM
//# attack: munmap, from below = A2 EPERM
//# attack: munmap of the constants = A2 EPERM
//# attack: munmap of the table = A2 EPERM
//# attack: mprotect, writable = A2 EPERM
//# attack: mprotect, none = A2 EPERM
//# attack: mprotect of the table = A2 EPERM
//# attack: pkey_mprotect = A2 EPERM
//# attack: mmap over it = A2 EPERM
//# attack: mmap over it, from below = A2 EPERM
//# attack: mmap over the table = A2 EPERM
//# attack: mremap from it = A2 EPERM
//# attack: mremap onto it = A2 EPERM
//# attack: mremap, left mapped = A2 EPERM
//# attack: DONTNEED = A2 EPERM
//# attack: DONTNEED, length 1 = A2 EPERM
//# attack: DONTNEED, advice of 33 bits = A2 EPERM
//# attack: DONTNEED of the table = A2 EPERM
//# attack: FREE = A2 EPERM
//# attack: DONTFORK = A2 EPERM
//# attack: WIPEONFORK = A2 EPERM
//# attack: GUARD_INSTALL = A2 EPERM
//# without MADV_GUARD_INSTALL: GUARD_INSTALL = unknown EINVAL
//# twin: an own page
//# twin: a hint at it
#include "attack.h"

static const struct {
    const char *name;
    long nr, args[6];
} done_to_it[] = {
#define AT(page) ((long)0x7e9000000000 + (page) * 4096)
#define ANONYMOUS MAP_PRIVATE | MAP_ANONYMOUS
    {"munmap", SYS_munmap, {AT(0), 4096}},
    {"munmap, from below", SYS_munmap, {AT(-1), 8192}},
    {"munmap of the constants", SYS_munmap, {AT(1), 4096}},
    {"munmap of the table", SYS_munmap, {AT(2), 8192}},
    {"mprotect, writable", SYS_mprotect, {AT(0), 4096, PROT_READ | PROT_WRITE}},
    {"mprotect, none", SYS_mprotect, {AT(0), 4096, PROT_NONE}},
    {"mprotect of the table", SYS_mprotect, {AT(2), 8192, PROT_READ | PROT_WRITE}},
    {"pkey_mprotect", SYS_pkey_mprotect, {AT(0), 4096, PROT_READ | PROT_WRITE, -1}},
    {"mmap over it", SYS_mmap, {AT(0), 4096, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0}},
    {"mmap over it, from below", SYS_mmap, {AT(-1), 8192, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0}},
    {"mmap over the table", SYS_mmap, {AT(2), 4096, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0}},
    {"mremap from it", SYS_mremap, {AT(0), 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20000000}},
    {"mremap onto it", SYS_mremap, {0x30000000, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, AT(0)}},
    {"mremap, left mapped", SYS_mremap, {AT(0), 4096, 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0}},
    {"DONTNEED", SYS_madvise, {AT(0), 4096, MADV_DONTNEED}},
    {"DONTNEED, length 1", SYS_madvise, {AT(0), 1, MADV_DONTNEED}},
    {"DONTNEED, advice of 33 bits", SYS_madvise, {AT(0), 4096, MADV_DONTNEED | 1L << 32}},
    {"DONTNEED of the table", SYS_madvise, {AT(2), 8192, MADV_DONTNEED}},
    {"FREE", SYS_madvise, {AT(0), 4096, MADV_FREE}},
    {"DONTFORK", SYS_madvise, {AT(0), 4096, MADV_DONTFORK}},
    {"WIPEONFORK", SYS_madvise, {AT(0), 4096, MADV_WIPEONFORK}},
    {"GUARD_INSTALL", SYS_madvise, {AT(0), 4096, 102}},
};

static long do_it(long which) {
    void *source = mmap((void *)0x30000000, 4096, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(source == (void *)0x30000000);
    stand_in();
    const long *args = done_to_it[which].args;
    long result = only_error(call(done_to_it[which].nr, args[0], args[1], args[2], args[3], args[4], args[5]));
    if (result < 0) CHECK(call(SYS_getppid) > 0);
    return result;
}

static long own_page(long unused) {
    char *page = map_pages(1, PROT_READ | PROT_WRITE);
    page[0] = 1;
    CHECK(madvise(page, 4096, MADV_DONTNEED) == 0 && page[0] == 0);
    CHECK(mprotect(page, 4096, PROT_READ) == 0 && munmap(page, 4096) == 0);
    return 0;
}

/// Without MAP_FIXED an address is a wish.
static long hint(long unused) {
    stand_in();
    void *got = mmap(GATE, 4096, PROT_READ, ANONYMOUS, -1, 0);
    return got == MAP_FAILED ? -errno : got == GATE ? -EEXIST : 0;
}

int main(void) {
    for (unsigned i = 0; i < sizeof done_to_it / sizeof *done_to_it; i++) attack(done_to_it[i].name, do_it, i);
    twin("an own page", own_page, 0);
    twin("a hint at it", hint, 0);
    done();
}
