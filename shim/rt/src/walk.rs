//! Where a path leads, as the kernel says: by an `O_PATH` descriptor of it, and the name that
//! `/proc/thread-self/fd` gives that. Of a file that is not there, its folder and its own name.
//!
//! Links of `/proc` ("magic": they lead to a file, not to a path) make that name uncertain, so the way is
//! first gone without them, and a name that was found through one counts only if the same file is there.

use crate::abi::errno::{EACCES, ELOOP, ENAMETOOLONG, ENOENT, EXDEV};
use crate::block::FROZEN;
use crate::sys;
use ia2_core::access::Follow;
use ia2_core::objects::Identity;
use ia2_core::text::Text;
use linux_raw_sys::general::{
    AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH, RESOLVE_BENEATH, RESOLVE_CACHED,
    RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS,
};

/// So many links may lead from one to the next (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// A path with its NUL, or without. Few of them are alive at a time: they lie on a stack of the block's.
pub(crate) type PathText = Text<FROZEN>;

/// Where a path leads.
pub(crate) struct Place {
    /// What the kernel calls it.
    pub(crate) name: PathText,
    /// Whether there is a file.
    pub(crate) found: Found,
    /// What leads there.
    pub(crate) by: By,
    /// The file.
    pub(crate) file: Option<Identity>,
}

/// Whether there is a file at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is.
    There,
    /// Its folder is there.
    Missing,
}

/// What leads to a place, without any other link on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Its name.
    Name,
    /// A link of `/proc`: the file has no name.
    Link,
}

/// A path that is left to go.
struct Way {
    folder: i32,
    /// With its NUL.
    path: PathText,
    /// As openat2(2) has it.
    resolve: u32,
}

impl Place {
    /// Nowhere yet.
    pub(crate) const fn new() -> Self {
        Self { name: PathText::new(), found: Found::Missing, by: By::Name, file: None }
    }

    /// Becomes where the path leads from `folder`; `resolve` as openat2(2) has it, but for
    /// `RESOLVE_IN_ROOT`, which changes where a path leads. The others only refuse. If a link leads there, its
    /// name is written to `link`, with a NUL.
    ///
    /// # Errors
    /// What the kernel says of the path.
    pub(crate) fn walk(
        &mut self,
        path: &[u8],
        folder: i32,
        follow: Follow,
        resolve: u32,
        link: impl FnOnce(&PathText),
    ) -> Result<(), i32> {
        let stop = if follow == Follow::No { O_NOFOLLOW } else { 0 };
        let no_magic = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
        let may_magic = resolve & no_magic == 0;
        let resolve = resolve & !RESOLVE_CACHED;
        let mut way = Way { folder, path: Text::new(), resolve: resolve | RESOLVE_NO_MAGICLINKS };
        whole(way.path.raw(path).byte(0))?;
        for _ in 0..2 * MOST_LINKS {
            match Opened::at(way.folder, &way.path, stop, way.resolve) {
                Ok(file) => return self.there(&mut way, &file, link),
                Err(ELOOP) if may_magic && way.has_no_magic() => way.resolve = resolve,
                Err(ELOOP) => return Err(ELOOP),
                Err(ENOENT) if self.missing(&mut way, follow)? => return Ok(()),
                // A link that leads to nothing: a file that is made by it comes where it leads.
                Err(ENOENT) if resolve & RESOLVE_BENEATH != 0 => {
                    return Err(EXDEV); // whether that is beneath, the path from here on does not tell
                }
                Err(ENOENT) => way.resolve = resolve | RESOLVE_NO_MAGICLINKS,
                Err(errno) => return Err(errno),
            }
        }
        Err(ELOOP)
    }

    /// There is a file at the end of the way.
    fn there(
        &mut self,
        way: &mut Way,
        file: &Opened,
        link: impl FnOnce(&PathText),
    ) -> Result<(), i32> {
        self.found = Found::There;
        self.file = Some(sys::identity(file.0)?.file());
        name_of(file.0, &mut self.name)?;
        if way.has_no_magic() || file.is_at(&mut self.name) {
            self.by = By::Name;
            return Ok(());
        }
        way.reach_last_link()?;
        // Meanwhile, the way may have been turned to another.
        if self.file != Some(sys::identity_at(way.path.as_bytes())?.file()) {
            return Err(EACCES);
        }
        self.by = By::Link;
        link(&way.path);
        Ok(())
    }

    /// There is no file at the end of the way, but a folder for it. False if there is a link, and the way goes
    /// on.
    fn missing(&mut self, way: &mut Way, follow: Follow) -> Result<bool, i32> {
        (self.found, self.by) = (Found::Missing, By::Name);
        if matches!(split(&way.path).1, b"." | b".." | b"") {
            return Err(ENOENT);
        }
        way.name_of_folder(&mut self.name)?;
        if follow == Follow::Yes && way.follow(&mut self.name)? {
            return Ok(false);
        }
        self.name.raw(split(&way.path).1);
        // The kernel makes no file for such a path, and says so.
        if way.path.as_bytes().ends_with(b"/\0") {
            self.name.byte(b'/');
        }
        whole(&self.name).map(|()| true)
    }
}

impl Way {
    /// Whether no link of `/proc` was on it.
    const fn has_no_magic(&self) -> bool {
        self.resolve & RESOLVE_NO_MAGICLINKS != 0
    }

    /// Writes the name of its last folder to `name`, with a slash at its end.
    fn name_of_folder(&self, name: &mut PathText) -> Result<(), i32> {
        let (folder, _) = split(&self.path);
        name.clear();
        name.raw(if folder.is_empty() { b"." } else { folder }).byte(0);
        let folder = Opened::at(self.folder, name, 0, self.resolve)?;
        name_of(folder.0, name)?;
        if !self.has_no_magic() && !folder.is_at(name) {
            return Err(ENOENT); // a folder that was removed: nothing can be made in it
        }
        if name.as_bytes() != b"/" {
            name.byte(b'/');
        }
        Ok(())
    }

    /// Goes where the link at its end leads, whose folder is `name`, which is used up. False if there is none.
    fn follow(&mut self, name: &mut PathText) -> Result<bool, i32> {
        let path = self.path.as_bytes().as_ptr().addr() as u64;
        let before = name.as_bytes().len();
        if name.fill(|room| sys::readlink_at(self.folder, path, room)).is_err() {
            return Ok(false);
        }
        let target = name.as_bytes().get(before..).unwrap_or(&[]);
        self.path.clear();
        self.path.raw(if target.starts_with(b"/") { target } else { name.as_bytes() }).byte(0);
        self.folder = AT_FDCWD;
        whole(&self.path).map(|()| true)
    }

    /// Becomes the name of the link of `/proc` that it ends with, through other links.
    ///
    /// # Errors
    /// EACCES if there is none: something on the way has no name, and nothing can be said of what comes
    /// behind.
    fn reach_last_link(&mut self) -> Result<(), i32> {
        let mut name = PathText::new();
        for _ in 0..MOST_LINKS {
            self.name_of_folder(&mut name)?;
            if name.as_bytes().starts_with(b"/proc/") {
                name.raw(split(&self.path).1).byte(0);
                self.path.clear();
                self.path.raw(name.as_bytes());
                return whole(&name);
            }
            if !self.follow(&mut name)? {
                return Err(EACCES);
            }
        }
        Err(ELOOP)
    }
}

/// A descriptor, as long as it is needed.
struct Opened(i32);

impl Drop for Opened {
    fn drop(&mut self) {
        sys::close(self.0);
    }
}

impl Opened {
    /// Opens a path, which ends in NUL, as `O_PATH`.
    fn at(folder: i32, path: &PathText, flags: u32, resolve: u32) -> Result<Self, i32> {
        let flags = O_PATH | O_CLOEXEC | flags;
        let path = path.as_bytes().as_ptr().addr() as u64;
        sys::open_within(folder, path, flags, resolve).map(Self)
    }

    /// Whether `name` leads to what is open here.
    fn is_at(&self, name: &mut PathText) -> bool {
        let len = name.as_bytes().len();
        name.byte(0);
        let is = whole(name).is_ok()
            && sys::identity(self.0).is_ok_and(|here| {
                sys::link_identity_at(name.as_bytes()).is_ok_and(|at| at.file() == here.file())
            });
        name.truncate(len);
        is
    }
}

/// A path, which ends in NUL, up to its last part, and that.
fn split(path: &PathText) -> (&[u8], &[u8]) {
    let text = path.as_bytes().strip_suffix(b"\0").unwrap_or(&[]);
    let text = text.strip_suffix(b"/").unwrap_or(text);
    let cut = text.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    text.split_at_checked(cut).unwrap_or((&[], text))
}

/// A path that is too long is none.
fn whole(path: &PathText) -> Result<(), i32> {
    if path.cut() { Err(ENAMETOOLONG) } else { Ok(()) }
}

/// Writes the name of what is open as `fd`, or of the folder the program is in.
///
/// # Errors
/// As readlink(2).
pub(crate) fn name_of(fd: i32, name: &mut PathText) -> Result<(), i32> {
    let mut link = Text::<48>::new();
    match fd {
        AT_FDCWD => link.str("/proc/thread-self/cwd").byte(0),
        _ => link.str("/proc/thread-self/fd/").dec(u64::from(fd.unsigned_abs())).byte(0),
    };
    name.clear();
    name.fill(|room| sys::readlink(link.as_bytes(), room))
}
