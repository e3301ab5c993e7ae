//! What the shim is asked in a trial, and what it is told.

use crate::eval::Atom;
use crate::policy::{Caller, Expr, Paths};
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::blob::{self, Asker};

/// The errno of an argument that cannot be read, in a trial.
const UNREADABLE: u16 = 14;

/// The questions of a condition, each once, in the order in which they stand there.
pub(super) fn collect<'a>(expr: &'a Expr, atoms: &mut Vec<Atom<'a>>) {
    let atom = match expr {
        Expr::Not(inner) => return collect(inner, atoms),
        Expr::And(parts) | Expr::Or(parts) => {
            return parts.iter().for_each(|part| collect(part, atoms));
        }
        Expr::Path { arg, paths } => Atom::Path { arg: *arg, paths },
        Expr::From(caller) if *caller != Caller::Trampoline => Atom::From(caller),
        _ => return,
    };
    if !atoms.contains(&atom) {
        atoms.push(atom);
    }
}

/// The answers of one trial: a bit for each question.
pub(super) struct Answers<'a> {
    atoms: &'a [Atom<'a>],
    bits: u64,
    /// Whether arguments can be read at all.
    readable: bool,
}

impl<'a> Answers<'a> {
    pub(super) fn new(atoms: &'a [Atom<'a>], bits: u64) -> Self {
        Self { atoms, bits, readable: true }
    }

    /// Everything is answered with yes, but paths, which cannot be read.
    pub(super) fn unreadable(atoms: &'a [Atom<'a>]) -> Self {
        Self { atoms, bits: u64::MAX, readable: false }
    }

    /// The answer to a question.
    pub(super) fn of(&self, atom: Atom<'_>) -> Result<bool, u16> {
        self.to(|one| *one == atom).unwrap_or(Ok(false))
    }

    /// The answer to the question that `is` tells; `None` if there is no such question.
    fn to(&self, is: impl Fn(&Atom<'_>) -> bool) -> Option<Result<bool, u16>> {
        let at = self.atoms.iter().position(is)?;
        let is_path = matches!(self.atoms.get(at), Some(Atom::Path { .. }));
        Some(match self.readable || !is_path {
            true => Ok(self.bits.wrapping_shr(at as u32 % 64) & 1 != 0),
            false => Err(UNREADABLE),
        })
    }
}

/// The same answers, for the reader of the compiled form.
pub(super) struct Answerer<'a> {
    answers: &'a Answers<'a>,
    /// Something was asked that the condition does not ask.
    pub(super) is_lost: bool,
}

impl<'a> Answerer<'a> {
    pub(super) fn new(answers: &'a Answers<'a>) -> Self {
        Self { answers, is_lost: false }
    }

    fn answer(&mut self, is: impl Fn(&Atom<'_>) -> bool) -> Result<bool, u16> {
        self.answers.to(is).unwrap_or_else(|| {
            self.is_lost = true;
            Ok(false)
        })
    }
}

impl<'b> Asker<'b> for Answerer<'_> {
    fn path(&mut self, arg: u8, paths: blob::Paths<'b>) -> Result<bool, u16> {
        self.answer(|atom| match (atom, paths) {
            (Atom::Path { arg: own, paths: Paths::Files }, blob::Paths::Files(_)) => *own == arg,
            (
                Atom::Path { arg: own, paths: Paths::Patterns(patterns) },
                blob::Paths::Patterns(found),
            ) => *own == arg && found.iter().eq(patterns.iter().map(String::as_str)),
            _ => false,
        })
    }

    fn from(&mut self, caller: blob::Caller<'b>) -> bool {
        let answer = self.answer(|atom| match (atom, caller) {
            (Atom::From(Caller::Wrapper), blob::Caller::Wrapper)
            | (Atom::From(Caller::Vdso), blob::Caller::Vdso)
            | (Atom::From(Caller::Jit), blob::Caller::Jit) => true,
            (Atom::From(Caller::Module(name)), blob::Caller::Module(found)) => name == found,
            _ => false,
        });
        answer.unwrap_or(false)
    }
}
