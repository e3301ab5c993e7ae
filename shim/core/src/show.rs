//! A call in words, as a reader of policies would write it: `openat(dirfd=AT_FDCWD,
//! path="/etc/passwd", flags=O_RDONLY|O_CLOEXEC, mode=0)`.

use crate::calls::{Arg, Call, Kind, Width};
use crate::constants::Set;
use crate::text::Text;

/// Reads the string at an address into a buffer, and gives its length; `None` if that cannot be done.
pub trait ReadString {
    /// See the trait.
    fn read_string(&mut self, addr: u64, buffer: &mut [u8]) -> Option<usize>;
}

/// Bytes of a string that are shown.
const SHOWN: usize = 200;

/// Appends the call with all its arguments. Of a number that no table knows, the six registers.
pub fn call<const N: usize>(
    out: &mut Text<N>,
    nr: u32,
    known: Option<&Call>,
    args: [u64; 6],
    strings: &mut impl ReadString,
) {
    let Some(known) = known else {
        out.str("call ").dec(u64::from(nr)).byte(b'(');
        for (index, value) in args.iter().enumerate() {
            out.str(if index == 0 { "" } else { ", " }).hex(*value);
        }
        out.byte(b')');
        return;
    };
    out.str(known.name).byte(b'(');
    for (index, (arg, value)) in known.args.iter().zip(args).enumerate() {
        out.str(if index == 0 { "" } else { ", " }).str(arg.name).byte(b'=');
        argument(out, arg, value, strings);
    }
    out.byte(b')');
}

/// Appends the value of one argument.
pub fn argument<const N: usize>(
    out: &mut Text<N>,
    arg: &Arg,
    value: u64,
    strings: &mut impl ReadString,
) {
    if matches!(arg.kind, Kind::Path | Kind::Str) && value != 0 {
        let mut buffer = [0u8; SHOWN];
        if let Some(len) = strings.read_string(value, &mut buffer) {
            out.json(buffer.get(..len).unwrap_or(&[]));
            return;
        }
    }
    let value = match arg.width {
        Width::W32 => value & 0xffff_ffff,
        Width::W64 => value,
    };
    match (arg.kind, arg.set) {
        (Kind::Mode, _) => {
            out.oct(value & 0xffff);
        }
        (Kind::Flags, Some(set)) => flags(out, set, value),
        (Kind::Path | Kind::Str | Kind::Ptr { .. } | Kind::Sockaddr { .. } | Kind::Address, _) => {
            if value == 0 {
                out.str("NULL");
            } else {
                out.hex(value);
            }
        }
        (_, set) => match set.and_then(|set| name_of(set, arg.width, value)) {
            Some(name) => {
                out.str(name);
            }
            None if arg.kind == Kind::Choice => {
                out.hex(value);
            }
            None => number(out, arg, value),
        },
    }
}

/// The member with this value at the width of the argument.
fn name_of(set: Set, width: Width, value: u64) -> Option<&'static str> {
    let mask = if width == Width::W32 { 0xffff_ffff } else { u64::MAX };
    set.name_at(value, mask)
}

fn number<const N: usize>(out: &mut Text<N>, arg: &Arg, value: u64) {
    let signed = match arg.width {
        Width::W32 => i64::from(value as u32 as i32),
        Width::W64 => value.cast_signed(),
    };
    if arg.signed && signed < 0 {
        out.byte(b'-').dec(signed.unsigned_abs());
    } else {
        out.dec(value);
    }
}

/// Names of bits; those of several bits first, since `O_SYNC` is more than `O_DSYNC`.
fn flags<const N: usize>(out: &mut Text<N>, set: Set, value: u64) {
    /// The access mode of open(2), which is a number and not bits.
    const ACCESS_MODE: u64 = 3;
    let mut rest = value;
    let mut any = false;
    let mut name = |out: &mut Text<N>, name: &str| {
        out.str(if core::mem::replace(&mut any, true) { "|" } else { "" }).str(name);
    };
    if set == Set::OPEN
        && let Some(mode) = set.name_of(value & ACCESS_MODE)
    {
        name(out, mode);
        rest &= !ACCESS_MODE;
    }
    for several in [true, false] {
        for (known, bits) in set.constants() {
            let fits = (bits.count_ones() > 1) == several && bits != 0 && rest & bits == bits;
            if fits {
                name(out, known);
                rest &= !bits;
            }
        }
    }
    if rest != 0 {
        name(out, "");
        out.hex(rest);
    } else if !any {
        out.str(set.name_of(0).unwrap_or("0"));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{ReadString, call};
    use crate::calls;
    use crate::text::Text;
    use std::string::String;

    struct Strings;

    impl ReadString for Strings {
        fn read_string(&mut self, addr: u64, buffer: &mut [u8]) -> Option<usize> {
            let text = if addr == 7 { b"/etc/\"x\"" } else { return None };
            buffer[..text.len()].copy_from_slice(text);
            Some(text.len())
        }
    }

    fn shown(name: &str, args: [u64; 6]) -> String {
        let known = calls::by_name(name);
        let mut text = Text::<512>::new();
        call(&mut text, known.map_or(999, |call| call.nr), known.as_ref(), args, &mut Strings);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn arguments_have_names_and_words() {
        let at_fdcwd = -100i64 as u64;
        assert_eq!(
            shown("openat", [at_fdcwd, 7, 0o2_000_101, 0o600, 0, 0]),
            r#"openat(dirfd=AT_FDCWD, path="/etc/\"x\"", flags=O_WRONLY|O_CREAT|O_CLOEXEC, mode=0600)"#
        );
        assert_eq!(
            shown("openat", [3, 8, 0, 0, 0, 0]),
            "openat(dirfd=3, path=0x8, flags=O_RDONLY, mode=0)"
        );
        assert_eq!(
            shown("mmap", [0, 4096, 7, 0x22, u64::MAX, 0]),
            "mmap(addr=NULL, len=4096, prot=PROT_READ|PROT_WRITE|PROT_EXEC, \
             flags=MAP_PRIVATE|MAP_ANONYMOUS, fd=-1, off=0)"
        );
        assert_eq!(shown("read", [u64::MAX << 32, 0, 1, 0, 0, 0]), "read(fd=0, buf=NULL, count=1)");
        assert_eq!(
            shown("no such", [1, 0, 0, 0, 0, 0x10]),
            "call 999(0x1, 0x0, 0x0, 0x0, 0x0, 0x10)"
        );
    }

    #[test]
    fn what_has_no_name_is_a_number() {
        assert!(shown("mmap", [0, 1, 0x8000_0000, 0, 0, 0]).contains("prot=0x80000000"));
        assert!(shown("ioctl", [1, 0x1234_5678, 0, 0, 0, 0]).contains("0x12345678"));
    }
}
