//! Where the artifacts are: the folder in `IA2_ARTIFACTS`, or `target/release`, built first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The artifacts under test.
#[derive(Debug)]
pub struct Artifacts {
    /// `libia2shim.so`.
    pub shim: PathBuf,
    /// The command line.
    pub ia2: PathBuf,
}

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

/// The artifacts, built on first use.
///
/// # Panics
/// If they do not build or are not where they should be: then no test can say anything.
pub fn artifacts() -> &'static Artifacts {
    static FOUND: OnceLock<Artifacts> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = std::env::var_os("IA2_ARTIFACTS").map(PathBuf::from).unwrap_or_else(|| {
            let built = cargo()
                .args(["build", "--quiet", "--release", "-p", "ia2shim", "-p", "ia2-loader"])
                .status()
                .expect("cargo can be started");
            assert!(built.success(), "the artifacts do not build");
            target().join("release")
        });
        let folder = folder.canonicalize().expect("the artifacts' folder exists");
        let found = Artifacts { shim: folder.join("libia2shim.so"), ia2: folder.join("ia2") };
        for path in [&found.shim, &found.ia2] {
            assert!(path.is_file(), "{} is missing", path.display());
        }
        found
    })
}
