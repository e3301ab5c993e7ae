//! The headers of an ELF program, as exec looks at them (fs/binfmt_elf.c): what would be mapped
//! where, and which interpreter it names.

use core::ops::Range;

/// `ET_EXEC`: linked for fixed addresses.
const ET_EXEC: u64 = 2;
/// `ET_DYN`: runs anywhere.
const ET_DYN: u64 = 3;
const EM_X86_64: u64 = 62;
const PT_LOAD: u64 = 1;
const PT_INTERP: u64 = 3;
const PT_PHDR: u64 = 6;
const PT_GNU_STACK: u64 = 0x6474_e551;

/// Size of an ELF header in bytes.
pub const HEADER_LEN: usize = 64;
/// Size of one program header in bytes.
pub const ENTRY_LEN: usize = 56;
/// One past the last address of a program.
pub const TASK_SIZE: u64 = (1 << 47) - 4096;
const PAGE: u64 = 4096;

/// Why a file is not a program that can be mapped: `ENOEXEC`, or `ELIBBAD` if it is an interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLoadable;

/// The little-endian number of `N` bytes at `at`.
fn le<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(N)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// What the ELF header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// It runs at the addresses it was linked for, and nowhere else.
    pub fixed: bool,
    /// Link-time address of its first instruction.
    pub entry: u64,
    /// Where in the file its program headers are.
    pub table: Range<u64>,
}

impl Header {
    /// Reads the first bytes of a file.
    ///
    /// # Errors
    /// If this is no x86-64 program.
    pub fn read(head: &[u8]) -> Result<Self, NotLoadable> {
        Self::try_read(head).ok_or(NotLoadable)
    }

    fn try_read(head: &[u8]) -> Option<Self> {
        let kind = le::<2>(head, 16)?;
        let known = head.starts_with(b"\x7fELF\x02\x01")
            && matches!(kind, ET_EXEC | ET_DYN)
            && le::<2>(head, 18)? == EM_X86_64
            && le::<2>(head, 54)? == ENTRY_LEN as u64;
        let count = le::<2>(head, 56)?;
        // The kernel's bounds (`load_elf_phdrs`).
        let len = count * ENTRY_LEN as u64;
        if !known || count == 0 || len > 65536 {
            return None;
        }
        let start = le::<8>(head, 32)?;
        Some(Self {
            fixed: kind == ET_EXEC,
            entry: le::<8>(head, 24)?,
            table: start..start.checked_add(len)?,
        })
    }
}

/// One segment to be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file.
    pub offset: u64,
    /// Link-time address.
    pub vaddr: u64,
    /// Bytes from the file.
    pub filesz: u64,
    /// Bytes in memory.
    pub memsz: u64,
    /// Alignment, a power of two.
    pub align: u64,
    /// `PF_*`: 1 execute, 2 write, 4 read.
    pub flags: u32,
}

/// The program headers of a file.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub &'a [u8]);

impl Table<'_> {
    fn entries(&self) -> impl DoubleEndedIterator<Item = (u64, &[u8])> + Clone {
        self.0.chunks_exact(ENTRY_LEN).map(|entry| (le::<4>(entry, 0).unwrap_or(0), entry))
    }

    /// The segments to be mapped, in the order of the file.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment> + Clone {
        self.entries().filter(|(kind, _)| *kind == PT_LOAD).filter_map(|(_, entry)| {
            Some(Segment {
                offset: le::<8>(entry, 8)?,
                vaddr: le::<8>(entry, 16)?,
                filesz: le::<8>(entry, 32)?,
                memsz: le::<8>(entry, 40)?,
                align: le::<8>(entry, 48)?,
                flags: le::<4>(entry, 4)? as u32,
            })
        })
    }

    /// Checks what the kernel checks before it maps, and gives the pages of the whole program, from
    /// its first to one past its last.
    ///
    /// # Errors
    /// If there is nothing to map, or not where it is said to be.
    pub fn extent(&self) -> Result<Range<u64>, NotLoadable> {
        let mut extent: Option<Range<u64>> = None;
        for segment in self.segments() {
            let end = segment.vaddr.checked_add(segment.memsz).ok_or(NotLoadable)?;
            let in_step = segment.filesz == 0 || segment.vaddr % PAGE == segment.offset % PAGE;
            if segment.filesz > segment.memsz || end > TASK_SIZE || !in_step {
                return Err(NotLoadable);
            }
            let (first, last) = (segment.vaddr & !(PAGE - 1), (end + PAGE - 1) & !(PAGE - 1));
            extent = Some(match extent {
                Some(so_far) => so_far.start.min(first)..so_far.end.max(last),
                None => first..last,
            });
        }
        extent.filter(|extent| extent.start < extent.end).ok_or(NotLoadable)
    }

    /// The greatest alignment that a segment asks for, at least a page.
    #[must_use]
    pub fn align(&self) -> u64 {
        let aligns = self.segments().map(|segment| segment.align);
        aligns.filter(|align| align.is_power_of_two()).fold(PAGE, u64::max)
    }

    /// Where in the file the path of the interpreter is, its NUL included.
    #[must_use]
    pub fn interpreter(&self) -> Option<Range<u64>> {
        let (_, entry) = self.entries().find(|(kind, _)| *kind == PT_INTERP)?;
        let start = le::<8>(entry, 8)?;
        Some(start..start.checked_add(le::<8>(entry, 32)?)?)
    }

    /// Whether the program wants an executable stack.
    #[must_use]
    pub fn wants_executable_stack(&self) -> bool {
        let last = self.entries().rfind(|(kind, _)| *kind == PT_GNU_STACK);
        last.and_then(|(_, entry)| le::<4>(entry, 4)).is_some_and(|flags| flags & 1 != 0)
    }

    /// Link-time address of the table itself in memory: what `AT_PHDR` tells.
    #[must_use]
    pub fn addr(&self, header: &Header) -> u64 {
        let named = self.entries().find(|(kind, _)| *kind == PT_PHDR);
        if let Some(addr) = named.and_then(|(_, entry)| le::<8>(entry, 16)) {
            return addr;
        }
        let holds = |segment: &Segment| {
            let end = segment.offset.saturating_add(segment.filesz);
            (segment.offset..end).contains(&header.table.start)
        };
        let segment = self.segments().find(holds);
        segment
            .map_or(0, |segment| (header.table.start - segment.offset).wrapping_add(segment.vaddr))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{ENTRY_LEN, Header, NotLoadable, Table};
    use std::vec::Vec;

    fn header(kind: u16, machine: u16, count: u16) -> Vec<u8> {
        let mut bytes = std::vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[24..32].copy_from_slice(&0x1040u64.to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&(ENTRY_LEN as u16).to_le_bytes());
        bytes[56..58].copy_from_slice(&count.to_le_bytes());
        bytes
    }

    fn entry(kind: u32, flags: u32, fields: [u64; 6]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        let [offset, vaddr, filesz, memsz, align, _] = fields;
        for field in [offset, vaddr, vaddr, filesz, memsz, align] {
            bytes.extend(field.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn header_of_a_program_is_read() {
        let read = Header::read(&header(3, 62, 2)).unwrap();
        assert!(!read.fixed);
        assert_eq!((read.entry, read.table), (0x1040, 64..64 + 112));
        assert!(Header::read(&header(2, 62, 1)).unwrap().fixed);
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [header(1, 62, 1), header(4, 62, 1), header(3, 3, 1), header(3, 62, 0)] {
            assert_eq!(Header::read(&bytes), Err(NotLoadable));
        }
        assert_eq!(Header::read(&header(3, 62, 2000)), Err(NotLoadable));
        assert_eq!(Header::read(&header(3, 62, 1)[..57]), Err(NotLoadable));
        assert_eq!(Header::read(b"#!/bin/sh\n"), Err(NotLoadable));
    }

    #[test]
    fn extent_covers_all_segments_in_whole_pages() {
        let mut table = entry(1, 5, [0, 0x40_0000, 0x800, 0x800, 4096, 0]);
        table.extend(entry(1, 6, [0xe10, 0x40_1e10, 0x10, 0x2000, 4096, 0]));
        assert_eq!(Table(&table).extent(), Ok(0x40_0000..0x40_4000));
    }

    #[test]
    fn segments_that_cannot_be_mapped_are_refused() {
        for fields in [
            [0, 0x1000, 2, 1, 4096, 0],             // more in the file than in memory
            [8, 0x1000, 1, 1, 4096, 0],             // out of step with its page
            [0, u64::MAX - 4095, 1, 8192, 4096, 0], // around the end
            [0, 0x7fff_ffff_e000, 1, 0x2000, 4096, 0], // beyond the program's half
        ] {
            let table = entry(1, 5, fields);
            assert_eq!(Table(&table).extent(), Err(NotLoadable), "{fields:x?}");
        }
        assert_eq!(Table(&entry(2, 5, [0; 6])).extent(), Err(NotLoadable));
    }

    #[test]
    fn interpreter_stack_and_table_are_found() {
        let mut table = entry(6, 4, [64, 0x40, 168, 168, 8, 0]);
        table.extend(entry(3, 4, [0x318, 0x318, 28, 28, 1, 0]));
        table.extend(entry(0x6474_e551, 7, [0, 0, 0, 0, 16, 0]));
        let header = Header::read(&header(3, 62, 3)).unwrap();
        assert_eq!(Table(&table).interpreter(), Some(0x318..0x334));
        assert!(Table(&table).wants_executable_stack());
        assert_eq!(Table(&table).addr(&header), 0x40);
        let loaded = entry(1, 5, [0, 0x40_0000, 0x800, 0x800, 4096, 0]);
        assert_eq!(Table(&loaded).addr(&header), 0x40_0040);
    }
}
