//! The C library's area of restartable sequences (rseq(2)), taken back from the kernel.
//!
//! A policy that refuses rseq means that nobody is sent elsewhere by a store to memory: the kernel moves a
//! thread to the abort address that its area names, whenever it is preempted, and asks no filter. Where the
//! loader starts a program, the C library is refused the call and goes on without. A library that is
//! preloaded comes too late for that: the dynamic linker has registered the area of the first thread, and
//! the C library ends the program when it is refused those of the others. So the first one is
//! unregistered, and says what it would say if the kernel had refused it.
//!
//! Where it is, glibc tells (since 2.35, `sys/rseq.h`): `__rseq_offset` from the thread pointer.

#![allow(unsafe_code, reason = "the area is the C library's")]

use crate::measure::{Found, Objects};
use core::ptr;
use ia2_core::nr;
use ia2_rt::{policy, sys};

/// `RSEQ_SIG` of x86-64 (glibc's `bits/rseq.h`).
const SIGNATURE: u32 = 0x5305_3053;
/// `RSEQ_CPU_ID_REGISTRATION_FAILED`.
const FAILED: i32 = -2;
/// Offset of `cpu_id` in `struct rseq`; negative if nothing is registered.
const CPU_ID: u64 = 4;
/// The size that it is registered with: `struct rseq` as it was first, or with fields of later kernels.
const LENGTHS: core::ops::RangeInclusive<u64> = 1..=8;
const LENGTH_STEP: u64 = 32;

/// Takes it back if a policy refuses the call.
///
/// # Safety
/// To be called before the program's first instruction, on its only thread.
pub(crate) unsafe fn take_back(objects: &Objects) {
    if policy::is_free(nr::RSEQ) {
        return;
    }
    let Some(offset) = objects.list.iter().find_map(offset) else { return };
    let Ok(thread) = sys::fs_base() else { return };
    let area = thread.wrapping_add(offset);
    let cpu_id = ptr::with_exposed_provenance_mut::<i32>(area.wrapping_add(CPU_ID) as usize);
    // SAFETY: a field of the thread's control block, by the C library's own word, and of which the kernel
    // writes a half at most.
    let cpu = unsafe { cpu_id.read_volatile() };
    let mut lengths = LENGTHS.map(|count| count * LENGTH_STEP);
    if cpu >= 0 && lengths.any(|len| sys::unregister_rseq(area, len, SIGNATURE).is_ok()) {
        // SAFETY: as above, and nobody writes it any more.
        unsafe { cpu_id.write_volatile(FAILED) };
    }
}

/// What `__rseq_offset` says, if the object is the one that has it.
fn offset(found: &Found) -> Option<u64> {
    let addr = found.image.variable(b"__rseq_offset")?;
    found.image.word_at(addr)
}
