//! What the old image tells the loader about the exec it asked for: numbers in decimal, separated by
//! commas, as the second entry of the argument list. The first entry is the path of the program, and
//! both are gone when the program starts.
//!
//! Nothing in it is trusted with more than the process that wrote it could do anyway: a program
//! that forges one only tells itself.

use crate::layout::PINNED_LEN;
use crate::text::Text;

/// Descriptor of the sealed loader, in a slot that no program can reach.
pub const LOADER_FD: i32 = 1023;
/// Descriptor of the sealed settings: as an environment, entries that end in NUL.
pub const CONFIG_FD: i32 = 1022;
/// Offset in the settings' file of the window's first pages, gate and constants. The settings are shorter:
/// paths and a few words.
pub const WINDOW_AT: u64 = 16 << 10;
/// Offset in the settings' file of what follows, a whole number of pages: the compiled policies, each on a
/// page of its own, and after them the plans that the tree shares.
pub const PARTS_AT: u64 = WINDOW_AT + PINNED_LEN;
/// Name of the setting that says how many bytes each policy has, in decimal, separated by commas.
pub const LAYERS: &[u8] = b"IA2_INTERNAL_LAYERS";

/// Most policies in force at once.
pub const MOST_LAYERS: usize = 8;

/// Where the part begins that follows `len` bytes at `at`.
#[must_use]
pub const fn next_part(at: u64, len: u64) -> u64 {
    at.saturating_add(len).saturating_add(4095) & !4095
}

/// What is handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// The program, open for reading.
    pub fd: i32,
    /// The signal mask of the kernel, without held signals; all are blocked until the program starts.
    pub mask: u64,
    /// The held signals that the program has blocked.
    pub held: u64,
    /// The held signals that the program ignores.
    pub ignored: u64,
    /// The backstop is up already: a filter survives exec.
    pub confined: bool,
    /// The program has set no_new_privs.
    pub no_new_privs: bool,
    /// The program is under a filter of its own.
    pub filtered: bool,
}

impl Handover {
    /// Writes it, with the NUL.
    pub fn write<const N: usize>(&self, out: &mut Text<N>) {
        out.dec(u64::from(self.fd.unsigned_abs()));
        let flags = [self.confined, self.no_new_privs, self.filtered];
        let flags = flags.iter().rev().fold(0, |flags, flag| flags << 1 | u64::from(*flag));
        for field in [self.mask, self.held, self.ignored, flags] {
            out.byte(b',').dec(field);
        }
        out.byte(0);
    }

    /// Reads it, without the NUL; `None` if it is not one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.split(|byte| *byte == b',').map(number);
        let mut next = || fields.next().flatten();
        let (fd, mask, held) = (i32::try_from(next()?).ok()?, next()?, next()?);
        let (ignored, flags) = (next()?, next()?);
        let flag = |bit: u32| flags & 1 << bit != 0;
        let (confined, no_new_privs, filtered) = (flag(0), flag(1), flag(2));
        let handover = Self { fd, mask, held, ignored, confined, no_new_privs, filtered };
        (fields.next().is_none() && flags < 8).then_some(handover)
    }
}

/// Reads a number in decimal.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::Handover;
    use crate::text::Text;

    #[test]
    fn handover_survives_being_written() {
        let (confined, no_new_privs, filtered) = (true, false, true);
        let (mask, held) = (u64::MAX, 1 << 30);
        let sent = Handover { fd: 7, mask, held, ignored: 0, confined, no_new_privs, filtered };
        let mut text = Text::<128>::new();
        sent.write(&mut text);
        let (nul, bytes) = text.as_bytes().split_last().unwrap();
        assert_eq!((*nul, Handover::parse(bytes)), (0, Some(sent)));
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [&b""[..], b"1", b"1,2,3,4", b"1,2,3,4,5,6", b"1,2,,4,5", b"-1,2,3,4,5"] {
            assert_eq!(Handover::parse(bytes), None);
        }
        assert_eq!(Handover::parse(b"4294967296,0,0,0,0"), None);
        assert_eq!(Handover::parse(b"1,18446744073709551616,0,0,0"), None);
    }
}
