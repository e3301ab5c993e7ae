//! A server that a test starts and stops.

use crate::run::{End, send, spawn, wait};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
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
        let deadline = Instant::now() + Duration::from_secs(30);
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
    pub fn stop(mut self) -> io::Result<End> {
        let Some(mut child) = self.child.take() else { return Ok(End::TimedOut) };
        send(child.id(), libc::SIGTERM, false);
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
