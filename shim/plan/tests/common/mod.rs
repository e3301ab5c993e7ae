//! Small ELF objects made for one test each.
#![allow(dead_code, reason = "each test program uses another part")]

use core::ops::Range;

use ia2_plan::image::Image;
use ia2_plan::plan::{ObjectPlan, Site, plan};

/// Where an object's text begins, in the file and in memory.
pub(crate) const TEXT: u64 = 0x1000;
/// Where its constants begin.
pub(crate) const RODATA: u64 = 0x3000;
/// Where its unwind tables begin.
pub(crate) const UNWIND: u64 = 0x4000;
const END: usize = 0x6000;

/// An object to be built. Offsets count from the beginning of text.
#[derive(Default, Clone)]
pub(crate) struct Object {
    pub(crate) text: Vec<u8>,
    pub(crate) rodata: Vec<u8>,
    /// Functions with an unwind entry, and whether they are signal frames.
    pub(crate) functions: Vec<(Range<usize>, bool)>,
    /// Function symbols: offset and size.
    pub(crate) symbols: Vec<(usize, usize)>,
    /// Landing pads of the first function, as offsets.
    pub(crate) pads: Vec<usize>,
}

impl Object {
    /// An object that is one function with this code.
    pub(crate) fn function(text: &[u8]) -> Self {
        Self { functions: vec![(0..text.len(), false)], text: text.to_vec(), ..Self::default() }
    }

    /// The bytes of its file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = vec![0u8; END];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        put(&mut file, 16, &[3, 0, 62, 0, 1, 0, 0, 0]);
        put(&mut file, 32, &64u64.to_le_bytes()); // program headers
        put(&mut file, 52, &64u16.to_le_bytes());
        put(&mut file, 54, &56u16.to_le_bytes());
        put(&mut file, 56, &3u16.to_le_bytes());
        let header =
            |file: &mut Vec<u8>, index: usize, kind: u32, flags: u32, at: u64, len: u64| {
                let to = 64 + 56 * index;
                put(file, to, &kind.to_le_bytes());
                put(file, to + 4, &flags.to_le_bytes());
                for field in [8, 16, 24] {
                    put(file, to + field, &at.to_le_bytes());
                }
                put(file, to + 32, &len.to_le_bytes());
                put(file, to + 40, &len.to_le_bytes());
            };
        header(&mut file, 0, 1, 5, TEXT, self.text.len() as u64);
        header(&mut file, 1, 1, 4, RODATA, END as u64 - RODATA);
        let kind = if self.functions.is_empty() { 0 } else { 0x6474_e550 };
        header(&mut file, 2, kind, 4, UNWIND, 0x1000);
        put(&mut file, TEXT as usize, &self.text);
        put(&mut file, RODATA as usize, &self.rodata);
        self.put_unwind(&mut file);
        self.put_symbols(&mut file);
        file
    }

    /// `.eh_frame_hdr` at `UNWIND`, `.eh_frame` at `UNWIND` + 0x800.
    fn put_unwind(&self, file: &mut [u8]) {
        let frames = UNWIND as usize + 0x800;
        // Two CIEs: for plain functions and for signal frames. 0x1b: relative, four bytes.
        let plain = b"\x14\0\0\0\0\0\0\0\x01zRL\0\x01\x78\x10\x02\x1b\x1b\0\0\0";
        let signal = b"\x14\0\0\0\0\0\0\0\x01zRS\0\x01\x78\x10\x01\x1b\0\0\0\0";
        put(file, frames, plain);
        put(file, frames + 24, signal);
        let lsda = RODATA as usize + 0x800;
        let mut at = frames + 48;
        let mut table = Vec::new();
        for (index, (range, is_signal)) in self.functions.iter().enumerate() {
            let start = TEXT + range.start as u64;
            put(file, at, &20u32.to_le_bytes());
            let cie = if *is_signal { frames + 24 } else { frames };
            put(file, at + 4, &((at + 4 - cie) as u32).to_le_bytes());
            put(file, at + 8, &(start as i32 - (at as i32 + 8)).to_le_bytes());
            put(file, at + 12, &(range.len() as u32).to_le_bytes());
            put(file, at + 16, &[if *is_signal { 0 } else { 4 }]);
            if index == 0 && !self.pads.is_empty() {
                put(file, at + 17, &(lsda as i32 - (at as i32 + 17)).to_le_bytes());
            }
            table.push((start as i32 - UNWIND as i32, at as i32 - UNWIND as i32));
            at += 24;
        }
        table.sort_unstable();
        put(file, UNWIND as usize, &[1, 0x1b, 3, 0x3b]);
        put(file, UNWIND as usize + 4, &(0x800i32 - 4).to_le_bytes());
        put(file, UNWIND as usize + 8, &(table.len() as u32).to_le_bytes());
        for (index, (start, fde)) in table.iter().enumerate() {
            put(file, UNWIND as usize + 12 + 8 * index, &start.to_le_bytes());
            put(file, UNWIND as usize + 16 + 8 * index, &fde.to_le_bytes());
        }
        // No base, no types, one-byte ULEB numbers: start, length, pad, action for each pad.
        let mut lsda_bytes = vec![0xff, 0xff, 0x01, 4 * self.pads.len() as u8];
        self.pads.iter().for_each(|pad| lsda_bytes.extend([0, 1, *pad as u8, 0]));
        put(file, lsda, &lsda_bytes);
    }

    /// `.symtab` and `.strtab`, found by section headers.
    fn put_symbols(&self, file: &mut Vec<u8>) {
        if self.symbols.is_empty() {
            return;
        }
        let (entries, strings) = (file.len(), file.len() + 24 * (self.symbols.len() + 1));
        file.resize(strings, 0);
        file.extend(b"\0");
        for (index, (offset, size)) in self.symbols.iter().enumerate() {
            let name = (file.len() - strings) as u32;
            file.extend(format!("f{index}\0").bytes());
            let at = entries + 24 * (index + 1);
            put(file, at, &name.to_le_bytes());
            put(file, at + 4, &[0x12, 0, 1, 0]); // global function in section 1
            put(file, at + 8, &(TEXT + *offset as u64).to_le_bytes());
            put(file, at + 16, &(*size as u64).to_le_bytes());
        }
        let strings_len = file.len() - strings;
        let headers = file.len();
        file.resize(headers + 3 * 64, 0);
        for (index, kind, at, len, link) in
            [(1, 2u32, entries, strings - entries, 2u32), (2, 3, strings, strings_len, 0)]
        {
            let to = headers + 64 * index;
            put(file, to + 4, &kind.to_le_bytes());
            put(file, to + 24, &(at as u64).to_le_bytes());
            put(file, to + 32, &(len as u64).to_le_bytes());
            put(file, to + 40, &link.to_le_bytes());
        }
        put(file, 40, &(headers as u64).to_le_bytes());
        put(file, 58, &64u16.to_le_bytes());
        put(file, 60, &3u16.to_le_bytes());
    }

    /// Its plan.
    pub(crate) fn plan(&self) -> ObjectPlan {
        let file = self.build();
        plan(&Image::from_file(&file).expect("a sound object"))
    }

    /// Its only site, which must be there.
    pub(crate) fn site(&self) -> Site {
        let plan = self.plan();
        assert_eq!(plan.sites.len(), 1, "{plan:x?}");
        plan.sites[0]
    }
}

/// Writes `bytes` at `at`.
pub(crate) fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Several pieces of code, one after the other.
pub(crate) fn code(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

pub(crate) const SYSCALL: &[u8] = b"\x0f\x05";
pub(crate) const RET: &[u8] = b"\xc3";
pub(crate) const NOP: &[u8] = b"\x90";
/// `mov $39,%eax`
pub(crate) const GETPID: &[u8] = b"\xb8\x27\0\0\0";
/// `mov %rdi,%rax`
pub(crate) const MOV_RDI_RAX: &[u8] = b"\x48\x89\xf8";
/// `mov %rsi,%rdi`
pub(crate) const MOV_RSI_RDI: &[u8] = b"\x48\x89\xf7";
/// `cmp $-4096,%rax`
pub(crate) const CMP: &[u8] = b"\x48\x3d\x00\xf0\xff\xff";
/// `call` of the next instruction: cannot move
pub(crate) const CALL: &[u8] = b"\xe8\0\0\0\0";
/// `pushfq; popfq` would do; this is `nopl 0(%rax,%rax,1)`, eight bytes
pub(crate) const NOP8: &[u8] = b"\x0f\x1f\x84\0\0\0\0\0";
