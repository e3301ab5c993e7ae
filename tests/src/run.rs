//! Running one process: output, exit status, time limit.

#![allow(unsafe_code, reason = "pidfd_open, poll, kill and wait have no safe form in std")]

use crate::machine::deadline;
use core::fmt;
use core::time::Duration;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::time::Instant;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Exit(i32),
    /// This signal killed it.
    Signal(i32),
    /// It was killed because its time was up.
    TimedOut,
}

impl End {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => unreachable!("a waited-for process has exited or was killed"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => write!(f, "killed at its time limit"),
        }
    }
}

/// What a process did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// Its process id.
    pub pid: u32,
}

impl Run {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The output, or what went wrong instead of exit 0.
    pub fn success(&self) -> Result<String, String> {
        match self.end {
            End::Exit(0) => Ok(self.text()),
            end => Err(format!("{end}; stderr: {}", tail(&self.error_text()))),
        }
    }

    /// Everything that can be compared: both outputs, and how it ended.
    #[must_use]
    pub fn transcript(&self) -> String {
        format!("{}\n--- stderr\n{}\n--- {}\n", self.text(), self.error_text(), self.end)
    }
}

/// How long a program may take that should be done in seconds.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Runs `command` to its end: its output, or what went wrong instead of exit 0.
pub fn output(command: &mut Command) -> Result<String, String> {
    run(command, LIMIT).map_err(|e| format!("{command:?}: {e}"))?.success()
}

/// The last lines of a long text.
#[must_use]
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Sends `signal` to `pid`, a child that was not waited for yet; to its whole group if `group`.
pub fn send(pid: u32, signal: i32, group: bool) {
    let pid = pid as i32;
    // SAFETY: kill has no memory effects; the pid is ours until it is waited for.
    unsafe { libc::kill(if group { -pid } else { pid }, signal) };
}

fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Waits until `child` has ended, or kills its group when `limit` is over.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<End> {
    wait_until(child, deadline(limit))
}

fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<End> {
    let fd = pidfd(child.id())?;
    if poll(&mut [interest(Some(&fd))], deadline)? {
        Ok(End::of(child.wait()?))
    } else {
        send(child.id(), libc::SIGKILL, true);
        child.wait()?;
        Ok(End::TimedOut)
    }
}

pub(crate) fn interest(fd: Option<&impl AsRawFd>) -> libc::pollfd {
    libc::pollfd { fd: fd.map_or(-1, AsRawFd::as_raw_fd), events: libc::POLLIN, revents: 0 }
}

/// Whether one of `fds` became ready before `deadline`.
pub(crate) fn poll(fds: &mut [libc::pollfd], deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // SAFETY: the slice is valid for its length.
        let ready = unsafe {
            libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, left.as_millis() as i32 + 1)
        };
        match ready {
            0 if Instant::now() >= deadline => return Ok(false),
            0 => {}
            1.. => return Ok(true),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// What is started from here on ignores no signal that a terminal sends, whoever started the tests: nohup
/// and the background of a script ignore some, and that is inherited.
pub(crate) fn as_from_a_terminal() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
            // SAFETY: the default action is no function.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    });
}

/// Starts `command` in a process group of its own, so that it can be ended with all it started, and
/// without core dumps.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    as_from_a_terminal();
    // SAFETY: setrlimit is async-signal-safe and touches only its argument.
    unsafe {
        command.pre_exec(|| {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            match libc::setrlimit(libc::RLIMIT_CORE, &none) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
    command.process_group(0).spawn()
}

/// Runs `command` to its end, or to its time limit; then it is killed with all it started.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Run> {
    let mut child =
        spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let pid = child.id();
    let mut pipes = [
        child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe))),
        child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe))),
    ];
    let mut texts = [Vec::new(), Vec::new()];
    let deadline = deadline(limit);
    let mut in_time = true;
    while in_time && pipes.iter().any(Option::is_some) {
        let mut fds = [interest(pipes[0].as_ref()), interest(pipes[1].as_ref())];
        in_time = poll(&mut fds, deadline)?;
        for (i, fd) in fds.iter().enumerate().filter(|(_, fd)| fd.revents != 0) {
            debug_assert!(fd.fd >= 0, "poll ignores negative descriptors");
            let mut bytes = [0; 65536];
            let pipe = pipes[i].as_mut().expect("only open pipes are polled");
            match pipe.read(&mut bytes)? {
                0 => pipes[i] = None,
                length => texts[i].extend_from_slice(&bytes[..length]),
            }
        }
    }
    let end = wait_until(&mut child, if in_time { deadline } else { Instant::now() })?;
    let [stdout, stderr] = texts;
    Ok(Run { stdout, stderr, end, pid })
}
