// Commands of ioctl and fcntl: one that types into a terminal, ones that change files, unknown ones; signals from
// descriptors.
//# case: T106, T107
//# title: commands of ioctl and fcntl
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: TIOCSTI = A2 EPERM
//# attack: TIOCLINUX = A2 EPERM
//# attack: FS_IOC_SETFLAGS = A2 EPERM
//# attack: TUNSETIFF = A2 EPERM
//# attack: an unknown command = A2 EPERM
//# attack: F_SETSIG, SIGSYS = A2 EPERM
//# attack: F_NOTIFY = A2 EPERM
//# attack: F_SETOWN to another process = open: the policy lets a program signal others, by kill as well
//# twin: TCGETS
//# twin: FIONREAD
//# twin: F_SETFL
#include "attack.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <termios.h>

static int null, folder, ends[2];

static long on_null(long command) {
    long result = call(SYS_ioctl, null, command, "x");
    return result == -ENOTTY ? 0 : only_error(result); // that it is no terminal is what the kernel minds
}

static long set_signal(long unused) { return only_error(call(SYS_fcntl, ends[0], F_SETSIG, SIGSYS)); }

static long notify(long unused) { return only_error(call(SYS_fcntl, folder, F_NOTIFY, DN_CREATE)); }

static long own(long unused) { return only_error(call(SYS_fcntl, ends[0], F_SETOWN, getppid())); }

static long ready(long unused) {
    int bytes;
    return ioctl(ends[0], FIONREAD, &bytes) ? -errno : 0;
}

static long nonblocking(long unused) { return fcntl(ends[0], F_SETFL, O_NONBLOCK) ? -errno : 0; }

int main(void) {
    CHECK((null = open("/dev/null", O_RDWR)) >= 0 && (folder = open("/tmp", O_RDONLY)) >= 0 && pipe(ends) == 0);
    attack("TIOCSTI", on_null, TIOCSTI);
    attack("TIOCLINUX", on_null, TIOCLINUX);
    attack("FS_IOC_SETFLAGS", on_null, FS_IOC_SETFLAGS);
    attack("TUNSETIFF", on_null, 0x400454ca);
    attack("an unknown command", on_null, 0x1234);
    attack("F_SETSIG, SIGSYS", set_signal, 0);
    attack("F_NOTIFY", notify, 0);
    attack("F_SETOWN to another process", own, 0);
    twin("TCGETS", on_null, TCGETS);
    twin("FIONREAD", ready, 0);
    twin("F_SETFL", nonblocking, 0);
    done();
}
