// Under AddressSanitizer: `asan KIND`. Kinds without an error print what they did and end with 0.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdexcept>
#include <vector>

static volatile int handled;
static char *volatile sink;
static volatile int zero;

__attribute__((noinline)) static void overflow() {
    char *block = (char *)malloc(10);
    sink = block;
    sink[10 + zero] = 1;
}

__attribute__((noinline)) static void after_free() {
    char *block = (char *)malloc(10);
    sink = block;
    free(block);
    printf("%d\n", sink[zero]);
}

__attribute__((noinline)) static void on_stack() {
    char bytes[16];
    sink = bytes;
    sink[16 + zero] = 1;
}

__attribute__((noinline)) static void twice() {
    char *block = (char *)malloc(10);
    sink = block;
    free(block);
    free(sink);
}

__attribute__((noinline)) static void null_pointer() { *(int *)(long)zero = 1; }

__attribute__((noinline)) static void wild() { *(int *)(0x8000000000000000ul + (long)zero) = 1; }

__attribute__((noinline)) static void *leak() {
    sink = (char *)malloc(77);
    sink = nullptr;
    return nullptr;
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
// On one line: which instruction meets the end of the stack depends on where the stack begins.
__attribute__((noinline)) static int deep(int n) { volatile char bytes[512]; bytes[n & 511] = (char)n; return deep(n + 1) + bytes[(n + 1) & 511]; }

static void on_signal(int) { handled = handled + 1; }

static void on_fault(int, siginfo_t *info, void *) {
    printf("own handler: %d, at %p\n", info->si_signo, info->si_addr);
    fflush(stdout);
    _exit(7);
}

static void *work(void *argument) {
    std::vector<std::string> all;
    for (int i = 0; i < 300; i++) all.push_back(std::string(i, 'x'));
    size_t sum = 0;
    for (auto &one : all) sum += one.size();
    *(size_t *)argument = sum;
    return nullptr;
}

static void threads() {
    pthread_t thread[8];
    size_t sum[8] = {}, all = 0;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 8; i++) pthread_create(&thread[i], nullptr, work, &sum[i]);
        for (int i = 0; i < 8; i++) pthread_join(thread[i], nullptr), all += sum[i];
    }
    printf("threads: %zu\n", all);
}

static void forks() {
    for (int i = 0; i < 5; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            std::vector<int> all(1000, i);
            if (i == 3) overflow();
            _exit(all[999]);
        }
        int status;
        waitpid(child, &status, 0);
        printf("child: %d\n", WEXITSTATUS(status));
    }
}

static void *raise_some(void *) {
    for (int i = 0; i < 200; i++) {
        raise(SIGUSR1);
        free(malloc(i));
    }
    return nullptr;
}

static void signals() {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, nullptr);
    pthread_t thread;
    pthread_create(&thread, nullptr, raise_some, nullptr);
    pthread_join(thread, nullptr);
    raise_some(nullptr);
    printf("signals: %d\n", handled);
}

static void libraries() {
    for (int i = 0; i < 3; i++) {
        void *library = dlopen("libm.so.6", RTLD_NOW);
        auto function = (double (*)(double))dlsym(library, "cbrt");
        printf("dlopen: %.1f\n", function(27));
        dlclose(library);
    }
}

static void exceptions() {
    int caught = 0;
    for (int i = 0; i < 100; i++) {
        try {
            if (i % 3 == 0) throw std::runtime_error("x");
            std::string(5, 'x').at(i);
        } catch (const std::exception &) {
            caught++;
        }
    }
    printf("caught: %d\n", caught);
}

int main(int count, char **words) {
    std::string kind = count > 1 ? words[1] : "";
    if (kind == "overflow") overflow();
    if (kind == "after-free") after_free();
    if (kind == "stack") on_stack();
    if (kind == "twice") twice();
    if (kind == "null") null_pointer();
    if (kind == "wild") wild();
    if (kind == "leak") leak();
    if (kind == "deep") printf("%d\n", deep(0));
    if (kind == "handler") {
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, nullptr);
        null_pointer();
    }
    if (kind == "clean") {
        threads();
        forks();
        signals();
        libraries();
        exceptions();
    }
    printf("end\n");
}
