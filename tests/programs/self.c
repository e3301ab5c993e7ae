// What a program can read about itself, in a form that does not differ from run to run.
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef BSS
#define BSS 10000
#endif
static char zeros[BSS];
static __thread int local = 5;
static int constructed;
__attribute__((constructor)) static void construct(void) { constructed = 1; }

extern char **environ;

static long depth(long left) {
    volatile char frame[1000];
    frame[0] = left & 127;
    return left == 0 ? 0 : frame[0] * 0 + 1 + depth(left - 1);
}

static void *thread(void *argument) {
    local++;
    return (char *)argument + local;
}

static void print_file(const char *path) {
    char text[4096];
    FILE *file = fopen(path, "r");
    size_t length = fread(text, 1, sizeof text, file);
    printf("%s:", path);
    for (size_t at = 0; at < length; at++) printf("%c", text[at] ? text[at] : '|');
    printf("\n");
    fclose(file);
}

static const char *permissions_of(const char *what) {
    static char found[8];
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    strcpy(found, "none");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, what)) sscanf(line, "%*s %4s", found);
    fclose(maps);
    return found;
}

int main(int argc, char **argv) {
    for (int at = 0; at < argc; at++) printf("argument [%s]\n", argv[at]);
    int variables = 0;
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "_=", 2)) variables++;
    printf("%d variables\n", variables);
    const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
    unsigned long count = getauxval(AT_PHNUM), loads = 0, bias = 0;
    for (unsigned long at = 0; at < count; at++) {
        loads += headers[at].p_type == PT_LOAD;
        if (headers[at].p_type == PT_PHDR) bias = (uintptr_t)headers - headers[at].p_vaddr;
    }
    printf("%lu headers of %lu bytes, %lu to load\n", count, getauxval(AT_PHENT), loads);
    printf("entry %s\n", getauxval(AT_ENTRY) > bias ? "in the program" : "elsewhere");
    printf("base: %s\n", getauxval(AT_BASE) ? "an interpreter" : "none");
    printf("execfn %s, secure %lu, page %lu, flags %lu\n", (char *)getauxval(AT_EXECFN),
           getauxval(AT_SECURE), getauxval(AT_PAGESZ), getauxval(AT_FLAGS));
    printf("uid %lu %lu, clock %lu, vdso %d, random %d, platform %s, hwcap %lx\n",
           getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_CLKTCK),
           getauxval(AT_SYSINFO_EHDR) != 0, getauxval(AT_RANDOM) != 0,
           (char *)getauxval(AT_PLATFORM), getauxval(AT_HWCAP));
    print_file("/proc/self/cmdline");
    print_file("/proc/self/comm");
    char exe[500] = "";
    printf("exe %d %s\n", readlink("/proc/self/exe", exe, 499) > 0,
           strrchr(exe, '/') ? strrchr(exe, '/') : exe);
    printf("stack %s, heap %s\n", permissions_of("[stack]"),
           sbrk(4096) != (void *)-1 ? permissions_of("[heap]") : "none");
    char *heap = sbrk(64 << 20);
    printf("64 MiB of heap: %s\n", heap != (void *)-1 ? "yes" : "no");
    if (heap != (void *)-1) memset(heap, 1, 64 << 20);
    unsigned long sum = 0;
    for (size_t at = 0; at < sizeof zeros; at += 997) sum += zeros[at];
    printf("sum of zeros %lu, constructed %d, depth %ld\n", sum, constructed, depth(6500));
    pthread_t one;
    void *result;
    pthread_create(&one, 0, thread, 0);
    pthread_join(one, &result);
    printf("thread %ld, local %d\n", (long)result, local);
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    printf("name %s, descriptor 3 %s\n", name, lseek(3, 0, SEEK_CUR) < 0 ? "closed" : "open");
    return argc;
}
