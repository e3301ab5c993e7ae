// Two threads pass a counter back and forth through eventfds and epoll.
#include "harness.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int there, back;

static void *answer(void *unused) {
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, got;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, there, &event) == 0);
    for (uint64_t round = 1; round <= 2000; round++) {
        uint64_t value;
        CHECK(epoll_wait(epoll, &got, 1, -1) == 1 && got.data.u64 == 77);
        CHECK(read(there, &value, 8) == 8 && value == round);
        CHECK(write(back, &value, 8) == 8);
    }
    return unused;
}

int main(void) {
    pthread_t thread;
    there = eventfd(0, EFD_NONBLOCK);
    back = eventfd(0, 0);
    CHECK(there >= 0 && back >= 0 && pthread_create(&thread, 0, answer, 0) == 0);
    for (uint64_t round = 1; round <= 2000; round++) {
        uint64_t value = round;
        CHECK(write(there, &value, 8) == 8);
        CHECK(read(back, &value, 8) == 8 && value == round);
    }
    CHECK(pthread_join(thread, 0) == 0);
    done();
}
