//! What a policy means, with every name resolved and every type checked.
//!
//! Numbers are compared as the kernel sees them: an `int` argument by its low 32 bits, with its sign; a
//! size or an address by all 64.

use crate::span::Span;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls::{Version, Width};
use ia2_core::nr;
use ia2_core::verdict::{Access, ActionKind, Memory, Region};

/// A whole policy: what one file and its includes say. One layer.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Its name in the header.
    pub name: String,
    /// Its version in the header.
    pub version: u32,
    /// The texts it was made from, the main file first.
    pub sources: Vec<Source>,
    /// The newest kernel whose calls it knows: later ones are `unknown`. `None`: all of the table.
    pub baseline: Option<Version>,
    /// What the shim is to know of the program's memory.
    pub memory: Memory,
    /// For calls that no rule names.
    pub default: Action,
    /// For calls past the baseline, and numbers that no table knows.
    pub unknown: Action,
    /// The rules, as written.
    pub rules: Vec<Rule>,
    /// Which rule each call has: number and index in `rules`, sorted, one each. A call that is not
    /// here has `default` or `unknown`.
    pub calls: Vec<(u32, u16)>,
    /// `files` items, in order.
    pub files: Vec<FileRule>,
    /// `#?` lines.
    pub tests: Vec<UnitTest>,
}

/// One text.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Path or name, as it is shown.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What happens to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// What.
    pub kind: ActionKind,
    /// And say so in the log.
    pub log: bool,
    /// The reason shown to the user; may be empty.
    pub reason: String,
}

/// One rule: of one call, or of several that share it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The whole rule.
    pub span: Span,
    /// The condition; `Expr::True` for a rule that is only an action.
    pub when: Expr,
    /// If it holds.
    pub then: Action,
    /// If it does not.
    pub otherwise: Action,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Always.
    True,
    /// Never.
    False,
    /// Not that.
    Not(Box<Expr>),
    /// All of them.
    And(Vec<Expr>),
    /// At least one of them.
    Or(Vec<Expr>),
    /// A comparison of two values of one width.
    Compare {
        /// How.
        op: Op,
        /// What.
        left: Value,
        /// With what.
        right: Value,
        /// How many bits of both count.
        width: Width,
        /// Whether `<` and its kin take the top bit as a sign.
        signed: bool,
    },
    /// The value is in one of the ranges, which include both ends. Sorted, apart, not empty; for a
    /// signed type sorted by the signed order, with both ends of a range of that order.
    In {
        /// What.
        value: Value,
        /// The ranges, as bit patterns of `width`.
        ranges: Vec<(u64, u64)>,
        /// How many bits count.
        width: Width,
        /// Whether the order is signed.
        signed: bool,
    },
    /// `overlaps(addr, len, region)`: at least one byte of the `len` bytes at `addr`, or `addr + len`
    /// runs over the end of the address space. With a length of 0: never, unless `addr` lies inside.
    Overlaps {
        /// Index of the argument that is the address.
        addr: u8,
        /// Index of the argument that is the length in bytes.
        len: u8,
        /// With what.
        region: Region,
    },
    /// The path behind the argument is one of these. Only the shim can tell.
    Path {
        /// Index of the argument.
        arg: u8,
        /// Which paths.
        paths: Paths,
    },
    /// The `SYSCALL` of the call lies there. `trampoline` the kernel can tell; the rest only the shim.
    From(Caller),
}

/// Where the `SYSCALL` of a call lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// `trampoline`: it came through the gate, as every call does under a backstop.
    Trampoline,
    /// `wrapper`: in the C library or the dynamic linker; in a static program, in the program itself.
    Wrapper,
    /// `vdso`
    Vdso,
    /// `jit`: in memory that no file backs.
    Jit,
    /// In a file of this name, or of this name with a version behind it: `libcrypto.so` is also
    /// `libcrypto.so.3`.
    Module(String),
}

/// Which paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paths {
    /// Those that the policy's `files` items give the access that the call asks for.
    Files,
    /// Those that match one of these patterns.
    Patterns(Vec<String>),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Op {
    /// What says the same with both sides exchanged.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Eq => Self::Eq,
            Self::Ne => Self::Ne,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
        }
    }
}

/// A number. `has` and `subset` are comparisons of `And`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// This one.
    Constant(u64),
    /// An argument of the call, 0 to 5.
    Argument(u8),
    /// The number of the call.
    Number,
    /// Bits of both.
    And(Box<Value>, Box<Value>),
    /// Bits of either.
    Or(Box<Value>, Box<Value>),
    /// Bits of one.
    Xor(Box<Value>, Box<Value>),
    /// Shifted to the left by a constant below the width.
    Shl(Box<Value>, u8),
    /// All bits turned.
    Not(Box<Value>),
}

/// One `files` item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRule {
    /// Where it stands.
    pub span: Span,
    /// `ro`, `rw`, `rx`, `create`.
    pub access: Access,
    /// Patterns: absolute; `*` and `?` within a component, `**` over several. A pattern without a
    /// wildcard covers the path itself and everything below it.
    pub paths: Vec<String>,
    /// Patterns of what is left out.
    pub except: Vec<String>,
}

/// One line `#? call(arguments) -> action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitTest {
    /// Where it stands.
    pub span: Span,
    /// Number of the call.
    pub nr: u32,
    /// Arguments; `None` is `_`: the result must not depend on it. Strings are kept beside.
    pub args: [Option<u64>; 6],
    /// Texts of path arguments, by index.
    pub paths: [Option<String>; 6],
    /// What is expected.
    pub expected: Expected,
}

/// What a unit test expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything that lets the call through.
    Allow,
    /// Anything that does not.
    Deny,
    /// Exactly this.
    Exactly(ActionKind),
}

impl Policy {
    /// Whether the shim looks at call `nr` for the map of memory.
    #[must_use]
    pub fn maps(&self, nr: u32) -> bool {
        self.memory.map && nr::is_memory(nr)
    }

    /// Index of the rule of call `nr`.
    #[must_use]
    pub fn rule_of(&self, nr: u32) -> Option<usize> {
        let found = self.calls.binary_search_by_key(&nr, |row| row.0).ok()?;
        self.calls.get(found).map(|row| usize::from(row.1))
    }
}
