// What a program with the shim in it does as any other: threads, signals, children, and its libc's own
// memcpy. With an argument it says instead whether its first constructor ran under a filter.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char seccomp[2] = "?";

__attribute__((constructor(101))) static void construct(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) sscanf(line, "Seccomp: %1s", seccomp);
    if (file) fclose(file);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread int mine;
static long total;

static void *add(void *argument) {
    for (int round = 0; round < 1000; round++) {
        mine++;
        pthread_mutex_lock(&mutex);
        total += (long)argument;
        pthread_mutex_unlock(&mutex);
        if (round % 100 == 0) usleep(10);
    }
    return (void *)(long)mine;
}

static volatile sig_atomic_t ticks;

static void tick(int signal) {
    (void)signal;
    int saved = errno;
    ticks++;
    if (write(-1, "", 1) != -1) abort();
    errno = saved;
}

static int child(int status) {
    pid_t pid = fork();
    if (pid == 0) {
        if (status < 0) abort();
        _exit(status);
    }
    if (waitpid(pid, &status, 0) != pid) abort();
    return status;
}

int main(int count, char **arguments) {
    (void)arguments;
    if (count > 1) {
        printf("Seccomp: %s\n", seccomp);
        return 0;
    }
    pthread_t threads[8];
    long each = 0;
    for (long n = 0; n < 8; n++) pthread_create(&threads[n], 0, add, (void *)(n + 1));
    for (int n = 0; n < 8; n++) {
        void *result;
        pthread_join(threads[n], &result);
        each += (long)result;
    }
    printf("threads: %ld %ld\n", total, each);

    struct sigaction action = {.sa_handler = tick};
    sigaction(SIGUSR1, &action, 0);
    raise(SIGUSR1); // few: each costs a trap with musl, whose way back from a handler is left alone
    raise(SIGUSR1);
    int sent = ticks, interrupted = 0;
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec soon = {{0, 20000000}, {0, 20000000}}; // the first may come before the sleep
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &soon, 0) == 0) {
        interrupted = sleep(60) > 0;
        timer_delete(timer);
    }
    printf("signals: %d, sleep interrupted: %d\n", sent, interrupted);

    fflush(stdout);
    int exited = child(7), aborted = child(-1);
    printf("children: exit %d, signal %d\n", WEXITSTATUS(exited), WTERMSIG(aborted));

    char *block = malloc(100000), *copy = malloc(100000);
    memset(block, 'x', 100000);
    memcpy(copy, block, 100000);
    printf("memory: %d\n", memcmp(block, copy, 100000));
    return 5;
}
