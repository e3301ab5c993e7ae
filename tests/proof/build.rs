//! Nothing may stay undefined: that is the proof.

fn main() {
    for argument in ["-nostdlib", "-Wl,-z,defs"] {
        println!("cargo::rustc-link-arg-cdylib={argument}");
    }
}
