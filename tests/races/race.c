// A race for what a policy judges: one thread makes a call again and again, another changes what the call is
// about, in a tight loop, between what the policy allows and what it refuses.
//
//     race CALL CHANGE JUDGE ROUNDS [first]
//
// CALL and CHANGE are in the tables below. The race is won if a call that was allowed reaches what is refused;
// that is looked up each time, by inode, open mode or exit status. With `first`, the first win is the end.
//
// JUDGE is `policy` under the shim. `itself` is the control: the program looks at what the call is about as a
// monitor would that keeps no copy, and then makes the call. That must be won, or the race is none.
//
// The folder it is started in (tests/races.rs makes it) has
//
//     a/file  cut     allowed: programs that exit with ALLOWED
//     r/file  cut.r   refused: programs that exit with REFUSED
//     ro/file         may be read
//     links/          for links
//     source          to be moved
#include "../../c-tests/harness.h"
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>

/// Exit status of the programs, and of a child that could execute neither.
enum { ALLOWED = 10, REFUSED = 20, NEITHER = 30 };

/// What can become of a call.
enum { IS_REFUSED, IS_ALLOWED, IS_WON, OUTCOMES };

/// What is changed.
struct change {
    const char *name;
    /// The path that the call is given, and what it means then: the allowed name, and the refused one.
    const char *path, *means[2];
    /// The byte of the path that is rewritten, from its end, and its two values.
    int byte;
    char values[2];
    /// The link that is turned, and where it leads; if it is not always one, a folder takes its place.
    const char *link, *leads[2];
    /// Errors besides EACCES: of an open that met links again and again where none was when it was judged, and of
    /// a call that was allowed, and found nothing.
    int refusal, absence;
};
static const struct change changes[] = {
    {.name = "letter", .path = "a/file", .means = {"a/file", "r/file"}, .byte = 6, .values = "ar"},
    {.name = "length", .path = "cut.r", .means = {"cut", "cut.r"}, .byte = 2, .values = {0, '.'}},
    {.name = "flags", .path = "ro/file", .means = {"ro/file", "ro/file"}},
    {.name = "last-link",
     .path = "links/file",
     .means = {"a/file", "r/file"},
     .link = "links/file",
     .leads = {"../a/file", "../r/file"}},
    {.name = "dangling-link",
     .path = "links/file",
     .means = {"a/file", "r/file"},
     .link = "links/file",
     .leads = {"../a/none", "../r/file"},
     .absence = ENOENT},
    {.name = "middle-link",
     .path = "links/folder/file",
     .means = {"a/file", "r/file"},
     .link = "links/folder",
     .leads = {"../a", "../r"}},
    {.name = "folder-or-link",
     .path = "links/folder/file",
     .means = {0, "r/file"},
     .link = "links/folder",
     .leads = {0, "../r"},
     .refusal = ELOOP},
};
static const struct change *change;

static char folder[4096];
/// Each in cache lines of its own.
static _Alignas(64) char path[4096];
static _Alignas(64) struct open_how how;
static _Alignas(64) volatile long turns;
static volatile int is_over;
static int judges_itself;
static const char *means[2];
static int cwd;
static ino_t inodes[2];

static ino_t inode_of(const char *name) {
    struct stat found;
    return lstat(name, &found) == 0 ? found.st_ino : 0;
}

/// The byte that is rewritten.
static char *byte(void) {
    static char *found;
    if (!found) found = path + strlen(path) - change->byte;
    return found;
}

static void exchange(const char *one, const char *other) {
    CHECK(renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0);
}

/// Makes the call be about what is allowed (0), or what is refused (1).
static void turn(int to) {
    static int is_now;
    if (change->link && !change->leads[0]) {
        if (to != is_now) exchange("links/spare", change->link);
        is_now = to;
    } else if (change->link) {
        CHECK(symlink(change->leads[to], "links/spare") == 0);
        CHECK(rename("links/spare", change->link) == 0);
    } else if (change->byte) {
        __atomic_store_n(byte(), change->values[to], __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&how.flags, to ? O_RDWR : O_RDONLY, __ATOMIC_RELAXED);
    }
    turns++;
}

/// Makes the folder that takes turns with a link. It is reached by its descriptor wherever it is.
static void make_folder(void) {
    static char found[64];
    CHECK(mkdir(change->link, 0700) == 0 && link("a/file", change->path) == 0);
    CHECK(symlink(change->leads[1], "links/spare") == 0);
    int fd = open(change->link, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    snprintf(found, sizeof found, "/proc/self/fd/%d/file", fd);
    means[0] = found;
}

/// Keeps this thread on the processor of this number, of those there are. On the same one the two would take
/// turns, and nothing would change within a call.
static void stay_on(int number) {
    static cpu_set_t all;
    cpu_set_t one;
    if (CPU_COUNT(&all) == 0) CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && number-- == 0) CPU_SET(cpu, &one);
    CHECK(CPU_COUNT(&one) == 1 || !"a race needs two processors");
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

static void *keep_turning(void *unused) {
    stay_on(1);
    for (int to = 0; !is_over; to = !to) turn(to);
    return unused;
}

/// Whether the call is about what is refused, at this moment.
static int looks_refused(void) {
    char target[64] = {0};
    if (change->link) CHECK(readlink(change->link, target, sizeof target - 1) > 0 || errno == EINVAL);
    return change->link   ? strcmp(target, change->leads[1]) == 0
           : change->byte ? __atomic_load_n(byte(), __ATOMIC_RELAXED) == change->values[1]
                          : __atomic_load_n(&how.flags, __ATOMIC_RELAXED) == O_RDWR;
}

/// What became of a call that failed.
static int failed(long result) {
    if (result == -EACCES || -result == change->refusal) return IS_REFUSED;
    errno = (int)-result;
    CHECK(-result == change->absence);
    return IS_ALLOWED;
}

/// Makes the call as the judge allows it.
#define JUDGED(...) (judges_itself && looks_refused() ? -EACCES : RAW(__VA_ARGS__))

static int opened(long fd) {
    if (fd < 0) return failed(fd);
    struct stat found;
    CHECK(fstat((int)fd, &found) == 0);
    int mode = fcntl((int)fd, F_GETFL) & O_ACCMODE;
    CHECK(close((int)fd) == 0);
    return found.st_ino == inodes[1] || mode != O_RDONLY ? IS_WON : IS_ALLOWED;
}

static int by_open(void) { return opened(JUDGED(SYS_open, path, O_RDONLY)); }
static int by_openat(void) { return opened(JUDGED(SYS_openat, cwd, path, O_RDONLY)); }
static int by_openat2(void) { return opened(JUDGED(SYS_openat2, cwd, path, &how, sizeof how)); }

static int by_execve(void) {
    static char *arguments[] = {"ends", 0}, *environment[] = {0};
    volatile long result = 0;
    pid_t child = vfork(); // shares its memory, so the path goes on changing
    CHECK(child >= 0);
    if (child == 0) {
        result = JUDGED(SYS_execve, path, arguments, environment);
        _exit(NEITHER);
    }
    int end = ended(child);
    if (end == NEITHER) return failed(result);
    CHECK(end == ALLOWED || end == REFUSED);
    return end == REFUSED ? IS_WON : IS_ALLOWED;
}

/// Moves a file back. That is no call that the policy has a rule for.
static void restore(const char *from, const char *to) {
    CHECK(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) == 0);
}

static int by_rename(void) {
    long result = JUDGED(SYS_rename, path, "moved");
    if (result < 0) return failed(result);
    int is_won = inode_of("moved") == inodes[1];
    restore("moved", means[is_won]);
    return is_won ? IS_WON : IS_ALLOWED;
}

static int by_rename_to(void) {
    static ino_t source;
    if (!source) source = inode_of("source");
    long result = JUDGED(SYS_rename, "source", path);
    if (result < 0) return failed(result);
    int is_won = inode_of(means[1]) == source;
    restore(means[is_won], "source");
    return is_won ? IS_WON : IS_ALLOWED;
}

static const struct {
    const char *name;
    int (*make)(void);
    /// Whether the path is given from a descriptor of the folder.
    int is_relative;
    /// Before each call so many pauses are made at most: else the two threads fall into step, and every turn finds
    /// the call at the same point.
    unsigned pauses;
} calls[] = {
    {"open", by_open, 0, 128},      {"openat", by_openat, 1, 128}, {"openat2", by_openat2, 1, 128},
    {"execve", by_execve, 0, 2048}, {"rename", by_rename, 0, 128},  {"rename-to", by_rename_to, 0, 128},
};

static void pause_at_random(unsigned most) {
    static unsigned state = 1; // xorshift
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    for (unsigned left = state % most; left > 0; left--) __builtin_ia32_pause();
}

/// The row of a table that has this name.
#define ROW(table, wanted)                                                                         \
    ({                                                                                             \
        size_t row = 0, rows = sizeof(table) / sizeof *(table);                                    \
        while (row < rows && strcmp((table)[row].name, wanted)) row++;                             \
        CHECK(row < rows);                                                                         \
        &(table)[row];                                                                             \
    })

int main(int count, char **arguments) {
    CHECK(count == 5 || (count == 6 && strcmp(arguments[5], "first") == 0));
    typeof(&calls[0]) call = ROW(calls, arguments[1]);
    change = ROW(changes, arguments[2]);
    judges_itself = strcmp(arguments[3], "itself") == 0;
    CHECK(judges_itself || strcmp(arguments[3], "policy") == 0);
    long wanted = strtol(arguments[4], 0, 10), round = 0, seen = 0;
    CHECK(wanted > 0 && getcwd(folder, sizeof folder));
    CHECK((cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0);
    memcpy(means, change->means, sizeof means);
    if (!means[0]) make_folder();
    for (int i = 0; i < 2; i++) CHECK((inodes[i] = inode_of(means[i])) != 0);
    if (inodes[0] == inodes[1]) inodes[1] = 0; // the flags change, and not the file
    int length = snprintf(path, sizeof path, "%s%s%s", call->is_relative ? "" : folder,
                          call->is_relative ? "" : "/", change->path);
    CHECK(length > 0 && length < (int)sizeof path);
    byte();
    turn(0);

    stay_on(0);
    pthread_t turner;
    CHECK(pthread_create(&turner, 0, keep_turning, 0) == 0);
    long outcomes[OUTCOMES] = {0};
    while (round < wanted && !(count == 6 && outcomes[IS_WON])) {
        // A turner that does not get to run makes no race.
        if (round++ % 16 == 0) {
            while (turns == seen) sched_yield();
            seen = turns;
        }
        pause_at_random(call->pauses);
        outcomes[call->make()]++;
    }
    is_over = 1;
    CHECK(pthread_join(turner, 0) == 0);
    say("rounds %ld refused %ld allowed %ld won %ld turns %ld", round, outcomes[IS_REFUSED],
        outcomes[IS_ALLOWED], outcomes[IS_WON], turns);
    done();
}
