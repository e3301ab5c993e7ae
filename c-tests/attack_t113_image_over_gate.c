// T113: an image whose own SYSCALL lies where the filter expects the gate, as the program and as its
// interpreter. No form of exec takes it; the same image elsewhere runs.
//#Backstop: strict,inspected
//#Native: as the program: ran
//#Native: as the interpreter: ran
//#Native: by the gate's instruction: ran
//#Native: elsewhere: ran
//#Shim: as the program: EPERM
//#Shim: as the interpreter: EPERM
//#Shim: by the gate's instruction: EPERM
//#Shim: elsewhere: ran
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

static void attack(const char *what, const char *path, int directly) {
    pid_t child = fork();
    if (child == 0) {
        long result = directly ? at_gate(SYS_execve, (long)path, (long)arguments, (long)environment, 0, 0)
                               : RAW(SYS_execve, path, arguments, environment);
        say("%s: %s", what, errno_name((int)result));
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (status == 42 << 8) say("%s: ran", what);
    else CHECK(status == 0);
}

int main(void) {
    CHECK(mkdtemp(folder));
    sprintf(image, "%s/image", folder);
    sprintf(program, "%s/program", folder);
    write_program(image, (unsigned long)GATE, 0);
    write_program(program, 0x20000000, image);
    attack("as the program", image, 0);
    attack("as the interpreter", program, 0);
    attack("by the gate's instruction", image, 1);
    write_program(image, 0x30000000, 0);
    attack("elsewhere", image, 0);
    CHECK(unlink(image) == 0 && unlink(program) == 0 && rmdir(folder) == 0);
    done();
}
