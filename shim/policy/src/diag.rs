//! What is wrong with a policy, where, and what to do: plain data. `ia2` draws it as rustc does; the
//! preloaded library prints one line each.

use crate::span::Span;
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

/// Joins texts: `core::fmt` can panic, and this code runs in the constructor of a library.
#[macro_export]
macro_rules! text {
    ($($part:expr),* $(,)?) => {{
        let mut all = ::alloc::string::String::new();
        $(all.push_str(::core::convert::AsRef::<str>::as_ref(&$part));)*
        all
    }};
}
