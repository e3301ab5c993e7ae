//! `/proc/self/exe`, where the kernel would name the loader.
//!
//! The loader tells the kernel which program it has loaded, but that takes CAP_CHECKPOINT_RESTORE. In a
//! process without it, the calls that take a path come here first. A path that ends in `exe` is
//! asked where it leads to, and if that is the loader, and the process is this one, the program's path
//! takes its place: so `/proc/self/exe`, `/proc/<pid>/exe`, `/proc/self/task/<tid>/exe` and the like are
//! the program, also relative to a descriptor.
//!
//! What remains to be seen: a symbolic link with another name that leads there, the same link of
//! *another* process under the shim, a program whose file has another path by now, and calls that are
//! not in [`path_argument`].

use crate::abi::errno::{EFAULT, EINVAL};
use crate::block::Block;
use crate::state::KeptPath;
use crate::{sys, usermem};
use core::sync::atomic::{AtomicU64, Ordering};
use ia2_core::nr;
use ia2_core::regs::Frame;
use linux_raw_sys::general::{AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_NOFOLLOW, O_RDONLY};

/// The program's path, if the kernel names the loader instead.
static HIDDEN: KeptPath = KeptPath::new();

/// Which file it led to.
static DEVICE: AtomicU64 = AtomicU64::new(0);
static INODE: AtomicU64 = AtomicU64::new(0);

/// Name of the link.
const NAME: &[u8] = b"exe";
/// What the kernel calls the loader.
const LOADER: &[u8] = b"/memfd:ia2-loader (deleted)";

/// Keeps the program's path, for boot; the program is open as `fd`.
pub fn hide(path: &[u8], fd: i32) {
    let Ok(file) = sys::identity(fd) else { return };
    DEVICE.store(file.device, Ordering::Relaxed);
    INODE.store(file.inode, Ordering::Relaxed);
    // A path too long for the kernel was never given by it.
    let _ = HIDDEN.set(path);
}

/// The program's path, if the kernel names the loader instead.
fn hidden(buffer: &mut [u8; 4096]) -> Option<&[u8]> {
    HIDDEN.get(buffer).and_then(|path| path.split_last()).map(|(_, path)| path)
}

/// The program's path as others are told it.
pub fn shown(buffer: &mut [u8; 4096]) -> &[u8] {
    if HIDDEN.len() != 0 {
        return hidden(buffer).unwrap_or(&[]);
    }
    let len = sys::readlink(b"/proc/self/exe\0", buffer).unwrap_or(0);
    buffer.get(..len).unwrap_or(&[])
}

/// A path that leads to the program, with its NUL.
pub fn path(buffer: &mut [u8; 4096]) -> &[u8] {
    HIDDEN.get(buffer).unwrap_or(b"/proc/self/exe\0")
}

/// Whether the shim looks at call `nr` in a process whose program is hidden.
pub fn is_looked_at(nr: u32) -> bool {
    HIDDEN.len() != 0 && path_argument(nr).is_some()
}

/// Which argument of a call is a path that is followed.
fn path_argument(nr: u32) -> Option<usize> {
    match nr {
        nr::OPEN | nr::STAT | nr::ACCESS | nr::READLINK => Some(0),
        nr::OPENAT
        | nr::NEWFSTATAT
        | nr::READLINKAT
        | nr::FACCESSAT
        | nr::STATX
        | nr::OPENAT2
        | nr::FACCESSAT2 => Some(1),
        _ => None,
    }
}

/// Whether the call is about the last link of its path, and not what that leads to.
fn stops_at_link(nr: u32, args: [u64; 6]) -> bool {
    match nr {
        nr::OPEN => args[1] as u32 & O_NOFOLLOW != 0,
        nr::OPENAT => args[2] as u32 & O_NOFOLLOW != 0,
        nr::STATX => args[2] as u32 & AT_SYMLINK_NOFOLLOW != 0,
        nr::NEWFSTATAT | nr::FACCESSAT2 => args[3] as u32 & AT_SYMLINK_NOFOLLOW != 0,
        // `struct open_how`: flags, mode, and how to resolve, of which all but 0 refuse such links.
        nr::OPENAT2 => usermem::read::<u64>(args[2]).map_or(true, |flags| {
            let resolve = args[2].checked_add(16).ok_or(EFAULT).and_then(usermem::read::<u64>);
            flags & u64::from(O_NOFOLLOW) != 0 || resolve != Ok(0)
        }),
        _ => false,
    }
}

/// Makes the call of `frame` if it is about the hidden program. Answers whether it was.
pub fn call(block: &Block, frame: &Frame) -> bool {
    let (nr, mut args) = (frame.nr(), frame.args());
    let Some(at) = path_argument(nr).filter(|_| HIDDEN.len() != 0) else { return false };
    let folder = if at == 1 { args[0] as i32 } else { AT_FDCWD };
    let [first, second, ..] = args;
    let path = if at == 1 { second } else { first };
    if !leads_here(folder, path) || stops_at_link(nr, args) {
        return false;
    }
    if matches!(nr, nr::READLINK | nr::READLINKAT) {
        let [_, b, c, d, ..] = args;
        let result = if at == 0 { read_link(b, c) } else { read_link(c, d) };
        block.done(result.map_or_else(|errno| -i64::from(errno), u64::cast_signed));
        return true;
    }
    // An absolute path: the folder does not matter.
    if let Some(slot) = args.get_mut(at) {
        *slot = HIDDEN.addr();
    }
    block.pass_args(args);
    true
}

/// readlink(2), of a link that is there.
fn read_link(to: u64, size: u64) -> Result<u64, i32> {
    let room = usize::try_from(size as i32).ok().filter(|size| *size != 0).ok_or(EINVAL)?;
    let len = HIDDEN.len().min(room);
    usermem::copy(to, HIDDEN.addr(), len).map(|()| len as u64)
}

/// The address of the path to take instead of the one at `path`, if that leads to the loader of this
/// process.
pub fn instead(folder: i32, path: u64) -> Option<u64> {
    (HIDDEN.len() != 0 && leads_here(folder, path)).then(|| HIDDEN.addr())
}

/// Whether the path leads to the loader of this process, and the program's path still to the program.
fn leads_here(folder: i32, path: u64) -> bool {
    let mut buffer = [0u8; 4096];
    let Ok(len) = usermem::string(path, &mut buffer) else { return false };
    let text = buffer.get(..len).unwrap_or(&[]);
    // A descriptor of the link itself, or a path.
    let (is_link, name) = (text.is_empty(), text.rsplit(|byte| *byte == b'/').next());
    if !is_link && name != Some(NAME) {
        return false;
    }
    let mut link = [0u8; LOADER.len() + 1];
    let got = sys::readlink_at(folder, path, &mut link).unwrap_or(0);
    if link.get(..got) != Some(LOADER) {
        return false;
    }
    let own = if is_link { is_own_link(folder) } else { is_own_folder(folder, &mut buffer, len) };
    own && is_program_there()
}

/// Whether the descriptor is that of the link in `/proc/self`.
fn is_own_link(fd: i32) -> bool {
    let own = sys::link_identity_at(b"/proc/self/exe\0");
    own.is_ok() && own == sys::identity(fd)
}

/// Whether the folder of a link `exe`, whose path of `len` bytes is in `buffer`, is one of this process's
/// in `/proc`: its `status` tells.
fn is_own_folder(folder: i32, buffer: &mut [u8; 4096], len: usize) -> bool {
    const STATUS: &[u8] = b"status\0";
    let Some(room) = buffer.get_mut(len.saturating_sub(NAME.len())..) else { return false };
    let Some(room) = room.get_mut(..STATUS.len()) else { return false };
    room.copy_from_slice(STATUS);
    let Ok(fd) = sys::open_at(folder, buffer.as_ptr().addr() as u64, O_RDONLY | O_CLOEXEC) else {
        return false;
    };
    let mut status = [0u8; 512];
    let len = sys::pread(fd, &mut status, 0).unwrap_or(0);
    sys::close(fd);
    let lines = status.get(..len).unwrap_or(&[]).split(|byte| *byte == b'\n');
    let mut groups = lines.filter_map(|line| line.strip_prefix(b"Tgid:\t"));
    let own = groups.next().and_then(|digits| {
        digits.iter().try_fold(0u32, |value, digit| {
            value.checked_mul(10)?.checked_add(char::from(*digit).to_digit(10)?)
        })
    });
    own == Some(sys::getpid().unsigned_abs())
}

/// Another file may have the program's path by now, and that is not the program.
fn is_program_there() -> bool {
    let mut buffer = [0u8; 4096];
    let Some(path) = HIDDEN.get(&mut buffer) else { return false };
    sys::identity_at(path).is_ok_and(|file| {
        (file.device, file.inode) == (DEVICE.load(Ordering::Relaxed), INODE.load(Ordering::Relaxed))
    })
}
