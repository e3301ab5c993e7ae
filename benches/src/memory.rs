//! Memory: `/bin/cat`, blocked in its second `read`, natively and preloaded.
//!
//! `cat` has answered one byte by then, so the whole start-up is behind it and nothing has to be
//! guessed about time.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use crate::pool::{command, field};
use crate::row::Row;
use crate::stats::median;

/// Processes looked at per row.
const INSTANCES: usize = 9;

/// What the kernel says about one process, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// Largest resident set so far (`VmHWM`): start-up's peak counts.
    pub(crate) peak_rss: f64,
    /// Resident set now.
    pub(crate) rss: f64,
    /// Share of the resident set, pages shared with others divided among them.
    pub(crate) pss: f64,
    /// Pages that nobody else has and that were written.
    pub(crate) private_dirty: f64,
}

impl Memory {
    /// Names and values, for table and JSON.
    pub(crate) fn rows(&self) -> [(&'static str, f64); 4] {
        [
            ("peak RSS", self.peak_rss),
            ("RSS", self.rss),
            ("Pss", self.pss),
            ("private dirty", self.private_dirty),
        ]
    }
}

/// Medians of both rows; the second is `None` where the shim was left out.
pub(crate) fn measure(lib: Option<&Path>) -> Result<(Memory, Option<Memory>), String> {
    let mut native = Vec::new();
    let mut preloaded = Vec::new();
    for _ in 0..INSTANCES {
        native.push(look(Row::Native, None)?);
        if lib.is_some() {
            preloaded.push(look(Row::Strict, lib)?);
        }
    }
    Ok((middle(&native), lib.map(|_| middle(&preloaded))))
}

fn middle(all: &[Memory]) -> Memory {
    let of = |pick: fn(&Memory) -> f64| median(&all.iter().map(pick).collect::<Vec<_>>());
    Memory {
        peak_rss: of(|m| m.peak_rss),
        rss: of(|m| m.rss),
        pss: of(|m| m.pss),
        private_dirty: of(|m| m.private_dirty),
    }
}

fn look(row: Row, lib: Option<&Path>) -> Result<Memory, String> {
    let failed = |e: std::io::Error| format!("/bin/cat, row {}: {e}", row.name());
    let mut child = command(Path::new("/bin/cat"), row, lib)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("no pipes to /bin/cat".to_owned());
    };
    stdin.write_all(b"x").map_err(failed)?;
    stdout.read_exact(&mut [0]).map_err(failed)?;
    let folder = format!("/proc/{}", child.id());
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).map_err(failed);
    let memory = parse(&read("status")?, &read("smaps_rollup")?);
    drop(stdin);
    let status = child.wait().map_err(failed)?;
    match memory {
        Some(memory) if status.success() => Ok(memory),
        Some(_) => Err(format!("/bin/cat, row {}: {status}", row.name())),
        None => Err(format!("{folder}: no VmHWM or no smaps_rollup fields")),
    }
}

fn parse(status: &str, smaps_rollup: &str) -> Option<Memory> {
    Some(Memory {
        peak_rss: field(status, "VmHWM:")?.parse().ok()?,
        rss: field(smaps_rollup, "Rss:")?.parse().ok()?,
        pss: field(smaps_rollup, "Pss:")?.parse().ok()?,
        private_dirty: field(smaps_rollup, "Private_Dirty:")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_numbers_come_from_their_two_files() {
        let status = "VmPeak:\t  9 kB\nVmHWM:\t  1400 kB\nVmRSS:\t  1300 kB\n";
        let rollup = "Rss:   1301 kB\nPss:   200 kB\nPss_Dirty: 1 kB\nPrivate_Dirty:  96 kB\n";
        let expected = Memory { peak_rss: 1400.0, rss: 1301.0, pss: 200.0, private_dirty: 96.0 };
        assert_eq!(parse(status, rollup), Some(expected));
        assert_eq!(parse("", rollup), None);
    }
}
