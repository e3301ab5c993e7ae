//! One system call of a program that makes nothing else, and what became of it. The program is
//! `tests/policy/probe.c`.

use crate::artifacts::{target, workspace};
use crate::run::output;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this.
    Returned(i64),
    /// It does not return, and sleeps.
    Waits,
    /// The process ended with this status.
    Exit(i32),
    /// The process died of this signal.
    Signal(i32),
}

/// The compiled program.
#[derive(Debug)]
pub struct Probe {
    program: PathBuf,
    /// Address of its result.
    result: u64,
}

impl Probe {
    /// Compiles it, once for a run of tests.
    ///
    /// # Panics
    /// If it does not compile.
    #[must_use]
    pub fn get() -> &'static Self {
        static BUILT: OnceLock<Probe> = OnceLock::new();
        BUILT.get_or_init(|| Self::build().expect("the probe compiles"))
    }

    fn build() -> Result<Self, String> {
        let folder = target().join("policy");
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let program = folder.join(format!("probe-{}", std::process::id()));
        let flags = ["-O1", "-static", "-no-pie", "-nostdlib", "-ffreestanding"];
        let source = workspace().join("tests/policy/probe.c");
        let mut gcc = Command::new("gcc");
        output(gcc.args(flags).arg("-fno-stack-protector").arg("-o").arg(&program).arg(source))?;
        let symbols = output(Command::new("nm").arg(&program))?;
        let line = symbols.lines().find(|line| line.ends_with(" probe_result"));
        let address = line.and_then(|line| line.split(' ').next()).ok_or("no symbol")?;
        let result = u64::from_str_radix(address, 16).map_err(|e| e.to_string())?;
        Ok(Self { program, result })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Has `command`, which must become the program in the same process, make the call.
    ///
    /// # Errors
    /// If it cannot be started or looked at.
    pub fn call(&self, mut command: Command, nr: u64, args: &[String]) -> io::Result<Outcome> {
        command.arg(nr.to_string()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // What it forks must end with it.
        let mut child = command.process_group(0).spawn()?;
        let outcome = self.watch(&mut child);
        // SAFETY: the group was made for this child, which has not been waited for, or is not there.
        unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
        let _ = child.wait();
        outcome
    }

    fn watch(&self, child: &mut Child) -> io::Result<Outcome> {
        let pid = child.id();
        let mut slept = 0;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(match status.signal() {
                    Some(signal) => Outcome::Signal(signal),
                    None => Outcome::Exit(status.code().unwrap_or(-1)),
                });
            }
            let mut bytes = [0; 16];
            let memory = File::open(format!("/proc/{pid}/mem"));
            if memory.and_then(|memory| memory.read_exact_at(&mut bytes, self.result)).is_ok() {
                let [made, result] = [0, 8].map(|at| {
                    bytes
                        .iter()
                        .skip(at)
                        .take(8)
                        .rev()
                        .fold(0, |all, byte| all << 8 | u64::from(*byte))
                });
                if made == 1 {
                    return Ok(Outcome::Returned(result.cast_signed()));
                }
                // The program is there, and its only call sleeps: seen often enough that it is not the
                // loader reading a file.
                slept = if is_asleep(pid) { slept + 1 } else { 0 };
                if slept > 200 {
                    return Ok(Outcome::Waits);
                }
            }
            std::thread::yield_now();
        }
    }
}

fn is_asleep(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}
