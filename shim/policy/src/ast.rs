//! What was written: names are still words, and every part knows its place.

use crate::span::Span;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls::Version;
use ia2_core::verdict::Memory;

/// A word or a text, and where it stands. The place of a text includes its quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// Without quotes and escapes.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// One source.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// `policy NAME version N`, if it was said.
    pub header: Option<Header>,
    /// Everything else, in order; without what was not understood.
    pub items: Vec<Item>,
    /// The `#?` lines.
    pub tests: Vec<Test>,
    /// Sets and constants whose definition was not understood: no complaint about their use.
    pub broken: Vec<String>,
    /// A literal table: `{ { "read", "fd == 0" } };`.
    pub is_table: bool,
    /// There is a header, but it was not understood.
    pub headless: bool,
}

/// `policy NAME version N`
#[derive(Clone, Debug)]
pub struct Header {
    /// All of it.
    pub span: Span,
    /// NAME
    pub name: Name,
    /// N
    pub version: u32,
}

/// One item.
#[derive(Clone, Debug)]
pub struct Item {
    /// All of it.
    pub span: Span,
    /// Which.
    pub kind: ItemKind,
}

/// What an item says.
#[derive(Clone, Debug)]
pub enum ItemKind {
    /// `baseline linux V`
    Baseline(Version),
    /// `default ACTION`
    Default(Action),
    /// `unknown ACTION`
    Unknown(Action),
    /// `mode blocklist` (true) or `mode allowlist`.
    Mode(bool),
    /// `memory WORD, …`: what it asks for.
    Memory(Memory),
    /// `include "NAME"`
    Include(Name),
    /// `use NAME`
    Use(Name),
    /// `const NAME = …`
    Const {
        /// NAME
        name: Name,
        /// One number, or a list in braces.
        value: ConstValue,
    },
    /// `set @NAME = { … }`
    Set {
        /// With the `@`.
        name: Name,
        /// What is in it.
        members: Vec<Selector>,
    },
    /// `files ACCESS "…" except "…"`
    Files {
        /// `ro` and so on.
        access: Name,
        /// Patterns.
        paths: Vec<Name>,
        /// Patterns of what is left out.
        except: Vec<Name>,
    },
    /// `SELECTORS : BODY`
    Rule(Rule),
}

/// What stands behind `const NAME =`.
#[derive(Clone, Debug)]
pub enum ConstValue {
    /// One number.
    Number(Expr),
    /// `{ A, B..C }`
    List(Vec<Element>),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// With the word `override`.
    pub overrides: bool,
    /// Which calls.
    pub selectors: Vec<Selector>,
    /// What holds for them.
    pub body: Body,
}

/// Calls, in a rule or in a set.
#[derive(Clone, Debug)]
pub struct Selector {
    /// All of it.
    pub span: Span,
    /// With a `?` in front: nothing if unknown.
    pub optional: bool,
    /// Which.
    pub kind: SelectorKind,
}

/// What a selector names.
#[derive(Clone, Debug)]
pub enum SelectorKind {
    /// A call, by its name.
    Call(String),
    /// A set, with the `@`.
    Set(String),
    /// A call, by its number.
    Number(u64),
}

/// What a rule says.
#[derive(Clone, Debug)]
pub enum Body {
    /// An action.
    Action(Action),
    /// `1` or `0`
    Constant(bool),
    /// `EXPR [then ACTION] [else ACTION]`
    When {
        /// EXPR
        when: Expr,
        /// If it holds.
        then: Option<Action>,
        /// If it does not.
        otherwise: Option<Action>,
    },
}

/// `VERB [log] ["reason"]`
#[derive(Clone, Debug)]
pub struct Action {
    /// All of it.
    pub span: Span,
    /// What to do.
    pub verb: Verb,
    /// And say so.
    pub log: bool,
    /// The reason; may be empty.
    pub reason: String,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `allow`
    Allow,
    /// `deny`
    Deny,
    /// `errno NAME` or `errno NUMBER`
    Errno(u16),
    /// `kill_process`
    KillProcess,
    /// `kill_thread`
    KillThread,
    /// `trap [NUMBER]`
    Trap(u16),
    /// `trace NUMBER`
    Trace(u16),
    /// `emulate`
    Emulate,
}

/// A condition or a number; which, the checker knows.
#[derive(Clone, Debug)]
pub struct Expr {
    /// All of it.
    pub span: Span,
    /// Which.
    pub kind: ExprKind,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number.
    Number(u64),
    /// `"text"`
    Text(String),
    /// `NULL`
    Null,
    /// An argument or a constant.
    Name(String),
    /// `NAME(…)`
    Call(Name, Vec<Expr>),
    /// `( … )`
    Group(Box<Expr>),
    /// `! …`
    Not(Box<Expr>),
    /// `- …`
    Negate(Box<Expr>),
    /// `~ …`
    Flip(Box<Expr>),
    /// `… & …`, and so on: at least two of them with one operator.
    Bits(BitOp, Vec<Expr>),
    /// `… == …`, and so on.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// `… in …`
    In(Box<Expr>, Vec<Element>),
    /// `from NAME`
    From(Name),
    /// `… && …`
    And(Vec<Expr>),
    /// `… || …`
    Or(Vec<Expr>),
}

/// An operator on bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOp {
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`
    Shl,
}

/// An operator between two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `==` and its kin.
    Order(crate::policy::Op),
    /// `has`: all bits.
    Has,
    /// `subset`: no other bits.
    Subset,
}

/// `LOW` or `LOW..HIGH`
#[derive(Clone, Debug)]
pub struct Element {
    /// The value, or the first.
    pub low: Expr,
    /// The last.
    pub high: Option<Expr>,
}

/// `#? CALL(ARGUMENTS) -> ACTION`
#[derive(Clone, Debug)]
pub struct Test {
    /// All of it.
    pub span: Span,
    /// CALL
    pub call: Selector,
    /// ARGUMENTS; `_` is a name.
    pub arguments: Vec<Expr>,
    /// ACTION
    pub expected: Action,
}
