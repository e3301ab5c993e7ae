//! Start-up: `/bin/true` from `posix_spawn` to the end of `wait4`, natively and preloaded in turn.
//!
//! `posix_spawn` is vfork-like in glibc, so the size of the bench does not count.
//!
//! # Safety
//!
//! Two calls of libc over arrays of C strings that outlive them.
#![allow(unsafe_code, reason = "posix_spawn and wait4")]

use core::ffi::{CStr, c_char};
use core::ptr;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use crate::stats::lower_quartile;

/// What is started.
const PROGRAM: &CStr = c"/bin/true";

/// Milliseconds, lower quartiles.
pub(crate) struct Startup {
    /// Starts per row.
    pub(crate) spawns: usize,
    /// Without the shim.
    pub(crate) native_ms: f64,
    /// With the shim, strict; `None` where it was left out.
    pub(crate) preloaded_ms: Option<f64>,
}

/// Starts the program `spawns` times per row.
pub(crate) fn measure(spawns: usize, lib: Option<&Path>) -> Result<Startup, String> {
    let preload = match lib {
        Some(lib) => {
            let value = [b"LD_PRELOAD=", lib.as_os_str().as_bytes()].concat();
            Some(CString::new(value).map_err(|e| e.to_string())?)
        }
        None => None,
    };
    let mut native = Vec::new();
    let mut preloaded = Vec::new();
    for turn in 0..spawns {
        let native_first = turn % 2 == 0;
        if native_first {
            native.push(spawn(None)?);
        }
        if let Some(preload) = &preload {
            preloaded.push(spawn(Some(preload))?);
        }
        if !native_first {
            native.push(spawn(None)?);
        }
    }
    Ok(Startup {
        spawns,
        native_ms: lower_quartile(&native),
        preloaded_ms: preload.map(|_| lower_quartile(&preloaded)),
    })
}

/// Starts the program once with at most one variable and returns the milliseconds it took.
fn spawn(variable: Option<&CStr>) -> Result<f64, String> {
    let argv: [*mut c_char; 2] = [PROGRAM.as_ptr().cast_mut(), ptr::null_mut()];
    let variable = variable.map_or(ptr::null_mut(), |text| text.as_ptr().cast_mut());
    let envp: [*mut c_char; 2] = [variable, ptr::null_mut()];
    let mut pid = 0;
    let mut status = 0;
    let start = Instant::now();
    // SAFETY: path, argv and envp are null-terminated, alive for the call, and only read; no file
    // actions and no attributes.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            PROGRAM.as_ptr(),
            ptr::null(),
            ptr::null(),
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    if error != 0 {
        return Err(format!("/bin/true: {}", std::io::Error::from_raw_os_error(error)));
    }
    // SAFETY: `status` is ours to write; no resource usage is asked for.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, ptr::null_mut()) };
    let elapsed = start.elapsed();
    if waited != pid || status != 0 {
        return Err(format!("/bin/true ended with wait status {status:#x}"));
    }
    Ok(elapsed.as_secs_f64() * 1e3)
}
