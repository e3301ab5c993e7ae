//! `.eh_frame`: where functions begin and end, which of them are signal frames, and where the
//! unwinder may land in them. Go programs have a table of their own instead, `.gopclntab`.
//!
//! The index `.eh_frame_hdr` is sorted, so a function is found by bisection, and only the entries
//! of functions that matter are read. Static programs often have no index: then `.eh_frame` is
//! walked once. In a file its section header tells where it is; in memory nothing does, so it is
//! found by its first record, which is the same 16 bytes in every program (see [`FIRST`]).

use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Range;

use crate::image::Image;
use crate::read::{Cursor, i32_at, u32_at, u64_at};

/// An unwind entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fde {
    /// The code it covers.
    pub(crate) range: Range<u64>,
    /// The frame was made by the kernel to deliver a signal (augmentation `S`).
    pub(crate) signal: bool,
    /// Where the table of its landing pads is.
    pub(crate) lsda: Option<u64>,
}

/// What the entries of one kind have in common.
#[derive(Clone, Copy)]
struct Cie {
    pointers: u8,
    lsda: u8,
    augmented: bool,
    signal: bool,
}

/// How `.eh_frame` begins: the CIE of the C start-up file. Length 20, no CIE pointer, version 1,
/// augmentation `zR`, code alignment 1, data alignment -8, return address in column 16, one byte of
/// augmentation data.
const FIRST: [u8; 17] = *b"\x14\0\0\0\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b";

/// How Go's table of functions begins, since Go 1.18 and since 1.20: a magic number, two zeros, the
/// size of the smallest instruction, the size of a pointer.
const GO: [[u8; 8]; 2] = [*b"\xf0\xff\xff\xff\0\0\x01\x08", *b"\xf1\xff\xff\xff\0\0\x01\x08"];

/// Functions that a table which was searched for must have to be believed.
const BELIEVED: usize = 8;

/// Most places that are tried as the beginning of `.eh_frame`.
const ATTEMPTS: usize = 4;

/// An encoded pointer that is not there.
const OMIT: u8 = 0xff;

/// The encoding nearly all entries have: a 32-bit distance from the field itself.
const RELATIVE: u8 = 0x1b;

/// All functions that have an unwind entry, by address.
pub(crate) struct Unwind<'a> {
    frames: Frames<'a>,
    index: Index<'a>,
    /// The last answer of [`Unwind::starts_up_to`].
    near: Cell<usize>,
}

/// The reader of `.eh_frame`.
struct Frames<'a> {
    image: &'a Image<'a>,
    /// The CIE read last, and its address: thousands of entries share a few of them.
    cie: Cell<Option<(u64, Cie)>>,
}

/// Two 32-bit numbers of a table.
type Pair = [u8; 8];

enum Index<'a> {
    /// `.eh_frame_hdr`: pairs of signed 32-bit distances from its own address.
    Sorted { base: u64, pairs: &'a [Pair] },
    /// Start and entry address, sorted.
    Listed(Vec<(u64, u64)>),
    /// Go's table: pairs of 32-bit distances, of which the first is from the beginning of text. The
    /// functions fill text; each ends where the next begins, and the last pair is only an end.
    Go { text: u64, pairs: &'a [Pair] },
}

impl Index<'_> {
    /// How many functions it has.
    fn len(&self) -> usize {
        match self {
            Index::Sorted { pairs, .. } => pairs.len(),
            Index::Listed(list) => list.len(),
            Index::Go { pairs, .. } => pairs.len().saturating_sub(1),
        }
    }
}

impl<'a> Unwind<'a> {
    /// Finds the index, or makes one.
    pub(crate) fn new(image: &'a Image<'a>) -> Self {
        let frames = Frames { image, cie: Cell::new(None) };
        let sorted = image.eh_frame_hdr.and_then(|base| Self::sorted(image, base));
        let index = match (sorted, &image.eh_frame) {
            (Some(sorted), _) => sorted,
            (None, Some(range)) => frames.walk(range),
            (None, None) => Self::search(&frames),
        };
        Self { frames, index, near: Cell::new(0) }
    }

    /// Reads the head of `.eh_frame_hdr`.
    fn sorted(image: &'a Image<'a>, base: u64) -> Option<Index<'a>> {
        let bytes = image.at(base)?;
        // Version 1; then how three things are encoded. All linkers use these encodings for the
        // table; the frame pointer before it has four bytes with any of the usual ones.
        let [version, frame, count, table] = *bytes.first_chunk()?;
        if version != 1 || frame & 0x0f != 0x0b || count != 0x03 || table != 0x3b {
            return None;
        }
        let len = usize::try_from(u32_at(bytes, 8)?).ok()?.checked_mul(8)?;
        Some(Index::Sorted { base, pairs: bytes.get(12..)?.get(..len)?.as_chunks().0 })
    }

    /// Searches the constants of the object for `.eh_frame`, or for Go's table of functions. Both
    /// are aligned to eight bytes.
    fn search(frames: &Frames<'a>) -> Index<'a> {
        let image = frames.image;
        let mut attempts = 0;
        for segment in image.segments.iter().filter(|segment| !segment.exec && !segment.write) {
            let first = (segment.vaddr.wrapping_neg() & 7) as usize;
            let aligned = segment.bytes.get(first..).unwrap_or(&[]);
            for (index, word) in aligned.chunks_exact(8).enumerate() {
                let is_go = GO.iter().any(|magic| magic == word);
                if !is_go && !FIRST.starts_with(word) {
                    continue;
                }
                let offset = first.wrapping_add(index << 3);
                let rest = segment.bytes.get(offset..).unwrap_or(&[]);
                let addr = segment.vaddr.wrapping_add(offset as u64);
                let found = if is_go {
                    Self::go(image, rest)
                } else if rest.starts_with(&FIRST) && attempts < ATTEMPTS {
                    attempts = attempts.saturating_add(1);
                    let end = segment.vaddr.saturating_add(segment.bytes.len() as u64);
                    Some(frames.walk(&(addr..end)))
                } else {
                    None
                };
                if let Some(index) = found.filter(|index| index.len() >= BELIEVED) {
                    return index;
                }
            }
        }
        Index::Listed(Vec::new())
    }

    /// Reads the head of Go's table: after eight bytes of magic the number of functions, the number
    /// of files, the address of text, and five offsets, the last that of the functions.
    fn go(image: &'a Image<'a>, table: &'a [u8]) -> Option<Index<'a>> {
        let count = usize::try_from(u64_at(table, 8)?).ok()?;
        let text = u64_at(table, 24)?;
        let pairs = table.get(usize::try_from(u64_at(table, 64)?).ok()?..)?;
        // One pair more: where the last function ends.
        let pairs = pairs.get(..count.checked_add(1)?.checked_mul(8)?)?;
        let end = text.wrapping_add(u64::from(u32_at(pairs, count.checked_mul(8)?)?));
        (image.is_text(text) && image.is_text(end.wrapping_sub(1)))
            .then_some(Index::Go { text, pairs: pairs.as_chunks().0 })
    }

    /// Start address and entry address of entry `index`.
    pub(crate) fn entry(&self, index: usize) -> Option<(u64, u64)> {
        match &self.index {
            Index::Sorted { base, pairs } => {
                let pair = pairs.get(index)?;
                let fde = base.wrapping_add_signed(i32_at(pair, 4)?);
                Some((sorted_start(*base, pair), fde))
            }
            Index::Listed(list) => list.get(index).copied(),
            Index::Go { text, pairs } => Some((go_start(*text, pairs.get(index)?), 0)),
        }
    }

    /// How many entries begin at or before `addr`: the entry before that number may cover it.
    pub(crate) fn starts_up_to(&self, addr: u64) -> usize {
        let near = self.near.get();
        let count = match &self.index {
            Index::Sorted { base, pairs } => {
                bisect_near(pairs, near, |pair| sorted_start(*base, pair) <= addr)
            }
            Index::Listed(list) => bisect_near(list, near, |(start, _)| *start <= addr),
            Index::Go { text, pairs } => {
                let functions = pairs.get(..self.index.len()).unwrap_or(&[]);
                bisect_near(functions, near, |pair| go_start(*text, pair) <= addr)
            }
        };
        self.near.set(count);
        count
    }

    /// Reads entry `index`. Its end is cut at the next entry's start: functions do not overlap, and
    /// an unsound table must not make us decode the same bytes again and again.
    pub(crate) fn fde(&self, index: usize) -> Option<Fde> {
        let (start, addr) = self.entry(index)?;
        if let Index::Go { .. } = self.index {
            let (end, _) = self.entry(index.checked_add(1)?)?;
            return (start < end).then_some(Fde { range: start..end, signal: false, lsda: None });
        }
        let mut fde = self.frames.fde(addr)?;
        if fde.range.start != start {
            return None;
        }
        if let Some((next, _)) = self.entry(index.saturating_add(1))
            && next > start
        {
            fde.range.end = fde.range.end.min(next);
        }
        (fde.range.start < fde.range.end).then_some(fde)
    }

    /// Adds to `found` where the unwinder may enter a function, from the table at `lsda`. `None` if
    /// the table cannot be read.
    pub(crate) fn landing_pads(&self, lsda: u64, start: u64, found: &mut Vec<u64>) -> Option<()> {
        let bytes = self.frames.image.at(lsda)?;
        let mut cursor = Cursor::new(bytes, 0);
        let encoding = cursor.u8()?;
        let base = if encoding == OMIT { start } else { pointer(&mut cursor, encoding, lsda)? };
        if cursor.u8()? != OMIT {
            cursor.uleb()?;
        }
        let encoding = cursor.u8()?;
        let len = usize::try_from(cursor.uleb()?).ok()?;
        let end = cursor.at().checked_add(len).filter(|end| *end <= bytes.len())?;
        while cursor.at() < end {
            pointer(&mut cursor, encoding, lsda)?;
            pointer(&mut cursor, encoding, lsda)?;
            let pad = pointer(&mut cursor, encoding, lsda)?;
            cursor.uleb()?;
            if pad != 0 {
                found.push(base.wrapping_add(pad));
            }
        }
        Some(())
    }
}

/// How many elements at the beginning of `list` pass the test. What is asked for is mostly a little
/// behind the last answer, `near`: sites are taken up in order.
fn bisect_near<T>(list: &[T], near: usize, passes: impl Fn(&T) -> bool) -> usize {
    let (front, back) = list.split_at_checked(near).unwrap_or((list, &[]));
    if front.last().is_some_and(|last| !passes(last)) {
        return front.partition_point(passes);
    }
    let mut reach = 4usize;
    while back.get(reach).is_some_and(&passes) {
        reach = reach.saturating_mul(2);
    }
    let within = back.get(..reach).unwrap_or(back);
    front.len().saturating_add(within.partition_point(passes))
}

/// Where the function of an entry of `.eh_frame_hdr` begins.
fn sorted_start(base: u64, pair: &Pair) -> u64 {
    base.wrapping_add_signed(i32_at(pair, 0).unwrap_or(0))
}

/// Where the function of an entry of Go's table begins.
fn go_start(text: u64, pair: &Pair) -> u64 {
    text.wrapping_add(u64::from(u32_at(pair, 0).unwrap_or(0)))
}

impl<'a> Frames<'a> {
    /// Makes a list from `.eh_frame` itself.
    fn walk(&self, frames: &Range<u64>) -> Index<'a> {
        let mut list = Vec::new();
        let mut addr = frames.start;
        while addr < frames.end {
            let Some(length) = self.image.at(addr).and_then(|bytes| u32_at(bytes, 0)) else {
                break;
            };
            // 0 ends the section; 64-bit entries do not occur in practice.
            if length == 0 || length == u32::MAX {
                break;
            }
            if let Some(fde) = self.fde(addr)
                && self.image.is_text(fde.range.start)
            {
                list.push((fde.range.start, addr));
            }
            let Some(next) = addr.checked_add(4).and_then(|a| a.checked_add(u64::from(length)))
            else {
                break;
            };
            addr = next;
        }
        list.sort_unstable();
        Index::Listed(list)
    }

    /// Reads the unwind entry at `addr`; `None` also if it is a CIE.
    fn fde(&self, addr: u64) -> Option<Fde> {
        let bytes = self.image.at(addr)?;
        let length = u32_at(bytes, 0)?;
        let back = u32_at(bytes, 4)?;
        if length == 0 || length == u32::MAX || back == 0 {
            return None;
        }
        let cie = self.cie(addr.checked_add(4)?.checked_sub(u64::from(back))?)?;
        let mut cursor = Cursor::new(bytes, 8);
        let (start, len) = if cie.pointers == RELATIVE {
            cursor.skip(8);
            let start = addr.wrapping_add(8).wrapping_add_signed(i32_at(bytes, 8)?);
            (start, i32_at(bytes, 12)?.cast_unsigned())
        } else {
            let start = pointer(&mut cursor, cie.pointers, addr)?;
            (start, pointer(&mut cursor, cie.pointers & 0x0f, addr)?)
        };
        let mut lsda = None;
        if cie.augmented {
            cursor.uleb()?;
            if cie.lsda != OMIT {
                // A relative pointer of zero means: none.
                let here = cursor;
                let value = pointer(&mut cursor.clone(), cie.lsda & 0x0f, addr)?;
                if value != 0 {
                    lsda = Some(pointer(&mut here.clone(), cie.lsda, addr)?);
                }
            }
        }
        Some(Fde { range: start..start.checked_add(len)?, signal: cie.signal, lsda })
    }

    /// The CIE at `addr`.
    fn cie(&self, addr: u64) -> Option<Cie> {
        if let Some((known, cie)) = self.cie.get()
            && known == addr
        {
            return Some(cie);
        }
        let cie = read_cie(self.image, addr)?;
        self.cie.set(Some((addr, cie)));
        Some(cie)
    }
}

/// Reads a pointer or number in one of the `DW_EH_PE` encodings; `addr` is the address of the
/// cursor's first byte.
fn pointer(cursor: &mut Cursor<'_>, encoding: u8, addr: u64) -> Option<u64> {
    let field = addr.wrapping_add(cursor.at() as u64);
    let value = match encoding & 0x0f {
        0x00 | 0x04 | 0x0c => u64::from_le_bytes(cursor.take()?),
        0x01 => cursor.uleb()?,
        0x02 => u64::from(u16::from_le_bytes(cursor.take()?)),
        0x03 => u64::from(u32::from_le_bytes(cursor.take()?)),
        0x0a => i64::from(i16::from_le_bytes(cursor.take()?)).cast_unsigned(),
        0x0b => i64::from(i32::from_le_bytes(cursor.take()?)).cast_unsigned(),
        _ => return None,
    };
    match encoding & 0x70 {
        0x00 => Some(value),
        0x10 => Some(value.wrapping_add(field)),
        _ => None,
    }
}

/// Reads the CIE at `addr`.
fn read_cie(image: &Image<'_>, addr: u64) -> Option<Cie> {
    let bytes = image.at(addr)?;
    if u32_at(bytes, 4)? != 0 {
        return None;
    }
    let mut cursor = Cursor::new(bytes, 8);
    let version = cursor.u8()?;
    let from = cursor.at();
    while cursor.u8()? != 0 {
        if cursor.at().wrapping_sub(from) > 8 {
            return None;
        }
    }
    let augmentation = bytes.get(from..cursor.at().checked_sub(1)?)?;
    cursor.skip_leb()?; // code alignment
    cursor.skip_leb()?; // data alignment
    match version {
        1 => cursor.skip(1), // return address register
        3 => cursor.skip_leb()?,
        _ => return None,
    }
    let mut cie = Cie { pointers: 0, lsda: OMIT, augmented: false, signal: false };
    for letter in augmentation {
        match letter {
            b'z' => {
                cie.augmented = true;
                cursor.uleb()?;
            }
            b'R' => cie.pointers = cursor.u8()?,
            b'L' => cie.lsda = cursor.u8()?,
            b'P' => {
                let encoding = cursor.u8()?;
                pointer(&mut cursor, encoding & 0x0f, addr)?;
            }
            b'S' => cie.signal = true,
            b'B' => {}
            _ => return None,
        }
    }
    Some(cie)
}
