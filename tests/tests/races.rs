//! Races for what a policy judges: one thread makes a call, another rewrites the call's path, turns a link in
//! it, or changes its flags, between what is allowed and what is refused. None may be won under the shim.
//!
//! Each is run natively first, where `tests/races/race.c` judges its own calls as a monitor would that keeps no
//! copy: there it must be won, or it proves nothing. One test per call, change and way, one after the other, for a
//! race needs two processors. `IA2_RACES_ROUNDS` (`make races`) makes it long.

use core::time::Duration;
use ia2_tests::artifacts::{ia2, target, workspace};
use ia2_tests::attack::{Entry, Stage, User, WAYS, Way};
use ia2_tests::c_program::compile;
use ia2_tests::run::{LIMIT, output, run};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// Against hangs only: the machine may be slow, and busy.
const HANGS: Duration = Duration::from_secs(24 * 3600);

/// Rounds of the short form.
const SHORT: u64 = 20_000;

/// Of execve a fifth of the rounds: one that is allowed starts a program, which takes as long as dozens of opens.
const EXECUTES: u64 = 5;

/// The control, and both entries, rewritten and trapped.
const RUN_IN: [&str; 4] = ["control", "preloaded", "preloaded-trapped", "run"];

/// What is claimed of a race under the shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It is never won.
    Held,
    /// It is won. It is run until it is, so that this is not said for longer than it is so.
    Open,
}
use Claim::{Held, Open};

/// A folder and a link take each other's place. Rename is made with the name that was judged, but follows links in it.
const FOLDERS_OF_RENAME: Claim = Open;

/// A call, what changes in it, and what is claimed. `rename-to` is rename(2) with the other path changing. A link at
/// the end of a path of rename is not followed, so there is nothing to turn.
#[rustfmt::skip]
const RACES: [(&str, &str, Claim); 33] = [
    ("open", "letter", Held),
    ("open", "length", Held),
    ("open", "last-link", Held),
    ("open", "dangling-link", Held),
    ("open", "middle-link", Held),
    ("open", "folder-or-link", Held),
    ("openat", "letter", Held),
    ("openat", "length", Held),
    ("openat", "last-link", Held),
    ("openat", "dangling-link", Held),
    ("openat", "middle-link", Held),
    ("openat", "folder-or-link", Held),
    ("openat2", "letter", Held),
    ("openat2", "length", Held),
    ("openat2", "flags", Held),
    ("openat2", "last-link", Held),
    ("openat2", "dangling-link", Held),
    ("openat2", "middle-link", Held),
    ("openat2", "folder-or-link", Held),
    ("execve", "letter", Held),
    ("execve", "length", Held),
    ("execve", "last-link", Held),
    ("execve", "dangling-link", Held),
    ("execve", "middle-link", Held),
    ("execve", "folder-or-link", Held),
    ("rename", "letter", Held),
    ("rename", "length", Held),
    ("rename", "middle-link", Held),
    ("rename", "folder-or-link", FOLDERS_OF_RENAME),
    ("rename-to", "letter", Held),
    ("rename-to", "length", Held),
    ("rename-to", "middle-link", Held),
    ("rename-to", "folder-or-link", FOLDERS_OF_RENAME),
];

/// How often each outcome was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    rounds: u64,
    refused: u64,
    allowed: u64,
    won: u64,
}

impl Counts {
    /// Reads `rounds N refused N allowed N won N turns N`.
    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["rounds", rounds, "refused", refused, "allowed", allowed, "won", won, "turns", _] => {
                Some(Self {
                    rounds: rounds.parse().ok()?,
                    refused: refused.parse().ok()?,
                    allowed: allowed.parse().ok()?,
                    won: won.parse().ok()?,
                })
            }
            _ => None,
        }
    }

    /// What is wrong with these; `claim` is none for the control.
    fn judge(self, claim: Option<Claim>, wanted: u64) -> Result<(), String> {
        let all = self.refused.checked_add(self.allowed).and_then(|sum| sum.checked_add(self.won));
        if all != Some(self.rounds) {
            return Err("a round has one outcome".to_owned());
        }
        match claim {
            Some(Open) if self.won > 0 => Ok(()),
            Some(Open) => Err("it is said to be open, and was not won".to_owned()),
            _ if self.rounds != wanted => Err(format!("not {wanted} rounds")),
            _ if self.refused == 0 || self.allowed == 0 => Err("there was no race".to_owned()),
            None if self.won == 0 => Err("the control cannot win: this proves nothing".to_owned()),
            Some(Held) if self.won > 0 => Err("IT WAS WON".to_owned()),
            None | Some(Held) => Ok(()),
        }
    }
}

/// What every race needs, made once.
struct Ground {
    stage: Stage,
    programs: Result<Programs, String>,
}

struct Programs {
    race: PathBuf,
    allowed: PathBuf,
    refused: PathBuf,
}

impl Programs {
    /// Compiles them. The numbers are those of race.c.
    fn compiled() -> Result<Self, String> {
        let (sources, folder) = (workspace().join("tests/races"), target().join("races"));
        let ends = |name: &str, status: &str| {
            let program = folder.join(name);
            let flags = ["-nostdlib", "-static", status];
            compile("gcc", &sources.join("ends.c"), &program, &flags).map(|()| program)
        };
        let race = folder.join("race");
        compile("gcc", &sources.join("race.c"), &race, &[])?;
        let (allowed, refused) = (ends("allowed", "-DSTATUS=10")?, ends("refused", "-DSTATUS=20")?);
        Ok(Self { race, allowed, refused })
    }

    /// The folder that race.c describes.
    fn folder(&self) -> Result<TempDir, String> {
        let folder = TempDir::with_prefix("ia2-races-").map_err(|e| e.to_string())?;
        for name in ["a", "r", "ro", "links"] {
            fs::create_dir(folder.path().join(name)).map_err(|e| format!("{name}: {e}"))?;
        }
        let (allowed, refused) = (&self.allowed, &self.refused);
        for (program, names) in [
            (allowed, &["a/file", "cut", "ro/file", "source"][..]),
            (refused, &["r/file", "cut.r"]),
        ] {
            for name in names {
                // By another process: one that is started meanwhile would hold the copy open for writing.
                output(Command::new("cp").arg(program).arg(folder.path().join(name)))?;
            }
        }
        Ok(folder)
    }
}

/// The policy, as a file in `folder`. Other calls than the race's are free, so that the links turn fast.
fn policy(folder: &Path) -> Result<PathBuf, String> {
    let at = folder.canonicalize().map_err(|e| e.to_string())?;
    let at = at.to_str().ok_or("a path is not UTF-8")?;
    let text = format!(
        r#"policy race version 1
mode blocklist
default allow
unknown errno ENOSYS
files rw "/" except "{at}/r", "{at}/cut.r", "{at}/ro"
files rx "/" except "{at}/r", "{at}/cut.r", "{at}/ro"
files ro "{at}/ro"
open, openat, openat2, execve : path in files else errno EACCES
rename : oldpath in files && newpath in files else errno EACCES
"#
    );
    let file = folder.join("race.ia2");
    fs::write(&file, text).map_err(|e| e.to_string())?;
    Ok(file)
}

impl Ground {
    fn race(
        &self,
        (call, change, claim): (&str, &str, Claim),
        way: Way,
        rounds: u64,
    ) -> Result<(), String> {
        let programs = self.programs.as_ref().map_err(String::clone)?;
        let folder = programs.folder()?;
        let policy = policy(folder.path())?;
        let policy = policy.to_str().ok_or("a path is not UTF-8")?;
        let mut command = self.stage.command(&programs.race, User::Root, way, policy);
        let claim = (way.entry != Entry::Native).then_some(claim);
        let judge = if claim.is_none() { "itself" } else { "policy" };
        command.current_dir(folder.path()).args([call, change, judge, &rounds.to_string()]);
        if claim == Some(Open) {
            command.arg("first");
        }
        let run = run(&mut command, HANGS).map_err(|e| format!("{command:?}: {e}"))?;
        let text = run.success().map_err(|e| format!("{e}{}", run.text()))?;
        let mut lines = text.lines();
        let line = lines.next().unwrap_or("");
        println!("{line}");
        let counts = Counts::read(line).ok_or_else(|| format!("it says {text}"))?;
        if (lines.next(), lines.next()) != (Some("EXIT-SUCCESS"), None) || !run.stderr.is_empty() {
            return Err(format!("it says {text}{}", run.error_text()));
        }
        counts.judge(claim, rounds).map_err(|wrong| format!("{wrong}: {line}"))
    }
}

/// Rounds of a race, and what to give `make races` for them.
fn rounds(call: &str) -> (u64, u64) {
    let wanted = match std::env::var("IA2_RACES_ROUNDS") {
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|e| panic!("IA2_RACES_ROUNDS={text}: {e}"))
        }
        _ => SHORT,
    };
    (if call == "execve" { wanted.div_ceil(EXECUTES) } else { wanted }, wanted)
}

/// The control of the runner: counts that are not what is claimed.
fn a_wrong_claim_is_found() -> Result<(), Failed> {
    let counts =
        |refused, allowed, won| Counts { rounds: refused + allowed + won, refused, allowed, won };
    for (claim, counts, wanted) in [
        (Some(Held), counts(5, 5, 0), true),
        (Some(Held), counts(5, 4, 1), false),
        (Some(Held), counts(10, 0, 0), false),
        (Some(Held), counts(0, 10, 0), false),
        (Some(Held), counts(5, 4, 0), false),
        (Some(Held), Counts { rounds: 10, ..counts(5, 4, 0) }, false),
        (Some(Open), counts(0, 0, 1), true),
        (Some(Open), counts(5, 5, 0), false),
        (None, counts(5, 4, 1), true),
        (None, counts(5, 5, 0), false),
        (None, counts(0, 5, 5), false),
    ] {
        if counts.judge(claim, 10).is_ok() != wanted {
            return Err(format!("{claim:?} with {counts:?}").into());
        }
    }
    Ok(())
}

const CONNECT: &str = r#"policy connect version 1
mode blocklist
default allow
unknown errno ENOSYS
connect : addr in "/run" else errno EACCES
"#;

/// Why there is no race for the bytes of a socket's address: no rule can be about them.
fn connect_has_no_path() -> Result<(), Failed> {
    let folder = TempDir::with_prefix("ia2-races-")?;
    let file = folder.path().join("connect.ia2");
    fs::write(&file, CONNECT)?;
    let run = run(Command::new(ia2()).arg("check").arg(&file), LIMIT)?;
    let told = run.text() + &run.error_text();
    match told.contains("error[E0308]: `addr` of `connect` is not a path") {
        true => Ok(()),
        false => {
            Err(format!("if connect can be judged by its address, it needs a race: {told}").into())
        }
    }
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut trials = vec![
        Trial::test("a_wrong_claim_is_found", a_wrong_claim_is_found),
        Trial::test("connect_has_no_path", connect_has_no_path),
    ];
    let ground = Arc::new(Ground { stage: Stage::default(), programs: Programs::compiled() });
    for race in RACES {
        for way in WAYS.into_iter().filter(|way| RUN_IN.contains(&way.name)) {
            let (call, change, _) = race;
            let title = format!("{call}::{change}::{}", way.name);
            let (rounds, wanted) = rounds(call);
            let again = format!("\nagain: make races ROUNDS={wanted} ONLY={title}");
            let ground = Arc::clone(&ground);
            trials.push(Trial::test(title, move || {
                ground.race(race, way, rounds).map_err(|wrong| Failed::from(wrong + &again))
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(ground); // `exit` drops nothing
    conclusion.exit();
}
