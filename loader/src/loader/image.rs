//! An ELF program, mapped as the kernel would have (fs/binfmt_elf.c `load_elf_binary`).
//!
//! Where it comes to lie:
//!
//! 1. a program for fixed addresses: there;
//! 2. one that runs anywhere and has an interpreter: at random in the region of such programs;
//! 3. one without interpreter (static PIE), and the interpreter itself: where the kernel puts
//!    libraries.
//!
//! The caller of exec has checked that the file is a program (the shim's exec does, and `ia2 run`), so
//! what goes wrong here is rare, and comes too late for an errno: it is told on stderr.

#![allow(unsafe_code, reason = "reads mapped headers, clears the end of a page")]

use core::ops::Range;
use core::ptr;
use ia2_boot::raw::give_up;
use ia2_core::elf::{HEADER_LEN, Header, Segment, Table};
use ia2_core::layout::RESERVED;
use ia2_rt::sys;
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_PRIVATE, O_RDONLY, PROT_EXEC, PROT_NONE,
    PROT_READ, PROT_WRITE,
};

/// Where programs that run anywhere begin (`ELF_ET_DYN_BASE`, whole pages).
pub(crate) const BASE: u64 = 0x5555_5555_4000;
/// Pages over which they are scattered: 28 bits (`mmap_rnd_bits`).
const SCATTER: u64 = 1 << 28;
const ADDR_NO_RANDOMIZE: u32 = 0x0004_0000;
const PAGE: u64 = 4096;
const EEXIST: i32 = 17;

/// Longest path of an interpreter.
const PATH_MAX: usize = 4096;

/// A mapped program.
pub(crate) struct Image {
    /// It lies where it was linked to lie.
    pub(crate) fixed: bool,
    /// Address of its first instruction.
    pub(crate) entry: u64,
    /// Address of its program headers.
    pub(crate) headers: u64,
    /// How many there are.
    pub(crate) headers_len: u64,
    /// Run-time address minus link-time address.
    pub(crate) bias: u64,
    /// One past its last page.
    pub(crate) end: u64,
    /// Its executable segments, from the first byte to the last.
    pub(crate) code: Range<u64>,
    /// Its last segment.
    pub(crate) data: Range<u64>,
    /// It wants an executable stack.
    pub(crate) executable_stack: bool,
    interpreter: Option<i32>,
}

/// What is mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// What was asked for.
    Program,
    /// What the program names to run it.
    Interpreter,
}

/// Bytes of a file, copied for a look: what is checked of them must be what is used. Unmapped with the
/// value.
struct View {
    start: u64,
    len: u64,
}

impl View {
    fn of(fd: i32, range: &Range<u64>) -> Option<Self> {
        let len = range.end.checked_sub(range.start)?;
        let flags = MAP_PRIVATE | MAP_ANONYMOUS;
        let start = sys::mmap(0, len, PROT_READ | PROT_WRITE, flags, -1, 0).ok()?;
        let mut view = Self { start, len };
        let got = sys::pread(fd, view.bytes_mut(), range.start);
        (got == Ok(len as usize)).then_some(view)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped by `of` for this value alone, until it is dropped.
        unsafe {
            let start = ptr::with_exposed_provenance(self.start as usize);
            core::slice::from_raw_parts(start, self.len as usize)
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe {
            let start = ptr::with_exposed_provenance_mut(self.start as usize);
            core::slice::from_raw_parts_mut(start, self.len as usize)
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        sys::munmap(self.start, self.len);
    }
}

/// Maps the program that is open as `fd`.
pub(crate) fn load(fd: i32, role: Role) -> Image {
    let mut head = [0u8; HEADER_LEN];
    let len = sys::pread(fd, &mut head, 0).unwrap_or(0);
    let Ok(header) = Header::read(head.get(..len).unwrap_or(&[])) else {
        give_up("not a program for x86-64", 0)
    };
    let Some(view) = View::of(fd, &header.table) else {
        give_up("the program headers cannot be read", 0)
    };
    let table = Table(view.bytes());
    let Ok(extent) = table.extent() else { give_up("the program headers are unsound", 0) };
    if header.fixed && extent.start < RESERVED.end && RESERVED.start < extent.end {
        give_up("the program lies at the shim's addresses", 0);
    }
    let interpreter = match role {
        Role::Program => table.interpreter().map(|range| open_interpreter(fd, &range)),
        Role::Interpreter => None,
    };
    let align = if role == Role::Program { table.align() } else { PAGE };
    let len = extent.end - extent.start;
    let start = if header.fixed {
        reserve(Some(extent.start), len, fd)
            .unwrap_or_else(|errno| give_up("the program's addresses are taken", errno))
    } else if role == Role::Program && interpreter.is_some() {
        place_among_programs(len, align, fd)
    } else {
        place_among_libraries(len, align, fd)
    };
    let bias = start.wrapping_sub(extent.start);
    for segment in table.segments() {
        map(fd, &segment, bias);
    }
    release_gaps(&table, &extent, bias);
    // As load_elf_binary counts: code from the lowest executable segment, data from the highest.
    let (mut code, mut data) = (Range { start: u64::MAX, end: 0 }, 0..0);
    for segment in table.segments() {
        let start = segment.vaddr.wrapping_add(bias);
        let end = start.wrapping_add(segment.filesz);
        if segment.flags & 1 != 0 {
            code = code.start.min(start)..code.end.max(end);
        }
        data = data.start.max(start)..data.end.max(end);
    }
    Image {
        fixed: header.fixed,
        entry: header.entry.wrapping_add(bias),
        headers: table.addr(&header).wrapping_add(bias),
        headers_len: (header.table.end - header.table.start) / ia2_core::elf::ENTRY_LEN as u64,
        bias,
        end: extent.end.wrapping_add(bias),
        code,
        data,
        executable_stack: table.wants_executable_stack(),
        interpreter,
    }
}

impl Image {
    /// The interpreter, mapped.
    pub(crate) fn interpreter(&self) -> Option<Self> {
        let fd = self.interpreter?;
        let image = load(fd, Role::Interpreter);
        sys::close(fd);
        Some(image)
    }
}

fn open_interpreter(fd: i32, range: &Range<u64>) -> i32 {
    let mut path = [0u8; PATH_MAX];
    let len = (range.end - range.start).min(PATH_MAX as u64) as usize;
    let room = path.get_mut(..len).unwrap_or(&mut []);
    let got = sys::pread(fd, room, range.start).unwrap_or(0);
    match path.get(..got) {
        Some(path) if path.last() == Some(&0) => sys::open(path, O_RDONLY, 0)
            .unwrap_or_else(|errno| give_up("the program's interpreter cannot be opened", errno)),
        _ => give_up("the path of the program's interpreter is unsound", 0),
    }
}

/// Reserves `len` bytes, at `at` if it is given, and gives their address.
///
/// A mapping of the file, as the kernel makes one: where the kernel puts it depends on the file's
/// page cache (huge pages).
fn reserve(at: Option<u64>, len: u64, fd: i32) -> Result<u64, i32> {
    let fixed = if at.is_some() { MAP_FIXED_NOREPLACE } else { 0 };
    let got = sys::mmap(at.unwrap_or(0), len, PROT_NONE, MAP_PRIVATE | fixed, fd, 0)?;
    if at.is_none_or(|at| at == got) { Ok(got) } else { Err(EEXIST) }
}

fn place_among_programs(len: u64, align: u64, fd: i32) -> u64 {
    let scattered = sys::personality() & ADDR_NO_RANDOMIZE == 0;
    for _ in 0..16 {
        let pages = if scattered { sys::random() % SCATTER } else { 0 };
        if let Ok(at) = reserve(Some((BASE + pages * PAGE) & !(align - 1)), len, fd) {
            return at;
        }
    }
    place_among_libraries(len, align, fd)
}

fn place_among_libraries(len: u64, align: u64, fd: i32) -> u64 {
    // With room to cut off what comes before the alignment and behind the end.
    let slack = align - PAGE;
    let start = reserve(None, len + slack, fd)
        .unwrap_or_else(|errno| give_up("no room for the program", errno));
    let at = start.next_multiple_of(align);
    if at > start {
        sys::munmap(start, at - start);
    }
    if start + slack > at {
        sys::munmap(at + len, start + slack - at);
    }
    at
}

/// Maps one segment, into what was reserved: its file part, and zeros behind it. Segments may share
/// a page; the later one has it then.
fn map(fd: i32, segment: &Segment, bias: u64) {
    let flag = |bit, prot| if segment.flags & bit != 0 { prot } else { 0 };
    let prot = flag(4, PROT_READ) | flag(2, PROT_WRITE) | flag(1, PROT_EXEC);
    let start = segment.vaddr.wrapping_add(bias);
    let first = start & !(PAGE - 1);
    let file_end = start + segment.filesz;
    let file_pages = if segment.filesz == 0 { first } else { file_end.next_multiple_of(PAGE) };
    let end = (start + segment.memsz).next_multiple_of(PAGE);
    let fail = |errno| give_up("a segment of the program cannot be mapped", errno);
    if file_pages > first {
        let offset = segment.offset & !(PAGE - 1);
        let flags = MAP_PRIVATE | MAP_FIXED;
        sys::mmap(first, file_pages - first, prot, flags, fd, offset).unwrap_or_else(fail);
    }
    if segment.memsz > segment.filesz && file_pages > file_end && prot & PROT_WRITE != 0 {
        let to = ptr::with_exposed_provenance_mut::<u8>(file_end as usize);
        // SAFETY: the rest of a page that was just mapped writable.
        unsafe { ptr::write_bytes(to, 0, (file_pages - file_end) as usize) };
    }
    if end > file_pages {
        // Writable whatever the segment says (`vm_brk_flags`).
        let prot = PROT_READ | PROT_WRITE | (prot & PROT_EXEC);
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        sys::mmap(file_pages, end - file_pages, prot, flags, -1, 0).unwrap_or_else(fail);
    }
}

/// Gives back what was reserved between the segments.
fn release_gaps(table: &Table<'_>, extent: &Range<u64>, bias: u64) {
    let mut at = extent.start;
    // The kernel maps in the order of the file, and so do linkers: by address.
    for segment in table.segments() {
        let first = segment.vaddr & !(PAGE - 1);
        if first > at {
            sys::munmap(at.wrapping_add(bias), first - at);
        }
        at = at.max((segment.vaddr + segment.memsz).next_multiple_of(PAGE));
    }
}
