//! What std has no words for: sealed memory files in fixed slots, the signal state of a process, and
//! an exec by descriptor that leaves the environment as it is.

#![allow(unsafe_code, reason = "calls libc")]

use core::ffi::CStr;
use core::ffi::{c_char, c_int};
use core::sync::atomic::{AtomicBool, Ordering};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};

use ia2_core::sigset::{HELD, SIG_MAX, UNBLOCKABLE, has, only};

/// SIGPIPE was ignored when the process started. The standard library ignores it before `main`.
static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// Runs before the standard library's start-up.
#[ctor::ctor(unsafe)]
fn remember_sigpipe() {
    PIPE_IGNORED.store(ignores(libc::SIGPIPE), Ordering::Relaxed);
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn ignores(signal: c_int) -> bool {
    // SAFETY: a query into a structure of integers.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        libc::sigaction(signal, core::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// The signal state to hand over: mask, held signals in it, held signals that are ignored. Every
/// signal is blocked from here on, and SIGPIPE is as it was.
pub(crate) fn hand_over_signals() -> (u64, u64, u64) {
    let ignored = (1..=SIG_MAX).filter(|sig| has(HELD, *sig) && ignores(*sig as c_int));
    let ignored = ignored.fold(0, |set, sig| set | only(sig));
    if !PIPE_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: no handler is set.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    let mut old = 0u64;
    let all = u64::MAX;
    // SAFETY: the kernel's own call, with two words of its size; libc's would spare its own signals.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, &raw mut old, 8);
    }
    (old & !HELD & !UNBLOCKABLE, old & HELD, ignored)
}

/// Makes `slot` a sealed memory file with what `fill` writes, which exec leaves open.
pub(crate) fn put(
    slot: c_int,
    name: &CStr,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    // SAFETY: a string that ends in NUL; the descriptor is new and nobody else's.
    let mut file = unsafe {
        let flags = libc::MFD_ALLOW_SEALING | libc::MFD_CLOEXEC;
        // Kernels with vm.memfd_noexec want to be told; others (before 6.3) do not know the flag.
        let told = libc::memfd_create(name.as_ptr(), flags | libc::MFD_EXEC);
        let fd = if told < 0 { libc::memfd_create(name.as_ptr(), flags) } else { told };
        File::from_raw_fd(check(fd)?)
    };
    fill(&mut file)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: descriptors only.
    unsafe {
        check(libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals))?;
        check(libc::dup2(file.as_raw_fd(), slot))?;
    }
    Ok(())
}

/// Runs `work` with descriptors up to `slot` allowed, whatever the soft limit is.
pub(crate) fn with_room<T>(slot: c_int, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let wanted = slot as libc::rlim_t + 1;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a structure of integers.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur >= wanted {
        return work();
    }
    let raised = libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max.max(wanted) };
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) })?;
    let done = work();
    // SAFETY: as above. What is open above the limit stays open.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    done
}

/// Lets exec leave a descriptor open.
pub(crate) fn keep_open(fd: c_int) -> io::Result<()> {
    // SAFETY: a descriptor only.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(|_| ())
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Executes the file that is open as `fd`; returns only if that fails.
pub(crate) fn exec(fd: c_int, arguments: &[CString]) -> io::Error {
    let mut list: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    list.push(core::ptr::null());
    // SAFETY: strings that end in NUL, and lists of them that end in null.
    unsafe {
        let empty = c"".as_ptr();
        let flags = libc::AT_EMPTY_PATH;
        libc::syscall(libc::SYS_execveat, fd, empty, list.as_ptr(), environ, flags);
    }
    io::Error::last_os_error()
}
