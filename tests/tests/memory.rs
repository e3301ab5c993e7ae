//! The map of memory that `memory` in a policy asks for: it says what the kernel says, whatever a program does.
//!
//! `IA2_MEMORY_ROUNDS` is how many calls each thread makes in the race.

use ia2_tests::artifacts::{ia2, shim, workspace};
use ia2_tests::run::{End, LIMIT, Run, output, run};
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A folder with a program and a policy in it.
struct Tried {
    folder: TempDir,
}

impl Tried {
    /// The C program of this name, and a policy that allows everything and asks for `memory`.
    fn new(source: &str, memory: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let text = format!("policy p version 1\nmode blocklist\ndefault allow\nmemory {memory}\n");
        fs::write(folder.path().join("p.ia2"), text).expect("it can be written");
        let source = workspace().join("tests/memory").join(source);
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-pthread", "-o"]).arg(folder.path().join("program")).arg(source);
        output(&mut gcc).expect("it compiles");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command in both ways, and gives what it said and its lines of statistics.
    fn run(&self, command: &[&str]) -> [(Run, Vec<Json>); 2] {
        let mut started = Command::new(ia2());
        let stats = self.path("started");
        started.args(["run", "-p"]).arg(self.path("p.ia2")).arg("--stats").arg(&stats);
        started.arg("--").args(command);
        let mut preloaded = Command::new(command[0]);
        preloaded.args(&command[1..]).env("LD_PRELOAD", shim());
        preloaded.env("IA2_POLICY", self.path("p.ia2")).env("IA2_STATS", self.path("preloaded"));
        [(started, stats), (preloaded, self.path("preloaded"))].map(|(mut command, stats)| {
            let _ = fs::remove_file(&stats);
            (run(&mut command, LIMIT).expect("it runs"), lines(&stats))
        })
    }
}

fn lines(stats: &Path) -> Vec<Json> {
    let text = fs::read_to_string(stats).expect("there are statistics");
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

/// The map and the kernel agree at the end of each process.
fn agree(lines: &[Json], processes: usize) {
    assert_eq!(lines.len(), processes, "{lines:?}");
    for line in lines {
        assert!(line["memory"]["regions"].as_u64() > Some(10), "{line}");
        assert_eq!(line["memory"]["wrong"], 0, "{line}");
    }
}

#[test]
fn threads_that_race_leave_what_the_map_says() {
    let rounds = std::env::var("IA2_MEMORY_ROUNDS").unwrap_or_else(|_| "500".to_owned());
    let tried = Tried::new("race.c", "map");
    let program = tried.path("program");
    let natively = run(Command::new(&program).arg(&rounds), LIMIT).expect("it runs");
    assert_eq!(natively.end, End::Exit(0), "{}", natively.error_text());
    for (run, lines) in tried.run(&[program.to_str().expect("it is UTF-8"), &rounds]) {
        assert_eq!(run.end, End::Exit(0), "{}", run.error_text());
        agree(&lines, 2);
    }
}

/// What of the shim's map is wrong is seen: a call that it does not know of changes memory.
#[test]
fn a_map_that_is_wrong_is_found() {
    let tried = Tried::new("unseen.c", "map");
    let program = tried.path("program");
    for (run, lines) in tried.run(&[program.to_str().expect("it is UTF-8")]) {
        assert_eq!(run.end, End::Exit(0), "{}", run.error_text());
        assert!(lines[0]["memory"]["wrong"].as_u64() >= Some(1), "{lines:?}");
    }
}

#[test]
fn programs_of_every_day_run_with_a_map() {
    let tried = Tried::new("race.c", "wx");
    for (command, said, processes) in [
        (&["/bin/sh", "-c", "/bin/echo a | /bin/cat; (echo b)"][..], "a\nb\n", 4),
        (&["/usr/bin/python3", "-c", "import threading, ssl, ctypes; print(6 * 7)"], "42\n", 1),
        (&["/usr/bin/perl", "-e", "print 6 * 7, qq(\\n)"], "42\n", 1),
    ] {
        for (run, lines) in tried.run(command) {
            assert_eq!(
                (run.end, run.text().as_str()),
                (End::Exit(0), said),
                "{}",
                run.error_text()
            );
            agree(&lines, processes);
        }
    }
}

/// With each backstop, rewritten and trapped: a call that only the map asks for is the shim's as well.
#[test]
fn every_entry_knows_of_the_map() {
    let tried = Tried::new("race.c", "map");
    for backstop in ["strict", "inspected", "sud", "none"] {
        for entry in [&[][..], &["--no-patch"]] {
            let stats = tried.path(&format!("{backstop}{}", entry.len()));
            let mut ia2 = Command::new(ia2());
            ia2.args(["run", "--backstop", backstop])
                .args(entry)
                .arg("-p")
                .arg(tried.path("p.ia2"));
            ia2.arg("--stats").arg(&stats).args(["--", "/bin/sh", "-c", "echo fine"]);
            let run = run(&mut ia2, LIMIT).expect("it runs");
            assert_eq!(run.text(), "fine\n", "{backstop} {entry:?}: {}", run.error_text());
            // Without a backstop, what is not rewritten nobody sees.
            if backstop != "none" || entry.is_empty() {
                agree(&lines(&stats), 1);
            }
        }
    }
}
