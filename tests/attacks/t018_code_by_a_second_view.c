// Code that can be written while it can be executed: by two views of one memory, none of which is both;
// by mremap with an old size of 0, which copies a shared mapping; and page by page, by mprotect.
//# case: T18, T26, T22, T36
//# title: code is writable while it is executable
//# layers: B, K
//# policy: ia2
//# users: root, unprivileged
//# attack: mprotect to both = A1 EACCES
//# attack: two views of a memory file = open: a rule sees one mapping; needs the shim to know which memory a mapping is of
//# attack: mremap of size 0 = open: as two views
//# attack: text made writable = open: what is not the shim's is not sealed; a boundary inside the process needs PKU
//# twin: written, then executable
#include "attack.h"

static long now_gives_2(unsigned char *code) { return gives(code) == 2 ? 0 : -EIO; }

static long both(long unused) {
    unsigned char *page = victim_code();
    long result = call(SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    if (result < 0) return result;
    write_function(page, 2);
    return now_gives_2(page);
}

static int file;
static unsigned char *writable_view(void) {
    CHECK((file = memfd_create("code", 0)) >= 0 && ftruncate(file, 4096) == 0);
    unsigned char *view = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(view != MAP_FAILED);
    write_function(view, 1);
    return view;
}

static long write_through(unsigned char *writable, long code) {
    if (only_error(code)) return code;
    CHECK(gives((unsigned char *)code) == 1);
    write_function(writable, 2);
    return now_gives_2((unsigned char *)code);
}

static long two_views(long unused) {
    unsigned char *writable = writable_view();
    return write_through(writable, call(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0));
}

static long copied_view(long unused) {
    unsigned char *writable = writable_view();
    long code = call(SYS_mremap, writable, 0, 4096, MREMAP_MAYMOVE, 0);
    if (only_error(code)) return code;
    long result = call(SYS_mprotect, code, 4096, PROT_READ | PROT_EXEC);
    return result < 0 ? result : write_through(writable, code);
}

/// A function of the program's own text, alone on its page.
asm(".pushsection .text.own, \"ax\"\n .balign 4096\n own_text: mov $1, %eax\n ret\n .balign 4096\n .popsection");
extern unsigned char own_text[];

static long text(long unused) {
    long result = call(SYS_mprotect, own_text, 4096, PROT_READ | PROT_WRITE);
    if (result < 0) return result;
    write_function(own_text, 2);
    result = call(SYS_mprotect, own_text, 4096, PROT_READ | PROT_EXEC);
    return result < 0 ? result : now_gives_2(own_text);
}

static long in_turn(long unused) { return victim_code() ? 0 : -EIO; }

int main(void) {
    attack("mprotect to both", both, 0);
    attack("two views of a memory file", two_views, 0);
    attack("mremap of size 0", copied_view, 0);
    attack("text made writable", text, 0);
    twin("written, then executable", in_turn, 0);
    done();
}
