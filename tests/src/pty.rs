//! A program on a terminal of its own, and somebody who types.

#![allow(unsafe_code, reason = "the ioctls of terminals and setsid have no safe form in std")]

use crate::machine::deadline;
use crate::run::{End, as_from_a_terminal, interest, poll, tail, wait};
use core::time::Duration;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Instant;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A session leader with a controlling terminal. Dropping it hangs up.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    /// The other side of the terminal.
    master: File,
    /// Everything that was printed.
    seen: String,
    /// How much of it was expected.
    at: usize,
}

/// 0, or what went wrong.
fn checked(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

impl Terminal {
    /// Starts `command` as the leader of a new session on a new terminal.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let both = || OpenOptions::new().read(true).write(true).clone();
        let master = both().custom_flags(libc::O_NOCTTY).open("/dev/ptmx")?;
        let (unlocked, mut number): (libc::c_int, libc::c_uint) = (0, 0);
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: each of these reads or writes the one value that is given to it.
        unsafe {
            checked(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlocked))?;
            checked(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &mut number))?;
            checked(libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &size))?;
        }
        let slave = both().custom_flags(libc::O_NOCTTY).open(format!("/dev/pts/{number}"))?;
        command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        // SAFETY: both calls are async-signal-safe and touch no memory.
        unsafe {
            command.pre_exec(|| {
                checked(libc::setsid())?;
                checked(libc::ioctl(0, libc::TIOCSCTTY, 0))
            });
        }
        // The command is dropped here, and with it this process's descriptors of the slave.
        as_from_a_terminal();
        Ok(Self { child: command.spawn()?, master, seen: String::new(), at: 0 })
    }

    /// Types something: what is a control character in it, the terminal makes a signal.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.master.write_all(text.as_bytes())
    }

    /// Waits until another process group than the first one reads the terminal: a job of the shell,
    /// which gets the signals then.
    pub fn expect_job(&mut self) -> Result<(), String> {
        let deadline = deadline(LIMIT);
        let mut group: libc::pid_t = 0;
        while group == 0 || group as u32 == self.child.id() {
            if Instant::now() > deadline {
                return Err(format!("no job is in the foreground after: {}", tail(&self.seen)));
            }
            std::thread::yield_now();
            // SAFETY: the call writes the one value that is given to it.
            checked(unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCGPGRP, &mut group) })
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Reads what there is to read; false if nobody has the terminal open any more.
    fn read(&mut self, deadline: Instant) -> Result<bool, String> {
        if !poll(&mut [interest(Some(&self.master))], deadline).map_err(|e| e.to_string())? {
            return Err(format!("it does not go on after: {}", tail(&self.seen)));
        }
        let mut bytes = [0; 4096];
        match self.master.read(&mut bytes) {
            Ok(length) => {
                // What is typed and printed here is ASCII.
                self.seen += &String::from_utf8_lossy(&bytes[..length]);
                Ok(length > 0)
            }
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits until `text` is printed, after what was expected before.
    pub fn expect(&mut self, text: &str) -> Result<(), String> {
        let deadline = deadline(LIMIT);
        loop {
            if let Some(found) = self.seen[self.at..].find(text) {
                self.at += found + text.len();
                return Ok(());
            }
            if !self.read(deadline)? {
                return Err(format!("it ended without {text:?}: {}", tail(&self.seen)));
            }
        }
    }

    /// Waits for its end. Everything that was typed and printed, and how it ended.
    pub fn finish(mut self) -> Result<(String, End), String> {
        let deadline = deadline(LIMIT);
        while self.read(deadline)? {}
        let end = wait(&mut self.child, LIMIT).map_err(|e| e.to_string())?;
        Ok((core::mem::take(&mut self.seen).replace("\r\n", "\n"), end))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing happens to one that has ended. Its jobs are told by the terminal, which closes.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
