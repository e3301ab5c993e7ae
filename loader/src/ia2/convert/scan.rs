//! Characters with their places, for the small languages.

use std::rc::Rc;

use super::foreign::Place;

/// A position in a text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    file: Rc<str>,
    rest: &'a str,
    line: u32,
    column: u32,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(file: &Rc<str>, text: &'a str) -> Self {
        Self { file: Rc::clone(file), rest: text, line: 1, column: 1 }
    }

    pub(crate) fn place(&self) -> Place {
        Place { file: Rc::clone(&self.file), line: self.line, column: self.column }
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn starts_with(&self, text: &str) -> bool {
        self.rest.starts_with(text)
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.rest = self.rest.get(char.len_utf8()..).unwrap_or("");
        if char == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(char)
    }

    /// Steps over `text` if it is next.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let there = self.starts_with(text);
        if there {
            for _ in text.chars() {
                self.next();
            }
        }
        there
    }

    /// Steps over characters while they are `wanted`, and returns them.
    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let all = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
        all.get(..all.len() - self.rest.len()).unwrap_or("")
    }
}

/// An unsigned number as C writes it, and `0b101`: of decimal, hexadecimal, octal and binary digits.
pub(crate) fn number(text: &str) -> Option<u64> {
    let (digits, base) = if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        (digits, 16)
    } else if let Some(digits) = text.strip_prefix("0b") {
        (digits, 2)
    } else if text.len() > 1 && text.starts_with('0') {
        (text, 8)
    } else {
        (text, 10)
    };
    // `from_str_radix` takes a sign.
    let digit = |c: char| c.is_digit(base);
    if digits.is_empty() || !digits.chars().all(digit) {
        return None;
    }
    u64::from_str_radix(digits, base).ok()
}

/// The same with a minus in front, in two's complement.
pub(crate) fn signed_number(text: &str) -> Option<u64> {
    match text.strip_prefix('-') {
        Some(digits) => {
            let value = number(digits)?;
            (value <= 1 << 63).then(|| value.wrapping_neg())
        }
        None => number(text),
    }
}
