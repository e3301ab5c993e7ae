//! Files given to `ia2`, mapped, and what is wrong with them.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use ia2_plan::image::ElfError;
use memmap2::Mmap;

/// What is wrong with a file, and where.
pub(crate) struct BadInput {
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

impl BadInput {
    /// Says it on standard error.
    pub(crate) fn tell(&self, path: &Path) {
        eprintln!("ia2: {}: offset {:#x}: {}", path.display(), self.offset, self.reason);
    }

    fn unreadable(reason: impl core::fmt::Display) -> Self {
        Self { offset: 0, reason: format!("cannot be read: {reason}") }
    }
}

impl From<ElfError> for BadInput {
    fn from(error: ElfError) -> Self {
        Self { offset: error.offset, reason: error.reason.to_owned() }
    }
}

/// The bytes of a file.
pub(crate) enum Bytes {
    Mapped(Mmap),
    /// A mapping cannot be empty.
    Empty,
}

impl core::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Empty => &[],
        }
    }
}

/// What the file system says of the regular file at `path`.
pub(crate) fn metadata(path: &Path) -> Result<Metadata, BadInput> {
    let metadata = fs::metadata(path).map_err(BadInput::unreadable)?;
    if metadata.is_file() { Ok(metadata) } else { Err(BadInput::unreadable("not a regular file")) }
}

/// Maps the regular file at `path`. (Opening a pipe would wait for somebody to write to it.)
pub(crate) fn map(path: &Path) -> Result<Bytes, BadInput> {
    let len = metadata(path)?.len();
    let file = File::open(path).map_err(BadInput::unreadable)?;
    if len == 0 {
        return Ok(Bytes::Empty);
    }
    // SAFETY: the mapping is private and read-only, and nothing here writes to the file. If
    // another process changes the file meanwhile, the planner reads other bytes, which it takes
    // like any; if it truncates the file, we die by SIGBUS, which is acceptable in a command.
    let map = unsafe { Mmap::map(&file) };
    map.map(Bytes::Mapped).map_err(|error: io::Error| BadInput::unreadable(error))
}
