//! The loader's own image, moved off its file.
//!
//! `/proc/self/exe` must be the program, and the kernel lets a process name another file only when
//! nothing of the old one is mapped any more (`replace_mm_exe_file`). So each segment is copied to
//! anonymous memory, which then takes its place; the instruction that follows the call is the
//! same in both.

#![allow(unsafe_code, reason = "copies the image that is running")]

use core::ptr;
use ia2_core::layout::PAGE;
use ia2_rt::sys;
use linux_raw_sys::general::{
    MAP_ANONYMOUS, MAP_POPULATE, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE,
};

// loader.ld: each begins a page.
unsafe extern "C" {
    static ia2_loader_rodata: u8;
    static ia2_loader_text: u8;
    static ia2_loader_data: u8;
    static ia2_loader_data_end: u8;
}

/// Moves it, but the gate, which has left. What fails stays on the file, and `/proc/self/exe` with it.
pub(crate) fn leave_file() {
    let [rodata, text, data, end] = [
        &raw const ia2_loader_rodata,
        &raw const ia2_loader_text,
        &raw const ia2_loader_data,
        &raw const ia2_loader_data_end,
    ]
    .map(|symbol| symbol.addr() as u64);
    let segments = [
        (rodata, text, PROT_READ),
        (text, data, PROT_READ | PROT_EXEC),
        (data, end.next_multiple_of(PAGE), PROT_READ | PROT_WRITE),
    ];
    for (start, end, prot) in segments {
        if move_segment(start, end - start, prot).is_err() {
            return;
        }
    }
}

fn move_segment(start: u64, len: u64, prot: u32) -> Result<(), i32> {
    // Populated: a fault for each page would cost more than the copy.
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    let copy = sys::mmap(0, len, PROT_READ | PROT_WRITE, flags, -1, 0)?;
    // SAFETY: a segment of this image and a mapping of its size; nothing is stored to either until the
    // move, for this is the only thread and the stack lies elsewhere.
    unsafe {
        let from = ptr::with_exposed_provenance::<u8>(start as usize);
        let to = ptr::with_exposed_provenance_mut(copy as usize);
        ptr::copy_nonoverlapping(from, to, len as usize);
    }
    sys::mprotect(copy, len, prot)?;
    sys::move_pages(copy, start, len)
}
