//! The one table of all system calls of x86-64: numbers, names, arguments, and what IA2 makes of
//! each.
//!
//! The table is generated from `syscalls.in`, which says where its facts come from. Numbers of the
//! x32 ABI (512 and up, and those with bit 30) are not in it. It holds numbers only, see `packed`; a
//! [`Call`] is made of a row when somebody asks for one.

use crate::constants::Set;
use crate::near;
use crate::packed::Names;
use core::fmt;
use core::ops::Deref;

mod ia2;
#[rustfmt::skip]
mod table;

pub use ia2::{Ia2, Ia2Policy, ia2};
use table::{ARGS, CALLS, TEXT};

/// One system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number in `rax`.
    pub nr: u32,
    /// The name in the kernel's table.
    pub name: &'static str,
    /// The first kernel that had it.
    pub since: Version,
    /// The arguments, in the order of the registers; empty for calls whose arguments nobody knows.
    pub args: Args,
    /// Whether the number answers `ENOSYS` in the newest kernel.
    pub obsolete: bool,
    names: Names,
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

/// The arguments of a call, a slice of them.
#[derive(Clone, Copy)]
pub struct Args {
    /// Those after the last are [`Arg::NONE`].
    all: [Arg; MOST],
    count: u8,
}

/// A call has no more arguments.
const MOST: usize = 6;

impl Default for Args {
    fn default() -> Self {
        Self { all: [Arg::NONE; MOST], count: 0 }
    }
}

impl Deref for Args {
    type Target = [Arg];

    fn deref(&self) -> &[Arg] {
        self.all.get(..usize::from(self.count)).unwrap_or(&[])
    }
}

impl<'a> IntoIterator for &'a Args {
    type Item = &'a Arg;
    type IntoIter = core::slice::Iter<'a, Arg>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Args {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Args {}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// One argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    /// The name in the manual page.
    pub name: &'static str,
    /// How many bits of the register the kernel looks at.
    pub width: Width,
    /// Whether those bits are a signed number.
    pub signed: bool,
    /// What the number means.
    pub kind: Kind,
    /// The constants that belong to it.
    pub set: Option<Set>,
    names: Names,
}

impl Arg {
    const NONE: Self = Self {
        name: "",
        width: Width::W64,
        signed: false,
        kind: Kind::Unused,
        set: None,
        names: Names::NONE,
    };

    /// Other names, among them that of the kernel's prototype.
    pub fn aliases(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.names.others(TEXT)
    }

    /// Whether `name` means this argument.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases().any(|alias| alias == name)
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

/// A call in the table.
struct Row {
    nr: u16,
    names: Names,
    since: Version,
    obsolete: bool,
    /// Its arguments in the table of arguments: the first, and how many.
    args: (u16, u8),
}

/// An argument in the table.
struct ArgRow {
    names: Names,
    width: Width,
    signed: bool,
    kind: Kind,
    set: Option<Set>,
}

impl Row {
    fn is_called(&self, name: &str) -> bool {
        self.names.name().is(TEXT, name)
    }

    fn has_alias(&self, name: &str) -> bool {
        self.names.others(TEXT).any(|alias| alias == name)
    }

    fn args(&self) -> &'static [ArgRow] {
        let (first, count) = (usize::from(self.args.0), usize::from(self.args.1));
        ARGS.get(first..first.wrapping_add(count)).unwrap_or(&[])
    }

    fn call(&self) -> Call {
        let Self { nr, names, since, obsolete, .. } = *self;
        let name = names.name().of(TEXT);
        let mut args = Args { all: [Arg::NONE; MOST], count: self.args.1 };
        for (arg, row) in args.all.iter_mut().zip(self.args()) {
            *arg = row.arg();
        }
        Call { nr: nr.into(), name, since, args, obsolete, names }
    }
}

impl ArgRow {
    fn arg(&self) -> Arg {
        let Self { names, width, signed, kind, set } = *self;
        Arg { name: names.name().of(TEXT), width, signed, kind, set, names }
    }
}

/// The highest number known.
pub const NEWEST: u32 = match CALLS.last() {
    Some(row) => row.nr as u32,
    None => 0,
};

impl Call {
    /// Other names that mean this call and no other.
    pub fn aliases(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.names.others(TEXT)
    }

    /// The argument that `name` means, and its index. The name of a [`register`] means no other.
    #[must_use]
    pub fn arg(&self, name: &str) -> Option<(usize, Arg)> {
        let is_register = |at: &usize| register(name).is_none_or(|register| register == *at);
        self.called(name).filter(|(at, _)| is_register(at))
    }

    /// The argument that its manual page calls `name`, and its index: prctl(2) says `arg2`, counting from 1.
    #[must_use]
    pub fn called(&self, name: &str) -> Option<(usize, Arg)> {
        self.args.iter().copied().enumerate().find(|(_, arg)| arg.is_called(name))
    }
}

/// The index of the register that is called `name` in every call: `arg0` to `arg5`.
#[must_use]
pub fn register(name: &str) -> Option<usize> {
    match name.as_bytes() {
        [b'a', b'r', b'g', digit @ b'0'..=b'5'] => Some(usize::from(digit.wrapping_sub(b'0'))),
        _ => None,
    }
}

/// All calls, sorted by number.
pub fn all() -> impl ExactSizeIterator<Item = Call> + Clone {
    CALLS.iter().map(Row::call)
}

fn row(nr: u32) -> Option<&'static Row> {
    let index = CALLS.binary_search_by_key(&nr, |row| row.nr.into()).ok()?;
    CALLS.get(index)
}

/// The call with this number.
#[must_use]
pub fn by_nr(nr: u32) -> Option<Call> {
    row(nr).map(Row::call)
}

/// The name of the call with this number, for those who want no more of it.
#[must_use]
pub fn name(nr: u32) -> Option<&'static str> {
    row(nr).map(|row| row.names.name().of(TEXT))
}

/// The arguments of the call with this number, one after the other; as [`name`].
pub fn args(nr: u32) -> impl ExactSizeIterator<Item = Arg> + Clone {
    row(nr).map_or(&[][..], Row::args).iter().map(ArgRow::arg)
}

/// The call with this name or alias; `sys_` in front is allowed, as in the kernel.
#[must_use]
pub fn by_name(name: &str) -> Option<Call> {
    named(name).map(Row::call)
}

/// The number of the call with this name or alias, as [`by_name`].
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    named(name).map(|row| row.nr.into())
}

fn named(name: &str) -> Option<&'static Row> {
    let name = name.strip_prefix("sys_").unwrap_or(name);
    let (order, starts) = &BY_LENGTH;
    let range = starts.get(name.len()..name.len().saturating_add(2)).unwrap_or(&[0, 0]);
    let &[start, end] = range else { return None };
    let alike = order.get(start.into()..end.into()).unwrap_or(&[]);
    let mut rows = alike.iter().filter_map(|index| CALLS.get(usize::from(*index)));
    let found = rows.find(|row| row.is_called(name));
    found.or_else(|| CALLS.iter().find(|row| row.has_alias(name)))
}

/// One more than the length of the longest name.
const LENGTHS: usize = 33;

/// The rows by the length of their names, and where each length starts.
static BY_LENGTH: ([u16; CALLS.len()], [u16; LENGTHS + 1]) = by_length();

const fn by_length() -> ([u16; CALLS.len()], [u16; LENGTHS + 1]) {
    let (mut order, mut starts) = ([0; CALLS.len()], [0; LENGTHS + 1]);
    let (mut len, mut at) = (0, 0);
    while len < LENGTHS {
        starts[len] = at as u16;
        let mut index = 0;
        while index < CALLS.len() {
            if CALLS[index].names.len() == len {
                order[at] = index as u16;
                at += 1;
            }
            index += 1;
        }
        len += 1;
    }
    starts[LENGTHS] = at as u16;
    assert!(at == CALLS.len(), "a name is longer");
    (order, starts)
}

/// The name or alias of a call that is nearest to a mistyped one.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let names = CALLS.iter().map(|row| row.names.name().of(TEXT));
    let aliases = CALLS.iter().flat_map(|row| row.names.others(TEXT));
    near::nearest(name.strip_prefix("sys_").unwrap_or(name), names.chain(aliases))
}
