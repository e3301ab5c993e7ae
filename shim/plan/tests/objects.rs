//! Plans of the real objects on this machine, checked by others' eyes: objdump says where the
//! `syscall` instructions are, iced-x86 where every branch goes and what every stub does.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use ia2_core::layout::{STUB_CODE, StubHeader, table_entry};
use ia2_core::site::{Form, Refusal};
use ia2_plan::image::Image;
use ia2_plan::plan::{ObjectPlan, Site, plan};
use ia2_plan::report::Summary;
use ia2_plan::stub;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
const LD_SO: &str = "/lib64/ld-linux-x86-64.so.2";
/// Of these, the ones that are installed are planned; Debian's packages musl, busybox-static,
/// nodejs, golang-go and libssl3 have them.
const OTHERS: [&str; 6] = [
    "/lib/ld-musl-x86_64.so.1",
    "/bin/busybox",
    "/usr/bin/node",
    "/usr/lib/go-1.19/bin/go",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/bin/python3",
];

/// Reads and plans a file, and hands both to `check`.
fn with_plan<T>(path: &str, check: impl FnOnce(&Image<'_>, &ObjectPlan) -> T) -> T {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let image = Image::from_file(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
    check(&image, &plan(&image))
}

/// Where objdump sees a `syscall` instruction.
fn objdump(path: &str) -> BTreeSet<u64> {
    let output =
        Command::new("objdump").args(["-d", path]).output().expect("binutils is installed");
    assert!(output.status.success(), "objdump failed on {path}");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| line.trim_end().ends_with("\tsyscall"));
    lines
        .map(|line| {
            let addr = line.split(':').next().unwrap_or_default().trim();
            u64::from_str_radix(addr, 16).expect("an address")
        })
        .collect()
}

#[test]
fn the_sites_of_glibc_are_those_that_objdump_sees() {
    for path in [LIBC, LD_SO] {
        let seen = objdump(path);
        let found: BTreeSet<u64> =
            with_plan(path, |_, plan| plan.sites.iter().map(|site| site.addr).collect());
        assert_eq!(found, seen, "{path}");
        assert!(found.len() > 30, "{path}: only {} sites", found.len());
    }
}

#[test]
fn every_site_of_glibc_is_patched() {
    for path in [LIBC, LD_SO] {
        with_plan(path, |_, plan| {
            let left: Vec<&Site> = plan.sites.iter().filter(|site| site.outcome.is_err()).collect();
            assert!(left.is_empty(), "{path}: {left:x?}");
        });
    }
}

#[test]
fn every_pair_is_accounted_for() {
    for path in [LIBC, LD_SO].into_iter().chain(OTHERS) {
        if !std::path::Path::new(path).exists() {
            println!("{path}: not installed");
            continue;
        }
        with_plan(path, |_, plan| {
            println!("{path}: {}", Summary::of(plan));
            assert_eq!(plan.sites.len() + plan.hidden.len(), plan.candidates, "{path}");
            let sorted = plan.sites.windows(2).all(|pair| pair[0].addr < pair[1].addr);
            assert!(sorted, "{path}: sites by address, each once");
        });
    }
}

/// The targets of all direct branches that a linear sweep over text finds, in step or not.
fn branch_targets(image: &Image<'_>) -> BTreeSet<u64> {
    let mut targets = BTreeSet::new();
    for segment in image.segments.iter().filter(|segment| segment.exec) {
        let options = DecoderOptions::NONE;
        let mut decoder = Decoder::with_ip(64, segment.bytes, segment.vaddr, options);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            let jump = instruction.is_jmp_short_or_near() || instruction.is_jcc_short_or_near();
            if jump || instruction.is_loop() || instruction.is_jcx_short() {
                targets.insert(instruction.near_branch_target());
            }
        }
    }
    targets
}

#[test]
fn nothing_jumps_into_what_is_overwritten() {
    for path in [LIBC, LD_SO, OTHERS[0], OTHERS[1]] {
        if !std::path::Path::new(path).exists() {
            println!("{path}: not installed");
            continue;
        }
        with_plan(path, |image, plan| {
            let targets = branch_targets(image);
            let mut taken = BTreeMap::new();
            for site in &plan.sites {
                let Ok(patch) = &site.outcome else { continue };
                let inside = patch.start + 1..patch.range().end;
                let hit = targets.range(inside).next();
                assert_eq!(hit, None, "{path}: into {site:x?}");
                taken.insert(patch.start, patch.range().end);
                if let Some(island) = patch.island {
                    let hit = targets.range(island.addr..island.addr + 5).next();
                    assert_eq!(hit, None, "{path}: into the island of {site:x?}");
                    taken.insert(island.addr, island.addr + 5);
                }
                if patch.form == Form::A {
                    assert!(patch.range().end <= site.addr, "{path}: the syscall stays, {site:x?}");
                }
            }
            let ranges: Vec<(u64, u64)> = taken.into_iter().collect();
            let apart = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
            assert!(apart, "{path}: two patches overlap");
        });
    }
}

#[test]
fn every_known_number_is_loaded_before_its_site() {
    // An independent reading: iced walks back from the site over what leaves eax alone.
    with_plan(LIBC, |image, plan| {
        let mut known = 0;
        for site in plan.sites.iter().filter(|site| site.nr.is_some()) {
            let low = site.addr - 100;
            let bytes = &image.text_at(low).expect("text")[..100];
            // Some start in step will do: try them all, and want one that finds the number.
            let finds = (0..90).any(|skip| {
                let options = DecoderOptions::NONE;
                let mut decoder = Decoder::with_ip(64, &bytes[skip..], low + skip as u64, options);
                let mut eax = None;
                for instruction in &mut decoder {
                    if instruction.op0_register().full_register() == Register::RAX {
                        eax = match (instruction.mnemonic(), instruction.op1_kind()) {
                            (Mnemonic::Mov, OpKind::Immediate32 | OpKind::Immediate32to64) => {
                                Some(instruction.immediate(1) as u32)
                            }
                            (Mnemonic::Xor, _) => Some(0),
                            (Mnemonic::Cmp | Mnemonic::Test, _) => eax,
                            _ => None,
                        };
                    }
                }
                decoder.ip() == site.addr && eax == site.nr
            });
            assert!(finds, "{site:x?}");
            known += 1;
        }
        assert!(known > 400, "only {known} numbers known");
    });
}

/// Reads a stub back and checks that it does what its site did.
fn check_stub(site: &Site, bias: u64, slot: u64) {
    let patch = site.outcome.as_ref().expect("patched");
    let stub = stub::emit(patch, site, bias, slot).expect("in reach");
    let header = StubHeader::unpack(u64::from_le_bytes(stub.bytes[..8].try_into().expect("8")));
    assert_eq!(header.site, site.addr + bias);

    let code = &stub.bytes[STUB_CODE as usize..stub.len];
    let mut decoder = Decoder::with_ip(64, code, slot + STUB_CODE, DecoderOptions::NONE);
    let mut old =
        Decoder::with_ip(64, &patch.old, patch.start + bias, DecoderOptions::NONE).into_iter();
    let mut expect_moved = |decoder: &mut Decoder<'_>, until: u64| {
        while decoder.ip() < until {
            let (new, old) = (decoder.decode(), old.next().expect("as many as moved"));
            assert_same(&old, &new);
        }
        old.next()
    };

    let syscall = expect_moved(&mut decoder, slot + u64::from(header.reenter));
    let stays = patch.range().end <= site.addr;
    let next = syscall.map(|instruction| instruction.mnemonic());
    assert_eq!(next, (!stays).then_some(Mnemonic::Syscall));
    let behind = site.addr + bias + 2;

    let back = if patch.form == Form::B { slot + u64::from(header.after) } else { behind };
    let lea = decoder.decode();
    assert_eq!((lea.code(), lea.op0_register()), (Code::Lea_r64_m, Register::RCX));
    assert_eq!(lea.ip_rel_memory_address(), back);
    let mov = decoder.decode();
    assert_eq!((mov.code(), mov.op0_register()), (Code::Mov_r64_imm64, Register::R11));
    assert_eq!(mov.immediate64(), table_entry(site.nr));
    let jump = decoder.decode();
    assert_eq!((jump.code(), jump.memory_base()), (Code::Jmp_rm64, Register::R11));
    assert_eq!((jump.memory_index(), jump.memory_displacement64()), (Register::None, 0));

    if patch.form == Form::B {
        assert_eq!(decoder.ip(), back);
        assert_eq!(usize::from(header.after_len), patch.after().len());
        let lea = decoder.decode();
        assert_eq!((lea.code(), lea.op0_register()), (Code::Lea_r64_m, Register::RCX));
        assert_eq!(lea.ip_rel_memory_address(), behind);
        let until = decoder.ip() + patch.after().len() as u64;
        let mut moved =
            Decoder::with_ip(64, patch.after(), behind, DecoderOptions::NONE).into_iter();
        while decoder.ip() < until {
            assert_same(&moved.next().expect("as many as moved"), &decoder.decode());
        }
        let jump = decoder.decode();
        assert_eq!(jump.code(), Code::Jmp_rel32_64);
        assert_eq!(jump.near_branch_target(), patch.range().end + bias);
    } else {
        assert_eq!((header.after, header.after_len), (0, 0));
    }
    assert_eq!(decoder.ip(), slot + stub.len as u64, "nothing else is in the stub");
    check_writes(site, bias, slot);
}

/// Two copies of one instruction at two addresses do the same.
fn assert_same(old: &Instruction, new: &Instruction) {
    assert_eq!(old.code(), new.code());
    assert_eq!(old.len(), new.len());
    for operand in 0..old.op_count() {
        assert_eq!(old.op_kind(operand), new.op_kind(operand));
        assert_eq!(old.op_register(operand), new.op_register(operand));
        let kind = old.op_kind(operand);
        if !matches!(kind, OpKind::Register | OpKind::Memory) && old.try_immediate(operand).is_ok()
        {
            assert_eq!(old.immediate(operand), new.immediate(operand));
        }
    }
    assert_eq!(old.memory_base(), new.memory_base());
    assert_eq!(old.memory_index(), new.memory_index());
    assert_eq!(old.memory_index_scale(), new.memory_index_scale());
    // For a RIP-relative operand this is the address it means.
    assert_eq!(old.memory_displacement64(), new.memory_displacement64());
    assert_eq!(old.segment_prefix(), new.segment_prefix());
}

/// Follows the jumps that are written over the site to the stub.
fn check_writes(site: &Site, bias: u64, slot: u64) {
    let patch = site.outcome.as_ref().expect("patched");
    let [first, second] = stub::writes(patch, bias, slot).expect("in reach");
    let first = first.expect("there is one");
    let jump = |write: &stub::Write| {
        let bytes = &write.new[..write.len];
        let mut decoder = Decoder::with_ip(64, bytes, write.addr, DecoderOptions::NONE);
        let target = decoder.decode().near_branch_target();
        assert!(decoder.into_iter().all(|instruction| instruction.mnemonic() == Mnemonic::Nop));
        target
    };
    assert_eq!(jump(&first), slot + STUB_CODE);
    let at_site = match second {
        Some(second) => {
            assert_eq!(jump(&second), first.addr, "the short jump leads to the island");
            second
        }
        None => first,
    };
    assert_eq!(at_site.addr, patch.start + bias);
    assert_eq!(at_site.old[..at_site.len], *patch.old);
}

#[test]
fn every_stub_does_what_its_site_did() {
    for path in [LIBC, LD_SO, OTHERS[0], OTHERS[1]] {
        if !std::path::Path::new(path).exists() {
            println!("{path}: not installed");
            continue;
        }
        with_plan(path, |_, plan| {
            let bias = 0x7f12_3456_7000;
            let slots = bias - 0x10_0000;
            let mut forms = BTreeSet::new();
            for (index, site) in plan.sites.iter().enumerate() {
                if let Ok(patch) = &site.outcome {
                    forms.insert(patch.form);
                    check_stub(site, bias, slots + 64 * index as u64);
                }
            }
            println!("{path}: stubs of forms {forms:?}");
            assert!(forms.contains(&Form::A) && forms.contains(&Form::D), "{path}: {forms:?}");
        });
    }
}

#[test]
fn a_slot_out_of_reach_is_refused() {
    with_plan(LIBC, |_, plan| {
        let bias = 0x7f12_3456_7000;
        for site in plan.sites.iter().take(20) {
            let patch = site.outcome.as_ref().expect("patched");
            for slot in [0x40_0000, bias + (3 << 30), bias - (3 << 30)] {
                let far = Some(Refusal::NoStubMemory);
                assert_eq!(stub::writes(patch, bias, slot).err(), far);
                assert_eq!(stub::emit(patch, site, bias, slot).err(), far);
            }
        }
    });
}

/// What is in memory after loading is what was in the file, except that pointers are relocated: by
/// glibc in the dynamic section too. The plan does not depend on it.
#[test]
fn a_plan_from_memory_equals_the_plan_from_the_file() {
    let bytes = std::fs::read(LIBC).expect("libc");
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8")) as usize;
    let half =
        |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().expect("2")));
    let (phoff, phnum) = (word(32), half(56));
    let phdrs = &bytes[phoff..phoff + 56 * phnum];
    let file = Image::from_file(&bytes).expect("libc");
    let bias = 0x7f00_1234_5000u64;
    // A copy of the segments in which the dynamic section's pointers are relocated.
    let mut copies: Vec<(u64, Vec<u8>, bool, bool)> =
        file.segments.iter().map(|s| (s.vaddr, s.bytes.to_vec(), s.exec, s.write)).collect();
    let dynamic = (0..phnum).map(|i| phoff + 56 * i).find(|at| bytes[*at] == 2).expect("dynamic");
    let vaddr = word(dynamic + 16) as u64;
    for copy in &mut copies {
        if (copy.0..copy.0 + copy.1.len() as u64).contains(&vaddr) {
            let at = (vaddr - copy.0) as usize;
            for entry in copy.1[at..].chunks_exact_mut(16) {
                let tag = u64::from_le_bytes(entry[..8].try_into().expect("8"));
                if matches!(tag, 4 | 5 | 6 | 0x6fff_fef5) {
                    let value = u64::from_le_bytes(entry[8..].try_into().expect("8"));
                    entry[8..].copy_from_slice(&(value + bias).to_le_bytes());
                }
            }
        }
    }
    let segments = copies
        .iter()
        .map(|(vaddr, bytes, exec, write)| ia2_plan::image::Segment {
            vaddr: *vaddr,
            bytes,
            offset: 0,
            exec: *exec,
            write: *write,
        })
        .collect();
    let memory = Image::from_memory(phdrs, phnum, bias, segments).expect("libc");
    assert!(memory.symbols().count() > 1000, "the symbols are found");
    assert_eq!(memory.symbols().count(), file.symbols().count());
    assert_eq!(plan(&memory), plan(&file));
}

/// Debian's `cc -static` makes programs without unwind index; what leads to their unwind entries is
/// not loaded, nor are the symbols.
#[test]
fn a_static_program_is_planned_from_memory_alone() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let (source, program) = (format!("{folder}/static.c"), format!("{folder}/static"));
    std::fs::write(&source, "int main(void) { return 0; }").expect("a temporary file");
    let compiled = Command::new("cc").args(["-static", "-o", &program, &source]).status();
    assert!(compiled.expect("a C compiler is installed").success());
    let bytes = std::fs::read(&program).expect("just written");
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8")) as usize;
    let phnum = usize::from(u16::from_le_bytes(bytes[56..58].try_into().expect("2")));
    let phdrs = &bytes[word(32)..word(32) + 56 * phnum];
    let file = Image::from_file(&bytes).expect("sound");
    assert_eq!(file.eh_frame_hdr, None, "else this tests nothing");
    let memory = Image::from_memory(phdrs, phnum, 0, file.segments.clone()).expect("sound");
    assert_eq!(memory.symbols().count(), 0);
    let plan = plan(&memory);
    println!("{}", Summary::of(&plan));
    assert!(plan.sites.len() > 50 && plan.sites.iter().all(|site| site.outcome.is_ok()));
}
