//! Link arguments of the preloaded library: nothing needed, nothing undefined, initialised first.

fn main() {
    for argument in [
        "-nostdlib",
        "-Wl,-z,defs",
        "-Wl,-z,now",
        "-Wl,-z,initfirst",
        "-Wl,-Bsymbolic",
        "-Wl,-soname,libia2shim.so",
    ] {
        println!("cargo::rustc-link-arg-cdylib={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
