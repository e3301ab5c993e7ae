//! Policies of minijail: `name: expression; return ERROR`, a line each.
//!
//! There are two languages of that look. `minijail0 -S` reads `name: expression; return ERROR` as: allow
//! if it holds, else the error. Minijail's policy compiler, `compile_seccomp_policy.py`, reads
//! `name: expression; action` as: the action if it holds, else go on; and it has more: several calls in
//! braces, several filters in braces, several lines for one call, `@default`, actions by name. A file that
//! uses any of these is taken for the compiler's, any other for minijail0's, and where it matters we tell.
//!
//! `arg0` to `arg5` are whole registers and compare without sign; `arg0 & X` holds if any bit of X is set,
//! `arg0 in X` if no other is.

use std::collections::BTreeMap;
use std::rc::Rc;

use ia2_core::calls::{self, Call, Kind};
use ia2_core::constants;

use super::foreign::{
    Action, Bits, Condition, Fault, Foreign, MOST_FILES, MOST_STEPS, Place, Relation, Step, Term,
    Test, call_named, too_many, unknown_name,
};
use super::scan::{Scanner, signed_number};
use super::write::name_of;

/// As deep as includes may go.
const INCLUDES: usize = 10;

/// Reads a file that an include names: relative to the file it is in.
pub(crate) type Open<'a> = &'a dyn Fn(&str, &str) -> Result<(Rc<str>, String), String>;

/// Reads a policy.
pub(crate) fn read(file: &Rc<str>, text: &str, open: Open<'_>) -> Result<Foreign, Fault> {
    let policy = |compiler| Policy {
        foreign: Foreign::new("minijail", file),
        open,
        compiler,
        mark: None,
        tells_dialect: false,
        denylist: false,
        default: None,
        lines: BTreeMap::new(),
        depth: 0,
        files: 0,
    };
    let mut plain = policy(false);
    let done = plain.file(file, text);
    let Some(mark) = plain.mark else {
        done?;
        return plain.finish();
    };
    let mut compiled = policy(true);
    compiled.file(file, text)?;
    if compiled.tells_dialect {
        let reason = "so this is for compile_seccomp_policy.py: `expression; action` is the action if the \
                      expression holds, and not, as for minijail0, if it does not";
        compiled.foreign.note(&mark.0, mark.1, reason);
    }
    compiled.finish()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A name, a number, `arg0`, `kill-process`, `@include`.
    Word(String),
    /// Everything else.
    Sign(&'static str),
}

/// Tokens of a line, and of those that it goes on in.
struct Line {
    tokens: Vec<(Place, Token)>,
    at: usize,
    end: Place,
    /// The words after an `@include`, which is a path and no tokens.
    path: Option<(Place, String)>,
}

struct Policy<'a> {
    foreign: Foreign,
    open: Open<'a>,
    /// Whether this is the policy compiler's language.
    compiler: bool,
    /// The first thing that only the policy compiler reads.
    mark: Option<(Place, String)>,
    /// Whether something means different things in both.
    tells_dialect: bool,
    denylist: bool,
    default: Option<Action>,
    lines: BTreeMap<u32, Vec<Step>>,
    depth: usize,
    files: usize,
}

const SIGNS: &[&str] = &[
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "&", "|", "=", ":", ";", ",", "~", "(", ")", "{",
    "}", "[", "]", "!",
];

/// Splits a text into lines of tokens.
fn lines(file: &Rc<str>, text: &str) -> Result<Vec<Line>, Fault> {
    let mut scanner = Scanner::new(file, text);
    let mut lines = Vec::new();
    let mut tokens: Vec<(Place, Token)> = Vec::new();
    let mut path = None;
    loop {
        let place = scanner.place();
        let Some(c) = scanner.peek() else {
            if !tokens.is_empty() {
                lines.push(Line { tokens, at: 0, end: place, path });
            }
            return Ok(lines);
        };
        let directive = matches!(
            tokens.first(),
            Some((_, Token::Word(word))) if matches!(word.as_str(), "@include" | "@frequency")
        );
        match c {
            '\n' => {
                scanner.next();
                if !tokens.is_empty() {
                    let tokens = core::mem::take(&mut tokens);
                    lines.push(Line { tokens, at: 0, end: place, path: path.take() });
                }
            }
            '#' => {
                // A comment ends at its line even after a backslash.
                scanner.take_while(|c| c != '\n');
            }
            '\\' => {
                scanner.next();
                scanner.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
                if !matches!(scanner.peek(), Some('\n') | None) {
                    return Err(Fault::new(
                        &place,
                        "a backslash that is not at the end of its line",
                    ));
                }
                scanner.next();
            }
            ' ' | '\t' | '\r' => {
                scanner.next();
            }
            '.' | '/' if directive && path.is_none() => {
                path = Some((place, scanner.take_while(|c| !c.is_whitespace()).to_owned()));
            }
            '@' | '_' | '-' | 'a'..='z' | 'A'..='Z' | '0'..='9' => {
                let word = scanner
                    .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@'));
                tokens.push((place, Token::Word(word.to_owned())));
            }
            other => match SIGNS.iter().find(|sign| scanner.eat(sign)) {
                Some(sign) => tokens.push((place, Token::Sign(sign))),
                None => return Err(Fault::new(&place, format!("unexpected '{other}'"))),
            },
        }
    }
}

impl Line {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn place(&self) -> Place {
        self.tokens.get(self.at).map_or(&self.end, |(place, _)| place).clone()
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let there = self.is(sign);
        self.at += usize::from(there);
        there
    }

    fn wrong(&self, expected: &str) -> Fault {
        let found = match self.peek() {
            Some(Token::Word(word)) => format!("'{word}'"),
            Some(Token::Sign(sign)) => format!("'{sign}'"),
            None => "the end of the line".to_owned(),
        };
        Fault::new(&self.place(), format!("expected {expected}, found {found}"))
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.eat(sign) { Ok(()) } else { Err(self.wrong(&format!("'{sign}'"))) }
    }

    fn word(&mut self, expected: &str) -> Result<(Place, String), Fault> {
        match self.tokens.get(self.at) {
            Some((place, Token::Word(word))) => {
                let found = (place.clone(), word.clone());
                self.at += 1;
                Ok(found)
            }
            _ => Err(self.wrong(expected)),
        }
    }

    fn done(&self) -> Result<(), Fault> {
        if self.at == self.tokens.len() { Ok(()) } else { Err(self.wrong("the end of the line")) }
    }
}

impl Policy<'_> {
    fn file(&mut self, file: &Rc<str>, text: &str) -> Result<(), Fault> {
        for mut line in lines(file, text)? {
            match line.peek() {
                Some(Token::Word(word)) if word == "@include" => {
                    let place = line.place();
                    let (_, path) = line.path.take().ok_or_else(|| {
                        Fault::new(&place, "expected a path that begins with '/' or './'")
                    })?;
                    self.include(&place, file, &path)?;
                }
                Some(Token::Word(word)) if word == "@frequency" => {
                    let reason = "how often calls are made does not change what a policy says";
                    self.foreign.note(&line.place(), "@frequency", reason);
                }
                Some(Token::Word(word)) if word == "@default" => {
                    self.marked(&line);
                    line.at += 1;
                    let place = line.place();
                    let action = self.action(&mut line, None)?;
                    if action.lets_through() {
                        return Err(Fault::new(
                            &place,
                            "minijail has no default that lets through",
                        ));
                    }
                    self.default = Some(action);
                    line.done()?;
                }
                Some(Token::Word(word)) if word == "@denylist" => {
                    line.at += 1;
                    self.denylist = true;
                    line.done()?;
                }
                _ => self.statement(&mut line)?,
            }
        }
        Ok(())
    }

    fn include(&mut self, place: &Place, from: &str, path: &str) -> Result<(), Fault> {
        if self.depth == INCLUDES || self.files == MOST_FILES {
            let reason =
                format!("includes more than {INCLUDES} deep, or of more than {MOST_FILES} files");
            return Err(Fault::new(place, reason));
        }
        self.files += 1;
        let (name, text) = (self.open)(from, path).map_err(|error| Fault::new(place, error))?;
        self.depth += 1;
        self.file(&name, &text)?;
        self.depth -= 1;
        Ok(())
    }

    /// `calls : filter`
    fn statement(&mut self, line: &mut Line) -> Result<(), Fault> {
        let start = line.place();
        let mut calls = Vec::new();
        if line.is("{") {
            self.marked(line);
        }
        if line.eat("{") {
            loop {
                calls.extend(self.call(line)?);
                if !line.eat(",") {
                    break;
                }
            }
            line.expect("}")?;
        } else {
            calls.extend(self.call(line)?);
        }
        line.expect(":")?;
        let mut filters = Vec::new();
        // A filter is the same for all calls but for the constants, which may be of one argument's set.
        let first = calls.first().copied();
        if line.is("{") {
            self.marked(line);
        }
        if line.eat("{") {
            loop {
                filters.extend(self.filter(line, first)?);
                if !line.eat(",") {
                    break;
                }
            }
            line.expect("}")?;
        } else {
            filters.extend(self.filter(line, first)?);
        }
        line.done()?;
        for call in calls {
            let steps = self.lines.entry(call.nr).or_default();
            for (when, action) in &filters {
                if let Some(last) = steps.last()
                    && last.when == Condition::True
                {
                    let reason = format!(
                        "line {} has already decided {} whatever its arguments",
                        last.place.line, call.name
                    );
                    return Err(Fault::new(&start, reason));
                }
                if steps.len() == MOST_STEPS {
                    return Err(Fault::new(&start, too_many()));
                }
                steps.push(Step {
                    when: when.clone(),
                    action: *action,
                    place: start.clone(),
                    label: "".into(),
                });
            }
        }
        Ok(())
    }

    /// The calls that a name with its `[arch=…]` stands for.
    fn call(&mut self, line: &mut Line) -> Result<Vec<Call>, Fault> {
        let (place, name) = line.word("the name of a call")?;
        if line.is("[") {
            self.marked(line);
        }
        if line.eat("[") {
            let mut here = true;
            loop {
                let (_, key) = line.word("a word")?;
                line.expect("=")?;
                let mut values = Vec::new();
                loop {
                    values.push(line.word("a word")?.1);
                    if !line.eat(",") {
                        break;
                    }
                }
                if key == "arch" {
                    here = values.iter().any(|arch| arch == "x86_64");
                }
                if !line.eat(";") {
                    break;
                }
            }
            line.expect("]")?;
            if !here {
                return Ok(Vec::new());
            }
        }
        if name.contains('@') {
            let reason = "groups of calls are in minijail's own files, which are not read";
            self.foreign.lose(&place, name, reason);
            return Ok(Vec::new());
        }
        if let Some(nr) = signed_number(&name) {
            let call = u32::try_from(nr).ok().and_then(calls::by_nr);
            return match call {
                Some(call) => Ok(vec![call]),
                None => Err(Fault::new(&place, format!("no call has number {name}"))),
            };
        }
        match call_named(&name) {
            Some(call) => Ok(vec![call]),
            None => {
                // minijail0 stops there; policies for several machines are common all the same.
                self.foreign.lose(&place, name.clone(), unknown_name(&name));
                Ok(Vec::new())
            }
        }
    }

    /// `action`, or `expression [; action]`, as steps.
    fn filter(
        &mut self,
        line: &mut Line,
        call: Option<Call>,
    ) -> Result<Vec<(Condition, Action)>, Fault> {
        let is_argument =
            matches!(line.peek(), Some(Token::Word(word)) if argument(word).is_some());
        if !is_argument {
            return Ok(vec![(Condition::True, self.action(line, call)?)]);
        }
        let mut clauses = Vec::new();
        loop {
            let mut atoms = Vec::new();
            loop {
                atoms.push(self.atom(line, call)?);
                if !line.eat("&&") {
                    break;
                }
            }
            clauses.push(Condition::all(atoms));
            if !line.eat("||") {
                break;
            }
        }
        let when = Condition::any(clauses);
        if !line.eat(";") {
            return Ok(vec![(when, Action::Allow)]);
        }
        let action = self.action(line, call)?;
        self.tells_dialect = true;
        if self.compiler {
            Ok(vec![(when, action)])
        } else {
            Ok(vec![(when, Action::Allow), (Condition::True, action)])
        }
    }

    fn atom(&mut self, line: &mut Line, call: Option<Call>) -> Result<Condition, Fault> {
        let (place, word) = line.word("an argument")?;
        let index = argument(&word)
            .ok_or_else(|| Fault::new(&place, format!("expected arg0 to arg5, found '{word}'")))?;
        let relation = match line.peek() {
            Some(Token::Word(word)) if word == "in" => {
                line.at += 1;
                let value = self.value(line, call, index, 0)?;
                return Ok(Condition::masked(index, !value, 0));
            }
            Some(Token::Sign("&")) => {
                line.at += 1;
                let value = self.value(line, call, index, 0)?;
                let (left, right) = (Term::masked(index, value), Term::Number(0));
                let bits = Bits::All64;
                return Ok(Condition::Test(Test { left, relation: Relation::Ne, right, bits }));
            }
            Some(Token::Sign("==")) => Relation::Eq,
            Some(Token::Sign("!=")) => Relation::Ne,
            Some(Token::Sign("<")) => Relation::Lt,
            Some(Token::Sign("<=")) => Relation::Le,
            Some(Token::Sign(">")) => Relation::Gt,
            Some(Token::Sign(">=")) => Relation::Ge,
            _ => return Err(line.wrong("a comparison")),
        };
        line.at += 1;
        let value = self.value(line, call, index, 0)?;
        Ok(Condition::compare(index, relation, value))
    }

    /// Constants with `|` between them.
    fn value(
        &mut self,
        line: &mut Line,
        call: Option<Call>,
        index: u8,
        depth: u32,
    ) -> Result<u64, Fault> {
        if depth > 32 {
            return Err(Fault::new(&line.place(), "more than 32 parentheses deep"));
        }
        let mut value = 0;
        loop {
            let negated = line.eat("~");
            let one = if line.eat("(") {
                let one = self.value(line, call, index, depth + 1)?;
                line.expect(")")?;
                one
            } else {
                self.constant(line, call, index)?
            };
            value |= if negated { !one } else { one };
            if !line.eat("|") {
                return Ok(value);
            }
        }
    }

    fn constant(&mut self, line: &mut Line, call: Option<Call>, index: u8) -> Result<u64, Fault> {
        let (place, word) = line.word("a number or a constant")?;
        if word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return signed_number(&word)
                .ok_or_else(|| Fault::new(&place, format!("{word} is not a number of 64 bits")));
        }
        let arg = call.and_then(|call| call.args.get(usize::from(index)).copied());
        let own = arg.and_then(|arg| arg.set).and_then(|set| set.value(&word));
        let mut all: Vec<u64> = constants::find(&word).map(|(_, value)| value).collect();
        all.sort_unstable();
        all.dedup();
        match (own, &all[..]) {
            (Some(value), _) => Ok(value),
            (None, [value]) => Ok(*value),
            (None, []) => {
                let near = constants::nearest(&word);
                let help = near.map_or_else(String::new, |near| format!(": is {near} meant?"));
                Err(Fault::new(&place, format!("unknown constant {word}{help}")))
            }
            (None, _) => {
                Err(Fault::new(&place, format!("{word} has several values: write the number")))
            }
        }
    }

    fn action(&mut self, line: &mut Line, call: Option<Call>) -> Result<Action, Fault> {
        let (place, word) = line.word("an action")?;
        if !matches!(word.as_str(), "allow" | "1" | "return") && self.mark.is_none() {
            self.mark = Some((place.clone(), word.clone()));
        }
        if self.denylist && word != "return" {
            return Err(Fault::new(&place, "a denylist has only `return`"));
        }
        Ok(match word.as_str() {
            "allow" | "1" => Action::Allow,
            "kill" => self.kill(&place),
            "kill-process" => Action::KillProcess,
            "kill-thread" => Action::KillThread,
            "trap" => Action::Trap(0),
            "trace" => Action::Trace(0),
            "log" => Action::Log,
            "user-notify" => {
                let reason = "no process is asked about calls in this version: the result is errno \
                              ENOSYS, as from the kernel when nobody listens";
                self.foreign.lose(&place, "user-notify", reason);
                Action::Errno(38)
            }
            "return" => {
                let place = line.place();
                let name = match line.peek() {
                    Some(Token::Word(name)) => constants::errno(name),
                    _ => None,
                };
                let value = match name {
                    Some(value) => {
                        line.at += 1;
                        value
                    }
                    None => {
                        let value = self.constant(line, call, u8::MAX)?;
                        u16::try_from(value).ok().filter(|value| *value <= 4095).ok_or_else(
                            || {
                                Fault::new(
                                    &place,
                                    format!("{value} is not an error number: they end at 4095"),
                                )
                            },
                        )?
                    }
                };
                Action::Errno(value)
            }
            other => return Err(Fault::new(&place, format!("unknown action {other}"))),
        })
    }

    /// Remembers that the next token is none for minijail0.
    fn marked(&mut self, line: &Line) {
        if self.mark.is_none()
            && let Some((place, token)) = line.tokens.get(line.at)
        {
            let text = match token {
                Token::Word(word) => word.clone(),
                Token::Sign(sign) => (*sign).to_owned(),
            };
            self.mark = Some((place.clone(), text));
        }
    }

    /// What `kill` means is not in the file.
    fn kill(&mut self, place: &Place) -> Action {
        if !self.foreign.losses.iter().any(|loss| loss.what == "kill") {
            let reason = "of the thread, as by minijail unless it is told otherwise when it starts";
            self.foreign.note(place, "kill", reason);
        }
        Action::KillThread
    }

    fn finish(mut self) -> Result<Foreign, Fault> {
        let start = Place { file: Rc::clone(&self.foreign.file), line: 1, column: 1 };
        self.foreign.default = match self.default {
            Some(action) => action,
            None if self.denylist => Action::Allow,
            None => {
                let reason = "calls that are not named kill the thread, as by minijail unless it is told \
                              otherwise when it starts";
                self.foreign.note(&start, "no @default", reason);
                Action::KillThread
            }
        };
        self.foreign.unknown = self.foreign.default;
        self.foreign.calls = core::mem::take(&mut self.lines);
        pointers(&mut self.foreign);
        Ok(self.foreign)
    }
}

/// Tells of comparisons of pointers, which say where something lies and not what it is.
fn pointers(foreign: &mut Foreign) {
    let mut found = Vec::new();
    for (nr, steps) in &foreign.calls {
        let Some(call) = calls::by_nr(*nr) else { continue };
        for step in steps {
            super::settle::each_test(&step.when, &mut |test| {
                test.left.arguments(&mut |index| {
                    let arg = call.args.get(usize::from(index));
                    let path = arg.is_some_and(|arg| matches!(arg.kind, Kind::Path | Kind::Str));
                    if path && test.right != Term::Number(0) {
                        found.push((step.place.clone(), format!("{}: arg{index}", name_of(*nr))));
                    }
                });
            });
        }
    }
    for (place, what) in found {
        foreign.note(&place, what, "this compares the address of a text, not the text");
    }
}

/// The index of `arg0` to `arg5`.
fn argument(word: &str) -> Option<u8> {
    match word.strip_prefix("arg")?.as_bytes() {
        [digit @ b'0'..=b'5'] => Some(digit - b'0'),
        _ => None,
    }
}
