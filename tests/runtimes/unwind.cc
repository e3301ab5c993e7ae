// Stacks across a signal frame: backtrace(), _Unwind_Backtrace, exceptions out of handlers, forced
// unwinding, all from handlers that interrupted code and calls. g++ -fnon-call-exceptions.
#include <atomic>
#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdexcept>
#include <stdio.h>
#include <string.h>
#include <string>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#define FAR extern "C" __attribute__((noinline, visibility("default")))
static volatile int zero;
static std::string names;
static int cleaned;

struct Cleaner {
    ~Cleaner() { cleaned++; }
};

// The function that an address lies in; where a call returns to is behind it.
static std::string name_of(void *address, bool behind) {
    Dl_info info;
    if (!dladdr((char *)address - behind, &info) || !info.dli_sname) return "?";
    return info.dli_sname;
}

static void by_backtrace() {
    void *all[64];
    int count = backtrace(all, 64);
    names = "backtrace:";
    for (int i = 0; i < count; i++) names += " " + name_of(all[i], true);
}

static _Unwind_Reason_Code visit(_Unwind_Context *context, void *) {
    int before = 0;
    void *at = (void *)_Unwind_GetIPInfo(context, &before);
    names += " " + name_of(at, !before) + (before ? "(signal)" : "");
    return _URC_NO_REASON;
}

static void by_unwinder() {
    names = "unwinder:";
    _Unwind_Backtrace(visit, nullptr);
}

static void (*volatile look)();
static void on_look(int) { look(); }
static void on_throw(int number) { throw std::runtime_error(strsignal(number)); }
static void on_throw_blocked(int, siginfo_t *, void *) { throw 5; }

static void handle(int number, void (*function)(int), int flags = SA_NODEFER) {
    struct sigaction action = {};
    action.sa_handler = function;
    action.sa_flags = flags;
    sigaction(number, &action, nullptr);
}

FAR int fault_here(int n) {
    Cleaner cleaner;
    *(volatile int *)(long)zero = n;
    return n + 1;
}
FAR int divide_here(int n) {
    Cleaner cleaner;
    volatile int result = n / zero;
    return result + 1;
}
FAR int raise_here(int) {
    Cleaner cleaner;
    return raise(SIGUSR1) + 1;
}
FAR int call_here(int) { // the call's own instruction, in this file
    Cleaner cleaner;
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(SYS_tgkill), "D"(getpid()), "S"(gettid()), "d"(SIGUSR1)
                 : "rcx", "r11", "memory");
    return (int)result + 1;
}
FAR int wait_here(int) {
    Cleaner cleaner;
    itimerval soon = {{0, 0}, {0, 20000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    return pause() + 1;
}
FAR int spin_here(int) {
    Cleaner cleaner;
    itimerval soon = {{0, 0}, {0, 5000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    names.clear();
    std::atomic<int> n{0};
    while (names.empty()) n++;
    return n > 0;
}

FAR int outer(int (*inner)(int), int n) { return inner(n) + 1; }

static void show() { printf("%s\n", names.c_str()); }

static int deep_throw(int n, int (*inner)(int)) {
    Cleaner cleaner;
    return n == 0 ? outer(inner, 0) : deep_throw(n - 1, inner) + 1;
}

static void throw_all(const char *what) {
    struct { const char *name; int (*run)(int); } all[] = {
        {"fault", fault_here}, {"divide", divide_here}, {"raise", raise_here},
        {"call", call_here}, {"wait", wait_here}};
    for (auto &one : all) {
        if (one.run == wait_here && strcmp(what, "thread") == 0) continue; // another may take it
        cleaned = 0;
        for (int round = 0; round < 5; round++) {
            try {
                printf("not thrown: %d\n", deep_throw(20, one.run));
            } catch (const std::exception &e) {
                if (round == 0) printf("%s, %s: caught %s\n", what, one.name, e.what());
            } catch (int number) {
                if (round == 0) printf("%s, %s: caught %d\n", what, one.name, number);
            }
        }
        printf("%s, %s: cleaned %d\n", what, one.name, cleaned);
    }
}

static void *in_thread(void *) {
    throw_all("thread");
    return nullptr;
}

static void *exits(void *) {
    Cleaner cleaner;
    handle(SIGUSR1, [](int) { pthread_exit((void *)7); });
    outer(call_here, 1);
    return nullptr;
}

int main() {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    for (auto way : {by_backtrace, by_unwinder}) {
        look = way;
        handle(SIGUSR1, on_look), handle(SIGALRM, on_look);
        for (auto run : {raise_here, call_here, wait_here, spin_here}) outer(run, 1), show();
        // A fault would come again: the handler leaves by an exception.
        handle(SIGSEGV, [](int) { look(); throw 1; });
        handle(SIGFPE, [](int) { look(); throw 1; });
        for (auto run : {fault_here, divide_here}) {
            try {
                outer(run, 1);
            } catch (int) {
                show();
            }
        }
    }
    for (int number : {SIGSEGV, SIGFPE, SIGUSR1, SIGALRM}) handle(number, on_throw);
    throw_all("plain");
    pthread_t thread;
    pthread_create(&thread, nullptr, in_thread, nullptr);
    pthread_join(thread, nullptr);
    // On an alternate stack.
    static char room[1 << 16];
    stack_t stack = {};
    stack.ss_sp = room, stack.ss_size = sizeof room;
    sigaltstack(&stack, nullptr);
    for (int number : {SIGSEGV, SIGFPE, SIGUSR1, SIGALRM}) handle(number, on_throw, SA_NODEFER | SA_ONSTACK);
    throw_all("alternate stack");
    for (int number : {SIGSEGV, SIGFPE, SIGUSR1, SIGALRM}) {
        struct sigaction action = {};
        action.sa_sigaction = on_throw_blocked;
        action.sa_flags = SA_NODEFER | SA_SIGINFO;
        sigaction(number, &action, nullptr);
    }
    throw_all("with information");
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, nullptr, &blocked);
    printf("blocked: %d %d\n", sigismember(&blocked, SIGSEGV), sigismember(&blocked, SIGUSR1));
    cleaned = 0;
    void *result;
    pthread_create(&thread, nullptr, exits, nullptr);
    pthread_join(thread, &result);
    printf("thread ended by its handler: %ld, cleaned %d\n", (long)result, cleaned);
}
