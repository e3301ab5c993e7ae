// Calls by io_uring are none that a filter or the gate sees: a ring opens /proc/self/mem.
//# case: T10, T104
//# title: io_uring makes the calls
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: openat in a ring = A2 EPERM
//# attack: enter = A2 EPERM
//# attack: register = A2 EPERM
//# twin: epoll
#include "attack.h"
#include <linux/io_uring.h>
#include <sys/epoll.h>

static long open_in_ring(long unused) {
    struct io_uring_params params = {0};
    long ring = call(SYS_io_uring_setup, 4, &params);
    if (ring < 0) return ring;
    char *queues = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    CHECK(queues != MAP_FAILED && entry != MAP_FAILED && params.features & IORING_FEAT_SINGLE_MMAP);
    *entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .open_flags = O_RDWR};
    entry->addr = (unsigned long)"/proc/self/mem";
    *(unsigned *)(queues + params.sq_off.array) = 0;
    __atomic_store_n((unsigned *)(queues + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    long entered = call(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
    if (entered < 0) return entered;
    return only_error(((struct io_uring_cqe *)(queues + params.cq_off.cqes))->res);
}

static const Asked others[] = {
    {"enter", EBADF, SYS_io_uring_enter, {-1, 1, 0, 0, 0, 0}},
    {"register", EOPNOTSUPP, SYS_io_uring_register, {1, 1, 0, 0, 0, 0}},
};

static long epoll(long unused) { return epoll_create1(0) < 0 ? -errno : 0; }

int main(void) {
    attack("openat in a ring", open_in_ring, 0);
    attack_each(others);
    twin("epoll", epoll, 0);
    done();
}
