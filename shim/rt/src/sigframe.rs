//! The kernel's signal frame, copied to where the program expects it, and back.
//!
//! The handlers of held signals are entered by the kernel on the shim's alternate stack, so that a
//! trap needs nothing of the program's stack; so are those that the program wants on an alternate
//! stack of its own, which the kernel does not know. Before the program's handler runs, such a frame
//! is copied to where the kernel would have put it: below the red zone, or on the program's
//! alternate stack. All others are there already and are edited in place. The program then returns
//! from its frame by an rt_sigreturn that comes through the gate; the kernel returns from a copy, in
//! the middle of the block's stack, in which the alternate stack and the mask are the kernel's own.
//!
//! ```text
//! high   floating-point state   64-aligned; size from its software-reserved bytes
//!        siginfo      128
//!        ucontext     304
//! low    pretcode       8       rsp on entry to the handler; (rsp + 8) is 16-aligned
//! ```
//! (arch/x86/kernel/signal.c `get_sigframe`, signal_64.c `x64_setup_rt_frame`.)

#![allow(unsafe_code, reason = "the frame is edited where the kernel will find it")]

use crate::abi::errno::EFAULT;
use crate::abi::{SigAction, SigFrame, SigInfo, UContext, sa};
use crate::block::{self, Block, ExitKind};
use crate::{boundary, entry, state, sys, usermem};
use core::mem::{offset_of, size_of};
use core::sync::atomic::Ordering;
use ia2_core::sigset::{AltStack, HELD, SS_AUTODISARM, SS_DISABLE};

const RED_ZONE: u64 = 128;
/// How far below the top of the block's stack the frame is that the kernel returns from. A signal that
/// comes on the way there has its own frame below.
const RETURN_FRAME: u64 = block::STACKS / 4;
/// Bytes of an FXSAVE area without extension.
const FXSAVE: usize = 512;
/// Where the software-reserved bytes of an FXSAVE area begin.
const SW_RESERVED: u64 = 464;
/// First of them if there is an extension: `FP_XSTATE_MAGIC1`.
const FP_XSTATE_MAGIC1: u64 = 0x4650_5853;

/// Brings the frame to where the program expects it. Gives its address there.
///
/// # Errors
/// EFAULT if there is no room for it: then the kernel would have raised SIGSEGV.
pub fn push(
    block: &Block,
    info: &SigInfo,
    uc: &mut UContext,
    action: &SigAction,
) -> Result<u64, i32> {
    let altstack = block.altstack.get();
    let on_altstack = altstack.contains(uc.rsp);
    let switches = action.flags & sa::ONSTACK != 0 && altstack.size != 0 && !on_altstack;
    let frame = ((&raw const *uc).addr() as u64).wrapping_sub(offset_of!(SigFrame, uc) as u64);
    if !switches && !block.owns_stack(frame) {
        if on_altstack && !(AltStack { flags: 0, ..altstack }).contains(frame) {
            return Err(EFAULT); // the kernel knows nothing of this stack, and went past its end
        }
        let to_info = frame.wrapping_add(offset_of!(SigFrame, info) as u64);
        if (&raw const *info).addr() as u64 != to_info {
            usermem::write(to_info, info)?;
        }
        usermem::write(frame, &action.restorer)?;
        edit(block, uc);
        disarm(block);
        return Ok(frame);
    }
    // What differs in the copy is put in place for a moment: a copy less.
    let kernels = (uc.fpstate, uc.stack, uc.sigmask);
    let top = if switches {
        altstack.sp.wrapping_add(altstack.size)
    } else {
        uc.rsp.wrapping_sub(RED_ZONE)
    };
    let pushed = push_copy(block, info, uc, action, top);
    (uc.fpstate, uc.stack, uc.sigmask) = kernels;
    pushed
}

/// What the program is shown of its alternate stack and of its mask.
fn edit(block: &Block, uc: &mut UContext) {
    uc.stack = block.altstack.get();
    uc.sigmask |= block.blocked_held.get();
}

/// A handler has been given its frame.
fn disarm(block: &Block) {
    if block.altstack.get().flags & SS_AUTODISARM != 0 {
        block.altstack.set(AltStack::NONE);
    }
}

/// Copies the frame to below `top`.
fn push_copy(
    block: &Block,
    info: &SigInfo,
    uc: &mut UContext,
    action: &SigAction,
    top: u64,
) -> Result<u64, i32> {
    let altstack = block.altstack.get();
    // As the kernel: also where the stack of the program ends where the alternate one does.
    let enters = altstack.size != 0 && top == altstack.sp.wrapping_add(altstack.size);
    let is_bounded = enters || altstack.contains(uc.rsp);
    let mut sp = top;
    if uc.fpstate != 0 {
        let len = fpstate_len(uc.fpstate)?;
        sp = sp.wrapping_sub(len as u64) & !63;
        usermem::copy(sp, uc.fpstate, len)?;
        uc.fpstate = sp;
    }
    sp = (sp.wrapping_sub(size_of::<SigFrame>() as u64) & !15).wrapping_sub(8);
    if is_bounded && !(AltStack { flags: 0, ..altstack }).contains(sp) {
        return Err(EFAULT); // the alternate stack overflows
    }
    edit(block, uc);
    let to_info = sp.wrapping_add(offset_of!(SigFrame, info) as u64);
    let uc_addr = (&raw const *uc).addr() as u64;
    // Most often all of it is the kernel's frame, and one copy.
    let kernels = uc_addr.wrapping_sub(offset_of!(SigFrame, uc) as u64);
    let infos = kernels.wrapping_add(offset_of!(SigFrame, info) as u64);
    if (&raw const *info).addr() as u64 == infos {
        usermem::copy(sp, kernels, size_of::<SigFrame>())?;
    } else {
        usermem::copy(sp, kernels, offset_of!(SigFrame, info))?;
        usermem::write(to_info, info)?;
    }
    usermem::write(sp, &action.restorer)?;
    disarm(block);
    Ok(sp)
}

fn fpstate_len(fpstate: u64) -> Result<usize, i32> {
    let word = usermem::read::<u64>(fpstate.wrapping_add(SW_RESERVED))?;
    if word & 0xffff_ffff == FP_XSTATE_MAGIC1 { Ok((word >> 32) as usize) } else { Ok(FXSAVE) }
}

/// The size that the kernel demands of an alternate stack (`sigaltstack_size_valid`): room for every
/// register only in a process that has asked for the large ones, else what it always was, enough or
/// not.
#[must_use]
pub fn min_altstack(new: &AltStack) -> u64 {
    const MINSIGSTKSZ: u64 = 2048;
    let all = state::MIN_ALTSTACK.load(Ordering::Relaxed);
    // Seldom asked: neither where there is no stack, nor for one of a usual size.
    let matters = (MINSIGSTKSZ..=all).contains(&new.size) && new.flags & SS_DISABLE == 0;
    if matters && sys::has_large_registers() { all + 1 } else { MINSIGSTKSZ }
}

/// rt_sigreturn(2): leaves by returning from the program's frame.
pub fn rt_sigreturn(block: &Block) {
    let rsp = block.frame.get().rsp;
    block.exit_kind.set(ExitKind::SigReturn);
    block.exit_target.set(entry::sigreturn_addr());
    let to = block.hstack_top.get() - RETURN_FRAME;
    // The kernel looks at no more.
    let len = offset_of!(SigFrame, info);
    if usermem::copy(to, rsp.wrapping_sub(8), len).is_err() {
        // The kernel finds the same, and raises SIGSEGV.
        block.return_rsp.set(rsp);
        return;
    }
    let copy = core::ptr::with_exposed_provenance_mut::<SigFrame>(to as usize);
    // SAFETY: the copy has just been filled, and is integers; it lies far below what the Rust code of
    // this thread has on its stack, and signals are deferred, so nobody else looks at it.
    let frame = unsafe { &mut *copy };
    block.blocked_held.set(frame.uc.sigmask & HELD);
    frame.uc.sigmask &= !HELD;
    // As the kernel's restore_altstack: errors are not reported.
    let (stack, min) = (&frame.uc.stack, min_altstack(&frame.uc.stack));
    if let Ok(new) = block.altstack.get().replaced_by(stack, frame.uc.rsp, min) {
        block.altstack.set(new);
    }
    frame.uc.stack = block.kernel_altstack();
    boundary::resume(block, &mut frame.uc);
    block.return_rsp.set(to + 8);
}
