//! The ways a program is run: natively, and preloaded with each backstop, with and without patching.

use crate::artifacts::shim;
use crate::run::{End, Run};
use crate::stats::Stats;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// One way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Native,
    /// With the shim.
    Preloaded {
        /// `IA2_BACKSTOP`.
        backstop: &'static str,
        /// Whether sites are rewritten; if not, every call is a SIGSYS.
        patch: bool,
    },
}

/// What the tests of real programs use: the default.
pub const STRICT: Way = Way::Preloaded { backstop: "strict", patch: true };

/// All ways.
pub const WAYS: [(&str, Way); 7] = [
    ("native", Way::Native),
    ("strict", STRICT),
    ("strict-unpatched", Way::Preloaded { backstop: "strict", patch: false }),
    ("inspected", Way::Preloaded { backstop: "inspected", patch: true }),
    ("sud", Way::Preloaded { backstop: "sud", patch: true }),
    ("sud-unpatched", Way::Preloaded { backstop: "sud", patch: false }),
    ("none", Way::Preloaded { backstop: "none", patch: true }),
];

/// One run in some way: a temporary folder, and the file of statistics in it.
#[derive(Debug)]
pub struct Session {
    way: Way,
    folder: TempDir,
}

impl Session {
    /// A session with an empty temporary folder.
    ///
    /// # Panics
    /// If there is no room for one.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self { way, folder: TempDir::with_prefix("ia2-tests-").expect("a temporary folder") }
    }

    /// The way this session runs programs.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// A path in the temporary folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that runs `program` in this session's way, in the temporary folder.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.native(program);
        if let Way::Preloaded { backstop, patch } = self.way {
            command.env("LD_PRELOAD", shim());
            command.env("IA2_BACKSTOP", backstop);
            command.env("IA2_STATS", self.path("stats.jsonl"));
            if !patch {
                command.env("IA2_PATCH", "off");
            }
        }
        command
    }

    /// A command that runs `program` natively, in the temporary folder.
    #[must_use]
    pub fn native(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        for name in ["LD_PRELOAD", "IA2_BACKSTOP", "IA2_STATS", "IA2_PATCH", "IA2_LOG"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command
    }

    /// The lines of statistics so far.
    pub fn stats(&self) -> Result<Vec<Stats>, String> {
        Stats::read(&self.path("stats.jsonl"))
    }

    /// The line that process `pid` left, and no other process of that number.
    pub fn stats_of(&self, pid: u32) -> Result<Stats, String> {
        let all = self.stats()?;
        let mut own = all.iter().filter(|stats| stats.pid == u64::from(pid));
        match (own.next(), own.next()) {
            (Some(stats), None) => Ok(stats.clone()),
            (None, _) => Err(format!("no statistics of the process ({} lines)", all.len())),
            (Some(_), Some(_)) => Err("two lines of statistics of one process".to_owned()),
        }
    }

    /// Checks what a finished run says about the way it was run.
    pub fn check(&self, run: &Run, most_traps: Option<u64>) -> Result<(), String> {
        let Way::Preloaded { backstop, patch } = self.way else { return Ok(()) };
        if !matches!(run.end, End::Exit(_)) {
            return Ok(()); // a killed process leaves no line
        }
        let stats = self.stats_of(run.pid)?;
        if patch && stats.patched == 0 {
            return Err("nothing was patched".to_owned());
        }
        if !patch && stats.patched != 0 {
            return Err(format!("{} sites patched although patching is off", stats.patched));
        }
        if !patch && stats.traps == 0 {
            return Err("no call was trapped although patching is off".to_owned());
        }
        if backstop == "none" && stats.traps != 0 {
            return Err(format!("{} traps without a backstop", stats.traps));
        }
        match most_traps {
            Some(most) if patch && stats.traps > most => {
                Err(format!("{} traps, at most {most} were expected", stats.traps))
            }
            _ => Ok(()),
        }
    }
}
