//! Link arguments of `ia2-loader`: no libc, fixed addresses. `ia2`, of the same package, is an
//! ordinary program and gets none of them.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's folder");
    let script = format!("-Wl,-T,{folder}/loader.ld");
    for argument in ["-static", "-no-pie", "-nostartfiles", "-nostdlib", &script] {
        println!("cargo::rustc-link-arg-bin=ia2-loader={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=loader.ld");
}
