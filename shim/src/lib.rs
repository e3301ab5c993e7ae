//! libia2shim: preloaded into a program, it sends every system call of it through one gate.
//!
//! This leaf has nothing of its own but the constructor, the version, and what the compiler demands
//! of a library without a standard library ([`lang`]).
#![no_std]
#![deny(unsafe_code)]

mod lang;

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

/// The version as `major << 16 | minor << 8 | patch`. Also tells a program that it runs under the
/// shim: `dlsym(RTLD_DEFAULT, "ia2shim_version")`.
#[allow(unsafe_code, reason = "an exported symbol")]
#[unsafe(no_mangle)]
pub extern "C" fn ia2shim_version() -> u32 {
    const fn number(text: &str) -> u32 {
        let bytes = text.as_bytes();
        let mut value = 0;
        let mut at = 0;
        while at < bytes.len() {
            value = value * 10 + (bytes[at] - b'0') as u32;
            at += 1;
        }
        value
    }
    const VERSION: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | number(env!("CARGO_PKG_VERSION_PATCH"));
    VERSION
}
