//! The values of `constants.in` are those of the C headers of this machine.

mod source;

use core::fmt::Write as _;
use source::{Constant, Set};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The version of the installed kernel headers.
fn installed() -> (u32, u32) {
    let text = preprocess("#include <linux/version.h>\nLINUX_VERSION_CODE\n");
    let code = text.lines().last().and_then(|line| line.trim().parse::<u32>().ok());
    let code = code.unwrap_or_else(|| panic!("no LINUX_VERSION_CODE in {text}"));
    (code >> 16, code >> 8 & 0xff)
}

fn gcc(arguments: &[&str], program: &str) -> std::process::Output {
    let mut child = Command::new("gcc")
        .args(arguments)
        .args(["-x", "c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gcc can be started");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(program.as_bytes()).expect("gcc reads");
    drop(input);
    child.wait_with_output().expect("gcc ends")
}

fn preprocess(program: &str) -> String {
    let output = gcc(&["-E", "-P"], program);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Compares constants that come from the same headers, in a program that a wrong one keeps from being
/// compiled: nothing has to run.
fn compare(place: &str, headers: &[String], constants: &[&Constant]) -> Result<(), String> {
    let mut program = "#define _GNU_SOURCE\n#include <stddef.h>\n#include <stdint.h>\n".to_owned();
    for header in headers {
        writeln!(program, "#include <{header}>").expect("a string grows");
    }
    for Constant { name, value, .. } in constants {
        writeln!(
            program,
            "_Static_assert((unsigned long long)(long long)({name}) == {value:#x}ULL, \"{name}\");"
        )
        .expect("a string grows");
    }
    let output = gcc(&["-fsyntax-only"], &program);
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{place}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The testable constants of a set by their headers.
fn units(set: &Set, installed: (u32, u32)) -> BTreeMap<&[String], Vec<&Constant>> {
    let mut units: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for constant in &set.constants {
        let newer = constant.since.is_some_and(|since| since > installed);
        if !newer && !constant.headers.is_empty() {
            units.entry(constant.headers.as_slice()).or_default().push(constant);
        }
    }
    units
}

#[test]
fn constants_have_the_values_of_the_c_headers() {
    let installed = installed();
    let sets = source::constants();
    let (mut compared, mut all, mut wrong) = (0, 0, Vec::new());
    for set in &sets {
        all += set.constants.len();
        for (headers, constants) in units(set, installed) {
            compared += constants.len();
            wrong.extend(compare(&set.place, headers, &constants).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{compared} of {all} constants compared, headers of {installed:?}");
    assert!(compared > 2000, "{compared}");
}

/// Every constant that is not compared has a reason in the source: a version, or a comment at `-`.
#[test]
fn constants_without_a_header_are_few() {
    let sets = source::constants();
    let without = sets.iter().flat_map(|set| &set.constants).filter(|one| one.headers.is_empty());
    let names: Vec<_> = without.map(|one| one.name.as_str()).collect();
    assert!(
        names.iter().all(|name| name.starts_with("SYSLOG_ACTION_") || *name == "ARCH_CET_STATUS")
    );
}

#[test]
fn a_wrong_value_is_noticed() {
    let constant = |value| Constant {
        name: "PROT_EXEC".to_owned(),
        value,
        headers: vec!["linux/mman.h".to_owned()],
        since: None,
    };
    assert!(compare("here", &constant(4).headers, &[&constant(4)]).is_ok());
    let said = compare("here", &constant(5).headers, &[&constant(5)]).expect_err("5 is not 4");
    assert!(said.contains("PROT_EXEC"), "{said}");
}
