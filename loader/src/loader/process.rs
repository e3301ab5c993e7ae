//! What the kernel tells others about the process: command line, environment, heap, name, program.

#![allow(unsafe_code, reason = "hands a structure to prctl")]

use crate::image::Image;
use crate::stack::Stack;
use ia2_core::handover::LOADER_FD;
use ia2_core::text::Text;
use ia2_rt::sys;

const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_SET_MM: u32 = 35;
const PR_SET_MM_MAP: u64 = 14;
const EBUSY: i32 = 16;
const ADDR_NO_RANDOMIZE: u32 = 0x0004_0000;
/// How far the kernel moves the heap at random (`arch_randomize_brk`; 32 MiB before Linux 6.9).
const HEAP_RANDOM: u64 = 0x4000_0000;

/// `struct prctl_mm_map` (linux/prctl.h).
#[repr(C)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

const _: () = assert!(size_of::<MemoryMap>() == 104);

/// Describes `program`, whose file is open as `fd`.
///
/// Naming the program for `/proc/self/exe` takes CAP_CHECKPOINT_RESTORE; the rest takes a kernel with
/// CONFIG_CHECKPOINT_RESTORE. What cannot be had is left as it is: the program runs all the same. The
/// kernel looks at the privilege before it looks at the mappings, so EBUSY means that moving this
/// image off its file, which costs more than all the rest of loading, is worth it.
pub(crate) fn describe(stack: &Stack, program: &Image, has_interpreter: bool, fd: i32) {
    let brk = heap(program, has_interpreter);
    let [arguments, environment] = stack.text();
    let (auxv, auxv_len) = stack.auxv();
    let mut map = MemoryMap {
        start_code: program.code.start,
        end_code: program.code.end,
        start_data: program.data.start,
        end_data: program.data.end,
        start_brk: brk,
        brk,
        start_stack: stack.program_sp(),
        arg_start: arguments.start,
        arg_end: arguments.end,
        env_start: environment.start,
        env_end: environment.end,
        auxv,
        auxv_size: auxv_len as u32,
        exe_fd: fd as u32,
    };
    let len = size_of::<MemoryMap>() as u64;
    let set = |map: &MemoryMap| {
        sys::prctl(PR_SET_MM, PR_SET_MM_MAP, (&raw const *map).addr() as u64, len, 0)
    };
    let mut done = set(&map);
    if done == Err(EBUSY) {
        crate::own::leave_file();
        done = set(&map);
    }
    let mut own_path = [0u8; 4096];
    if done.is_err() {
        map.exe_fd = u32::MAX;
        let _ = set(&map);
        ia2_rt::exe::hide(path_of(fd, &mut own_path), fd);
    }
    let path = stack.argument(0).unwrap_or(&[]);
    let path = match path.strip_prefix(b"/dev/fd/") {
        Some(number) if !number.contains(&b'/') && names_by_file() => {
            let path = path_of(fd, &mut own_path);
            path.strip_suffix(b" (deleted)").unwrap_or(path)
        }
        _ => path,
    };
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(&[]);
    let mut comm = [0u8; 16]; // the kernel keeps 15 bytes
    for (to, from) in comm.iter_mut().take(15).zip(name) {
        *to = *from;
    }
    // Cannot fail: the address is good.
    let _ = sys::prctl(PR_SET_NAME, comm.as_ptr().addr() as u64, 0, 0, 0);
}

/// Whether the kernel names a program that is executed by descriptor after its file, and not after the
/// descriptor's number (since 6.14, and in older versions that are still mended): as it named the loader.
fn names_by_file() -> bool {
    let mut comm = [0u8; 16];
    // Cannot fail: the address is good.
    let _ = sys::prctl(PR_GET_NAME, comm.as_mut_ptr().addr() as u64, 0, 0, 0);
    let mut number = Text::<16>::new();
    number.dec(u64::from(LOADER_FD.unsigned_abs())).byte(0);
    !comm.starts_with(number.as_bytes())
}

/// The path of the file that is open as `fd`, as far as the kernel tells.
fn path_of(fd: i32, buffer: &mut [u8]) -> &[u8] {
    let mut link = Text::<64>::new();
    link.str("/proc/self/fd/").dec(u64::from(fd.unsigned_abs())).byte(0);
    let len = sys::readlink(link.as_bytes(), buffer).unwrap_or(0);
    buffer.get(..len).unwrap_or(&[])
}

/// Where the heap begins: behind the program; that of a program without interpreter that runs
/// anywhere, which lies among the libraries, where a program with one would be (`brk_moved`).
fn heap(program: &Image, has_interpreter: bool) -> u64 {
    let end = if program.fixed || has_interpreter { program.end } else { crate::image::BASE };
    if sys::personality() & ADDR_NO_RANDOMIZE != 0 {
        return end;
    }
    let gap = if end == program.end { 4096 } else { 0 };
    end + gap + ((sys::random() % HEAP_RANDOM) & !4095)
}
