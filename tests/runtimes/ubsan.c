// Under UndefinedBehaviorSanitizer: some undefined operations, each reported; `ubsan fault` then
// dereferences a null pointer.
#include <limits.h>
#include <stdio.h>
#include <string.h>

static volatile int big = INT_MAX, zero, many = 40, index_of = 9;
static int *volatile none;

int main(int count, char **words) {
    int numbers[8] = {0};
    setvbuf(stdout, 0, _IOLBF, 0);
    printf("%d\n", big + 1 != 0);
    printf("%d\n", (1 << many) != 77);
    printf("%d\n", numbers[index_of & 15] != 77);
    _Bool truth;
    unsigned char two = 2;
    memcpy(&truth, &two, 1);
    if (*(volatile _Bool *)&truth) printf("truth\n"); else printf("untruth\n");
    char bytes[16] = {0};
    printf("%d\n", *(volatile int *)(bytes + 1 + zero));
    if (count > 1 && strcmp(words[1], "fault") == 0) printf("%d\n", *none);
    printf("end\n");
    return 3;
}
