// EBADF, EINVAL and friends arrive in errno as always.
#include "harness.h"
#include <sys/ioctl.h>
#include <sys/stat.h>

int main(void) {
    struct stat status;
    char byte = 0;
    CHECK_ERRNO(read(-1, &byte, 1), EBADF);
    CHECK_ERRNO(write(987654, &byte, 1), EBADF);
    CHECK_ERRNO(close(987654), EBADF);
    CHECK_ERRNO(fstat(-1, &status), EBADF);
    CHECK_ERRNO(lseek(-1, 0, SEEK_SET), EBADF);
    CHECK_ERRNO(dup(-1), EBADF);
    CHECK_ERRNO(dup2(-1, 5), EBADF);
    CHECK_ERRNO(fcntl(-1, F_GETFL), EBADF);
    CHECK_ERRNO(ioctl(-1, TIOCGWINSZ, &byte), EBADF);
    CHECK_ERRNO(open("/does/not/exist", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/dev/null/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(0, 4096, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_mprotect, 1, 4096, PROT_READ), EINVAL);
    CHECK_ERRNO(syscall(SYS_munmap, 1, 4096), EINVAL);
    CHECK_ERRNO(waitpid(-1, 0, 0), ECHILD);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL);
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    signal(SIGPIPE, SIG_IGN);
    CHECK(close(ends[0]) == 0);
    CHECK_ERRNO(write(ends[1], &byte, 1), EPIPE);
    done();
}
