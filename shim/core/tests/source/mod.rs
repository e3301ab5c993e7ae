//! The sources of the tables, parsed: `syscalls.in`, `constants.in` and `sets.in`. Each says at its
//! top how it is written. A mistake in one is a panic that names the line.

#![allow(dead_code, reason = "no test uses all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn path(name: &str) -> PathBuf {
    folder().join(name)
}

/// The lines of a source that say something, with their numbers; continued lines are indented.
fn lines(name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let numbered = text.lines().enumerate();
    numbered
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (format!("{name}:{}", number + 1), line.trim_end().to_owned()))
        .collect()
}

/// A word and what follows it.
fn cut(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) place: String,
    pub(crate) nr: u32,
    pub(crate) name: String,
    pub(crate) since: String,
    pub(crate) category: String,
    pub(crate) policy: String,
    pub(crate) args: Vec<Arg>,
    pub(crate) aliases: Vec<String>,
    pub(crate) gone: bool,
    /// The words of IA2's table; none if it does not have the call.
    pub(crate) seed: Option<String>,
    pub(crate) reason: String,
    pub(crate) seed_policy: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) names: Vec<String>,
    pub(crate) ty: String,
    pub(crate) set: Option<String>,
    pub(crate) length: Option<String>,
}

pub(crate) fn calls() -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for (place, line) in lines("syscalls.in") {
        if line.starts_with("      ") {
            let call = calls.last_mut().unwrap_or_else(|| panic!("{place}: no call yet"));
            call.more(&place, line.trim());
        } else {
            calls.push(Call::new(&place, &line));
        }
    }
    for call in &mut calls {
        // IA2's word for the plain case.
        call.seed.get_or_insert_with(|| "allow".to_owned());
    }
    assert!(calls.is_sorted_by(|a, b| a.nr < b.nr), "syscalls.in is not sorted");
    calls
}

impl Call {
    fn new(place: &str, line: &str) -> Self {
        let mut words = line.split_whitespace();
        let mut next = || words.next().unwrap_or_else(|| panic!("{place}: too few columns"));
        let nr = next().parse().unwrap_or_else(|e| panic!("{place}: number: {e}"));
        let [name, since, category, policy] = [next(), next(), next(), next()].map(str::to_owned);
        let args = words.map(|word| Arg::new(place, word)).collect();
        let place = place.to_owned();
        let (aliases, reason) = (Vec::new(), String::new());
        let (gone, seed, seed_policy) = (false, None, None);
        Self {
            place,
            nr,
            name,
            since,
            category,
            policy,
            args,
            aliases,
            gone,
            seed,
            reason,
            seed_policy,
        }
    }

    fn more(&mut self, place: &str, line: &str) {
        let (word, rest) = cut(line);
        let need = |text: &str| {
            assert!(!text.is_empty(), "{place}: `{word}` without a reason");
            text.to_owned()
        };
        match word {
            "alias" => {
                let (alias, why) = cut(rest);
                need(why);
                self.aliases.push(alias.to_owned());
            }
            "gone" => {
                need(rest);
                self.gone = true;
            }
            "seed" => self.seed = Some(need(rest)),
            "note" => self.reason = need(rest),
            "newer" => (self.seed, self.reason) = (Some(String::new()), need(rest)),
            "was" => {
                let (policy, why) = cut(rest);
                (self.seed_policy, self.reason) = (Some(policy.to_owned()), need(why));
            }
            _ => panic!("{place}: what is `{word}`?"),
        }
    }
}

impl Arg {
    fn new(place: &str, word: &str) -> Self {
        let (names, ty) = word.split_once(':').unwrap_or_else(|| panic!("{place}: {word}"));
        let names = names.split('|').map(str::to_owned).collect();
        let inner = |open: char, close: char| {
            let (_, rest) = ty.split_once(open)?;
            Some(rest.strip_suffix(close).unwrap_or_else(|| panic!("{place}: {word}")).to_owned())
        };
        let (set, length) = (inner('<', '>'), inner('[', ']'));
        let ty = ty.split(['<', '[']).next().unwrap_or(ty).to_owned();
        Self { names, ty, set, length }
    }
}

#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) place: String,
    pub(crate) name: String,
    pub(crate) flags: bool,
    pub(crate) about: String,
    /// The sets whose members are members of this one, too.
    pub(crate) also: Vec<String>,
    pub(crate) constants: Vec<Constant>,
}

#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub(crate) name: String,
    pub(crate) value: u64,
    /// What a C program includes to know it; none if no header has it.
    pub(crate) headers: Vec<String>,
    /// The kernel whose headers have it, for those that older ones may not have.
    pub(crate) since: Option<(u32, u32)>,
}

pub(crate) fn constants() -> Vec<Set> {
    let mut sets: Vec<Set> = Vec::new();
    let mut headers: Option<Vec<String>> = None;
    for (place, line) in lines("constants.in") {
        if let Some(rest) = line.strip_prefix("set ") {
            let (name, rest) = cut(rest);
            let (kind, about) = cut(rest);
            let flags = match kind {
                "flags" => true,
                "choice" => false,
                _ => panic!("{place}: flags or choice, not `{kind}`"),
            };
            let (name, about) = (name.to_owned(), about.to_owned());
            let (also, constants) = (Vec::new(), Vec::new());
            sets.push(Set { place, name, flags, about, also, constants });
            headers = None;
            continue;
        }
        let set = sets.last_mut().unwrap_or_else(|| panic!("{place}: no set yet"));
        match cut(&line) {
            ("also", rest) => set.also = rest.split(' ').map(str::to_owned).collect(),
            ("from", "-") => headers = Some(Vec::new()),
            ("from", rest) => headers = Some(rest.split(',').map(str::to_owned).collect()),
            _ => {
                let headers = headers.as_ref().unwrap_or_else(|| panic!("{place}: from where?"));
                let words = line.split_whitespace();
                set.constants.extend(words.map(|word| Constant::new(&place, word, headers)));
            }
        }
    }
    sets
}

/// The members of a set and those of the sets in it, each name once.
pub(crate) fn members(set: &Set, sets: &[Set]) -> Vec<Constant> {
    let mut all = set.constants.clone();
    for name in &set.also {
        let inner = sets.iter().find(|inner| inner.name == *name);
        let inner = inner.unwrap_or_else(|| panic!("{}: no set {name}", set.place));
        for constant in members(inner, sets) {
            match all.iter().find(|known| known.name == constant.name) {
                None => all.push(constant),
                Some(known) => assert_eq!(known.value, constant.value, "{}", known.name),
            }
        }
    }
    all
}

impl Constant {
    fn new(place: &str, word: &str, headers: &[String]) -> Self {
        let wrong = || -> ! { panic!("{place}: `{word}`") };
        let Some((name, rest)) = word.split_once('=') else { wrong() };
        let (value, since) = match rest.split_once('@') {
            Some((value, since)) => (value, Some(since)),
            None => (rest, None),
        };
        let parsed = match (value.strip_prefix("0x"), value.strip_prefix('-')) {
            (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
            // Sign-extended: the argument's width says how much of it counts.
            (None, Some(number)) => number.parse().ok().map(u64::wrapping_neg),
            (None, None) => value.parse().ok(),
        };
        let Some(value) = parsed else { wrong() };
        let since = since.map(|since| {
            let version = since
                .split_once('.')
                .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
            version.unwrap_or_else(|| wrong())
        });
        Self { name: name.to_owned(), value, headers: headers.to_vec(), since }
    }
}

#[derive(Debug)]
pub(crate) struct CallSet {
    pub(crate) place: String,
    pub(crate) name: String,
    pub(crate) about: String,
    /// Calls and other sets.
    pub(crate) members: Vec<String>,
}

pub(crate) fn sets() -> Vec<CallSet> {
    let mut sets: Vec<CallSet> = Vec::new();
    for (place, line) in lines("sets.in") {
        if let Some(rest) = line.strip_prefix("set ") {
            let (name, about) = cut(rest);
            let (name, about) = (name.to_owned(), about.to_owned());
            sets.push(CallSet { place, name, about, members: Vec::new() });
        } else {
            let set = sets.last_mut().unwrap_or_else(|| panic!("{place}: no set yet"));
            set.members.extend(line.split_whitespace().map(str::to_owned));
        }
    }
    sets
}

/// The number of each call.
pub(crate) fn numbers() -> BTreeMap<String, u32> {
    calls().into_iter().map(|call| (call.name, call.nr)).collect()
}

/// The numbers of the members of a set and of those of the sets in it.
pub(crate) fn flatten(name: &str, sets: &[CallSet], numbers: &BTreeMap<String, u32>) -> Vec<u32> {
    let set = sets.iter().find(|set| set.name == name).unwrap_or_else(|| panic!("no set {name}"));
    let mut found = Vec::new();
    for member in &set.members {
        match member.as_str() {
            "*" => found.extend(numbers.values()),
            inner if inner.starts_with('@') => found.extend(flatten(inner, sets, numbers)),
            call => found.push(
                *numbers.get(call).unwrap_or_else(|| panic!("{}: no call {call}", set.place)),
            ),
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
