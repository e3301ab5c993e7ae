// Options of prctl and arch_prctl that change what the shim rests on, or what the process is to others.
//# case: T43, T100, T101, T102
//# title: prctl and arch_prctl change the process
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: SET_SYSCALL_USER_DISPATCH = A2 EPERM
//# attack: SET_MM = A2 EPERM
//# attack: SET_TSC = A2 EPERM
//# attack: SET_MDWE = A2 EPERM
//# attack: SET_SECUREBITS [root] = A2 EPERM
//# attack: CAP_AMBIENT = A2 EPERM
//# attack: SET_SPECULATION_CTRL = A2 EPERM
//# attack: SET_MEMORY_MERGE = A2 EPERM
//# without PR_SET_MEMORY_MERGE: SET_MEMORY_MERGE = unknown EINVAL
//# attack: SET_PTRACER = A2 EPERM
//# attack: SET_KEEPCAPS = A2 EPERM
//# attack: CAPBSET_DROP [root] = A2 EPERM
//# attack: SET_DUMPABLE = A2 EPERM
//# attack: SET_PDEATHSIG, SIGSYS = A2 EPERM
//# attack: ARCH_MAP_VDSO_64 = A2 EPERM
//# attack: ARCH_REQ_XCOMP_PERM = A2 EPERM
//# attack: ARCH_SET_FS, then a refused call = A2 EPERM
//# twin: SET_NAME
//# twin: SET_NO_NEW_PRIVS
#include "attack.h"
#include <asm/prctl.h>
#include <sys/prctl.h>

static const Asked calls[] = {
    {"SET_SYSCALL_USER_DISPATCH", 0, SYS_prctl, {59, 0, 0, 0, 0}},
    {"SET_MM", EFAULT, SYS_prctl, {PR_SET_MM, 15 /* PR_SET_MM_MAP_SIZE */, 0, 0, 0}},
    {"SET_TSC", 0, SYS_prctl, {PR_SET_TSC, PR_TSC_ENABLE}},
    {"SET_MDWE", EINVAL, SYS_prctl, {65, 9999, 0, 0, 0}},
    {"SET_SECUREBITS", 0, SYS_prctl, {PR_SET_SECUREBITS, 0}},
    {"CAP_AMBIENT", 0, SYS_prctl, {PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0}},
    {"SET_SPECULATION_CTRL", EINVAL, SYS_prctl, {PR_SET_SPECULATION_CTRL, 0, 0, 0, 1}},
    {"SET_MEMORY_MERGE", 0, SYS_prctl, {67, 0, 0, 0, 0}},
    // Nobody: Yama, if the kernel has it, says so.
    {"SET_PTRACER", EINVAL, SYS_prctl, {0x59616d61, 0x7fffffff}},
    {"SET_KEEPCAPS", 0, SYS_prctl, {PR_SET_KEEPCAPS, 0}},
    {"CAPBSET_DROP", EINVAL, SYS_prctl, {PR_CAPBSET_DROP, 9999}},
    {"SET_DUMPABLE", 0, SYS_prctl, {PR_SET_DUMPABLE, 1}},
    {"SET_PDEATHSIG, SIGSYS", 0, SYS_prctl, {PR_SET_PDEATHSIG, SIGSYS}},
    {"ARCH_MAP_VDSO_64", EEXIST, SYS_arch_prctl, {0x2003, 0}},
    {"ARCH_REQ_XCOMP_PERM", EINVAL, SYS_arch_prctl, {0x1023, 9999}},
};

/// Thread-local storage elsewhere: nothing of the shim's is found by it.
static long turn_fs(long unused) {
    unsigned long before = 0;
    char *other = map_pages(2, PROT_READ | PROT_WRITE);
    CHECK(RAW(SYS_arch_prctl, ARCH_GET_FS, &before) == 0);
    memcpy(other, (void *)before, 64);
    long result = call(SYS_arch_prctl, ARCH_SET_FS, other);
    if (result == 0) result = forbidden();
    call(SYS_arch_prctl, ARCH_SET_FS, before);
    return result;
}

static long name(long unused) { return prctl(PR_SET_NAME, "other", 0, 0, 0) ? -errno : 0; }

static long no_new_privs(long unused) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0; }

int main(void) {
    attack_each(calls);
    attack("ARCH_SET_FS, then a refused call", turn_fs, 0);
    twin("SET_NAME", name, 0);
    twin("SET_NO_NEW_PRIVS", no_new_privs, 0);
    done();
}
