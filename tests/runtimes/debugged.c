// A program for a debugger: threads, a call of its own, a handler, a variable that changes.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int watched;
static pthread_barrier_t barrier;
static int ends[2];
static volatile int tid[2];

__attribute__((noinline)) void handler(int number) {
    watched += number;
}

__attribute__((noinline)) long inline_call(long number) {
    long result;
    asm volatile("before_call: mov %1, %%rax\nnop\nat_call: syscall\nafter_call: nop\nnop\nnop"
                 : "=&a"(result) : "r"(number) : "rcx", "r11", "memory");
    return result;
}

__attribute__((noinline)) void says(const char *text) {
    if (write(1, text, strlen(text)) < 0) abort();
}

static char *sleeper_in(char *byte) {
    if (read(ends[0], byte, 1) != 1) abort(); // blocks
    return byte;
}

void *sleeper(void *number) {
    char byte;
    tid[(long)number] = gettid();
    pthread_barrier_wait(&barrier);
    sleeper_in(&byte);
    return number;
}

static void until_blocked(int thread) {
    char path[64], text[8] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
    while (strncmp(text, "0 ", 2) != 0) { // in read(2)
        FILE *file = fopen(path, "r");
        if (!file) return;
        if (!fgets(text, sizeof text, file)) text[0] = 0;
        fclose(file);
        usleep(1000);
    }
}

__attribute__((noinline)) void crash(const char *how) {
    if (strcmp(how, "abort") == 0) abort();
    if (strcmp(how, "behind") == 0) // the instruction behind a call, in what a patch covers
        asm volatile("mov $500, %%eax\ncmp %%eax, %%eax\nnop\nsyscall\n"
                     ".globl at_fault\nat_fault: mov (%0), %%rdi\nnop"
                     ::"r"(8L) : "rax", "rcx", "r11", "rdi", "memory", "cc");
    if (strcmp(how, "segv") == 0) *(volatile int *)8 = 1;
    if (strcmp(how, "trap") == 0) __builtin_trap();
    if (strcmp(how, "quit") == 0) inline_call(SYS_getpid), kill(getpid(), SIGQUIT);
    if (strcmp(how, "wait") == 0) for (;;) pause();
}

int main(int count, char **words) {
    signal(SIGUSR1, handler);
    if (pipe(ends)) return 1;
    pthread_barrier_init(&barrier, 0, 3);
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], 0, sleeper, (void *)(long)i);
    pthread_barrier_wait(&barrier);
    watched = 1;
    says("one\n");
    watched = 2;
    long parent = inline_call(SYS_getppid);
    says(parent == getppid() ? "two\n" : "wrong\n");
    raise(SIGUSR1);
    if (count > 1) {
        for (int i = 0; i < 2; i++) until_blocked(tid[i]);
        if (count > 2) says("ready\n");
        crash(words[1]);
    }
    if (write(ends[1], "xy", 2) != 2) return 1;
    for (int i = 0; i < 2; i++) pthread_join(thread[i], 0);
    printf("watched %d\n", watched);
    return 0;
}
