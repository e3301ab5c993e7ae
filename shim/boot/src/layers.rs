//! The policies in force. The first process of a tree makes them from their names; all others have them
//! from sealed memory, behind the settings.

#![allow(unsafe_code, reason = "makes slices of mapped memory")]

use crate::raw::GiveUp;
use alloc::vec::Vec;
use core::ptr;
use ia2_core::blob::Blob;
use ia2_core::handover::{CONFIG_FD, PARTS_AT, next_part, number};
use ia2_core::text::Text;
use ia2_rt::{policy, state, sys};
use linux_raw_sys::general::{MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE};

/// See the file's text.
#[derive(Debug)]
pub(crate) enum Layers {
    /// `base`: nothing but the shim's own rules.
    None,
    /// Compiled here.
    Compiled(Vec<Vec<u8>>),
    /// How many bytes each has, behind the settings.
    Inherited(Vec<u64>),
}

impl Layers {
    /// From the names in `IA2_POLICY`, separated by `:`.
    pub(crate) fn named(names: &[u8]) -> Result<Self, GiveUp> {
        let mut compiled = Vec::new();
        for name in names.split(|byte| *byte == b':') {
            match name {
                b"" => return Err(GiveUp { what: "IA2_POLICY: an empty name", errno: 0 }),
                b"base" => {}
                _ => compiled.push(compile(name)?),
            }
        }
        Self::new(compiled)
    }

    fn new(compiled: Vec<Vec<u8>>) -> Result<Self, GiveUp> {
        match compiled.len() {
            0 => Ok(Self::None),
            1..=policy::MAX => Ok(Self::Compiled(compiled)),
            _ => Err(GiveUp { what: "IA2_POLICY: more than eight policies", errno: 0 }),
        }
    }

    /// From the setting [`ia2_core::handover::LAYERS`].
    pub(crate) fn inherited(lengths: &[u8]) -> Result<Self, GiveUp> {
        let lengths: Option<Vec<u64>> = lengths.split(|byte| *byte == b',').map(number).collect();
        lengths.map(Self::Inherited).ok_or(DAMAGED)
    }

    /// Where behind the settings they end.
    pub(crate) fn end(&self) -> u64 {
        self.sizes().iter().fold(PARTS_AT, |at, len| next_part(at, *len))
    }

    /// Those that were compiled here.
    pub(crate) fn compiled(&self) -> &[Vec<u8>] {
        match self {
            Self::Compiled(layers) => layers,
            _ => &[],
        }
    }

    /// The value of the setting; empty if there is none.
    pub(crate) fn lengths(&self) -> Vec<u8> {
        let mut out = Text::<256>::new();
        for (index, len) in self.sizes().iter().enumerate() {
            out.str(if index == 0 { "" } else { "," }).dec(*len);
        }
        out.as_bytes().to_vec()
    }

    fn sizes(&self) -> Vec<u64> {
        match self {
            Self::None => Vec::new(),
            Self::Compiled(layers) => layers.iter().map(|layer| layer.len() as u64).collect(),
            Self::Inherited(lengths) => lengths.clone(),
        }
    }

    /// Makes them known to the live code, in memory that nobody can write: the sealed settings, or where
    /// those could not be put up, a copy.
    ///
    /// # Safety
    /// Nothing else may run.
    pub(crate) unsafe fn install(&self) -> Result<(), GiveUp> {
        let sealed = matches!(self, Self::Inherited(_))
            || state::LOADER.load(core::sync::atomic::Ordering::Relaxed);
        let mut at = PARTS_AT;
        for (index, len) in self.sizes().into_iter().enumerate() {
            let start = match self.compiled().get(index).filter(|_| !sealed) {
                Some(layer) => copy(layer),
                None => sys::mmap(0, len, PROT_READ, MAP_SHARED, CONFIG_FD, at),
            };
            let start = start.map_err(GiveUp::because("the policy cannot be mapped"))?;
            // SAFETY: mapped just now, for reading, and never unmapped; the memory file is sealed.
            let bytes = unsafe {
                let start = ptr::with_exposed_provenance(start as usize);
                core::slice::from_raw_parts(start, len as usize)
            };
            let blob = Blob::parse(bytes).map_err(|_| DAMAGED)?;
            // SAFETY: the caller's promise.
            if !unsafe { policy::add(blob) } {
                return Err(DAMAGED);
            }
            at = next_part(at, len);
        }
        Ok(())
    }
}

const DAMAGED: GiveUp = GiveUp { what: "the policy that came over exec is damaged", errno: 0 };

/// Read-only memory with these bytes.
fn copy(bytes: &[u8]) -> Result<u64, i32> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS;
    let start = sys::mmap(0, bytes.len() as u64, PROT_READ | PROT_WRITE, flags, -1, 0)?;
    let to = ptr::with_exposed_provenance_mut::<u8>(start as usize);
    // SAFETY: mapped just now, of this length.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    sys::mprotect(start, bytes.len() as u64, PROT_READ)?;
    let _ = sys::mseal(start, bytes.len() as u64);
    Ok(start)
}

/// The compiled form of a policy: a built-in one, or a file.
fn compile(_name: &[u8]) -> Result<Vec<u8>, GiveUp> {
    Err(GiveUp { what: "IA2_POLICY: this version knows only base", errno: 0 })
}
