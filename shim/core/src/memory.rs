//! The calls that change memory: what one is about, and what a map of memory has against it.
//!
//! # What is judged
//!
//! | rule | with |
//! |---|---|
//! | what the shim needs, and what the program has protected, no call changes | `map` |
//! | the heap is not cut off below a page that was the object of mprotect(2) | `map` |
//! | after the program has said that it is set up, what was protected once and cannot be written keeps its protection | `map` |
//! | nothing is writable and executable | `wx` |
//! | shared memory is not executed, for others may write it | `wx` |
//! | a file that is executed is not written through a mapping, nor the other way round | `wx` |
//! | text of a file does not become writable | `wx` |
//!
//! The third is IA2's: `mmap(0x1a21face1a21face, 0, 0, MAP_FIXED, -1, 0)` is how its runtime says it. The
//! owners of its table are compartments, which need protection keys; without, the program has one.

use crate::nr;
use crate::regions::{EXEC, Map, READ, SHIM, State, WRITE};
use crate::verdict::Memory;
use core::ops::Range;

const PAGE: u64 = 4096;
/// No address of a program is higher.
const END: u64 = 1 << 47;

const MAP_SHARED: u32 = 1;
const MAP_TYPE: u32 = 0xf;
const MAP_FIXED: u32 = 0x10;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_GROWSDOWN: u32 = 0x100;
const MAP_HUGETLB: u32 = 0x4_0000;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
const MREMAP_FIXED: u32 = 2;
const MREMAP_DONTUNMAP: u32 = 4;
const PROT_GROWSDOWN: u32 = 0x100_0000;
const SHM_EXEC: u32 = 0x8000;
const SHM_REMAP: u32 = 0x4000;

/// The address with which IA2's runtime says that it is set up.
pub const SET_UP: u64 = 0x1a21_face_1a21_face;
/// `MADV_DONTFORK`.
pub const DONTFORK: u32 = 10;

/// Advice that changes neither what is in memory nor who has it: NORMAL to WILLNEED, (NO)HUGEPAGE, COLD,
/// PAGEOUT, POPULATE_READ.
const HARMLESS: &[u32] = &[0, 1, 2, 3, 14, 15, 20, 21, 22];

/// What a call is about. Lengths are those of whole pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// mmap(2).
    Map(Mapping),
    /// munmap(2).
    Unmap(Range<u64>),
    /// mprotect(2), pkey_mprotect(2).
    Protect {
        /// What.
        range: Range<u64>,
        /// How.
        prot: u8,
        /// By pkey_mprotect(2).
        keyed: bool,
        /// From the beginning of the region on, which grows.
        down: bool,
    },
    /// mremap(2).
    Move {
        /// What, with the old length.
        from: Range<u64>,
        /// The new length.
        len: u64,
        /// Where to, if that is not left to the kernel.
        to: Option<u64>,
        /// It stays as well.
        keep: bool,
    },
    /// madvise(2).
    Advise {
        /// What.
        range: Range<u64>,
        /// How.
        advice: u32,
    },
    /// mseal(2).
    Seal(Range<u64>),
    /// remap_file_pages(2): other pages of the same file.
    Reorder(Range<u64>),
    /// brk(2).
    Break(u64),
    /// shmat(2).
    Attach {
        /// It is executable.
        exec: bool,
        /// What is there is replaced, as far as the kernel alone knows.
        replaces: bool,
    },
    /// shmdt(2).
    Detach(u64),
    /// Maps or unmaps what only the kernel knows.
    Other,
    /// The kernel will refuse it, or it does nothing.
    Nothing,
}

/// A new mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Where, if it is to be there, or else a wish.
    pub at: u64,
    /// How much.
    pub len: u64,
    /// `PROT_*`.
    pub prot: u8,
    /// `MAP_*`.
    pub flags: u32,
}

impl Mapping {
    /// What is there before, if it is replaced.
    #[must_use]
    pub fn replaced(&self) -> Range<u64> {
        let fixed = self.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) == MAP_FIXED;
        let len = if fixed { self.len } else { 0 };
        self.at..self.at.saturating_add(len)
    }

    /// Whether it is of a file.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        self.flags & MAP_ANONYMOUS == 0
    }

    /// Whether it is shared.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        // MAP_SHARED_VALIDATE is both bits.
        self.flags & MAP_TYPE & MAP_SHARED != 0
    }

    /// Whether only the kernel knows how long it will be.
    #[must_use]
    pub const fn is_huge(&self) -> bool {
        self.flags & MAP_HUGETLB != 0
    }

    /// What will be known of it, as a mapping of `object`.
    #[must_use]
    pub const fn state(&self, object: u32) -> State {
        State {
            shared: self.is_shared(),
            grows: self.flags & MAP_GROWSDOWN != 0,
            object,
            ..State::anonymous(self.prot)
        }
    }
}

/// Whole pages, as the kernel counts them; `None` if it refuses them, or there are none.
fn pages(addr: u64, len: u64) -> Option<Range<u64>> {
    let len = round_up(len)?;
    let end = addr.checked_add(len)?;
    (addr.is_multiple_of(PAGE) && len != 0 && end <= END).then_some(addr..end)
}

/// The next boundary of a page.
#[must_use]
pub fn round_up(len: u64) -> Option<u64> {
    Some(len.checked_add(PAGE - 1)? & !(PAGE - 1))
}

const fn prot_of(prot: u64) -> u8 {
    prot as u8 & (READ | WRITE | EXEC)
}

impl Op {
    /// What call `number` with these arguments is about.
    #[must_use]
    pub fn of(number: u32, args: [u64; 6]) -> Self {
        let [a, b, c, d, e, _] = args;
        Self::try_of(number, [a, b, c, d, e]).unwrap_or(Self::Nothing)
    }

    fn try_of(number: u32, [a, b, c, d, e]: [u64; 5]) -> Option<Self> {
        Some(match number {
            nr::MMAP => {
                let len = round_up(b).filter(|len| *len != 0)?;
                let mapping = Mapping { at: a, len, prot: prot_of(c), flags: d as u32 };
                if !mapping.replaced().is_empty() {
                    pages(a, len)?;
                }
                Self::Map(mapping)
            }
            nr::MUNMAP => Self::Unmap(pages(a, b)?),
            nr::MPROTECT | nr::PKEY_MPROTECT => Self::Protect {
                range: pages(a, b)?,
                prot: prot_of(c),
                keyed: number == nr::PKEY_MPROTECT,
                down: c as u32 & PROT_GROWSDOWN != 0,
            },
            nr::MREMAP => {
                let flags = d as u32;
                let to = (flags & MREMAP_FIXED != 0).then_some(e);
                let len = round_up(c).filter(|len| *len != 0)?;
                if let Some(to) = to {
                    pages(to, len)?;
                }
                // With an old length of 0, what is shared gets a second mapping.
                let from = pages(a, b.max(1)).map(|from| if b == 0 { a..a } else { from })?;
                Self::Move { from, len, to, keep: b == 0 || flags & MREMAP_DONTUNMAP != 0 }
            }
            nr::MADVISE => Self::Advise { range: pages(a, b)?, advice: c as u32 },
            nr::MSEAL => Self::Seal(pages(a, b).filter(|_| c == 0)?),
            nr::REMAP_FILE_PAGES => Self::Reorder(pages(a & !(PAGE - 1), b)?),
            nr::BRK => Self::Break(a),
            nr::SHMAT => {
                Self::Attach { exec: c as u32 & SHM_EXEC != 0, replaces: c as u32 & SHM_REMAP != 0 }
            }
            nr::SHMDT => Self::Detach(a),
            _ => Self::Other,
        })
    }
}

/// What there is against a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It would change what the shim needs.
    Shim,
    /// It would change what is protected.
    Protected,
    /// It would cut the heap off below a page that was protected.
    Floor,
    /// What was protected once keeps its protection.
    Kept,
    /// Something would be writable and executable.
    Both,
    /// Something shared would be executable.
    SharedText,
    /// What is executable would be writable by another mapping.
    TwoViews,
    /// Text of a file would be writable.
    Text,
    /// What becomes executable changes the rights of protection keys.
    KeyRights,
}

impl Refusal {
    /// The error that the program gets.
    #[must_use]
    pub const fn errno(self) -> u16 {
        const EPERM: u16 = 1;
        const EACCES: u16 = 13;
        match self {
            Self::Shim | Self::Protected | Self::Floor | Self::Kept => EPERM,
            Self::Both | Self::SharedText | Self::TwoViews | Self::Text | Self::KeyRights => EACCES,
        }
    }

    /// Why, in a few words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Shim => "the shim's own memory",
            Self::Protected => "protected memory",
            Self::Floor => "the heap below a protected page",
            Self::Kept => "protected before the program was set up",
            Self::Both => "W^X",
            Self::SharedText => "W^X: shared memory is not executed",
            Self::TwoViews => "W^X: another mapping shows the same",
            Self::Text => "W^X: text of a file stays as it is",
            Self::KeyRights => "WRPKRU or XRSTOR in new code",
        }
    }

    /// What a policy says that does not refuse it, if one can.
    #[must_use]
    pub const fn allowed_by(self) -> Option<&'static str> {
        match self {
            Self::Shim | Self::Protected | Self::Floor | Self::Kept => None,
            Self::Both | Self::SharedText | Self::TwoViews | Self::Text => Some("memory map"),
            Self::KeyRights => Some("memory without scan"),
        }
    }
}

/// Judges calls by a map.
#[derive(Debug)]
pub struct Judge<'a, 'b> {
    /// What there is.
    pub map: &'b Map<'a>,
    /// What is asked for.
    pub rules: Memory,
    /// The program has said that it is set up.
    pub is_set_up: bool,
    /// The end of the heap.
    pub heap_end: u64,
}

type Judged = Result<(), Refusal>;

impl Judge<'_, '_> {
    /// What there is against the call. A new mapping is one of `object`.
    ///
    /// # Errors
    /// That.
    pub fn judge(&self, op: &Op, object: u32) -> Judged {
        match op {
            Op::Map(mapping) => {
                self.is_free(mapping.replaced())?;
                self.wx(mapping.state(object), 0)
            }
            Op::Unmap(range) | Op::Reorder(range) => self.is_free(range.clone()),
            Op::Protect { range, prot, keyed, .. } => self.protect(range, *prot, *keyed),
            Op::Move { from, len, to, .. } => {
                self.is_free(from.clone())?;
                // With an old length of 0 it is not changed, but a second one of the shim's is not given.
                self.is_free(from.start..from.start + PAGE)?;
                self.is_free(to.map_or(0..0, |to| to..to + len))
            }
            Op::Advise { range, advice } => match HARMLESS.contains(advice) {
                true => Ok(()),
                false => self.is_free(range.clone()),
            },
            Op::Break(to) => self.break_to(*to),
            Op::Attach { exec, replaces } => match () {
                // How long it is, only the kernel knows.
                () if *replaces => Err(Refusal::Protected),
                () if *exec && self.rules.wx => Err(Refusal::SharedText),
                () => Ok(()),
            },
            Op::Detach(addr) => match self.map.region(*addr) {
                Some((range, _)) => self.is_free(range),
                None => Ok(()),
            },
            // What is sealed can be sealed again.
            Op::Seal(_) | Op::Other | Op::Nothing => Ok(()),
        }
    }

    /// Whether a call may change all of it.
    fn is_free(&self, range: Range<u64>) -> Judged {
        let mut judged = Ok(());
        self.map.any(range, |state| {
            if state.owner == SHIM {
                judged = Err(Refusal::Shim);
            } else if state.protected {
                judged = Err(Refusal::Protected);
            }
            judged.is_err()
        });
        judged
    }

    fn protect(&self, range: &Range<u64>, prot: u8, keyed: bool) -> Judged {
        self.is_free(range.clone())?;
        if self.is_set_up {
            let was = |state: State| state.mprotected || (keyed && state.pkey_mprotected);
            let first = self.map.first(range.clone()).map_or(0, |(_, state)| state.prot);
            let uniform = self.map.every(range.clone(), |state| state.prot == first);
            let changes = first & WRITE == 0 && first != prot;
            if self.map.any(range.clone(), was) && (!uniform || changes) {
                return Err(Refusal::Kept);
            }
        }
        let mut judged = Ok(());
        self.map.any(range.clone(), |state| {
            judged = self.wx(State { prot, ..state }, state.prot);
            judged.is_err()
        });
        judged
    }

    /// Whether there may be memory like this, which had the protection `before`.
    fn wx(&self, state: State, before: u8) -> Judged {
        if !self.rules.wx {
            return Ok(());
        }
        let views = self.map.objects().views(state.object);
        let (write, exec) = (state.has(WRITE), state.has(EXEC));
        match () {
            () if write && exec => Err(Refusal::Both),
            () if exec && state.shared => Err(Refusal::SharedText),
            () if exec && state.object != 0 && views.written != 0 => Err(Refusal::TwoViews),
            () if write && state.shared && views.executed != 0 => Err(Refusal::TwoViews),
            () if write && !state.shared && state.object != 0 && before & EXEC != 0 => {
                Err(Refusal::Text)
            }
            () => Ok(()),
        }
    }

    fn break_to(&self, to: u64) -> Judged {
        let (Some(low), Some(high)) = (round_up(to), round_up(self.heap_end)) else {
            return Ok(());
        };
        if to == 0 || low >= high {
            return Ok(());
        }
        self.is_free(low..high)?;
        match self.map.any(low..high, |state| state.mprotected || state.pkey_mprotected) {
            true => Err(Refusal::Floor),
            false => Ok(()),
        }
    }
}

/// Where in `bytes` an instruction begins that gives a thread other rights to protection keys, wherever
/// else one begins: WRPKRU, and XRSTOR, which can load them from memory.
#[must_use]
pub fn key_rights(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| match *window {
        [0x0f, 0x01, 0xef] => true,
        // The same with a register is LFENCE.
        [0x0f, 0xae, modrm] => modrm >> 3 & 7 == 5 && modrm < 0xc0,
        _ => false,
    })
}

#[cfg(test)]
#[path = "memory/tests.rs"]
mod tests;
