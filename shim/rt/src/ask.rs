//! What only the shim can tell of a call: which file its path leads to, and where its `SYSCALL` lies.
//!
//! A path is judged on a copy in the block, and the kernel gets the copy: another thread that changes
//! the program's string meanwhile changes nothing. So it is with the flags that openat2 has behind a
//! pointer. What is judged is where the path leads, through links, as the kernel answers for an `O_PATH`
//! descriptor of it; of a file that is not there, its folder and its name. What is *not* noticed: a link
//! that is turned, a folder that is moved or left (chdir, dup2) between that answer and the call.

use crate::abi::errno::{E2BIG, EINVAL, ELOOP, ENAMETOOLONG, ENOENT};
use crate::block::{Block, FROZEN};
use crate::patch::each_region;
use crate::{boundary, sys, usermem};
use core::cell::Cell;
use ia2_core::access::{self, Flags, Follow};
use ia2_core::blob::{Asker, Caller, Paths};
use ia2_core::regs::Frame;
use ia2_core::text::Text;
use ia2_core::verdict::Access;
use linux_raw_sys::general::{AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH, RESOLVE_IN_ROOT};

/// So many links may lead from one to the next (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;
/// Bytes of the first version of `struct open_how` (openat2(2)); flags, mode, resolve.
const HOW: u64 = 24;

/// One call being judged.
pub(crate) struct Asking<'b> {
    block: &'b Block,
    frame: Frame,
    /// The arguments whose strings are in the block, and the lengths of these.
    copied: [Option<(u8, usize)>; 2],
    /// The argument whose flags are in the block.
    how: Option<u8>,
}

impl<'b> Asking<'b> {
    pub(crate) fn new(block: &'b Block, frame: &Frame) -> Self {
        Self { block, frame: *frame, copied: [None; 2], how: None }
    }

    /// The arguments with which the call is made.
    pub(crate) fn arguments(&self, mut args: [u64; 6]) -> [u64; 6] {
        for (copied, frozen) in self.copied.iter().zip(&self.block.frozen) {
            if let Some((at, _)) = copied
                && let Some(arg) = args.get_mut(usize::from(*at))
            {
                *arg = address_of(frozen);
            }
        }
        if let Some(at) = self.how {
            let how = address_of(&self.block.frozen_how);
            for (arg, value) in args.iter_mut().skip(at.into()).zip([how, HOW]) {
                *arg = value;
            }
        }
        args
    }

    fn argument(&self, at: u8) -> u64 {
        self.frame.args().get(usize::from(at)).copied().unwrap_or(0)
    }

    /// Copies the string of argument `at` into the block, unless it is there. Gives where, and its length.
    ///
    /// # Errors
    /// What the kernel says of such a string.
    fn copy(&mut self, at: u8) -> Result<(&'b Cell<[u8; FROZEN]>, usize), i32> {
        let addr = self.argument(at);
        for (copied, frozen) in self.copied.iter_mut().zip(&self.block.frozen) {
            match *copied {
                Some((known, len)) if known == at => return Ok((frozen, len)),
                Some(_) => {}
                None => {
                    let mut buffer = [0; FROZEN];
                    let len = usermem::string(addr, &mut buffer)?;
                    frozen.set(buffer);
                    *copied = Some((at, len));
                    return Ok((frozen, len));
                }
            }
        }
        Err(ENAMETOOLONG) // no call has three paths
    }

    /// The flags of the call; those of openat2 are copied into the block.
    ///
    /// # Errors
    /// What the kernel says of such flags (`copy_struct_from_user`).
    fn flags(&mut self) -> Result<u64, i32> {
        let at = match access::flags(self.frame.nr()) {
            Flags::None => return Ok(0),
            Flags::Argument(at) => return Ok(self.argument(at)),
            Flags::Behind(at) => at,
        };
        if self.how.is_none() {
            let (addr, size) = (self.argument(at), self.argument(at + 1));
            if size < HOW {
                return Err(EINVAL);
            }
            let how = usermem::read(addr)?;
            // What a later version has and this one does not must be zero.
            for rest in (HOW..size).step_by(8) {
                let word = usermem::read_part(addr.wrapping_add(rest), size - rest)?;
                if size > FROZEN as u64 || word != 0 {
                    return Err(E2BIG);
                }
            }
            self.block.frozen_how.set(how);
            self.how = Some(at);
        }
        Ok(self.block.frozen_how.get()[0])
    }

    /// Where the `len` bytes of a path lead, in `out`.
    ///
    /// # Errors
    /// What the kernel says of the path.
    fn resolve(
        path: &[u8],
        mut folder: i32,
        follow: Follow,
        out: &mut Text<FROZEN>,
    ) -> Result<Found, i32> {
        let stop = if follow == Follow::No { O_NOFOLLOW } else { 0 };
        let mut next = Text::<FROZEN>::new();
        next.raw(path).byte(0);
        for _ in 0..MOST_LINKS {
            out.clear();
            let addr = next.as_bytes().as_ptr().addr() as u64;
            match open_at(folder, addr, stop) {
                Ok(fd) => return name(fd, out).map(|()| Found::There),
                Err(ENOENT) => {}
                Err(errno) => return Err(errno),
            }
            let text = next.as_bytes().strip_suffix(b"\0").unwrap_or(&[]);
            let text = text.strip_suffix(b"/").unwrap_or(text);
            let cut = text.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            let (parent, last) = text.split_at_checked(cut).unwrap_or((&[], text));
            if matches!(last, b"." | b".." | b"") {
                return Err(ENOENT);
            }
            let mut parent_path = Text::<FROZEN>::new();
            parent_path.raw(if parent.is_empty() { b"." } else { parent }).byte(0);
            let fd = open_at(folder, parent_path.as_bytes().as_ptr().addr() as u64, 0)?;
            name(fd, out)?;
            if out.as_bytes() != b"/" {
                out.byte(b'/');
            }
            // A link that leads to nothing: a file that is made by it comes where it leads.
            let mut target = [0; FROZEN];
            let target = match follow {
                Follow::No => None,
                Follow::Yes => sys::readlink_at(folder, addr, &mut target)
                    .ok()
                    .and_then(|len| target.get(..len)),
            };
            let Some(target) = target else {
                out.raw(last);
                return if out.cut() { Err(ENAMETOOLONG) } else { Ok(Found::Missing) };
            };
            next.clear();
            if !target.starts_with(b"/") {
                next.raw(out.as_bytes());
            }
            next.raw(target).byte(0);
            if next.cut() {
                return Err(ENAMETOOLONG);
            }
            folder = AT_FDCWD;
        }
        Err(ELOOP)
    }

    /// What the path of argument `arg` may.
    ///
    /// # Errors
    /// What the kernel says of the path, or of the flags.
    fn path_is_in(&mut self, arg: u8, paths: Paths<'_>) -> Result<bool, i32> {
        let nr = self.frame.nr();
        let flags = self.flags()?;
        let folder = access::folder(nr, arg).map_or(AT_FDCWD, |at| self.argument(at) as i32);
        let by_descriptor = access::by_descriptor(nr, flags);
        let [.., resolve] = self.block.frozen_how.get();
        if self.how.is_some() && resolve & u64::from(RESOLVE_IN_ROOT) != 0 {
            return Ok(false); // the one flag that changes where a path leads; the others only refuse
        }
        let mut path = Text::new();
        // Linux 6.11 takes no path for an empty one.
        let is_null = by_descriptor && self.argument(arg) == 0;
        let (frozen, len) = match is_null {
            true => (None, 0),
            false => self.copy(arg).map(|(frozen, len)| (Some(frozen), len))?,
        };
        let found = match frozen {
            Some(frozen) if len != 0 => {
                let text = frozen.get();
                let text = text.get(..len).unwrap_or(&[]);
                Self::resolve(text, folder, access::follow(nr, flags), &mut path)?
            }
            _ if !by_descriptor => return Err(ENOENT),
            // What fstat(2) tells of a descriptor that the program has is no question of paths.
            _ if access::wanted(nr, arg, flags, true) == Access::Read => return Ok(true),
            _ => name_of(folder, &mut path).map(|()| Found::There)?,
        };
        if path.as_bytes().starts_with(b"pipe:[") {
            return Ok(true); // by a name in /proc of a descriptor; no file, and it lies nowhere
        }
        let wanted = access::wanted(nr, arg, flags, found == Found::There);
        Ok(paths.allows(wanted, path.as_bytes()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    There,
    Missing,
}

fn address_of<T>(cell: &Cell<T>) -> u64 {
    cell.as_ptr().addr() as u64
}

fn open_at(folder: i32, path: u64, flags: u32) -> Result<i32, i32> {
    sys::open_at(folder, path, O_PATH | O_CLOEXEC | flags)
}

/// Writes the path of `fd` to `out`, and closes it.
fn name(fd: i32, out: &mut Text<FROZEN>) -> Result<(), i32> {
    let named = name_of(fd, out);
    sys::close(fd);
    named
}

/// Writes the path of `fd`, or of the folder the program is in, to `out`.
fn name_of(fd: i32, out: &mut Text<FROZEN>) -> Result<(), i32> {
    let mut link = Text::<32>::new();
    match fd {
        AT_FDCWD => link.str("/proc/self/cwd").byte(0),
        _ => link.str("/proc/self/fd/").dec(u64::from(fd.unsigned_abs())).byte(0),
    };
    let mut buffer = [0; FROZEN];
    let len = sys::readlink(link.as_bytes(), &mut buffer)?;
    out.raw(buffer.get(..len).unwrap_or(&[]));
    Ok(())
}

impl<'a> Asker<'a> for Asking<'_> {
    fn path(&mut self, arg: u8, paths: Paths<'a>) -> Result<bool, u16> {
        self.path_is_in(arg, paths).map_err(|errno| errno as u16)
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
