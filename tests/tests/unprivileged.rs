//! Without privilege the loader cannot tell the kernel which program it has loaded. The program must
//! not notice.

use ia2_tests::artifacts::{ia2, loader, shim};
use ia2_tests::c_program::{compile, difference};
use ia2_tests::run::{LIMIT, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The user and group "nobody" of every Linux.
const NOBODY: u32 = 65534;

/// A command in `folder` as nobody; as whoever runs the test, if that is not root.
fn nobody(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(folder.join(program));
    command.current_dir(folder);
    // SAFETY: no memory effects.
    #[allow(unsafe_code, reason = "geteuid has no safe form in std")]
    let root = unsafe { libc::geteuid() } == 0;
    if root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

#[test]
fn a_program_finds_itself_in_proc() {
    let folder = tempfile::Builder::new().prefix("ia2-tests-").tempdir().expect("a folder");
    let folder = folder.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
    for artifact in [ia2(), loader(), shim()] {
        let name = artifact.file_name().expect("a file");
        fs::copy(&artifact, folder.join(name)).expect("an artifact is copied");
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/exe.c");
    compile("gcc", &source, &folder.join("exe"), &[]).expect("it compiles");
    let native = run(&mut nobody(folder, "exe"), LIMIT).expect("it starts");
    let native = native.success().expect("it runs");
    assert!(native.contains("executed again as me\n"), "{native}");

    // The other backstops let calls pass that were not rewritten and that no policy is about.
    let ways = [
        &["--backstop", "strict"][..],
        &["--backstop", "strict", "--no-patch"],
        &["--backstop", "inspected"],
        &["--backstop", "sud"],
        &["--backstop", "sud", "--no-patch"],
        &["--backstop", "none"],
    ];
    for way in ways {
        let mut command = nobody(folder, "ia2");
        // By its full path, as natively.
        command.arg("run").args(way).arg("--").arg(folder.join("exe"));
        let ended = run(&mut command, LIMIT).expect("it starts");
        let text = ended.clone().success().expect("it runs");
        assert!(
            text == native,
            "{way:?} {}: {}",
            ended.error_text(),
            difference(native.as_bytes(), text.as_bytes())
        );
    }
    let mut preloaded = nobody(folder, "exe");
    preloaded.env("LD_PRELOAD", folder.join("libia2shim.so"));
    let text = run(&mut preloaded, LIMIT).expect("it starts").success().expect("it runs");
    assert!(text == native, "preloaded: {}", difference(native.as_bytes(), text.as_bytes()));
}
