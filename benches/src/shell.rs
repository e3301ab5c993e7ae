//! A shell that does little but start programs: what a tree of short-lived processes costs.

use std::path::Path;

use crate::timing::{Timing, Work};
use crate::way::Ways;

/// `/bin/true` by its path, since the bare name is built into the shell.
const SCRIPT: &str = "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done";

/// Runs the loop `loops` times in each way.
pub(crate) fn measure(loops: usize, ways: &Ways) -> Result<Timing, String> {
    Timing::measure(Work::Shell, &ways.usual(), loops, |way| {
        Ok(vec![way.time(Path::new("/bin/sh"), &["-c", SCRIPT])?])
    })
}
