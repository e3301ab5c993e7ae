//! libia2shim.so: preloaded into a program, it sends every system call of it through one gate.
//!
//! This leaf has nothing of its own but the constructor, the version, and what the compiler demands
//! of a library without a standard library ([`lang`]). That of libia2shim.a is `shim/link`.
#![no_std]
#![deny(unsafe_code)]

mod lang;
mod version;

pub use version::ia2shim_version;

/// Runs before the constructors of the program and of its other libraries: the object is marked
/// `DF_1_INITFIRST`.
#[allow(unsafe_code, reason = "a constructor is placed by its section and promised to boot")]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn constructor() {
        // SAFETY: called once, by the dynamic linker, before the program.
        unsafe { ia2_boot::boot() };
    }
    constructor
};
