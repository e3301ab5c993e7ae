// alarm, setitimer's old value, timer_create with a signal and with a thread, timerfd.
#include "harness.h"
#include <sys/timerfd.h>

static volatile int alarms, timers, value;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int in_thread;

static void on_alarm(int signal) { alarms += signal == SIGALRM; }
static void on_timer(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    timers++;
    value = info->si_value.sival_int;
    CHECK(info->si_code == SI_TIMER);
}
static void from_thread(union sigval argument) {
    pthread_mutex_lock(&lock);
    in_thread = argument.sival_int;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

int main(void) {
    sigset_t block, open;
    handle(SIGALRM, on_alarm, 0);
    handle(SIGRTMIN, on_timer, SA_SIGINFO);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigaddset(&block, SIGRTMIN);
    CHECK(sigprocmask(SIG_BLOCK, &block, &open) == 0);
    CHECK(alarm(100) == 0 && alarm(0) == 100);
    CHECK(alarm(1) == 0);
    while (!alarms) sigsuspend(&open);
    CHECK(alarms == 1);

    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN;
    event.sigev_value.sival_int = 4711;
    timer_t timer;
    struct itimerspec soon = {{0, 0}, {0, 1000000}};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &soon, 0) == 0);
    while (!timers) sigsuspend(&open);
    CHECK(timers == 1 && value == 4711 && timer_delete(timer) == 0);

    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = from_thread;
    event.sigev_value.sival_int = 4712;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &soon, 0) == 0);
    pthread_mutex_lock(&lock);
    while (!in_thread) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    CHECK(in_thread == 4712 && timer_delete(timer) == 0);

    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t times = 0;
    CHECK(fd >= 0 && timerfd_settime(fd, 0, &soon, 0) == 0);
    CHECK(read(fd, &times, sizeof times) == sizeof times && times == 1);
    done();
}
