//! What only the shim can tell of a call: which file its path leads to, and where its `SYSCALL` lies.
//!
//! A path is judged on a copy in the block, and the kernel gets the copy: another thread that changes
//! the program's string meanwhile changes nothing. What is judged is where the path leads, through
//! links, as the kernel answers for an `O_PATH` descriptor of it; of a file that is not there, its folder
//! and its name. A link that *another process* turns in between is not noticed.

use crate::abi::errno::{EFAULT, ENAMETOOLONG, ENOENT};
use crate::block::{Block, FROZEN};
use crate::patch::each_region;
use crate::{boundary, sys, usermem};
use ia2_core::access::{self, Follow};
use ia2_core::blob::{Asker, Caller, Paths};
use ia2_core::regs::Frame;
use ia2_core::text::Text;
use linux_raw_sys::general::{AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH};

/// One call being judged.
pub(crate) struct Asking<'b> {
    block: &'b Block,
    frame: Frame,
    /// The argument whose string is in the block, and its length.
    copied: Option<(u8, usize)>,
}

impl<'b> Asking<'b> {
    pub(crate) fn new(block: &'b Block, frame: &Frame) -> Self {
        Self { block, frame: *frame, copied: None }
    }

    /// The arguments with which the call is made.
    pub(crate) fn arguments(&self, mut args: [u64; 6]) -> [u64; 6] {
        if let Some((at, _)) = self.copied
            && let Some(arg) = args.get_mut(usize::from(at))
        {
            *arg = self.block.frozen.as_ptr().addr() as u64;
        }
        args
    }

    /// Copies the string of argument `at` into the block, unless it is there.
    ///
    /// # Errors
    /// What the kernel says of such a string.
    fn copy(&mut self, at: u8) -> Result<usize, i32> {
        if let Some((copied, len)) = self.copied
            && copied == at
        {
            return Ok(len);
        }
        let addr = self.frame.args().get(usize::from(at)).copied().ok_or(EFAULT)?;
        let mut buffer = [0; FROZEN];
        let len = usermem::string(addr, &mut buffer)?;
        if len == 0 {
            return Err(ENOENT);
        }
        if self.copied.is_some() {
            return Err(ENAMETOOLONG); // two paths of one call: only one is looked at
        }
        self.block.frozen.set(buffer);
        self.copied = Some((at, len));
        Ok(len)
    }

    /// Where the path in the block leads, in `out`.
    ///
    /// # Errors
    /// What the kernel says of the path.
    fn resolve(
        &self,
        len: usize,
        folder: i32,
        follow: Follow,
        out: &mut Text<FROZEN>,
    ) -> Result<Found, i32> {
        let path = self.block.frozen.as_ptr().addr() as u64;
        let stop = if follow == Follow::No { O_NOFOLLOW } else { 0 };
        match open_at(folder, path, stop) {
            Ok(fd) => {
                name(fd, out)?;
                Ok(Found::There)
            }
            Err(ENOENT) => {
                let bytes = self.block.frozen.get();
                let text = bytes.get(..len).unwrap_or(&[]);
                let text = text.strip_suffix(b"/").unwrap_or(text);
                let cut = text.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                let (parent, last) = text.split_at_checked(cut).unwrap_or((&[], text));
                if matches!(last, b"." | b".." | b"") {
                    return Err(ENOENT);
                }
                let mut folder_path = Text::<FROZEN>::new();
                folder_path.raw(if parent.is_empty() { b"." } else { parent }).byte(0);
                let fd = open_at(folder, folder_path.as_bytes().as_ptr().addr() as u64, 0)?;
                name(fd, out)?;
                if out.as_bytes() != b"/" {
                    out.byte(b'/');
                }
                out.raw(last);
                Ok(Found::Missing)
            }
            Err(errno) => Err(errno),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    There,
    Missing,
}

fn open_at(folder: i32, path: u64, flags: u32) -> Result<i32, i32> {
    sys::open_at(folder, path, O_PATH | O_CLOEXEC | flags)
}

/// Writes the path of `fd` to `out`, and closes it.
fn name(fd: i32, out: &mut Text<FROZEN>) -> Result<(), i32> {
    let mut link = Text::<32>::new();
    link.str("/proc/self/fd/").dec(u64::from(fd.unsigned_abs())).byte(0);
    let mut buffer = [0; FROZEN];
    let len = sys::readlink(link.as_bytes(), &mut buffer);
    sys::close(fd);
    out.raw(buffer.get(..len?).unwrap_or(&[]));
    Ok(())
}

impl<'a> Asker<'a> for Asking<'_> {
    fn path(&mut self, arg: u8, paths: Paths<'a>) -> Result<bool, u16> {
        let mut answer = || {
            let (nr, args) = (self.frame.nr(), self.frame.args());
            let len = self.copy(arg)?;
            let folder = access::folder(nr, arg).and_then(|at| args.get(usize::from(at)));
            let folder = folder.map_or(AT_FDCWD, |fd| *fd as i32);
            // The flags of openat2 lie behind a pointer.
            let flags = match access::flags(nr) {
                access::Flags::None => 0,
                access::Flags::Argument(at) => args.get(usize::from(at)).copied().unwrap_or(0),
                access::Flags::Behind(at) => {
                    usermem::read::<u64>(args.get(usize::from(at)).copied().unwrap_or(0))?
                }
            };
            let mut path = Text::new();
            let found = self.resolve(len, folder, access::follow(nr, flags), &mut path)?;
            let wanted = access::wanted(nr, arg, flags, found == Found::There);
            Ok(paths.allows(wanted, path.as_bytes()))
        };
        answer().map_err(|errno: i32| errno as u16)
    }

    fn from(&mut self, caller: Caller<'a>) -> bool {
        let addr = boundary::program_address(self.frame.rcx).wrapping_sub(2);
        let (mut is_it, mut has_wrappers) = (false, false);
        each_region(|region| {
            let file = region.path.rsplit(|byte| *byte == b'/').next().unwrap_or(b"");
            let is_wrapper = WRAPPERS.iter().any(|name| file.starts_with(name));
            has_wrappers |= is_wrapper;
            if region.contains(addr) {
                is_it = match caller {
                    Caller::Vdso => region.path == b"[vdso]",
                    Caller::Jit => region.inode == 0 && region.path != b"[vdso]",
                    // Of a program without a C library beside it, all of its text; known at the end.
                    Caller::Wrapper => is_wrapper || region.inode != 0,
                    Caller::Module(name) => file
                        .strip_prefix(name.as_bytes())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b".")),
                };
                if caller == Caller::Wrapper && is_wrapper {
                    has_wrappers = false;
                    return false;
                }
            }
            caller == Caller::Wrapper || !region.contains(addr)
        });
        is_it && !(caller == Caller::Wrapper && has_wrappers)
    }
}

/// How the names of C libraries and dynamic linkers begin.
const WRAPPERS: [&[u8]; 6] =
    [b"libc.so", b"libc-", b"libpthread", b"ld-linux", b"ld-musl", b"libc.musl"];
