// An image whose own SYSCALL lies where the filter expects the gate, as the program and as its interpreter. No
// form of exec takes it; the same image elsewhere runs.
//# case: T113
//# title: a program brings its own code to the gate's address
//# layers: B, X
//# policy: base, ia2
//# users: root, unprivileged
//# attack: as the program = A2 EPERM
//# attack: as the interpreter = A2 EPERM
//# twin: elsewhere
#include "attack.h"
#include <elf.h>

// A page of code that runs anywhere: SYSCALL at offset 0x29, as in the gate; it exits with 42.
asm(".pushsection .rodata\n"
    "code: .org code + 0x29, 0xcc\n"
    "syscall\n"
    ".org code + 0x100, 0xcc\n"
    "mov $231, %eax\n"
    "mov $42, %edi\n"
    "jmp code + 0x29\n"
    ".org code + 4096, 0xcc\n"
    ".popsection");
extern const char code[4096];

static char folder[] = "/tmp/ia2-t113-XXXXXX";
static char image[64], program[64];
static char *const arguments[] = {"name", 0}, *const environment[] = {0};

/// Writes a program that lies at `base`; with an interpreter, if one is named.
static void write_program(const char *path, unsigned long base, const char *interpreter) {
    char file[8192] = {0};
    Elf64_Ehdr *header = (Elf64_Ehdr *)file;
    Elf64_Phdr *entries = (Elf64_Phdr *)(file + sizeof *header);
    memcpy(header->e_ident, "\177ELF\2\1\1", 7);
    header->e_type = ET_EXEC;
    header->e_machine = EM_X86_64;
    header->e_version = 1;
    header->e_entry = base + 0x100;
    header->e_phoff = sizeof *header;
    header->e_ehsize = sizeof *header;
    header->e_phentsize = sizeof *entries;
    header->e_phnum = 1;
    *entries = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 4096, base, base, 4096, 4096, 4096};
    if (interpreter) {
        strcpy(file + 2048, interpreter);
        size_t length = strlen(interpreter) + 1;
        entries[1] = entries[0];
        entries[0] = (Elf64_Phdr){PT_INTERP, PF_R, 2048, 0, 0, length, length, 1};
        header->e_phnum = 2;
    }
    memcpy(file + 4096, code, 4096);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    CHECK(fd >= 0 && write(fd, file, sizeof file) == sizeof file && close(fd) == 0);
}

enum { PROGRAM, INTERPRETER, ELSEWHERE };

static long execute(long as) {
    write_program(image, as == ELSEWHERE ? 0x30000000 : (unsigned long)GATE, 0);
    write_program(program, 0x20000000, image);
    pid_t child = fork();
    if (child == 0) {
        long result = call(SYS_execve, as == INTERPRETER ? program : image, arguments, environment);
        _exit((int)-result);
    }
    int code = ended(child);
    return code == 42 ? 0 : code < 1000 ? -code : -EFAULT;
}

int main(void) {
    CHECK(mkdtemp(folder));
    sprintf(image, "%s/image", folder);
    sprintf(program, "%s/program", folder);
    attack("as the program", execute, PROGRAM);
    attack("as the interpreter", execute, INTERPRETER);
    twin("elsewhere", execute, ELSEWHERE);
    CHECK(unlink(image) == 0 && unlink(program) == 0 && rmdir(folder) == 0);
    done();
}
