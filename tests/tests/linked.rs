//! Programs that the shim is linked into.

use core::time::Duration;
use ia2_tests::artifacts::{archive, ia2, shim};
use ia2_tests::c_program::{compile, difference};
use ia2_tests::run::{End, Run, run};
use ia2_tests::stats::Stats;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Compilers with flags: all that the documented command line may be.
const KINDS: [(&str, &[&str]); 10] = [
    ("gcc", &["-static"]),
    ("gcc", &["-static-pie"]),
    ("musl-gcc", &["-static"]),
    ("gcc", &[]),
    ("gcc", &["-no-pie"]),
    ("musl-gcc", &[]),
    // Text and constants in one segment.
    ("gcc", &["-static", "-Wl,-z,noseparate-code"]),
    ("gcc", &["-static", "-s"]),
    ("gcc", &["-static", "-ffunction-sections", "-Wl,--gc-sections"]),
    ("gcc", &["-static", "-fuse-ld=gold"]),
];

fn go(command: &mut Command) -> Run {
    run(command, Duration::from_secs(60)).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// A folder with programs: nothing of the shim lies in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::with_prefix("ia2-tests-").expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Compiles a program as `name`.
    fn make(&self, source: &str, name: &str, compiler: &str, flags: &[&str]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("linked").join(source);
        let output = self.path(name);
        compile(compiler, &source, &output, flags)
            .unwrap_or_else(|e| panic!("{compiler} {flags:?}: {e}"));
        output
    }

    /// Compiles a program with the shim in it.
    fn link(&self, source: &str, name: &str, compiler: &str, flags: &[&str]) -> PathBuf {
        let archive = archive();
        let flags = [flags, &[archive.to_str().expect("UTF-8")]].concat();
        self.make(source, name, compiler, &flags)
    }

    /// A command that starts a program by `ia2 run`, whose settings are its own.
    fn by_ia2(&self, program: &Path) -> Command {
        let mut command = Command::new(ia2());
        command.args(["run", "--stats"]).arg(self.path("stats")).arg("--").arg(program);
        command
    }

    /// Runs a command, and gives the statistics of all that it started.
    fn run(&self, command: &mut Command) -> (Run, Vec<Stats>) {
        let stats = self.path("stats");
        let _ = std::fs::remove_file(&stats);
        let run = go(command.env("IA2_STATS", &stats));
        (run, Stats::read(&stats).unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }
}

/// The lines of the processes that run `program`.
fn of<'a>(stats: &'a [Stats], program: &Path) -> Vec<&'a Stats> {
    stats.iter().filter(|stats| Path::new(&stats.exe) == program).collect()
}

#[test]
fn a_program_is_under_the_shim_however_it_is_linked() {
    for (compiler, flags) in KINDS {
        let folder = Folder::new();
        let native = folder.make("work.c", "native", compiler, flags);
        let linked = folder.link("work.c", "linked", compiler, flags);
        let expected = go(&mut Command::new(&native));
        assert_eq!(expected.end, End::Exit(5), "{compiler} {flags:?}");

        let (found, stats) = folder.run(&mut Command::new(&linked));
        assert_eq!(found.end, expected.end, "{compiler} {flags:?}: {}", found.error_text());
        assert!(
            found.stdout == expected.stdout,
            "{compiler} {flags:?}: {}",
            difference(&expected.stdout, &found.stdout)
        );
        assert_eq!(found.error_text(), "", "{compiler} {flags:?}");
        // The program, and the child that exits.
        assert_eq!(of(&stats, &linked).len(), 2, "{compiler} {flags:?}: {stats:?}");
        for stats in &stats {
            assert!(stats.traps <= 5, "{compiler} {flags:?}: {stats:?}");
            assert!(stats.patched > 40, "{compiler} {flags:?}: {stats:?}");
        }

        // The same sites as in the program without the shim, so none is in the shim.
        let (_, alone) = folder.run(&mut folder.by_ia2(&native));
        let alone = of(&alone, &native)[0];
        let whole = of(&stats, &linked)[0];
        assert_eq!(whole.found, alone.found, "{compiler} {flags:?}: {whole:?} {alone:?}");

        let (covered, _) = folder.run(Command::new(&linked).arg("covered"));
        assert_eq!(covered.text(), "Seccomp: 2\n", "{compiler} {flags:?}: its first constructor");
    }
}

#[test]
fn the_library_is_found_by_its_name() {
    for flags in [&["-static"][..], &["-static-pie"]] {
        let folder = Folder::new();
        let place = format!("-L{}", archive().parent().expect("a folder").display());
        // The source comes before the library, as on most command lines.
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("linked/work.c");
        let mut cc = Command::new("gcc");
        cc.args(flags).arg("-o").arg(folder.path("linked")).arg(source);
        go(cc.args([&place, "-lia2shim", "-pthread"])).success().expect("it compiles");
        let (run, stats) = folder.run(&mut Command::new(folder.path("linked")));
        assert_eq!((run.end, stats.len()), (End::Exit(5), 2), "{flags:?}");
    }
}

/// The global symbols that a file defines: name and type.
fn globals(file: &Path) -> BTreeMap<String, String> {
    let run = go(Command::new("nm").args(["--extern-only", "--defined-only", "-P"]).arg(file));
    let text = run.success().expect("nm reads it");
    let fields = text.lines().map(|line| line.split_whitespace());
    fields.filter_map(|mut line| Some((line.next()?.to_owned(), line.next()?.to_owned()))).collect()
}

#[test]
fn the_library_gives_a_program_one_symbol() {
    let undefined = go(Command::new("nm").arg("--undefined-only").arg(archive()));
    assert_eq!(undefined.success().expect("nm reads it"), "");
    let own: Vec<_> = globals(&archive()).into_keys().collect();
    assert_eq!(own, ["ia2shim_version"]);
    for (compiler, flags, memcpy) in
        [("gcc", ["-static"], "i"), ("gcc", ["-static-pie"], "i"), ("musl-gcc", ["-static"], "T")]
    {
        let folder = Folder::new();
        let native = globals(&folder.make("work.c", "native", compiler, &flags));
        let mut linked = globals(&folder.link("work.c", "linked", compiler, &flags));
        assert_eq!(linked["memcpy"], memcpy, "{compiler} {flags:?}: libc's");
        assert_eq!(linked.remove("ia2shim_version").as_deref(), Some("T"));
        assert_eq!(linked, native, "{compiler} {flags:?}");
    }
}

#[test]
fn the_library_asks_nothing_more_of_a_program() {
    let sections =
        go(Command::new("readelf").arg("-SW").arg(archive())).success().expect("sections");
    assert!(sections.contains(".preinit_array") && sections.contains(".init_array.00000"));
    for absent in [".tdata", ".tbss", ".init_array ", ".ctors", "WAX"] {
        assert!(!sections.contains(absent), "{absent}: {sections}");
    }
    let folder = Folder::new();
    let linked = folder.link("work.c", "linked", "gcc", &["-static"]);
    let segments = go(Command::new("readelf").arg("-lW").arg(linked)).success().expect("segments");
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a stack");
    assert!(stack.contains("RW ") && !segments.contains("RWE"), "{segments}");
}

/// As in the preloaded library (`artifact.rs`), for it is compiled once more.
#[test]
fn the_library_has_one_syscall_instruction_and_no_wide_vector() {
    let text = go(Command::new("objdump").args(["-d", "--no-show-raw-insn"]).arg(archive()));
    let text = text.success().expect("objdump reads it");
    let instructions: Vec<&str> = text.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    assert!(instructions.len() > 1000, "objdump printed something else");
    let calls = instructions.iter().filter(|instruction| instruction.trim() == "syscall").count();
    assert_eq!(calls, 1, "that of boot, before there is a gate");
    assert!(!instructions.iter().any(|instruction| instruction.starts_with('v')));
}

/// What it executes is covered, and ends as it would natively. The loader is in the program: no file
/// lies beside it.
#[test]
fn what_a_linked_program_executes_is_under_the_shim() {
    for (compiler, flags) in &KINDS[..4] {
        let folder = Folder::new();
        let exec = folder.link("exec.c", "exec", compiler, flags);
        let (run, stats) = folder.run(Command::new(&exec).args(["/bin/sh", "-c", "exit 3"]));
        assert_eq!(run.end, End::Exit(3), "{compiler} {flags:?}: {}", run.error_text());
        let [shell] = &stats[..] else { panic!("{compiler} {flags:?}: {stats:?}") };
        assert_eq!(shell.pid, u64::from(run.pid));
        assert!(shell.patched > 40 && shell.traps <= 5, "{compiler} {flags:?}: {shell:?}");

        // A static program, of which another is executed that has the shim itself, and another.
        let plain = folder.make("exec.c", "plain", "gcc", &["-static"]);
        let work = folder.link("work.c", "work", "musl-gcc", &["-static"]);
        let (run, stats) = folder.run(Command::new(&exec).arg(&plain).arg(&exec).arg(&work));
        assert_eq!(run.end, End::Exit(5), "{compiler} {flags:?}: {}", run.error_text());
        assert_eq!(run.error_text(), "", "{compiler} {flags:?}");
        let lines = of(&stats, &work);
        assert_eq!((stats.len(), lines.len()), (2, 2), "{compiler} {flags:?}: {stats:?}");
        assert!(lines[0].traps <= 5, "{compiler} {flags:?}: {lines:?}");

        let missing = go(Command::new(&exec).arg("/does/not/exist"));
        assert_eq!(missing.end, End::Exit(99));
        assert!(missing.error_text().contains("No such file"), "{}", missing.error_text());
    }
}

#[test]
fn the_settings_are_those_of_a_preloaded_program() {
    let folder = Folder::new();
    let linked = folder.link("work.c", "linked", "gcc", &["-static"]);
    let with = |name: &str, value: &str| folder.run(Command::new(&linked).env(name, value));
    for backstop in ["strict", "inspected", "sud", "none"] {
        let (run, stats) = with("IA2_BACKSTOP", backstop);
        assert_eq!(run.end, End::Exit(5), "{backstop}: {}", run.error_text());
        assert!(stats.iter().all(|stats| stats.patched > 40), "{backstop}: {stats:?}");
    }
    let (run, stats) = with("IA2_PATCH", "off");
    assert_eq!(run.end, End::Exit(5), "{}", run.error_text());
    assert!(stats.iter().all(|stats| stats.patched == 0 && stats.traps > 0), "{stats:?}");
    for (name, value) in [("IA2_BACKSTOP", "wrong"), ("IA2_PATCH", ""), ("IA2_POLICY", "other")] {
        let (run, _) = with(name, value);
        assert_eq!((run.end, run.text().as_str()), (End::Exit(125), ""), "{name}={value}");
        let message = run.error_text();
        assert!(
            message.contains(name) && message.lines().count() == 1,
            "{name}={value}: {message}"
        );
    }
}

/// Who comes first has the program; the other keeps quiet.
#[test]
fn a_linked_program_may_be_preloaded_or_started_under_the_shim() {
    let folder = Folder::new();
    let linked = folder.link("work.c", "linked", "gcc", &[]);
    let (alone, _) = folder.run(&mut Command::new(&linked));
    let mut preloaded = Command::new(&linked);
    preloaded.env("LD_PRELOAD", shim());
    for (what, mut command) in [("preloaded", preloaded), ("run", folder.by_ia2(&linked))] {
        let (run, stats) = folder.run(&mut command);
        assert_eq!((run.end, run.text()), (alone.end, alone.text()), "{what}");
        assert_eq!(run.error_text(), "", "{what}");
        assert_eq!(of(&stats, &linked).len(), 2, "{what}: {stats:?}");
    }
}
