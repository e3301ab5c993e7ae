// A program for musl: threads, files, sorting, formatted output.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t total;

static void *add(void *argument) {
    for (uint64_t i = 0; i < 10000; i++) {
        pthread_mutex_lock(&lock);
        total += i * (uint64_t)(uintptr_t)argument;
        pthread_mutex_unlock(&lock);
    }
    return argument;
}

static int compare(const void *one, const void *two) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)two;
    return (a > b) - (a < b);
}

int main(void) {
    pthread_t threads[16];
    for (uintptr_t i = 0; i < 16; i++)
        if (pthread_create(&threads[i], 0, add, (void *)(i + 1))) return 1;
    for (int i = 0; i < 16; i++)
        if (pthread_join(threads[i], 0)) return 2;
    printf("%llu\n", (unsigned long long)total);
    static uint32_t numbers[100000];
    for (uint32_t i = 0, n = 1; i < 100000; i++) numbers[i] = n = n * 1664525 + 1013904223;
    qsort(numbers, 100000, sizeof *numbers, compare);
    FILE *file = fopen("numbers", "w+");
    if (!file) return 3;
    for (int i = 0; i < 100000; i++) fprintf(file, "%u\n", numbers[i]);
    rewind(file);
    uint64_t sum = 0;
    for (unsigned n; fscanf(file, "%u", &n) == 1;) sum = sum * 31 + n;
    fclose(file);
    printf("%llu %u %u\n", (unsigned long long)sum, numbers[0], numbers[99999]);
    return unlink("numbers") ? 4 : 0;
}
