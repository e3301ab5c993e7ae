//! The `ia2` command as its users meet it: output, messages, exit status.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
const LD_SO: &str = "/lib64/ld-linux-x86-64.so.2";

fn ia2(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ia2")).args(arguments).output().expect("ia2 starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A file of this test's own.
fn file(name: &str, content: &[u8]) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a temporary file");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn sites_prints_one_line_for_a_file_that_is_patched_throughout() {
    let output = ia2(&["sites", LD_SO]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with(&format!("{LD_SO}: ")), "{text}");
    assert!(text.contains(" patched (A ") && text.contains(", 0 left alone"), "{text}");
}

#[test]
fn sites_names_what_is_left_alone_with_address_symbol_and_reason() {
    // A restorer without unwind entry, in a function with a symbol.
    let source = file("restorer.c", b"__asm__(\".globl back\\n.type back,@function\\nback: mov $15,%rax\\nsyscall\\n\");\nint main(void) { return 0; }\n");
    let program = file("restorer", b"");
    let compiled = Command::new("cc").args(["-o", &program, &source]).status();
    assert!(compiled.expect("a C compiler is installed").success());
    let output = ia2(&["sites", &program]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("1 left alone (signal-restorer 1)"), "{text}");
    let line = text.lines().nth(1).expect("a second line").trim();
    assert!(
        line.starts_with("0x") && line.ends_with(" back+0x7: left alone, signal-restorer"),
        "{line}"
    );
}

#[test]
fn sites_lists_every_site_when_asked() {
    let output = ia2(&["sites", "--list", LD_SO]);
    let text = stdout(&output);
    let found: usize = text
        .lines()
        .next()
        .and_then(|line| line.rsplit_once(" sites: ")?.0.rsplit(' ').next()?.parse().ok())
        .expect("a number of sites");
    assert_eq!(text.lines().count(), found + 1);
    assert!(text.contains(": A, number "), "{text}");
    assert!(text.contains("overwrites mov $"), "{text}");
}

#[test]
fn sites_json_is_one_object_that_adds_up() {
    let text = stdout(&ia2(&["sites", "--json", "--list", LIBC, LD_SO]));
    let object: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(object["schema"], "ia2.sites/1");
    let files = object["files"].as_array().expect("files");
    assert_eq!(files.len(), 2);
    for file in files {
        let number = |key: &str| file[key].as_u64().unwrap_or_else(|| panic!("{key} in {file}"));
        assert_eq!(number("candidates"), number("found") + number("hidden"));
        let left = file["unpatched"].as_array().expect("unpatched").len() as u64;
        assert_eq!(number("found"), number("patched") + left);
        let forms: u64 =
            file["forms"].as_object().expect("forms").values().filter_map(Value::as_u64).sum();
        assert_eq!(forms, number("patched"));
        let sites = file["sites"].as_array().expect("sites");
        assert_eq!(sites.len() as u64, number("found"));
        for site in sites {
            assert!(site["addr"].as_str().is_some_and(|addr| addr.starts_with("0x")), "{site}");
            assert!(site["form"].is_string() != site["reason"].is_string(), "{site}");
        }
    }
}

#[test]
fn sites_names_bad_files_with_offset_and_reason_and_goes_on() {
    let libc = std::fs::read(LIBC).expect("libc");
    let cut = file("cut", &libc[..100_000]);
    let text = file("text", b"hello\n");
    let empty = file("empty", b"");
    let mut foreign = libc[..4096].to_vec();
    foreign[18] = 0xb7;
    let foreign = file("foreign", &foreign);
    let mut small = libc[..4096].to_vec();
    small[4] = 1;
    let small = file("small", &small);
    let folder = env!("CARGO_TARGET_TMPDIR");
    let output =
        ia2(&["sites", &cut, &text, &empty, &foreign, &small, "/nonexistent", folder, LD_SO]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).starts_with(&format!("{LD_SO}: ")), "the good one is still reported");
    let messages = stderr(&output);
    let expected = [
        format!("ia2: {cut}: offset 0x"),
        format!("ia2: {text}: offset 0x0: not an ELF file"),
        format!("ia2: {empty}: offset 0x0: the file is empty"),
        format!(
            "ia2: {foreign}: offset 0x12: an ELF file for another machine; only x86-64 is handled"
        ),
        format!("ia2: {small}: offset 0x4: a 32-bit ELF file; only x86-64 is handled"),
        "ia2: /nonexistent: offset 0x0: cannot be read: No such file or directory (os error 2)"
            .to_owned(),
        format!("ia2: {folder}: offset 0x0: cannot be read: not a regular file"),
    ];
    assert_eq!(messages.lines().count(), expected.len(), "{messages}");
    for (line, expected) in messages.lines().zip(&expected) {
        assert!(line.starts_with(expected.as_str()), "{line}\n{expected}");
    }
    assert!(
        messages
            .lines()
            .next()
            .is_some_and(|line| line.ends_with(": a segment lies outside the file")),
        "{messages}"
    );

    let output = ia2(&["sites", "--json", &text, LD_SO]);
    assert_eq!(output.status.code(), Some(2));
    let object: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(object["files"][0]["error"]["reason"], "not an ELF file");
    assert_eq!(object["files"][1]["path"], LD_SO);
}

#[test]
fn a_pipe_that_is_closed_early_is_no_error() {
    let command = format!("{} sites --list {LIBC} | head -n 1", env!("CARGO_BIN_EXE_ia2"));
    let output = Command::new("sh").args(["-c", &command]).output().expect("sh starts");
    assert_eq!(stderr(&output), "");
    assert!(stdout(&output).starts_with(LIBC));
}

#[test]
fn stats_prints_a_table_with_sums_and_what_was_left_alone() {
    let left = r#"{"addr":"0x1234","module":"libfoo.so","reason":"indirect-jump"}"#;
    let line = |pid: u32, exe: &str, left: &str| {
        format!(
            "{{\"schema\":\"ia2.stats/1\",\"pid\":{pid},\"exe\":\"{exe}\",\"sites\":{{\"found\":572,\
             \"patched\":571,\"unpatched\":[{left}]}},\"traps\":3,\"calls\":1200,\"inspected\":0,\
             \"denied\":0,\"later\":\"unknown\"}}\n"
        )
    };
    let path = file(
        "good.stats",
        format!("{}\n{}", line(7, "/bin/true", left), line(12_345, "/bin/sh", left)).as_bytes(),
    );
    let output = ia2(&["stats", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!("stats", stdout(&output));
}

#[test]
fn stats_names_the_line_that_is_malformed_and_prints_the_others() {
    let path = file(
        "bad.stats",
        b"{\"schema\":\"ia2.stats/1\",\"pid\":7}\n{\"schema\":\n{\"schema\":\"other/1\"}\n[]\n",
    );
    let output = ia2(&["stats", &path]);
    assert_eq!(output.status.code(), Some(2));
    let messages = stderr(&output);
    let starts: Vec<bool> = messages
        .lines()
        .zip(2..)
        .map(|(line, number)| line.starts_with(&format!("ia2: {path}:{number}: ")))
        .collect();
    assert_eq!(starts, [true, true, true], "{messages}");
    insta::assert_snapshot!("stats_of_little", stdout(&output));

    let output = ia2(&["stats", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("ia2: /nonexistent: cannot be read: "));
}

#[test]
fn a_wrong_command_line_is_explained() {
    for arguments in [&["sites"][..], &["frobnicate"], &["stats"], &[]] {
        let output = ia2(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("Usage: ia2"), "{arguments:?}");
    }
}
