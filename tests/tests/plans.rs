//! Plans made ahead: used where they are good, and without any effect where they are not.

use core::time::Duration;
use ia2_plan::cache::{Cache, Entry, Key, Layout};
use ia2_plan::image::Image;
use ia2_plan::plan::ObjectPlan;
use ia2_tests::artifacts::{ia2, loader, shim};
use ia2_tests::c_program::compile;
use ia2_tests::run::{End, Run, run};
use ia2_tests::stats::Stats;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// A library with a site, and a program that calls it after a while.
const LIBRARY: &str = "long call(void) {
    long nr = NUMBER, result;
    __asm__ volatile(\"syscall\" : \"=a\"(result) : \"0\"(nr) : \"rcx\", \"r11\", \"memory\");
    return result > 0;
}";
const PROGRAM: &str = "#include <stdio.h>
long call(void);
int main(void) { return printf(\"%ld\\n\", call()) < 0; }";

/// The artifacts in a folder of their own, beside which plans can be put.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ia2-tests-").tempdir().expect("a folder");
        for artifact in [shim(), loader(), ia2()] {
            let name = artifact.file_name().expect("a file");
            fs::copy(&artifact, folder.path().join(name)).expect("an artifact is copied");
        }
        let place = Self(folder);
        fs::write(place.at("program.c"), PROGRAM).expect("a file");
        place.build_library("39"); // getpid
        let flags = ["-L", &place.text("."), "-Wl,--no-as-needed", "-lcalls", "-Wl,-rpath,$ORIGIN"];
        compile("gcc", &place.at("program.c"), &place.at("program"), &flags).expect("it compiles");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_string_lossy().into_owned()
    }

    fn build_library(&self, number: &str) {
        fs::write(self.at("library.c"), LIBRARY).expect("a file"); // newer than what was built
        let flags = ["-shared", "-fPIC", &format!("-DNUMBER={number}")];
        compile("gcc", &self.at("library.c"), &self.at("libcalls.so"), &flags)
            .expect("it compiles");
    }

    /// `ia2 cache` for the library of the test, and for those of the machine.
    fn plan(&self) {
        let done =
            run(Command::new(self.at("ia2")).arg("cache").arg(self.at("libcalls.so")), LIMIT);
        let text = done.expect("ia2 starts").success().expect("it plans");
        assert!(text.starts_with(&self.text("ia2-plans: plans of ")), "{text}");
    }

    /// Runs the program in both ways, and gives the statistics.
    fn run(&self) -> [Stats; 2] {
        let stats = self.at("stats");
        let mut preloaded = Command::new(self.at("program"));
        preloaded.env("LD_PRELOAD", self.at("libia2shim.so")).env("IA2_STATS", &stats);
        let mut started = Command::new(self.at("ia2"));
        started.args(["run", "--stats"]).arg(&stats).arg("--").arg(self.at("program"));
        [&mut preloaded, &mut started].map(|command| {
            let _ = fs::remove_file(&stats);
            let done = run(command, LIMIT).expect("it starts");
            let text = done.clone().success().expect("it runs");
            assert_eq!(text, "1\n", "{command:?}: {}", done.error_text());
            let mut lines = Stats::read(&stats).expect("statistics");
            assert_eq!(lines.len(), 1);
            lines.remove(0)
        })
    }

    /// The plans without sites for these files: whoever uses them patches nothing of them.
    fn plan_nothing(&self, files: &[&Path]) {
        let entries: Vec<Entry> = files.iter().map(|file| empty(file)).collect();
        fs::write(self.at("ia2-plans"), Cache::default().with(&entries)).expect("a file");
    }
}

fn empty(file: &Path) -> Entry {
    let bytes = fs::read(file).expect("a file");
    let data = fs::metadata(file).expect("a file");
    let time = |s: i64, ns: i64| (s * 1_000_000_000 + ns) as u64;
    let modified = time(data.mtime(), data.mtime_nsec());
    let changed = time(data.ctime(), data.ctime_nsec());
    let key = Key::new(data.dev(), data.ino(), data.len(), modified, changed).expect("its times");
    let image = Image::from_file(&bytes).expect("an ELF object");
    Entry::new(key, &Layout::of(&image), &ObjectPlan::default())
}

/// What may not depend on where a plan comes from. (The statistics of a program are written when it
/// ends, and its calls may differ by those that write a pipe.)
fn sites(stats: &[Stats; 2]) -> [(u64, u64, u64); 2] {
    [0, 1].map(|at| (stats[at].found, stats[at].patched, stats[at].traps))
}

#[test]
fn plans_made_ahead_are_those_made_at_start() {
    let place = Place::new();
    let without = place.run();
    place.plan();
    let with = place.run();
    assert_eq!(sites(&without), sites(&with));
    assert!(with.iter().all(|stats| stats.found > 300 && stats.traps <= 1), "{with:?}");
}

/// The proof that they are used at all, at start and for libraries that the dynamic linker maps.
#[test]
fn a_plan_is_used_while_its_file_is_the_one_that_was_planned() {
    let place = Place::new();
    let [preloaded, started] = place.run();
    place.plan_nothing(&[&place.at("libcalls.so")]);
    let [preloaded_less, started_less] = place.run();
    assert!(preloaded_less.traps > preloaded.traps && started_less.traps > started.traps);
    // Written again, it is another file, even with the same bytes.
    place.build_library("39");
    assert_eq!(sites(&place.run()), sites(&[preloaded, started]));
}

#[test]
fn a_plan_of_a_library_that_was_replaced_does_no_harm() {
    let place = Place::new();
    place.plan();
    place.build_library("110"); // getppid
    let stats = place.run();
    assert!(stats.iter().all(|stats| stats.traps <= 1), "{stats:?}");
}

#[test]
fn damaged_plans_do_no_harm() {
    let place = Place::new();
    let good = {
        place.plan();
        fs::read(place.at("ia2-plans")).expect("plans")
    };
    let sites_of_good = sites(&place.run());
    let mut damaged = vec![Vec::new(), b"ia2plans".to_vec(), good[..good.len() / 2].to_vec()];
    for at in [8, 17, 40, 90, 5000, good.len() - 9] {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        damaged.push(bad);
    }
    for (number, bytes) in damaged.into_iter().enumerate() {
        fs::write(place.at("ia2-plans"), bytes).expect("a file");
        assert_eq!(sites(&place.run()), sites_of_good, "damage {number}");
    }
}

/// A process hands its plans to those it executes: also what it planned itself.
#[test]
fn plans_are_shared_in_a_tree() {
    let place = Place::new();
    place.plan_nothing(&[&place.at("libcalls.so")]);
    let stats = place.at("stats");
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("exec {}", place.text("program")));
    shell.env("LD_PRELOAD", place.at("libia2shim.so")).env("IA2_STATS", &stats);
    run(&mut shell, LIMIT).expect("it starts").success().expect("it runs");
    let lines = Stats::read(&stats).expect("statistics");
    let [program] = &lines[..] else { panic!("{lines:?}") };
    assert!(program.found > 300, "what was not in the file was planned: {program:?}");
    assert!(program.traps > 0, "what was in the file came over exec: {program:?}");
}

#[test]
fn a_file_that_cannot_be_planned_is_told() {
    let place = Place::new();
    let text = place.at("program.c");
    let done: Run = run(
        Command::new(place.at("ia2")).arg("cache").arg(&text).arg(place.at("libcalls.so")),
        LIMIT,
    )
    .expect("ia2 starts");
    assert_eq!(done.end, End::Exit(2));
    let error = done.error_text();
    assert!(error.contains(&*text.to_string_lossy()) && error.contains("offset 0x"), "{error}");
    assert!(place.at("ia2-plans").exists(), "the others are planned");
    let done =
        run(Command::new(place.at("ia2")).args(["cache", "--output", "/nowhere/plans"]), LIMIT)
            .expect("ia2 starts");
    assert_eq!(done.end, End::Exit(2));
    assert!(done.error_text().contains("/nowhere/plans"), "{}", done.error_text());
}
