//! What IA2 makes of each call: its own table apart from that of the calls, since a program that judges
//! calls never reads it.

use crate::packed::Place;

#[rustfmt::skip]
mod table;

use table::{ROWS, TEXT};

/// The row of a call in IA2's table, and what we made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ia2 {
    /// The table's word for what the call is about.
    pub category: &'static str,
    /// The policy, ours where it differs.
    pub policy: Ia2Policy,
    /// The words of the table; empty for calls that are newer than it.
    pub seed: &'static str,
    /// Why ours differs, or what was said about the row; empty if nothing was.
    pub reason: &'static str,
    /// The table's policy, where ours differs.
    pub seed_policy: Option<Ia2Policy>,
}

/// What IA2 does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ia2Policy {
    /// It is done.
    Allow,
    /// It is refused.
    Forbid,
    /// It depends; the class of rule that decides. `syscalls.in` explains each.
    Complex(&'static str),
}

/// A call in the table.
struct Row {
    nr: u16,
    category: Place,
    policy: Policy,
    seed_policy: Option<Policy>,
    seed: Place,
    reason: Place,
}

/// [`Ia2Policy`] in the table.
#[derive(Clone, Copy)]
enum Policy {
    Allow,
    Forbid,
    Complex(Place),
}

impl Policy {
    fn policy(self) -> Ia2Policy {
        match self {
            Self::Allow => Ia2Policy::Allow,
            Self::Forbid => Ia2Policy::Forbid,
            Self::Complex(class) => Ia2Policy::Complex(class.of(TEXT)),
        }
    }
}

/// What IA2's table says about call `nr`; `None` for no call of the table of calls today.
#[must_use]
pub fn ia2(nr: u32) -> Option<Ia2> {
    let index = ROWS.binary_search_by_key(&nr, |row| row.nr.into()).ok()?;
    let row = ROWS.get(index)?;
    Some(Ia2 {
        category: row.category.of(TEXT),
        policy: row.policy.policy(),
        seed: row.seed.of(TEXT),
        reason: row.reason.of(TEXT),
        seed_policy: row.seed_policy.map(Policy::policy),
    })
}
