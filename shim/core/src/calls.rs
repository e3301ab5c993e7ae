//! The table of all system calls of x86-64.

/// A version of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 6 in 6.3.
    pub major: u8,
    /// 3 in 6.3.
    pub minor: u8,
    /// 16 in 2.6.16.
    pub patch: u8,
}

/// How many bits of an argument the kernel looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// The low 32.
    W32,
    /// All 64.
    W64,
}
