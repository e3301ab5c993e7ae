//! Constants and sets that a policy defines, and the calls that a selector means.
//!
//! A definition uses only what was defined before it, so there are no circles. A rule may stand
//! anywhere.

use super::number::{Family, Number, Numbers};
use crate::ast::{ConstValue, Element, ItemKind, Name, Selector, SelectorKind};
use crate::diag::{Diagnostic, Findings, decimal, hexadecimal, quote};
use crate::load::Program;
use crate::span::Span;
use crate::text;
use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use ia2_core::{calls, constants, near, sets};

/// Numbers from here on have bit 30: they are calls of the x32 ABI.
const X32: u64 = 0x4000_0000;

/// What a policy has given names.
#[derive(Debug, Default)]
pub(super) struct Names {
    constants: BTreeMap<String, Constant>,
    sets: BTreeMap<String, CallSet>,
    broken: Vec<String>,
    incomplete: bool,
    /// There is at least one `files` item.
    pub(super) has_files: bool,
}

/// A constant of the policy.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) span: Span,
    pub(super) meaning: Meaning,
}

/// What a constant is.
#[derive(Debug)]
pub(super) enum Meaning {
    Number(Number),
    /// The first and the last of each range.
    List(Vec<(Number, Number)>),
    /// Its definition was complained of.
    Broken,
}

#[derive(Debug)]
struct CallSet {
    span: Span,
    calls: Vec<u32>,
}

impl Names {
    pub(super) fn of(program: &Program, findings: &mut Findings) -> Self {
        let mut broken = program.broken.clone();
        broken.sort_unstable();
        let mut names = Self { broken, incomplete: program.incomplete, ..Self::default() };
        for item in &program.items {
            match &item.kind {
                ItemKind::Const { name, value } => names.define(name, value, findings),
                ItemKind::Set { name, members } => names.define_set(name, members, findings),
                _ => {}
            }
        }
        names
    }

    /// Whether a complaint about the unknown name `name` would only repeat another one.
    pub(super) fn is_excused(&self, name: &str) -> bool {
        let broken = |known: &String| known.as_str().cmp(name);
        self.incomplete || self.broken.binary_search_by(broken).is_ok()
    }

    pub(super) fn constant(&self, name: &str) -> Option<&Constant> {
        self.constants.get(name)
    }

    pub(super) fn constants(&self) -> impl Iterator<Item = &str> {
        self.constants.keys().map(String::as_str)
    }

    // ---- constants

    fn define(&mut self, name: &Name, value: &ConstValue, findings: &mut Findings) {
        if let Some(old) = self.constants.get(&name.text) {
            return findings.push(twice(name, old.span));
        }
        if let Some(taken) = taken(&name.text) {
            let message = text!(quote(&name.text), " is ", taken);
            let found = Diagnostic::new("E0210", name.span, message);
            findings.push(found.help("give the constant a name that means nothing else"));
        }
        let mut numbers = Numbers::without_call(self, findings);
        let meaning = match value {
            ConstValue::Number(value) => numbers.constant(value, Family::Any).map(Meaning::Number),
            ConstValue::List(list) => {
                let all: Vec<_> = list.iter().map(|one| range(&mut numbers, one)).collect();
                let all: Result<Vec<_>, _> = all.into_iter().collect();
                all.map(|all| Meaning::List(all.into_iter().flatten().collect()))
            }
        };
        let meaning = meaning.unwrap_or(Meaning::Broken);
        self.constants.insert(name.text.clone(), Constant { span: name.span, meaning });
    }

    // ---- sets

    fn define_set(&mut self, name: &Name, members: &[Selector], findings: &mut Findings) {
        if let Some(old) = self.sets.get(&name.text) {
            return findings.push(twice(name, old.span));
        }
        if let Some(known) = sets::by_name(&name.text) {
            let message =
                text!("there is a set ", quote(known.name), " already, as systemd has it");
            let found = Diagnostic::new("W0211", name.span, message);
            findings.push(found.help("from here on the name means this set"));
        }
        let mut all = Vec::new();
        for member in members {
            all.extend_from_slice(&self.calls(member, findings));
        }
        named_twice(members, findings);
        all.sort_unstable();
        all.dedup();
        self.sets.insert(name.text.clone(), CallSet { span: name.span, calls: all });
    }

    /// The numbers of the calls that a selector means; none if it was complained of.
    pub(super) fn calls(&self, selector: &Selector, findings: &mut Findings) -> Cow<'_, [u32]> {
        let one = |nr: u32| Cow::Owned(vec![nr]);
        let span = selector.span;
        let found = match &selector.kind {
            SelectorKind::Call(name) => match calls::number(name) {
                Some(nr) => return one(nr),
                None => unknown_call(name, span),
            },
            SelectorKind::Number(number) => {
                let nr = u32::try_from(*number).ok().filter(|_| *number < X32);
                let Some(nr) = nr else {
                    findings.push(no_number(*number, span));
                    return Cow::Borrowed(&[]);
                };
                if calls::by_nr(nr).is_none() && !selector.optional {
                    findings.push(strange_number(nr, span));
                }
                return one(nr);
            }
            SelectorKind::Set(name) => {
                if let Some(set) = self.sets.get(name) {
                    return Cow::Borrowed(&set.calls);
                }
                match sets::by_name(name) {
                    Some(set) => return Cow::Owned(set.calls.iter().collect()),
                    None if self.is_excused(name) => return Cow::Borrowed(&[]),
                    None => self.unknown_set(name, span),
                }
            }
        };
        if !selector.optional {
            findings.push(found);
        }
        Cow::Borrowed(&[])
    }

    fn unknown_set(&self, name: &str, span: Span) -> Diagnostic {
        let mine = near::nearest(name, self.sets.keys().map(String::as_str));
        let found = Diagnostic::new("E0105", span, text!("unknown set ", quote(name)));
        match mine.or_else(|| sets::nearest(name)) {
            Some(known) => found.help(text!("did you mean ", quote(known), "?")),
            None => found.help("a set is defined before it is used: `set @name = { … }`"),
        }
    }
}

fn range(
    numbers: &mut Numbers<'_>,
    one: &Element,
) -> super::number::Checked<Vec<(Number, Number)>> {
    numbers.element(one, Family::Any)
}

fn twice(name: &Name, old: Span) -> Diagnostic {
    let message = text!(quote(&name.text), " is defined twice");
    Diagnostic::new("E0209", name.span, message).also(old, "the first time")
}

/// What a name means already, so that a constant cannot have it.
fn taken(name: &str) -> Option<&'static str> {
    const WORDS: &[&str] = &[
        "NULL",
        "_",
        "files",
        "frozen",
        "protected",
        "nr",
        "ip",
        "has",
        "subset",
        "in",
        "from",
        "then",
        "else",
    ];
    if WORDS.contains(&name) {
        return Some("a word of the language");
    }
    if constants::find(name).next().is_some() {
        return Some("a constant of the kernel");
    }
    let is_raw = name.strip_prefix("arg").is_some_and(|rest| rest.len() == 1);
    let is_argument = calls::all().any(|call| call.arg(name).is_some());
    (is_raw || is_argument).then_some("the name of an argument")
}

/// Complains of names that stand twice in one list.
pub(super) fn named_twice(selectors: &[Selector], findings: &mut Findings) {
    let mut seen: BTreeMap<u32, Span> = BTreeMap::new();
    for selector in selectors {
        let nr = match &selector.kind {
            SelectorKind::Call(name) => calls::number(name),
            SelectorKind::Number(number) => u32::try_from(*number).ok(),
            SelectorKind::Set(_) => None,
        };
        let Some(nr) = nr else { continue };
        if let Some(first) = seen.get(&nr) {
            let message = text!(quote(&name_of(nr)), " is listed twice");
            let found = Diagnostic::new("W0203", selector.span, message);
            findings.push(found.also(*first, "the first time"));
        } else {
            seen.insert(nr, selector.span);
        }
    }
}

/// How a call is called: by its name, or `#500`.
pub(super) fn name_of(nr: u32) -> String {
    calls::by_nr(nr).map_or_else(|| text!("#", decimal(u64::from(nr))), |call| call.name.to_owned())
}

fn unknown_call(name: &str, span: Span) -> Diagnostic {
    let found = Diagnostic::new("E0102", span, text!("unknown system call ", quote(name)));
    match calls::nearest(name) {
        Some(known) => found.help(text!("did you mean ", quote(known), "?")),
        None => found.help(text!("if newer than the table of this version, write `?", name, "`")),
    }
}

fn no_number(number: u64, span: Span) -> Diagnostic {
    let message = text!(quote(&text!("#", hexadecimal(number))), " is no system call of x86-64");
    Diagnostic::new("E0107", span, message)
        .help("numbers with bit 30 are of the x32 ABI, and always refused")
}

fn strange_number(nr: u32, span: Span) -> Diagnostic {
    let shown = quote(&text!("#", decimal(u64::from(nr))));
    let message = match nr > calls::NEWEST {
        true => text!(shown, " is newer than the table of this version"),
        false => text!(shown, " has never been a system call"),
    };
    Diagnostic::new("W0103", span, message)
        .help("its arguments are `arg0` to `arg5`, of 64 bits each")
}
