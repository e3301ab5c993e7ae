//! What a kernel may lack. It is asked, and not its version: stable kernels get more than fixes.

#![allow(unsafe_code, reason = "these calls have no safe form in std")]

/// Something that kernels have since some version.
#[derive(Debug)]
pub struct Feature {
    /// What heads of attacks call it.
    pub name: &'static str,
    /// The version of Linux.
    pub since: &'static str,
    has: fn() -> bool,
}

/// All that tests ask for.
pub static FEATURES: [Feature; 4] = [
    Feature { name: "PR_SET_MEMORY_MERGE", since: "6.4", has: has_memory_merge },
    Feature { name: "mseal", since: "6.10", has: has_mseal },
    Feature { name: "MADV_GUARD_INSTALL", since: "6.13", has: has_guard_install },
    Feature { name: "PIDFD_SELF", since: "6.14", has: has_pidfd_self },
];

impl Feature {
    /// The one with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// Whether the kernel that this process runs on has it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        (self.has)()
    }
}

fn has_memory_merge() -> bool {
    const PR_GET_MEMORY_MERGE: i32 = 68;
    // SAFETY: it asks.
    unsafe { libc::syscall(libc::SYS_prctl, PR_GET_MEMORY_MERGE, 0, 0, 0, 0) >= 0 }
}

fn has_mseal() -> bool {
    // SAFETY: of no bytes, it does nothing.
    unsafe { libc::syscall(libc::SYS_mseal, 0, 0, 0) == 0 }
}

fn has_guard_install() -> bool {
    const MADV_GUARD_INSTALL: i32 = 102;
    // SAFETY: of no bytes, it does nothing.
    unsafe { libc::syscall(libc::SYS_madvise, 0, 0, MADV_GUARD_INSTALL) == 0 }
}

fn has_pidfd_self() -> bool {
    const PIDFD_SELF_PROCESS: i32 = -10001;
    // SAFETY: the null signal does nothing.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, PIDFD_SELF_PROCESS, 0, 0, 0) == 0 }
}
