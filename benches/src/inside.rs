//! exec inside: a program that was started natively, by `ia2 run` or preloaded, and then forks,
//! executes `/bin/true` and waits for it.
//!
//! The program is this one, started again with [`ARGUMENT`]; it takes the times itself, so its own
//! start-up does not count. Its children inherit its environment, `LD_PRELOAD` included, as those of
//! any program do. It forks where the shells of today use vfork, so that a copied address space is
//! measured too.
//!
//! # Safety
//!
//! Three calls of libc in a process that has one thread.
#![allow(unsafe_code, reason = "fork, execv and waitpid")]

use core::ffi::CStr;
use core::ptr;
use std::io::Write;
use std::time::Instant;

use crate::timing::{Timing, Work};
use crate::way::{Way, Ways};

/// First argument that makes the program the one that forks; the second says how often.
pub(crate) const ARGUMENT: &str = "--inside";

/// What is executed.
const PROGRAM: &CStr = c"/bin/true";

/// Timed children of one process, before the next way has its turn.
const CHILDREN: usize = 20;

/// Starts about `spawns` children in each way.
pub(crate) fn measure(spawns: usize, ways: &Ways) -> Result<Timing, String> {
    let children = spawns.min(CHILDREN);
    Timing::measure(Work::Inside, &ways.usual(), spawns.div_ceil(children), |way| {
        chunk(way, children)
    })
}

/// One process and its children.
fn chunk(way: &Way, children: usize) -> Result<Vec<f64>, String> {
    let own = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
    let text = way.output(&own, &[ARGUMENT, &children.to_string()])?;
    let times: Result<Vec<f64>, _> = text.lines().map(str::parse).collect();
    match times {
        Ok(times) if times.len() == children => Ok(times),
        _ => Err(format!("row {}: not {children} times: {text:?}", way.name())),
    }
}

/// Runs `--inside N`: N milliseconds, one a line. One child more, untimed, warms the caches.
pub(crate) fn main(args: &[String]) -> Result<(), String> {
    let [children] = args else { return Err(format!("{ARGUMENT} wants N")) };
    let children: usize =
        children.parse().map_err(|_| format!("{ARGUMENT}: not a number: {children}"))?;
    child()?;
    let mut text = String::new();
    for _ in 0..children {
        text += &format!("{}\n", child()?);
    }
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| format!("stdout: {e}"))
}

/// Milliseconds from fork to the end of the wait.
fn child() -> Result<f64, String> {
    let argv = [PROGRAM.as_ptr(), ptr::null()];
    let start = Instant::now();
    // SAFETY: this process has one thread, so the child may call anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: path and argv are null-terminated and only read; `_exit` takes a plain number.
        unsafe {
            libc::execv(PROGRAM.as_ptr(), argv.as_ptr());
            libc::_exit(127);
        }
    }
    let mut status = 0;
    // SAFETY: `status` is ours to write. A pid of -1 finds no child, which is told below.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    let elapsed = start.elapsed();
    if pid < 0 || waited != pid || status != 0 {
        return Err(format!("/bin/true ended with wait status {status:#x}"));
    }
    Ok(elapsed.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_count_is_told() {
        let told = |text: &str| main(&[text.to_owned()]).expect_err("it is no count");
        assert_eq!(told("many"), "--inside: not a number: many");
        assert!(main(&[]).is_err());
    }
}
