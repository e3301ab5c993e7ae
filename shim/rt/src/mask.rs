//! The calls that take a signal mask.
//!
//! The kernel must never block a held signal, and the program must never notice. The kernel reads a
//! copy of the mask without them, and what the program asked for is kept in
//! [`Block::blocked_held`]. Most calls of rt_sigprocmask have no held signal: they pass untouched.
//!
//! A wait that a signal interrupts leaves its mask in force for the handler, while the frame has
//! the mask from before the wait. The kernel knows the former only until the shim's own handler
//! runs with all blocked, so it is kept in [`Block::wait_mask`].

use crate::abi::SigInfo;
use crate::abi::errno::EINVAL;
use crate::block::Block;
use crate::signal::HELD_ORDER;
use crate::{sys, usermem};
use core::sync::atomic::Ordering;
use ia2_core::nr;
use ia2_core::sigset::{HELD, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SigSet, apply, has, only};

/// Where the mask of a call is.
#[derive(Clone, Copy)]
enum Where {
    /// Argument `n` points to it.
    Arg(usize),
    /// Argument 5 points to `{ pointer, size }`.
    Boxed,
}

/// rt_sigprocmask(2).
pub fn rt_sigprocmask(block: &Block, args: [u64; 6]) {
    let [how, set_addr, old_addr, size, ..] = args;
    let how = how as u32;
    let virtual_old = block.blocked_held.get();
    if size != 8 || (set_addr == 0 && virtual_old == 0) {
        return block.pass();
    }
    let set = if set_addr == 0 {
        None
    } else {
        match usermem::read::<SigSet>(set_addr) {
            Ok(set) => Some(set),
            // The kernel finds the same.
            Err(_) => return block.pass(),
        }
    };
    let wanted = set.map_or(Some(virtual_old), |set| apply(how, virtual_old, set & HELD));
    let Some(virtual_new) = wanted else { return block.pass() };
    if virtual_old == 0 && virtual_new == 0 && set.unwrap_or(0) & HELD == 0 {
        return block.pass();
    }
    block.blocked_held.set(virtual_new);
    block.kernel_set.set(set.unwrap_or(0) & !HELD);
    let kernel_set = if set.is_some() { addr_of(&block.kernel_set) } else { 0 };
    if virtual_old == 0 {
        return block.pass_args([u64::from(how), kernel_set, old_addr, 8, 0, 0]);
    }
    // The old mask the program sees has held signals in it that the kernel's has not, and some may
    // have waited for this call: it is made here, so that it is never made twice.
    let kernel_old = block.block_but_faults();
    if block.deferred.load(Ordering::Relaxed) != 0 {
        // A signal came first, and must be handled before the mask changes: the call is made anew.
        return block.pass();
    }
    let kernel_new = set.and_then(|set| apply(how, kernel_old, set & !HELD)).unwrap_or(kernel_old);
    let written = match old_addr {
        0 => Ok(()),
        _ => usermem::write(old_addr, &(kernel_old | virtual_old)),
    };
    release_pending(block);
    block.done(written.map_or_else(|errno| -i64::from(errno), |()| 0));
    block.unmask(kernel_new, block.frame.get().rcx);
}

/// Raises again the held signals that waited for being unblocked. They arrive when the shim is
/// left, since it is busy now.
fn release_pending(block: &Block) {
    let free = block.pending_held.get() & !block.blocked_held.get();
    if free == 0 {
        return;
    }
    block.pending_held.set(block.pending_held.get() & !free);
    for (sig, info) in HELD_ORDER.iter().zip(&block.pending_info) {
        if has(free, *sig) {
            sys::requeue(&info.get());
        }
    }
}

/// Keeps a held signal that the program has blocked.
pub fn keep_pending(block: &Block, sig: u32, info: &SigInfo) {
    let pending = block.pending_held.get();
    if has(pending, sig) {
        return; // as the kernel: one of a kind
    }
    for (held, slot) in HELD_ORDER.iter().zip(&block.pending_info) {
        if *held == sig {
            slot.set(*info);
        }
    }
    block.pending_held.set(pending | only(sig));
}

/// rt_sigpending(2).
pub fn rt_sigpending(block: &Block, args: [u64; 6]) {
    let [set_addr, size, ..] = args;
    let pending = block.pending_held.get();
    if pending == 0 || size > 8 {
        return block.pass();
    }
    // The kernel writes our word, the program gets the union.
    block.kernel_set.set(0);
    let result = sys::sigpending(addr_of(&block.kernel_set));
    if result < 0 {
        return block.done(result);
    }
    let bytes = (block.kernel_set.get() | pending).to_ne_bytes();
    let from = bytes.as_ptr().addr() as u64;
    let written = usermem::copy(set_addr, from, size as usize);
    block.done(written.map_or_else(|errno| -i64::from(errno), |()| 0));
}

/// rt_sigtimedwait(2): takes a held signal that waits in the shim, or passes.
pub fn rt_sigtimedwait(block: &Block, args: [u64; 6]) {
    let [set_addr, info_addr, _, size, ..] = args;
    let pending = block.pending_held.get();
    if pending == 0 || size != 8 {
        return block.pass();
    }
    let wanted = usermem::read::<SigSet>(set_addr).map_or(0, |set| set & pending);
    let mut waiting = HELD_ORDER.iter().zip(&block.pending_info);
    let Some((sig, info)) = waiting.find(|(sig, _)| has(wanted, **sig)) else {
        return block.pass();
    };
    block.pending_held.set(pending & !only(*sig));
    let written = if info_addr == 0 { Ok(()) } else { usermem::write(info_addr, &info.get()) };
    block.done(written.map_or_else(|errno| -i64::from(errno), |()| i64::from(*sig)));
}

/// The calls that wait with another mask, and the ones that make a descriptor of one.
pub fn with_mask(block: &Block, number: u32, args: [u64; 6]) {
    let place = match number {
        nr::RT_SIGSUSPEND => Where::Arg(0),
        nr::SIGNALFD | nr::SIGNALFD4 => Where::Arg(1),
        nr::PPOLL => Where::Arg(3),
        nr::EPOLL_PWAIT | nr::EPOLL_PWAIT2 => Where::Arg(4),
        _ => Where::Boxed, // pselect6, io_pgetevents
    };
    let Some((args, set)) = replaced(block, place, args) else { return block.pass() };
    if !matches!(number, nr::SIGNALFD | nr::SIGNALFD4) {
        block.wait_mask.set(Some(set));
    }
    block.pass_args(args);
}

/// The arguments with the mask replaced by one without held signals, and the mask; `None` if there
/// is none, or it cannot be read (then the kernel finds the same).
fn replaced(block: &Block, place: Where, mut args: [u64; 6]) -> Option<([u64; 6], SigSet)> {
    let (slot, mask_addr, new) = match place {
        Where::Arg(index) => {
            let slot = args.get_mut(index)?;
            let mask_addr = *slot;
            (slot, mask_addr, addr_of(&block.kernel_set))
        }
        Where::Boxed => {
            let slot = args.get_mut(5)?;
            if *slot == 0 {
                return None;
            }
            let [mask_addr, size] = usermem::read::<[u64; 2]>(*slot).ok()?;
            block.kernel_set_arg.set([addr_of(&block.kernel_set), size]);
            (slot, mask_addr, addr_of(&block.kernel_set_arg))
        }
    };
    if mask_addr == 0 {
        return None;
    }
    let set = usermem::read::<SigSet>(mask_addr).ok()?;
    block.kernel_set.set(set & !HELD);
    *slot = new;
    Some((args, set))
}

fn addr_of<T>(cell: &core::cell::Cell<T>) -> u64 {
    cell.as_ptr().addr() as u64
}

// The kernel's numbering of `how`, which `apply` relies on.
const _: () = assert!(SIG_BLOCK == 0 && SIG_UNBLOCK == 1 && SIG_SETMASK == 2 && EINVAL == 22);
