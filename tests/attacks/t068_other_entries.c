// Calls by the 32-bit entries, by x32 numbers, and with numbers and arguments whose upper halves the kernel does
// not look at.
//# case: T64, T68, T69, T72, T73
//# title: a refused call by another entry, or with odd upper halves
//# layers: B, U
//# policy: ia2
//# users: root, unprivileged
//# attack: int 0x80 = A2 ENOSYS
//# attack: int 0x80, madvise of 32 bits = A2 ENOSYS
//# attack: upper half of the number = A2 EPERM
//# attack: upper half of the number, and sign = A2 EPERM
//# attack: upper half of prctl's option = A2 EPERM
//# attack: upper half of ioctl's command = A2 EPERM
//# attack: upper half of kill's signal = A2 EPERM
//# attack: upper half of unshare's flags = A2 EPERM
//# attack: x32 = A2 ENOSYS
//# twin: upper half of getppid's number
//# note: sysenter and a far jump to 32-bit code end in the same test of the architecture; a kernel without x32 says ENOSYS to that attack by itself
#include "attack.h"
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

static long by_int80(long nr, long a, long b, long c) {
    long result;
    asm volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}

static long int80(long unused) { return only_error(by_int80(139 /* setfsuid */, -1, 0, 0)); }

static long int80_madvise(long unused) {
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(page != MAP_FAILED);
    page[0] = 'Z';
    long result = by_int80(219, (long)page, 4096, MADV_DONTNEED);
    return result < 0 ? result : page[0] == 0 ? 0 : -EIO;
}

static long number(long upper) { return only_error(call(SYS_setfsuid | upper, -1)); }

static long prctl_option(long unused) {
    return only_error(call(SYS_prctl, 1L << 32 | PR_SET_TSC, PR_TSC_ENABLE));
}

static long ioctl_command(long unused) {
    int fd;
    CHECK((fd = open("/dev/null", O_RDONLY)) >= 0);
    long result = call(SYS_ioctl, fd, 1L << 32 | TIOCSTI, "x");
    return result == -ENOTTY ? 0 : only_error(result);
}

static long kill_signal(long unused) {
    handle(SIGSYS, SIG_IGN, 0);
    return only_error(call(SYS_kill, getpid(), 1L << 32 | SIGSYS));
}

static long unshare_flags(long unused) {
    long result = call(SYS_unshare, 1L << 32 | CLONE_NEWUSER);
    return result == -EINVAL ? 0 : result; // the kernel does look at the upper half of this one
}

static long x32(long unused) {
    long result = call(0x40000000 | SYS_setfsuid, -1);
    return result == -ENOSYS && !under_shim ? 0 : only_error(result);
}

static long parent(long unused) { return RAW(SYS_getppid | 7L << 32) == getppid() ? 0 : -EIO; }

int main(void) {
    attack("int 0x80", int80, 0);
    attack("int 0x80, madvise of 32 bits", int80_madvise, 0);
    attack("upper half of the number", number, 1L << 32);
    attack("upper half of the number, and sign", number, ~0xffffffffL);
    attack("upper half of prctl's option", prctl_option, 0);
    attack("upper half of ioctl's command", ioctl_command, 0);
    attack("upper half of kill's signal", kill_signal, 0);
    attack("upper half of unshare's flags", unshare_flags, 0);
    attack("x32", x32, 0);
    twin("upper half of getppid's number", parent, 0);
    done();
}
