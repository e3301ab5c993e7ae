//! The live code of ia2shim: what runs inside a program, between its `SYSCALL` and the kernel.
//!
//! # Rules of this crate
//!
//! This code runs in somebody else's process, at any instruction of it, on threads it did not
//! make, inside signal handlers, in the child of a `vfork`. So:
//!
//! 1. **No allocation.** There is no `alloc` here; memory comes from mmap, in [`block`] and [`stub`].
//! 2. **No libc, no foreign TLS.** The one per-thread anchor is the gs base, see [`block`].
//! 3. **No panic, no unwinding.** What cannot go on ends in [`die`]. Indexing is by `get`,
//!    arithmetic on foreign numbers wraps or is checked. A test links this crate alone with a panic
//!    handler that calls an undefined symbol.
//! 4. **No `SYSCALL` instruction** but those in the gate's blob ([`gate`]): the kernel would trap it.
//! 5. **No pointer from the program is followed**; it is read and written by [`usermem`], which
//!    turns a fault into EFAULT.
//! 6. **Locks are spin locks, held for short, never across a call of the program**, and taken by
//!    fork so that the child finds them free ([`lock`]).
//!
//! # The life of a call
//!
//! ```text
//!  site ── jmp ──► stub ── table[nr] ──► gate.fast ── syscall ── jmp rcx ──► program
//!                              │
//!                              └───────► entry.slow ── dispatch ── leave ──► gate.fast | gate.args | program
//!  site not patched ── SIGSYS ──► entry.signal ── signal::trapped ── sigreturn ──► gate.generic ── table[nr] ──► …
//! ```
//!
//! Both entries meet at the table, so a trapped call is a rewritten call that took a detour.
//!
//! | file | noun | unsafe |
//! |---|---|---|
//! | `abi` | kernel structures | |
//! | `gate` | the gate page: the only `SYSCALL` instructions, and their addresses | [U] |
//! | `sys` | the shim's own calls, through the gate | [U] |
//! | `block` | per-thread memory | [U] |
//! | `entry` | the assembly between program and Rust | [U] |
//! | `dispatch` | one inspected call → how to leave | [U] |
//! | `signal` | one delivered signal → trap, deferral, or the program's handler | [U] |
//! | `boundary` | an interrupted address → the program's instruction boundary | |
//! | `sigframe` | the kernel's signal frame, copied to where the program expects it | [U] |
//! | `action` | the program's signal actions | |
//! | `barrier` | membarrier: what the program has registered | |
//! | `mask` | the calls that take a signal mask | |
//! | `clone` | fork, vfork, clone, clone3, exit | [U] |
//! | `confine` | the program's own filters, and no_new_privs | |
//! | `exec` | execve, execveat: the loader starts the program | |
//! | `exe` | `/proc/self/exe`, where the kernel would name the loader | |
//! | `policy` | what the policy says to a call, and what happens then | [U] |
//! | `ask` | what only the shim can tell of a call: paths, callers | [U] |
//! | `walk` | where a path leads | |
//! | `report` | a refusal in words | |
//! | `patch` | live patching of one site | [U] |
//! | `library` | text that is mapped while the program runs | [U] |
//! | `stub` | stub memory for sites found late | [U] |
//! | `usermem` | fault-safe reads and writes | [U] |
//! | `lock` | the spin lock | [U] |
//! | `state` | configuration and counters | [U] |
//! | `stats` | the line written at exit | |
//! | `die` | the only way to stop | |
//! | `memory` | the map of the process's memory | [U] |
//! | `mem` | `memcpy` and its kin, hidden | [U] |
#![no_std]
#![deny(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::todo,
    clippy::large_stack_arrays
)]

pub mod abi;
pub mod action;
mod ask;
pub mod barrier;
pub mod block;
pub mod boundary;
pub mod clone;
pub mod confine;
pub mod die;
pub mod dispatch;
pub mod entry;
pub mod exe;
pub mod exec;
pub mod gate;
pub mod library;
pub mod lock;
pub mod mask;
mod mem;
pub mod memory;
pub mod patch;
pub mod policy;
pub mod report;
pub mod sigframe;
pub mod signal;
pub mod state;
pub mod stats;
pub mod stub;
pub mod sys;
pub mod usermem;
mod walk;
