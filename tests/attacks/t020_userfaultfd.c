// Faults of one page are answered by the program, which so stops whoever reads the page.
//# case: T20, T33
//# title: userfaultfd stops a reader
//# layers: B, U
//# policy: ia2
//# users: root, unprivileged
//# attack: userfaultfd [root] = A2 EPERM
//# attack: USER_MODE_ONLY = A2 EPERM
//# attack: /dev/userfaultfd [root] = A2 EPERM
//# twin: eventfd
#include "attack.h"
#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

static long by_call(long flags) { return only_error(call(SYS_userfaultfd, flags)); }

static long by_device(long unused) {
    long device = call(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR);
    return device < 0 ? device : only_error(call(SYS_ioctl, device, USERFAULTFD_IOC_NEW, 0));
}

static long make_eventfd(long unused) { return eventfd(0, 0) < 0 ? -errno : 0; }

int main(void) {
    attack("userfaultfd", by_call, 0);
    attack("USER_MODE_ONLY", by_call, UFFD_USER_MODE_ONLY);
    attack("/dev/userfaultfd", by_device, 0);
    twin("eventfd", make_eventfd, 0);
    done();
}
