//! What the old image tells the loader about the exec it asked for: numbers in decimal, separated by
//! commas, as the second entry of the argument list. The first entry is the path of the program, and
//! both are gone when the program starts.
//!
//! Nothing in it is trusted with more than the process that wrote it could do anyway: a program
//! that forges one only tells itself.

use crate::text::Text;

/// Descriptor of the sealed loader, in a slot that no program can reach.
pub const LOADER_FD: i32 = 1023;
/// Descriptor of the sealed settings: as an environment, entries that end in NUL.
pub const CONFIG_FD: i32 = 1022;
/// Offset in the settings' file of the plans that the tree shares, a whole number of pages. The settings
/// are shorter: a path and a few words.
pub const PLANS_AT: u64 = 8 << 10;

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
}

impl Handover {
    /// Writes it, with the NUL.
    pub fn write<const N: usize>(&self, out: &mut Text<N>) {
        out.dec(u64::from(self.fd.unsigned_abs()));
        for field in [self.mask, self.held, self.ignored, u64::from(self.confined)] {
            out.byte(b',').dec(field);
        }
        out.byte(0);
    }

    /// Reads it, without the NUL; `None` if it is not one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.split(|byte| *byte == b',').map(number);
        let mut next = || fields.next().flatten();
        let handover = Self {
            fd: i32::try_from(next()?).ok()?,
            mask: next()?,
            held: next()?,
            ignored: next()?,
            confined: next()? != 0,
        };
        fields.next().is_none().then_some(handover)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
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
        let sent = Handover { fd: 7, mask: u64::MAX, held: 1 << 30, ignored: 0, confined: true };
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
