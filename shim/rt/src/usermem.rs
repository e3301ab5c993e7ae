//! Reads and writes of the program's memory that may fault.
//!
//! A pointer from the program is an allegation. It is only ever followed by the two copy loops
//! below; if one of them faults, the signal handler ([`crate::signal`]) finds the interrupted
//! address between `ia2_copy` and `ia2_copy_fault`, moves it to the latter, and the copy reports
//! EFAULT, as the kernel would have. That works because SIGSEGV and SIGBUS are held signals, which
//! the kernel does not have blocked while the shim runs, with two exceptions: between
//! [`crate::block::Block::block_all`] and the exit, where nothing of the program is read; and after
//! one of them was *sent* to the thread ([`crate::block::Block::fault_blocked`]). Then the loop does
//! nothing, and the kernel copies.

#![allow(unsafe_code, reason = "copies to and from foreign addresses")]

use crate::abi::errno::{EFAULT, ENAMETOOLONG};
use crate::sys;
use core::mem::{MaybeUninit, size_of};

core::arch::global_asm!(
    ".pushsection .text.ia2copy,\"ax\",@progbits",
    ".globl ia2_copy, ia2_copy_fault, ia2_copy_end",
    ".hidden ia2_copy, ia2_copy_fault, ia2_copy_end",
    // (rdi to, rsi from, rdx len) -> eax 0, or 1 after a fault, or 2 if faults are blocked
    "ia2_copy:", // whoever is interrupted from here on does not get faults blocked
    "mov eax, 2",
    "cmp dword ptr gs:[{fault_blocked}], 0",
    "jne 2f",
    "cmp rdx, 8", // most of them are one word
    "jne 1f",
    "mov rcx, [rsi]",
    "mov [rdi], rcx",
    "xor eax, eax",
    "ret",
    "1:",
    "lea r8, [rsi + rdx - 16]", // the last 16 bytes come last, and may overlap those before
    "lea r9, [rdi + rdx - 16]",
    "cmp rdx, 16",
    "jb 4f",
    "sub rdx, 64",
    "jbe 6f",
    "5:",
    "movups xmm0, [rsi]",
    "movups xmm1, [rsi + 16]",
    "movups xmm2, [rsi + 32]",
    "movups xmm3, [rsi + 48]",
    "movups [rdi], xmm0",
    "movups [rdi + 16], xmm1",
    "movups [rdi + 32], xmm2",
    "movups [rdi + 48], xmm3",
    "add rsi, 64",
    "add rdi, 64",
    "sub rdx, 64",
    "ja 5b",
    "6:",
    "cmp rsi, r8",
    "jae 7f",
    "movups xmm0, [rsi]",
    "movups [rdi], xmm0",
    "add rsi, 16",
    "add rdi, 16",
    "jmp 6b",
    "7:",
    "movups xmm0, [r8]",
    "movups [r9], xmm0",
    "xor eax, eax",
    "ret",
    "4:",
    "mov rcx, rdx",
    "rep movsb",
    "xor eax, eax",
    "2:",
    "ret",
    "ia2_copy_fault:",
    "mov eax, 1",
    "ret",
    "ia2_copy_end:",
    ".popsection",
    fault_blocked = const crate::block::offset::FAULT_BLOCKED,
);

unsafe extern "C" {
    fn ia2_copy(to: *mut u8, from: *const u8, len: usize) -> i32;
    static ia2_copy_fault: u8;
}

/// Where to go on after a fault at `rip`, if it lies in a copy loop.
#[must_use]
pub fn fixup(rip: u64) -> Option<u64> {
    let start = (ia2_copy as *const ()).addr() as u64;
    let fault = (&raw const ia2_copy_fault).addr() as u64;
    (start..fault).contains(&rip).then_some(fault)
}

/// Plain data: any bytes are a value.
///
/// # Safety
/// Every bit pattern of the type must be valid.
pub unsafe trait Plain: Copy {}

// SAFETY: integers and structures of integers.
unsafe impl Plain for u64 {}
// SAFETY: integers.
unsafe impl Plain for [u64; 2] {}
// SAFETY: integers.
unsafe impl Plain for [u64; 3] {}
// SAFETY: integers.
unsafe impl Plain for [u8; 8] {}
// SAFETY: structure of integers.
unsafe impl Plain for crate::abi::SigAction {}
// SAFETY: structure of integers.
unsafe impl Plain for crate::abi::SigInfo {}
// SAFETY: structure of integers.
unsafe impl Plain for crate::abi::UContext {}
// SAFETY: structure of integers.
unsafe impl Plain for crate::abi::CloneArgs {}
// SAFETY: structure of integers.
unsafe impl Plain for ia2_core::sigset::AltStack {}

/// Copies a value out of the program's memory.
///
/// # Errors
/// EFAULT if it is not readable.
pub fn read<T: Plain>(addr: u64) -> Result<T, i32> {
    let mut value = MaybeUninit::<T>::uninit();
    copy(value.as_mut_ptr().expose_provenance() as u64, addr, size_of::<T>())?;
    // SAFETY: the copy filled it, and `Plain` types are valid whatever the bytes.
    Ok(unsafe { value.assume_init() })
}

/// The first `len` bytes at `addr`, eight at most, as a number.
///
/// # Errors
/// EFAULT if one of them is not readable.
pub fn read_part(addr: u64, len: u64) -> Result<u64, i32> {
    let mut value = 0u64;
    copy((&raw mut value).expose_provenance() as u64, addr, len.min(8) as usize)?;
    Ok(value)
}

/// The first `N` bytes at `addr`, eight at most: code, mostly, which a few bytes tell apart.
///
/// # Errors
/// EFAULT if one of them is not readable.
pub fn peek<const N: usize>(addr: u64) -> Result<[u8; N], i32> {
    const { assert!(N <= 8) };
    let mut bytes = [0; N];
    // A whole word where it lies within a page: if its first byte is there, so are the others.
    if addr as usize % 4096 <= 4096 - size_of::<u64>() {
        let word = read::<u64>(addr)?.to_le_bytes();
        bytes.iter_mut().zip(word).for_each(|(to, from)| *to = from);
    } else {
        copy(bytes.as_mut_ptr().expose_provenance() as u64, addr, N)?;
    }
    Ok(bytes)
}

/// Copies a value into the program's memory.
///
/// # Errors
/// EFAULT if it is not writable.
pub fn write<T: Plain>(addr: u64, value: &T) -> Result<(), i32> {
    copy(addr, core::ptr::from_ref(value).addr() as u64, size_of::<T>())
}

/// Copies `len` bytes from `from` to `to`; either may be the program's.
///
/// # Errors
/// EFAULT if a byte is not there; what came before it has been copied.
pub fn copy(to: u64, from: u64, len: usize) -> Result<(), i32> {
    in_user_half(to, len)?;
    in_user_half(from, len)?;
    // SAFETY: the program asked for these bytes to be written, or they are ours; a fault on either
    // side is caught, see the module's text.
    match unsafe { ia2_copy(from_addr(to), from_addr(from).cast_const(), len) } {
        0 => Ok(()),
        1 => Err(EFAULT),
        _ => sys::copy_own(to, from, len),
    }
}

/// Copies a string without its NUL, and gives its length.
///
/// # Errors
/// EFAULT if it is not readable; ENAMETOOLONG if it does not end within the buffer.
pub fn string(addr: u64, buffer: &mut [u8]) -> Result<usize, i32> {
    const STEP: usize = 64;
    let mut len = 0;
    while let Some(room) = buffer.get_mut(len..) {
        if room.is_empty() {
            break;
        }
        let from = addr.checked_add(len as u64).ok_or(EFAULT)?;
        // Not beyond a boundary of 64 bytes, and so never into a page that the string does not reach.
        let step = (STEP - from as usize % STEP).min(room.len());
        copy(room.as_mut_ptr().expose_provenance() as u64, from, step)?;
        if let Some(end) = room.iter().take(step).position(|byte| *byte == 0) {
            return Ok(len + end);
        }
        len += step;
    }
    Err(ENAMETOOLONG)
}

/// A non-canonical address faults as SIGSEGV without an address, and the kernel's half is never
/// the program's.
fn in_user_half(addr: u64, len: usize) -> Result<(), i32> {
    const TASK_SIZE: u64 = (1 << 47) - 4096;
    match addr.checked_add(len as u64) {
        Some(end) if end <= TASK_SIZE => Ok(()),
        _ => Err(EFAULT),
    }
}

fn from_addr(addr: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(addr as usize)
}
