//! The programs in `c-tests`: their directives, compiling them, and what a run must show.
//!
//! The directives are documented in `c-tests/README.md`.

use crate::artifacts::{archive, target, workspace};
use crate::run::{End, Run, run};
use crate::way::{Session, Way};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What a program's file says about it.
#[derive(Clone, Debug)]
pub struct Directives {
    /// `Libc`: with which C libraries it is compiled.
    pub libcs: Vec<String>,
    /// `Backstop`: with which backstops it is run.
    pub backstops: Vec<String>,
    /// `Args`
    pub args: Vec<String>,
    /// `Flags`: for the compiler.
    pub flags: Vec<String>,
    /// `Exit`: how it ends.
    pub end: End,
    /// `Library`: a C file made into a shared library beside the program.
    pub libraries: Vec<String>,
    /// `MaxTraps`: how many SIGSYS it may take when sites are patched.
    pub max_traps: Option<u64>,
    /// `Native`: the lines it prints natively, if they are not the lines under the shim.
    pub native: Vec<String>,
    /// `Shim`: the lines it prints under the shim then.
    pub shim: Vec<String>,
}

impl Directives {
    /// Reads the directives of a C file.
    ///
    /// # Panics
    /// If there is one that nobody knows: a test that means something else than it says is worse
    /// than none.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Self {
        let list = |value: &str| value.split(',').map(str::to_owned).collect::<Vec<_>>();
        let words = |value: &str| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mut found = Self {
            libcs: list("glibc,musl"),
            backstops: list("strict,inspected,sud,none"),
            args: Vec::new(),
            flags: Vec::new(),
            end: End::Exit(0),
            libraries: Vec::new(),
            max_traps: None,
            native: Vec::new(),
            shim: Vec::new(),
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("//#")) {
            let (key, value) = line.split_once(": ").unwrap_or((line, ""));
            let number = || value.trim_start_matches("signal ").parse::<i32>();
            match key {
                "Libc" => found.libcs = list(value),
                "Backstop" => found.backstops = list(value),
                "Args" => found.args = words(value),
                "Flags" => found.flags = words(value),
                "Exit" => {
                    let number = number().unwrap_or_else(|e| panic!("{name}: {line}: {e}"));
                    found.end = match value.starts_with("signal ") {
                        true => End::Signal(number),
                        false => End::Exit(number),
                    }
                }
                "Library" => found.libraries.push(value.to_owned()),
                "MaxTraps" => {
                    let most = value.parse().unwrap_or_else(|e| panic!("{name}: {line}: {e}"));
                    found.max_traps = Some(most);
                }
                "Native" => found.native.push(value.to_owned()),
                "Shim" => found.shim.push(value.to_owned()),
                _ => panic!("{name}: unknown directive {line}"),
            }
        }
        assert_eq!(found.native.is_empty(), found.shim.is_empty(), "{name}: Native without Shim");
        found
    }
}

/// One program, compiled with one C library.
#[derive(Debug)]
pub struct CProgram {
    /// The file's name without `.c`.
    pub name: String,
    /// `glibc` or `musl`.
    pub libc: String,
    /// What the file says.
    pub directives: Directives,
    compiled: OnceLock<Result<PathBuf, String>>,
    linked: OnceLock<Result<PathBuf, String>>,
    native: OnceLock<Result<Run, String>>,
}

/// The folder with the programs.
#[must_use]
pub fn sources() -> PathBuf {
    workspace().join("c-tests")
}

/// Every program with every C library it names.
///
/// # Panics
/// If the folder cannot be read.
#[must_use]
pub fn all() -> Vec<CProgram> {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(sources()).expect("c-tests can be read") {
        let path = entry.expect("c-tests can be read").path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".c").filter(|name| !name.ends_with(".lib")) else {
            continue;
        };
        let text = std::fs::read_to_string(&path).expect("a program can be read");
        let directives = Directives::parse(&file, &text);
        for libc in directives.libcs.clone() {
            programs.push(CProgram {
                name: name.to_owned(),
                libc,
                directives: directives.clone(),
                compiled: OnceLock::new(),
                linked: OnceLock::new(),
                native: OnceLock::new(),
            });
        }
    }
    programs.sort_by(|a, b| (&a.name, &a.libc).cmp(&(&b.name, &b.libc)));
    programs
}

/// When the newest of `paths` was changed.
fn newest(paths: impl IntoIterator<Item = PathBuf>) -> Option<SystemTime> {
    paths.into_iter().filter_map(|path| path.metadata().ok()?.modified().ok()).max()
}

/// Compiles `source` to `output`, unless `output` is newer than it, all headers beside it, and what it
/// is linked with: flags that name files.
pub fn compile(compiler: &str, source: &Path, output: &Path, flags: &[&str]) -> Result<(), String> {
    let folder = source.parent().unwrap_or(Path::new("."));
    let headers = std::fs::read_dir(folder)
        .map_err(|e| format!("{}: {e}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"));
    let made = newest([output.to_owned()]);
    let linked = flags.iter().map(PathBuf::from);
    if made.is_some() && made > newest(headers.chain([source.to_owned()]).chain(linked)) {
        return Ok(());
    }
    let to = output.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(to).map_err(|e| format!("{}: {e}", to.display()))?;
    // Made under another name and then renamed: another process may be making the same.
    let fresh = output.with_extension(format!("{}.new", std::process::id()));
    let run = run(
        Command::new(compiler)
            .args(["-O2", "-g1", "-Wall", "-Wextra", "-Werror", "-pthread"])
            .args(flags)
            .arg("-o")
            .arg(&fresh)
            .arg(source),
        Duration::from_secs(120),
    )
    .map_err(|e| format!("{compiler}: {e}"))?;
    run.success().map_err(|e| format!("{} does not compile: {e}", source.display()))?;
    std::fs::rename(&fresh, output).map_err(|e| format!("{}: {e}", output.display()))
}

/// The compiler for a C library.
#[must_use]
pub fn compiler(libc: &str) -> &'static str {
    match libc {
        "musl" => "musl-gcc",
        _ => "gcc",
    }
}

impl CProgram {
    /// The program's file, compiled on first use.
    pub fn compiled(&self) -> Result<&Path, String> {
        let result = self.compiled.get_or_init(|| {
            let folder = target().join("c-tests").join(&self.libc);
            let output = folder.join(&self.name);
            compile(
                compiler(&self.libc),
                &sources().join(format!("{}.c", self.name)),
                &output,
                &self.directives.flags.iter().map(String::as_str).collect::<Vec<_>>(),
            )?;
            for library in &self.directives.libraries {
                let shared = folder.join(library).with_extension("so");
                compile(
                    compiler(&self.libc),
                    &sources().join(library),
                    &shared,
                    &["-shared", "-fPIC"],
                )?;
            }
            Ok(output)
        });
        result.as_deref().map_err(String::clone)
    }

    /// The program as a static one with the shim in it, compiled on first use.
    fn linked(&self) -> Result<&Path, String> {
        let result = self.linked.get_or_init(|| {
            let output = target().join("c-tests/linked").join(&self.libc).join(&self.name);
            let archive = archive();
            let mut flags: Vec<&str> = self.directives.flags.iter().map(String::as_str).collect();
            flags.extend(["-static", archive.to_str().ok_or("the path is not UTF-8")?]);
            let source = sources().join(format!("{}.c", self.name));
            compile(compiler(&self.libc), &source, &output, &flags)?;
            Ok(output)
        });
        result.as_deref().map_err(String::clone)
    }

    fn run_once(&self, way: Way) -> Result<(Session, Run), String> {
        let program = if way == Way::Linked { self.linked()? } else { self.compiled()? };
        let session = Session::new(way);
        let mut command = session.command(program);
        command.args(&self.directives.args);
        // Libraries are opened by a path beside the program.
        command.current_dir(program.parent().unwrap_or(Path::new(".")));
        let run = run(&mut command, LIMIT).map_err(|e| format!("{}: {e}", program.display()))?;
        Ok((session, run))
    }

    /// The native run, made once: what all others are compared with.
    fn native(&self) -> Result<&Run, String> {
        let result = self.native.get_or_init(|| self.run_once(Way::Native).map(|(_, run)| run));
        result.as_ref().map_err(String::clone)
    }

    /// Whether it is to be run in this way. Without a backstop, a call from a site that cannot be
    /// rewritten is not seen, and musl has such sites in the middle of its signal handling.
    #[must_use]
    pub fn wants(&self, way: Way) -> bool {
        match way {
            Way::Native | Way::Run => true,
            Way::Linked => self.directives.libraries.is_empty(),
            Way::Preloaded { backstop: "none", .. } if self.libc == "musl" => false,
            Way::Preloaded { backstop, .. } => {
                self.directives.backstops.iter().any(|wanted| wanted == backstop)
            }
        }
    }

    /// What it prints natively or, if the file says that this differs, under the shim.
    fn expected(&self, way: Way) -> Result<Vec<u8>, String> {
        let lines = match way {
            Way::Native => &self.directives.native,
            Way::Run | Way::Linked | Way::Preloaded { .. } => &self.directives.shim,
        };
        if lines.is_empty() {
            return Ok(self.native()?.stdout.clone());
        }
        let mut text = lines.join("\n");
        text.push_str("\nEXIT-SUCCESS\n");
        Ok(text.into_bytes())
    }

    /// Runs it in one way and compares. The native run is made again, so that a program whose
    /// output changes from run to run is found out.
    pub fn test(&self, way: Way) -> Result<(), String> {
        let expected = self.expected(way)?;
        let native = self.native()?;
        let (session, run) = self.run_once(way)?;
        let mut wrong = Vec::new();
        if run.end != self.directives.end {
            wrong.push(format!("{}, expected {}", run.end, self.directives.end));
        }
        if run.stdout != expected {
            wrong.push(difference(&expected, &run.stdout));
        }
        if self.directives.end == End::Exit(0) && !run.stdout.ends_with(b"EXIT-SUCCESS\n") {
            wrong.push("it did not come to its end".to_owned());
        }
        if run.stderr != native.stderr {
            wrong.push(format!("stderr: {}", crate::run::tail(&run.error_text())));
        }
        if let Err(reason) = session.check(&run, self.directives.max_traps) {
            wrong.push(reason);
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(wrong.join("\n")),
        }
    }
}

/// The first lines that differ: `-` expected, `+` found.
#[must_use]
pub fn difference(expected: &[u8], found: &[u8]) -> String {
    let (expected, found) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(found));
    let (mut one, mut two) = (expected.lines(), found.lines());
    let mut text = String::new();
    let mut shown = 0;
    let mut number = 0;
    while shown < 8 {
        number += 1;
        match (one.next(), two.next()) {
            (None, None) => break,
            (one, two) if one == two => {}
            (one, two) => {
                shown += 1;
                for (sign, line) in [('-', one), ('+', two)] {
                    if let Some(line) = line {
                        text.push_str(&format!("line {number}: {sign} {line}\n"));
                    }
                }
            }
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Directives, difference};
    use crate::run::End;

    #[test]
    fn directives_have_defaults_and_are_read() {
        let plain = Directives::parse("a.c", "// text\nint main;\n");
        assert_eq!(plain.libcs, ["glibc", "musl"]);
        assert_eq!(plain.end, End::Exit(0));
        let all = Directives::parse("b.c", "//#Libc: musl\n//#Exit: signal 11\n//#MaxTraps: 7\n");
        assert_eq!((all.end, all.max_traps), (End::Signal(11), Some(7)));
        assert_eq!(all.libcs, ["musl"]);
    }

    #[test]
    #[should_panic(expected = "unknown directive")]
    fn an_unknown_directive_is_not_ignored() {
        let _ = Directives::parse("a.c", "//#Lbic: musl\n");
    }

    #[test]
    fn a_difference_names_the_line() {
        assert_eq!(difference(b"a\nb\n", b"a\nc\n"), "line 2: - b\nline 2: + c");
        assert_eq!(difference(b"a\n", b"a\nb\n"), "line 2: + b");
    }
}
