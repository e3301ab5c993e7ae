//! What only the shim can tell of a call: which file its path leads to, and where its `SYSCALL` lies.
//!
//! A path is judged on a copy in the block, and the kernel gets the copy: another thread that changes
//! the program's string meanwhile changes nothing. So it is with the flags that openat2 has behind a
//! pointer.
//!
//! What is judged is where the path leads, through links, by the name that the kernel gives an `O_PATH`
//! descriptor of it; of a file that is not there, its folder's name and its own. A link may be turned
//! between that answer and the call, and a folder moved or left (chdir, dup2). So an open is not made with
//! the program's path but, as openat2 with `RESOLVE_NO_SYMLINKS`, with that name: the kernel opens what is
//! there without following any link, or nothing (ELOOP; then everything begins again, [`crate::entry`]).
//!
//! | an open's path | is judged | and opened |
//! |---|---|---|
//! | is the name of a place ([`is_name`]), and what is allowed there does not depend on whether there is a file | as it is, without asking the kernel | by itself; a link on the way is ELOOP, and then it is judged as the next |
//! | leads to a place with a name | by that name | by that name |
//! | leads through a link of /proc to what has none: a pipe, a file that was deleted | by what the kernel calls it | by the name of that link |
//!
//! Other calls are made with that name too, but nothing keeps them from following a link: what is *not* noticed is
//! a folder on the way that is itself replaced by a link meanwhile. An exec opens the program's path, and goes
//! on only if that gives the file that was judged ([`crate::exec`]). Not noticed either: in the last row of the
//! table, another file that gets the descriptor's number. Under a filter of the program's own, opens and the
//! others are made with the program's path, for it may know nothing of openat2.

#![allow(unsafe_code, reason = "looks at copies in the block")]

use crate::abi::errno::{E2BIG, EINVAL, ENAMETOOLONG, ENOENT};
use crate::block::{Block, FROZEN};
use crate::patch::each_region;
use crate::policy::Effect;
use crate::walk::{By, Found, PathText, Place, name_of};
use crate::{boundary, usermem};
use core::cell::Cell;
use core::sync::atomic::Ordering;
use ia2_core::access::{self, Flags, HOW_SIZE};
use ia2_core::blob::{Asker, Caller, Paths};
use ia2_core::nr;
use ia2_core::paths::is_name;
use ia2_core::regs::Frame;
use ia2_core::verdict::Access;
use linux_raw_sys::general::{AT_FDCWD, RESOLVE_CACHED, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS};

/// A call begins anew so many times because of a link on its way.
pub(crate) const MOST_TRIES: u32 = 8;

/// One call being judged.
pub(crate) struct Asking<'b, 'p> {
    block: &'b Block,
    frame: Frame,
    manner: Manner<'p>,
    /// The path arguments that were asked about, in the order of the copies in the block, and their lengths.
    asked: [Option<(u8, usize)>; 2],
    /// What openat2 has behind its pointer: flags, mode, resolve.
    how: Option<[u64; 3]>,
}

/// Where the paths of a call lead.
pub(crate) type Places = [Option<Place>; 2];

/// How a path is judged.
enum Manner<'p> {
    /// As it is.
    Straight,
    /// As it is, but that could not be.
    NotStraight,
    /// By where it leads.
    Walked(&'p mut Places),
}

impl<'b, 'p> Asking<'b, 'p> {
    /// Judges an open as it stands, if that can be.
    pub(crate) fn straight(block: &'b Block, frame: &Frame) -> Option<Self> {
        let may = is_exact(block, frame.nr()) && block.tries.get() == 0;
        may.then(|| Self::new(block, frame, Manner::Straight))
    }

    /// Judges a call by where its paths lead.
    pub(crate) fn walked(block: &'b Block, frame: &Frame, places: &'p mut Places) -> Self {
        Self::new(block, frame, Manner::Walked(places))
    }

    fn new(block: &'b Block, frame: &Frame, manner: Manner<'p>) -> Self {
        Self { block, frame: *frame, manner, asked: [None; 2], how: None }
    }

    /// Whether all answers could be given.
    pub(crate) fn holds(&self) -> bool {
        !matches!(self.manner, Manner::NotStraight)
    }

    /// How the call is made, if it is allowed.
    pub(crate) fn made(&self) -> Effect {
        if let Some(opened) = self.opened() {
            return opened;
        }
        let mut args = self.frame.args();
        for (slot, frozen) in self.block.frozen.iter().enumerate() {
            let Some(Some((arg, _))) = self.asked.get(slot) else { continue };
            if let Manner::Walked(places) = &self.manner
                && let Some(Some(place)) = places.get(slot)
            {
                self.settle(slot, place, frozen);
            }
            if let Some(arg) = args.get_mut(usize::from(*arg)) {
                *arg = address_of(frozen);
            }
        }
        if let (Some(how), Flags::Behind(at)) = (self.how, access::flags(self.frame.nr())) {
            self.block.frozen_how.set(how);
            let values = [address_of(&self.block.frozen_how), HOW_SIZE];
            for (arg, value) in args.iter_mut().skip(at.into()).zip(values) {
                *arg = value;
            }
        }
        Effect::Made(args)
    }

    /// What the kernel is given in place of a path that leads to `place`: its name, unless a program would see the
    /// difference, or there is none. An exec keeps the path, which its program sees, and compares the file.
    fn settle(&self, slot: usize, place: &Place, frozen: &Cell<[u8; FROZEN]>) {
        if is_exec(self.frame.nr()) {
            self.block.judged_file.set(place.file);
            return;
        }
        // A folder that is named by `.` cannot be removed, nor can a link by a slash behind it.
        let last = self.text(slot).rsplit(|byte| *byte == b'/').next().unwrap_or(&[]);
        let is_ordinary = !matches!(last, b"" | b"." | b"..");
        if place.by == By::Name && is_ordinary && !self.block.filtered.load(Ordering::Relaxed) {
            freeze(frozen, &place.name);
        }
    }

    /// An open of what was judged, and of nothing else, if that has a name.
    fn opened(&self) -> Option<Effect> {
        let (nr, args) = (self.frame.nr(), self.frame.args());
        let ([Some(_), _], true) = (self.asked, is_exact(self.block, nr)) else { return None };
        let [frozen, _] = &self.block.frozen;
        let given = || access::how(nr, args).map(|[flags, mode]| [flags, mode, 0]);
        let [flags, mode, mut resolve] = self.how.or_else(given)?;
        if let Manner::Walked(places) = &self.manner {
            let [Some(Place { name, by: By::Name, .. }), _] = &**places else { return None };
            freeze(frozen, name);
            resolve &= u64::from(RESOLVE_CACHED); // the others were heeded on the way
        }
        self.block.frozen_how.set([flags, mode, resolve | u64::from(RESOLVE_NO_SYMLINKS)]);
        let how = address_of(&self.block.frozen_how);
        let args = [AT_FDCWD as u64, address_of(frozen), how, HOW_SIZE, 0, 0];
        Some(Effect::Opened { args, again: self.block.tries.get() < MOST_TRIES })
    }

    fn argument(&self, at: u8) -> u64 {
        self.frame.args().get(usize::from(at)).copied().unwrap_or(0)
    }

    /// Copies the string of argument `at` into the block, unless it is there. Gives which of the copies it is.
    ///
    /// # Errors
    /// What the kernel says of such a string.
    fn copy(&mut self, at: u8) -> Result<usize, i32> {
        let addr = self.argument(at);
        for ((slot, asked), frozen) in self.asked.iter_mut().enumerate().zip(&self.block.frozen) {
            match asked {
                Some((known, _)) if *known == at => return Ok(slot),
                Some(_) => {}
                None => {
                    *asked = Some((at, copy_to(frozen, addr)?));
                    return Ok(slot);
                }
            }
        }
        Err(ENAMETOOLONG) // no call has three paths
    }

    /// The flags of the call; what openat2 has behind its pointer is copied.
    ///
    /// # Errors
    /// What the kernel says of such flags (`copy_struct_from_user`).
    fn flags(&mut self) -> Result<u64, i32> {
        let at = match access::flags(self.frame.nr()) {
            Flags::None => return Ok(0),
            Flags::Argument(at) => return Ok(self.argument(at)),
            Flags::Behind(at) => at,
        };
        if let Some([flags, ..]) = self.how {
            return Ok(flags);
        }
        let (addr, size) = (self.argument(at), self.argument(at + 1));
        if size < HOW_SIZE {
            return Err(EINVAL);
        }
        let how: [u64; 3] = usermem::read(addr)?;
        // What a later version has and this one does not must be zero.
        for rest in (HOW_SIZE..size).step_by(8) {
            let word = usermem::read_part(addr.wrapping_add(rest), size - rest)?;
            if size > FROZEN as u64 || word != 0 {
                return Err(E2BIG);
            }
        }
        self.how = Some(how);
        let [flags, ..] = how;
        Ok(flags)
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
        let resolve = self.how.map_or(0, |[.., resolve]| resolve as u32);
        if resolve & RESOLVE_IN_ROOT != 0 {
            return Ok(false); // the one flag that changes where a path leads
        }
        // Linux 6.11 takes no path for an empty one.
        let is_null = by_descriptor && self.argument(arg) == 0;
        let slot = if is_null { None } else { Some(self.copy(arg)?) };
        let text = slot.map_or(&[][..], |slot| self.text(slot));
        if text.is_empty() {
            if !by_descriptor {
                return Err(ENOENT);
            }
            // What fstat(2) tells of a descriptor that the program has is no question of paths.
            if access::wanted(nr, arg, flags, true) == Access::Read {
                return Ok(true);
            }
            let mut name = PathText::new();
            name_of(folder, &mut name)?;
            return Ok(allows(paths, nr, arg, flags, Found::There, &name));
        }
        let Manner::Walked(places) = &mut self.manner else {
            let [there, missing] = [true, false].map(|there| access::wanted(nr, arg, flags, there));
            let allowed = is_name(text) && paths.allows(there, text);
            // What is refused, the kernel may have an error of its own for.
            if !allowed || (missing != there && !paths.allows(missing, text)) {
                self.manner = Manner::NotStraight;
            }
            return Ok(allowed);
        };
        let (Some(place), Some(frozen)) =
            slot.map_or((None, None), |slot| (places.get_mut(slot), self.block.frozen.get(slot)))
        else {
            return Err(ENAMETOOLONG);
        };
        let place = match place {
            Some(place) => place,
            none => {
                let exact = is_exact(self.block, nr);
                let place = none.insert(Place::new());
                place.walk(text, folder, access::follow(nr, flags), resolve, |link| {
                    if exact {
                        freeze(frozen, link);
                    }
                })?;
                place
            }
        };
        if place.found == Found::Missing && is_exec(nr) {
            return Err(ENOENT); // or there would be no file to compare with
        }
        Ok(allows(paths, nr, arg, flags, place.found, &place.name))
    }

    /// A copy of a path.
    fn text(&self, slot: usize) -> &'b [u8] {
        let (Some(Some((_, len))), Some(frozen)) =
            (self.asked.get(slot), self.block.frozen.get(slot))
        else {
            return &[];
        };
        // SAFETY: only this file writes to the copies, and not while it looks at one: this thread is in the shim,
        // and what a signal brings waits.
        let whole = unsafe { &*frozen.as_ptr().cast_const() };
        whole.get(..*len).unwrap_or(&[])
    }
}

const fn is_exec(nr: u32) -> bool {
    matches!(nr, nr::EXECVE | nr::EXECVEAT)
}

/// Whether call `nr` opens a file, and can be made to open exactly what was judged: not where a filter of the
/// program's looks at how it is made.
fn is_exact(block: &Block, nr: u32) -> bool {
    access::is_open(nr) && !block.filtered.load(Ordering::Relaxed)
}

/// Whether the paths allow what the call wants of a file.
fn allows(paths: Paths<'_>, nr: u32, arg: u8, flags: u64, found: Found, name: &PathText) -> bool {
    if name.as_bytes().starts_with(b"pipe:[") {
        return true; // by a name in /proc of a descriptor; no file, and it lies nowhere
    }
    paths.allows(access::wanted(nr, arg, flags, found == Found::There), name.as_bytes())
}

fn address_of<T>(cell: &Cell<T>) -> u64 {
    cell.as_ptr().expose_provenance() as u64
}

/// Copies the string at `addr`, and gives its length.
///
/// # Errors
/// As [`usermem::string`].
fn copy_to(frozen: &Cell<[u8; FROZEN]>, addr: u64) -> Result<usize, i32> {
    // SAFETY: nobody has a reference to it: see `Asking::text`.
    usermem::string(addr, unsafe { &mut *frozen.as_ptr() })
}

/// Has the kernel be given `path` in place of the copy of the program's.
fn freeze(frozen: &Cell<[u8; FROZEN]>, path: &PathText) {
    let mut bytes = [0; FROZEN];
    bytes.iter_mut().zip(path.as_bytes()).for_each(|(to, from)| *to = *from);
    frozen.set(bytes);
}

impl<'a> Asker<'a> for Asking<'_, '_> {
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
