// Prints all that a program can tell about how it was started, in a form that does not depend on
// where it came to lie. tests/tests/loader.rs compares the native lines with those under the loader.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
#ifndef STATIC
#include <dlfcn.h>
#endif

#ifndef BSS
#define BSS (1 << 20)
#endif

extern char **environ;
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static char zeros[BSS] = {0};
static int initialised[100] = {1, 2, 3};
static __thread int local = 41;
static __thread int local_zero;
static int constructed;

__attribute__((constructor)) static void construct(void) { constructed = 7; }

static char buffer[1 << 20];

static size_t slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    size_t length = 0;
    ssize_t got;
    if (fd < 0) {
        printf("%s cannot be opened\n", path);
        return 0;
    }
    while ((got = read(fd, buffer + length, sizeof buffer - 1 - length)) > 0) length += got;
    close(fd);
    buffer[length] = 0;
    return length;
}

static void strings(const char *path) {
    size_t length = slurp(path);
    printf("%s:", path);
    for (size_t i = 0; i < length; i++) putchar(buffer[i] ? buffer[i] : '|');
    putchar('\n');
}

static long base(void) { return (long)__ehdr_start; }

static void auxiliary(void) {
    char **end = environ;
    while (*end) end++;
    ElfW(auxv_t) *all = (void *)(end + 1), *one = all;
    for (; one->a_type != AT_NULL; one++) {
        unsigned long value = one->a_un.a_val;
        switch (one->a_type) {
        case AT_PHDR:
        case AT_ENTRY: printf("aux %lu: base + %#lx\n", one->a_type, value - base()); break;
        case AT_BASE: printf("aux %lu: %s\n", one->a_type, value ? "somewhere" : "0"); break;
        case AT_EXECFN:
        case AT_PLATFORM: printf("aux %lu: %s\n", one->a_type, (char *)value); break;
        case AT_RANDOM:
        case AT_SYSINFO_EHDR: printf("aux %lu: %d\n", one->a_type, value != 0); break;
        default: printf("aux %lu: %#lx\n", one->a_type, value);
        }
    }
    size_t length = (char *)(one + 1) - (char *)all;
    slurp("/proc/self/auxv");
    printf("the kernel's auxv is %s\n", memcmp(buffer, all, length) ? "another" : "the same");
}

static void places(int argc, char **argv) {
    unsigned long field[64] = {0};
    slurp("/proc/self/stat");
    char *at = strrchr(buffer, ')') + 2;
    for (int i = 3; i < 53 && at; i++, at = strchr(at, ' '), at = at ? at + 1 : 0)
        field[i] = strtoul(at, 0, 10);
    printf("code %#lx %#lx\n", field[26] - base(), field[27] - base());
    printf("data %#lx %#lx\n", field[45] - base(), field[46] - base());
    printf("stack is %s\n", field[28] == (unsigned long)(argv - 1) ? "argc's place" : "elsewhere");
    printf("arguments %d %ld\n", field[48] == (unsigned long)argv[0], field[49] - field[48]);
    if (environ[0])
        printf("environment %d %ld\n", field[50] == (unsigned long)environ[0], field[51] - field[50]);
    if (field[48] != (unsigned long)argv[0] && argc) printf("argv[0] is not where the kernel says\n");
    unsigned long end = (unsigned long)zeros + sizeof zeros;
#ifdef MOVED
    end = 0x555555554000;
#endif
    printf("heap is aligned %d and near %d\n", field[47] % 4096 == 0,
           field[47] - end < (1ul << 30) + (4ul << 20));
#ifdef ALIGNED
    printf("aligned %d\n", base() % ALIGNED == 0);
#endif
}

static void mappings(void) {
    char exe[4096] = {0};
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) return;
    if (getuid() == 0) printf("exe %s\n", exe);
    const char *self = getenv("SELF");
    slurp("/proc/self/maps");
    unsigned long lowest[2] = {0, 0}, before = 0;
    int mine = -1;
    for (char *line = strtok(buffer, "\n"); line; line = strtok(0, "\n")) {
        unsigned long from, to, offset;
        char rights[8], path[4096] = "";
        sscanf(line, "%lx-%lx %7s %lx %*s %*s %4095s", &from, &to, rights, &offset, path);
        int which = self && !strcmp(path, self) ? 0 : strstr(path, "/ld-") ? 1 : -1;
        if (which >= 0) {
            if (!lowest[which]) lowest[which] = from;
            printf("%s %#lx-%#lx %s %#lx\n", which ? "ld.so" : "self", from - lowest[which],
                   to - lowest[which], rights, offset);
        } else if (mine == 0 && from == before && !*path) {
            printf("bss %#lx-%#lx %s\n", from - lowest[0], to - lowest[0], rights);
        } else if (!strcmp(path, "[stack]")) {
            printf("stack %s\n", rights);
        }
        mine = which;
        before = to;
    }
}

__attribute__((noinline)) static int deep(int kilobytes) {
    volatile char frame[1024];
    frame[0] = kilobytes;
    return kilobytes ? deep(kilobytes - 1) + (frame[0] == (char)kilobytes) : 0;
}

static void *thread(void *number) {
    local += (int)(long)number;
    char *block = malloc(100000);
    memset(block, 1, 100000);
    free(block);
    return (void *)(long)(local * 10 + local_zero);
}

int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IOFBF, 1 << 16);
    for (int i = 0; i <= argc; i++) printf("argv[%d] %s\n", i, argv[i] ? argv[i] : "(end)");
    for (char **one = environ; *one; one++) printf("env %s\n", *one);
    auxiliary();
    places(argc, argv);
    strings("/proc/self/cmdline");
    strings("/proc/self/environ");
    slurp("/proc/self/comm");
    printf("comm %s", buffer);
    mappings();

    long dirty = 0;
    for (size_t i = 0; i < sizeof zeros; i += i < 8192 || i > sizeof zeros - 8192 ? 1 : 4096)
        dirty += zeros[i];
    memset(zeros, 1, sizeof zeros);
    printf("dirty %ld, initialised %d\n", dirty, initialised[0] + initialised[1] + initialised[2]);

#ifndef MUSL // which gives out no memory by sbrk
    char *heap = sbrk(64 << 20);
    printf("sbrk %s\n", heap == (void *)-1 ? "failed" : "worked");
    for (size_t i = 0; i < 64 << 20; i += 4096) dirty += heap[i], heap[i] = 1;
    printf("dirty %ld\n", dirty);
#endif
    char *big = malloc(100 << 20);
    memset(big, 1, 100 << 20);
    free(big);
    printf("deep %d\n", deep(6 * 1024));

    pthread_t threads[8];
    for (long i = 0; i < 8; i++) pthread_create(&threads[i], 0, thread, (void *)i);
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("thread %ld\n", (long)result);
    }
    printf("local %d %d, constructed %d\n", local, local_zero, constructed);
#if !defined STATIC && !defined MUSL
    void *library = dlopen("libm.so.6", RTLD_NOW);
    double (*cosine)(double) = (double (*)(double))dlsym(library, "cos");
    printf("dlopen %.3f\n", cosine(0));
#endif
    printf("EXIT-SUCCESS\n");
    return 42;
}
