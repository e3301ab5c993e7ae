// A file is opened by its handle, which is no path, so no rule about paths sees it.
//# case: T09
//# title: a file is opened by its handle
//# layers: B
//# policy: ia2
//# users: root
//# attack: open_by_handle_at = A2 EPERM
//# twin: name_to_handle_at
#include "attack.h"

static union {
    struct file_handle handle;
    char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} named;
static int folder;

static long name(long unused) {
    int mount;
    named.handle.handle_bytes = MAX_HANDLE_SZ;
    return name_to_handle_at(folder, "", &named.handle, &mount, AT_EMPTY_PATH) ? -errno : 0;
}

static long open_handle(long unused) {
    CHECK(name(0) == 0);
    return only_error(call(SYS_open_by_handle_at, folder, &named.handle, O_RDONLY));
}

int main(void) {
    CHECK((folder = open("/dev/shm", O_RDONLY | O_DIRECTORY)) >= 0);
    attack("open_by_handle_at", open_handle, 0);
    twin("name_to_handle_at", name, 0);
    done();
}
