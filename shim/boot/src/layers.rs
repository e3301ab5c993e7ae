//! The policies in force. The first process of a tree makes them from their names; all others have them
//! from sealed memory, behind the settings.

#![allow(unsafe_code, reason = "makes slices of mapped memory")]

use crate::built_in;
use crate::raw::GiveUp;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr;
use ia2_core::blob::{self, Blob};
use ia2_core::handover::{CONFIG_FD, MOST_LAYERS, PARTS_AT, next_part, number};
use ia2_core::text::Text as Line;
use ia2_policy::diag::Severity;
use ia2_policy::source::{self, Sources, Text, Unreadable};
use ia2_policy::text;
use ia2_rt::abi::errno::ENOENT;
use ia2_rt::sys::Identity;
use ia2_rt::{policy, state, sys};
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_CLOEXEC, O_RDONLY, PROT_READ, PROT_WRITE,
};

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
            1..=MOST_LAYERS => Ok(Self::Compiled(compiled)),
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
        let mut out = Line::<256>::new();
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

/// The compiled form of a policy: one that was compiled before, a built-in one by its name, or a file.
fn compile(name: &[u8]) -> Result<Vec<u8>, GiveUp> {
    let Ok(name) = core::str::from_utf8(name) else {
        return Err(GiveUp { what: "IA2_POLICY: a name that is not UTF-8", errno: 0 });
    };
    if !name.contains(['/', '.']) {
        let built_in = built_in::blob(name).map(<[u8]>::to_vec);
        let unknown = "IA2_POLICY: no such policy; a file's name has a . or a / in it";
        return built_in.ok_or(GiveUp { what: unknown, errno: 0 });
    }
    let mut files = Files { compiled: None };
    let (policy, mut findings, sources) = ia2_policy::load(name, &mut files);
    if let Some(compiled) = files.compiled {
        return match Blob::parse(&compiled) {
            Ok(_) => Ok(compiled),
            Err(_) => {
                Err(GiveUp { what: "IA2_POLICY: a compiled policy of another version", errno: 0 })
            }
        };
    }
    let compiled = policy.map(|policy| ia2_policy::compile::compile(&policy));
    let compiled = match compiled {
        Some(Ok(compiled)) => Some(compiled.blob),
        Some(Err(more)) => {
            findings.extend(more);
            None
        }
        None => None,
    };
    // Warnings are for who writes the policy: `ia2 check`.
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
        let line = text!("ia2shim: ", ia2_policy::render::line(finding, &sources), "\n");
        // Nobody can be told that nobody can be told.
        let _ = sys::write(2, line.as_bytes());
    }
    compiled.ok_or(GiveUp { what: "IA2_POLICY: the policy has errors", errno: 0 })
}

/// Policies in files.
struct Files {
    /// The first file was no text, but a compiled policy.
    compiled: Option<Vec<u8>>,
}

impl Sources for Files {
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable> {
        if let Some(text) = source::built_in(name) {
            return Ok(text);
        }
        let path = source::join(from, name);
        let terminated = text!(path, "\0");
        let fd = sys::open(terminated.as_bytes(), O_RDONLY | O_CLOEXEC, 0);
        let fd = fd.map_err(|errno| {
            Unreadable::new(if errno == ENOENT { "no such file" } else { "it cannot be opened" })
        })?;
        let read = read_trusted(fd);
        sys::close(fd);
        let (identity, bytes) = read?;
        if from.is_none() && bytes.starts_with(&blob::MAGIC.to_le_bytes()) {
            self.compiled = Some(bytes);
            return Err(Unreadable::new("a compiled policy"));
        }
        let id = u128::from(identity.device) << 64 | u128::from(identity.inode);
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Text { name: path, id, text }),
            Err(_) => Err(Unreadable::new("it is not UTF-8")),
        }
    }
}

/// The whole of a file that nobody else can have written.
fn read_trusted(fd: i32) -> Result<(Identity, Vec<u8>), Unreadable> {
    const MOST: u64 = 16 << 20;
    let failed = |_| Unreadable::new("it cannot be read");
    if !sys::is_trusted(fd).map_err(failed)? {
        return Err(Unreadable::new(
            "it must be a file of root or of the user that no one else may write",
        ));
    }
    let identity = sys::identity(fd).map_err(failed)?;
    if identity.size > MOST {
        return Err(Unreadable::new("it is too long"));
    }
    let mut bytes = vec![0; identity.size as usize];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match sys::pread(fd, room, filled as u64).map_err(failed)? {
            0 => break,
            len => filled += len,
        }
    }
    bytes.truncate(filled);
    Ok((identity, bytes))
}
