//! The harness: it builds and finds the artifacts, compiles C programs, runs programs natively and
//! under the shim, and reads the statistics that a process leaves.
//!
//! Everything is judged from outside, by what a process prints, how it ends and what it writes to
//! `IA2_STATS`; nothing here links the shim.

pub mod artifacts;
pub mod attack;
pub mod c_program;
pub mod kernel;
pub mod machine;
pub mod probe;
pub mod pty;
pub mod run;
pub mod server;
pub mod stats;
pub mod way;
