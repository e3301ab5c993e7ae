//! Tokens.
//!
//! | written | token |
//! |---|---|
//! | `openat`, `libc.so.6`, `ia2-nginx` | a word: letters, digits, `_`, `+`; `.` and `-` before such |
//! | `@file-system` | a set |
//! | `7`, `0x7f`, `0o644` or `0644`, `0b11`, `1_000` | a number, as in C |
//! | `6.3` | a version |
//! | `#17` | a call by its number: `#` and a digit |
//! | `"/etc"` | a text in one line, with `\"`, `\\`, `\n`, `\t` |
//! | `#? …` | a test, to the end of the line; kept apart from everything else |
//! | `# …` | a comment, to the end of the line |
//!
//! Newlines separate nothing, but a token knows whether it is the first of its line and how far it is
//! indented: after a mistake the parser goes on at what looks like the next item.
//!
//! The expressions of a literal table stand in quotes; their tokens are read from between the quotes,
//! so that they have the right places. There, a text is `\"/etc\"`.

use crate::diag::{Diagnostic, Findings, is_hidden, quote};
use crate::span::Span;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name, or a word of the language: none is reserved.
    Word,
    /// `@name`
    Set,
    /// A number.
    Number(u64),
    /// `#17`
    CallNumber(u64),
    /// `6.3`
    Version,
    /// `"…"`
    Text,
    /// An operator or a bracket.
    Sign(&'static str),
    /// Something wrong, which has been reported.
    Bad,
    /// Behind the last one.
    End,
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
    /// How far it is indented, if it is the first of its line.
    pub indent: Option<u32>,
}

/// All tokens of a text.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// Those of the policy.
    pub policy: Vec<Token>,
    /// Those of each test, behind `#?`, and the whole of it.
    pub tests: Vec<(Span, Vec<Token>)>,
}

/// Longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "<<", ">>", "&&", "||", "..", "->", "<", ">", "=", "!", "&", "|", "^",
    "~", "-", "(", ")", "{", "}", ",", ":", ";", "?",
];

/// The tokens of a whole text.
pub fn lex(text: &str, file: u16, findings: &mut Findings) -> Tokens {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut lexer = Lexer { text, file, at: start, end: text.len(), quoted: false, findings };
    lexer.hidden();
    lexer.tokens()
}

/// The tokens of what stands in quotes at `span`.
pub fn lex_quoted(text: &str, span: Span, findings: &mut Findings) -> Tokens {
    let at = (span.start as usize).saturating_add(1);
    let end = (span.end as usize).saturating_sub(1);
    let mut lexer = Lexer { text, file: span.file, at, end, quoted: true, findings };
    lexer.tokens()
}

/// What a text token means; `None` if it is not even a text.
pub fn unescape(text: &str, token: Token, quoted: bool, findings: &mut Findings) -> Option<String> {
    let quotes: usize = if quoted { 2 } else { 1 };
    let start = (token.span.start as usize).checked_add(quotes)?;
    let inner = text.get(start..(token.span.end as usize).checked_sub(quotes)?)?;
    let mut all = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, char)) = chars.next() {
        let meant = match char {
            '\\' => chars.next().map(|(_, char)| char),
            other => {
                all.push(other);
                continue;
            }
        };
        match meant {
            Some('n') => all.push('\n'),
            Some('t') => all.push('\t'),
            Some(same @ ('"' | '\\')) => all.push(same),
            other => {
                let from = start.saturating_add(at);
                let to = from.saturating_add(1).saturating_add(other.map_or(0, char::len_utf8));
                let span = span(token.span.file, from, to);
                findings.push(
                    Diagnostic::new("E0004", span, "unknown escape in a text".into())
                        .help("there are `\\\"`, `\\\\`, `\\n` and `\\t`"),
                );
            }
        }
    }
    Some(all)
}

fn span(file: u16, start: usize, end: usize) -> Span {
    let byte = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Span { file, start: byte(start), end: byte(end) }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+')
}

struct Lexer<'a> {
    text: &'a str,
    file: u16,
    at: usize,
    end: usize,
    /// Between the quotes of a table.
    quoted: bool,
    findings: &'a mut Findings,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        let at = self.at.checked_add(ahead)?;
        if at < self.end { self.text.as_bytes().get(at).copied() } else { None }
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.end);
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.skip(1);
        }
    }

    fn span(&self, start: usize) -> Span {
        span(self.file, start, self.at)
    }

    /// Complains of the first character that makes the text look like another one.
    fn hidden(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some((at, char)) = rest.char_indices().find(|(_, char)| is_hidden(*char)) else {
            return;
        };
        let start = self.at.saturating_add(at);
        let span = span(self.file, start, start.saturating_add(char.len_utf8()));
        let message = "an invisible character, or one that reverses text";
        self.findings.push(
            Diagnostic::new("E0006", span, message.into())
                .help("the policy does not look like what it means: remove it"),
        );
    }

    fn tokens(&mut self) -> Tokens {
        let mut all = Tokens::default();
        // Where the line begins, as long as it holds only blanks.
        let mut line = Some(self.at);
        loop {
            let start = self.at;
            match self.peek(0) {
                None => {
                    let span = self.span(start);
                    all.policy.push(Token { kind: Kind::End, span, indent: Some(0) });
                    return all;
                }
                Some(b'\n') => {
                    self.skip(1);
                    line = Some(self.at);
                }
                Some(b' ' | b'\t' | b'\r') => self.skip(1),
                Some(b'#') if self.peek(1) == Some(b'?') && !self.quoted => {
                    let test = self.test();
                    all.tests.push((self.span(start), test));
                }
                Some(b'#') if !self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                    self.skip_while(|byte| byte != b'\n');
                }
                Some(_) => {
                    let kind = self.token();
                    let indent = line.take().map(|line| start.saturating_sub(line));
                    let indent = indent.map(|indent| u32::try_from(indent).unwrap_or(u32::MAX));
                    all.policy.push(Token { kind, span: self.span(start), indent });
                }
            }
        }
    }

    /// The rest of a line that begins with `#?`, without a comment behind it.
    fn test(&mut self) -> Vec<Token> {
        self.skip(2);
        let mut all = Vec::new();
        loop {
            let start = self.at;
            let kind = match self.peek(0) {
                Some(b' ' | b'\t' | b'\r') => {
                    self.skip(1);
                    continue;
                }
                None | Some(b'\n') => Kind::End,
                Some(b'#') if !self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                    self.skip_while(|byte| byte != b'\n');
                    Kind::End
                }
                Some(_) => self.token(),
            };
            let span =
                if kind == Kind::End { span(self.file, start, start) } else { self.span(start) };
            all.push(Token { kind, span, indent: None });
            if kind == Kind::End {
                return all;
            }
        }
    }

    fn token(&mut self) -> Kind {
        let Some(byte) = self.peek(0) else { return Kind::End };
        match byte {
            b'"' if !self.quoted => self.string(),
            b'\\' if self.quoted && self.peek(1) == Some(b'"') => self.string(),
            b'#' => {
                self.skip(1);
                match self.number() {
                    Kind::Number(number) => Kind::CallNumber(number),
                    _ => Kind::Bad,
                }
            }
            b'0'..=b'9' => self.number(),
            b'@' => {
                let start = self.at;
                self.skip(1);
                self.word();
                match self.at.saturating_sub(start) {
                    1 => self.bad(start, "a set has a name behind its `@`", ""),
                    _ => Kind::Set,
                }
            }
            _ if byte.is_ascii_alphabetic() || byte == b'_' => {
                self.word();
                Kind::Word
            }
            _ => self.sign(),
        }
    }

    fn word(&mut self) {
        loop {
            self.skip_while(is_word);
            let joins = matches!(self.peek(0), Some(b'.' | b'-'));
            if !(joins && self.peek(1).is_some_and(is_word)) {
                return;
            }
            self.skip(1);
        }
    }

    fn sign(&mut self) -> Kind {
        let rest = self.text.get(self.at..self.end).unwrap_or_default();
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.skip(sign.len());
            return Kind::Sign(sign);
        }
        let start = self.at;
        let is_strange =
            |char: char| !char.is_ascii_alphanumeric() && !" \t\r\n\"#@_\\".contains(char);
        let starts_sign = |rest: &str| SIGNS.iter().any(|sign| rest.starts_with(*sign));
        for (at, char) in rest.char_indices() {
            let here = rest.get(at..).unwrap_or_default();
            if at > 0 && (!is_strange(char) || starts_sign(here)) {
                break;
            }
            self.at = start.saturating_add(at).saturating_add(char.len_utf8());
        }
        let found = self.text.get(start..self.at).unwrap_or_default();
        let help = match found {
            "/" if self.peek(0).is_some_and(is_word) => "a path stands between `\"`",
            "+" | "*" | "/" | "%" => {
                "there is no arithmetic here, only bits: `&`, `|`, `^`, `<<`, `~`"
            }
            _ if found.starts_with('\'') => "a text stands between `\"`",
            "\\" if self.quoted => "inside of a table, a text stands between `\\\"`",
            _ if found.starts_with('/') => "a comment begins with `#`, a path stands between `\"`",
            _ => "",
        };
        self.bad(start, &text!("unexpected ", quote(found)), help)
    }

    fn bad(&mut self, start: usize, message: &str, help: &str) -> Kind {
        let span = self.span(start);
        self.findings.push(Diagnostic::new("E0001", span, message.into()).help(help));
        Kind::Bad
    }

    fn string(&mut self) -> Kind {
        let start = self.at;
        let quote: &str = if self.quoted { "\\\"" } else { "\"" };
        self.skip(quote.len());
        loop {
            let rest = self.text.get(self.at..self.end).unwrap_or_default();
            if rest.starts_with(quote) {
                self.skip(quote.len());
                return Kind::Text;
            }
            match self.peek(0) {
                Some(b'\\') if self.peek(1) != Some(b'\n') => self.skip(2),
                None | Some(b'\n') => break,
                Some(_) => self.skip(1),
            }
        }
        let span = self.span(start);
        self.findings.push(
            Diagnostic::new("E0003", span, "this text has no end".into())
                .help("it ends in the line in which it begins, with `\"`"),
        );
        Kind::Bad
    }

    fn number(&mut self) -> Kind {
        let start = self.at;
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_version = self.text.get(start..self.at).is_some_and(|digits| {
            self.peek(0) == Some(b'.')
                && self.peek(1).is_some_and(|byte| byte.is_ascii_digit())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_version {
            self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
            return Kind::Version;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        if let Some(number) = value(digits) {
            return Kind::Number(number);
        }
        let help = match digits.as_bytes() {
            [b'0', b'0'..=b'9', ..] => "a number that begins with 0 is octal, as in C",
            _ => "numbers are 7, 0x7f, 0o644, 0b11 and have at most 64 bits",
        };
        let message = text!(quote(digits), " is not a number");
        let span = self.span(start);
        self.findings.push(Diagnostic::new("E0005", span, message).help(help));
        Kind::Bad
    }
}

/// The value of a number as it is written in C.
fn value(written: &str) -> Option<u64> {
    let prefixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2), ("0", 8)];
    let prefixed = prefixes.iter().find_map(|(prefix, base)| {
        let rest = written.strip_prefix(prefix)?;
        (!rest.is_empty()).then_some((rest, *base))
    });
    let (digits, base) = prefixed.unwrap_or((written, 10));
    let mut value = 0u64;
    let mut count = 0u32;
    for digit in digits.chars() {
        if digit == '_' {
            continue;
        }
        let digit = digit.to_digit(base)?;
        value = value.checked_mul(u64::from(base))?.checked_add(u64::from(digit))?;
        count = count.saturating_add(1);
    }
    (count > 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{Kind, lex, value};
    use crate::diag::Findings;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn kinds(text: &str) -> Vec<Kind> {
        let mut findings = Findings::default();
        let tokens = lex(text, 0, &mut findings);
        assert!(!findings.is_error(), "{text}: {findings:?}");
        tokens.policy.iter().map(|token| token.kind).collect()
    }

    #[test]
    fn numbers_are_as_in_c() {
        let rows = [
            ("0", Some(0)),
            ("7", Some(7)),
            ("0x7F", Some(0x7f)),
            ("0644", Some(0o644)),
            ("0o644", Some(0o644)),
            ("0b101", Some(5)),
            ("1_000", Some(1000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("089", None),
            ("0x", None),
            ("12ab", None),
        ];
        for (written, meant) in rows {
            assert_eq!(value(written), meant, "{written}");
        }
    }

    #[test]
    fn words_hold_what_file_names_hold() {
        for word in ["libc.so.6", "ia2-nginx", "libstdc++.so.6", "_x", "a-b.c"] {
            assert_eq!(kinds(word), [Kind::Word, Kind::End], "{word}");
        }
        assert_eq!(kinds("a..b"), [Kind::Word, Kind::Sign(".."), Kind::Word, Kind::End]);
        assert_eq!(kinds("a->b"), [Kind::Word, Kind::Sign("->"), Kind::Word, Kind::End]);
        assert_eq!(kinds("1..2").len(), 4);
        assert_eq!(kinds("6.3"), [Kind::Version, Kind::End]);
        assert_eq!(kinds("#17 # 17"), [Kind::CallNumber(17), Kind::End]);
    }

    #[test]
    fn the_first_token_of_a_line_knows_its_indent() {
        let mut findings = Findings::default();
        let tokens = lex("a b\n  c # d\n# e\n\tf", 0, &mut findings);
        let indents: Vec<_> = tokens.policy.iter().map(|token| token.indent).collect();
        assert_eq!(indents, [Some(0), None, Some(2), Some(1), Some(0)]);
    }

    #[test]
    fn tests_are_kept_apart() {
        let mut findings = Findings::default();
        let text = String::from("read : #? read(0) -> allow # why\n fd == 0");
        let tokens = lex(&text, 0, &mut findings);
        assert_eq!(tokens.policy.len(), 6);
        let [(span, test)] = &tokens.tests[..] else { panic!("{:?}", tokens.tests) };
        assert_eq!(test.len(), 7);
        assert_eq!(span.start, 7);
    }
}
