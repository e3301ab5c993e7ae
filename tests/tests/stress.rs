//! The programs of `stress`: random state and storms of signals, natively and under the shim.
//!
//! Without more words a short form with a fixed seed, natively and with both entries. With
//! `IA2_STRESS_SEED` (`make stress`) the long form, in all ways but `none`.

use core::time::Duration;
use ia2_tests::artifacts::{archive, target, workspace};
use ia2_tests::c_program::{compile, compiler, difference};
use ia2_tests::run::{End, Run, run, tail};
use ia2_tests::way::{STRICT, Session, WAYS, Way};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Against hangs only: the machine may be slow, and busy.
const LIMIT: Duration = Duration::from_secs(3600);

const UNPATCHED: Way = Way::Preloaded { backstop: "strict", patch: false };

/// How programs are run.
#[derive(Clone, Copy)]
struct Form {
    seed: u64,
    /// If not what the file says.
    rounds: Option<u64>,
    long: bool,
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|e| panic!("{variable}={text}: {e}")))
}

impl Form {
    fn wanted() -> Self {
        let seed = number("IA2_STRESS_SEED");
        Self { seed: seed.unwrap_or(1), rounds: number("IA2_STRESS_ROUNDS"), long: seed.is_some() }
    }

    fn wants(self, libc: &str, way: Way) -> bool {
        let entries = [Way::Native, STRICT, UNPATCHED].contains(&way);
        // Without a backstop, what a site that cannot be rewritten asks the kernel is not answered by
        // the shim, and these programs compare the answers.
        if matches!(way, Way::Preloaded { backstop: "none", .. }) {
            return false;
        }
        match libc {
            "glibc" => self.long || entries,
            _ => self.long && entries,
        }
    }
}

/// One program, compiled with one C library.
struct Program {
    name: String,
    libc: &'static str,
    seed: u64,
    rounds: u64,
    native: OnceLock<Result<Run, String>>,
}

fn sources() -> PathBuf {
    workspace().join("stress")
}

/// The rounds of the short and of the long form.
fn rounds(name: &str, text: &str) -> (u64, u64) {
    let line = text.lines().find_map(|line| line.strip_prefix("//#Rounds: "));
    let both: Vec<u64> =
        line.unwrap_or("").split(' ').filter_map(|word| word.parse().ok()).collect();
    match both[..] {
        [short, long] => (short, long),
        _ => panic!("{name}: no line of rounds"),
    }
}

fn programs(form: Form) -> Vec<Program> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(sources()).expect("stress can be read") {
        let path = entry.expect("stress can be read").path();
        if path.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a program can be read");
        let (short, long) = rounds(&name, &text);
        let rounds = form.rounds.unwrap_or(if form.long { long } else { short });
        for libc in ["glibc", "musl"] {
            let (name, native) = (name.clone(), OnceLock::new());
            found.push(Program { name, libc, seed: form.seed, rounds, native });
        }
    }
    found.sort_by(|a, b| (&a.name, a.libc).cmp(&(&b.name, b.libc)));
    found
}

impl Program {
    fn compiled(&self, linked: bool) -> Result<PathBuf, String> {
        let folder = target().join("stress").join(if linked { "linked" } else { self.libc });
        let output = folder.join(&self.name);
        let (harness, archive) = (workspace().join("c-tests/harness.h"), archive());
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("a path is not UTF-8");
        let (harness, archive) = (text(&harness)?, text(&archive)?);
        let mut flags = vec!["-include", &harness];
        if linked {
            flags.extend(["-static", &archive]);
        }
        let source = sources().join(format!("{}.c", self.name));
        compile(compiler(self.libc), &source, &output, &flags)?;
        Ok(output)
    }

    fn run(&self, way: Way) -> Result<(Session, Run), String> {
        let program = self.compiled(way == Way::Linked)?;
        let session = Session::new(way);
        let mut command = session.command(&program);
        command.args([self.seed.to_string(), self.rounds.to_string()]);
        let run = run(&mut command, LIMIT).map_err(|e| format!("{}: {e}", program.display()))?;
        Ok((session, run))
    }

    fn native(&self) -> Result<&Run, String> {
        let result = self.native.get_or_init(|| {
            let (_, run) = self.run(Way::Native)?;
            match run.end == End::Exit(0) && run.stdout.ends_with(b"EXIT-SUCCESS\n") {
                true => Ok(run),
                false => Err(format!("natively: {}: {}", run.end, tail(&run.text()))),
            }
        });
        result.as_ref().map_err(String::clone)
    }

    fn test(&self, way: Way) -> Result<(), String> {
        let native = self.native()?;
        if way == Way::Native {
            return Ok(());
        }
        let (session, run) = self.run(way)?;
        let errors = tail(&run.error_text());
        if run.end != native.end {
            return Err(format!("{}: {}{errors}", run.end, tail(&run.text())));
        }
        if run.stdout != native.stdout {
            return Err(difference(&native.stdout, &run.stdout));
        }
        if !errors.is_empty() {
            return Err(format!("stderr: {errors}"));
        }
        session.check(&run, None)
    }
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let form = Form::wanted();
    let mut trials = Vec::new();
    for program in programs(form) {
        let program = Arc::new(program);
        for (way_name, way) in WAYS.into_iter().filter(|(_, way)| form.wants(program.libc, *way)) {
            let title = format!("{}::{}::{way_name}", program.name, program.libc);
            let program = Arc::clone(&program);
            let (seed, rounds) = (program.seed, program.rounds);
            let again = format!("\nagain: make stress SEED={seed} ROUNDS={rounds} ONLY={title}");
            trials.push(Trial::test(title, move || {
                program.test(way).map_err(|wrong| Failed::from(wrong + &again))
            }));
        }
    }
    if form.long {
        println!("seed {}", form.seed);
    }
    libtest_mimic::run(&arguments, trials).exit();
}
