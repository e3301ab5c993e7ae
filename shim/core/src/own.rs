//! The calls that the shim and the loader make for themselves while a program runs.
//!
//! A policy judges the program, not the shim: a policy without `mmap` would otherwise be the end of the
//! first thread that needs a block. So the kernel lets these calls pass where the shim makes them, at the
//! gate's `args` and `raw`. That has a price, which `explain` names: at these two addresses a refusal of
//! such a call is the shim's alone, so it holds against a program that only misbehaves (A1), and not
//! against one that runs code of its own choice and jumps there (A2). Hence the list is short, and what is
//! needed for exec alone is only in it if the policy lets a program execute at all.
//!
//! What even the gate may not do (see [`crate::bpf`]) it may not do here either.

use crate::nr;

/// One call, and what the shim makes it for.
pub type Row = (u32, &'static str);

/// Without which no program runs under the shim. Sorted by number.
pub const ALWAYS: &[Row] = &[
    (nr::READ, "/proc/self/maps, before a site is patched"),
    (nr::WRITE, "messages and statistics"),
    (nr::CLOSE, "what was opened for the other rows"),
    (nr::FSTAT, "which library a text belongs to"),
    (nr::POLL, "whether a process that had a block has ended"),
    (nr::MMAP, "blocks of threads, stubs, plans of libraries"),
    (nr::MPROTECT, "the guard of a block; text while it is patched"),
    (nr::MUNMAP, "what was mapped for the other rows"),
    (nr::RT_SIGACTION, "the shim's own handlers"),
    (nr::RT_SIGPROCMASK, "the kernel's mask is not the program's"),
    (nr::RT_SIGRETURN, "every signal ends with it"),
    (nr::PREAD64, "plans of libraries"),
    (nr::NANOSLEEP, "to wait for a lock"),
    (nr::GETPID, "to raise a signal again"),
    (nr::EXIT, "a task can always end"),
    (nr::FLOCK, "the file of the statistics"),
    (nr::CAPGET, "whether the program may install a filter"),
    (nr::RT_SIGPENDING, "held signals pend in the shim, the others in the kernel"),
    (nr::SIGALTSTACK, "the kernel's alternate stack is the shim's"),
    (nr::PRCTL, "dispatch and filters of the program, which are known to the shim"),
    (nr::ARCH_PRCTL, "the gs base of a new task"),
    (nr::GETTID, "to raise a signal again"),
    (nr::EXIT_GROUP, "a process can always end"),
    (nr::OPENAT, "/proc/self/maps, plans, the file of the statistics"),
    (nr::NEWFSTATAT, "whether a path is /proc/self/exe"),
    (nr::READLINKAT, "whether a path is /proc/self/exe"),
    (nr::RT_TGSIGQUEUEINFO, "to raise a signal again"),
    (nr::PROCESS_VM_READV, "arguments of a program that faults on them"),
    (nr::MEMBARRIER, "all cores see a patch"),
    (nr::PIDFD_OPEN, "whether a process that had a block has ended"),
];

/// Without which no program is executed: the shim opens it and asks about it, and the loader maps it and
/// boots. Sorted by number.
pub const EXEC: &[Row] = &[
    (nr::LSEEK, "the length of the settings"),
    (nr::MREMAP, "the loader leaves its file"),
    (nr::FCNTL, "the program's descriptor stays open over exec"),
    (nr::PERSONALITY, "whether addresses are random"),
    (nr::UNSHARE, "exec parts descriptors that are shared"),
    (nr::GETRANDOM, "random addresses"),
    (nr::EXECVEAT, "the pinned form"),
    (nr::FACCESSAT2, "whether a program may be executed"),
    (nr::MSEAL, "the window"),
];

/// Whether `nr` is one of them; `exec` if the policy lets a program execute.
#[must_use]
pub fn is_own(nr: u32, exec: bool) -> bool {
    reason(nr, exec).is_some()
}

/// What the shim makes call `nr` for, if it does.
#[must_use]
pub fn reason(nr: u32, exec: bool) -> Option<&'static str> {
    let find = |rows: &'static [Row]| {
        let found = rows.binary_search_by_key(&nr, |row| row.0).ok()?;
        rows.get(found).map(|row| row.1)
    };
    find(ALWAYS).or_else(|| if exec { find(EXEC) } else { None })
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS, EXEC, is_own};
    use crate::nr;

    #[test]
    fn rows_are_sorted_so_that_binary_search_finds_them() {
        for rows in [ALWAYS, EXEC] {
            assert!(rows.is_sorted_by(|one, next| one.0 < next.0));
        }
        assert!(ALWAYS.iter().all(|row| is_own(row.0, false)));
        assert!(EXEC.iter().all(|row| is_own(row.0, true) && !is_own(row.0, false)));
        assert!(!is_own(nr::EXECVE, true));
    }
}
