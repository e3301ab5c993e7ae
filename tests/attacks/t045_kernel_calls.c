// Calls by which a program sees into the kernel, changes it, or changes the machine. All are made with arguments
// at which the kernel fails before anything happens.
//# case: T45, T95, T96, T103, T105
//# title: calls that look into the kernel or change the machine
//# layers: B
//# policy: ia2
//# users: root
//# attack: bpf = A2 EPERM
//# attack: kcmp = A2 EPERM
//# attack: perf_event_open = A2 EPERM
//# attack: add_key = A2 EPERM
//# attack: keyctl = A2 EPERM
//# attack: finit_module = A2 EPERM
//# attack: delete_module = A2 EPERM
//# attack: setuid = A2 EPERM
//# attack: setresuid = A2 EPERM
//# attack: setgroups = A2 EPERM
//# attack: capset = A2 EPERM
//# attack: setns = A2 EPERM
//# attack: chroot = A2 EPERM
//# attack: pivot_root = A2 EPERM
//# attack: mount = A2 EPERM
//# attack: umount2 = A2 EPERM
//# attack: move_mount = A2 EPERM
//# attack: open_tree = A2 EPERM
//# attack: mount_setattr = A2 EPERM
//# attack: modify_ldt = A2 EPERM
//# attack: iopl = A2 EPERM
//# attack: ioperm = A2 EPERM
//# attack: io_setup = A2 EPERM
//# attack: vmsplice = A2 EPERM
//# attack: mknod = A2 EPERM
//# attack: settimeofday = A2 EPERM
//# attack: clock_settime = A2 EPERM
//# attack: sethostname = A2 EPERM
//# attack: acct = A2 EPERM
//# attack: fanotify_init = A2 EPERM
//# twin: times, names, users
//# note: kexec_load, reboot, swapon and init_module are not made, not even with bad arguments; `policy` judges their numbers
#include "attack.h"

static const char nowhere[] = "/nowhere/at/all";

static const Asked calls[] = {
    {"bpf", EINVAL, SYS_bpf, {9999, 0, 0}},
    {"kcmp", ESRCH, SYS_kcmp, {0x3fffffff, 0x3fffffff, 0}},
    {"perf_event_open", EFAULT, SYS_perf_event_open, {0, 0, -1, -1, 0}},
    {"add_key", EFAULT, SYS_add_key, {0, 0, 0, 0, 0}},
    {"keyctl", EOPNOTSUPP, SYS_keyctl, {9999}},
    {"finit_module", EINVAL, SYS_finit_module, {-1, 0, 9999}},
    {"delete_module", EFAULT, SYS_delete_module, {0, 0}},
    {"setuid", EINVAL, SYS_setuid, {-1}},
    {"setresuid", 0, SYS_setresuid, {-1, -1, -1}},
    {"setgroups", EINVAL, SYS_setgroups, {99999999, 0}},
    {"capset", EFAULT, SYS_capset, {0, 0}},
    {"setns", EBADF, SYS_setns, {-1, 0}},
    {"chroot", ENOENT, SYS_chroot, {(long)nowhere}},
    {"pivot_root", ENOENT, SYS_pivot_root, {(long)nowhere, (long)nowhere}},
    {"mount", ENOENT, SYS_mount, {0, (long)nowhere, 0, 0, 0}},
    {"umount2", EINVAL, SYS_umount2, {(long)nowhere, 9999}},
    {"move_mount", EINVAL, SYS_move_mount, {-1, (long)nowhere, -1, (long)nowhere, -1}},
    {"open_tree", EINVAL, SYS_open_tree, {-1, (long)nowhere, 9999}},
    {"mount_setattr", EINVAL, SYS_mount_setattr, {-1, (long)nowhere, -1, 0, 0}},
    {"modify_ldt", 0, SYS_modify_ldt, {0, 0, 0}},
    {"iopl", EINVAL, SYS_iopl, {9}},
    {"ioperm", EINVAL, SYS_ioperm, {9, 0, 0}},
    {"io_setup", EFAULT, SYS_io_setup, {1, 0}},
    {"vmsplice", EBADF, SYS_vmsplice, {-1, 0, 0, 0}},
    {"mknod", EINVAL, SYS_mknod, {(long)nowhere, 0170000, 0}},
    {"settimeofday", EFAULT, SYS_settimeofday, {1, 0}},
    {"clock_settime", EINVAL, SYS_clock_settime, {9999, 0}},
    {"sethostname", EINVAL, SYS_sethostname, {0, -1}},
    {"acct", ENOENT, SYS_acct, {(long)nowhere}},
    {"fanotify_init", EINVAL, SYS_fanotify_init, {-1, 0}},
};

static long ask_names(long unused) {
    char name[300];
    struct timespec now;
    CHECK(gethostname(name, sizeof name) == 0 && clock_gettime(CLOCK_REALTIME, &now) == 0 && getuid() == geteuid());
    return 0;
}

int main(void) {
    attack_each(calls);
    twin("times, names, users", ask_names, 0);
    done();
}
