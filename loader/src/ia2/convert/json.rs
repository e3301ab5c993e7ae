//! JSON with the place of every value: `serde_json` forgets where things stood, and a loss report
//! without places is no use in a file of a thousand lines.

use std::rc::Rc;

use super::foreign::{Fault, Place};

/// Arrays and objects deeper than this are refused.
const DEPTH: u32 = 64;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool,
    /// As it was written.
    Number(String),
    String(String),
    Array(Vec<Node>),
    /// In the order of the source.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The member `name`; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let Value::Object(members) = &self.value else { return None };
        // As in Go, the last of two counts.
        let found = members.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, node)| node).filter(|node| !matches!(node.value, Value::Null))
    }

    /// What it is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool => "a truth",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    fn expected(&self, what: &str) -> Fault {
        Fault::new(&self.place, format!("expected {what}, found {}", self.kind()))
    }

    pub(crate) fn string(&self) -> Result<&str, Fault> {
        match &self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    pub(crate) fn array(&self) -> Result<&[Node], Fault> {
        match &self.value {
            Value::Array(items) => Ok(items),
            _ => Err(self.expected("an array")),
        }
    }

    pub(crate) fn object(&self) -> Result<&[(String, Node)], Fault> {
        match &self.value {
            Value::Object(members) => Ok(members),
            _ => Err(self.expected("an object")),
        }
    }

    /// An unsigned number of 64 bits.
    pub(crate) fn number(&self) -> Result<u64, Fault> {
        match &self.value {
            Value::Number(text) => text.parse().map_err(|_| {
                Fault::new(&self.place, format!("expected a number from 0 to 2^64-1, found {text}"))
            }),
            _ => Err(self.expected("a number")),
        }
    }
}

/// Reads a whole text.
pub(crate) fn parse(file: &Rc<str>, text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { file, chars: text.chars().peekable(), line: 1, column: 1 };
    reader.blank();
    let node = reader.node(0)?;
    reader.blank();
    match reader.chars.peek() {
        None => Ok(node),
        Some(_) => Err(Fault::new(&reader.place(), "expected the end of the file")),
    }
}

struct Reader<'a> {
    file: &'a Rc<str>,
    chars: core::iter::Peekable<core::str::Chars<'a>>,
    line: u32,
    column: u32,
}

impl Reader<'_> {
    fn place(&self) -> Place {
        Place { file: Rc::clone(self.file), line: self.line, column: self.column }
    }

    fn next(&mut self) -> Option<char> {
        let char = self.chars.next()?;
        if char == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(char)
    }

    fn blank(&mut self) {
        while self.chars.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{feff}'))
        {
            self.next();
        }
    }

    fn wrong(&self, expected: &str) -> Fault {
        let mut chars = self.chars.clone();
        let found = chars.next().map_or("the end of the file".to_owned(), |c| format!("'{c}'"));
        Fault::new(&self.place(), format!("expected {expected}, found {found}"))
    }

    fn node(&mut self, depth: u32) -> Result<Node, Fault> {
        let place = self.place();
        if depth > DEPTH {
            return Err(Fault::new(&place, format!("more than {DEPTH} arrays and objects deep")));
        }
        let value = match self.chars.peek() {
            Some('{') => Value::Object(self.members(depth)?),
            Some('[') => Value::Array(self.items(depth)?),
            Some('"') => Value::String(self.string()?),
            Some(c) if *c == '-' || c.is_ascii_digit() => {
                let mut text = String::new();
                while let Some(c) = self
                    .chars
                    .next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))
                {
                    self.column += 1;
                    text.push(c);
                }
                if text.parse::<f64>().is_err() {
                    return Err(Fault::new(&place, format!("{text} is not a number")));
                }
                Value::Number(text)
            }
            Some(c) if c.is_ascii_lowercase() => {
                let mut word = String::new();
                while let Some(c) = self.chars.next_if(char::is_ascii_alphabetic) {
                    self.column += 1;
                    word.push(c);
                }
                match word.as_str() {
                    "null" => Value::Null,
                    "true" | "false" => Value::Bool,
                    _ => return Err(Fault::new(&place, format!("expected a value, found {word}"))),
                }
            }
            _ => return Err(self.wrong("a value")),
        };
        Ok(Node { place, value })
    }

    fn items(&mut self, depth: u32) -> Result<Vec<Node>, Fault> {
        self.next();
        let mut items = Vec::new();
        self.blank();
        if self.chars.peek() == Some(&']') {
            self.next();
            return Ok(items);
        }
        loop {
            self.blank();
            items.push(self.node(depth + 1)?);
            self.blank();
            match self.chars.peek() {
                Some(',') => self.next(),
                Some(']') => {
                    self.next();
                    return Ok(items);
                }
                _ => return Err(self.wrong("',' or ']'")),
            };
        }
    }

    fn members(&mut self, depth: u32) -> Result<Vec<(String, Node)>, Fault> {
        self.next();
        let mut members = Vec::new();
        self.blank();
        if self.chars.peek() == Some(&'}') {
            self.next();
            return Ok(members);
        }
        loop {
            self.blank();
            if self.chars.peek() != Some(&'"') {
                return Err(self.wrong("a name in quotes"));
            }
            let name = self.string()?;
            self.blank();
            if self.chars.peek() != Some(&':') {
                return Err(self.wrong("':'"));
            }
            self.next();
            self.blank();
            members.push((name, self.node(depth + 1)?));
            self.blank();
            match self.chars.peek() {
                Some(',') => self.next(),
                Some('}') => {
                    self.next();
                    return Ok(members);
                }
                _ => return Err(self.wrong("',' or '}'")),
            };
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let place = self.place();
        self.next();
        let mut text = String::new();
        loop {
            let here = self.place();
            match self.next() {
                None | Some('\n') => return Err(Fault::new(&place, "a string without an end")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(&here)?),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, place: &Place) -> Result<char, Fault> {
        let wrong = || Fault::new(place, "an escape that JSON does not have");
        Ok(match self.next().ok_or_else(wrong)? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let mut code = 0;
                for _ in 0..4 {
                    let digit = self.next().and_then(|c| c.to_digit(16)).ok_or_else(wrong)?;
                    code = code * 16 + digit;
                }
                // Halves of a pair stand for nothing that a policy has.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            c @ ('"' | '\\' | '/') => c,
            _ => return Err(wrong()),
        })
    }
}
