//! Where the artifacts are: the folder in `IA2_ARTIFACTS`, or `target/release`, built first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// The folder that cargo builds into.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace().join(folder),
        None => workspace().join("target"),
    }
}

/// A cargo command of the toolchain that runs the tests.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

/// The folder of the artifacts, which are built on first use, as `make` does.
fn folder() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = std::env::var_os("IA2_ARTIFACTS").map(PathBuf::from).unwrap_or_else(|| {
            let packages = ["-p", "ia2shim", "-p", "ia2shim-link", "-p", "ia2-loader"];
            let release = target().join("release");
            let built = cargo().args(["build", "--quiet", "--release"]).args(packages).status();
            assert!(built.expect("cargo can be started").success(), "the artifacts do not build");
            let mut archive = Command::new(workspace().join("scripts/archive"));
            let made = archive.arg(&release).status();
            assert!(made.expect("a script can be started").success(), "no libia2shim.a");
            release
        });
        folder.canonicalize().expect("the artifacts' folder exists")
    })
}

fn artifact(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// `libia2shim.so`.
///
/// # Panics
/// If it does not build or is not where it should be: then no test can say anything.
#[must_use]
pub fn shim() -> PathBuf {
    artifact("libia2shim.so")
}

/// `libia2shim.a`.
///
/// # Panics
/// As [`shim`].
#[must_use]
pub fn archive() -> PathBuf {
    artifact("libia2shim.a")
}

/// The static loader, `ia2-loader`.
///
/// # Panics
/// As [`shim`].
#[must_use]
pub fn loader() -> PathBuf {
    artifact("ia2-loader")
}

/// The command line, `ia2`.
///
/// # Panics
/// As [`shim`].
#[must_use]
pub fn ia2() -> PathBuf {
    artifact("ia2")
}
