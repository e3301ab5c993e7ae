//! Any bytes as constants that hold `.eh_frame_hdr`, `.eh_frame` and landing-pad tables, beside text
//! with a few sites. The first byte chooses whether the index is offered or has to be found.
#![no_main]

use ia2_plan::image::{Image, Segment};
use ia2_plan::plan::plan;
use libfuzzer_sys::fuzz_target;

/// `mov %rdi,%rax; syscall; ret`, again and again.
const TEXT: [u8; 96] = {
    let mut text = [0x90u8; 96];
    let mut at = 0;
    while at + 6 <= 96 {
        text[at] = 0x48;
        text[at + 1] = 0x89;
        text[at + 2] = 0xf8;
        text[at + 3] = 0x0f;
        text[at + 4] = 0x05;
        text[at + 5] = 0xc3;
        at += 12;
    }
    text
};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, tables)) = bytes.split_first() else { return };
    let segment = |vaddr, bytes, exec| Segment { vaddr, bytes, offset: 0, exec, write: false };
    let segments = vec![segment(0x1000, &TEXT[..], true), segment(0x2000, tables, false)];
    let Ok(mut image) = Image::from_memory(&[], 0, 0, segments) else { return };
    match choice & 3 {
        0 => image.eh_frame_hdr = Some(0x2000),
        1 => image.eh_frame = Some(0x2000..0x2000 + tables.len() as u64),
        _ => {}
    }
    let plan = plan(&image);
    assert_eq!(plan.sites.len() + plan.hidden.len(), plan.candidates);
});
