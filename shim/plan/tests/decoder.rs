//! Our decoder against iced-x86: over every instruction of real libraries, and over random bytes.

use std::collections::BTreeMap;

use ia2_plan::image::Image;
use ia2_plan::insn::{self, Flow, Writes};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};
use proptest::prelude::*;

/// What iced-x86 calls our flows.
fn flow_of(instruction: &Instruction) -> Flow {
    match instruction.flow_control() {
        FlowControl::Next => match instruction.mnemonic() {
            Mnemonic::Hlt => Flow::Stop,
            Mnemonic::Xabort => Flow::Trap,
            _ => Flow::Next,
        },
        FlowControl::UnconditionalBranch => Flow::Jump,
        FlowControl::ConditionalBranch => Flow::Branch,
        FlowControl::XbeginXabortXend => match instruction.mnemonic() {
            Mnemonic::Xabort => Flow::Trap,
            Mnemonic::Xend => Flow::Next,
            _ => Flow::Branch,
        },
        FlowControl::Call => match instruction.mnemonic() {
            Mnemonic::Syscall => Flow::Syscall,
            Mnemonic::Sysenter => Flow::Trap,
            Mnemonic::Call => Flow::Call,
            _ => Flow::Next, // vmcall and its kin
        },
        FlowControl::IndirectBranch => Flow::JumpIndirect,
        FlowControl::IndirectCall => Flow::CallIndirect,
        FlowControl::Return => match instruction.mnemonic() {
            Mnemonic::Rsm => Flow::Next,
            _ => Flow::Return,
        },
        FlowControl::Interrupt => Flow::Trap,
        FlowControl::Exception => Flow::Stop,
    }
}

/// Panics unless what we say about the instruction at the start of `code` is what iced says.
/// Answers whether we say anything.
fn compare(
    code: &[u8],
    addr: u64,
    theirs: &Instruction,
    info: &mut InstructionInfoFactory,
) -> bool {
    let Some(ours) = insn::decode(code) else {
        assert_eq!(insn::quick(code), None, "quick reads what decode does not: {code:02x?}");
        return false;
    };
    let shown = || format!("{addr:#x}: {:02x?} {theirs}", &code[..theirs.len()]);
    assert_eq!(usize::from(ours.len), theirs.len(), "length of {}", shown());
    assert_eq!(ours.flow, flow_of(theirs), "flow of {}", shown());
    if let Some((len, flow)) = insn::quick(code) {
        assert_eq!((len, flow), (ours.len, ours.flow), "quick on {}", shown());
    }
    let bytes = &code[..theirs.len()];
    if matches!(ours.flow, Flow::Jump | Flow::Branch | Flow::Call) {
        let target = Some(theirs.near_branch_target());
        assert_eq!(ours.target(bytes, addr), target, "target of {}", shown());
        if insn::quick(code).is_some() {
            assert_eq!(insn::relative_target(bytes, addr), target, "quick target of {}", shown());
        }
    } else {
        assert_eq!(ours.target(bytes, addr), None, "target of {}", shown());
    }
    let rip = theirs.memory_base() == Register::RIP;
    assert_eq!(
        ours.rip_target(bytes, addr),
        rip.then(|| theirs.ip_rel_memory_address()),
        "operand of {}",
        shown()
    );
    if ours.is_movable() {
        let eip = theirs.memory_base() == Register::EIP;
        assert!(ours.flow == Flow::Next && !eip, "movable: {}", shown());
    }
    if ours.is_nop() {
        assert_eq!(theirs.mnemonic(), Mnemonic::Nop, "nop: {}", shown());
    }
    if let Some(value) = ours.sets_eax(bytes) {
        let constant = match theirs.op_kind(1) {
            OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64 => {
                theirs.immediate(1) as u32
            }
            _ => 0,
        };
        assert_eq!(theirs.op0_register().full_register(), Register::RAX, "sets eax: {}", shown());
        assert!(theirs.op0_register().size() >= 4, "sets eax: {}", shown());
        assert_eq!(value, constant, "sets eax: {}", shown());
    }
    let written =
        |register: Register| register.is_gpr() && register.full_register() != Register::RSP;
    let claim = ours.writes();
    if claim != Writes::Unknown {
        for used in info.info(theirs).used_registers() {
            let writes = !matches!(
                used.access(),
                OpAccess::Read | OpAccess::CondRead | OpAccess::None | OpAccess::NoMemAccess
            );
            if writes && written(used.register()) {
                let number = used.register().full_register() as u32 - Register::RAX as u32;
                assert_eq!(claim, Writes::One(number as u8), "writes of {}", shown());
            }
        }
    }
    true
}

/// Compares every instruction of a file. Answers how many there are, and which we do not read.
fn compare_file(path: &str) -> (usize, BTreeMap<String, usize>) {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let image = Image::from_file(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut info = InstructionInfoFactory::new();
    let (mut count, mut unread) = (0, BTreeMap::new());
    for segment in image.segments.iter().filter(|segment| segment.exec) {
        let mut decoder = Decoder::with_ip(64, segment.bytes, segment.vaddr, DecoderOptions::NONE);
        let mut theirs = Instruction::default();
        while decoder.can_decode() {
            let at = decoder.position();
            decoder.decode_out(&mut theirs);
            let addr = segment.vaddr + at as u64;
            if theirs.code() == Code::INVALID {
                decoder.set_position(at + 1).expect("inside");
                decoder.set_ip(addr + 1);
                continue;
            }
            count += 1;
            if !compare(&segment.bytes[at..], addr, &theirs, &mut info) {
                *unread.entry(format!("{:?}", theirs.mnemonic())).or_insert(0) += 1;
            }
        }
    }
    (count, unread)
}

/// glibc, and objects with hand-written vector code; of the latter, those that are installed.
#[test]
fn every_instruction_is_read_as_iced_reads_it() {
    let vectors = ["libm.so.6", "libcrypto.so.3", "libgcrypt.so.20"];
    let vectors = vectors.map(|name| format!("/usr/lib/x86_64-linux-gnu/{name}"));
    let c = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(str::to_owned);
    for path in c.iter().chain(&vectors) {
        if vectors.contains(path) && !std::path::Path::new(path).exists() {
            println!("{path}: not installed");
            continue;
        }
        let (count, unread) = compare_file(path);
        let missed: usize = unread.values().sum();
        println!("{path}: {count} instructions, not read: {unread:?}");
        assert!(count > 10_000, "{path}: only {count} instructions");
        // What is not read is constants between functions, taken for instructions.
        assert!(missed * 100 < count, "{path}: {missed} of {count} not read: {unread:?}");
    }
}

#[test]
fn nothing_but_prefixes_is_no_instruction() {
    for prefix in [0x40u8, 0x48, 0x4f, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64] {
        for len in 0..20 {
            assert_eq!(insn::decode(&vec![prefix; len]), None, "{len} times {prefix:#x}");
        }
        // With 14 prefixes there is room for a nop, with 15 there is not. (f0 nop is invalid, but
        // whether a prefix is allowed is not what we look at.)
        for (prefixes, length) in [(14, Some(15)), (15, None)] {
            let code = [vec![prefix; prefixes], vec![0x90; 8]].concat();
            assert_eq!(insn::decode(&code).map(|insn| insn.len), length, "{prefix:#x}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn random_bytes_are_read_as_iced_reads_them_or_not_at_all(
        code in proptest::collection::vec(any::<u8>(), 1..24),
        prefix in proptest::option::of(proptest::sample::select(vec![
            0x66u8, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x3e, 0x64, 0x0f, 0x48, 0x4c, 0x41, 0xff, 0xc7,
        ])),
    ) {
        let code: Vec<u8> = prefix.into_iter().chain(code).collect();
        let mut decoder = Decoder::with_ip(64, &code, 0x40_1000, DecoderOptions::NONE);
        let theirs = decoder.decode();
        if theirs.code() != Code::INVALID {
            compare(&code, 0x40_1000, &theirs, &mut InstructionInfoFactory::new());
        }
    }
}
