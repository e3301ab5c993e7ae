//! What a call does to the file that its path leads to: as much as a `files` item needs to know.

use crate::calls;
use crate::calls::Kind;
use crate::constants::Set;
use crate::verdict::Access;

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// To where it leads.
    Yes,
    /// The call is about the link itself.
    No,
}

/// Where a call has the flags that say how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// Nowhere.
    None,
    /// In this argument.
    Argument(u8),
    /// In the first word behind the pointer in this argument.
    Behind(u8),
}

const OPEN: u32 = 2;
const CREAT: u32 = 85;
const OPENAT: u32 = 257;
const OPENAT2: u32 = 437;

const O_ACCMODE: u64 = 3;
const O_CREAT: u64 = 0o100;
const O_WRONLY: u64 = 1;
const O_EXCL: u64 = 0o200;
const O_TRUNC: u64 = 0o1000;
const O_LARGEFILE: u64 = 0o100_000;
const O_DIRECTORY: u64 = 0o200_000;
const O_NOFOLLOW: u64 = 0o400_000;
const O_CLOEXEC: u64 = 0o2_000_000;
const O_PATH: u64 = 0o10_000_000;
/// O_TMPFILE without O_DIRECTORY.
const TMPFILE: u64 = 0o20_000_000;
const O_TMPFILE: u64 = 0o20_000_000;
const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const AT_SYMLINK_FOLLOW: u64 = 0x400;
const AT_EMPTY_PATH: u64 = 0x1000;

/// The argument that is the folder of path argument `path`: the descriptor right before it.
#[must_use]
pub fn folder(nr: u32, path: u8) -> Option<u8> {
    // The most frequent ones.
    match nr {
        OPEN | CREAT => return None,
        OPENAT | OPENAT2 => return Some(0),
        _ => {}
    }
    let before = path.checked_sub(1)?;
    let arg = calls::args(nr).nth(before.into())?;
    (arg.kind == Kind::Fd && arg.set == Some(Set::ATFD)).then_some(before)
}

/// Where call `nr` has its flags.
#[must_use]
pub fn flags(nr: u32) -> Flags {
    match nr {
        OPEN => return Flags::Argument(1),
        OPENAT => return Flags::Argument(2),
        OPENAT2 => return Flags::Behind(2),
        CREAT => return Flags::None,
        _ => {}
    }
    let mut args = calls::args(nr).zip(0u8..);
    let at = args.find(|(arg, _)| arg.kind == Kind::Flags && arg.name == "flags");
    at.map_or(Flags::None, |(_, at)| Flags::Argument(at))
}

/// Bytes of the first version of `struct open_how` (openat2(2)): flags, mode, resolve.
pub const HOW_SIZE: u64 = 24;

/// The flags that open(2) knows (`VALID_OPEN_FLAGS`); it ignores the others, and openat2(2) refuses them.
const VALID: u64 = 0o37_777_703;
/// What O_PATH leaves of them.
const WITH_PATH: u64 = O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW;

/// Flags and mode with which openat2 does what a call of open, creat or openat does (`build_open_how` in
/// fs/open.c).
#[must_use]
pub const fn how(nr: u32, args: [u64; 6]) -> Option<[u64; 2]> {
    let [_, b, c, d, ..] = args;
    let (flags, mode) = match nr {
        OPEN => (b, c),
        OPENAT => (c, d),
        CREAT => (O_CREAT | O_WRONLY | O_TRUNC, b),
        _ => return None,
    };
    let flags = flags & VALID | O_LARGEFILE;
    if flags & O_PATH != 0 {
        return Some([flags & WITH_PATH, 0]);
    }
    let makes = flags & (O_CREAT | TMPFILE) != 0;
    Some([flags, if makes { mode & 0o7777 } else { 0 }])
}

/// Whether call `nr` opens a file by a path.
#[must_use]
pub const fn is_open(nr: u32) -> bool {
    opens(nr) || nr == CREAT
}

const fn opens(nr: u32) -> bool {
    matches!(nr, OPEN | OPENAT | OPENAT2)
}

/// Whether call `nr` follows a link at the end of its path.
#[must_use]
pub fn follow(nr: u32, flags: u64) -> Follow {
    let name = calls::name(nr).unwrap_or("");
    let no = match name {
        _ if opens(nr) => flags & O_NOFOLLOW != 0 || flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL,
        "linkat" => flags & AT_SYMLINK_FOLLOW == 0,
        "lstat" | "readlink" | "readlinkat" | "lchown" | "unlink" | "unlinkat" | "rename"
        | "renameat" | "renameat2" | "link" | "symlink" | "symlinkat" | "rmdir" | "mkdir"
        | "mkdirat" | "mknod" | "mknodat" | "lgetxattr" | "lsetxattr" | "llistxattr"
        | "lremovexattr" => true,
        _ => flags & AT_SYMLINK_NOFOLLOW != 0,
    };
    if no { Follow::No } else { Follow::Yes }
}

/// Whether an empty path of call `nr` is the file of the descriptor before it.
#[must_use]
pub const fn by_descriptor(nr: u32, flags: u64) -> bool {
    !opens(nr) && flags & AT_EMPTY_PATH != 0 // O_DSYNC is the same bit
}

/// What call `nr` wants of the file at its path argument `arg`, which is there or is not.
#[must_use]
pub fn wanted(nr: u32, arg: u8, flags: u64, there: bool) -> Access {
    if opens(nr) {
        let creates = flags & O_CREAT != 0 && !there;
        let writes =
            flags & O_ACCMODE != 0 || flags & O_TRUNC != 0 || flags & O_TMPFILE == O_TMPFILE;
        return match (creates, writes) {
            (true, _) => Access::Create,
            (false, true) => Access::Write,
            (false, false) => Access::Read,
        };
    }
    let name = calls::name(nr).unwrap_or("");
    match name {
        "execve" | "execveat" | "uselib" => Access::Execute,
        _ if nr == CREAT && there => Access::Write,
        "creat" | "mkdir" | "mkdirat" | "mknod" | "mknodat" => Access::Create,
        // The first path of these is a text, or what stays.
        "symlink" | "symlinkat" | "link" | "linkat"
            if arg != 0 && !(name == "linkat" && arg == 1) =>
        {
            Access::Create
        }
        "rename" | "renameat" | "renameat2" | "unlink" | "unlinkat" | "rmdir" | "truncate"
        | "chmod" | "fchmodat" | "fchmodat2" | "chown" | "lchown" | "fchownat" | "utime"
        | "utimes" | "futimesat" | "utimensat" | "setxattr" | "lsetxattr" | "setxattrat"
        | "removexattr" | "lremovexattr" | "removexattrat" | "link" | "linkat" | "mount"
        | "umount2" | "pivot_root" | "swapon" | "swapoff" | "acct" | "file_setattr" => {
            Access::Write
        }
        _ => Access::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Follow, OPEN, OPENAT, OPENAT2, flags, folder, follow, wanted};
    use crate::calls::by_name;
    use crate::verdict::Access;

    fn nr(name: &str) -> u32 {
        by_name(name).unwrap().nr
    }

    #[test]
    fn flags_and_folders_are_found_in_the_table() {
        for (name, path) in [("open", 0), ("openat", 1), ("creat", 0)] {
            let named = |kind| crate::calls::args(nr(name)).position(|arg| arg.kind == kind);
            let wanted = named(crate::calls::Kind::Flags)
                .map_or(Flags::None, |at| Flags::Argument(at as u8));
            assert_eq!(flags(nr(name)), wanted, "{name}");
            let wanted = named(crate::calls::Kind::Fd).map(|at| at as u8);
            assert_eq!(folder(nr(name), path), wanted, "{name}");
        }
        assert_eq!((flags(OPENAT2), folder(OPENAT2, 1)), (Flags::Behind(2), Some(0)));
        assert_eq!(folder(nr("renameat2"), 3), Some(2));
        assert_eq!((flags(nr("stat")), folder(nr("stat"), 0)), (Flags::None, None));
    }

    #[test]
    fn an_open_wants_what_its_flags_say() {
        for (flags, there, access) in [
            (0, true, Access::Read),
            (1, true, Access::Write),
            (2, true, Access::Write),
            (0o1000, true, Access::Write),
            (0o101, true, Access::Write),
            (0o101, false, Access::Create),
            (0o100, true, Access::Read),
            (0o20_200_001, true, Access::Write),
        ] {
            assert_eq!(wanted(OPENAT, 1, flags, there), access, "{flags:o} {there}");
        }
        assert_eq!(wanted(nr("execve"), 0, 0, true), Access::Execute);
        assert_eq!(wanted(nr("stat"), 0, 0, true), Access::Read);
        assert_eq!(wanted(nr("unlink"), 0, 0, true), Access::Write);
        assert_eq!(wanted(nr("symlinkat"), 2, 0, false), Access::Create);
        assert_eq!(wanted(nr("linkat"), 1, 0, true), Access::Write);
        assert_eq!(wanted(nr("linkat"), 3, 0, false), Access::Create);
    }

    #[test]
    fn an_open_is_made_by_openat2_with_what_the_kernel_makes_of_its_flags() {
        const CREAT: u32 = super::CREAT;
        for (nr, args, wanted) in [
            (OPEN, [0, 0o2_000_000, 0o777, 0, 0, 0], Some([0o2_100_000, 0])),
            (OPEN, [0, 0o102, 0o170_644, 0, 0, 0], Some([0o100_102, 0o644])),
            (CREAT, [0, 0o600, 0, 0, 0, 0], Some([0o101_101, 0o600])),
            (OPENAT, [0, 0, 0o20_200_002, 0o600, 0, 0], Some([0o20_300_002, 0o600])),
            // What open does not know; and what O_PATH does not look at.
            (OPENAT, [0, 0, 0xffff_ffff_4000_0020, 0o600, 0, 0], Some([0o100_000, 0])),
            (OPENAT, [0, 0, 0o10_400_102, 0o644, 0, 0], Some([0o10_400_000, 0])),
            (OPENAT2, [0; 6], None),
        ] {
            assert_eq!(super::how(nr, args), wanted, "{nr} {args:x?}");
        }
    }

    #[test]
    fn an_empty_path_may_be_a_descriptor() {
        assert!(super::by_descriptor(nr("newfstatat"), 0x1000));
        assert!(!super::by_descriptor(nr("newfstatat"), 0x100));
        assert!(!super::by_descriptor(OPENAT, 0x1000));
    }

    #[test]
    fn links_are_followed_where_the_kernel_does() {
        assert_eq!(follow(OPEN, 0), Follow::Yes);
        assert_eq!(follow(OPEN, 0o400_000), Follow::No);
        assert_eq!(follow(OPEN, 0o301), Follow::No);
        assert_eq!(follow(nr("lstat"), 0), Follow::No);
        assert_eq!(follow(nr("newfstatat"), 0x100), Follow::No);
        assert_eq!(follow(nr("linkat"), 0), Follow::No);
        assert_eq!(follow(nr("linkat"), 0x400), Follow::Yes);
    }
}
