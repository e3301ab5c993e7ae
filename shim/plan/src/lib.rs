//! From the bytes of an ELF object to the plan that rewrites its `SYSCALL` instructions.
//!
//! Pure: bytes in, values out. Nothing here reads a file, maps memory or writes code; whoever does
//! that (the start-up code, the `ia2` command line, a test) hands in an [`image::Image`] and gets a
//! [`plan::ObjectPlan`], and asks [`stub`] for the bytes to write. The input may be anything, also
//! hostile: no function here panics, and every loop is bounded by the size of the input.
//!
//! | file | noun |
//! |---|---|
//! | `image` | an ELF object as segments, from a file or from memory |
//! | `insn` | one x86-64 instruction: its length, where it goes, whether it can run elsewhere |
//! | `quick` | the length of a common instruction |
//! | `scan` | searching text for the pair `0f 05`; sets of addresses |
//! | `unwind` | `.eh_frame`: function bounds, signal frames, landing pads |
//! | `func` | which function holds an address |
//! | `body` | one decoded function: boundaries, branch targets, jump tables |
//! | `plan` | sites, their forms, and the reasons for leaving one alone |
//! | `planner` | an object being planned, function by function |
//! | `forms` | whether a form fits a site |
//! | `claims` | what a plan relies on in other functions |
//! | `stub` | the bytes of a stub, and of the jump to it |
//! | `report` | counting a plan, and printing the counts |
//! | `cache` | plans that were made before |
//!
//! # The decoder is our own
//!
//! `insn` decodes what planning needs to know (length, control flow, RIP-relative operand) and
//! nothing else. A general decoder was measured first: building its tables at first use and
//! decoding the functions that hold a site took longer than the whole start-up budget, most of it
//! before the first instruction. iced-x86 stays as the oracle of the tests, which compare every
//! instruction of whole libraries, and as the disassembler of `ia2 sites --list`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unreachable,
        clippy::todo
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod body;
pub mod cache;
mod claims;
mod forms;
mod func;
pub mod image;
pub mod insn;
pub mod plan;
mod planner;
mod quick;
mod read;
pub mod report;
pub mod scan;
pub mod stub;
mod unwind;
