//! How a site is patched, and why one is left alone.

/// The shape of a patch. Preferred in this order, because the first two move nothing but what they
/// overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Form {
    /// One preceding instruction of five bytes or more becomes the jump (mostly `mov $nr,%eax`).
    /// The `SYSCALL` stays: a jump straight to it still works, it traps.
    A,
    /// The two bytes of the `SYSCALL` become `jmp rel8` to an island of padding within reach,
    /// which holds the `jmp rel32`.
    D,
    /// The `SYSCALL` and what follows, up to five bytes or more, become the jump.
    B,
    /// What precedes, and the `SYSCALL`, become the jump.
    C,
}

impl Form {
    /// All forms, in the order of preference.
    pub const ALL: [Self; 4] = [Self::A, Self::D, Self::B, Self::C];

    /// The letter used in reports.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}

/// Why a site is left to trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Refusal {
    /// No unwind entry and no symbol says where the function begins and ends.
    NoFunction,
    /// The function has an instruction that does not decode.
    Undecodable,
    /// The function has an indirect jump whose targets could not be shown to miss the moved
    /// instructions, and no form that moves nothing fits.
    IndirectJump,
    /// A branch lands on an instruction that would have to move.
    BranchTarget,
    /// The neighbours cannot run elsewhere (short branch, call, `ret`, `rip` in an odd place), or
    /// the function ends too early.
    Immovable,
    /// A signal restorer without a signal-frame unwind entry: unwinders know it by its bytes.
    Restorer,
    /// No stub memory within ±2 GiB of the text.
    NoStubMemory,
    /// The bytes in memory were not the bytes that were planned for.
    Changed,
    /// The text could not be made writable (`mprotect` failed).
    NotWritable,
    /// At its first trap nothing around the site proved a patch safe.
    LateUnproven,
    /// The text is writable: its owner may change any byte of it in place.
    Writable,
    /// Patching is switched off (`IA2_PATCH=off`).
    Off,
}

impl Refusal {
    /// All refusals, in declaration order.
    pub const ALL: [Self; 12] = [
        Self::NoFunction,
        Self::Undecodable,
        Self::IndirectJump,
        Self::BranchTarget,
        Self::Immovable,
        Self::Restorer,
        Self::NoStubMemory,
        Self::Changed,
        Self::NotWritable,
        Self::LateUnproven,
        Self::Writable,
        Self::Off,
    ];

    /// A stable name for reports, kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFunction => "no-function-bounds",
            Self::Undecodable => "undecodable-function",
            Self::IndirectJump => "indirect-jump",
            Self::BranchTarget => "branch-target",
            Self::Immovable => "immovable-neighbour",
            Self::Restorer => "signal-restorer",
            Self::NoStubMemory => "no-stub-memory",
            Self::Changed => "bytes-changed",
            Self::NotWritable => "text-not-writable",
            Self::LateUnproven => "late-unproven",
            Self::Writable => "writable-text",
            Self::Off => "patching-off",
        }
    }
}
