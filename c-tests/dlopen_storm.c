// Six threads load and unload copies of a library with calls in it, again and again: every call is
// right, wherever the library comes to lie, and their stubs leave no memory behind.
//#Library: dlopen_inline_call.lib.c
#include "harness.h"
#include <dlfcn.h>

enum { THREADS = 6, ROUNDS = 60 };
static char names[THREADS][64];

static void copy(const char *to) {
    char bytes[65536];
    int from = open("./dlopen_inline_call.lib.so", O_RDONLY);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    CHECK(from >= 0 && fd >= 0);
    for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;) CHECK(write(fd, bytes, got) == got);
    CHECK(close(from) == 0 && close(fd) == 0);
}

static void *storm(void *name) {
    for (int round = rounds(ROUNDS); round > 0; round--) {
        void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        CHECK(library != 0);
        long (*pid)(void) = (long (*)(void))dlsym(library, "library_pid");
        long (*twice)(void) = (long (*)(void))dlsym(library, "library_twice");
        for (int i = 0; i < 20; i++) CHECK(pid() == getpid() && twice() == getpid() + getppid());
        CHECK(dlclose(library) == 0);
    }
    return 0;
}

static long resident(void) {
    long mapped, pages = 0;
    char text[128] = {0};
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
    CHECK(sscanf(text, "%ld %ld", &mapped, &pages) == 2);
    return pages;
}

static void all(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], 0, storm, names[i]) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], 0) == 0);
}

int main(void) {
    for (int i = 0; i < THREADS; i++) {
        sprintf(names[i], "/tmp/ia2-storm-%d-%d.so", getpid(), i);
        copy(names[i]);
    }
    all();
    long before = resident();
    all();
    CHECK(resident() - before < 200);
    for (int i = 0; i < THREADS; i++) CHECK(unlink(names[i]) == 0);
    done();
}
