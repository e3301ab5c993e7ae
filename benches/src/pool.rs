//! All measuring processes at once: start, check, alternate.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::row::{OWN_VARIABLES, Row};
use crate::site::Call;
use crate::worker::{self, Batch};

/// How much to measure.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// How often all processes are started anew: each start has its own address-space layout, and
    /// a layout can cost or save a nanosecond for the whole life of a process.
    pub(crate) generations: usize,
    /// Batches per process.
    pub(crate) rounds: usize,
}

/// Chunk times of one row and call, one list per generation.
pub(crate) struct Samples {
    /// The row.
    pub(crate) row: Row,
    /// The call.
    pub(crate) call: Call,
    /// Nanoseconds per chunk.
    pub(crate) generations: Vec<Vec<u32>>,
}

/// Measures every call in every row; without `lib`, only the rows that do not need it.
pub(crate) fn measure(plan: Plan, cpu: usize, lib: Option<&Path>) -> Result<Vec<Samples>, String> {
    let mut all = Vec::new();
    for call in Call::ALL {
        for row in Row::ALL {
            if call.is_in(row) && (lib.is_some() || row.shim_environment().is_none()) {
                all.push(Samples { row, call, generations: Vec::new() });
            }
        }
    }
    let show_progress = std::io::stderr().is_terminal();
    for generation in 0..plan.generations {
        if show_progress {
            eprint!("\rcalls: generation {} of {} on cpu {cpu} ", generation + 1, plan.generations);
        }
        measure_generation(plan, lib, &mut all)?;
    }
    if show_progress {
        eprintln!();
    }
    Ok(all)
}

fn measure_generation(plan: Plan, lib: Option<&Path>, all: &mut [Samples]) -> Result<(), String> {
    let mut workers = Vec::new();
    for samples in all.iter_mut() {
        samples.generations.push(Vec::new());
        let mut worker = Worker::start(samples.row, samples.call, lib)?;
        worker.batch()?; // the first call of a site may be the one that gets it patched
        worker.check_filter()?;
        workers.push(worker);
    }
    for round in 0..plan.rounds {
        let mut turns: Vec<_> = workers.iter_mut().zip(all.iter_mut()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (worker, samples) in turns {
            let batch = worker.batch()?;
            worker.check_batch(&batch)?;
            if let Some(list) = samples.generations.last_mut() {
                list.extend(batch.chunks);
            }
        }
    }
    workers.into_iter().try_for_each(Worker::stop)
}

/// A command with the environment that `row` says and nothing of ours besides.
pub(crate) fn command(program: &Path, row: Row, lib: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    for name in OWN_VARIABLES {
        command.env_remove(name);
    }
    if let (Some(environment), Some(lib)) = (row.shim_environment(), lib) {
        command.env("LD_PRELOAD", lib);
        command.envs(environment.iter().copied());
    }
    command
}

struct Worker {
    row: Row,
    call: Call,
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
}

impl Worker {
    fn start(row: Row, call: Call, lib: Option<&Path>) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
        let mut child = command(&program, row, lib)
            .args([worker::ARGUMENT, row.name(), call.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(requests), Some(answers)) => Ok(Self { row, call, child, requests, answers }),
            _ => Err("no pipes to the worker".to_owned()),
        }
    }

    fn batch(&mut self) -> Result<Batch, String> {
        let answer = match self.requests.write_all(b"b") {
            Ok(()) => Batch::read(&mut self.answers),
            Err(error) => Err(error),
        };
        answer.map_err(|error| {
            let status = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
            self.wrong(&format!("the worker ended ({status}; {error})"))
        })
    }

    /// A row is worth nothing if the process is not in the state the row claims.
    fn check_filter(&self) -> Result<(), String> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let filtered = field(&status, "Seccomp:") == Some("2");
        match (filtered, self.row.has_seccomp()) {
            (true, false) => Err(self.wrong("a seccomp filter is on that should not be")),
            (false, true) => Err(self.wrong("no seccomp filter is on")),
            _ => Ok(()),
        }
    }

    /// Own traps show two things beside the row's honesty: a clock that is a system call (reading
    /// it would be part of the number) traps in `address-filter`, and so does any stray call.
    fn check_batch(&self, batch: &Batch) -> Result<(), String> {
        if batch.own_traps != worker::expected_own_traps(self.row) {
            return Err(self.wrong(&format!("{} own traps in a batch", batch.own_traps)));
        }
        match (batch.patched != 0, self.row.is_patched()) {
            (true, false) => Err(self.wrong("the measured site was rewritten")),
            (false, true) => Err(self.wrong("the measured site was not rewritten")),
            _ => Ok(()),
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("row {}, call {}: {what}", self.row.name(), self.call.name())
    }

    fn stop(self) -> Result<(), String> {
        let Self { row, mut child, requests, .. } = self;
        drop(requests);
        let status = child.wait().map_err(|e| e.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("row {}: {status}", row.name())) }
    }
}

/// First word after `name` in a text of `Name: value` lines.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Seccomp_filters:\t3\nSeccomp:\t2\nVmHWM:\t   1234 kB\n";
        assert_eq!(field(status, "Seccomp:"), Some("2"));
        assert_eq!(field(status, "VmHWM:"), Some("1234"));
        assert_eq!(field(status, "VmRSS:"), None);
    }
}
