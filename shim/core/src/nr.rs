//! The system-call numbers of x86-64 that the shim itself looks at.
//!
//! Numbers as in the kernel's `arch/x86/entry/syscalls/syscall_64.tbl`.

#![allow(missing_docs, reason = "the kernel's own names say it")]

pub const READ: u32 = 0;
pub const WRITE: u32 = 1;
pub const OPEN: u32 = 2;
pub const CLOSE: u32 = 3;
pub const STAT: u32 = 4;
pub const FSTAT: u32 = 5;
pub const POLL: u32 = 7;
pub const LSEEK: u32 = 8;
pub const MMAP: u32 = 9;
pub const MPROTECT: u32 = 10;
pub const MUNMAP: u32 = 11;
pub const BRK: u32 = 12;
pub const RT_SIGACTION: u32 = 13;
pub const RT_SIGPROCMASK: u32 = 14;
pub const RT_SIGRETURN: u32 = 15;
pub const IOCTL: u32 = 16;
pub const PREAD64: u32 = 17;
pub const ACCESS: u32 = 21;
pub const MREMAP: u32 = 25;
pub const MADVISE: u32 = 28;
pub const SHMAT: u32 = 30;
pub const DUP2: u32 = 33;
pub const NANOSLEEP: u32 = 35;
pub const GETPID: u32 = 39;
pub const CLONE: u32 = 56;
pub const FORK: u32 = 57;
pub const VFORK: u32 = 58;
pub const EXECVE: u32 = 59;
pub const EXIT: u32 = 60;
pub const SHMDT: u32 = 67;
pub const FCNTL: u32 = 72;
pub const FLOCK: u32 = 73;
pub const READLINK: u32 = 89;
pub const CAPGET: u32 = 125;
pub const RT_SIGPENDING: u32 = 127;
pub const RT_SIGTIMEDWAIT: u32 = 128;
pub const RT_SIGSUSPEND: u32 = 130;
pub const SIGALTSTACK: u32 = 131;
pub const PERSONALITY: u32 = 135;
pub const PRCTL: u32 = 157;
pub const ARCH_PRCTL: u32 = 158;
pub const GETTID: u32 = 186;
pub const IO_SETUP: u32 = 206;
pub const IO_DESTROY: u32 = 207;
pub const REMAP_FILE_PAGES: u32 = 216;
pub const EXIT_GROUP: u32 = 231;
pub const OPENAT: u32 = 257;
pub const NEWFSTATAT: u32 = 262;
pub const READLINKAT: u32 = 267;
pub const FACCESSAT: u32 = 269;
pub const PSELECT6: u32 = 270;
pub const PPOLL: u32 = 271;
pub const UNSHARE: u32 = 272;
pub const EPOLL_PWAIT: u32 = 281;
pub const SIGNALFD: u32 = 282;
pub const SIGNALFD4: u32 = 289;
pub const DUP3: u32 = 292;
pub const RT_TGSIGQUEUEINFO: u32 = 297;
pub const PROCESS_VM_READV: u32 = 310;
pub const SECCOMP: u32 = 317;
pub const GETRANDOM: u32 = 318;
pub const EXECVEAT: u32 = 322;
pub const MEMBARRIER: u32 = 324;
pub const PKEY_MPROTECT: u32 = 329;
pub const STATX: u32 = 332;
pub const IO_PGETEVENTS: u32 = 333;
pub const RSEQ: u32 = 334;
pub const PIDFD_OPEN: u32 = 434;
pub const CLONE3: u32 = 435;
pub const CLOSE_RANGE: u32 = 436;
pub const OPENAT2: u32 = 437;
pub const FACCESSAT2: u32 = 439;
pub const EPOLL_PWAIT2: u32 = 441;
pub const MAP_SHADOW_STACK: u32 = 453;
pub const MSEAL: u32 = 462;

/// The calls that the shim looks at under every policy, because they touch what it lives on, each
/// with the reason. Sorted by number.
pub const INSPECTED: &[(u32, &str)] = &[
    (MMAP, "the text of a library is rewritten before anybody can run it"),
    (MPROTECT, "text that becomes writable gets its own bytes back"),
    (RT_SIGACTION, "every handler is reached through the shim's own"),
    (RT_SIGPROCMASK, "held signals are blocked only in name"),
    (RT_SIGRETURN, "the alternate stack in the frame is the program's, not the kernel's"),
    (CLONE, "the child needs a block before its first instruction"),
    (FORK, "the child's locks, counters and dispatch selector start anew"),
    (VFORK, "the child shares the memory, so it needs a block of its own"),
    (EXECVE, "a new program is started by the loader"),
    (EXIT, "the thread's block is given back"),
    (RT_SIGPENDING, "held signals pend in the shim"),
    (RT_SIGTIMEDWAIT, "held signals pend in the shim"),
    (RT_SIGSUSPEND, "takes a mask"),
    (SIGALTSTACK, "the kernel's alternate stack is the shim's"),
    (PRCTL, "the program's own filters, and what it is told of the shim's"),
    (ARCH_PRCTL, "the gs base is the shim's"),
    (EXIT_GROUP, "the statistics are written"),
    (PSELECT6, "takes a mask"),
    (PPOLL, "takes a mask"),
    (EPOLL_PWAIT, "takes a mask"),
    (SIGNALFD, "takes a mask"),
    (SIGNALFD4, "takes a mask"),
    (SECCOMP, "the program's own filters"),
    (EXECVEAT, "as execve"),
    (MEMBARRIER, "the shim has registered itself, the program has not"),
    (PKEY_MPROTECT, "as mprotect"),
    (IO_PGETEVENTS, "takes a mask"),
    (CLONE3, "as clone"),
    (CLOSE_RANGE, "leaves the loader's descriptors open"),
    (EPOLL_PWAIT2, "takes a mask"),
];

/// The calls that could take the loader's descriptors away. A filter refuses to; without one it is left
/// to the shim.
pub const GUARDED: &[u32] = &[CLOSE, IOCTL, DUP2, FCNTL, DUP3];

/// The calls that change which memory there is, and those that a protected range refuses: what the shim
/// looks at where a policy asks for a map of memory. Sorted.
pub const MEMORY: &[u32] = &[
    MMAP,
    MPROTECT,
    MUNMAP,
    BRK,
    MREMAP,
    MADVISE,
    SHMAT,
    SHMDT,
    IO_SETUP,
    IO_DESTROY,
    REMAP_FILE_PAGES,
    PKEY_MPROTECT,
    MAP_SHADOW_STACK,
    MSEAL,
];

/// Whether call `nr` is one of [`MEMORY`].
#[must_use]
pub fn is_memory(nr: u32) -> bool {
    MEMORY.binary_search(&nr).is_ok()
}

/// Whether the shim looks at call `nr` under every policy.
#[must_use]
pub fn is_inspected(nr: u32) -> bool {
    INSPECTED.binary_search_by_key(&nr, |row| row.0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{INSPECTED, MEMORY, is_inspected, is_memory};

    #[test]
    fn inspected_calls_are_sorted_so_that_binary_search_finds_them() {
        assert!(INSPECTED.is_sorted_by_key(|row| row.0));
        assert!(INSPECTED.iter().all(|row| is_inspected(row.0)));
        assert!(MEMORY.is_sorted() && MEMORY.iter().all(|nr| is_memory(*nr)));
        assert!(!is_inspected(0) && !is_inspected(39) && !is_inspected(u32::MAX));
    }
}
