//! A server that a test starts and stops.

use crate::machine::deadline;
use crate::run::{End, output, send, spawn, wait};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A loopback port that was free a moment ago.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// What a server answers to a plain GET, without the headers that differ from run to run.
pub fn fetch(port: u16, path: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    let varies = ["Date:", "Last-Modified:", "ETag:"];
    let lines = answer.lines().filter(|line| !varies.iter().any(|name| line.starts_with(name)));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// How many requests wrk gets answered in some seconds; an error if one of them goes wrong.
pub fn wrk(port: u16, path: &str, seconds: u32) -> Result<u64, String> {
    let (time, url) = (format!("-d{seconds}s"), format!("http://127.0.0.1:{port}{path}"));
    let report = output(Command::new("wrk").args(["-t1", "-c16", &time, &url]))?;
    if report.contains("Non-2xx") || report.contains("Socket errors") {
        return Err(report);
    }
    let line = report.lines().find(|line| line.contains(" requests in "));
    let count = line.and_then(|line| line.split_whitespace().next());
    count.and_then(|count| count.parse().ok()).ok_or(report)
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    pid: u32,
}

impl Server {
    /// Starts `command` and waits until it accepts connections on `port`.
    pub fn start(command: &mut Command, port: u16) -> Result<Self, String> {
        let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::null()))
            .map_err(|e| format!("{command:?}: {e}"))?;
        let mut server = Self { pid: child.id(), child: Some(child) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = deadline(Duration::from_secs(30));
        loop {
            match TcpStream::connect(address) {
                Ok(_) => return Ok(server),
                Err(_) if Instant::now() < deadline => {}
                Err(error) => return Err(format!("the server does not listen: {error}")),
            }
            // The wait is for the server's end, which would be an answer too.
            let child = server.child.as_mut().expect("not stopped yet");
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                server.child = None;
                return Err(format!("the server ended by itself: {status}"));
            }
            std::thread::yield_now();
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks it to end by SIGTERM and says how it did.
    pub fn stop(self) -> io::Result<End> {
        send(self.pid, libc::SIGTERM, false);
        self.end()
    }

    /// Waits for its end, which somebody has asked it for.
    pub fn end(mut self) -> io::Result<End> {
        let Some(mut child) = self.child.take() else { return Ok(End::TimedOut) };
        wait(&mut child, Duration::from_secs(20))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            send(child.id(), libc::SIGKILL, true);
            // It is gone either way; there is nobody to tell.
            let _ = child.wait();
        }
    }
}
