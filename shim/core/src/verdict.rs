//! What a policy can say to a call, and what it can ask.

/// What happens to a call, in the kernel's order of strictness: a smaller one is stricter, and of
/// several layers the strictest counts (seccomp(2), "the first-seen action value of highest precedence").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionKind {
    /// The process dies of SIGSYS.
    KillProcess,
    /// The thread dies of SIGSYS.
    KillThread,
    /// The program gets SIGSYS, as from `SECCOMP_RET_TRAP`, with this number as `si_errno`.
    Trap(u16),
    /// The call is not made, and gives this error.
    Errno(u16),
    /// A tracer decides, as with `SECCOMP_RET_TRACE`; without one the call gives ENOSYS.
    Trace(u16),
    /// The shim does what the call asks for in its own way ([`EMULATED`]).
    Emulate,
    /// The call is made.
    #[default]
    Allow,
}

impl ActionKind {
    /// Whether the call, or something that stands for it, is made.
    #[must_use]
    pub const fn lets_through(self) -> bool {
        matches!(self, Self::Allow | Self::Emulate)
    }
}

/// Calls that the shim does in its own way under every policy, so that `emulate` means something for
/// them: sorted numbers.
pub const EMULATED: &[u32] = &[
    crate::nr::RT_SIGACTION,
    crate::nr::RT_SIGPROCMASK,
    crate::nr::RT_SIGRETURN,
    crate::nr::RT_SIGPENDING,
    crate::nr::RT_SIGTIMEDWAIT,
    crate::nr::RT_SIGSUSPEND,
    crate::nr::SIGALTSTACK,
    crate::nr::PRCTL,
    crate::nr::ARCH_PRCTL,
    crate::nr::SECCOMP,
];

/// Memory that a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// `protected`: the shim's window ([`crate::layout::GATE`]`..`[`crate::layout::WINDOW_END`]).
    Protected,
}

impl Region {
    /// Its first byte, and one past its last; both are whole pages.
    #[must_use]
    pub const fn range(self) -> core::ops::Range<u64> {
        match self {
            Self::Protected => crate::layout::GATE..crate::layout::WINDOW_END,
        }
    }
}

/// What a `files` item gives, or a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `ro`: to look at and to read.
    Read,
    /// `rw`: that, and to write, to create and to remove.
    Write,
    /// `rx`: to read and to execute.
    Execute,
    /// `create`: to create what is not there, and to write it.
    Create,
}

impl Access {
    /// Whether an item with this access is enough for a call that asks for `wanted`.
    #[must_use]
    pub const fn covers(self, wanted: Self) -> bool {
        match wanted {
            Self::Read => !matches!(self, Self::Create),
            Self::Write => matches!(self, Self::Write),
            Self::Execute => matches!(self, Self::Execute),
            Self::Create => matches!(self, Self::Write | Self::Create),
        }
    }
}

/// What a policy asks of the map of the program's memory. Without `map`, there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// It is kept: what is protected stays as it is, and so does what the shim needs.
    pub map: bool,
    /// Nothing is writable and executable, by whatever views.
    pub wx: bool,
    /// What becomes executable has no instruction in it that changes the rights of protection keys.
    pub scan: bool,
}

impl Memory {
    /// What both ask for.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { map: self.map || other.map, wx: self.wx || other.wx, scan: self.scan || other.scan }
    }
}
