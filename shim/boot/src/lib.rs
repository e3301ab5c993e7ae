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
//! | `library` | text mapped later → its plan, called from the live code | [U] |
//! | `rewrite` | objects → stubs and patches | [U] |
//! | `install` | gate, block, signals, filter | [U] |
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod arena;
mod config;
mod install;
mod library;
mod measure;
pub mod raw;
mod rewrite;

use config::Config;
use raw::GiveUp;

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
    if let Err(GiveUp { what, errno }) = unsafe { try_boot() } {
        raw::give_up(what, errno);
    }
}

#[allow(unsafe_code, reason = "passes the caller's promise on")]
unsafe fn try_boot() -> Result<(), GiveUp> {
    install::only_thread()?;
    // SAFETY: nothing else runs.
    unsafe { install::gate()? };
    let config = Config::read()?;
    // SAFETY: nothing else runs.
    let block = unsafe { install::block()? };
    if config.patch {
        let objects = measure::objects()?;
        // SAFETY: nothing else runs, so nobody executes what is being patched.
        unsafe { rewrite::all(&objects)? };
        ia2_rt::library::set_planner(&library::PLANNER);
    }
    install::state(&config);
    install::table(&config);
    install::signals(block)?;
    install::backstop(&config)?;
    // SAFETY: everything allocated for planning has been dropped or is never used again.
    unsafe { arena::release() };
    raw::go_live();
    Ok(())
}
