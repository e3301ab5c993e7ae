//! Sets of system calls, with the names and members that systemd gives them.
//!
//! The table is generated from `sets.in` and holds numbers only, see `packed`.

use crate::near;
use crate::packed::Place;

#[rustfmt::skip]
mod table;

use table::{ABOUT, ABOUT_TEXT, NUMBERS, SETS, TEXT};

/// A named set of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSet {
    /// Its name with the `@` in front.
    pub name: &'static str,
    /// The numbers of its members and of those of the sets in it, sorted.
    pub calls: Numbers,
    /// Which one it is.
    index: u8,
}

/// Numbers of calls, sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers(&'static [u16]);

/// A set in the table.
struct Row {
    name: Place,
    /// Its members in the table of numbers: the first, and how many.
    members: (u16, u16),
}

impl Row {
    fn set(&self, index: u8) -> CallSet {
        let (first, count) = (usize::from(self.members.0), usize::from(self.members.1));
        let numbers = NUMBERS.get(first..first.wrapping_add(count)).unwrap_or(&[]);
        CallSet { name: self.name.of(TEXT), calls: Numbers(numbers), index }
    }
}

impl CallSet {
    /// What it is for, in a few words.
    #[must_use]
    pub fn about(&self) -> &'static str {
        ABOUT.get(usize::from(self.index)).map_or("", |place| place.of(ABOUT_TEXT))
    }

    /// Whether call `nr` is in it.
    #[must_use]
    pub fn contains(&self, nr: u32) -> bool {
        self.calls.contains(nr)
    }
}

impl Numbers {
    /// The numbers, one after the other.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u32> + Clone {
        self.0.iter().map(|nr| u32::from(*nr))
    }

    /// Whether `nr` is one of them.
    #[must_use]
    pub fn contains(self, nr: u32) -> bool {
        self.0.binary_search_by_key(&nr, |known| u32::from(*known)).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// All sets, in systemd's order.
pub fn all() -> impl Iterator<Item = CallSet> + Clone {
    SETS.iter().zip(0..=u8::MAX).map(|(row, index)| row.set(index))
}

/// The set with this name, which begins with `@`.
#[must_use]
pub fn by_name(name: &str) -> Option<CallSet> {
    let mut rows = SETS.iter().zip(0..=u8::MAX);
    rows.find(|(row, _)| row.name.is(TEXT, name)).map(|(row, index)| row.set(index))
}

/// The name of a set that is nearest to a mistyped one.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    near::nearest(name, SETS.iter().map(|row| row.name.of(TEXT)))
}
