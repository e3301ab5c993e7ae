// Prints where it lies.
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

int main(int argc, char **argv) {
    void *first = sbrk(0);
    char path[4096], line[8192];
    printf("base %p\n", (void *)__ehdr_start);
    printf("argv is at %d of a page\n", argc && argv[0] ? 1 : 0);
    FILE *stat = fopen("/proc/self/stat", "r");
    unsigned long brk = 0;
    if (!stat || !fgets(line, sizeof line, stat)) return 1;
    char *at = line;
    for (int i = 1; i < 47 && at; i++) at = __builtin_strchr(at + 1, ' ');
    if (!at || sscanf(at, "%lu", &brk) != 1) return 1;
    printf("heap %#lx\n", brk);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%*s %*s %*s %*s %*s %4095s", path) == 1 && argv[0] &&
            !__builtin_strcmp(path, argv[0]))
            printf("%s", line);
    (void)first;
    return 0;
}
