//! Sets of system calls, with the names and members that systemd gives them.
//!
//! The table is generated from `sets.in`.

use crate::near;

#[rustfmt::skip]
mod table;

pub use table::SETS;

/// A named set of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSet {
    /// Its name with the `@` in front.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub about: &'static str,
    /// The numbers of its members and of those of the sets in it, sorted.
    pub calls: &'static [u32],
}

impl CallSet {
    /// Whether call `nr` is in it.
    #[must_use]
    pub fn contains(&self, nr: u32) -> bool {
        self.calls.binary_search(&nr).is_ok()
    }
}

/// The set with this name, which begins with `@`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static CallSet> {
    SETS.iter().find(|set| set.name == name)
}

/// The name of a set that is nearest to a mistyped one.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    near::nearest(name, SETS.iter().map(|set| set.name))
}
