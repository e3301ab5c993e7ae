//! One inspected call: what is done with it, and how the slow path is left.
//!
//! Both entries come here with the same [`Frame`], so everything below is told by the registers of
//! the call and not by how it was made.

#![allow(unsafe_code, reason = "the entry has the slow path's calling convention")]

use crate::abi::SYS_SECCOMP;
use crate::abi::errno::{EBADF, ENOSPC, EPERM};
use crate::block::Block;
use crate::policy::Effect;
use crate::state::{self, ARCH_GET_GS, ARCH_SET_GS, Backstop};
use crate::{
    action, barrier, clone, confine, exe, exec, library, mask, memory, patch, policy, sigframe,
    signal, stats, sys, usermem,
};
use core::sync::atomic::Ordering;
use ia2_core::handover::{CONFIG_FD, LOADER_FD};
use ia2_core::nr;
use ia2_core::regs::Frame;
use ia2_core::text::Text;
use linux_raw_sys::general::PROT_WRITE;

/// Entered from `ia2_slow` in [`crate::entry`].
///
/// # Safety
/// The gs base must be this thread's block, with the frame filled and `in_shim` set.
pub unsafe extern "C" fn on_call() {
    // SAFETY: the caller's promise.
    let block = unsafe { Block::current() };
    let frame = block.frame.get();
    block.begin();
    let is_new = block.tries.get() == 0;
    block.inspected.set(block.inspected.get().wrapping_add(u64::from(is_new)));
    block.trace(frame.rcx, frame.nr(), 0);
    if !confine::dispatched(block, &frame) {
        judge(block, &frame);
    }
    signal::put_off_steps(block);
}

/// Asks the policy, and has the call made, or not.
fn judge(block: &'static Block, frame: &Frame) {
    if !policy::is_there() {
        return dispatch(block, frame);
    }
    if policy::is_free(frame.nr()) {
        block.judged.set(Some(frame.args()));
        return dispatch(block, frame);
    }
    match policy::effect(block, frame) {
        Effect::Made(args) => {
            block.judged.set(Some(args));
            dispatch(block, &frame.with_args(args));
        }
        Effect::Opened { args, again } if !exe::call(block, frame) => block.open(args, again),
        Effect::Opened { .. } => {}
        Effect::Gives(result) => block.done(result),
        Effect::Traps(data) => {
            signal::raise_sigsys(frame, SYS_SECCOMP, data.into());
            block.done(frame.rax.cast_signed());
        }
        Effect::Again => {}
    }
}

fn dispatch(block: &'static Block, frame: &Frame) {
    let args = frame.args();
    match frame.nr() {
        nr::MMAP => match library::map(block, args) {
            Some(result) => block.done(result),
            None => on_memory(block, frame),
        },
        nr::MPROTECT | nr::PKEY_MPROTECT => {
            let writable = args[2] as u32 & PROT_WRITE != 0;
            match writable.then(|| patch::make_writable(block, frame.nr(), args)).flatten() {
                Some(result) => block.done(result),
                None => on_memory(block, frame),
            }
        }
        nr::RT_SIGACTION => block.done(action::rt_sigaction(block, args)),
        nr::RT_SIGPROCMASK => mask::rt_sigprocmask(block, args),
        nr::RT_SIGPENDING => mask::rt_sigpending(block, args),
        nr::RT_SIGTIMEDWAIT => mask::rt_sigtimedwait(block, args),
        nr::RT_SIGRETURN => {
            sigframe::rt_sigreturn(block);
        }
        nr::SIGALTSTACK => block.done(sigaltstack(block, frame)),
        nr::RT_SIGSUSPEND
        | nr::SIGNALFD
        | nr::SIGNALFD4
        | nr::PPOLL
        | nr::PSELECT6
        | nr::EPOLL_PWAIT
        | nr::EPOLL_PWAIT2
        | nr::IO_PGETEVENTS => mask::with_mask(block, frame.nr(), args),
        nr::CLONE | nr::CLONE3 | nr::FORK | nr::VFORK => clone::clone(block, frame),
        nr::EXECVE | nr::EXECVEAT => execute(block, frame),
        nr::CLOSE_RANGE => close_range(block, args),
        nr::CLOSE | nr::FCNTL | nr::IOCTL => spare(block, args[0]),
        nr::DUP2 | nr::DUP3 => spare(block, args[1]),
        nr::EXIT => clone::exit_thread(block, frame),
        nr::EXIT_GROUP if block.guest.get() => clone::exit_thread(block, frame),
        nr::EXIT_GROUP => {
            block.block_all(); // so that it is not interrupted and made again
            stats::write();
            sys::exit_group(frame.rdi as i32);
        }
        nr::ARCH_PRCTL => arch_prctl(block, args),
        nr::PRCTL => confine::prctl(block, args),
        nr::SECCOMP => confine::seccomp(block, args),
        nr::MEMBARRIER => barrier::membarrier(block, args),
        _ if exe::call(block, frame) => {}
        nr if memory::is_on() && nr::is_memory(nr) => on_memory(block, frame),
        _ => block.pass(),
    }
}

/// A call that changes memory.
fn on_memory(block: &Block, frame: &Frame) {
    if memory::is_on() {
        block.done(memory::pass(block, frame.nr(), frame.args()));
    } else {
        block.pass();
    }
}

/// Without a loader, a new image would die under a filter that knows addresses on its first call, and
/// runs outside of the shim where there is no filter.
fn execute(block: &Block, frame: &Frame) {
    if state::LOADER.load(Ordering::Relaxed) {
        exec::exec(block, frame);
    } else if matches!(state::backstop(), Backstop::Sud | Backstop::None) {
        block.pass();
    } else {
        refuse(block, frame.nr(), "there is no ia2-loader beside libia2shim.so");
    }
}

/// A descriptor of the loader is not there for the program.
fn spare(block: &Block, fd: u64) {
    if state::LOADER.load(Ordering::Relaxed) && (CONFIG_FD..=LOADER_FD).contains(&(fd as i32)) {
        block.done(-i64::from(EBADF));
    } else {
        block.pass();
    }
}

/// close_range(2) in two parts, around the loader's descriptors.
fn close_range(block: &Block, args: [u64; 6]) {
    let [first, last, flags, ..] = args;
    let (first, last) = (first as u32, last as u32);
    let (ours, end) = (CONFIG_FD as u32, LOADER_FD as u32);
    if !state::LOADER.load(Ordering::Relaxed) || first > end || last < ours || first > last {
        return block.pass();
    }
    let part = |from: u32, to: u32| match from <= to {
        true => sys::pass(nr::CLOSE_RANGE, [from.into(), to.into(), flags, 0, 0, 0]),
        false => 0,
    };
    // Wrong flags are found by either part, before anything is closed.
    let below = part(first, ours - 1);
    block.done(if below < 0 { below } else { part(end + 1, last) });
}

/// `arch_prctl` operation that asks for registers the kernel keeps room for on demand only.
const ARCH_REQ_XCOMP_PERM: u32 = 0x1023;
/// The one of them there is: the tiles of AMX.
const TILE_DATA: u64 = 18;

/// The gs base is the one register that the shim takes.
fn arch_prctl(block: &Block, [option, addr, ..]: [u64; 6]) {
    match option as u32 {
        ARCH_SET_GS => refuse(block, nr::ARCH_PRCTL, "the gs base is the shim's"),
        ARCH_GET_GS => {
            let written = usermem::write(addr, &0u64);
            block.done(written.map_or_else(|errno| -i64::from(errno), |()| 0));
        }
        // The kernel sees an alternate stack that is large enough, which is not the program's.
        ARCH_REQ_XCOMP_PERM if addr == TILE_DATA => {
            let size = block.altstack.get().size;
            if size != 0 && size <= state::MIN_ALTSTACK.load(Ordering::Relaxed) {
                block.done(-i64::from(ENOSPC));
            } else {
                block.pass();
            }
        }
        _ => block.pass(),
    }
}

fn sigaltstack(block: &Block, frame: &Frame) -> i64 {
    let old = block.altstack.get();
    let replace = || {
        if frame.rdi != 0 {
            let new = usermem::read(frame.rdi)?;
            block.altstack.set(old.replaced_by(&new, frame.rsp, sigframe::min_altstack(&new))?);
        }
        if frame.rsi != 0 {
            usermem::write(frame.rsi, &old.report(frame.rsp))?;
        }
        Ok(())
    };
    let result: Result<(), i32> = replace();
    result.map_or_else(|errno| -i64::from(errno), |()| 0)
}

/// Refuses a call with EPERM, and says so if `IA2_LOG` asks for it.
fn refuse(block: &Block, nr: u32, why: &str) {
    block.denied.set(block.denied.get().wrapping_add(1));
    if state::LOG.load(Ordering::Relaxed) {
        let mut text = Text::<256>::new();
        text.str("ia2shim: ");
        match nr {
            nr::EXECVE => text.str("execve"),
            nr::EXECVEAT => text.str("execveat"),
            nr::ARCH_PRCTL => text.str("arch_prctl(ARCH_SET_GS)"),
            _ => text.str("call ").dec(u64::from(nr)),
        };
        text.str(" refused with EPERM: ").str(why).byte(b'\n');
        // The message is a courtesy: a closed stderr changes nothing.
        let _ = sys::write(2, text.as_bytes());
    }
    block.done(-i64::from(EPERM));
}
