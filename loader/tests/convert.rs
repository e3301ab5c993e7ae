//! `ia2 convert` as its users meet it: output, messages, exit status.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn convert(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ia2"));
    command.arg("convert").args(arguments).output().expect("ia2 starts")
}

fn sample(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/convert").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// A file of this test's own.
fn file(name: &str, content: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a temporary file");
    path.to_str().expect("UTF-8").to_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn the_policy_goes_to_standard_output_and_losses_to_standard_error() {
    let unit = sample("systemd/clock.service");
    let output = convert(&["--from", "systemd", &unit]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("\npolicy clock version 1\n"), "{text}");
    assert!(text.contains("\n@default, @system-service, @clock : allow\n"), "{text}");
    let lost = "lost: CapabilityBoundingSet=CAP_SYS_TIME: not a filter: capabilities";
    assert!(stderr(&output).contains(&format!("ia2: {unit}:8:1: {lost}\n")), "{}", stderr(&output));
    // The same is in the text, without the path.
    assert!(text.contains(&format!("#   8:1: {lost}\n")), "{text}");
}

#[test]
fn strict_fails_if_anything_is_lost() {
    let output = convert(&["--from", "systemd", "--strict", &sample("systemd/clock.service")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    let policy = file("little.policy", "@default kill-process\nread: allow\nexit_group: allow\n");
    let output = convert(&["--from", "minijail", "--strict", &policy]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn json_has_the_result_and_the_losses() {
    let output = convert(&["--from", "oci", "--json", &sample("oci/twice.json")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(object["schema"], "ia2.convert/1");
    assert_eq!((&object["from"], &object["to"]), (&"oci".into(), &"ia2".into()));
    assert!(object["result"].as_str().is_some_and(|text| text.contains("policy twice version 1")));
    let losses = object["losses"].as_array().expect("losses");
    let twice = &losses[0];
    assert_eq!(
        (&twice["kind"], &twice["line"], &twice["column"]),
        (&"lost".into(), &9.into(), &28.into())
    );
    assert_eq!(twice["what"], "two conditions of argument 0");
}

#[test]
fn bad_input_is_told_with_line_and_column() {
    let policy = file("bad.policy", "read: 1\nopen: arg1 == O_RDONYL\n");
    let output = convert(&["--from", "minijail", &policy]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!("ia2: {policy}:2:15: unknown constant O_RDONYL: is O_RDONLY meant?\n");
    assert_eq!(stderr(&output), expected);
    let output = convert(&["--from", "minijail", "--json", &policy]);
    assert_eq!(output.status.code(), Some(2));
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&object["error"]["line"], &object["error"]["column"]), (&2.into(), &15.into()));
    let output = convert(&["--from", "oci", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("ia2: /no/such/file:1:1: cannot be read: "));
}

#[test]
fn standard_input_is_read_and_files_are_written() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ia2"))
        .args(["convert", "--from", "kafel", "-", "-o", &file("out.ia2", "")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ia2 starts");
    let mut input = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, b"ALLOW { read, write { fd == 1 } } DEFAULT ERRNO(1)")
        .expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (output.status.code(), stdout(&output).as_str()),
        (Some(0), ""),
        "{}",
        stderr(&output)
    );
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("out.ia2");
    let text = std::fs::read_to_string(path).expect("written");
    assert!(text.contains("default errno EPERM\n"), "{text}");
    assert!(text.contains("write : fd == 1\n"), "{text}");
}

#[test]
fn a_profile_that_was_read_can_be_written_again() {
    let profile =
        stdout(&convert(&["--from", "oci", "--to", "oci", &sample("oci/containers.json")]));
    let read: Value = serde_json::from_str(&profile).expect("JSON");
    assert_eq!(read["defaultErrnoRet"], 38);
    let again = file("again.json", &profile);
    let output = convert(&["--from", "oci", "--to", "oci", &again]);
    assert_eq!(stdout(&output), profile, "{}", stderr(&output));
}

#[test]
fn a_policy_that_a_profile_cannot_say_is_told_with_its_place() {
    let text =
        "policy p version 1\ndefault errno EPERM\nunknown errno ENOSYS\nread : from wrapper\n";
    let policy = file("callers.ia2", text);
    let output = convert(&["--from", "ia2", "--to", "oci", &policy]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let expected = format!(
        "ia2: {policy}:4:1: read: it asks where the call comes from, which a profile cannot say\n"
    );
    assert_eq!(stderr(&output), expected);
    // A policy with a mistake in it, too.
    let policy = file("mistake.ia2", "policy p version 1\ndefault errno EPERM\nraed : 1\n");
    let output = convert(&["--from", "ia2", "--to", "oci", &policy]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).starts_with(&format!("ia2: {policy}:3:1: E0102: ")),
        "{}",
        stderr(&output)
    );
}

/// The way of another program's policy into bubblewrap: no shim, only a filter.
#[test]
fn a_filter_is_made_at_once() {
    let unit = sample("systemd/clock.service");
    let bytes = convert(&["--from", "systemd", "--to", "bpf", &unit]);
    assert_eq!(bytes.status.code(), Some(0), "{}", stderr(&bytes));
    let text = convert(&["--from", "systemd", "--to", "pfc", &unit]);
    assert_eq!(bytes.stdout.len(), stdout(&text).lines().count() * 8);
    assert!(stdout(&text).starts_with("   0: A = arch\n"), "{}", stdout(&text));
    // What needs the shim has its place.
    let own = file(
        "needs.ia2",
        "policy n version 1\ndefault errno EPERM\nunknown errno ENOSYS\nopen : path in \"/etc\"\n",
    );
    let refused = convert(&["--from", "ia2", "--to", "bpf", &own]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("needs.ia2:4:1: error[E0901]"), "{}", stderr(&refused));
}
