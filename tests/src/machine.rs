//! What the machine is: `IA2_TESTS_EMULATED=1` says that its processor is emulated (`scripts/vm`), where
//! starting a program takes a hundred times longer. What is tested there is less, and has more time.

use crate::way::{STRICT, WAYS, Way};
use core::time::Duration;
use std::time::Instant;

/// Whether the processor is emulated.
#[must_use]
pub fn is_emulated() -> bool {
    std::env::var_os("IA2_TESTS_EMULATED").is_some_and(|value| value == "1")
}

/// The ways in which the C programs are run here. Emulated, these are both entries: what the other
/// backstops do otherwise is not about the kernel's version.
#[must_use]
pub fn ways() -> Vec<(&'static str, Way)> {
    const BOTH_ENTRIES: [Way; 3] =
        [Way::Native, STRICT, Way::Preloaded { backstop: "strict", patch: false }];
    WAYS.into_iter().filter(|(_, way)| !is_emulated() || BOTH_ENTRIES.contains(way)).collect()
}

/// Of a long list of cases that each start a program, those that are tried here.
#[must_use]
pub fn cases<T: Copy>(all: &[T]) -> Vec<T> {
    all.iter().copied().step_by(if is_emulated() { 29 } else { 1 }).collect()
}

/// When `limit` is over, which protects against what hangs and says nothing about speed.
#[must_use]
pub fn deadline(limit: Duration) -> Instant {
    Instant::now() + limit * if is_emulated() { 20 } else { 1 }
}
