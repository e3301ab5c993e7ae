// Every call that blocks, under a storm of signals with changing handlers, while another thread does
// what ends the wait.
//#Rounds: 1200 30000
#include "storm.h"
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>

static char folder[] = "stress-XXXXXX", fifo_path[64], file_path[64];

// --- streams: all bytes arrive, in order --------------------------------------------------------

static uint8_t byte_at(long position) { return position * 131 + (position >> 8) * 17; }

static void feed_bytes(long fd, long from, long count) {
    uint8_t bytes[4096];
    while (count > 0) {
        long part = count < 4096 ? count : 4096;
        for (long i = 0; i < part; i++) bytes[i] = byte_at(from + i);
        long wrote = write(fd, bytes, part);
        CHECK(wrote > 0);
        from += wrote, count -= wrote;
    }
}

static void eat_bytes(long fd, long from, long count) {
    uint8_t bytes[4096];
    while (count > 0) {
        long got = read(fd, bytes, count < 4096 ? count : 4096);
        CHECK(got > 0);
        for (long i = 0; i < got; i++) CHECK(bytes[i] == byte_at(from + i));
        from += got, count -= got;
    }
}

struct stream {
    const char *name;
    int in, out, is_socket;
    long position, most;
};
static struct stream streams[4];

static void streams_open(void) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    streams[0] = (struct stream){"pipe", ends[0], ends[1], 0, 0, 200000};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    streams[1] = (struct stream){"socket", ends[0], ends[1], 1, 0, 400000};
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64];
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    CHECK(ptsname_r(master, name, sizeof name) == 0);
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios settings;
    CHECK(slave >= 0 && tcgetattr(slave, &settings) == 0);
    cfmakeraw(&settings);
    CHECK(tcsetattr(slave, TCSANOW, &settings) == 0);
    streams[2] = (struct stream){"terminal", slave, master, 0, 0, 8000};
    streams[3] = (struct stream){"terminal's other side", master, slave, 0, 0, 8000};
}

static void reading(void) {
    static uint8_t bytes[20000];
    struct stream *stream = &streams[below(&plan, 4)];
    long count = 1 + below(&plan, once_in(&plan, 3) ? stream->most : 100), left = count;
    later(feed_bytes, stream->out, stream->position, count);
    while (left > 0) {
        long most = 1 + below(&plan, sizeof bytes), got;
        if (most > left) most = left;
        struct iovec parts[2] = {{bytes, most / 3}, {bytes + most / 3, most - most / 3}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        struct mmsghdr messages[1] = {{.msg_hdr = message}};
        int fd = stream->in;
        doing = stream->name;
        switch (below(&plan, stream->is_socket ? 6 : 3)) {
        case 0: got = CALL(1, SYS_read, fd, bytes, most); break;
        case 1: got = CALL(1, SYS_readv, fd, parts, 2); break;
        case 2: got = CALL(1, SYS_preadv2, fd, parts, 2, -1, -1, 0); break;
        case 3: got = CALL(1, SYS_recvfrom, fd, bytes, most); break;
        case 4: got = CALL(1, SYS_recvmsg, fd, &message, 0); break;
        default:
            got = CALL(1, SYS_recvmmsg, fd, messages, 1, 0, 0);
            CHECK(got == 1);
            got = messages[0].msg_len;
        }
        NEED(got > 0 && got <= most, "%s: read %ld of %ld", doing, got, most);
        for (long i = 0; i < got; i++)
            NEED(bytes[i] == byte_at(stream->position + i), "%s: another byte at %ld", doing, i);
        stream->position += got, left -= got;
    }
    settled();
    note(count);
}

static void writing(void) {
    static uint8_t bytes[20000];
    struct stream *stream = &streams[below(&plan, 4)];
    long count = 1 + below(&plan, stream->most), left = count;
    later(eat_bytes, stream->in, stream->position, count);
    while (left > 0) {
        long most = 1 + below(&plan, sizeof bytes), put;
        if (most > left) most = left;
        for (long i = 0; i < most; i++) bytes[i] = byte_at(stream->position + i);
        struct iovec parts[2] = {{bytes, most / 3}, {bytes + most / 3, most - most / 3}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        struct mmsghdr messages[1] = {{.msg_hdr = message}};
        int fd = stream->out;
        doing = stream->name;
        switch (below(&plan, stream->is_socket ? 6 : 3)) {
        case 0: put = CALL(1, SYS_write, fd, bytes, most); break;
        case 1: put = CALL(1, SYS_writev, fd, parts, 2); break;
        case 2: put = CALL(1, SYS_pwritev2, fd, parts, 2, -1, -1, 0); break;
        case 3: put = CALL(1, SYS_sendto, fd, bytes, most); break;
        case 4: put = CALL(1, SYS_sendmsg, fd, &message, 0); break;
        default:
            put = CALL(1, SYS_sendmmsg, fd, messages, 1, 0);
            CHECK(put == 1);
            put = messages[0].msg_len;
        }
        NEED(put > 0 && put <= most, "%s: wrote %ld of %ld", doing, put, most);
        stream->position += put, left -= put;
    }
    settled();
    note(count);
}

static int file;
#define FILE_SIZE 300000

static void sending_files(void) {
    doing = "sendfile";
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    later(eat_bytes, ends[0], 0, FILE_SIZE);
    off_t offset = 0;
    while (offset < FILE_SIZE) {
        off_t before = offset;
        long put = CALL(1, SYS_sendfile, ends[1], file, &offset, FILE_SIZE - offset);
        CHECK(put > 0 && offset == before + put);
    }
    settled();
    close(ends[0]), close(ends[1]);
}

static void splicing(void) {
    int from[2], to[2];
    CHECK(pipe2(from, O_CLOEXEC) == 0 && pipe2(to, O_CLOEXEC) == 0);
    long count = 1 + below(&plan, 60000), got = 0;
    later(feed_bytes, from[1], 0, count);
    while (got < count) {
        doing = "splice";
        long moved = CALL(1, SYS_splice, from[0], 0, to[1], 0, count - got, 0);
        NEED(moved > 0, "splice: %ld", moved);
        got += moved;
    }
    eat_bytes(to[0], 0, 0);
    uint8_t bytes[4096];
    for (long at = 0; at < count;) {
        long n = CALL(1, SYS_read, to[0], bytes, sizeof bytes);
        CHECK(n > 0);
        for (long i = 0; i < n; i++) CHECK(bytes[i] == byte_at(at + i));
        at += n;
    }
    settled();
    for (int i = 0; i < 2; i++) close(from[i]), close(to[i]);
}

// --- descriptors that count ---------------------------------------------------------------------

static void put_word(long fd, long value, long unused) {
    (void)unused;
    CHECK(write(fd, &value, 8) == 8);
}
static void get_word(long fd, long wanted, long unused) {
    (void)unused;
    long value = 0;
    CHECK(read(fd, &value, 8) == 8 && value == wanted);
}

static void event_reading(void) {
    doing = "read of an eventfd";
    int fd = eventfd(0, EFD_CLOEXEC);
    long value = 0, wanted = 1 + below(&plan, 1000);
    later(put_word, fd, wanted, 0);
    CHECK(CALL(1, SYS_read, fd, &value, 8) == 8 && value == wanted);
    settled();
    close(fd);
}

static void event_writing(void) {
    doing = "write to an eventfd";
    int fd = eventfd(0, EFD_CLOEXEC);
    long value = -2, more = 1 + below(&plan, 1000), left = 0;
    CHECK(write(fd, &value, 8) == 8);
    later(get_word, fd, value, 0);
    CHECK(CALL(1, SYS_write, fd, &more, 8) == 8);
    settled();
    CHECK(read(fd, &left, 8) == 8 && left == more);
    close(fd);
}

static void timer_reading(void) {
    doing = "read of a timerfd";
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    long delay = 1000 * (1 + below(&plan, 2000)), count = 0;
    struct itimerspec time = {{0, 0}, {0, delay}};
    int64_t begin = now();
    CHECK(timerfd_settime(fd, 0, &time, 0) == 0);
    CHECK(CALL(1, SYS_read, fd, &count, 8) == 8 && count == 1 && now() - begin >= delay);
    close(fd);
}

static void queue_value(long value, long unused, long unused_too) {
    (void)unused, (void)unused_too;
    CHECK(queue_signal(target_tid, FOR_FETCHING, value) == 0);
}

static void signal_reading(void) {
    doing = "read of a signalfd";
    uint64_t set = bit(FOR_FETCHING);
    int fd = syscall(SYS_signalfd4, -1, &set, 8, O_CLOEXEC);
    CHECK(fd >= 0);
    long value = below(&plan, 100000);
    struct signalfd_siginfo info;
    later(queue_value, value, 0, 0);
    CHECK(CALL(1, SYS_read, fd, &info, sizeof info) == sizeof info);
    CHECK(info.ssi_signo == (unsigned)FOR_FETCHING && info.ssi_ptr == (uint64_t)value);
    settled();
    close(fd);
}

static void touch(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    int fd = open(file_path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && close(fd) == 0);
}

static void watch_reading(void) {
    doing = "read of an inotify descriptor";
    int fd = inotify_init1(IN_CLOEXEC);
    CHECK(inotify_add_watch(fd, file_path, IN_CLOSE_WRITE) >= 0);
    char events[4096];
    later(touch, 0, 0, 0);
    CHECK(CALL(1, SYS_read, fd, events, sizeof events) >= (long)sizeof(struct inotify_event));
    CHECK(((struct inotify_event *)events)->mask == IN_CLOSE_WRITE);
    settled();
    close(fd);
}

// --- waiting for descriptors --------------------------------------------------------------------

static void put_byte(long fd, long unused, long unused_too) {
    (void)unused, (void)unused_too;
    CHECK(write(fd, "x", 1) == 1);
}

static void polling(void) {
    static int ends[2], set = -1;
    if (set < 0) {
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        set = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1234};
        CHECK(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) == 0);
    }
    static const char *const names[] = {"poll", "ppoll", "select", "pselect6", "epoll_wait",
                                        "epoll_pwait", "epoll_pwait2"};
    int kind = below(&plan, 7);
    int64_t limit = once_in(&plan, 2) ? -1 : (int64_t)below(&plan, 4) * 1000000;
    int with_mask = kind % 2 == 1 || kind == 6 ? !once_in(&plan, 3) : 0;
    uint64_t mask = once_in(&plan, 2) ? 0 : next_of(&plan) & ~bit(SIGKILL) & ~bit(SIGSTOP);
    mask |= bit(FOR_FETCHING) | bit(ONLY_IN_WAITS);
    doing = names[kind];
    later(put_byte, ends[1], 0, 0);
    wait_mask = mask;
    has_wait_mask = with_mask;
    int64_t begin = now();
    long result;
    for (;;) {
        struct pollfd fd = {ends[0], POLLIN, 0};
        struct timespec time = span(limit < 0 ? 0 : limit);
        struct timeval small = {0, limit / 1000};
        struct epoll_event event = {0};
        fd_set fds;
        FD_ZERO(&fds);
        FD_SET(ends[0], &fds);
        uint64_t boxed[2] = {with_mask ? (uint64_t)&mask : 0, 8};
        uint64_t *masked = with_mask ? &mask : 0;
        void *spec = limit < 0 ? 0 : &time;
        switch (kind) {
        case 0: result = CALL_ONCE(0, SYS_poll, &fd, 1, limit < 0 ? -1 : limit / 1000000); break;
        case 1: result = CALL_ONCE(0, SYS_ppoll, &fd, 1, spec, masked, 8); break;
        case 2: result = CALL_ONCE(0, SYS_select, ends[0] + 1, &fds, 0, 0, limit < 0 ? 0 : &small); break;
        case 3: result = CALL_ONCE(0, SYS_pselect6, ends[0] + 1, &fds, 0, 0, spec, boxed); break;
        case 4: result = CALL_ONCE(0, SYS_epoll_wait, set, &event, 1, limit < 0 ? -1 : limit / 1000000); break;
        case 5: result = CALL_ONCE(0, SYS_epoll_pwait, set, &event, 1, limit < 0 ? -1 : limit / 1000000, masked, 8); break;
        default: result = CALL_ONCE(0, SYS_epoll_pwait2, set, &event, 1, spec, masked, 8);
        }
        NEED(mask_in_force() == base_mask, "%s: the mask is not put back", doing);
        if (result == -EINTR) continue;
        if (result == 0) {
            NEED(limit >= 0 && now() - begin >= limit, "%s: ready too early", doing);
            limit = -1; // the byte will come
            begin = now();
            continue;
        }
        NEED(result == 1, "%s: %ld", doing, result);
        if (kind < 2) CHECK(fd.revents == POLLIN);
        if (kind == 2 || kind == 3) CHECK(FD_ISSET(ends[0], &fds));
        if (kind > 3) CHECK(event.events == EPOLLIN && event.data.u64 == 1234);
        break;
    }
    has_wait_mask = 0;
    char byte;
    CHECK(CALL(1, SYS_read, ends[0], &byte, 1) == 1);
    settled();
    note(kind);
}

/// As in linux/aio_abi.h, which musl does not have.
struct control {
    uint64_t data;
    uint32_t key, flags;
    uint16_t code, priority;
    uint32_t fd;
    uint64_t buffer, length, offset, reserved;
    uint32_t more_flags, result_fd;
};
struct gathered {
    uint64_t data, control;
    int64_t res, res2;
};
#define CODE_POLL 5

static void gathering(void) {
    doing = "io_getevents";
    static unsigned long context;
    if (!context && syscall(SYS_io_setup, 8, &context) < 0) return; // a kernel without
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    struct control control = {.fd = ends[0], .code = CODE_POLL, .buffer = POLLIN};
    struct control *list[1] = {&control};
    struct gathered event;
    long got = CALL(0, SYS_io_submit, context, 1, list);
    NEED(got == 1, "io_submit: %ld", got);
    later(put_byte, ends[1], 0, 0);
    uint64_t mask = base_mask | (next_of(&plan) & ~bit(SIGKILL) & ~bit(SIGSTOP));
    uint64_t boxed[2] = {(uint64_t)&mask, 8};
    if (once_in(&plan, 2)) {
        got = CALL(0, SYS_io_getevents, context, 1, 1, &event, 0);
    } else {
        doing = "io_pgetevents";
        wait_mask = mask, has_wait_mask = 1;
        got = CALL(0, SYS_io_pgetevents, context, 1, 1, &event, 0, boxed);
        has_wait_mask = 0;
        CHECK(mask_in_force() == base_mask);
    }
    NEED(got == 1 && event.res & POLLIN, "%s: %ld", doing, got);
    settled();
    close(ends[0]), close(ends[1]);
}

// --- memory, time, signals, children ------------------------------------------------------------

static int futex_word;
static void wake_word(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    __atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &futex_word, FUTEX_WAKE, 1, 0, 0, 0);
}

static void futex_waiting(void) {
    futex_word = 0;
    int kind = below(&plan, 4);
    int64_t limit = kind == 0 ? -1 : (int64_t)below(&plan, 3000) * 1000, begin = now();
    later(wake_word, 0, 0, 0);
    doing = "futex";
    while (__atomic_load_n(&futex_word, __ATOMIC_SEQ_CST) == 0) {
        struct timespec time = span(limit), end = span(begin + limit);
        long result;
        if (kind == 0) result = CALL_ONCE(1, SYS_futex, &futex_word, FUTEX_WAIT, 0, 0);
        else if (kind == 1) result = CALL_ONCE(0, SYS_futex, &futex_word, FUTEX_WAIT, 0, &time);
        else result = CALL_ONCE(0, SYS_futex, &futex_word, FUTEX_WAIT_BITSET, 0, &end, 0, -1);
        NEED(result == 0 || result == -EAGAIN || result == -EINTR || (kind && result == -ETIMEDOUT),
             "futex: %ld", result);
        if (result == -ETIMEDOUT) {
            NEED(now() - begin >= limit, "futex: ready too early");
            kind = 0;
        }
    }
    settled();
}

static int pi_word, pi_held;
static void hold_pi(long delay, long unused, long unused_two) {
    (void)unused, (void)unused_two;
    CHECK(syscall(SYS_futex, &pi_word, FUTEX_LOCK_PI, 0, 0, 0, 0) == 0);
    __atomic_store_n(&pi_held, 1, __ATOMIC_SEQ_CST);
    struct timespec pause = span(delay);
    nanosleep(&pause, 0);
    CHECK(syscall(SYS_futex, &pi_word, FUTEX_UNLOCK_PI, 0, 0, 0, 0) == 0);
}

static void lock_waiting(void) {
    doing = "FUTEX_LOCK_PI";
    pi_word = pi_held = 0;
    later(hold_pi, 1000 * below(&plan, 2000), 0, 0);
    while (!__atomic_load_n(&pi_held, __ATOMIC_SEQ_CST)) CALL(2, SYS_sched_yield, 0);
    CHECK(CALL(2, SYS_futex, &pi_word, FUTEX_LOCK_PI, 0, 0) == 0);
    CHECK((pi_word & FUTEX_TID_MASK) == target_tid);
    settled();
    CHECK(CALL(2, SYS_futex, &pi_word, FUTEX_UNLOCK_PI, 0, 0) == 0);
}

static void sleeping(void) {
    int kind = below(&plan, 3);
    int64_t whole = 1000 * below(&plan, 2500), begin = now();
    struct timespec time = span(kind == 2 ? begin + whole : whole), left;
    doing = kind == 0 ? "nanosleep" : "clock_nanosleep";
    for (;;) {
        left = (struct timespec){-1, -1};
        long result = kind == 0   ? CALL_ONCE(0, SYS_nanosleep, &time, &left)
                      : kind == 1 ? CALL_ONCE(0, SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, &left)
                                  : CALL_ONCE(0, SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, &left);
        if (result == 0) break;
        NEED(result == -EINTR, "%s: %ld", doing, result);
        if (kind == 2) {
            CHECK(left.tv_sec == -1 && left.tv_nsec == -1); // not written
        } else {
            // The kernel counts the timer slack, which is 1 ns here, as time that is left.
            int64_t rest = left.tv_sec * 1000000000 + left.tv_nsec;
            NEED(rest >= 0 && rest <= time.tv_sec * 1000000000 + time.tv_nsec + 1,
                 "%s: more time left than there was", doing);
            time = left;
        }
    }
    NEED(now() - begin >= whole, "%s: too short", doing);
}

static void suspending(void) {
    doing = "rt_sigsuspend";
    uint64_t mask = bit(FOR_FETCHING);
    if (once_in(&plan, 2)) mask |= next_of(&plan) & ~bit(ONLY_IN_WAITS) & ~bit(SIGKILL) & ~bit(SIGSTOP);
    long wanted = waits_ended + 1;
    extern void end_wait(long, long, long);
    later(end_wait, 0, 0, 0);
    wait_mask = mask, has_wait_mask = 1;
    while (waits_ended < wanted) {
        long count = all_handled, result = RAW(SYS_rt_sigsuspend, &mask, 8);
        NEED(result == -EINTR && all_handled != count, "rt_sigsuspend: %ld", result);
        NEED(mask_in_force() == base_mask, "rt_sigsuspend: the mask is not put back");
    }
    has_wait_mask = 0;
    settled();
}
void end_wait(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    CHECK(queue_signal(target_tid, ONLY_IN_WAITS, 0) == 0);
}

static volatile int pausing_over;
static void poke(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    while (!pausing_over) {
        CHECK(syscall(SYS_tgkill, storm_pid, target_tid, SIGUSR1) == 0);
        struct timespec pause = span(300000);
        nanosleep(&pause, 0);
    }
}

static void pausing(void) {
    doing = "pause";
    pausing_over = 0;
    later(poke, 0, 0, 0);
    for (int times = 0; times < 3; times++) {
        long count = all_handled;
        CHECK(RAW(SYS_pause) == -EINTR && all_handled != count);
    }
    pausing_over = 1;
    settled();
}

static void fetching(void) {
    doing = "rt_sigtimedwait";
    uint64_t set = bit(FOR_FETCHING);
    long value = below(&plan, 1000000), result;
    int64_t limit = once_in(&plan, 2) ? -1 : (int64_t)below(&plan, 2000) * 1000, begin = now();
    siginfo_t info;
    later(queue_value, value, 0, 0);
    for (;;) {
        struct timespec time = span(limit);
        result = CALL_ONCE(0, SYS_rt_sigtimedwait, &set, &info, limit < 0 ? 0 : &time, 8);
        if (result == -EINTR) continue;
        if (result != -EAGAIN) break;
        NEED(limit >= 0 && now() - begin >= limit, "rt_sigtimedwait: ready too early");
        limit = -1;
    }
    NEED(result == FOR_FETCHING, "rt_sigtimedwait: %ld", result);
    CHECK(info.si_signo == FOR_FETCHING && (long)info.si_value.sival_ptr == value && info.si_code == SI_QUEUE);
    settled();
}

static void child_waiting(void) {
    int code = below(&plan, 200), status = 0;
    struct timespec pause = span(1000 * below(&plan, 1500));
    doing = "fork";
    long pid = CALL(2, SYS_fork, 0);
    if (pid == 0) {
        RAW(SYS_nanosleep, &pause, 0);
        RAW(SYS_exit_group, code);
    }
    NEED(pid > 0, "fork: %ld", pid);
    if (once_in(&plan, 2)) {
        doing = "wait4";
        CHECK(CALL(1, SYS_wait4, pid, &status, 0, 0) == pid);
        NEED(WIFEXITED(status) && WEXITSTATUS(status) == code, "wait4: status %x", status);
    } else {
        doing = "waitid";
        siginfo_t info;
        CHECK(CALL(1, SYS_waitid, P_PID, pid, &info, WEXITED, 0) == 0);
        CHECK(info.si_pid == pid && info.si_status == code && info.si_code == CLD_EXITED);
    }
}

static void *short_thread(void *argument) {
    return (void *)((long)argument + (RAW(SYS_getpid) == storm_pid));
}

static void thread_joining(void) {
    doing = "pthread_join";
    pthread_t thread;
    void *result;
    uint64_t all = ~0ul;
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8) == 0); // the queue is one thread's
    CHECK(pthread_create(&thread, 0, short_thread, (void *)41) == 0);
    CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &base_mask, 0, 8) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == (void *)42);
}

// --- locks, queues, connections -----------------------------------------------------------------

static void unlock(long fd, long kind, long unused) {
    (void)unused;
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    CHECK(kind == 0 ? flock(fd, LOCK_UN) == 0 : fcntl(fd, F_OFD_SETLK, &lock) == 0);
}

static void file_locking(void) {
    int kind = below(&plan, 2);
    int one = open(file_path, O_RDWR | O_CLOEXEC), two = open(file_path, O_RDWR | O_CLOEXEC);
    CHECK(one >= 0 && two >= 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    doing = kind ? "fcntl F_OFD_SETLKW" : "flock";
    CHECK(kind == 0 ? flock(one, LOCK_EX) == 0 : fcntl(one, F_OFD_SETLK, &lock) == 0);
    later(unlock, one, kind, 0);
    long result = kind == 0 ? CALL(1, SYS_flock, two, LOCK_EX) : CALL(1, SYS_fcntl, two, F_OFD_SETLKW, &lock);
    NEED(result == 0, "%s: %ld", doing, result);
    settled();
    close(one), close(two);
}

static int messages, semaphores;
struct message {
    long kind;
    char text[5000];
};
static void send_message(long length, long unused, long unused_too) {
    (void)unused, (void)unused_too;
    static struct message message = {1, "text"};
    CHECK(msgsnd(messages, &message, length, 0) == 0);
}
static void take_message(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    static struct message message;
    CHECK(msgrcv(messages, &message, sizeof message.text, 0, 0) > 0);
}

static void message_receiving(void) {
    static struct message message;
    if (messages < 0) return;
    doing = "msgrcv";
    long length = 1 + below(&plan, 5000);
    later(send_message, length, 0, 0);
    CHECK(CALL(0, SYS_msgrcv, messages, &message, sizeof message.text, 0, 0) == length);
    settled();
}

static void message_sending(void) {
    static struct message message = {1, "more"};
    if (messages < 0) return;
    doing = "msgsnd";
    int count = 0;
    while (msgsnd(messages, &message, 5000, IPC_NOWAIT) == 0) count++;
    later(take_message, 0, 0, 0);
    CHECK(CALL(0, SYS_msgsnd, messages, &message, 5000, 0) == 0);
    settled();
    for (; count > 0; count--) CHECK(CALL(0, SYS_msgrcv, messages, &message, 5000, 0, 0) == 5000);
}

static void raise_semaphore(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    struct sembuf up = {0, 1, 0};
    CHECK(semop(semaphores, &up, 1) == 0);
}

static void semaphore_taking(void) {
    if (semaphores < 0) return;
    struct sembuf down = {0, -1, 0};
    later(raise_semaphore, 0, 0, 0);
    doing = "semop";
    if (once_in(&plan, 2)) {
        CHECK(CALL(0, SYS_semop, semaphores, &down, 1) == 0);
    } else {
        struct timespec time = {100, 0};
        doing = "semtimedop";
        CHECK(CALL(0, SYS_semtimedop, semaphores, &down, 1, &time) == 0);
    }
    settled();
    CHECK(semctl(semaphores, 0, GETVAL) == 0);
}

static int queue = -1;
static void send_to_queue(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    CHECK(syscall(SYS_mq_timedsend, queue, "0123456", 7, 3, 0) == 0);
}

static void queue_receiving(void) {
    if (queue < 0) return;
    doing = "mq_timedreceive";
    char text[64];
    unsigned priority = 0;
    struct timespec end;
    CHECK(clock_gettime(CLOCK_REALTIME, &end) == 0);
    end.tv_sec += 1000;
    later(send_to_queue, 0, 0, 0);
    CHECK(CALL(1, SYS_mq_timedreceive, queue, text, 64, &priority, once_in(&plan, 2) ? 0 : &end) == 7);
    CHECK(priority == 3 && memcmp(text, "0123456", 7) == 0);
    settled();
}

static struct sockaddr_un address;
static socklen_t address_length;
static int listener;

static void connect_to(long fd, long unused, long unused_too) {
    (void)unused, (void)unused_too;
    CHECK(connect(fd, (struct sockaddr *)&address, address_length) == 0);
}
static int accepted;
static void accept_one(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    accepted = accept4(listener, 0, 0, SOCK_CLOEXEC);
    CHECK(accepted >= 0);
}

static void accepting(void) {
    doing = "accept4";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    later(connect_to, fd, 0, 0);
    long got = once_in(&plan, 2) ? CALL(1, SYS_accept, listener, 0, 0)
                                 : CALL(1, SYS_accept4, listener, 0, 0, SOCK_CLOEXEC);
    NEED(got > 2, "accept: %ld", got);
    settled();
    close(fd), close(got);
}

static void connecting(void) {
    doing = "connect";
    int waiting[8], count = 0; // as many as the listener takes
    for (;; count++) {
        CHECK(count < 8);
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        long result = RAW(SYS_connect, waiting[count], &address, address_length);
        if (result == -EAGAIN) break;
        CHECK(result == 0);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    later(accept_one, 0, 0, 0);
    long result = CALL(1, SYS_connect, fd, &address, address_length);
    NEED(result == 0, "connect: %ld", result);
    settled();
    close(accepted), close(fd), close(waiting[count]);
    for (int i = 0; i < count; i++) {
        accept_one(0, 0, 0);
        close(accepted), close(waiting[i]);
    }
}

static void limited_receiving(void) {
    doing = "recvfrom with a time limit";
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
    struct timeval limit = {0, 1 + below(&plan, 2000)};
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    char byte;
    long result;
    later(put_byte, ends[1], 0, 0);
    do {
        result = CALL(0, SYS_recvfrom, ends[0], &byte, 1);
    } while (result == -EAGAIN);
    NEED(result == 1 && byte == 'x', "%s: %ld", doing, result);
    settled();
    close(ends[0]), close(ends[1]);
}

static int writer;
static void open_writer(long unused, long unused_too, long unused_three) {
    (void)unused, (void)unused_too, (void)unused_three;
    writer = open(fifo_path, O_WRONLY | O_CLOEXEC);
    CHECK(writer >= 0);
}

static void fifo_opening(void) {
    doing = "openat of a FIFO";
    later(open_writer, 0, 0, 0);
    long fd = CALL(1, SYS_openat, AT_FDCWD, fifo_path, O_RDONLY | O_CLOEXEC, 0);
    NEED(fd > 2, "openat: %ld", fd);
    settled();
    close(fd), close(writer);
}

// --- calls that do not block --------------------------------------------------------------------

static void quick_calls(void) {
    static uint8_t bytes[100000];
    static uint8_t *page;
    if (!page) page = map_pages(1, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 50; i++) {
        switch (below(&plan, 8)) {
        case 0: doing = "sched_yield"; CHECK(CALL(2, SYS_sched_yield, 0) == 0); break;
        case 1: doing = "membarrier"; CHECK(CALL(2, SYS_membarrier, 0, 0, 0) >= -ENOSYS); break;
        case 2: doing = "mprotect"; CHECK(CALL(2, SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE) == 0); break;
        case 3: {
            doing = "getrandom";
            long wanted = once_in(&plan, 4) ? 100000 : 1 + below(&plan, 256);
            long got = CALL(1, SYS_getrandom, bytes, wanted, 0);
            NEED(got == wanted || (wanted > 256 && got > 0), "getrandom: %ld of %ld", got, wanted);
            break;
        }
        case 4: CHECK(mask_in_force() == base_mask); break;
        case 5: {
            doing = "mmap";
            long at = CALL(2, SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            NEED(at > 0, "mmap: %ld", at);
            CHECK(CALL(2, SYS_munmap, at, 8192) == 0);
            break;
        }
        case 6: {
            // While all is blocked, nothing is handled.
            uint64_t all = ~0ul, mask = 0;
            CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, 8) == 0);
            CHECK(mask == base_mask);
            long count = all_handled;
            for (int j = 0; j < 20; j++) {
                CHECK(RAW(SYS_getpid) == storm_pid);
                CHECK(RAW(SYS_rt_sigaction, SIGUSR1, 0, 0, 8) == 0);
            }
            CHECK(all_handled == count);
            mask = 0;
            CHECK(RAW(SYS_rt_sigprocmask, SIG_SETMASK, &base_mask, &mask, 8) == 0);
            CHECK(mask == (all & ~(bit(SIGKILL) | bit(SIGSTOP))));
            break;
        }
        default: CHECK(RAW(SYS_getpid) == storm_pid && RAW(500) == -ENOSYS);
        }
    }
}

static void (*const kinds[])(void) = {
    reading, reading, reading, writing, writing, sending_files, splicing, event_reading, event_writing,
    timer_reading, signal_reading, watch_reading, polling, polling, polling, gathering, futex_waiting,
    lock_waiting, sleeping, sleeping, suspending, pausing, fetching, child_waiting, thread_joining,
    file_locking, message_receiving, message_sending, semaphore_taking, queue_receiving, accepting,
    connecting, limited_receiving, fifo_opening, quick_calls, quick_calls,
};

int main(int count, char **texts) {
    start(count, texts);
    CHECK(mkdtemp(folder));
    snprintf(fifo_path, sizeof fifo_path, "%s/fifo", folder);
    snprintf(file_path, sizeof file_path, "%s/file", folder);
    CHECK(mkfifo(fifo_path, 0600) == 0);
    file = open(file_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    feed_bytes(file, 0, FILE_SIZE);
    streams_open();
    CHECK(prctl(PR_SET_TIMERSLACK, 1) == 0);
    unshare(CLONE_NEWIPC); // where it may: then nothing is left behind
    messages = msgget(IPC_PRIVATE, 0600);
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    struct mq_attr shape = {.mq_maxmsg = 4, .mq_msgsize = 64};
    char name[64];
    snprintf(name, sizeof name, "ia2-stress-%d", getpid());
    queue = syscall(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &shape);
    if (queue >= 0) CHECK(syscall(SYS_mq_unlink, name) == 0);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sun_family = AF_UNIX;
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0); // any abstract name
    address_length = sizeof address;
    CHECK(getsockname(listener, (struct sockaddr *)&address, &address_length) == 0);
    CHECK(listen(listener, 1) == 0);
    feeder_start();
    storm_start();
    for (long round = 0; round < turns; round++) {
        plan = sequence(seed, 1000 + round); // how much a round takes of it depends on the signals
        if (round % 16 == 15) storm_turn(&plan);
        int kind = below(&plan, sizeof kinds / sizeof kinds[0]);
        note(kind);
        kinds[kind]();
        NEED(mask_in_force() == base_mask, "%s: the mask is another one", doing);
    }
    storm_end();
    if (messages >= 0) CHECK(msgctl(messages, IPC_RMID, 0) == 0);
    if (semaphores >= 0) CHECK(semctl(semaphores, 0, IPC_RMID) == 0);
    CHECK(unlink(fifo_path) == 0 && unlink(file_path) == 0 && rmdir(folder) == 0);
    finish();
}
