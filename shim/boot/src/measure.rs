//! The ELF objects in memory: which files are mapped executable, where, and their segments.

#![allow(unsafe_code, reason = "makes slices of mapped memory")]

use crate::config::read_file;
use crate::linked::{Own, Parts};
use crate::plans::{self, File};
use crate::raw::GiveUp;
use alloc::vec::Vec;
use ia2_core::maps::Region;
use ia2_plan::cache::{Key, Layout};
use ia2_plan::image::{Image, Segment};
use ia2_rt::{exe, sys};
use linux_raw_sys::general::O_RDONLY;

/// Where an object is.
pub(crate) struct Object {
    /// Run-time address minus link-time address.
    pub(crate) bias: u64,
    /// First address of the object.
    pub(crate) start: u64,
    /// One past its last.
    pub(crate) end: u64,
    /// Its executable segments.
    pub(crate) layout: Layout,
}

/// An object that was found in memory.
pub(crate) struct Found {
    /// Where it is.
    pub(crate) object: Object,
    /// Its bytes.
    pub(crate) image: Image<'static>,
    /// What its file is known by, if that is still the file at its path.
    pub(crate) key: Option<Key>,
    /// The file, if some of the bytes are in there.
    _file: Option<File>,
}

/// One executable mapping of an object.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    /// First address.
    pub(crate) start: u64,
    /// One past the last.
    pub(crate) end: u64,
    /// It is writable, and stays so.
    pub(crate) write: bool,
}

impl Object {
    /// Its text, as mapped, by address.
    pub(crate) fn text(&self) -> impl Iterator<Item = Text> + '_ {
        self.layout.parts.iter().map(|part| {
            let start = self.bias.wrapping_add(part.vaddr);
            let end = start + part.len;
            Text { start: start & !4095, end: (end + 4095) & !4095, write: part.write }
        })
    }
}

/// What was found.
pub(crate) struct Objects {
    /// All objects but the shim, by address.
    pub(crate) list: Vec<Found>,
    /// All mappings as `(start, end)`, by address, to find gaps in.
    pub(crate) mapped: Vec<(u64, u64)>,
    /// Where this code is.
    pub(crate) own: Own,
    /// Its text, as `(start, end)`, if nothing else is in there.
    pub(crate) own_text: Option<(u64, u64)>,
}

const PAGE: usize = 4096;
const EHDR_LEN: usize = 64;
const PHDR_LEN: usize = 56;
const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

/// Finds them. With `parts`, the shim is in the program.
pub(crate) fn objects(parts: Option<&'static Parts>) -> Result<Objects, GiveUp> {
    let maps = read_file(b"/proc/self/maps\0")
        .map_err(GiveUp::because("cannot read /proc/self/maps; is /proc mounted?"))?;
    let regions: Vec<Region<'_>> =
        maps.split(|byte| *byte == b'\n').filter_map(Region::parse).collect();
    let own = (objects as *const ()).addr() as u64;
    let mut list: Vec<Found> = Vec::new();
    for (index, region) in regions.iter().enumerate() {
        let is_object = region.exec && !region.shared && region.path.starts_with(b"/");
        if !is_object || list.last().is_some_and(|found| found.object.end > region.start) {
            continue;
        }
        // The mapping of the file's first bytes is at or below its first executable one.
        let before = regions.get(..=index).unwrap_or(&[]);
        let head = before.iter().rev().take_while(|r| r.path == region.path || r.path.is_empty());
        let Some(head) = head.filter(|r| r.offset == 0 && r.path == region.path).last() else {
            continue;
        };
        let Some(mut found) = object(head, &regions, parts) else { continue };
        if (found.object.start..found.object.end).contains(&own) {
            if parts.is_none() {
                continue;
            }
            found.key = None; // what is planned is less than its file
        }
        list.push(found);
    }
    let mapped = regions.iter().map(|region| (region.start, region.end)).collect();
    let region = regions.iter().find(|region| region.contains(own));
    let own_text = region.filter(|_| parts.is_none()).map(|region| (region.start, region.end));
    let path = || region.map_or(&[][..], |region| region.path).to_vec();
    let own = parts.map_or_else(|| Own::File(path()), Own::Program);
    Ok(Objects { list, mapped, own, own_text })
}

/// All mappings as `(start, end)`, by address.
pub(crate) fn mapped() -> Result<Vec<(u64, u64)>, i32> {
    let maps = read_file(b"/proc/self/maps\0")?;
    let regions = maps.split(|byte| *byte == b'\n').filter_map(Region::parse);
    Ok(regions.map(|region| (region.start, region.end)).collect())
}

/// The bytes at `start..end`, if all of them are mapped and readable.
fn bytes_at(start: u64, end: u64, regions: &[Region<'_>]) -> Option<&'static [u8]> {
    let mut at = start;
    for region in regions.iter().filter(|region| region.end > start) {
        if at >= end {
            break;
        }
        if !region.contains(at) || !region.read {
            return None;
        }
        at = region.end;
    }
    if at < end || end <= start {
        return None;
    }
    // SAFETY: mapped and readable by what the kernel has just said, and nothing unmaps it while
    // boot, the only code running, looks at it. Text that boot itself patches is written through
    // raw pointers after the plan is made.
    Some(unsafe {
        core::slice::from_raw_parts(
            core::ptr::with_exposed_provenance(start as usize),
            (end - start) as usize,
        )
    })
}

fn le<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(N)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// What the file behind a mapping is known by. Where the path leads to another one meanwhile, or the
/// file system shows another one for it (overlays of old kernels), nobody knows.
fn key(head: &Region<'_>) -> Option<Key> {
    let mut path = head.path.to_vec();
    path.push(0);
    let file = sys::identity_at(&path).ok()?;
    let is_it = (file.inode, file.device) == (head.inode, head.device);
    is_it.then(|| plans::key(file)).flatten()
}

fn object(head: &Region<'_>, regions: &[Region<'_>], parts: Option<&Parts>) -> Option<Found> {
    let header = bytes_at(head.start, head.end, regions)?;
    let is_elf = header.starts_with(b"\x7fELF\x02\x01") && le::<2>(header, 18)? == 62;
    if !is_elf || le::<2>(header, 54)? as usize != PHDR_LEN {
        return None;
    }
    let phoff = le::<8>(header, 32)? as usize;
    let phnum = le::<2>(header, 56)? as usize;
    let phdrs = header.get(phoff.max(EHDR_LEN)..phoff.checked_add(phnum * PHDR_LEN)?)?;

    let loads =
        || phdrs.chunks_exact(PHDR_LEN).filter(|phdr| le::<4>(phdr, 0) == Some(PT_LOAD.into()));
    let first = loads().next()?;
    let first_page = le::<8>(first, 16)? & !4095;
    let bias = head.start.wrapping_sub(first_page.wrapping_sub(le::<8>(first, 8)? & !4095));
    let mut segments = Vec::new();
    let mut end = head.end;
    for phdr in loads() {
        let flags = le::<4>(phdr, 4)? as u32;
        let (vaddr, filesz) = (le::<8>(phdr, 16)?, le::<8>(phdr, 32)?);
        let start = bias.wrapping_add(vaddr);
        let stop = start.checked_add(filesz)?;
        end = end.max(start.checked_add(le::<8>(phdr, 40)?)?);
        if flags & PF_R == 0 {
            continue; // execute-only text cannot be read, and is left to trap
        }
        let Some(bytes) = bytes_at(start, stop, regions) else { continue };
        let (exec, write) = (flags & PF_X != 0, flags & PF_W != 0);
        let offset = le::<8>(phdr, 8)?;
        segments.push(Segment { vaddr, bytes, offset, exec, write });
    }
    if let Some(parts) = parts {
        segments = parts.cut_out(bias, segments);
    }
    let mut image = Image::from_memory(phdrs, phnum, bias, segments).ok()?;
    let file = if image.eh_frame_hdr.is_none() { complete(&mut image, header) } else { None };
    let object = Object { bias, start: head.start, end, layout: Layout::of(&image) };
    Some(Found { object, image, key: key(head), _file: file })
}

/// Where a static program has no index of its functions in memory, symbols and unwind entries are
/// looked for in its file. Gives the file, which must live as long as the image.
fn complete(image: &mut Image<'static>, start: &[u8]) -> Option<File> {
    let fd = sys::open(exe::path(&mut [0; 4096]), O_RDONLY, 0).ok()?;
    let file = sys::file_size(fd).ok().and_then(|len| File::map(fd, 0, len));
    sys::close(fd);
    let file = file?;
    // SAFETY: who makes a program shorter while it runs breaks it in any case; and both live in one
    // `Found`.
    let bytes: &'static [u8] = unsafe { &*core::ptr::from_ref(file.bytes()) };
    if bytes.get(..PAGE)? != start.get(..PAGE)? {
        return None; // another program's
    }
    image.read_sections(bytes);
    Some(file)
}
