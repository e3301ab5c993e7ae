//! The live code cannot panic, shown by linking it with a panic handler that does not link
//! (`tests/proof`), and the control: with one reachable panic the link fails.

use ia2_tests::artifacts::{cargo, target, workspace};
use std::process::Output;

fn link(features: &[&str]) -> Output {
    cargo()
        .current_dir(workspace().join("tests/proof"))
        .args(["build", "--release", "--locked"])
        .args(features)
        .env("CARGO_TARGET_DIR", target().join("proof"))
        .output()
        .expect("cargo can be started")
}

#[test]
fn live_code_links_without_a_panic_handler() {
    let control = link(&["--features", "can-panic"]);
    let errors = String::from_utf8_lossy(&control.stderr);
    assert!(!control.status.success(), "the control linked, so the proof proves nothing");
    assert!(errors.contains("ia2_handler_can_panic"), "another reason than the panic: {errors}");

    let proof = link(&[]);
    assert!(proof.status.success(), "{}", String::from_utf8_lossy(&proof.stderr));
}
