//! An ELF object as the planner sees it: segments at link-time addresses, the unwind index, and the
//! symbol tables. The same value comes from a file and from memory.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::read::{u8_at, u16_at, u32_at, u64_at};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PHDR_LEN: usize = 56;
const SHDR_LEN: usize = 64;
const SYM_LEN: usize = 24;
const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const SHT_X86_64_UNWIND: u32 = 0x7000_0001;

/// A loaded part of an object.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// Link-time address of the first byte.
    pub vaddr: u64,
    /// What is present: the part that comes from the file.
    pub bytes: &'a [u8],
    /// Offset in the file of the first byte.
    pub offset: u64,
    /// Mapped executable.
    pub exec: bool,
    /// Mapped writable (also what is write-protected again after relocation).
    pub write: bool,
}

impl<'a> Segment<'a> {
    /// The bytes from `addr` to the segment's end.
    fn from(&self, addr: u64) -> Option<&'a [u8]> {
        let offset = usize::try_from(addr.checked_sub(self.vaddr)?).ok()?;
        self.bytes.get(offset..).filter(|rest| !rest.is_empty())
    }
}

/// A symbol that names an address in the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its link-time address.
    pub addr: u64,
    /// Its size in bytes; assembly often has none.
    pub size: u64,
    /// Whether it is a function (`STT_FUNC`, `STT_GNU_IFUNC`) or just a label.
    pub function: bool,
    /// Which symbol table of the image, and where its name is in that table's strings.
    name: (usize, usize),
}

/// One symbol table and its strings.
#[derive(Clone, Copy)]
struct SymbolTable<'a> {
    entries: &'a [u8],
    strings: &'a [u8],
}

/// An ELF object.
pub struct Image<'a> {
    /// Its segments, by address.
    pub segments: Vec<Segment<'a>>,
    /// Address of `.eh_frame_hdr`, the sorted index of functions.
    pub eh_frame_hdr: Option<u64>,
    /// Where `.eh_frame` lies, if a section header says so (static programs often have no index).
    pub eh_frame: Option<Range<u64>>,
    /// One past its last link-time address, memory without bytes in the file included.
    pub end: u64,
    /// The dynamic linker writes into its text (`DT_TEXTREL`).
    pub relocates_text: bool,
    tables: Vec<SymbolTable<'a>>,
}

/// Why bytes are not an ELF object that can be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElfError {
    /// Offset in the file (or in the program headers) of what is wrong.
    pub offset: u64,
    /// What is wrong, for people.
    pub reason: &'static str,
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {:#x}: {}", self.offset, self.reason)
    }
}

impl core::error::Error for ElfError {}

/// An [`ElfError`] at `offset`.
fn error(offset: usize, reason: &'static str) -> ElfError {
    ElfError { offset: offset as u64, reason }
}

/// The fields of a program header that matter here.
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
}

impl ProgramHeader {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let header = bytes.get(at..)?.get(..PHDR_LEN)?;
        Some(Self {
            kind: u32_at(header, 0)?,
            flags: u32_at(header, 4)?,
            offset: u64_at(header, 8)?,
            vaddr: u64_at(header, 16)?,
            filesz: u64_at(header, 32)?,
            memsz: u64_at(header, 40)?,
        })
    }
}

/// `bytes[offset..][..len]`, in file arithmetic.
fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(offset).ok()?..)?.get(..usize::try_from(len).ok()?)
}

impl<'a> Image<'a> {
    /// Reads an object from the bytes of its file.
    ///
    /// # Errors
    /// What is wrong, and where, if this is not a 64-bit x86-64 ELF object with intact headers.
    pub fn from_file(bytes: &'a [u8]) -> Result<Self, ElfError> {
        check_header(bytes)?;
        let phoff_at = 32;
        let phoff = u64_at(bytes, phoff_at).ok_or(error(phoff_at, "the ELF header is cut off"))?;
        let phnum = usize::from(u16_at(bytes, 56).ok_or(error(56, "the ELF header is cut off"))?);
        if phnum == 0 {
            return Err(error(56, "no program headers: not a program or library"));
        }
        if u16_at(bytes, 54) != Some(PHDR_LEN as u16) {
            return Err(error(54, "program headers are not 56 bytes each"));
        }
        let table = usize::try_from(phoff).ok().and_then(|at| bytes.get(at..));
        let phdrs = table
            .and_then(|rest| rest.get(..phnum.checked_mul(PHDR_LEN)?))
            .ok_or(error(phoff_at, "the program headers lie outside the file"))?;

        let mut segments = Vec::new();
        for (index, _) in phdrs.chunks_exact(PHDR_LEN).enumerate() {
            let at = index.saturating_mul(PHDR_LEN);
            let Some(header) = ProgramHeader::read(phdrs, at) else { break };
            if header.kind != PT_LOAD {
                continue;
            }
            let whole = header.vaddr.checked_add(header.memsz.max(header.filesz));
            let here = usize::try_from(phoff).unwrap_or(usize::MAX).saturating_add(at);
            segments.push(Segment {
                vaddr: whole
                    .map(|_| header.vaddr)
                    .ok_or(error(here, "a segment wraps around the address space"))?,
                bytes: slice(bytes, header.offset, header.filesz)
                    .ok_or(error(here, "a segment lies outside the file"))?,
                offset: header.offset,
                exec: header.flags & PF_X != 0,
                write: header.flags & PF_W != 0,
            });
        }
        if segments.is_empty() {
            return Err(error(phoff_at, "no loadable segment"));
        }
        let mut image = Self::from_memory(phdrs, phnum, 0, segments)?;
        image.read_sections(bytes);
        Ok(image)
    }

    /// Reads an object that is loaded: its program headers, and the bytes of its segments (at
    /// link-time addresses). `bias` is what the loader added to every address; pointers in the
    /// dynamic section may have it added already (glibc) or not (musl).
    ///
    /// # Errors
    /// If the program headers are cut off.
    pub fn from_memory(
        phdrs: &[u8],
        phnum: usize,
        bias: u64,
        mut segments: Vec<Segment<'a>>,
    ) -> Result<Self, ElfError> {
        segments.sort_unstable_by_key(|segment| segment.vaddr);
        let mut image = Self {
            segments,
            eh_frame_hdr: None,
            eh_frame: None,
            end: 0,
            relocates_text: false,
            tables: Vec::new(),
        };
        for index in 0..phnum {
            let at = index.saturating_mul(PHDR_LEN);
            let header = ProgramHeader::read(phdrs, at)
                .ok_or(error(at, "the program headers are cut off"))?;
            match header.kind {
                PT_GNU_EH_FRAME => image.eh_frame_hdr = Some(header.vaddr),
                PT_LOAD => image.end = image.end.max(header.vaddr.saturating_add(header.memsz)),
                PT_DYNAMIC => image.read_dynamic(header.vaddr, header.memsz, bias),
                _ => {}
            }
        }
        Ok(image)
    }

    /// The bytes from `addr` to the end of its segment.
    #[must_use]
    pub fn at(&self, addr: u64) -> Option<&'a [u8]> {
        self.segments.iter().find_map(|segment| segment.from(addr))
    }

    /// The word of 8 bytes at `addr`.
    #[must_use]
    pub fn word_at(&self, addr: u64) -> Option<u64> {
        u64_at(self.at(addr)?, 0)
    }

    /// Like [`Image::at`], but only executable bytes.
    #[must_use]
    pub fn text_at(&self, addr: u64) -> Option<&'a [u8]> {
        self.segments.iter().filter(|segment| segment.exec).find_map(|s| s.from(addr))
    }

    /// Like [`Image::at`], but only bytes that the program cannot write.
    #[must_use]
    pub fn constant_at(&self, addr: u64) -> Option<&'a [u8]> {
        self.segments.iter().filter(|segment| !segment.write).find_map(|s| s.from(addr))
    }

    /// Whether `addr` is executable.
    #[must_use]
    pub fn is_text(&self, addr: u64) -> bool {
        self.text_at(addr).is_some()
    }

    /// The symbols that name an address in text, in no order.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.symbols_where(|_| true)
    }

    /// Those of them whose address is `wanted`.
    pub(crate) fn symbols_where<'s>(
        &'s self,
        wanted: impl Fn(u64) -> bool + 's,
    ) -> impl Iterator<Item = Symbol> + 's {
        let entries = self.tables.iter().enumerate().flat_map(|(index, table)| {
            table.entries.as_chunks::<SYM_LEN>().0.iter().map(move |entry| (index, entry))
        });
        entries.filter_map(move |(index, entry)| {
            let addr = u64_at(entry, 8).filter(|addr| wanted(*addr))?;
            let kind = u8_at(entry, 4)? & 15;
            let section = u16_at(entry, 6)?;
            // Undefined, absolute and common symbols name nothing here; thread-local ones and
            // sections and files name something else.
            if section == 0 || section >= 0xff00 || !matches!(kind, 0 | 2 | 10) {
                return None;
            }
            let name = (index, usize::try_from(u32_at(entry, 0)?).ok()?);
            let size = u64_at(entry, 16)?;
            self.is_text(addr).then_some(Symbol { addr, size, function: kind != 0, name })
        })
    }

    /// The link-time address of the variable with this name.
    #[must_use]
    pub fn variable(&self, name: &[u8]) -> Option<u64> {
        const STT_OBJECT: u8 = 1;
        self.tables.iter().find_map(|table| {
            table.entries.as_chunks::<SYM_LEN>().0.iter().find_map(|entry| {
                let is_here = u8_at(entry, 4)? & 15 == STT_OBJECT && u16_at(entry, 6)? != 0;
                let from = table.strings.get(usize::try_from(u32_at(entry, 0)?).ok()?..)?;
                let is_it = is_here && from.strip_prefix(name)?.first() == Some(&0);
                is_it.then(|| u64_at(entry, 8))?
            })
        })
    }

    /// A symbol's name, if it has one in UTF-8.
    #[must_use]
    pub fn name(&self, symbol: &Symbol) -> Option<&'a str> {
        let (table, at) = symbol.name;
        let rest = self.tables.get(table)?.strings.get(at..)?;
        let name = rest.split(|byte| *byte == 0).next()?;
        core::str::from_utf8(name).ok().filter(|name| !name.is_empty())
    }

    /// Finds the dynamic symbols. Whatever is not there or not sound is left out: they are a help.
    fn read_dynamic(&mut self, addr: u64, size: u64, bias: u64) {
        const DT_HASH: u64 = 4;
        const DT_STRTAB: u64 = 5;
        const DT_SYMTAB: u64 = 6;
        const DT_STRSZ: u64 = 10;
        const DT_TEXTREL: u64 = 22;
        const DT_FLAGS: u64 = 30;
        const DF_TEXTREL: u64 = 4;
        const DT_GNU_HASH: u64 = 0x6fff_fef5;
        let Some(bytes) = self.at(addr) else { return };
        let bytes = usize::try_from(size).ok().and_then(|size| bytes.get(..size)).unwrap_or(bytes);
        let (mut symtab, mut strtab, mut strsz, mut hash, mut gnu_hash) =
            (None, None, 0, None, None);
        let mut textrel = false;
        for entry in bytes.chunks_exact(16) {
            let (Some(tag), Some(value)) = (u64_at(entry, 0), u64_at(entry, 8)) else { break };
            let pointed = || self.at(value).or_else(|| self.at(value.wrapping_sub(bias)));
            match tag {
                0 => break,
                DT_SYMTAB => symtab = pointed(),
                DT_STRTAB => strtab = pointed(),
                DT_STRSZ => strsz = value,
                DT_TEXTREL => textrel = true,
                DT_FLAGS => textrel |= value & DF_TEXTREL != 0,
                DT_HASH => hash = pointed(),
                DT_GNU_HASH => gnu_hash = pointed(),
                _ => {}
            }
        }
        self.relocates_text = textrel;
        let Some(symtab) = symtab else { return };
        let count = hash
            .and_then(|hash| u32_at(hash, 4))
            .or_else(|| gnu_hash.and_then(gnu_hash_count))
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(0);
        let len = count.saturating_mul(SYM_LEN).min(symtab.len());
        let strings = strtab.unwrap_or(&[]);
        let strings =
            usize::try_from(strsz).ok().and_then(|len| strings.get(..len)).unwrap_or(strings);
        if let Some(entries) = symtab.get(..len) {
            self.tables.push(SymbolTable { entries, strings });
        }
    }

    /// Reads what only the section headers of its file tell: `.symtab`, and `.eh_frame` where no index
    /// leads to it. A file without sound section headers is still a sound program.
    pub fn read_sections(&mut self, bytes: &'a [u8]) -> Option<()> {
        let headers = bytes.get(usize::try_from(u64_at(bytes, 40)?).ok()?..)?;
        let count = usize::from(u16_at(bytes, 60)?);
        if u16_at(bytes, 58)? != SHDR_LEN as u16 {
            return None;
        }
        let section = |index: usize| {
            let header = headers.get(index.checked_mul(SHDR_LEN)?..)?.get(..SHDR_LEN)?;
            Some((header, slice(bytes, u64_at(header, 24)?, u64_at(header, 32)?)))
        };
        let names = section(usize::from(u16_at(bytes, 62)?)).and_then(|(_, names)| names);
        let mut has_symtab = false;
        for index in 0..count {
            let (header, content) = section(index)?;
            match u32_at(header, 4)? {
                SHT_SYMTAB | SHT_DYNSYM => {
                    let Some(entries) = content else { continue };
                    let linked = usize::try_from(u32_at(header, 40)?).ok()?;
                    let strings = section(linked).and_then(|(_, strings)| strings).unwrap_or(&[]);
                    let full = u32_at(header, 4)? == SHT_SYMTAB;
                    // A full table holds what the dynamic one holds, which was read already.
                    if full || self.tables.is_empty() {
                        self.tables.push(SymbolTable { entries, strings });
                    }
                    has_symtab |= full;
                }
                SHT_PROGBITS | SHT_X86_64_UNWIND => {
                    let at = usize::try_from(u32_at(header, 0)?).ok()?;
                    let name = names.and_then(|names| names.get(at..));
                    if name.is_some_and(|name| name.starts_with(b".eh_frame\0")) {
                        let start = u64_at(header, 16)?;
                        self.eh_frame = Some(start..start.saturating_add(u64_at(header, 32)?));
                    }
                }
                _ => {}
            }
        }
        if has_symtab && self.tables.len() > 1 {
            self.tables.drain(..self.tables.len().saturating_sub(1));
        }
        Some(())
    }
}

/// Checks that the file is an ELF object of the one kind we know.
fn check_header(bytes: &[u8]) -> Result<(), ElfError> {
    if bytes.is_empty() {
        return Err(error(0, "the file is empty"));
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(error(0, "not an ELF file"));
    }
    let cut_off = || error(bytes.len(), "the ELF header is cut off");
    match u8_at(bytes, 4).ok_or_else(cut_off)? {
        2 => {}
        1 => return Err(error(4, "a 32-bit ELF file; only x86-64 is handled")),
        _ => return Err(error(4, "unknown ELF class")),
    }
    if u8_at(bytes, 5).ok_or_else(cut_off)? != 1 {
        return Err(error(5, "a big-endian ELF file; only x86-64 is handled"));
    }
    let kind = u16_at(bytes, 16).ok_or_else(cut_off)?;
    if u16_at(bytes, 18).ok_or_else(cut_off)? != 62 {
        return Err(error(18, "an ELF file for another machine; only x86-64 is handled"));
    }
    match kind {
        2 | 3 => {}
        1 => return Err(error(16, "an object file that is not linked yet")),
        4 => return Err(error(16, "a core dump")),
        _ => return Err(error(16, "unknown ELF file type")),
    }
    if bytes.len() < 64 {
        return Err(cut_off());
    }
    Ok(())
}

/// How many symbols a `DT_GNU_HASH` table covers: one more than the last index of its chains.
fn gnu_hash_count(table: &[u8]) -> Option<u32> {
    let (buckets, first, bloom) = (u32_at(table, 0)?, u32_at(table, 4)?, u32_at(table, 8)?);
    let at = 16usize.checked_add(usize::try_from(bloom).ok()?.checked_mul(8)?)?;
    let buckets = usize::try_from(buckets).ok()?.checked_mul(4)?;
    let words = table.get(at..)?.get(..buckets)?.chunks_exact(4);
    let mut last = words.filter_map(|word| u32_at(word, 0)).max()?;
    if last < first {
        return Some(first);
    }
    let chains = table.get(at.checked_add(buckets)?..)?;
    loop {
        let index = usize::try_from(last.checked_sub(first)?).ok()?;
        let hash = u32_at(chains, index.checked_mul(4)?)?;
        last = last.checked_add(1)?;
        if hash & 1 != 0 {
            return Some(last);
        }
    }
}
