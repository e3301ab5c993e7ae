//! Named constants of the kernel's interface, in sets: what may be written for an argument.
//!
//! The table is generated from `constants.in`, and its values are tested against the C headers.
//! A name may be in several sets, with different values. The table holds numbers only, see `packed`.

use crate::near;
use crate::packed::Place;

#[rustfmt::skip]
mod table;

use table::{ABOUT, ABOUT_TEXT, CONSTANTS, SETS, TEXT, WIDE};

/// A set of constants. The well-known ones are associated constants, [`Set::PROT`] and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Set(pub u8);

/// A set in the table.
struct Row {
    name: Place,
    flags: bool,
    /// Its members in the table of constants: the first, and how many.
    members: (u16, u16),
}

/// A constant in the table, in eight bytes: most values fit in four.
struct Constant {
    start: u16,
    len: u8,
    /// Whether `value` is where the value stands in the table of the large and the negative ones.
    wide: bool,
    value: u32,
}

impl Constant {
    fn place(&self) -> Place {
        Place::new(self.start, self.len.into())
    }

    fn name(&self) -> &'static str {
        self.place().of(TEXT)
    }

    fn value(&self) -> u64 {
        let wide = || WIDE.get(usize::try_from(self.value).ok()?).copied();
        if self.wide { wide().unwrap_or(0) } else { self.value.into() }
    }
}

impl Set {
    /// All sets, in the order of `constants.in`.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        SETS.iter().zip(0..=u8::MAX).map(|(_, number)| Self(number))
    }

    fn row(self) -> Option<&'static Row> {
        SETS.get(usize::from(self.0))
    }

    /// Its name, `PROT`; empty for a number that is no set.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name.of(TEXT))
    }

    /// What it is for, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        ABOUT.get(usize::from(self.0)).map_or("", |place| place.of(ABOUT_TEXT))
    }

    fn members(self) -> &'static [Constant] {
        let (first, count) = self.row().map_or((0, 0), |row| row.members);
        let first = usize::from(first);
        CONSTANTS.get(first..first.wrapping_add(count.into())).unwrap_or(&[])
    }

    /// Its members. Negative ones are sign-extended: compare at the width of the argument.
    pub fn constants(self) -> impl ExactSizeIterator<Item = (&'static str, u64)> + Clone {
        self.members().iter().map(|member| (member.name(), member.value()))
    }

    /// Whether its members are or-ed together; otherwise an argument is one of them.
    #[must_use]
    pub fn is_flags(self) -> bool {
        self.row().is_some_and(|row| row.flags)
    }

    /// The value of a member.
    #[must_use]
    pub fn value(self, name: &str) -> Option<u64> {
        self.members().iter().find(|member| member.place().is(TEXT, name)).map(Constant::value)
    }

    /// The first member with this value, compared at 64 bits.
    #[must_use]
    pub fn name_of(self, value: u64) -> Option<&'static str> {
        self.name_at(value, u64::MAX)
    }

    /// The first member whose bits in `mask` are those of `value`.
    #[must_use]
    pub fn name_at(self, value: u64, mask: u64) -> Option<&'static str> {
        let found = self.members().iter().find(|member| member.value() & mask == value & mask);
        found.map(Constant::name)
    }

    /// The set with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|set| set.row().is_some_and(|row| row.name.is(TEXT, name)))
    }
}

/// Every set that has a member `name`, with its value there.
pub fn find(name: &str) -> impl Iterator<Item = (Set, u64)> {
    Set::all().filter_map(move |set| Some((set, set.value(name)?)))
}

/// The constant whose name is nearest to a mistyped one.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    near::nearest(name, CONSTANTS.iter().map(Constant::name))
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
