// Calls by which the kernel reads or writes pages later, when nobody looks, or takes programs for packets.
//# case: T105
//# title: pages are lent to the kernel; filters on sockets
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: SO_ZEROCOPY = A2 EPERM
//# attack: SO_ATTACH_FILTER = A2 EPERM
//# attack: MSG_ZEROCOPY = A2 EPERM
//# attack: splice to vmsplice = A2 EPERM
//# attack: a raw socket [root] = A2 EPERM
//# twin: SO_REUSEADDR
#include "attack.h"
#include <linux/filter.h>
#include <sys/socket.h>

static int udp(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0);
    return fd;
}

static long option(long name) {
    static struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
    static const struct sock_fprog filter = {1, all};
    static const int one = 1;
    return name == SO_ATTACH_FILTER ? call(SYS_setsockopt, udp(), SOL_SOCKET, name, &filter, sizeof filter)
                                    : call(SYS_setsockopt, udp(), SOL_SOCKET, name, &one, sizeof one);
}

static long zerocopy(long unused) {
    struct msghdr message = {0};
    long result = call(SYS_sendmsg, udp(), &message, MSG_ZEROCOPY);
    return result == -EDESTADDRREQ ? 0 : result; // it has no peer: that is what the kernel minds
}

static long lend(long unused) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    struct iovec part = {map_pages(1, PROT_READ | PROT_WRITE), 4096};
    return only_error(call(SYS_vmsplice, ends[1], &part, 1, 0));
}

static long raw_socket(long unused) { return only_error(call(SYS_socket, AF_PACKET, SOCK_RAW, 0)); }

int main(void) {
    attack("SO_ZEROCOPY", option, SO_ZEROCOPY);
    attack("SO_ATTACH_FILTER", option, SO_ATTACH_FILTER);
    attack("MSG_ZEROCOPY", zerocopy, 0);
    attack("splice to vmsplice", lend, 0);
    attack("a raw socket", raw_socket, 0);
    twin("SO_REUSEADDR", option, SO_REUSEADDR);
    done();
}
