//! The ways a program is run: natively, by `ia2 run`, linked with the shim, and preloaded with each
//! backstop, with and without patching.

use crate::artifacts::{ia2, loader, shim};
use crate::c_program::difference;
use crate::run::{End, Run};
use crate::stats::Stats;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// One way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Native,
    /// By `ia2 run`, with the default settings.
    Run,
    /// The shim is in the program itself, which is static.
    Linked,
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
pub const WAYS: [(&str, Way); 8] = [
    ("native", Way::Native),
    ("linked", Way::Linked),
    ("strict", STRICT),
    ("strict-unpatched", Way::Preloaded { backstop: "strict", patch: false }),
    ("inspected", Way::Preloaded { backstop: "inspected", patch: true }),
    ("sud", Way::Preloaded { backstop: "sud", patch: true }),
    ("sud-unpatched", Way::Preloaded { backstop: "sud", patch: false }),
    ("none", Way::Preloaded { backstop: "none", patch: true }),
];

/// Does the same work in sessions natively and in each of `ways`, and compares what it gives. The
/// statistics are those of every process that the work left behind, one list for each way.
pub fn compare(
    session: fn(Way) -> Session,
    ways: &[Way],
    work: impl Fn(&Session) -> Result<String, String>,
) -> Result<Vec<Vec<Stats>>, String> {
    let native = work(&session(Way::Native)).map_err(|e| format!("natively: {e}"))?;
    let mut found = Vec::new();
    for way in ways {
        let session = session(*way);
        let text = work(&session).map_err(|e| format!("{way:?}: {e}"))?;
        if native != text {
            return Err(format!("{way:?}: {}", difference(native.as_bytes(), text.as_bytes())));
        }
        found.push(session.stats()?);
    }
    Ok(found)
}

/// Debian's user without rights.
const NOBODY: u32 = 65534;

/// One run in some way: a temporary folder, and the file of statistics in it.
#[derive(Debug)]
pub struct Session {
    way: Way,
    folder: TempDir,
    /// Who runs the programs, if not who runs the tests.
    user: Option<u32>,
}

impl Session {
    /// A session with an empty temporary folder.
    ///
    /// # Panics
    /// If there is no room for one.
    #[must_use]
    pub fn new(way: Way) -> Self {
        let folder = TempDir::with_prefix("ia2-tests-").expect("a temporary folder");
        Self { way, folder, user: None }
    }

    /// A session for programs that change their user: everybody may look into the folder and append
    /// to the statistics.
    ///
    /// # Panics
    /// As [`Session::new`].
    #[must_use]
    pub fn open(way: Way) -> Self {
        let session = Self::new(way);
        let stats = session.path("stats.jsonl");
        fs::write(&stats, "").expect("a file can be made");
        for (path, mode) in [(session.folder.path(), 0o755), (&stats, 0o666)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("the file is ours");
        }
        session
    }

    /// A session whose programs are no root's, even if the tests are: the folder is nobody's then,
    /// and has copies of the artifacts, which may lie where only root looks.
    ///
    /// # Panics
    /// As [`Session::new`].
    #[must_use]
    pub fn unprivileged(way: Way) -> Self {
        let mut session = Self::new(way);
        let folder = session.folder.path();
        if folder.metadata().expect("the folder is there").uid() == 0 {
            for artifact in [shim(), loader(), ia2()] {
                let name = artifact.file_name().expect("a file has a name");
                fs::copy(&artifact, folder.join(name)).expect("a file can be copied");
            }
            chown(folder, Some(NOBODY), Some(NOBODY)).expect("root gives folders away");
            session.user = Some(NOBODY);
        }
        session
    }

    /// The artifact that this session's programs can read.
    fn readable(&self, artifact: PathBuf) -> PathBuf {
        match (self.user, artifact.file_name()) {
            (Some(_), Some(name)) => self.folder.path().join(name),
            _ => artifact,
        }
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
        let stats = self.path("stats.jsonl");
        match self.way {
            Way::Native => self.native(program),
            Way::Run => {
                let mut command = self.native(self.readable(ia2()));
                command.args(["run", "--stats"]).arg(stats).arg("--").arg(program);
                command
            }
            Way::Linked => {
                let mut command = self.native(program);
                command.env("IA2_STATS", stats);
                command
            }
            Way::Preloaded { backstop, patch } => {
                let mut command = self.native(program);
                command.env("LD_PRELOAD", self.readable(shim()));
                command.env("IA2_BACKSTOP", backstop);
                command.env("IA2_STATS", stats);
                if !patch {
                    command.env("IA2_PATCH", "off");
                }
                command
            }
        }
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
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Makes a file in the temporary folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), String> {
        let path = self.path(name);
        let folder = path.parent().ok_or("a file has a folder")?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, content))
            .map_err(|e| format!("{}: {e}", path.display()))
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
        let (backstop, patch) = match self.way {
            Way::Native => return Ok(()),
            Way::Run | Way::Linked => ("strict", true),
            Way::Preloaded { backstop, patch } => (backstop, patch),
        };
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
