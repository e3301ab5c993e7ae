//! Start-up: `/bin/true` from `posix_spawn` to the end of its wait, in each way in turn.

use std::path::Path;

use crate::timing::{Timing, Work};
use crate::way::Ways;

/// Starts the program `spawns` times in each way.
pub(crate) fn measure(spawns: usize, ways: &Ways) -> Result<Timing, String> {
    Timing::measure(Work::Startup, &ways.all, spawns, |way| {
        Ok(vec![way.time(Path::new("/bin/true"), &[])?])
    })
}
