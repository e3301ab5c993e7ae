//! The rows of the table: what each measuring process is, what its floor is, and the bound.

use crate::site::Call;

/// The environment names that a row sets; every other row is started without them.
pub(crate) const OWN_VARIABLES: [&str; 6] =
    ["LD_PRELOAD", "IA2_BACKSTOP", "IA2_PATCH", "IA2_STATS", "IA2_LOG", "IA2_POLICY"];

/// One row: one configuration of a process that makes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Nothing between program and kernel.
    Native,
    /// A seccomp filter that looks at architecture and number only: the kernel answers known
    /// numbers from its bitmap, without running the program. Floor of `Inspected`.
    NumberFilter,
    /// The shim's own strict filter, with the measured instruction's address allowed.
    AddressFilter,
    /// Syscall User Dispatch on, with the measured instruction in the allowed range.
    Dispatch,
    /// Every call is trapped by seccomp; the smallest handler makes it again and returns.
    BareSigsys,
    /// Preloaded, `IA2_BACKSTOP=strict`.
    Strict,
    /// Preloaded, strict, under the built-in policy `ia2`.
    Policy,
    /// Preloaded, `IA2_BACKSTOP=inspected`.
    Inspected,
    /// Preloaded, `IA2_BACKSTOP=sud`.
    Sud,
    /// Preloaded, `IA2_BACKSTOP=none`.
    NoBackstop,
    /// Preloaded, strict, `IA2_PATCH=off`: every call takes the SIGSYS entry.
    Trapped,
}

impl Row {
    /// All rows. Each row of the shim stands next to its floor, so that the two are measured within
    /// milliseconds of each other.
    pub(crate) const ALL: [Self; 11] = [
        Self::Native,
        Self::NoBackstop,
        Self::AddressFilter,
        Self::Strict,
        Self::Policy,
        Self::NumberFilter,
        Self::Inspected,
        Self::Dispatch,
        Self::Sud,
        Self::BareSigsys,
        Self::Trapped,
    ];

    /// Name in the table, in JSON and as the worker's argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::NumberFilter => "number-filter",
            Self::AddressFilter => "address-filter",
            Self::Dispatch => "dispatch",
            Self::BareSigsys => "bare-sigsys",
            Self::Strict => "strict",
            Self::Policy => "policy-ia2",
            Self::Inspected => "inspected",
            Self::Sud => "sud",
            Self::NoBackstop => "none",
            Self::Trapped => "trapped",
        }
    }

    /// The row of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.name() == name)
    }

    /// For preloaded rows, the environment beside `LD_PRELOAD`.
    pub(crate) fn shim_environment(self) -> Option<&'static [(&'static str, &'static str)]> {
        match self {
            Self::Strict => Some(&[("IA2_BACKSTOP", "strict")]),
            Self::Policy => Some(&[("IA2_BACKSTOP", "strict"), ("IA2_POLICY", "ia2")]),
            Self::Inspected => Some(&[("IA2_BACKSTOP", "inspected")]),
            Self::Sud => Some(&[("IA2_BACKSTOP", "sud")]),
            Self::NoBackstop => Some(&[("IA2_BACKSTOP", "none")]),
            Self::Trapped => Some(&[("IA2_BACKSTOP", "strict"), ("IA2_PATCH", "off")]),
            _ => None,
        }
    }

    /// The row without the shim that does the same work in the kernel.
    pub(crate) fn floor(self) -> Option<Self> {
        match self {
            Self::Strict | Self::Policy => Some(Self::AddressFilter),
            Self::Inspected => Some(Self::NumberFilter),
            Self::Sud => Some(Self::Dispatch),
            Self::NoBackstop => Some(Self::Native),
            Self::Trapped => Some(Self::BareSigsys),
            _ => None,
        }
    }

    /// How far above its floor one uninspected call may be.
    pub(crate) fn bound(self, call: Call) -> Option<f64> {
        match (self, call) {
            (Self::Strict | Self::Sud | Self::NoBackstop, Call::Getpid) => Some(1.03),
            (Self::Policy, Call::Getpid | Call::Read) => Some(1.10),
            (Self::Trapped, Call::Getpid) => Some(1.2),
            _ => None,
        }
    }

    /// Whether the kernel must report a seccomp filter on the process.
    pub(crate) fn has_seccomp(self) -> bool {
        !matches!(self, Self::Native | Self::Dispatch | Self::Sud | Self::NoBackstop)
    }

    /// Whether the measured instruction must have been replaced by a jump.
    pub(crate) fn is_patched(self) -> bool {
        matches!(self, Self::Strict | Self::Policy | Self::Inspected | Self::Sud | Self::NoBackstop)
    }

    /// Arrivals that the worker's own SIGSYS handler must count per call.
    pub(crate) fn own_traps_per_call(self) -> u32 {
        u32::from(self == Self::BareSigsys)
    }
}
