// As unwind.cc without C++, for C libraries that have none: _Unwind_Backtrace from handlers, and forced
// unwinding with cleanups through a signal frame. gcc -fexceptions -fnon-call-exceptions.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <unwind.h>

#ifndef __GLIBC__ // what Debian's libgcc_eh asks of its C library
#include <link.h>
struct found {
    unsigned long long flags;
    void *start, *end, *map, *eh_frame;
    unsigned long long reserved[7];
};
struct wanted {
    uintptr_t pc;
    struct found *found;
};

static int look_into(struct dl_phdr_info *info, size_t size, void *argument) {
    struct wanted *wanted = argument;
    uintptr_t frame = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME) frame = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t end = start + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD || wanted->pc < start || wanted->pc >= end || !frame)
            continue;
        *wanted->found = (struct found){.start = (void *)start, .end = (void *)end, .eh_frame = (void *)frame};
        return 1;
    }
    return 0;
}

int _dl_find_object(void *pc, struct found *found);
int _dl_find_object(void *pc, struct found *found) {
    struct wanted wanted = {(uintptr_t)pc, found};
    return dl_iterate_phdr(look_into, &wanted) - 1;
}
#endif

#define FAR __attribute__((noinline))
static volatile int zero, seen;
static char names[1024];
static int cleaned;
static jmp_buf out;

FAR int fault_here(int n);
FAR int raise_here(int n);
FAR int call_here(int n);
FAR int wait_here(int n);
FAR int outer(int (*inner)(int), int n);
int main(void);

static void cleanup(int *value) { cleaned += *value; }

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *unused) {
    (void)unused;
    int before = 0;
    _Unwind_GetIPInfo(context, &before);
    // What the static C library calls its functions is not told by the program's symbols: the start
    // of the function is compared instead.
    void *start = _Unwind_FindEnclosingFunction((void *)(_Unwind_GetIP(context) - !before));
    static const struct { void *start; const char *name; } known[] = {
        {(void *)fault_here, "fault_here"}, {(void *)raise_here, "raise_here"},
        {(void *)call_here, "call_here"}, {(void *)wait_here, "wait_here"},
        {(void *)outer, "outer"}, {(void *)main, "main"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (start == known[i].start) {
            strcat(names, " "), strcat(names, known[i].name);
            if (before) strcat(names, "(signal)");
        }
    return _URC_NO_REASON;
}

static void on_look(int number) {
    (void)number;
    strcpy(names, "unwinder:");
    _Unwind_Backtrace(visit, 0);
    seen = 1;
}

static void on_fault(int number) {
    on_look(number);
    longjmp(out, 1);
}

static _Unwind_Reason_Code stop(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                struct _Unwind_Exception *object, struct _Unwind_Context *context,
                                void *argument) {
    (void)version, (void)class, (void)object, (void)argument;
    void *start = _Unwind_FindEnclosingFunction((void *)_Unwind_GetIP(context));
    if (start == (void *)main || (actions & _UA_END_OF_STACK)) longjmp(out, start == (void *)main ? 2 : 3);
    return _URC_NO_REASON;
}

static void on_force(int number) {
    static struct _Unwind_Exception object;
    memset(&object, 0, sizeof object);
    int code = _Unwind_ForcedUnwind(&object, stop, 0);
    printf("signal %d: not unwound: %d\n", number, code);
    exit(1);
}

static void handle(int number, void (*function)(int)) {
    struct sigaction action = {.sa_handler = function, .sa_flags = SA_NODEFER};
    sigaction(number, &action, 0);
}

FAR int fault_here(int n) {
    int one __attribute__((cleanup(cleanup))) = 1;
    *(volatile int *)(uintptr_t)zero = n;
    return n + 1;
}
FAR int raise_here(int n) {
    int ten __attribute__((cleanup(cleanup))) = 10;
    return raise(SIGUSR1) + n;
}
FAR int call_here(int n) {
    int hundred __attribute__((cleanup(cleanup))) = 100;
    long result;
    asm volatile("syscall" : "=a"(result)
                 : "a"(SYS_tgkill), "D"(getpid()), "S"(syscall(SYS_gettid)), "d"(SIGUSR1)
                 : "rcx", "r11", "memory");
    return (int)result + n;
}
FAR int wait_here(int n) {
    int thousand __attribute__((cleanup(cleanup))) = 1000;
    struct itimerval soon = {{0, 0}, {0, 20000}};
    setitimer(ITIMER_REAL, &soon, 0);
    seen = 0;
    while (!seen) pause();
    return n + 1;
}
FAR int outer(int (*inner)(int), int n) {
    int many __attribute__((cleanup(cleanup))) = 100000;
    return inner(n) + 1;
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    static int (*const all[])(int) = {raise_here, call_here, wait_here, fault_here};
    handle(SIGUSR1, on_look), handle(SIGALRM, on_look), handle(SIGSEGV, on_fault);
    for (volatile int i = 0; i < 4; i++) {
        if (setjmp(out) == 0) outer(all[i], 1);
        printf("%s\n", names);
    }
    handle(SIGUSR1, on_force), handle(SIGALRM, on_force), handle(SIGSEGV, on_force);
    for (volatile int i = 0; i < 4; i++) {
        cleaned = 0;
        int how = setjmp(out);
        if (how == 0) outer(all[i], 1);
        printf("forced: %d, cleaned %d\n", how, cleaned);
    }
}
