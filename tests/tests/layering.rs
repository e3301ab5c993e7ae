//! Which crate may use which: the arrows of the design point one way.

use ia2_tests::artifacts::{cargo, workspace};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The names of what `package` depends on when it is built (not for its tests).
fn dependencies(package: &str) -> BTreeSet<String> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let found = packages.iter().find(|found| found["name"] == package);
    let found = found.unwrap_or_else(|| panic!("no package {package}"));
    let list = found["dependencies"].as_array().expect("a list of dependencies");
    list.iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Checks that `package` uses nothing but `allowed`.
fn only(package: &str, allowed: &[&str]) {
    let found = dependencies(package);
    let more: Vec<_> = found.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(more.is_empty(), "{package} uses {more:?}");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    assert!(!files.is_empty(), "{} holds no Rust", folder.display());
    files
}

/// The lines of code in `folder` that hold one of `words`; comments do not count.
fn lines_with(folder: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in rust_files(&workspace().join(folder)) {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn core_depends_on_nothing() {
    only("ia2-core", &[]);
}

#[test]
fn plan_depends_on_core_and_pure_crates() {
    only("ia2-plan", &["ia2-core", "wide"]);
}

#[test]
fn rt_depends_on_core_and_kernel_constants() {
    only("ia2-rt", &["ia2-core", "linux-raw-sys"]);
}

#[test]
fn boot_depends_on_the_crates_below_it() {
    only("ia2-boot", &["ia2-core", "ia2-plan", "ia2-policy", "ia2-rt", "linux-raw-sys"]);
}

#[test]
fn policy_depends_on_core() {
    only("ia2-policy", &["ia2-core"]);
}

#[test]
fn the_library_adds_nothing_of_its_own() {
    only("ia2shim", &["ia2-boot", "ia2-core", "ia2-rt"]);
    only("ia2shim-link", &["ia2-boot"]);
}

#[test]
fn the_command_line_does_not_use_live_code() {
    // It shares a package with the loader, which does.
    let mut found = lines_with("loader/src/ia2", &["ia2_rt", "ia2_boot"]);
    // The built-in policies are data, compiled when the crate is built.
    found.retain(|line| !line.ends_with(": use ia2_boot::built_in;"));
    assert!(found.is_empty(), "{found:#?}");
    assert!(!lines_with("loader/src/loader", &["ia2_rt"]).is_empty());
    assert!(lines_with("loader/src/loader", &["std::", "libc::", "alloc::"]).is_empty());
}

#[test]
fn live_code_has_neither_std_nor_an_allocator() {
    let words = ["extern crate alloc", "extern crate std", "alloc::", "std::", "libc::"];
    let found = lines_with("shim/rt/src", &words);
    assert!(found.is_empty(), "{found:#?}");
    let root = std::fs::read_to_string(workspace().join("shim/rt/src/lib.rs")).expect("rt's root");
    assert!(root.contains("#![no_std]"));
}

#[test]
fn pure_crates_forbid_unsafe_code() {
    for folder in ["shim/core", "shim/plan"] {
        let root = std::fs::read_to_string(workspace().join(folder).join("src/lib.rs"));
        let root = root.unwrap_or_else(|e| panic!("{folder}: {e}"));
        assert!(root.contains("#![forbid(unsafe_code)]"), "{folder}");
        assert!(root.contains("#![no_std]"), "{folder}");
    }
}

const LOADER: &str = "loader/src/loader/main.rs";

#[test]
fn unsafe_code_lives_in_files_that_say_so() {
    let leaves = ["shim/src/lib.rs", "shim/link/src/lib.rs", LOADER];
    for root in ["shim/rt/src/lib.rs", "shim/boot/src/lib.rs"].into_iter().chain(leaves) {
        let folder = root;
        let root = std::fs::read_to_string(workspace().join(root)).expect("a root");
        assert!(root.contains("#![deny(unsafe_code)]"), "{folder}");
    }
}
