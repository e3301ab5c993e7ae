// A child opens its parent's memory and sends the descriptor over a socket.
//# case: T12
//# title: a descriptor of /proc/<pid>/mem is received
//# layers: U
//# policy: ia2
//# users: root, unprivileged
//# attack: memory of the receiver = A1 EACCES
//# twin: a file's descriptor
#include "attack.h"
#include <sys/socket.h>

typedef union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
} Control;

static void send_descriptor(int to, int fd) {
    Control control = {.header = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK(sendmsg(to, &message, 0) == 1);
}

static long receive(long from_memory) {
    int ends[2], fd;
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    char path[64] = "/dev/null";
    if (from_memory) sprintf(path, "/proc/%d/mem", getpid());
    pid_t child = fork();
    if (child == 0) {
        long opened = call(SYS_openat, AT_FDCWD, path, O_RDWR);
        manner = CALL;
        if (opened >= 0) send_descriptor(ends[1], (int)opened);
        _exit(opened < 0 ? (int)-opened : 0);
    }
    int code = ended(child);
    if (code) return -code;
    Control control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    long got = call(SYS_recvmsg, ends[0], &message, 0);
    if (got < 0) return got;
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    byte = 1;
    if (from_memory) return pwrite(fd, "\2", 1, (long)&byte) == 1 && *(volatile char *)&byte == 2 ? 0 : -EIO;
    return write(fd, "x", 1) == 1 ? 0 : -errno;
}

int main(void) {
    attack("memory of the receiver", receive, 1);
    twin("a file's descriptor", receive, 0);
    done();
}
