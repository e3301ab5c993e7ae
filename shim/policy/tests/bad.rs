//! What is said of wrong policies: each `bad/*.ia2` and, beside it, every word. With `IA2_BLESS=1` the
//! words are written anew, for somebody to read.

use ia2_core::constants::{Set, find};
use ia2_policy::codes::{CODES, explain};
use ia2_policy::diag::Diagnostic;
use ia2_policy::policy::Source;
use ia2_policy::source::{self, Memory, Sources, Text, Unreadable};
use ia2_policy::{load, render};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

/// Files below `bad`, by their names there.
struct Files;

impl Sources for Files {
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable> {
        if let Some(text) = source::built_in(name) {
            return Ok(text);
        }
        let name = source::join(from, name);
        let mut parts: Vec<&str> = Vec::new();
        for part in name.split('/') {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let name = parts.join("/");
        let text = fs::read_to_string(folder().join(&name));
        let text = text.map_err(|_| Unreadable::new("no such file"))?;
        let id = name.bytes().fold(1, |id: u128, byte| id.wrapping_mul(257) + u128::from(byte));
        Ok(Text { name, id, text })
    }
}

/// One line, and the place in its line.
fn show(found: &Diagnostic, sources: &[Source]) -> String {
    let mut all = render::line(found, sources) + "\n";
    for span in [found.span].into_iter().chain(found.related.iter().map(|(span, _)| *span)) {
        let Some(source) = sources.get(usize::from(span.file)) else { continue };
        let text = &source.text;
        let (start, end) = (span.start as usize, span.end as usize);
        assert!(start <= end && end <= text.len(), "{found:?}");
        let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let before = text[from..start].chars().count();
        let under = text[start..end.min(to)].chars().count().max(1);
        let more = if end > to { " …" } else { "" };
        let pad: String = " ".repeat(before);
        all += &format!("    | {}\n    | {pad}{}{more}\n", &text[from..to], "^".repeat(under));
    }
    all
}

fn said(name: &str) -> String {
    let (policy, found, sources) = load(name, &mut Files);
    let errors = found.iter().any(|found| found.code.0.starts_with('E'));
    assert_eq!(policy.is_none(), errors, "{name}");
    assert!(found.is_sorted_by_key(|found| found.span), "{name}");
    found.iter().map(|found| show(found, &sources)).collect()
}

fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("the folder");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".ia2")).collect();
    names.sort();
    names
}

#[test]
fn wrong_policies_are_complained_of_in_these_words() {
    let bless = env::var_os("IA2_BLESS").is_some();
    let mut differ = Vec::new();
    for name in names() {
        let said = said(&name);
        let beside = folder().join(&name).with_extension("txt");
        if bless {
            fs::write(beside, said).expect("written");
        } else if fs::read_to_string(beside).unwrap_or_default() != said {
            differ.push(format!("{name}:\n{said}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn what_a_file_is_named_after_is_said_of_it() {
    for name in names() {
        let (code, _) = name.split_once('-').unwrap_or((&name, ""));
        if code.len() == 5 && code.ends_with(|end: char| end.is_ascii_digit()) {
            let said = said(&name);
            assert!(said.contains(&format!("[{}]", code.to_uppercase())), "{name}: {said}");
        }
    }
    assert!(names().len() > 100);
}

/// Said of nothing that could stand in a small file, or by the compiler. E0317 waits for a constant with
/// two values.
const ELSEWHERE: &[&str] =
    &["E0012", "E0317", "E0801", "E0802", "E0803", "E0804", "E0899", "N0013", "W0801"];

/// Every code in the sources is explained, and said of some file.
#[test]
fn every_code_is_explained_and_tried() {
    let all: String = names().iter().map(|name| said(name)).collect();
    let mut sources = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut codes = BTreeSet::new();
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            let files = fs::read_dir(path).expect("a folder");
            sources.extend(files.map(|file| file.expect("a file").path()));
        } else if !path.ends_with("codes.rs") {
            let text = fs::read_to_string(path).expect("a source");
            codes.extend(text.split('"').filter(|quoted| is_code(quoted)).map(str::to_owned));
        }
    }
    let explained: BTreeSet<_> = CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(codes, explained);
    assert!(CODES.is_sorted());
    let is_tried = |code: &&String| all.contains(&format!("[{code}]"));
    let untried: Vec<_> = codes.iter().filter(|code| !is_tried(code)).collect();
    assert_eq!(untried, ELSEWHERE);
    assert!(explain("E0102").is_some_and(|words| words.contains("x86-64")));
    assert_eq!(explain("E9999"), None);
}

fn is_code(quoted: &str) -> bool {
    let digits = quoted.strip_prefix(['E', 'W', 'N', 'L']);
    digits.is_some_and(|rest| rest.len() == 4 && rest.bytes().all(|digit| digit.is_ascii_digit()))
}

#[test]
fn findings_end_somewhere() {
    let text = "policy t version 1\n".to_owned() + &"nosuch : allow\nread : 1 $\n".repeat(1000);
    let (_, found, _) = load("t", &mut Memory::new().with("t", &text));
    assert_eq!(found.len(), 101);
    assert_eq!(found.last().map(|last| last.code.0), Some("N0013"));
}

#[test]
fn texts_end_somewhere() {
    let text = "#".repeat((16 << 20) + 1);
    let (_, found, _) = load("t", &mut Memory::new().with("t", &text));
    let codes: Vec<_> = found.iter().map(|found| found.code.0).collect();
    assert_eq!(codes, ["E0012"]);
}

#[test]
fn rules_end_somewhere() {
    let mut text = "policy t version 1\ndefault kill_process\n".to_owned();
    for nr in 0..=65536 {
        text += &format!("?#{} : deny\n", nr + 1000);
    }
    let (_, found, _) = load("t", &mut Memory::new().with("t", &text));
    let codes: Vec<_> = found.iter().map(|found| found.code.0).collect();
    assert_eq!(codes, ["E0012"]);
}

/// What E0317 is about does not exist today.
#[test]
fn constants_have_one_value() {
    for set in Set::all() {
        for (name, value) in set.constants() {
            assert!(find(name).all(|(_, other)| other == value), "{name}");
        }
    }
}
