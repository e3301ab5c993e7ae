//! Lines of `/proc/<pid>/maps` (proc_pid_maps(5)).

/// One mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region<'a> {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// PROT_READ.
    pub read: bool,
    /// PROT_WRITE.
    pub write: bool,
    /// PROT_EXEC.
    pub exec: bool,
    /// MAP_SHARED: what is written reaches the file or other processes.
    pub shared: bool,
    /// Offset in the file in bytes.
    pub offset: u64,
    /// Device of the file, as stat(2) has it, or 0.
    pub device: u64,
    /// Inode of the file, or 0.
    pub inode: u64,
    /// Path, `[name]`, or empty.
    pub path: &'a [u8],
}

fn hex(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

/// `new_encode_dev` (linux/kdev_t.h).
fn encode(major: u64, minor: u64) -> u64 {
    (minor & 0xff) | major << 8 | (minor & !0xff) << 12
}

fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| {
        value.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')))
    })
}

impl<'a> Region<'a> {
    /// Reads one line without its newline.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let mut range = fields.next()?.splitn(2, |byte| *byte == b'-');
        let (start, end) = (hex(range.next()?)?, hex(range.next()?)?);
        let &[read, write, exec, shared] = fields.next()? else { return None };
        let offset = hex(fields.next()?)?;
        let mut device = fields.next()?.splitn(2, |byte| *byte == b':');
        let (major, minor) = (hex(device.next()?)?, hex(device.next().unwrap_or(b"0"))?);
        let inode = decimal(fields.next()?);
        let path = fields.next().unwrap_or(b"").trim_ascii_start();
        Some(Self {
            start,
            end,
            read: read == b'r',
            write: write == b'w',
            exec: exec == b'x',
            shared: shared == b's',
            offset,
            device: encode(major, minor),
            inode,
            path,
        })
    }

    /// Whether `addr` lies in it.
    #[must_use]
    pub const fn contains(&self, addr: u64) -> bool {
        self.start <= addr && addr < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::Region;

    #[test]
    fn line_with_a_path_is_read_whole() {
        let line = b"7f1200000000-7f1200026000 r-xp 00001000 fe:00 1311  /usr/lib/a (b).so";
        let region = Region::parse(line).unwrap();
        assert_eq!((region.start, region.end), (0x7f12_0000_0000, 0x7f12_0002_6000));
        assert!(region.read && !region.write && region.exec && !region.shared);
        assert_eq!((region.offset, region.path), (0x1000, &b"/usr/lib/a (b).so"[..]));
        assert_eq!((region.device, region.inode), (0xfe00, 1311));
    }

    #[test]
    fn anonymous_and_shared_mappings_are_told() {
        let region = Region::parse(b"1000-2000 rw-s 00000000 00:01 7").unwrap();
        assert!(region.shared && region.write && region.path.is_empty());
        assert!(region.contains(0x1000) && !region.contains(0x2000));
    }

    #[test]
    fn malformed_lines_are_refused() {
        for line in [&b""[..], b"zz-2 r-xp 0 0 0", b"1000 r-xp 0 0 0", b"1000-2000 r-x 0 0 0"] {
            assert_eq!(Region::parse(line), None, "{line:?}");
        }
    }
}
