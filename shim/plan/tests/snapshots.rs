//! What stubs look like, one per form, and the report: for a reviewer to read. Addresses are those
//! of small made objects, so nothing needs to be normalised.

mod common;

use core::fmt::Write;

use common::{CALL, CMP, GETPID, MOV_RDI_RAX, NOP, NOP8, Object, RET, SYSCALL, code};
use ia2_core::layout::{STUB_CODE, StubHeader};
use ia2_plan::plan::{ObjectPlan, Site};
use ia2_plan::report::Summary;
use ia2_plan::stub::{Write as Patching, emit, writes};
use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter};

const BIAS: u64 = 0x7f00_0000_0000;
const SLOT: u64 = 0x7eff_fff0_0000;

/// A listing of `bytes` at `addr`.
fn listing(text: &mut String, bytes: &[u8], addr: u64) {
    let mut formatter = GasFormatter::new();
    formatter.options_mut().set_branch_leading_zeros(false);
    formatter.options_mut().set_rip_relative_addresses(true);
    let mut decoder = Decoder::with_ip(64, bytes, addr, DecoderOptions::NONE);
    while decoder.can_decode() {
        let at = decoder.position();
        let instruction = decoder.decode();
        let raw = &bytes[at..at + instruction.len()];
        let raw: Vec<String> = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut shown = String::new();
        formatter.format(&instruction, &mut shown);
        writeln!(text, "  {:x}  {:30}  {shown}", instruction.ip(), raw.join(" "))
            .expect("a string");
    }
}

/// The site before and after, and its stub.
fn show(site: &Site) -> String {
    let patch = site.outcome.as_ref().expect("patched");
    let stub = emit(patch, site, BIAS, SLOT).expect("in reach");
    let header = StubHeader::unpack(u64::from_le_bytes(*stub.bytes.first_chunk().expect("64")));
    let mut text = String::new();
    let part = |text: &mut String, write: &Patching| {
        writeln!(text, "old:").expect("a string");
        listing(text, &write.old[..write.len], write.addr);
        writeln!(text, "new:").expect("a string");
        listing(text, &write.new[..write.len], write.addr);
    };
    let form = patch.form.letter();
    writeln!(text, "form {form}, site {:x}, number {:?}", site.addr + BIAS, site.nr)
        .expect("a string");
    for write in writes(patch, BIAS, SLOT).expect("in reach").iter().flatten() {
        part(&mut text, write);
    }
    writeln!(
        text,
        "stub: site {:x}, reenter +{}, after +{}, after_len {}",
        header.site, header.reenter, header.after, header.after_len
    )
    .expect("a string");
    listing(&mut text, &stub.bytes[STUB_CODE as usize..stub.len], SLOT + STUB_CODE);
    text
}

#[test]
fn form_a_with_the_number() {
    insta::assert_snapshot!(show(&Object::function(&code(&[GETPID, SYSCALL, RET])).site()));
}

#[test]
fn form_a_with_an_operand_to_adjust() {
    let lea = b"\x48\x8d\x3d\x11\x22\x00\x00";
    let text = code(&[GETPID, lea, SYSCALL, RET]);
    insta::assert_snapshot!(show(&Object::function(&text).site()));
}

#[test]
fn form_b() {
    let text = code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]);
    insta::assert_snapshot!(show(&Object::function(&text).site()));
}

#[test]
fn form_c() {
    let text = code(&[CALL, MOV_RDI_RAX, SYSCALL, RET]);
    insta::assert_snapshot!(show(&Object::function(&text).site()));
}

#[test]
fn form_d() {
    let first = code(&[CALL, b"\x31\xc0", SYSCALL, RET]);
    let mut object = Object::function(&code(&[&first, NOP8, RET]));
    object.functions = vec![(0..first.len(), false), (first.len() + 8..first.len() + 9, false)];
    insta::assert_snapshot!(show(&object.site()));
}

#[test]
fn the_report() {
    // One function of each kind, with an undecodable byte between to keep them apart.
    let functions = [
        code(&[GETPID, SYSCALL, RET]),
        code(&[CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]),
        code(&[b"\xb8\x0f\x05\x00\x00", RET]),
        code(&[b"\x48\xc7\xc0\x0f\0\0\0", SYSCALL]),
        code(&[b"\xff\xe1", CALL, MOV_RDI_RAX, SYSCALL, CMP, NOP, RET]),
        code(&[b"\x06", GETPID, SYSCALL]),
    ];
    let mut object = Object::default();
    for function in &functions {
        let start = object.text.len();
        object.text.extend(function);
        object.functions.push((start..object.text.len(), false));
        object.text.push(0x06);
    }
    insta::assert_snapshot!(Summary::of(&object.plan()));
    insta::assert_snapshot!("the_report_of_nothing", Summary::of(&ObjectPlan::default()));
}
