//! The measuring process: one row, one call, batches on demand.
//!
//! It is the same program started again with [`ARGUMENT`]. After a line that says it is ready it
//! reads one byte per batch and answers with one [`Batch`]. Nothing but the measured call and two
//! readings of the clock (vDSO, no system call) happens between the start and the end of a chunk.
//!
//! # Safety
//!
//! Only two calls of libc that take plain values.
#![allow(unsafe_code, reason = "sched_setaffinity and setpriority")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::Instant;

use crate::floor;
use crate::row::Row;
use crate::site::{CALLS_PER_CHUNK, Call, Prepared};

/// First argument that makes the program a worker.
pub(crate) const ARGUMENT: &str = "--worker";

/// Timed chunks in one batch; one more, untimed, goes before them to warm the caches again.
pub(crate) const CHUNKS_PER_BATCH: usize = 4;

/// What a worker answers to one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Nanoseconds of each chunk.
    pub(crate) chunks: [u32; CHUNKS_PER_BATCH],
    /// SIGSYS arrivals in the worker's own handler during the timed chunks.
    pub(crate) own_traps: u32,
    /// 1 if the measured instruction has been replaced.
    pub(crate) patched: u32,
}

/// Bytes of a [`Batch`] on the pipe.
const WORDS: usize = CHUNKS_PER_BATCH + 2;

impl Batch {
    fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let words = self.chunks.iter().chain([&self.own_traps, &self.patched]);
        let bytes: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        to.write_all(&bytes)?;
        to.flush()
    }

    /// Reads one batch as [`Batch::write`] wrote it.
    pub(crate) fn read(from: &mut impl Read) -> std::io::Result<Self> {
        let mut bytes = [0; 4 * WORDS];
        from.read_exact(&mut bytes)?;
        let mut words = [0; WORDS];
        for (word, four) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*four);
        }
        let [chunks @ .., own_traps, patched] = words;
        Ok(Self { chunks, own_traps, patched })
    }
}

/// Runs the worker `--worker ROW CALL` until its input ends.
pub(crate) fn main(args: &[String]) -> Result<(), String> {
    let [row, call] = args else { return Err(format!("{ARGUMENT} wants ROW CALL")) };
    let row = Row::from_name(row).ok_or(format!("no row {row}"))?;
    let call = Call::from_name(call).ok_or(format!("no call {call}"))?;
    let zero = File::open("/dev/zero").map_err(|e| format!("/dev/zero: {e}"))?;
    let prepared = Prepared::new(call, zero.as_raw_fd());
    floor::install(row, call)?;
    serve(call, &prepared).map_err(|e| format!("pipe: {e}"))
}

fn serve(call: Call, prepared: &Prepared) -> std::io::Result<()> {
    let mut requests = std::io::stdin().lock();
    let mut answers = std::io::stdout().lock();
    let mut request = [0];
    loop {
        if requests.read(&mut request)? == 0 {
            return Ok(());
        }
        if !prepared.answers_right() {
            return Err(std::io::Error::other(format!("wrong answer from {}", call.name())));
        }
        prepared.chunk();
        prepared.clean_up();
        let traps_before = floor::traps();
        let mut chunks = [0; CHUNKS_PER_BATCH];
        for chunk in &mut chunks {
            let start = Instant::now();
            prepared.chunk();
            *chunk = u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX);
            prepared.clean_up();
        }
        let own_traps = floor::traps() - traps_before;
        Batch { chunks, own_traps, patched: u32::from(call.is_patched()) }.write(&mut answers)?;
    }
}

/// Own traps that a batch of `row` must report.
pub(crate) fn expected_own_traps(row: Row) -> u32 {
    row.own_traps_per_call() * CALLS_PER_CHUNK * CHUNKS_PER_BATCH as u32
}

/// Keeps this process, and all it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), String> {
    let mut set = [0_u64; 16];
    match set.get_mut(cpu / 64) {
        Some(word) => *word = 1 << (cpu % 64),
        None => return Err(format!("--cpu {cpu}: too large")),
    }
    // SAFETY: the kernel reads `size_of_val(&set)` bytes of `set`, which is a plain bit set.
    let status = unsafe { libc::sched_setaffinity(0, size_of_val(&set), set.as_ptr().cast()) };
    if status == 0 {
        Ok(())
    } else {
        Err(format!("--cpu {cpu}: {}", std::io::Error::last_os_error()))
    }
}

/// Asks for precedence over other work on this CPU. Without the right to it, ratios are the same
/// and only the quiet quarter of the chunks is harder to get, so a refusal is no error.
pub(crate) fn ask_for_priority() {
    // SAFETY: takes plain numbers and changes an attribute of this process only.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_survives_the_pipe() {
        let batch = Batch { chunks: [1, 70_000, u32::MAX, 4], own_traps: 2000, patched: 1 };
        let mut pipe = Vec::new();
        batch.write(&mut pipe).expect("writing to memory works");
        assert_eq!(Batch::read(&mut pipe.as_slice()).expect("the batch is complete"), batch);
    }

    #[test]
    fn half_a_batch_is_an_error() {
        assert!(Batch::read(&mut [0_u8; 7].as_slice()).is_err());
    }
}
