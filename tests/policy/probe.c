// Makes one system call and nothing else: `probe NUMBER [ARGUMENT]...`, each argument a number or, after
// an @, a text whose address is passed. The result is left in memory, where the test reads it, since a policy
// may refuse every call by which it could be told.
// gcc -O1 -static -no-pie -nostdlib -ffreestanding -fno-stack-protector

struct { unsigned long made; long result; } probe_result;

static unsigned long number(const char *text) {
    unsigned long value = 0, base = 10;
    int negative = *text == '-';
    text += negative;
    if (text[0] == '0' && text[1] == 'x') base = 16, text += 2;
    for (; *text; text++) value = value * base + (unsigned long)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return negative ? -value : value;
}

__attribute__((used)) static void probe(unsigned long *stack) {
    char **argv = (char **)(stack + 1);
    unsigned long values[7] = {0};
    for (unsigned long i = 1; i < stack[0] && i <= 7; i++)
        values[i - 1] = argv[i][0] == '@' ? (unsigned long)(argv[i] + 1) : number(argv[i]);
    register unsigned long r10 asm("r10") = values[4], r8 asm("r8") = values[5], r9 asm("r9") = values[6];
    long result;
    asm volatile("syscall" : "=a"(result)
                 : "a"(values[0]), "D"(values[1]), "S"(values[2]), "d"(values[3]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    *(volatile long *)&probe_result.result = result;
    *(volatile unsigned long *)&probe_result.made = 1;
    for (;;) asm volatile("pause");
}

asm(".globl _start\n_start:\nmov %rsp, %rdi\nand $-16, %rsp\ncall probe\n");
