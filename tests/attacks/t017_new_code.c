// Code that was not there at the start: through a file that is mapped, through a second view of the same
// memory, as a JIT makes it, over a page's end, in data made executable. It makes a call that the
// policy refuses. It is trapped, wherever it lies.
//# case: T17, T25, T37, T65, T66
//# title: new code makes a refused call
//# layers: B
//# policy: ia2
//# users: root, unprivileged
//# attack: a file under a mapping = A2 EPERM
//# attack: a second view of memory = A2 EPERM
//# attack: written, then executable = A2 EPERM
//# attack: writable and executable = A2 EACCES
//# attack: over a page's end = A2 EPERM
//# attack: pages moved together = A2 EPERM
//# attack: data made executable = A2 EPERM
//# attack: in the middle of an instruction = A2 EPERM
//# twin: new code makes an allowed call
#include "attack.h"

static char *memory_file(int *fd, int protection, int flags) {
    CHECK((*fd = memfd_create("code", 0)) >= 0 && ftruncate(*fd, 4096) == 0);
    char *view = mmap(0, 4096, protection, flags, *fd, 0);
    return view == MAP_FAILED ? 0 : view;
}

static long file_under_mapping(long unused) {
    int fd;
    char *view = memory_file(&fd, PROT_READ | PROT_EXEC, MAP_PRIVATE);
    CHECK(view && pwrite(fd, forbidden_code, sizeof forbidden_code, 0) > 0);
    return run(view);
}

static long second_view(long unused) {
    int fd;
    char *writable = memory_file(&fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    char *code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(writable && code != MAP_FAILED);
    memcpy(writable, forbidden_code, sizeof forbidden_code);
    return run(code);
}

static long then_executable(long nr) {
    unsigned char *page = map_pages(1, PROT_READ | PROT_WRITE);
    memcpy(page, forbidden_code, sizeof forbidden_code);
    if (nr) page[1] = (unsigned char)nr;
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    return run(page);
}

static long writable_and_executable(long unused) {
    long page = call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (only_error(page)) return page;
    memcpy((void *)page, forbidden_code, sizeof forbidden_code);
    return run((void *)page);
}

/// The SYSCALL's two bytes are the last of one page and the first of the next.
enum { BEFORE = 4096 - 11 };

static long over_the_end(long unused) {
    unsigned char *page = map_pages(2, PROT_READ | PROT_WRITE);
    memcpy(page + BEFORE, forbidden_code, sizeof forbidden_code);
    CHECK(page[4095] == 0x0f && mprotect(page, 8192, PROT_READ | PROT_EXEC) == 0);
    return run(page + BEFORE);
}

static long moved_together(long unused) {
    unsigned char *first = map_pages(2, PROT_READ | PROT_WRITE), *second = map_pages(1, PROT_READ | PROT_WRITE);
    memcpy(first + BEFORE, forbidden_code, 11);
    memcpy(second, forbidden_code + 11, 2);
    CHECK(mprotect(first, 4096, PROT_READ | PROT_EXEC) == 0);
    CHECK(mprotect(second, 4096, PROT_READ | PROT_EXEC) == 0);
    CHECK(mremap(second, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, first + 4096) == first + 4096);
    return run(first + BEFORE);
}

static const _Alignas(4096) unsigned char data[4096] = {0xb8, SYS_setfsuid, 0, 0, 0, 0xbf, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x05, 0xc3};

static long made_executable(long unused) {
    CHECK(mprotect((void *)data, 4096, PROT_READ | PROT_EXEC) == 0);
    return run(data);
}

/// The code that the compiler was given is `mov $0xc3050f,%eax ; ret`.
static long inside_an_instruction(long unused) {
    long result;
    asm volatile("jmp 2f\n1: mov $0xc3050f, %%eax\n ret\n2: call 1b + 1" : "=a"(result) : "a"(SYS_setfsuid), "D"(-1) : "rcx", "r11", "memory");
    return only_error(result);
}

int main(void) {
    attack("a file under a mapping", file_under_mapping, 0);
    attack("a second view of memory", second_view, 0);
    attack("written, then executable", then_executable, 0);
    attack("writable and executable", writable_and_executable, 0);
    attack("over a page's end", over_the_end, 0);
    attack("pages moved together", moved_together, 0);
    attack("data made executable", made_executable, 0);
    attack("in the middle of an instruction", inside_an_instruction, 0);
    twin("new code makes an allowed call", then_executable, SYS_getppid);
    done();
}
