//! The one table of all system calls of x86-64: numbers, names, arguments, and what IA2 makes of
//! each.
//!
//! The table is generated from `syscalls.in`, which says where its facts come from. Numbers of the
//! x32 ABI (512 and up, and those with bit 30) are not in it.

use crate::constants::Set;
use crate::near;
use core::fmt;

#[rustfmt::skip]
mod table;

pub use table::CALLS;

/// One system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number in `rax`.
    pub nr: u32,
    /// The name in the kernel's table.
    pub name: &'static str,
    /// Other names that mean this call and no other.
    pub aliases: &'static [&'static str],
    /// The first kernel that had it.
    pub since: Version,
    /// The arguments, in the order of the registers; empty for calls whose arguments nobody knows.
    pub args: &'static [Arg],
    /// Whether the number answers `ENOSYS` in the newest kernel.
    pub obsolete: bool,
    /// What IA2's table says; `None` for no call today.
    pub ia2: Option<Ia2>,
}

/// A kernel version. Of the oldest calls only "1.0 or earlier" is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The 2 of 2.6.16.
    pub major: u8,
    /// The 6 of 2.6.16.
    pub minor: u8,
    /// The 16 of 2.6.16; 0 for kernels since 3.0.
    pub patch: u8,
}

impl Version {
    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor, patch: 0 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.patch {
            0 => write!(f, "{}.{}", self.major, self.minor),
            patch => write!(f, "{}.{}.{patch}", self.major, self.minor),
        }
    }
}

/// One argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    /// The name in the manual page.
    pub name: &'static str,
    /// Other names, among them that of the kernel's prototype.
    pub aliases: &'static [&'static str],
    /// How many bits of the register the kernel looks at.
    pub width: Width,
    /// Whether those bits are a signed number.
    pub signed: bool,
    /// What the number means.
    pub kind: Kind,
    /// The constants that belong to it.
    pub set: Option<Set>,
}

impl Arg {
    /// Whether `name` means this argument.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// How much of a register the kernel looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// The lower 32 bits. The kernel ignores the upper half.
    W32,
    /// All of it.
    W64,
}

/// What an argument means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Int,
    /// A file descriptor.
    Fd,
    /// A number of bytes.
    Size,
    /// A process, thread or process group.
    Pid,
    /// A signal number.
    Signal,
    /// File mode bits. The kernel looks at the lower 16 bits only.
    Mode,
    /// A string that names a file.
    Path,
    /// Another string.
    Str,
    /// A socket address that the kernel reads.
    Sockaddr {
        /// The index of the argument that holds its length.
        len: u8,
    },
    /// Other memory.
    Ptr {
        /// Who writes it.
        dir: Dir,
        /// How long it is.
        len: Len,
    },
    /// A position in a file, or a length of one.
    Offset,
    /// Bits of [`Arg::set`].
    Flags,
    /// One constant of [`Arg::set`], which need not have them all.
    Choice,
    /// An address that the call does not read or write through as memory of its own.
    Address,
    /// Ignored by the kernel.
    Unused,
}

/// The direction in which memory behind a pointer is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dir {
    /// The kernel reads it.
    In,
    /// The kernel writes it.
    Out,
    /// The kernel reads and writes it.
    InOut,
}

/// The length of the memory behind a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Len {
    /// Not to be told from the arguments.
    Unknown,
    /// As many bytes as the argument of this index says.
    Arg(u8),
    /// So many bytes.
    Fixed(u16),
    /// As many items as an argument says.
    Items {
        /// The index of that argument.
        arg: u8,
        /// The size of one item in bytes.
        size: u16,
    },
}

/// The row of a call in IA2's table, and what we made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ia2 {
    /// The table's word for what the call is about.
    pub category: &'static str,
    /// The policy, ours where it differs.
    pub policy: Ia2Policy,
    /// The words of the table; empty for calls that are newer than it.
    pub seed: &'static str,
    /// Why ours differs, or what was said about the row; empty if nothing was.
    pub reason: &'static str,
    /// The table's policy, where ours differs.
    pub seed_policy: Option<Ia2Policy>,
}

/// What IA2 does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ia2Policy {
    /// It is done.
    Allow,
    /// It is refused.
    Forbid,
    /// It depends; the class of rule that decides. `syscalls.in` explains each.
    Complex(&'static str),
}

/// The highest number known.
pub const NEWEST: u32 = match CALLS.last() {
    Some(call) => call.nr,
    None => 0,
};

impl Call {
    /// The argument that `name` means, and its index.
    #[must_use]
    pub fn arg(&self, name: &str) -> Option<(usize, &'static Arg)> {
        self.args.iter().enumerate().find(|(_, arg)| arg.is_called(name))
    }
}

/// The call with this number.
#[must_use]
pub fn by_nr(nr: u32) -> Option<&'static Call> {
    let index = CALLS.binary_search_by_key(&nr, |call| call.nr).ok()?;
    CALLS.get(index)
}

/// The call with this name or alias; `sys_` in front is allowed, as in the kernel.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Call> {
    let name = name.strip_prefix("sys_").unwrap_or(name);
    let named = CALLS.iter().find(|call| call.name == name);
    named.or_else(|| CALLS.iter().find(|call| call.aliases.contains(&name)))
}

/// The name or alias of a call that is nearest to a mistyped one.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let names = CALLS.iter().map(|call| call.name);
    let aliases = CALLS.iter().flat_map(|call| call.aliases.iter().copied());
    near::nearest(name.strip_prefix("sys_").unwrap_or(name), names.chain(aliases))
}
