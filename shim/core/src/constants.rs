//! Named constants of the kernel's interface, in sets: what may be written for an argument.
//!
//! The table is generated from `constants.in`, and its values are tested against the C headers.
//! A name may be in several sets, with different values.

use crate::near;

#[rustfmt::skip]
mod table;

use table::SETS;

/// A set of constants. The well-known ones are associated constants, [`Set::PROT`] and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Set(pub u8);

/// What is known about a set.
struct Row {
    name: &'static str,
    about: &'static str,
    flags: bool,
    constants: &'static [(&'static str, u64)],
}

impl Set {
    /// All sets, in the order of `constants.in`.
    pub fn all() -> impl Iterator<Item = Self> {
        SETS.iter().zip(0..=u8::MAX).map(|(_, number)| Self(number))
    }

    fn row(self) -> Option<&'static Row> {
        SETS.get(usize::from(self.0))
    }

    /// Its name, `PROT`; empty for a number that is no set.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// What it is for, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.row().map_or("", |row| row.about)
    }

    /// Its members. Negative ones are sign-extended: compare at the width of the argument.
    #[must_use]
    pub fn constants(self) -> &'static [(&'static str, u64)] {
        self.row().map_or(&[], |row| row.constants)
    }

    /// Whether its members are or-ed together; otherwise an argument is one of them.
    #[must_use]
    pub fn is_flags(self) -> bool {
        self.row().is_some_and(|row| row.flags)
    }

    /// The value of a member.
    #[must_use]
    pub fn value(self, name: &str) -> Option<u64> {
        self.constants().iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The first member with this value, compared at 64 bits.
    #[must_use]
    pub fn name_of(self, value: u64) -> Option<&'static str> {
        self.constants().iter().find(|(_, known)| *known == value).map(|(name, _)| *name)
    }

    /// The set with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|set| set.name() == name)
    }
}

/// Every set that has a member `name`, with its value there.
pub fn find(name: &str) -> impl Iterator<Item = (Set, u64)> {
    Set::all().filter_map(move |set| Some((set, set.value(name)?)))
}

/// The constant whose name is nearest to a mistyped one.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let rows = SETS.iter().flat_map(|row| row.constants);
    near::nearest(name, rows.map(|(known, _)| *known))
}

/// The number of an error, `EPERM`.
#[must_use]
pub fn errno(name: &str) -> Option<u16> {
    Set::ERRNO.value(name).and_then(|value| u16::try_from(value).ok())
}

/// The name of an error number; of two names the kernel's own.
#[must_use]
pub fn errno_name(value: u16) -> Option<&'static str> {
    Set::ERRNO.name_of(u64::from(value))
}
