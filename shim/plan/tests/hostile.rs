//! Whatever the bytes, the planner answers.

mod common;

use std::sync::OnceLock;

use common::{GETPID, Object, RET, SYSCALL, TEXT, UNWIND, code};
use ia2_plan::image::{ElfError, Image};
use ia2_plan::insn;
use ia2_plan::plan::plan;
use ia2_plan::stub;
use proptest::prelude::*;

fn reason(bytes: &[u8]) -> ElfError {
    Image::from_file(bytes).err().expect("not an object")
}

#[test]
fn what_is_no_x86_64_program_is_named() {
    let good = Object::function(&code(&[GETPID, SYSCALL, RET])).build();
    assert!(Image::from_file(&good).is_ok());
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        reason(&bytes)
    };
    assert_eq!(reason(b"").to_string(), "offset 0x0: the file is empty");
    assert_eq!(reason(b"#!/bin/sh\n").to_string(), "offset 0x0: not an ELF file");
    assert_eq!(reason(b"\x7fELF").to_string(), "offset 0x4: the ELF header is cut off");
    assert_eq!(reason(&good[..40]).to_string(), "offset 0x28: the ELF header is cut off");
    assert_eq!(with(4, 1).to_string(), "offset 0x4: a 32-bit ELF file; only x86-64 is handled");
    assert_eq!(with(5, 2).to_string(), "offset 0x5: a big-endian ELF file; only x86-64 is handled");
    assert_eq!(
        with(18, 0xb7).to_string(),
        "offset 0x12: an ELF file for another machine; only x86-64 is handled"
    );
    assert_eq!(with(16, 1).to_string(), "offset 0x10: an object file that is not linked yet");
    assert_eq!(with(16, 4).to_string(), "offset 0x10: a core dump");
    assert_eq!(with(54, 32).to_string(), "offset 0x36: program headers are not 56 bytes each");
    assert_eq!(
        with(56, 0).to_string(),
        "offset 0x38: no program headers: not a program or library"
    );
    assert_eq!(with(38, 1).to_string(), "offset 0x20: the program headers lie outside the file");
    // The first segment's offset and size, and its address.
    assert_eq!(with(64 + 14, 1).to_string(), "offset 0x40: a segment lies outside the file");
    assert_eq!(with(64 + 38, 1).to_string(), "offset 0x40: a segment lies outside the file");
    let mut bytes = good.clone();
    bytes[64 + 16..64 + 24].fill(0xff);
    assert_eq!(reason(&bytes).to_string(), "offset 0x40: a segment wraps around the address space");
    let mut bytes = good;
    bytes[64] = 0;
    bytes[64 + 56] = 0;
    assert_eq!(reason(&bytes).to_string(), "offset 0x20: no loadable segment");
}

#[test]
fn an_unsound_unwind_index_is_not_believed() {
    let object = Object::function(&code(&[GETPID, SYSCALL, RET]));
    let good = object.build();
    let sites = |bytes: &[u8]| plan(&Image::from_file(bytes).expect("an object")).sites;
    assert!(sites(&good)[0].outcome.is_ok());
    // Version, encoding, count, first start, first entry, the entry's CIE, the CIE's version.
    let frames = UNWIND as usize + 0x800;
    for at in [0, 3, 11, 12, 16, 0x800 + 52, 0x800 + 8] {
        let mut bytes = good.clone();
        bytes[UNWIND as usize + at] = 0xff;
        let site = sites(&bytes)[0];
        assert!(site.outcome.is_err(), "byte {at:#x} changed: {site:x?}");
    }
    // An entry that says the function is longer than its segment.
    let mut bytes = good;
    bytes[frames + 48 + 12..frames + 48 + 16].fill(0x7f);
    let site = sites(&bytes)[0];
    assert_eq!(site.addr, TEXT + 5);
}

#[test]
fn every_truncation_of_an_object_is_answered() {
    let mut object = Object::function(&code(&[GETPID, SYSCALL, RET]));
    object.symbols = vec![(0, 8)];
    let good = object.build();
    for len in 0..good.len() {
        exercise(&good[..len]);
    }
}

/// Does with `bytes` all that can be done with them.
fn exercise(bytes: &[u8]) {
    let Ok(image) = Image::from_file(bytes) else { return };
    let plan = plan(&image);
    assert!(plan.sites.len() + plan.hidden.len() <= plan.candidates);
    for site in &plan.sites {
        if let Ok(patch) = &site.outcome {
            for slot in [0, 0x1000, site.addr & !63, !63] {
                for bias in [0, 0x7f00_0000_0000, u64::MAX] {
                    let _ = stub::emit(patch, site, bias, slot);
                    let _ = stub::writes(patch, bias, slot);
                }
            }
        }
    }
    for symbol in image.symbols().take(100) {
        let _ = image.name(&symbol);
    }
}

/// Small real objects, to be damaged.
fn samples() -> &'static [Vec<u8>] {
    static ALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let read = |path: &str| std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut with_pads = Object::function(&code(&[GETPID, SYSCALL, RET]));
        with_pads.pads = vec![5];
        with_pads.symbols = vec![(0, 8), (5, 0)];
        vec![read("/bin/true"), read("/lib64/ld-linux-x86-64.so.2"), with_pads.build()]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_object_is_answered(
        which in 0..3usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u64>(), 1..9usize), 1..40),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples()[which].clone();
        for (at, in_headers, value, len) in edits {
            let room = if in_headers { 1024 } else { bytes.len() };
            let at = at.index(room.min(bytes.len()) - 8);
            bytes[at..at + len.min(8)].copy_from_slice(&value.to_le_bytes()[..len.min(8)]);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        exercise(&bytes);
    }

    #[test]
    fn damaged_unwind_tables_are_answered(
        edits in proptest::collection::vec((0..0x1000usize, any::<u8>()), 1..30),
    ) {
        let mut bytes = samples()[2].clone();
        for (at, value) in edits {
            bytes[UNWIND as usize + at] = value;
        }
        exercise(&bytes);
    }

    #[test]
    fn random_text_is_answered(
        text in proptest::collection::vec(
            prop_oneof![Just(0x0fu8), Just(0x05), Just(0xe9), Just(0xeb), Just(0x90), any::<u8>()],
            1..600,
        ),
        rodata in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut object = Object::function(&text);
        object.rodata = rodata;
        exercise(&object.build());
        object.functions.clear();
        object.symbols = vec![(0, 0), (text.len() / 2, 1)];
        exercise(&object.build());
    }

    #[test]
    fn random_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
        let _ = insn::decode(&bytes);
        let mut object = b"\x7fELF\x02\x01\x01".to_vec();
        object.extend(&bytes);
        exercise(&object);
    }
}
