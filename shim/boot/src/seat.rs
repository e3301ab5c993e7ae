//! The loader and the settings in their slots, for the programs that this one will execute.
//!
//! The loader is a file beside `libia2shim.so`, or a constant of a program that is linked with the shim.
//! Both it and the settings are copied to sealed memory files, so that nobody can change them later, and
//! stay open over exec.

use crate::config::Config;
use crate::linked::Own;
use crate::plans;
use crate::raw::GiveUp;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::sync::atomic::Ordering;
use ia2_core::handover::{CONFIG_FD, LAYERS, LOADER_FD, PARTS_AT, WINDOW_AT, next_part};
use ia2_core::layout::PINNED_LEN;
use ia2_rt::abi::errno::{ENAMETOOLONG, EPERM};
use ia2_rt::state::{self, Backstop};
use ia2_rt::{gate, sys};
use linux_raw_sys::general::O_RDONLY;

/// The path of the file `name`, which ends in NUL, in the folder of `library`.
pub(crate) fn beside(library: &[u8], name: &[u8]) -> Vec<u8> {
    let folder = library.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    [library.get(..folder).unwrap_or(&[]), name].concat()
}

/// Puts them there; `plans` is what the tree is to share. Without the loader's file, programs cannot be
/// executed under a filter.
pub(crate) fn put(config: &Config, own: &Own, plans: &[u8]) -> Result<(), GiveUp> {
    let done = match own {
        Own::Program(parts) => fill(config, plans, |to| sys::pwrite(to, parts.loader(), 0)),
        Own::File(library) => {
            let path = beside(library, b"ia2-loader\0");
            let Ok(file) = sys::open(&path, O_RDONLY, 0) else { return Ok(()) };
            let done = fill(config, plans, |to| sys::copy_file(file, to, sys::file_size(file)?));
            sys::close(file);
            done
        }
    };
    match done {
        // A hard limit on descriptors below the slots: the program runs, and cannot execute others.
        Err(EPERM) => Ok(()),
        Err(errno) => Err(GiveUp { what: "the loader cannot be put in its place", errno }),
        Ok(()) => {
            state::LOADER.store(true, Ordering::Relaxed);
            let start = config.layers.end();
            plans::are_inherited(start, start + plans.len() as u64);
            Ok(())
        }
    }
}

/// Fills both slots, the loader's by `loader`.
fn fill(
    config: &Config,
    plans: &[u8],
    loader: impl FnOnce(i32) -> Result<(), i32>,
) -> Result<(), i32> {
    sys::with_descriptors(LOADER_FD, || {
        memory_file(c"ia2-loader", LOADER_FD, loader)?;
        let settings = settings(config);
        if settings.len() as u64 >= WINDOW_AT {
            return Err(ENAMETOOLONG);
        }
        memory_file(c"ia2-settings", CONFIG_FD, |to| {
            sys::pwrite(to, &settings, 0)?;
            write_window(to, WINDOW_AT)?;
            let mut at = PARTS_AT;
            for layer in config.layers.compiled() {
                sys::pwrite(to, layer, at)?;
                at = next_part(at, layer.len() as u64);
            }
            if !plans.is_empty() {
                // What is cut off is planned again.
                let _ = sys::pwrite(to, plans, at);
            }
            Ok(())
        })
    })
}

/// Writes what is mapped as gate and constants.
fn write_window(to: i32, at: u64) -> Result<(), i32> {
    sys::pwrite(to, gate::blob(), at)?;
    sys::pwrite(to, &[0], at + PINNED_LEN - 1)
}

/// Does `work` with a sealed file that has gate and constants, and with the offset at which it has them: the
/// settings', or if there are none one that is gone afterwards.
pub(crate) fn with_window(work: impl FnOnce(i32, u64) -> Result<(), i32>) -> Result<(), i32> {
    if state::LOADER.load(Ordering::Relaxed) {
        return work(CONFIG_FD, WINDOW_AT);
    }
    sealed(c"ia2-window", |to| write_window(to, 0), |fd| work(fd, 0))
}

fn memory_file(
    name: &CStr,
    slot: i32,
    fill: impl FnOnce(i32) -> Result<(), i32>,
) -> Result<(), i32> {
    sealed(name, fill, |fd| sys::dup_to(fd, slot))
}

fn sealed(
    name: &CStr,
    fill: impl FnOnce(i32) -> Result<(), i32>,
    work: impl FnOnce(i32) -> Result<(), i32>,
) -> Result<(), i32> {
    let fd = sys::memory_file(name)?;
    let done = fill(fd).and_then(|()| sys::seal(fd)).and_then(|()| work(fd));
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
    if let Some(log) = config.log {
        set(b"IA2_LOG", on(log));
    }
    for (name, path) in [(&b"IA2_STATS"[..], &config.stats), (b"IA2_LOG_FILE", &config.log_file)] {
        if !path.is_empty() {
            set(name, path);
        }
    }
    let lengths = config.layers.lengths();
    if !lengths.is_empty() {
        set(LAYERS, &lengths);
    }
    settings
}
