//! The words ia2shim is written in: pure values and pure functions, no allocation, no unsafe code,
//! no system call. Everything here can be argued about and tested on any machine.
//!
//! | word | meaning |
//! |---|---|
//! | *site* | one `SYSCALL` instruction (bytes `0f 05`) of the program |
//! | *gate* | the page at [`layout::GATE`] that holds the only `SYSCALL` instructions the kernel accepts |
//! | *stub* | the few instructions a patched site jumps to; loads the number and goes to the gate |
//! | *form* | how a site was patched: [`site::Form`] |
//! | *refusal* | why a site was left alone: [`site::Refusal`] |
//! | *block* | the per-thread memory of the shim, found through the gs base |
//! | *held signal* | a signal that the kernel must never block or ignore: [`sigset::HELD`] |
//!
//! | file | noun |
//! |---|---|
//! | `layout` | the addresses and sizes shared by gate, stubs, filter and loader |
//! | `nr` | the system-call numbers the shim itself looks at |
//! | `calls` | all system calls: names, arguments, IA2's table |
//! | `constants` | named constants in sets, `PROT_EXEC`, `EPERM` |
//! | `sets` | named sets of system calls, `@file-system` |
//! | `site` | forms and refusals |
//! | `late` | planning one site at its first trap, from a few bytes around it |
//! | `regs` | [`regs::Frame`], the registers of a call |
//! | `sigset` | signal-set arithmetic, held signals |
//! | `access` | what a call does to the file that its path leads to |
//! | `bpf` | the backstop filter as a value |
//! | `elf` | the headers of an ELF program, as exec looks at them |
//! | `script` | the first line of a script |
//! | `handover` | what an exec tells the loader |
//! | `maps` | lines of `/proc/self/maps` |
//! | `regions` | which addresses are mapped, and how |
//! | `objects` | of what: files, shared memory |
//! | `memory` | calls on memory, and what is against them |
//! | `near` | "did you mean" |
//! | `packed` | texts of the generated tables, without an address in them |
//! | `own` | the calls that the shim makes for itself |
//! | `cbpf` | a machine for such filters |
//! | `blob` | the compiled form of a policy |
//! | `paths` | which paths a pattern means |
//! | `show` | a call in words |
//! | `verdict` | what a policy can say to a call |
//! | `text` | numbers and JSON into a fixed buffer |
#![no_std]
#![forbid(unsafe_code)]

pub mod access;
pub mod blob;
pub mod bpf;
pub mod calls;
pub mod cbpf;
pub mod constants;
pub mod elf;
pub mod handover;
pub mod late;
pub mod layout;
pub mod maps;
pub mod memory;
pub mod near;
pub mod nr;
pub mod objects;
pub mod own;
mod packed;
pub mod paths;
pub mod regions;
pub mod regs;
pub mod script;
pub mod sets;
pub mod show;
pub mod sigset;
pub mod site;
pub mod text;
pub mod verdict;
