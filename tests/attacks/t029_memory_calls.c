// Calls that reach memory past mmap and mprotect. Where one would do harm, its arguments are such that the
// kernel looks at them and refuses.
//# case: T29, T32, T27, T35
//# title: other calls that change mappings
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: process_madvise of oneself = A2 EPERM
//# without PIDFD_SELF: process_madvise of oneself = unknown EBADF
//# attack: remap_file_pages = A2 EPERM
//# attack: shmget = A2 EPERM
//# attack: shmat = A2 EPERM
//# attack: shmdt = A2 EPERM
//# attack: mbind = A2 EPERM
//# attack: move_pages = A2 EPERM
//# attack: migrate_pages = A2 EPERM
//# attack: memfd_secret = A2 EPERM
//# attack: map_shadow_stack = A2 EPERM
//# attack: process_mrelease = A2 EPERM
//# attack: tagged addresses = A2 EPERM
//# attack: poison a page = A2 EACCES
//# attack: poison a page, advice of 33 bits = A2 EACCES
//# attack: take a page offline = A2 EACCES
//# twin: mincore
#include "attack.h"

static const Asked calls[] = {
    {"remap_file_pages", EINVAL, SYS_remap_file_pages, {1, 0, 1}},
    {"shmget", EINVAL, SYS_shmget, {0, 0, 01000}},
    {"shmat", EINVAL, SYS_shmat, {-1, 0, 040000}},
    {"shmdt", EINVAL, SYS_shmdt, {1}},
    {"mbind", EINVAL, SYS_mbind, {0, 4096, 99}},
    {"move_pages", EINVAL, SYS_move_pages, {0, 1, 0, 0, 0, 99}},
    {"migrate_pages", EFAULT, SYS_migrate_pages, {0, 64, 1, 1}},
    {"memfd_secret", EINVAL, SYS_memfd_secret, {-1}},
    {"map_shadow_stack", EOPNOTSUPP, 453, {0, 4096, 0}},
    {"process_mrelease", EBADF, SYS_process_mrelease, {-1, 0}},
    {"tagged addresses", EINVAL, SYS_arch_prctl, {0x4002, 64}},
    // Not the start of a page: refused before any page is touched.
    {"poison a page", EINVAL, SYS_madvise, {1, 4096, MADV_HWPOISON}},
    {"poison a page, advice of 33 bits", EINVAL, SYS_madvise, {1, 4096, MADV_HWPOISON | 1L << 32}},
    {"take a page offline", EINVAL, SYS_madvise, {1, 4096, 101}},
};

static long discard_own(long unused) {
    char *page = map_pages(1, PROT_READ | PROT_WRITE);
    page[0] = 'Z';
    struct iovec range = {page, 4096};
    long result = call(SYS_process_madvise, -10001 /* PIDFD_SELF_PROCESS */, &range, 1, MADV_DONTNEED, 0);
    return result < 0 ? result : page[0] == 0 ? 0 : -EIO;
}

static long resident(long unused) {
    unsigned char in_core;
    return mincore(map_pages(1, PROT_READ), 4096, &in_core) ? -errno : 0;
}

int main(void) {
    attack("process_madvise of oneself", discard_own, 0);
    attack_each(calls);
    twin("mincore", resident, 0);
    done();
}
