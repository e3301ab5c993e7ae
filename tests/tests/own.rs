//! The table of the calls that the shim makes for itself ([`own`]) is that of its sources: a call that is
//! missing there is the end of a program under a policy that kills for it, and one too many is a call that
//! policies refuse in vain.

use ia2_core::calls;
use ia2_core::own;
use ia2_tests::artifacts::workspace;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What only the first process of a tree calls, before there is a filter, or a library that finds the shim
/// there already, as the program would.
const FIRST: [(&str, &str); 9] = [
    ("seccomp", "installs the filter"),
    ("memfd_create", "the loader's slot and that of the settings"),
    ("pwrite64", "what is in them"),
    ("sendfile", "what is in them"),
    ("dup3", "they are in slots that no program reaches"),
    ("prlimit64", "the slots are past the soft limit"),
    ("geteuid", "whom a policy's file may belong to"),
    ("faccessat", "whether the gate is there"),
    ("rseq", "the C library's area is taken back"),
];

/// What is called by a number that stands in a register: that of the program's own call.
const BY_REGISTER: [&str; 1] = ["exit"];

/// The calls that the files of a folder name, in the bindings' names or in those of `nr`.
fn named_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            named_in(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a readable file");
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        for line in code {
            for found in line.split("__NR_").skip(1) {
                let end = found.find(|char: char| char != '_' && !char.is_ascii_alphanumeric());
                names.insert(found[..end.unwrap_or(found.len())].to_owned());
            }
        }
    }
}

fn named() -> BTreeSet<u32> {
    let mut names = BTreeSet::new();
    for folder in ["shim/rt/src", "shim/boot/src", "shim/src", "loader/src/loader"] {
        named_in(&workspace().join(folder), &mut names);
    }
    let number =
        |name: &String| calls::by_name(name).unwrap_or_else(|| panic!("no call {name}")).nr;
    names.iter().map(number).collect()
}

#[test]
fn every_call_of_the_shim_is_in_the_table() {
    let first: BTreeSet<u32> =
        FIRST.iter().map(|row| calls::by_name(row.0).expect("a call").nr).collect();
    let named = named();
    assert!(named.len() > 30, "too few to be all: {named:?}");
    for nr in &named {
        let name = calls::by_nr(*nr).expect("a call").name;
        let is_own = own::is_own(*nr, own::Needs::ALL);
        assert!(is_own != first.contains(nr), "{name}: own {is_own}");
    }
    assert!(first.is_subset(&named), "a call that nobody makes any more");
}

#[test]
fn nothing_else_is_in_the_table() {
    // A number of `nr` stands where the program's own call is made in another form.
    let live = ["gate.rs", "entry.rs", "exec.rs", "clone.rs"]
        .map(|file| workspace().join("shim/rt/src").join(file))
        .map(|path| fs::read_to_string(path).expect("a readable file"))
        .concat();
    let named = named();
    for own::Row { nr, what, .. } in own::Needs::ALL.rows() {
        let name = calls::by_nr(*nr).expect("a call").name;
        let constant = format!("nr::{}", name.to_uppercase());
        let is_made = named.contains(nr) || BY_REGISTER.contains(&name) || live.contains(&constant);
        assert!(is_made, "{name} ({what}) is called by nobody");
    }
}
