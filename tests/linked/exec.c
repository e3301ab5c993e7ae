// Becomes the program that its arguments name.
#include <stdio.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count > 1) execv(arguments[1], arguments + 1);
    perror("exec");
    return 99;
}
