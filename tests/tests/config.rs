//! Wrong settings and bad input are told before anything runs.

use core::time::Duration;
use ia2_tests::artifacts::ia2;
use ia2_tests::run::{End, Run, run};
use ia2_tests::way::{STRICT, Session};
use std::path::Path;
use std::process::Command;

fn go(command: &mut Command) -> Run {
    run(command, Duration::from_secs(30)).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// `echo ran` under the shim with one more variable.
fn with(name: &str, value: &str) -> Run {
    let session = Session::new(STRICT);
    go(session.command("/bin/echo").arg("ran").env(name, value))
}

fn refused(name: &str, value: &str) {
    let run = with(name, value);
    assert_eq!(run.end, End::Exit(125), "{name}={value}: {}", run.error_text());
    assert_eq!(run.text(), "", "{name}={value}: the program ran");
    let message = run.error_text();
    assert!(message.contains(name) && message.ends_with('\n'), "{name}={value}: {message}");
    assert_eq!(message.lines().count(), 1, "{name}={value}: {message}");
}

#[test]
fn a_wrong_backstop_stops_the_program_before_it_runs() {
    for value in ["", "Strict", "strict ", "seccomp", "1", "strict,none"] {
        refused("IA2_BACKSTOP", value);
    }
}

#[test]
fn a_wrong_patch_setting_stops_the_program_before_it_runs() {
    for value in ["", "OFF", "no", "0", "offf"] {
        refused("IA2_PATCH", value);
    }
}

#[test]
fn a_statistics_file_that_cannot_be_written_stops_the_program_before_it_runs() {
    refused("IA2_STATS", "/does/not/exist/stats");
    refused("IA2_STATS", "/proc/self");
    refused("IA2_STATS", "");
}

#[test]
fn an_unknown_policy_stops_the_program_before_it_runs() {
    refused("IA2_POLICY", "no-such-policy");
}

#[test]
fn every_right_setting_is_taken() {
    for backstop in ["strict", "inspected", "sud", "none"] {
        let run = with("IA2_BACKSTOP", backstop);
        assert_eq!((run.end, run.text().as_str()), (End::Exit(0), "ran\n"), "{backstop}");
        assert_eq!(run.error_text(), "");
    }
    let run = with("IA2_PATCH", "off");
    assert_eq!((run.end, run.text().as_str()), (End::Exit(0), "ran\n"));
}

#[test]
fn other_variables_are_the_programs_own() {
    let run = with("IA2SHIM_BACKSTOP", "nonsense");
    assert_eq!((run.end, run.text().as_str()), (End::Exit(0), "ran\n"));
}

/// A relative name means the folder the program was started in.
#[test]
fn a_relative_statistics_file_is_found_after_a_change_of_folder() {
    let session = Session::new(STRICT);
    let mut command = session.command("bash");
    command.args(["--norc", "-c", "cd /; echo moved"]).env("IA2_STATS", "relative.jsonl");
    let run = go(&mut command);
    assert_eq!(run.end, End::Exit(0), "{}", run.error_text());
    let text = std::fs::read_to_string(session.path("relative.jsonl")).expect("the statistics");
    assert_eq!(text.lines().count(), 1);
}

fn sites(file: &Path) -> Run {
    go(Command::new(ia2()).arg("sites").arg(file))
}

/// Exit status 2, nothing on standard output, and one line that names file and offset.
fn bad_input(file: &Path, offset: Option<&str>) {
    let run = sites(file);
    assert_eq!(run.end, End::Exit(2), "{}: {}", file.display(), run.error_text());
    assert_eq!(run.text(), "");
    let message = run.error_text();
    assert!(message.contains(&*file.to_string_lossy()), "{message}");
    assert!(message.contains("offset 0x"), "{message}");
    if let Some(offset) = offset {
        assert!(message.contains(&format!("offset {offset}:")), "{message}");
    }
}

#[test]
fn sites_of_malformed_files_name_file_offset_and_reason() {
    let session = Session::new(STRICT);
    let good = std::fs::read("/bin/true").expect("a program");
    let write = |name: &str, bytes: &[u8]| {
        let path = session.path(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        path
    };
    bad_input(&write("empty", b""), Some("0x0"));
    bad_input(
        &write("text", b"#!/bin/sh\necho this is no ELF file at all, but long enough\n"),
        Some("0x0"),
    );
    bad_input(&write("cut-in-header", &good[..40]), None);
    bad_input(&write("cut-behind-header", &good[..64]), Some("0x20"));
    let mut class = good.clone();
    class[4] = 1; // 32-bit
    bad_input(&write("class", &class), None);
    let mut machine = good.clone();
    machine[18] = 0xb7; // aarch64
    bad_input(&write("machine", &machine), None);
    let mut headers = good.clone();
    headers[32..40].fill(0xff); // e_phoff
    bad_input(&write("headers", &headers), Some("0x20"));
    let run = sites(&write("good", &good));
    assert_eq!(run.end, End::Exit(0), "the unchanged file is fine: {}", run.error_text());
}

/// Whatever one byte of the headers says, the answer is a plan or exit status 2, never a crash.
#[test]
fn sites_of_damaged_headers_end_in_a_plan_or_a_reason() {
    let session = Session::new(STRICT);
    let good = std::fs::read("/bin/true").expect("a program");
    let mut refused = 0;
    for at in (0..512).step_by(3) {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        let path = session.path("damaged");
        std::fs::write(&path, bytes).expect("a temporary file");
        let run = sites(&path);
        match run.end {
            End::Exit(0) => {}
            End::Exit(2) => {
                refused += 1;
                assert!(run.error_text().contains("offset 0x"), "{}", run.error_text());
            }
            end => panic!("byte {at}: {end}: {}", run.error_text()),
        }
    }
    assert!(refused > 0, "no damage was noticed");
}

#[test]
fn sites_of_unreadable_files_are_refused() {
    let session = Session::new(STRICT);
    bad_input(Path::new("/does/not/exist"), None);
    bad_input(&session.path(""), None);
    bad_input(Path::new("/dev/null"), None);
}

/// The good file is still answered when a bad one stands beside it.
#[test]
fn one_bad_file_does_not_hide_the_others() {
    let run = go(Command::new(ia2()).args(["sites", "/does/not/exist", "/bin/true"]));
    assert_eq!(run.end, End::Exit(2));
    assert!(run.text().contains("/bin/true"), "{}", run.text());
    let run = go(Command::new(ia2()).args(["sites", "--json", "/does/not/exist", "/bin/true"]));
    assert_eq!(run.end, End::Exit(2));
    let value: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(value["schema"], "ia2.sites/1");
    assert_eq!(value["files"].as_array().map(Vec::len), Some(2));
}
