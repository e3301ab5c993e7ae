//! The policy language: from text to what the kernel and the shim run.
//!
//! ```text
//! text ── lex ─ parse ──► ast ── check ──► Policy ── compile ──► Blob (ia2_core::blob)
//!            │                    │           │          │
//!            └── Diagnostic ◄─────┘        eval ◄─ verify ┘
//! ```
//! A policy is text; [`load()`] resolves its names and types against the table of calls and gives a
//! [`policy::Policy`]. What that means is said once, by [`eval`]. [`compile`] makes two programs of
//! classic BPF from it: one for the kernel, which decides everything that numbers and scalars decide, and
//! one for the shim, which decides all of it; [`verify`] compares both with `eval` at every boundary.
//!
//! Runs in `ia2`, at build time (the built-in policies), and in the constructor of a preloaded
//! library: it allocates, and it cannot panic.
//!
//! | file | noun |
//! |---|---|
//! | `span` | a place in a source |
//! | `diag` | what is wrong with a policy, where, and what to do |
//! | `render` | that, as one line |
//! | `codes` | what each finding means, at more length |
//! | `source` | where text comes from: files, includes, built-in policies |
//! | `lex` | tokens |
//! | `ast` | what was written |
//! | `parse` | tokens → what was written |
//! | `check` | what was written → what is meant |
//! | `load` | the name of a policy → what is meant: all of the above |
//! | `policy` | what is meant |
//! | `eval` | what a policy says to one call |
//! | `assemble` | labels and jumps of classic BPF |
//! | `half` | a value as two words |
//! | `condition` | conditions as tests |
//! | `compile` | what is meant → the two programs |
//! | `write` | the compiled form as bytes |
//! | `verify` | the two programs against `eval` |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod assemble;
pub mod ast;
mod check;
pub mod codes;
pub mod compile;
pub mod condition;
pub mod cost;
pub mod diag;
pub mod eval;
mod half;
pub mod lex;
pub mod listing;
mod load;
pub mod parse;
pub mod policy;
pub mod render;
pub mod source;
pub mod span;
pub mod verify;
mod write;

pub use load::{load, load_with};
