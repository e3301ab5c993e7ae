//! What is wrong with a policy, where, and what to do: plain data. `ia2` draws it as rustc does; the
//! preloaded library prints one line each.

use crate::span::Span;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant; the policy works.
    Warning,
    /// There is no policy.
    Error,
}

/// A number that stays: `E0102`, `W0401`, `N0402`, `L0301` (lints are warnings).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub &'static str);

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its number.
    pub code: Code,
    /// One line: what is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// A few words beside the place; may be empty.
    pub label: String,
    /// Other places that matter, each with a few words.
    pub related: Vec<(Span, String)>,
    /// What to do; may be empty.
    pub help: String,
}

impl Diagnostic {
    /// A finding with this code, whose first letter says how bad it is.
    #[must_use]
    pub fn new(code: &'static str, span: Span, message: String) -> Self {
        let severity = match code.as_bytes().first() {
            Some(b'E') => Severity::Error,
            Some(b'N') => Severity::Note,
            _ => Severity::Warning,
        };
        let (label, related, help) = (String::new(), Vec::new(), String::new());
        Self { severity, code: Code(code), message, span, label, related, help }
    }

    /// With a few words beside the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// With another place that matters.
    #[must_use]
    pub fn also(mut self, span: Span, words: impl Into<String>) -> Self {
        self.related.push((span, words.into()));
        self
    }
}

/// More findings than this nobody reads.
const MOST: usize = 100;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    all: Vec<Diagnostic>,
    errors: bool,
    left_out: bool,
}

impl Findings {
    /// One more, unless it was said of the same place before.
    pub fn push(&mut self, found: Diagnostic) {
        self.errors |= found.severity == Severity::Error;
        // An error is not lost because of warnings; of each there are at most so many.
        let same = self.all.iter().filter(|old| old.severity == found.severity).count();
        if same >= MOST && self.left_out {
            return;
        }
        let is_same = |old: &Diagnostic| {
            old.code == found.code && old.span == found.span && old.message == found.message
        };
        if self.all.iter().any(is_same) {
            return;
        }
        match same < MOST {
            true => self.all.push(found),
            false => self.left_out = true,
        }
    }

    /// All of another's.
    pub fn append(&mut self, other: Self) {
        self.errors |= other.errors;
        self.left_out |= other.left_out;
        for found in other.all {
            self.push(found);
        }
    }

    /// Whether there is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.errors
    }

    /// All, sorted by place.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.all.sort_by_key(|found| (found.span, found.code));
        if self.left_out {
            let span = self.all.last().map_or_else(Span::default, |last| last.span);
            let message = String::from("there is more: this is not all that was found");
            self.all.push(Diagnostic::new("N0013", span, message));
        }
        self.all
    }
}

/// Something from a policy as it is shown in a message: between backticks, not longer than a line,
/// and without anything that a terminal would obey.
#[must_use]
pub fn quote(what: &str) -> String {
    const LONGEST: usize = 60;
    let mut all = String::from("`");
    for (count, char) in what.chars().enumerate() {
        if count == LONGEST {
            all.push('…');
            break;
        }
        all.push(if char.is_control() || is_hidden(char) { '\u{fffd}' } else { char });
    }
    all.push('`');
    all
}

/// Whether a character makes a text look like another: it shows nothing, or turns the direction of
/// what follows.
#[must_use]
pub fn is_hidden(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A number in decimal.
#[must_use]
pub fn decimal(number: u64) -> String {
    digits(number, 10)
}

/// A number in hexadecimal, with `0x`.
#[must_use]
pub fn hexadecimal(number: u64) -> String {
    text!("0x", digits(number, 16))
}

fn digits(mut number: u64, base: u64) -> String {
    let mut reversed = Vec::new();
    loop {
        let digit = u32::try_from(number.checked_rem(base).unwrap_or(0)).unwrap_or(0);
        reversed.push(char::from_digit(digit, 16).unwrap_or('?'));
        number = number.checked_div(base).unwrap_or(0);
        if number == 0 {
            return reversed.iter().rev().collect();
        }
    }
}

/// Joins texts: `core::fmt` can panic, and this code runs in the constructor of a library.
#[macro_export]
macro_rules! text {
    ($($part:expr),* $(,)?) => {{
        let mut all = ::alloc::string::String::new();
        $(all.push_str(::core::convert::AsRef::<str>::as_ref(&$part));)*
        all
    }};
}
