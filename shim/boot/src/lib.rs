//! Start-up: measure, plan, install.
//!
//! Runs once, in the first constructor of the process, on its only thread, before any code of the
//! program. It may allocate (from [`arena`], which is unmapped at the end) and it may give up: then
//! the program does not start, and stderr and exit status 125 say why.
//!
//! | file | noun | unsafe |
//! |---|---|---|
//! | `raw` | system calls while there is no gate, and giving up | [U] |
//! | `arena` | memory for planning | [U] |
//! | `config` | environment and auxiliary vector → what is wanted | |
//! | `measure` | `/proc/self/maps` → the objects in memory | [U] |
//! | `linked` | what of the program is the shim, if it is linked into it | [U] |
//! | `library` | text mapped later → its plan, called from the live code | [U] |
//! | `plans` | plans that were made before | [U] |
//! | `rewrite` | objects → stubs and patches | [U] |
//! | `built_in` | the built-in policies, compiled when the library is built | |
//! | `layers` | the policies in force: from their names, or as inherited | [U] |
//! | `rseq` | the C library's area of restartable sequences, taken back | [U] |
//! | `seat` | the loader and the settings, in their slots | |
//! | `install` | gate, block, signals, filter | [U] |
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod arena;
pub mod built_in;
mod config;
mod install;
mod layers;
mod library;
pub mod linked;
mod measure;
mod plans;
pub mod raw;
mod rewrite;
mod rseq;
mod seat;

use alloc::vec::Vec;
use config::Config;
use core::sync::atomic::Ordering;
use ia2_core::handover::Handover;
use ia2_plan::cache::Cache;
use linked::{Own, Parts};
use measure::Objects;
use raw::{GiveUp, Phase};

/// Puts the calling process under the shim.
///
/// Nothing is changed that the program can see until the last steps: the patches, the signal
/// handlers of the held signals, and the backstop, in this order.
///
/// # Safety
/// To be called once, from a constructor, on the only thread of the process.
#[allow(unsafe_code, reason = "passes the caller's promise on")]
pub unsafe fn boot() {
    // SAFETY: the caller's promise.
    unsafe { start(None) };
}

/// As [`boot`], in a program that the shim is linked into. Any further call does nothing.
///
/// # Safety
/// As [`boot`], and these must be the parts of the calling program.
#[allow(unsafe_code, reason = "passes the caller's promise on")]
pub unsafe fn boot_linked(parts: &'static Parts) {
    if !raw::is(Phase::Live) {
        // SAFETY: the caller's promise.
        unsafe { start(Some(parts)) };
    }
}

#[allow(unsafe_code, reason = "passes the caller's promise on")]
unsafe fn start(parts: Option<&'static Parts>) {
    // SAFETY: the caller's promise.
    if let Err(GiveUp { what, errno }) = unsafe { try_boot(parts) } {
        raw::give_up(what, errno);
    }
}

#[allow(unsafe_code, reason = "passes the caller's promise on")]
unsafe fn try_boot(parts: Option<&'static Parts>) -> Result<(), GiveUp> {
    if install::is_there() {
        return Ok(()); // the loader, or a preloaded library, has put this program under the shim
    }
    install::only_thread()?;
    // SAFETY: nothing else runs.
    unsafe { install::gate()? };
    raw::enter(Phase::Gate);
    let config = Config::read()?;
    let objects = measure::objects(parts)?;
    // SAFETY: nothing else runs.
    unsafe { put_under(config, objects, None) }
}

/// Takes the gate off the loader's file, which the process must leave to be named after its program
/// (`replace_mm_exe_file`): it comes from the settings' from here on.
pub fn gate_leaves_file() {
    raw::enter(Phase::Gate);
    ia2_rt::state::LOADER.store(true, Ordering::Relaxed);
    if let Err(GiveUp { what, errno }) = install::pin_gate() {
        raw::give_up(what, errno);
    }
}

/// Puts a program under the shim that the loader has mapped and not started, and whose interpreter,
/// if it has one, will map the rest.
///
/// # Safety
/// To be called once, on the only thread of the process, after [`gate_leaves_file`].
#[allow(unsafe_code, reason = "passes the caller's promise on")]
pub unsafe fn take_over(handover: &Handover) {
    // SAFETY: the caller's promise.
    if let Err(GiveUp { what, errno }) = unsafe { try_take_over(handover) } {
        raw::give_up(what, errno);
    }
}

#[allow(unsafe_code, reason = "passes the caller's promise on")]
unsafe fn try_take_over(handover: &Handover) -> Result<(), GiveUp> {
    install::map_table()?;
    let config = Config::inherited()?;
    let objects = measure::objects(None)?;
    // SAFETY: nothing else runs.
    unsafe { put_under(config, objects, Some(handover)) }
}

/// Everything but the gate.
///
/// # Safety
/// As [`boot`].
#[allow(unsafe_code, reason = "passes the caller's promise on")]
unsafe fn put_under(
    config: Config,
    objects: Objects,
    handover: Option<&Handover>,
) -> Result<(), GiveUp> {
    // SAFETY: nothing else runs.
    let block = unsafe { install::block()? };
    // SAFETY: nothing else runs, so nobody executes what is being patched.
    unsafe { patch(&config, &objects, handover.is_none())? };
    if handover.is_none() {
        install::pin_gate()?;
    }
    // SAFETY: nothing else runs.
    unsafe { config.layers.install()? };
    if handover.is_none() {
        // SAFETY: nothing of the program runs.
        unsafe { rseq::take_back(&objects) };
    }
    install::state(&config, handover.is_none());
    install::table(&config);
    install::seal_text(objects.own_text);
    install::signals(block, handover)?;
    install::backstop(&config, block, handover)?;
    let own_text = objects.own_text.map(|(start, end)| start..end);
    drop((config, objects));
    // SAFETY: everything that was allocated has been dropped.
    unsafe { arena::release() };
    // SAFETY: nothing else runs.
    unsafe { ia2_rt::memory::boot(block, own_text) }
        .map_err(GiveUp::because("the map of memory that the policy asks for cannot be made"))?;
    raw::enter(Phase::Live);
    Ok(())
}

/// Rewrites what is there, unless that is not wanted. The `first` process of a tree puts what the
/// others need in its place.
///
/// # Safety
/// No code of the objects may run meanwhile.
#[allow(unsafe_code, reason = "passes the caller's promise on")]
unsafe fn patch(config: &Config, objects: &Objects, first: bool) -> Result<(), GiveUp> {
    let (mut plans, inherited) = (Vec::new(), plans::inherited());
    if config.patch {
        if first && let Own::File(library) = &objects.own {
            plans = plans::beside(library);
        }
        // SAFETY: memory that is sealed.
        let cache = Cache::new(if first { &plans } else { unsafe { inherited.bytes() } });
        let mut fresh = Vec::new();
        // SAFETY: the caller's promise.
        unsafe { rewrite::all(objects, &cache, first.then_some(&mut fresh))? };
        ia2_rt::library::set_planner(&library::PLANNER);
        if !fresh.is_empty() {
            plans = cache.with(&fresh);
        }
    }
    if first { seat::put(config, &objects.own, &plans) } else { Ok(()) }
}
