//! The ways a program is started: natively, by `ia2 run`, preloaded, preloaded without plans.

use core::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::pool::field;

/// The loader, beside the library.
const LOADER: &str = "ia2-loader";

/// Plans that `ia2 cache` made ahead, beside the library.
const PLANS: &str = "ia2-plans";

/// One way, with the file that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing between program and kernel.
    Native,
    /// By this `ia2 run`, with its default settings.
    Run(PathBuf),
    /// With this library preloaded, with its default settings.
    Preloaded(PathBuf),
    /// With this library preloaded, which has no plans beside it.
    NoPlans(PathBuf),
}

impl Way {
    /// Name in the table and in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Run(_) => "ia2 run",
            Self::Preloaded(_) => "preloaded",
            Self::NoPlans(_) => "preloaded, no plans",
        }
    }

    /// A command that starts `program` this way, with no other environment.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = match self {
            Self::Run(ia2) => {
                let mut command = Command::new(ia2);
                command.args(["run", "--"]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        command.args(arguments).env_clear();
        if let Self::Preloaded(lib) | Self::NoPlans(lib) = self {
            command.env("LD_PRELOAD", lib);
        }
        command
    }

    /// Milliseconds from the start of `program` to the end of its wait.
    ///
    /// The standard library starts such a command by `posix_spawn`, which is vfork-like in glibc,
    /// so the size of the bench does not count.
    pub(crate) fn time(&self, program: &Path, arguments: &[&str]) -> Result<f64, String> {
        let mut command = self.command(program, arguments);
        let start = Instant::now();
        let status = command.status().map_err(|e| self.wrong(program, e))?;
        let elapsed = start.elapsed();
        if status.success() {
            Ok(elapsed.as_secs_f64() * 1e3)
        } else {
            Err(self.wrong(program, status))
        }
    }

    /// What `program` prints.
    pub(crate) fn output(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command(program, arguments);
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|e| self.wrong(program, e))?;
        if !output.status.success() {
            return Err(self.wrong(program, output.status));
        }
        String::from_utf8(output.stdout).map_err(|e| self.wrong(program, e))
    }

    fn wrong(&self, program: &Path, what: impl Display) -> String {
        format!("row {}: {}: {what}", self.name(), program.display())
    }

    /// Whether a program that said `status` of itself was started this way. (The dynamic linker
    /// only warns of a library that it cannot preload; the row would be another native one.)
    fn check(&self, status: &str) -> Result<(), String> {
        let filtered = field(status, "Seccomp:") == Some("2");
        match (filtered, *self != Self::Native) {
            (true, false) => {
                Err(format!("row {}: a seccomp filter is on that should not be", self.name()))
            }
            (false, true) => Err(format!("row {}: programs are not under the shim", self.name())),
            _ => Ok(()),
        }
    }
}

/// The ways that there are files for.
pub(crate) struct Ways {
    /// All of them, natively first.
    pub(crate) all: Vec<Way>,
    /// Whether there are plans beside the library; `None` without a library.
    pub(crate) plans: Option<bool>,
    /// The library without plans, removed at the end.
    _bare: Option<Bare>,
}

impl Ways {
    /// Finds what lies beside the library.
    pub(crate) fn find(lib: Option<&Path>) -> Result<Self, String> {
        let mut ways = Self { all: vec![Way::Native], plans: None, _bare: None };
        if let Some(lib) = lib {
            let plans = lib.with_file_name(PLANS).exists();
            ways.all.extend([Way::Run(find_ia2(lib)?), Way::Preloaded(lib.to_owned())]);
            ways.plans = Some(plans);
            if plans {
                let bare = Bare::of(lib)?;
                ways.all.push(Way::NoPlans(bare.lib.clone()));
                ways._bare = Some(bare);
            }
        }
        Ok(ways)
    }

    /// Tries every way once.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.all.iter().try_for_each(|way| {
            way.check(&way.output(Path::new("/bin/cat"), &["/proc/self/status"])?)
        })
    }

    /// Those that start with the plans there are.
    pub(crate) fn usual(&self) -> Vec<Way> {
        self.all.iter().filter(|way| !matches!(way, Way::NoPlans(_))).cloned().collect()
    }
}

/// `ia2` beside the library, or, installed, in the `bin` beside its `lib`.
fn find_ia2(lib: &Path) -> Result<PathBuf, String> {
    let beside = lib.with_file_name("ia2");
    let installed = lib.parent().map(|folder| folder.with_file_name("bin").join("ia2"));
    let found = [Some(beside.clone()), installed].into_iter().flatten().find(|path| path.exists());
    found.ok_or(format!("{}: not built: run make", beside.display()))
}

/// Library and loader in a temporary folder, without plans.
struct Bare {
    folder: PathBuf,
    lib: PathBuf,
}

impl Bare {
    fn of(lib: &Path) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("ia2-bench-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        // From here on the folder is removed whatever happens.
        let bare = Self { lib: folder.join("libia2shim.so"), folder };
        for (from, to) in
            [(lib, &bare.lib), (&lib.with_file_name(LOADER), &bare.folder.join(LOADER))]
        {
            fs::copy(from, to).map_err(|e| format!("{}: {e}", from.display()))?;
        }
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_library_there_is_only_the_native_way() {
        let ways = Ways::find(None).expect("nothing is looked for");
        assert_eq!((ways.all, ways.plans), (vec![Way::Native], None));
    }

    #[test]
    fn a_library_alone_in_its_folder_is_told() {
        let error = Ways::find(Some(Path::new("/proc/self/libia2shim.so"))).err();
        assert_eq!(error.as_deref(), Some("/proc/self/ia2: not built: run make"));
    }

    #[test]
    fn a_library_that_was_not_preloaded_is_told() {
        let preloaded = Way::Preloaded(PathBuf::new());
        let error = preloaded.check("Seccomp:\t0\n");
        assert_eq!(error, Err("row preloaded: programs are not under the shim".to_owned()));
        assert_eq!(preloaded.check("Seccomp:\t2\n"), Ok(()));
        assert!(Way::Native.check("Seccomp:\t2\n").is_err());
    }

    #[test]
    fn the_copy_has_library_and_loader_and_goes_away() {
        let own = std::env::temp_dir().join(format!("ia2-bench-test-{}", std::process::id()));
        fs::create_dir(&own).expect("a folder can be made");
        for name in ["libia2shim.so", LOADER, PLANS] {
            fs::write(own.join(name), name).expect("a file can be made");
        }
        let bare = Bare::of(&own.join("libia2shim.so")).expect("both files are there");
        let folder = bare.folder.clone();
        let there = |name: &str| folder.join(name).exists();
        assert!(there("libia2shim.so") && there(LOADER) && !there(PLANS));
        drop(bare);
        assert!(!folder.exists());
        fs::remove_dir_all(own).expect("it is ours");
    }
}
