// What every program here uses: the seed, the rounds, random numbers, a digest.
//
// A program is started with two arguments, seed and rounds. What it chooses follows from the seed
// alone; when signals arrive does not. So its output says only what the seed decides, and everything
// else is checked inside.
#pragma once
#include "../c-tests/harness.h"
#include <limits.h>

// As in linux/futex.h, which musl does not have.
enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_LOCK_PI = 6,
    FUTEX_UNLOCK_PI = 7,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_TID_MASK = 0x3fffffff,
};

/// State of a sequence of random numbers (xorshift64*), never 0.
struct chance {
    uint64_t state;
};

static uint64_t next_of(struct chance *chance) {
    uint64_t x = chance->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    chance->state = x;
    return x * 0x2545f4914f6cdd1dul;
}

/// A sequence of its own for `who`.
static struct chance sequence(uint64_t seed, uint64_t who) {
    struct chance chance = {(seed + 1) * 0x9e3779b97f4a7c15ul ^ (who + 1) * 0xd1b54a32d192ed03ul};
    if (chance.state == 0) chance.state = 1;
    for (int i = 0; i < 8; i++) next_of(&chance);
    return chance;
}

/// A number below `end`.
static uint64_t below(struct chance *chance, uint64_t end) { return next_of(chance) % end; }

/// True once in `times`.
static int once_in(struct chance *chance, uint64_t times) { return below(chance, times) == 0; }

static uint64_t seed;
static long turns;
/// Decides what the program does. Only the main thread takes from it, and no handler.
static struct chance plan;

static void start(int count, char **arguments) {
    CHECK(count == 3);
    seed = strtoull(arguments[1], 0, 10);
    turns = strtol(arguments[2], 0, 10);
    CHECK(turns > 0);
    plan = sequence(seed, 0);
}

/// What the seed decided and what came of it, as far as it must be the same in every run.
static uint64_t digest = 0xcbf29ce484222325ul;
static void note(uint64_t value) {
    digest = (digest ^ value) * 0x100000001b3ul;
    digest ^= digest >> 29;
}

/// Fails the program with what was being done.
#define FAIL(...)                                                                                  \
    do {                                                                                           \
        say("FAILED: " __VA_ARGS__);                                                               \
        _exit(1);                                                                                  \
    } while (0)

/// As CHECK, and says more.
#define NEED(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            say(__VA_ARGS__);                                                                      \
            check_failed(__FILE__, __LINE__, #condition, errno);                                   \
        }                                                                                          \
    } while (0)

static int64_t now(void) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return time.tv_sec * 1000000000l + time.tv_nsec;
}

static struct timespec span(int64_t nanoseconds) {
    return (struct timespec){nanoseconds / 1000000000, nanoseconds % 1000000000};
}

__attribute__((noreturn)) static void finish(void) {
    say("seed %lu, %ld rounds: %016lx", seed, turns, digest);
    done();
}
