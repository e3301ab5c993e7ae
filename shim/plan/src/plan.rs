//! From an object to its sites: what is patched, in which form, and why the rest is left alone.
//!
//! # What makes a patch safe
//!
//! A patch overwrites whole instructions with a jump to a stub that holds copies of them. Three
//! things must be true:
//!
//! 1. *The bytes are code, and the site is an instruction.* The function is decoded from its first
//!    byte (`func` says how that is known), up to the site for form A, which depends on nothing
//!    behind it, and else to the end. A pair `0f 05` that is not where an instruction begins
//!    is `hidden`: constants and displacements, never touched.
//! 2. *Nobody jumps into what was overwritten*, except to its first byte. Branches of the function
//!    itself are known from decoding it. The cold half that a compiler splits off a function jumps
//!    back into it, at places without a symbol; it is entered from the hot half only, so every
//!    function that this one jumps to is decoded, too. The neighbours are searched for short
//!    branches; `switch` tables are read; the unwinder's landing pads and all symbols count as
//!    targets. If an indirect jump remains that could go anywhere, only forms that move at most
//!    *one* instruction apply (A and D): they have no inside to jump into but the middle of one
//!    instruction.
//! 3. *The copies do what the originals did*: [`crate::insn::Insn::is_movable`], and a stub close
//!    enough for RIP-relative operands, which [`crate::stub::emit`] checks.
//!
//! Not excluded: hand-written assembly that jumps into the middle of a function which does not jump to
//! it first, and names the place by no symbol. The tests look for it, with another decoder, in all
//! text of the libraries they plan. Nor a `switch` of a function's hot half with a case label in its cold half, directly
//! behind a `SYSCALL` there. No compiler output with that was found; it takes a table in one
//! function that leads behind a site in another one that has no frame.
//!
//! # Order
//!
//! First, each function that holds a pair is decoded and its sites are decided from what the
//! function itself shows. Where that relies on nobody else jumping to some bytes, it is a *claim*.
//! Then all claims are checked together. The few functions where one fails are decided
//! again with what was found.

use alloc::vec::Vec;
use core::ops::Range;

use ia2_core::site::{Form, Refusal};

use crate::image::Image;
use crate::planner::Planner;
use crate::scan;

/// Bytes of a `jmp rel32`.
pub const JUMP_LEN: usize = 5;

/// Most bytes a patch overwrites.
pub const PATCH_MAX: usize = 16;

/// Up to [`PATCH_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    len: u8,
    bytes: [u8; PATCH_MAX],
}

impl Bytes {
    /// A copy of `bytes`; `None` if there are more than fit.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut copy = Self { len: u8::try_from(bytes.len()).ok()?, bytes: [0; PATCH_MAX] };
        copy.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(copy)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl core::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl core::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02x?}", self.as_slice())
    }
}

/// Five bytes of padding that become the second jump of form D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Island {
    /// Link-time address.
    pub addr: u64,
    /// What is there.
    pub old: [u8; JUMP_LEN],
}

/// How a site is rewritten. Addresses are link-time addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The form.
    pub form: Form,
    /// Where overwriting begins, and where the jump stands.
    pub start: u64,
    /// The bytes that are overwritten, from `start`: whole instructions.
    pub old: Bytes,
    /// Form D only: where its second jump stands.
    pub island: Option<Island>,
    /// How many of `old` are instructions before the `SYSCALL` that move into the stub.
    pub(crate) before: u8,
}

impl Patch {
    /// The moved instructions that stood before the `SYSCALL` (forms A and C).
    #[must_use]
    pub fn before(&self) -> &[u8] {
        self.old.as_slice().get(..usize::from(self.before)).unwrap_or(&[])
    }

    /// The moved instructions that stood behind the `SYSCALL` (form B).
    #[must_use]
    pub fn after(&self) -> &[u8] {
        match self.form {
            Form::B => self.old.as_slice().get(2..).unwrap_or(&[]),
            Form::A | Form::C | Form::D => &[],
        }
    }

    /// The overwritten addresses at the site itself.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.old.len() as u64)
    }
}

/// One `SYSCALL` instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Link-time address of its `0f 05`.
    pub addr: u64,
    /// The number that is in `eax` whenever the patch's stub is entered, if that is a constant (of
    /// a site without patch: whenever the `SYSCALL` is reached).
    pub nr: Option<u32>,
    /// How it is patched, or why not.
    pub outcome: Result<Patch, Refusal>,
}

/// What is to be done to one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPlan {
    /// Pairs `0f 05` in executable segments.
    pub candidates: usize,
    /// Addresses of pairs that are not an instruction.
    pub hidden: Vec<u64>,
    /// The sites, by address.
    pub sites: Vec<Site>,
}

/// Plans `image`.
#[must_use]
pub fn plan(image: &Image<'_>) -> ObjectPlan {
    let candidates = candidates(image);
    if candidates.is_empty() {
        return ObjectPlan::default();
    }
    let mut planner = Planner::new(image, candidates.len());
    planner.decide_all(&candidates);
    planner.verify();
    planner.plan
}

/// The addresses of all pairs `0f 05` in text, sorted.
fn candidates(image: &Image<'_>) -> Vec<u64> {
    let mut found = Vec::new();
    for segment in image.segments.iter().filter(|segment| segment.exec) {
        scan::syscall_pairs(segment.bytes, |at| found.push(segment.vaddr.wrapping_add(at as u64)));
    }
    found.sort_unstable();
    found.dedup();
    found
}
