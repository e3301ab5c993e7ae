//! Moved code has the effect of the original: random instructions from all of libc's text, moved
//! to random places.

mod common;

use std::sync::OnceLock;

use common::{Object, RET, SYSCALL, TEXT, code};
use ia2_core::layout::STUB_CODE;
use ia2_core::site::{Form, Refusal};
use ia2_plan::image::Image;
use ia2_plan::insn;
use ia2_plan::stub;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind};
use proptest::prelude::*;

/// Different instructions of libc that are five bytes or longer and may move.
fn instructions() -> &'static [Vec<u8>] {
    static ALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let bytes = std::fs::read("/lib/x86_64-linux-gnu/libc.so.6").expect("libc");
        let image = Image::from_file(&bytes).expect("libc");
        let text = image.segments.iter().find(|segment| segment.exec).expect("text").bytes;
        let mut found = std::collections::BTreeMap::new();
        let mut decoder = Decoder::new(64, text, DecoderOptions::NONE);
        while decoder.can_decode() {
            let at = decoder.position();
            let instruction = decoder.decode();
            let bytes = &text[at..at + instruction.len()];
            let movable = insn::decode(bytes).is_some_and(|insn| insn.is_movable());
            if instruction.code() != Code::INVALID && movable && bytes.len() >= 5 {
                // A few of each kind, so that common ones do not crowd out the rest.
                let kind = (instruction.code(), instruction.is_ip_rel_memory_operand());
                let same: &mut Vec<Vec<u8>> = found.entry(format!("{kind:?}")).or_default();
                if same.len() < 4 {
                    same.push(bytes.to_vec());
                }
            }
        }
        found.into_values().flatten().collect()
    })
}

fn decode(bytes: &[u8], addr: u64) -> Instruction {
    Decoder::with_ip(64, bytes, addr, DecoderOptions::NONE).decode()
}

#[test]
fn the_sample_is_varied() {
    let relative =
        instructions().iter().filter(|bytes| decode(bytes, 0).is_ip_rel_memory_operand());
    let relative = relative.count();
    assert!(instructions().len() > 500, "{} instructions", instructions().len());
    assert!(relative > 50, "{relative} of them RIP-relative");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_moved_instruction_does_the_same_where_it_is_moved_to(
        choice in any::<prop::sample::Index>(),
        bias in (0x5000_0000_0000u64..0x7e00_0000_0000).prop_map(|bias| bias & !0xfff),
        distance in -0x8800_0000i64..0x8800_0000,
    ) {
        let bytes = choice.get(instructions());
        let site = Object::function(&code(&[bytes, SYSCALL, RET])).site();
        let patch = site.outcome.expect("one long movable instruction before: form A");
        prop_assert_eq!(patch.form, Form::A);
        let slot = (bias + TEXT).wrapping_add_signed(distance) & !63;
        let old = decode(bytes, TEXT + bias);
        match stub::emit(&patch, &site, bias, slot) {
            Ok(stub) => {
                let new = decode(&stub.bytes[STUB_CODE as usize..stub.len], slot + STUB_CODE);
                prop_assert_eq!(old.code(), new.code());
                prop_assert_eq!(old.len(), new.len());
                for operand in 0..old.op_count() {
                    prop_assert_eq!(old.op_register(operand), new.op_register(operand));
                    if !matches!(old.op_kind(operand), OpKind::Register | OpKind::Memory)
                        && let Ok(immediate) = old.try_immediate(operand)
                    {
                        prop_assert_eq!(immediate, new.immediate(operand));
                    }
                }
                prop_assert_eq!(old.memory_base(), new.memory_base());
                prop_assert_eq!(old.memory_index(), new.memory_index());
                prop_assert_eq!(old.memory_displacement64(), new.memory_displacement64());
            }
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::NoStubMemory);
                // Refused only if something is really out of reach, of the site or of the operand.
                let far = |to: u64| slot.abs_diff(to) > (1 << 31) - 256;
                let operand = old.is_ip_rel_memory_operand() && far(old.ip_rel_memory_address());
                prop_assert!(far(TEXT + bias) || operand, "{:#x} refused", slot);
            }
        }
    }
}
