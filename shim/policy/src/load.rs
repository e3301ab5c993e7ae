//! From the name of a policy to the policy: reads a text and everything it includes, then checks.

use crate::ast::{File, Header, Item, ItemKind, Test};
use crate::check;
use crate::diag::{Diagnostic, Findings, decimal, quote};
use crate::parse::{self, name_of_table};
use crate::policy::{Policy, Source};
use crate::source::{BUILT_IN, COMMAND_LINE, Sources};
use crate::span::Span;
use crate::text;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// Includes in includes.
const DEEPEST: usize = 16;
/// Texts of one policy.
const MOST: usize = 256;
/// Includes of one policy, with those of texts that are there already.
const OFTEN: usize = 1024;
/// Bytes of one text: far more than a policy has, far less than places can count.
const LONGEST: usize = 16 << 20;

/// All texts of a policy, as one.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// The first line of the first text.
    pub(crate) header: Option<Header>,
    /// All items, an included text's at the place of the `include`.
    pub(crate) items: Vec<Item>,
    /// The tests of the first text and of a command line: what others say of themselves need not hold here.
    pub(crate) tests: Vec<Test>,
    /// Names whose definition was not understood.
    pub(crate) broken: Vec<String>,
    /// Something could not be read: whatever is missing may be there.
    pub(crate) incomplete: bool,
    /// The texts that come from a command line.
    pub(crate) command_line: Vec<u16>,
    /// `(above, below)`: which text includes which, at once or through others. Sorted.
    includes: Vec<(u16, u16)>,
}

impl Program {
    /// Whether text `above` includes text `below`.
    pub(crate) fn includes(&self, above: u16, below: u16) -> bool {
        self.includes.binary_search(&(above, below)).is_ok()
    }

    /// Whether text `file` comes from a command line.
    pub(crate) fn is_command_line(&self, file: u16) -> bool {
        self.command_line.contains(&file)
    }

    /// Whether there is an `include` in text `file`.
    pub(crate) fn has_includes(&self, file: u16) -> bool {
        self.includes.iter().any(|(above, _)| *above == file)
    }

    /// Makes `includes` speak of everything that is reached.
    fn close(&mut self) {
        let mut direct = core::mem::take(&mut self.includes);
        direct.sort_unstable();
        direct.dedup();
        let mut all = Vec::new();
        for start in 0..u16::try_from(MOST).unwrap_or(u16::MAX) {
            let mut reached: Vec<u16> = alloc::vec![start];
            let mut next = 0usize;
            while let Some(at) = reached.get(next).copied() {
                next = next.saturating_add(1);
                for (_, below) in direct.iter().filter(|(above, _)| *above == at) {
                    if !reached.contains(below) {
                        reached.push(*below);
                    }
                }
            }
            all.extend(reached.iter().skip(1).map(|below| (start, *below)));
        }
        all.sort_unstable();
        self.includes = all;
    }
}

/// Reads and checks a policy. Gives every finding, the policy unless one of them is an error, and
/// the texts that the findings point into.
pub fn load(
    name: &str,
    sources: &mut dyn Sources,
) -> (Option<Policy>, Vec<Diagnostic>, Vec<Source>) {
    load_with(name, &[""; 0], sources)
}

/// As [`load()`], with rules of a command line: texts that include the policy, and whose rules take calls
/// from its rules without the word `override`. Their names are [`COMMAND_LINE`] and their number, from 1.
pub fn load_with(
    name: &str,
    rules: &[impl AsRef<str>],
    sources: &mut dyn Sources,
) -> (Option<Policy>, Vec<Diagnostic>, Vec<Source>) {
    let mut loader = Loader {
        sources,
        texts: Vec::new(),
        ids: Vec::new(),
        includes: 0,
        stack: Vec::new(),
        program: Program::default(),
        findings: Findings::default(),
    };
    loader.first(name);
    for (text, number) in rules.iter().zip(1u64..) {
        loader.command_line(text.as_ref(), number);
    }
    let Loader { texts, mut program, mut findings, .. } = loader;
    program.close();
    let policy = check::check(&program, &texts, &mut findings);
    (policy, findings.sorted(), texts)
}

struct Loader<'a> {
    sources: &'a mut dyn Sources,
    texts: Vec<Source>,
    /// Of each text.
    ids: Vec<u128>,
    /// How many includes there were.
    includes: usize,
    /// The texts that are being read, the first one first.
    stack: Vec<u16>,
    program: Program,
    findings: Findings,
}

impl Loader<'_> {
    fn first(&mut self, name: &str) {
        let read = match self.sources.read(name, None) {
            Ok(read) => read,
            Err(unreadable) => {
                self.texts.push(Source { name: name.to_owned(), text: String::new() });
                self.program.incomplete = true;
                let message = text!("cannot read ", quote(name), ": ", unreadable.why);
                self.findings.push(Diagnostic::new("E0601", Span::default(), message));
                return;
            }
        };
        let name = read.name.clone();
        self.text(read.name, read.text, read.id, |loader, file| {
            loader.program.header.clone_from(&file.header);
            loader.program.tests.clone_from(&file.tests);
            if file.is_table {
                let name = name_of_table(&name);
                let header = Header { span: Span::default(), name, version: 1 };
                loader.program.header = Some(header);
            } else if file.header.is_none() && !file.headless {
                let start = file.items.first().map_or_else(Span::default, |item| item.span);
                let span = Span { end: start.start, ..start };
                let message = "a policy begins with `policy NAME version N`".to_owned();
                loader.findings.push(Diagnostic::new("E0002", span, message));
            }
        });
    }

    /// A text that was given as number `number` of a command line. It outranks the first text as if it
    /// included it, and stands behind it, so that it can use what is defined there.
    fn command_line(&mut self, text: &str, number: u64) {
        let file = u16::try_from(self.texts.len()).unwrap_or(u16::MAX);
        if self.texts.len() >= MOST {
            return self.fail(too_many(Span::default()));
        }
        self.program.command_line.push(file);
        self.program.includes.push((file, 0));
        // No device has this number.
        let id = u128::from(u64::MAX - 1) << 64 | u128::from(number);
        let name = text!(COMMAND_LINE, " ", decimal(number));
        self.text(name, text.to_owned(), id, |loader, file| {
            loader.program.tests.extend_from_slice(&file.tests);
        });
    }

    /// Parses a text and reads what it includes.
    fn text(&mut self, name: String, text: String, id: u128, first: impl FnOnce(&mut Self, &File)) {
        let number = u16::try_from(self.texts.len()).unwrap_or(u16::MAX);
        let source = Source { name, text };
        let file = if source.text.len() > LONGEST {
            let span = Span { file: number, start: 0, end: 0 };
            let found = Diagnostic::new("E0012", span, "a text of more than 16 MiB".to_owned());
            self.findings.push(found);
            self.program.incomplete = true;
            File { headless: true, ..File::default() }
        } else {
            parse::parse(&source.text, number, &mut self.findings)
        };
        self.texts.push(source);
        self.ids.push(id);
        self.stack.push(number);
        first(self, &file);
        self.program.broken.extend(file.broken);
        for item in file.items {
            match &item.kind {
                ItemKind::Include(name) => self.include(&name.text, name.span),
                ItemKind::Use(name) => self.include(&text!(BUILT_IN, name.text), name.span),
                _ => self.program.items.push(item),
            }
        }
        self.stack.pop();
    }

    fn include(&mut self, name: &str, span: Span) {
        self.includes = self.includes.saturating_add(1);
        if self.includes > OFTEN {
            return self.fail(too_many(span));
        }
        let from = self.texts.get(usize::from(span.file)).map(|source| source.name.clone());
        let read = match self.sources.read(name, from.as_deref()) {
            Ok(read) => read,
            Err(unreadable) => {
                let mut found = Diagnostic::new(
                    "E0601",
                    span,
                    text!("cannot read ", quote(name), ": ", unreadable.why),
                );
                if let Some(short) = name.strip_prefix(BUILT_IN) {
                    let known = crate::source::POLICIES.iter().map(|(known, _)| *known);
                    if let Some(known) = ia2_core::near::nearest(short, known) {
                        found = found.help(text!("did you mean ", quote(known), "?"));
                    }
                }
                return self.fail(found);
            }
        };
        let known = self.ids.iter().zip(0u16..).find(|(id, _)| **id == read.id);
        if let Some((_, known)) = known {
            if self.stack.contains(&known) {
                let message = text!(quote(name), " includes itself");
                return self.fail(Diagnostic::new("E0602", span, message));
            }
            // A second time adds nothing.
            self.program.includes.push((span.file, known));
            return;
        }
        if self.stack.len() >= DEEPEST || self.texts.len() >= MOST {
            return self.fail(too_many(span));
        }
        let number = u16::try_from(self.texts.len()).unwrap_or(u16::MAX);
        self.program.includes.push((span.file, number));
        self.text(read.name, read.text, read.id, |_, _| {});
    }

    fn fail(&mut self, found: Diagnostic) {
        self.program.incomplete = true;
        self.findings.push(found);
    }
}

fn too_many(span: Span) -> Diagnostic {
    let message = "too many includes".to_owned();
    let help = "at most 16 in one another, 256 texts, and 1024 includes in all";
    Diagnostic::new("E0603", span, message).help(help)
}
