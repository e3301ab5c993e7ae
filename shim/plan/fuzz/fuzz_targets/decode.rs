//! Any bytes as an instruction: where we read it, we read it as iced-x86 does.
#![no_main]

use ia2_plan::insn;
use iced_x86::{Code, Decoder, DecoderOptions, Register};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let theirs = Decoder::with_ip(64, bytes, 0x40_1000, DecoderOptions::NONE).decode();
    let ours = insn::decode(bytes);
    if let Some(quick) = insn::quick(bytes) {
        let ours = ours.expect("quick reads no more than decode");
        assert_eq!(quick, (ours.len, ours.flow));
    }
    if let Some(ours) = ours
        && theirs.code() != Code::INVALID
    {
        assert_eq!(usize::from(ours.len), theirs.len(), "{theirs:?}");
        let rip = theirs.memory_base() == Register::RIP;
        let operand = rip.then(|| theirs.ip_rel_memory_address());
        assert_eq!(ours.rip_target(bytes, 0x40_1000), operand, "{theirs:?}");
    }
});
