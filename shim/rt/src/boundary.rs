//! From an interrupted address to the program's instruction boundary.
//!
//! A signal finds a thread anywhere: in the program, in a stub, in the gate, or in the shim's Rust
//! code. A handler of the program must only ever see a boundary between two of *its* instructions,
//! so that it may look at the registers, never return, or return to make the call again. Cases:
//!
//! 1. in the program: nothing to do, but for a jump of the shim in padding, from which the thread is
//!    put back to the `SYSCALL` it came from;
//! 2. in a stub or the gate, or entering or leaving the slow path, with the call **not made yet**:
//!    the thread is put back to its `SYSCALL`, number in `rax`;
//! 3. there, with the call **made** (and not to be made anew): the thread is put forward behind its `SYSCALL`, result in
//!    `rax`;
//! 4. in the shim's Rust code: the signal must wait, and is not brought here ([`crate::signal`]).
//!
//! What the program is shown is always an address of its own, also where the bytes there are
//! covered by a patch; [`resume`] leads such an address back to the stub when the program returns
//! to it.
//!
//! The kernel's own restarts need nothing more: after an interrupted call that restarts, the kernel
//! has set `rip` back to the gate's `SYSCALL` and `rax` to the number, which is case 2.

use crate::abi::UContext;
use crate::block::{Block, ExitKind};
use crate::signal::TRAP_FLAG;
use crate::stub::Code;
use crate::{entry, gate, stub};
use ia2_core::layout::{STUB_CODE, STUB_LEA};

/// An interrupted wait, as the kernel returns it.
const EINTR: u64 = -4i64 as u64;
/// ELOOP, of an open that was to follow no link.
const FOUND_LINK: u64 = -40i64 as u64;

/// Moves an interrupted context to the boundary.
pub fn settle(block: &Block, uc: &mut UContext) {
    let rip = uc.rip;
    if gate::contains(rip) {
        return in_gate(block, uc);
    }
    if entry::is_arriving(rip) {
        before(uc, uc.rcx);
    } else if entry::is_leaving(rip) {
        match block.exit_kind.get() {
            ExitKind::Done => {
                uc.set_frame(&block.frame.get());
                after(uc, block.frame.get().rcx);
            }
            ExitKind::Unmask => unmasked(block, uc),
            ExitKind::Pass | ExitKind::Args | ExitKind::SigReturn => remake(block, uc),
        }
    } else if let Some(has_result) = entry::is_opened(rip) {
        if has_result { made(block, uc) } else { remake(block, uc) }
    } else if let Some((slot, header)) = stub::header_at(rip) {
        let offset = rip - slot;
        let (reenter, tail) = (u64::from(header.reenter), u64::from(header.after));
        if offset < reenter {
            uc.rip = (header.site + offset).wrapping_sub(reenter);
        } else if tail == 0 || offset < tail {
            before(uc, header.site + 2);
        } else if offset == tail {
            after(uc, header.site + 2);
        } else {
            uc.rip = (header.site + 2 + offset).wrapping_sub(tail + STUB_LEA);
        }
    } else if let Some(site) = stub::island_at(rip) {
        uc.rip = site;
    }
}

/// Whether a step that ends at `rip` has brought the program no further: it lies in the gate, on the way
/// in or out, or in what a stub adds to the instructions that were moved there.
#[must_use]
pub fn is_inside(rip: u64) -> bool {
    let in_entry =
        entry::is_arriving(rip) || entry::is_leaving(rip) || entry::is_opened(rip).is_some();
    if gate::contains(rip) || in_entry {
        return true;
    }
    let Some((slot, header)) = stub::header_at(rip) else { return false };
    let offset = rip - slot;
    let (reenter, tail) = (u64::from(header.reenter), u64::from(header.after));
    if offset <= STUB_CODE {
        return true; // the jump to the stub
    }
    if offset <= reenter {
        return false; // behind a moved instruction, up to the call
    }
    tail == 0 || offset <= tail + STUB_LEA
}

fn in_gate(block: &Block, uc: &mut UContext) {
    match uc.rip {
        gate::FAST_COUNTED..=gate::FAST => before(uc, uc.rcx),
        gate::FAST_SYSCALL => before(uc, block.ret.get()),
        gate::FAST_JMP => after(uc, uc.rcx),
        rip if (gate::FAST_AFTER..gate::FAST_JMP).contains(&rip) => after(uc, block.ret.get()),
        gate::GENERIC => before(uc, uc.rcx),
        rip if rip > gate::GENERIC && rip < gate::GENERIC_END => before(uc, block.ret.get()),
        rip if (gate::ARGS..gate::POST_END).contains(&rip) => match block.exit_kind.get() {
            ExitKind::Unmask => unmasked(block, uc),
            _ if rip == gate::ARGS => remake(block, uc),
            _ => made(block, uc),
        },
        // Outside of Rust code (for which `settle` is not called) `raw` makes one call only, the
        // rt_sigreturn of an exit. Past it, the kernel has refused the frame.
        gate::RAW => remake(block, uc),
        rip if (gate::RAW_AFTER..gate::GATE_END).contains(&rip) => {
            uc.set_frame(&block.frame.get());
            after(uc, block.frame.get().rcx);
        }
        _ => {} // nothing that is executed, but for the traps between the parts
    }
}

/// The call in the frame has been made by `args`, and `rax` is its result.
fn made(block: &Block, uc: &mut UContext) {
    let result = uc.rax;
    if result == FOUND_LINK && block.post.get() == entry::opened_addr() {
        return remake(block, uc);
    }
    uc.set_frame(&block.frame.get());
    uc.rax = result;
    after(uc, block.frame.get().rcx);
    if result == EINTR {
        block.waited.set(block.wait_mask.get());
    }
}

/// The call in the frame has not been made, and what the dispatch changed for it is put back.
fn remake(block: &Block, uc: &mut UContext) {
    block.rewind();
    uc.set_frame(&block.frame.get());
    before(uc, block.frame.get().rcx);
}

/// The shim was setting the mask on its way out: it is set by the return from the signal instead.
fn unmasked(block: &Block, uc: &mut UContext) {
    uc.set_frame(&block.frame.get());
    if uc.rip < gate::ARGS_AFTER || uc.rip >= gate::POST_END {
        uc.sigmask = block.exit_mask.get();
    }
    if block.steps_later.replace(false) {
        uc.eflags |= TRAP_FLAG;
    }
    let (ret, rip) = (block.frame.get().rcx, block.post_rip.get());
    if rip == gate::GENERIC {
        before(uc, ret);
    } else if rip == ret {
        after(uc, ret);
    } else {
        uc.rip = rip; // a handler about to start
    }
}

/// The call that returns to `ret` has been made; `rax` is its result.
fn after(uc: &mut UContext, ret: u64) {
    let next = program_address(ret);
    uc.rip = next;
    uc.rcx = next;
    uc.r11 = uc.eflags;
}

/// The call that returns to `ret` has not been made; `rax` is its number.
fn before(uc: &mut UContext, ret: u64) {
    let next = program_address(ret);
    uc.rip = next.wrapping_sub(2);
    uc.rcx = next;
    uc.r11 = uc.eflags;
}

/// The address after the `SYSCALL` of a call that returns to `ret`, which may be in a stub.
#[must_use]
pub fn program_address(ret: u64) -> u64 {
    stub::header_at(ret).map_or(ret, |(_, header)| header.site + 2)
}

/// Makes a context at a boundary of the program runnable: the reverse of [`settle`], for a context
/// about to be returned to.
///
/// The bytes at its address may be covered by a patch, and then its instruction is in a stub; or
/// they may be a `SYSCALL` that would trap, which going to the gate at once spares it.
///
/// Where neither was so the last time, nothing is looked up: most signals find a thread where the one
/// before did. Of the text that was there then, only an instruction right before a `SYSCALL` can have been
/// patched since ([`crate::patch`]), and its first byte may be returned to; other text comes with an arena
/// of its own.
pub fn resume(block: &Block, uc: &mut UContext) {
    let place = (uc.rip, stub::registered());
    if block.plain.get() == place {
        return;
    }
    let (slot, header) = match stub::code_at(uc.rip) {
        Code::Covered(slot, header) => (slot, header),
        Code::Syscall if !gate::contains(uc.rip) => return make_call(uc, uc.rip.wrapping_add(2)),
        Code::Syscall => return,
        Code::Other => return block.plain.set(place),
    };
    let covered = header.covers();
    if uc.rip == header.site {
        // With instructions moved from behind it, the call returns to the stub's tail.
        let tail = u64::from(header.after);
        make_call(uc, if tail == 0 { header.site + 2 } else { slot + tail });
    } else if uc.rip < header.site {
        // At the first byte the jump itself may run just as well.
        uc.rip = slot + ia2_core::layout::STUB_CODE + (uc.rip - covered.start);
    } else {
        uc.rip = slot + u64::from(header.after) + STUB_LEA + (uc.rip - header.site - 2);
    }
}

/// Makes the call that `rip` is at, to return to `ret`.
fn make_call(uc: &mut UContext, ret: u64) {
    uc.rcx = ret;
    uc.rip = gate::GENERIC;
}
