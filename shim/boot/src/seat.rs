//! The loader and the settings in their slots, for the programs that this one will execute.
//!
//! The loader is a file beside `libia2shim.so`. Both it and the settings are copied to sealed memory
//! files, so that nobody can change them later, and stay open over exec.

use crate::config::Config;
use crate::plans;
use crate::raw::GiveUp;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::sync::atomic::Ordering;
use ia2_core::handover::{CONFIG_FD, LOADER_FD, PLANS_AT};
use ia2_rt::abi::errno::{ENAMETOOLONG, EPERM};
use ia2_rt::state::{self, Backstop};
use ia2_rt::sys;
use linux_raw_sys::general::O_RDONLY;

/// The path of the file `name`, which ends in NUL, in the folder of `library`.
pub(crate) fn beside(library: &[u8], name: &[u8]) -> Vec<u8> {
    let folder = library.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    [library.get(..folder).unwrap_or(&[]), name].concat()
}

/// Puts them there; `library` is the path of this code, and `plans` is what the tree is to share.
/// Without the file, programs cannot be executed under a filter.
pub(crate) fn put(config: &Config, library: &[u8], plans: &[u8]) -> Result<(), GiveUp> {
    let path = beside(library, b"ia2-loader\0");
    let Ok(file) = sys::open(&path, O_RDONLY, 0) else { return Ok(()) };
    let done = sys::with_descriptors(LOADER_FD, || {
        let size = sys::file_size(file)?;
        memory_file(c"ia2-loader", LOADER_FD, |to| sys::copy_file(file, to, size))?;
        let settings = settings(config);
        if settings.len() as u64 >= PLANS_AT {
            return Err(ENAMETOOLONG);
        }
        memory_file(c"ia2-settings", CONFIG_FD, |to| {
            sys::pwrite(to, &settings, 0)?;
            if plans.is_empty() { Ok(()) } else { sys::pwrite(to, plans, PLANS_AT) }
        })
    });
    sys::close(file);
    match done {
        // A hard limit on descriptors below the slots: the program runs, and cannot execute others.
        Err(EPERM) => Ok(()),
        Err(errno) => Err(GiveUp { what: "the loader cannot be put in its place", errno }),
        Ok(()) => {
            state::LOADER.store(true, Ordering::Relaxed);
            plans::are_inherited(plans.len() as u64);
            Ok(())
        }
    }
}

fn memory_file(
    name: &CStr,
    slot: i32,
    fill: impl FnOnce(i32) -> Result<(), i32>,
) -> Result<(), i32> {
    let fd = sys::memory_file(name)?;
    let done = fill(fd).and_then(|()| sys::seal(fd)).and_then(|()| sys::dup_to(fd, slot));
    sys::close(fd);
    done
}

/// The settings as the loader reads them.
fn settings(config: &Config) -> Vec<u8> {
    let backstop: &[u8] = match config.backstop {
        Backstop::Strict => b"strict",
        Backstop::Inspected => b"inspected",
        Backstop::Sud => b"sud",
        Backstop::None => b"none",
    };
    let on = |flag: bool| if flag { &b"on"[..] } else { b"off" };
    let mut settings = Vec::new();
    let mut set = |name: &[u8], value: &[u8]| {
        for part in [name, b"=", value, b"\0"] {
            settings.extend_from_slice(part);
        }
    };
    set(b"IA2_BACKSTOP", backstop);
    set(b"IA2_PATCH", on(config.patch));
    set(b"IA2_LOG", on(config.log));
    if !config.stats.is_empty() {
        set(b"IA2_STATS", &config.stats);
    }
    settings
}
