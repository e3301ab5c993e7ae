//! What another program's policy says, in its own terms: registers of 64 bits, unsigned numbers, and for
//! each call a chain of steps of which the first that holds decides.
//!
//! Every importer makes one of these; `settle` turns the chains into rules of ours, and `write` into
//! text. What does not survive on the way is a [`Loss`], and is told.

use core::fmt;
use std::collections::BTreeMap;
use std::rc::Rc;

use ia2_core::calls::{self, Call};

/// Nobody says more than this about one call.
pub(crate) const MOST_STEPS: usize = 1000;

/// Nobody includes more files than this.
pub(crate) const MOST_FILES: usize = 1000;

/// What is wrong with more than [`MOST_STEPS`].
pub(crate) fn too_many() -> String {
    format!("more than {MOST_STEPS} conditions of one call")
}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file, as it was named.
    pub(crate) file: Rc<str>,
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a source cannot be converted at all.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn new(place: &Place, reason: impl Into<String>) -> Self {
        Self { place: place.clone(), reason: reason.into() }
    }
}

/// How much a [`Loss`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// The result says the same, but a reader should know how.
    Note,
    /// The source said something that the result does not.
    Lost,
}

impl Weight {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Lost => "lost",
        }
    }
}

/// Something that the source said and the result does not, or says differently.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) weight: Weight,
    pub(crate) place: Place,
    /// The words of the source.
    pub(crate) what: String,
    pub(crate) reason: String,
}

/// What happens to a call, in the kernel's order of strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    KillProcess,
    KillThread,
    /// With a number that the handler of the signal sees.
    Trap(u16),
    Errno(u16),
    Trace(u16),
    /// Allowed, and told.
    Log,
    Allow,
}

impl Action {
    /// Whether the call is made.
    pub(crate) const fn lets_through(self) -> bool {
        matches!(self, Self::Log | Self::Allow)
    }
}

/// How many bits of both sides of a test count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bits {
    Low32,
    All64,
}

/// A comparison of unsigned numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Relation {
    /// What holds if this does not.
    pub(crate) const fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
        }
    }

    /// The same with both sides changed.
    pub(crate) const fn turned(self) -> Self {
        match self {
            Self::Eq => Self::Eq,
            Self::Ne => Self::Ne,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
        }
    }

    pub(crate) const fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Ne => left != right,
            Self::Lt => left < right,
            Self::Le => left <= right,
            Self::Gt => left > right,
            Self::Ge => left >= right,
        }
    }

    /// In C, and in every language here.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// A number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    Number(u64),
    /// An argument, from 0.
    Argument(u8),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
}

impl Term {
    /// `argument & mask`
    pub(crate) fn masked(argument: u8, mask: u64) -> Self {
        Self::And(Box::new(Self::Argument(argument)), Box::new(Self::Number(mask)))
    }

    /// Its value, if no argument is in it.
    pub(crate) fn constant(&self) -> Option<u64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Argument(_) => None,
            Self::And(a, b) => Some(a.constant()? & b.constant()?),
            Self::Or(a, b) => Some(a.constant()? | b.constant()?),
        }
    }

    /// Calls `see` with each argument in it.
    pub(crate) fn arguments(&self, see: &mut impl FnMut(u8)) {
        match self {
            Self::Number(_) => {}
            Self::Argument(index) => see(*index),
            Self::And(a, b) | Self::Or(a, b) => {
                a.arguments(see);
                b.arguments(see);
            }
        }
    }

    /// With the parts that are constant worked out.
    pub(crate) fn folded(self) -> Self {
        if let Some(value) = self.constant() {
            return Self::Number(value);
        }
        match self {
            Self::And(a, b) => match (a.folded(), b.folded()) {
                (Self::Number(n), other) | (other, Self::Number(n)) => {
                    Self::And(Box::new(other), Box::new(Self::Number(n)))
                }
                (a, b) => Self::And(Box::new(a), Box::new(b)),
            },
            Self::Or(a, b) => match (a.folded(), b.folded()) {
                (Self::Number(n), other) | (other, Self::Number(n)) => {
                    Self::Or(Box::new(other), Box::new(Self::Number(n)))
                }
                (a, b) => Self::Or(Box::new(a), Box::new(b)),
            },
            leaf => leaf,
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    pub(crate) left: Term,
    pub(crate) relation: Relation,
    pub(crate) right: Term,
    pub(crate) bits: Bits,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    True,
    False,
    Test(Test),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

impl Condition {
    /// A test of one argument against a number, over all bits.
    pub(crate) const fn compare(argument: u8, relation: Relation, value: u64) -> Self {
        let (left, right) = (Term::Argument(argument), Term::Number(value));
        Self::Test(Test { left, relation, right, bits: Bits::All64 })
    }

    /// `(argument & mask) == value`, over all bits.
    pub(crate) fn masked(argument: u8, mask: u64, value: u64) -> Self {
        let (left, right) = (Term::masked(argument, mask), Term::Number(value));
        Self::Test(Test { left, relation: Relation::Eq, right, bits: Bits::All64 })
    }

    pub(crate) fn all(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 { parts.swap_remove(0) } else { Self::All(parts) }
    }

    pub(crate) fn any(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 { parts.swap_remove(0) } else { Self::Any(parts) }
    }
}

/// One step of a chain: if `when` holds, `action` is what happens.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) when: Condition,
    pub(crate) action: Action,
    pub(crate) place: Place,
    /// What the source calls the place: `syscalls[3]`, `RestrictNamespaces=`.
    pub(crate) label: Rc<str>,
}

/// Calls that the source names by a set that we know by the same name.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// `@system-service`, or the name of a call.
    pub(crate) name: String,
    pub(crate) calls: Vec<u32>,
}

/// A whole policy of somebody else.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    /// What wrote it: `OCI`.
    pub(crate) format: &'static str,
    /// The main file.
    pub(crate) file: Rc<str>,
    /// For calls without a chain, and at the end of each chain.
    pub(crate) default: Action,
    /// For numbers that no table knows, and for calls that are newer than ours.
    pub(crate) unknown: Action,
    /// The chain of each call.
    pub(crate) calls: BTreeMap<u32, Vec<Step>>,
    /// How the source named the calls that are allowed whatever their arguments, if it used sets.
    pub(crate) selections: Vec<Selection>,
    pub(crate) losses: Vec<Loss>,
}

impl Foreign {
    pub(crate) fn new(format: &'static str, file: &Rc<str>) -> Self {
        Self {
            format,
            file: Rc::clone(file),
            default: Action::KillProcess,
            unknown: Action::KillProcess,
            calls: BTreeMap::new(),
            selections: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// Adds a step to the chain of a call.
    pub(crate) fn add(&mut self, nr: u32, step: Step) -> Result<(), Fault> {
        let chain = self.calls.entry(nr).or_default();
        if chain.len() == MOST_STEPS {
            return Err(Fault::new(&step.place, too_many()));
        }
        chain.push(step);
        Ok(())
    }

    /// Tells of something that the result does not say.
    pub(crate) fn lose(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        reason: impl Into<String>,
    ) {
        let (what, reason) = (what.into(), reason.into());
        self.losses.push(Loss { weight: Weight::Lost, place: place.clone(), what, reason });
    }

    /// Tells of something that the result says in another way.
    pub(crate) fn note(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        reason: impl Into<String>,
    ) {
        let (what, reason) = (what.into(), reason.into());
        self.losses.push(Loss { weight: Weight::Note, place: place.clone(), what, reason });
    }
}

/// The call with this name in the kernel's table, which is the name that libseccomp, systemd and minijail
/// know it by. Our other names do not count: `umount` is a call of other machines there.
pub(crate) fn call_named(name: &str) -> Option<Call> {
    calls::all().find(|call| call.name == name)
}

/// Why a name was left out, in a few words.
pub(crate) fn unknown_name(name: &str) -> String {
    match calls::by_name(name) {
        Some(call) => format!("not a call of x86-64 (the one there is {})", call.name),
        None => "not a call of x86-64".to_owned(),
    }
}
