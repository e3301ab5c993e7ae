//! A number that changes with the planner: plans that another one made are not used.

use std::{env, fs, path::Path};

fn main() {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let mut files = Vec::new();
    // What is kept is written in terms of ia2-core.
    for sources in ["src", "../core/src"].map(|folder| Path::new(&package).join(folder)) {
        println!("cargo::rerun-if-changed={}", sources.display());
        let mut found: Vec<_> = fs::read_dir(&sources)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        found.sort();
        files.extend(found);
    }
    // FNV-1a.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in files.iter().flat_map(|file| fs::read(file).unwrap_or_default()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    println!("cargo::rustc-env=IA2_PLANNER={hash}");
}
