//! Policies of Kafel, the language of nsjail and Sandboxed API.
//!
//! A file defines constants and policies, and says which policies are in force; a policy is a list of
//! actions with calls in braces, and the first that matches decides. A comma between the conditions of
//! a call means *or*.
//!
//! Numbers have no sign. A comparison is of 32 bits if every argument in it is declared as such and no
//! number needs more, else of 64. A call with arguments of its own, `ioctl(fd, request, what)`, has names
//! for whole registers. Kafel knows no constants of the kernel; if one is used without being defined we
//! take the kernel's value, and tell.
//!
//! More is read than Kafel reads, where programs of the same language are lenient: `USE a, b`, and lists
//! without commas between blocks.

use std::collections::BTreeMap;
use std::rc::Rc;

use ia2_core::calls::{self, Call, Width};
use ia2_core::constants;

use super::foreign::{
    Action, Bits, Condition, Fault, Foreign, MOST_FILES, Place, Relation, Step, Term, Test,
};
use super::minijail::Open;
use super::scan::{Scanner, signed_number};

/// As deep as includes may go.
const INCLUDES: usize = 16;

/// As deep as parentheses may go.
const DEPTH: u32 = 64;

/// The first number that never reaches a policy: those of x32.
const X32: u32 = 0x4000_0000;

/// Reads a file and what it includes.
pub(crate) fn read(file: &Rc<str>, text: &str, open: Open<'_>) -> Result<Foreign, Fault> {
    let mut tokens = Vec::new();
    tokenize(file, text, open, &mut Depth { depth: 0, files: 0 }, &mut tokens)?;
    let end = tokens.last().map_or_else(
        || Place { file: Rc::clone(file), line: 1, column: 1 },
        |(place, _): &(Place, Token)| place.clone(),
    );
    let mut parser = Parser {
        foreign: Foreign::new("Kafel", file),
        tokens,
        at: 0,
        end,
        constants: BTreeMap::new(),
        policies: BTreeMap::new(),
        main: Vec::new(),
        default: None,
    };
    parser.file()?;
    parser.finish()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Number(u64),
    Sign(&'static str),
}

const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "||", "&&", "<", ">", "|", "&", "(", ")", "{", "}", "[", "]", ",", "!",
    "#",
];

/// How far includes have gone.
struct Depth {
    depth: usize,
    files: usize,
}

fn tokenize(
    file: &Rc<str>,
    text: &str,
    open: Open<'_>,
    depth: &mut Depth,
    tokens: &mut Vec<(Place, Token)>,
) -> Result<(), Fault> {
    let mut scanner = Scanner::new(file, text);
    while let Some(c) = scanner.peek() {
        let place = scanner.place();
        if c.is_ascii_whitespace() {
            scanner.next();
        } else if scanner.eat("//") {
            scanner.take_while(|c| c != '\n');
        } else if scanner.eat("/*") {
            while !scanner.eat("*/") {
                if scanner.next().is_none() {
                    return Err(Fault::new(&place, "a comment without an end"));
                }
            }
        } else if scanner.eat("#include") {
            include(&mut scanner, file, open, depth, tokens)?;
        } else if c.is_ascii_digit() || c == '-' {
            scanner.next();
            let rest = scanner.take_while(|c| c.is_ascii_alphanumeric());
            let text = format!("{c}{rest}");
            let number = signed_number(&text)
                .ok_or_else(|| Fault::new(&place, format!("{text} is not a number of 64 bits")))?;
            tokens.push((place, Token::Number(number)));
        } else if c.is_ascii_alphabetic() || c == '_' {
            let name = scanner.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            tokens.push((place, Token::Name(name.to_owned())));
        } else if let Some(sign) = SIGNS.iter().find(|sign| scanner.eat(sign)) {
            tokens.push((place, Token::Sign(sign)));
        } else {
            return Err(Fault::new(&place, format!("unexpected '{c}'")));
        }
    }
    Ok(())
}

/// Files in quotes, up to the end of the line or a semicolon.
fn include(
    scanner: &mut Scanner<'_>,
    file: &Rc<str>,
    open: Open<'_>,
    depth: &mut Depth,
    tokens: &mut Vec<(Place, Token)>,
) -> Result<(), Fault> {
    let start = scanner.place();
    if depth.depth == INCLUDES || depth.files == MOST_FILES {
        let reason =
            format!("includes more than {INCLUDES} deep, or of more than {MOST_FILES} files");
        return Err(Fault::new(&start, reason));
    }
    loop {
        scanner.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
        let place = scanner.place();
        if scanner.eat("\"") {
            let path = scanner.take_while(|c| c != '"' && c != '\n');
            if !scanner.eat("\"") {
                return Err(Fault::new(&place, "a name without an end"));
            }
            let (name, text) = open(file, path).map_err(|error| Fault::new(&place, error))?;
            depth.depth += 1;
            depth.files += 1;
            tokenize(&name, &text, open, depth, tokens)?;
            depth.depth -= 1;
        } else if scanner.eat(";") || scanner.eat("\n") || scanner.peek().is_none() {
            return Ok(());
        } else {
            return Err(Fault::new(&place, "expected the name of a file in quotes"));
        }
    }
}

/// One rule: a call, its condition, what then.
#[derive(Clone)]
struct Entry {
    nr: u32,
    step: Step,
}

struct Parser {
    foreign: Foreign,
    tokens: Vec<(Place, Token)>,
    at: usize,
    end: Place,
    constants: BTreeMap<String, u64>,
    policies: BTreeMap<String, Vec<Entry>>,
    main: Vec<Entry>,
    default: Option<Action>,
}

/// What the arguments of a call are called.
struct Arguments {
    call: Option<Call>,
    own: Option<Vec<String>>,
}

impl Parser {
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

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if found == word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.at += usize::from(there);
        there
    }

    fn wrong(&self, expected: &str) -> Fault {
        let found = match self.peek() {
            Some(Token::Name(name)) => format!("'{name}'"),
            Some(Token::Number(number)) => number.to_string(),
            Some(Token::Sign(sign)) => format!("'{sign}'"),
            None => "the end of the file".to_owned(),
        };
        Fault::new(&self.place(), format!("expected {expected}, found {found}"))
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.eat(sign) { Ok(()) } else { Err(self.wrong(&format!("'{sign}'"))) }
    }

    fn name(&mut self, expected: &str) -> Result<(Place, String), Fault> {
        match self.tokens.get(self.at) {
            Some((place, Token::Name(name))) => {
                let found = (place.clone(), name.clone());
                self.at += 1;
                Ok(found)
            }
            _ => Err(self.wrong(expected)),
        }
    }

    fn number(&mut self) -> Result<u64, Fault> {
        match self.peek() {
            Some(Token::Number(number)) => {
                let number = *number;
                self.at += 1;
                Ok(number)
            }
            Some(Token::Name(name)) => match self.constants.get(name) {
                Some(number) => {
                    self.at += 1;
                    Ok(*number)
                }
                None => Err(self.wrong("a number")),
            },
            _ => Err(self.wrong("a number")),
        }
    }

    fn file(&mut self) -> Result<(), Fault> {
        while self.peek().is_some() {
            if self.eat("#") {
                self.define()?;
            } else if self.eat_word("POLICY") {
                let (place, name) = self.name("the name of a policy")?;
                if self.policies.contains_key(&name) {
                    return Err(Fault::new(&place, format!("a second policy {name}")));
                }
                self.expect("{")?;
                let mut entries = Vec::new();
                while !self.eat("}") {
                    self.statement(&mut entries)?;
                    self.eat(",");
                }
                self.policies.insert(name, entries);
            } else if self.is_word("DEFAULT") {
                let place = self.place();
                self.at += 1;
                let action = self.action()?;
                if self.default.replace(action).is_some() {
                    return Err(Fault::new(&place, "a second DEFAULT"));
                }
            } else {
                let mut entries = core::mem::take(&mut self.main);
                self.statement(&mut entries)?;
                self.main = entries;
                self.eat(",");
            }
        }
        Ok(())
    }

    /// `#define NAME NUMBER`
    fn define(&mut self) -> Result<(), Fault> {
        if !self.eat_word("define") {
            return Err(self.wrong("define or include"));
        }
        let (place, name) = self.name("a name")?;
        let mut value = self.number()?;
        while self.eat("|") {
            value |= self.number()?;
        }
        match self.constants.insert(name.clone(), value) {
            Some(known) if known != value => {
                Err(Fault::new(&place, format!("a second {name}, with another value")))
            }
            _ => Ok(()),
        }
    }

    /// `USE policy` or `ACTION { calls }`
    fn statement(&mut self, entries: &mut Vec<Entry>) -> Result<(), Fault> {
        if self.eat_word("USE") {
            loop {
                let (place, name) = self.name("the name of a policy")?;
                let used = self.policies.get(&name).ok_or_else(|| {
                    Fault::new(&place, format!("no policy {name} is defined before this"))
                })?;
                entries.extend(used.iter().cloned());
                // `USE a, b`: what follows is a name, and no word of the language.
                let next = self.tokens.get(self.at + 1).map(|(_, token)| token);
                let more = matches!(next, Some(Token::Name(name)) if !is_keyword(name));
                if !(self.is(",") && more) {
                    return Ok(());
                }
                self.at += 1;
            }
        }
        let place = self.place();
        let action = self.action()?;
        let label: Rc<str> = match &self.tokens.get(self.at.wrapping_sub(1)) {
            Some((_, Token::Name(name))) => name.as_str().into(),
            _ => "".into(),
        };
        self.expect("{")?;
        while !self.eat("}") {
            self.rule(action, &place, &label, entries)?;
            if !self.eat(",") && !self.is("}") {
                return Err(self.wrong("',' or '}'"));
            }
        }
        Ok(())
    }

    fn action(&mut self) -> Result<Action, Fault> {
        let (place, name) = self.name("an action")?;
        let simple = match name.as_str() {
            "ALLOW" => Some(Action::Allow),
            "LOG" => Some(Action::Log),
            "KILL" | "KILL_THREAD" | "DENY" => Some(Action::KillThread),
            "KILL_PROCESS" => Some(Action::KillProcess),
            "USER_NOTIF" => {
                let reason = "no process is asked about calls in this version: the result is errno \
                              ENOSYS, as from the kernel when nobody listens";
                self.foreign.lose(&place, "USER_NOTIF", reason);
                Some(Action::Errno(38))
            }
            "ERRNO" | "TRAP" | "TRACE" => None,
            _ => return Err(Fault::new(&place, format!("unknown action {name}"))),
        };
        if let Some(action) = simple {
            return Ok(action);
        }
        self.expect("(")?;
        let at = self.place();
        let data = match self.peek() {
            // Kafel knows numbers only.
            Some(Token::Name(error)) if !self.constants.contains_key(error) => {
                let value = constants::errno(error).filter(|_| name == "ERRNO");
                let value = value.ok_or_else(|| self.wrong("a number"))?;
                self.at += 1;
                u64::from(value)
            }
            _ => self.number()?,
        };
        self.expect(")")?;
        let data = u16::try_from(data)
            .map_err(|_| Fault::new(&at, format!("{data} does not fit: the most is 65535")))?;
        Ok(match name.as_str() {
            "ERRNO" if data > 4095 => {
                self.foreign.note(&at, format!("ERRNO({data})"), "the kernel makes that 4095");
                Action::Errno(4095)
            }
            "ERRNO" => Action::Errno(data),
            "TRACE" => Action::Trace(data),
            _ => Action::Trap(data),
        })
    }

    /// `call`, `call { condition }`, `call(names) { condition }`
    fn rule(
        &mut self,
        action: Action,
        block: &Place,
        label: &Rc<str>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), Fault> {
        let place = self.place();
        let nr = self.call()?;
        let mut arguments = Arguments { call: nr.and_then(calls::by_nr), own: None };
        let mut here = self.guard()?;
        if self.eat("(") {
            let mut own: Vec<String> = Vec::new();
            while !self.eat(")") {
                let (place, name) = self.name("the name of an argument")?;
                if own.contains(&name) {
                    return Err(Fault::new(&place, format!("a second argument {name}")));
                }
                if own.len() == 6 {
                    return Err(Fault::new(&place, "a call has six arguments at most"));
                }
                own.push(name);
                if !self.eat(",") && !self.is(")") {
                    return Err(self.wrong("',' or ')'"));
                }
            }
            arguments.own = Some(own);
        }
        here &= self.guard()?;
        let mut when = Condition::True;
        if self.eat("{") && !self.eat("}") {
            when = self.any(&arguments, 0)?;
            self.expect("}")?;
        }
        here &= self.guard()?;
        // A whole block of names has the block's place: they make one rule.
        let (at, label) = if when == Condition::True {
            (block.clone(), Rc::clone(label))
        } else {
            (place, "".into())
        };
        if let Some(nr) = nr
            && here
        {
            entries.push(Entry { nr, step: Step { when, action, place: at, label } });
        }
        Ok(())
    }

    /// `ON x86_64` or `ON { x86, x86_64 }`: whether we are meant.
    fn guard(&mut self) -> Result<bool, Fault> {
        if !self.eat_word("ON") {
            return Ok(true);
        }
        let ours = |name: &str| matches!(name, "x86_64" | "amd64");
        if !self.eat("{") {
            return Ok(ours(&self.name("an architecture")?.1));
        }
        let mut any = false;
        while !self.eat("}") {
            any |= ours(&self.name("an architecture")?.1);
            self.eat(",");
        }
        Ok(any)
    }

    /// A call by name, by constant, or as `SYSCALL[number]`; `None` for one that is never seen.
    fn call(&mut self) -> Result<Option<u32>, Fault> {
        let place = self.place();
        let number = if self.eat_word("SYSCALL") {
            self.expect("[")?;
            let number = self.number()?;
            self.expect("]")?;
            number
        } else {
            let (place, name) = self.name("a call")?;
            match self.constants.get(&name) {
                Some(number) => *number,
                None => {
                    let call = calls::by_name(&name).ok_or_else(|| {
                        let near = calls::nearest(&name);
                        let help =
                            near.map_or_else(String::new, |near| format!(": is {near} meant?"));
                        Fault::new(&place, format!("unknown call {name}{help}"))
                    })?;
                    u64::from(call.nr)
                }
            }
        };
        // Kafel keeps the lower half.
        let nr = number as u32;
        if nr >= X32 {
            let reason = "such numbers are refused before a policy is asked";
            self.foreign.lose(&place, format!("SYSCALL[{}]", number.cast_signed()), reason);
            return Ok(None);
        }
        Ok(Some(nr))
    }

    /// Conditions with commas between them, which mean *or* as `||` does.
    fn any(&mut self, arguments: &Arguments, depth: u32) -> Result<Condition, Fault> {
        if depth > DEPTH {
            return Err(Fault::new(&self.place(), format!("more than {DEPTH} parentheses deep")));
        }
        let mut parts = vec![self.all(arguments, depth)?];
        while self.eat(",") || self.eat("||") {
            parts.push(self.all(arguments, depth)?);
        }
        Ok(Condition::any(parts))
    }

    fn all(&mut self, arguments: &Arguments, depth: u32) -> Result<Condition, Fault> {
        let mut parts = vec![self.one(arguments, depth)?];
        while self.eat("&&") {
            parts.push(self.one(arguments, depth)?);
        }
        Ok(Condition::all(parts))
    }

    fn one(&mut self, arguments: &Arguments, depth: u32) -> Result<Condition, Fault> {
        if depth > DEPTH {
            return Err(Fault::new(&self.place(), format!("more than {DEPTH} deep")));
        }
        if self.eat("!") {
            return Ok(Condition::Not(Box::new(self.one(arguments, depth + 1)?)));
        }
        // A parenthesis begins a condition or a number: what is behind it tells.
        if self.is("(") {
            let (start, losses) = (self.at, self.foreign.losses.len());
            self.at += 1;
            if let Ok(inner) = self.any(arguments, depth + 1)
                && self.eat(")")
                && !self.is_arithmetic()
            {
                return Ok(inner);
            }
            self.at = start;
            self.foreign.losses.truncate(losses);
        }
        let (left, wide_left) = self.sum(arguments, depth)?;
        let relation = match self.peek() {
            Some(Token::Sign("==")) => Relation::Eq,
            Some(Token::Sign("!=")) => Relation::Ne,
            Some(Token::Sign("<")) => Relation::Lt,
            Some(Token::Sign("<=")) => Relation::Le,
            Some(Token::Sign(">")) => Relation::Gt,
            Some(Token::Sign(">=")) => Relation::Ge,
            _ => return Err(self.wrong("a comparison")),
        };
        self.at += 1;
        let (right, wide_right) = self.sum(arguments, depth)?;
        let bits = if wide_left || wide_right { Bits::All64 } else { Bits::Low32 };
        Ok(Condition::Test(Test { left, relation, right, bits }))
    }

    /// Whether what follows goes on with a number.
    fn is_arithmetic(&self) -> bool {
        ["&", "|", "==", "!=", "<", "<=", ">", ">="].iter().any(|sign| self.is(sign))
    }

    /// Numbers with `|` between them, and whether 64 bits count.
    fn sum(&mut self, arguments: &Arguments, depth: u32) -> Result<(Term, bool), Fault> {
        let (mut term, mut wide) = self.product(arguments, depth)?;
        while self.eat("|") {
            let (other, other_wide) = self.product(arguments, depth)?;
            term = Term::Or(Box::new(term), Box::new(other));
            wide |= other_wide;
        }
        Ok((term, wide))
    }

    fn product(&mut self, arguments: &Arguments, depth: u32) -> Result<(Term, bool), Fault> {
        let (mut term, mut wide) = self.operand(arguments, depth)?;
        while self.eat("&") {
            let (other, other_wide) = self.operand(arguments, depth)?;
            term = Term::And(Box::new(term), Box::new(other));
            wide |= other_wide;
        }
        Ok((term, wide))
    }

    fn operand(&mut self, arguments: &Arguments, depth: u32) -> Result<(Term, bool), Fault> {
        if depth > DEPTH {
            return Err(Fault::new(&self.place(), format!("more than {DEPTH} parentheses deep")));
        }
        if self.eat("(") {
            let inner = self.sum(arguments, depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let Some(Token::Number(number)) = self.peek() {
            let number = *number;
            self.at += 1;
            return Ok((Term::Number(number), number > u64::from(u32::MAX)));
        }
        let (place, name) = self.name("a number or an argument")?;
        if let Some(number) = self.constants.get(&name) {
            return Ok((Term::Number(*number), *number > u64::from(u32::MAX)));
        }
        if let Some(own) = &arguments.own {
            let index = own.iter().position(|known| *known == name);
            if let Some(index) = index.and_then(|index| u8::try_from(index).ok()) {
                return Ok((Term::Argument(index), true));
            }
        } else if let Some((index, arg)) = arguments.call.and_then(|call| call.arg(&name)) {
            let index = u8::try_from(index).unwrap_or(u8::MAX);
            return Ok((Term::Argument(index), arg.width == Width::W64));
        }
        self.constant(&place, &name, arguments)
    }

    /// A constant of the kernel, which Kafel would not know.
    fn constant(
        &mut self,
        place: &Place,
        name: &str,
        arguments: &Arguments,
    ) -> Result<(Term, bool), Fault> {
        let mut values: Vec<u64> = constants::find(name).map(|(_, value)| value).collect();
        values.sort_unstable();
        values.dedup();
        match values[..] {
            [value] => {
                let reason = format!("not defined here: taken as the kernel's {value:#x}");
                self.foreign.note(place, name, reason);
                Ok((Term::Number(value), value > u64::from(u32::MAX)))
            }
            _ => {
                let known: Vec<&str> = match (&arguments.own, arguments.call) {
                    (Some(own), _) => own.iter().map(String::as_str).collect(),
                    (None, Some(call)) => call.args.iter().map(|arg| arg.name).collect(),
                    (None, None) => Vec::new(),
                };
                let known = match known[..] {
                    [] => "this call has none that are known".to_owned(),
                    _ => format!("this call has {}", known.join(", ")),
                };
                Err(Fault::new(place, format!("unknown argument or constant {name}: {known}")))
            }
        }
    }

    fn finish(mut self) -> Result<Foreign, Fault> {
        let start = Place { file: Rc::clone(&self.foreign.file), line: 1, column: 1 };
        if self.main.is_empty() && self.default.is_none() {
            return Err(Fault::new(&start, "no USE and no DEFAULT: no policy is in force here"));
        }
        self.foreign.default = self.default.unwrap_or_else(|| {
            self.foreign.note(&start, "no DEFAULT", "calls that are not named kill the thread");
            Action::KillThread
        });
        self.foreign.unknown = self.foreign.default;
        for entry in core::mem::take(&mut self.main) {
            self.foreign.add(entry.nr, entry.step)?;
        }
        Ok(self.foreign)
    }
}

/// Words that are no name of a policy after a comma.
fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "USE"
            | "POLICY"
            | "DEFAULT"
            | "ALLOW"
            | "LOG"
            | "KILL"
            | "KILL_THREAD"
            | "KILL_PROCESS"
            | "DENY"
            | "ERRNO"
            | "TRAP"
            | "TRACE"
            | "USER_NOTIF"
    )
}
