//! Addresses and sizes that gate, stubs, filter and (later) the loader must agree on.
//!
//! The window was chosen by trying: a mapping made here before the program starts disturbs none of
//! ASan, TSan, MSan, DFSan, Go's race detector, the JVM and node, and no default mmap layout of
//! Linux reaches it. It is alone in its 4 GiB, so one compare of the high word tells it.

/// First byte of the gate page (r-x). Fixed, so that it is the same in every image of a tree.
pub const GATE: u64 = 0x7e90_0000_0000;

/// Size of one page of the window in bytes.
pub const PAGE: u64 = 4096;

/// What a filter sees as the address of a call that nobody looked at, of one that the shim passes on, and
/// of the shim's own: each is the address after its `SYSCALL`.
pub const FAST_AFTER: u64 = GATE + 0x2b;
/// See [`FAST_AFTER`].
pub const ARGS_AFTER: u64 = GATE + 0x142;
/// See [`FAST_AFTER`].
pub const RAW_AFTER: u64 = GATE + 0x242;

/// The constants page: what the filter names by its address. All zeros so far.
pub const CONSTANTS: u64 = GATE + PAGE;

/// Gate and constants: mapped together, from a sealed file, so that nobody writes to them, not even by
/// `/proc/self/mem`.
pub const PINNED_LEN: u64 = 2 * PAGE;

/// The empty path of the pinned exec.
pub const EMPTY_PATH: u64 = CONSTANTS;

/// The dispatch table (r--), an array of [`TABLE_LEN`] code addresses, one per system-call number.
///
/// A stub jumps through its entry with `rcx` = the address to return to, `eax` = the number,
/// `r11` = scratch, and everything else as the program left it.
pub const TABLE: u64 = GATE + 2 * PAGE;

/// Numbers below this have an entry of their own; it is past the newest number the kernel knows.
pub const TABLE_NUMBERS: u64 = 512;

/// Entry for every number that is [`TABLE_NUMBERS`] or more.
pub const TABLE_OTHER: u64 = TABLE_NUMBERS;

/// Entry for stubs that do not know their number: it looks `eax` up and jumps on.
pub const TABLE_GENERIC: u64 = TABLE_NUMBERS + 1;

/// Entries in the table.
pub const TABLE_LEN: u64 = TABLE_NUMBERS + 2;

/// One past the last byte of the window that the shim uses (gate, constants, table: 4 KiB + 16 B
/// round up to two pages).
pub const WINDOW_END: u64 = TABLE + 2 * PAGE;

/// What is the shim's and the loader's alone: the 4 GiB that begin with the gate. No program may bring
/// text of its own to these addresses.
pub const RESERVED: core::ops::Range<u64> = GATE..GATE + (1 << 32);

/// Address of the table entry for a site whose number is `nr`, or unknown.
#[must_use]
pub const fn table_entry(nr: Option<u32>) -> u64 {
    let index = match nr {
        Some(nr) if (nr as u64) < TABLE_NUMBERS => nr as u64,
        Some(_) => TABLE_OTHER,
        None => TABLE_GENERIC,
    };
    TABLE + 8 * index
}

/// Bytes of one stub slot. Slots are aligned to their size, so that any address inside a stub
/// leads to the slot's header by masking.
pub const STUB_SLOT: u64 = 64;

/// Bytes that are kept of the text under each patch that was made at once with others, in the order of
/// their slots and behind these: from the first byte that the patch covers.
pub const ORIGINAL: u64 = 16;

/// Offset of the first instruction in a slot; the header before it is one [`StubHeader`].
pub const STUB_CODE: u64 = 8;

/// What the first eight bytes of a stub slot say about the site it serves.
///
/// Packed as `site | reenter << 47 | after << 53 | after_len << 59`: user addresses have 47 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StubHeader {
    /// Address of the `0f 05` that the stub stands for.
    pub site: u64,
    /// Offset in the slot of the `lea` that starts the call. What is between [`STUB_CODE`] and here
    /// are the moved instructions that stood right before the `SYSCALL`, each as long as it was.
    pub reenter: u8,
    /// Offset in the slot where the gate returns to, or 0 if it returns to the program itself.
    pub after: u8,
    /// Length in bytes, below 32, of the moved instructions that stood right behind the `SYSCALL`.
    /// They begin at `after` + [`STUB_LEA`].
    pub after_len: u8,
}

/// Length of a `lea disp32(%rip),%rcx`.
pub const STUB_LEA: u64 = 7;

impl StubHeader {
    /// The header as stored.
    #[must_use]
    pub const fn pack(self) -> u64 {
        (self.site & ((1 << 47) - 1))
            | (self.reenter as u64 & 63) << 47
            | (self.after as u64 & 63) << 53
            | (self.after_len as u64 & 31) << 59
    }

    /// Reads a stored header.
    #[must_use]
    pub const fn unpack(word: u64) -> Self {
        Self {
            site: word & ((1 << 47) - 1),
            reenter: (word >> 47 & 63) as u8,
            after: (word >> 53 & 63) as u8,
            after_len: (word >> 59) as u8,
        }
    }

    /// In `after_len`: the patch was taken back. More than any patch moves.
    const RETIRED: u8 = 16;

    /// The header of a stub whose patch was taken back. It still tells where a thread inside the
    /// stub is in the program.
    #[must_use]
    pub const fn retired(self) -> Self {
        Self { after_len: self.after_len | Self::RETIRED, ..self }
    }

    /// Whether the patch was taken back.
    #[must_use]
    pub const fn is_retired(self) -> bool {
        self.after_len >= Self::RETIRED
    }

    /// The program's addresses whose instructions run in the slot instead: from the first byte
    /// moved to one past the last, the `SYSCALL` included. None if the patch was taken back.
    #[must_use]
    pub const fn covers(self) -> core::ops::Range<u64> {
        if self.is_retired() {
            return self.site..self.site;
        }
        let before = self.reenter as u64 - STUB_CODE;
        self.site - before..self.site + 2 + self.after_len as u64
    }
}

#[cfg(test)]
mod tests {
    use super::StubHeader;

    #[test]
    fn header_survives_being_stored() {
        let header = StubHeader { site: 0x7fff_ffff_fffe, reenter: 63, after: 62, after_len: 31 };
        assert_eq!(StubHeader::unpack(header.pack()), header);
        let plain = StubHeader { site: 0x40_1000, reenter: 13, after: 0, after_len: 0 };
        assert_eq!(StubHeader::unpack(plain.pack()), plain);
        assert_eq!(plain.covers(), 0x40_0ffb..0x40_1002);
    }

    #[test]
    fn retired_stub_covers_nothing_and_keeps_its_site() {
        let live = StubHeader { site: 0x40_1000, reenter: 13, after: 0, after_len: 0 };
        let gone = StubHeader::unpack(live.retired().pack());
        assert!(gone.is_retired() && !live.is_retired());
        assert!(gone.covers().is_empty());
        assert_eq!((gone.site, gone.reenter, gone.after), (0x40_1000, 13, 0));
    }
}
