//! A place in a source.

/// Bytes `start..end` of source number `file` of the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Index in [`crate::policy::Policy::sources`].
    pub file: u16,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From the beginning of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        Self { end: last.end, ..self }
    }
}

/// Line and column of a byte in `text`, both from 1; columns count characters.
#[must_use]
pub fn line_column(text: &str, at: u32) -> (u32, u32) {
    let (mut line, mut column) = (1u32, 1u32);
    for (index, char) in text.char_indices() {
        if index >= at as usize {
            break;
        }
        if char == '\n' {
            (line, column) = (line.saturating_add(1), 1);
        } else {
            column = column.saturating_add(1);
        }
    }
    (line, column)
}
