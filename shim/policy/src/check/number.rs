//! Numbers: arguments, constants, and bits of both.
//!
//! A constant fits an argument of 32 bits if the upper half of it is all zeros or, for a negative one,
//! all ones; so `dirfd == AT_FDCWD`, `uid == -1` and `flags & ~O_CLOEXEC` mean what they look like.

use super::names::{Meaning, Names, name_of};
use crate::ast::{BitOp, Element, Expr, ExprKind};
use crate::diag::{Diagnostic, Findings, decimal, hexadecimal, quote};
use crate::policy::Value;
use crate::span::Span;
use crate::text;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls::{self, Arg, Args, Call, Kind, Width};

/// A mistake that has been reported.
#[derive(Debug)]
pub(super) struct Failed;

pub(super) type Checked<T> = Result<T, Failed>;

/// More arguments than this in one number nobody needs.
const MOST: usize = 16;

/// The kernel looks at no more of a mode.
const MODE: u64 = 0xffff;

/// A constant.
#[derive(Clone, Debug, Default)]
pub(super) struct Number {
    pub(super) bits: u64,
    /// It was written `NULL`.
    pub(super) null: bool,
    /// The constants of the kernel in it, and their values.
    pub(super) names: BTreeMap<String, u64>,
}

/// An argument, or bits of some.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) value: Value,
    pub(super) width: Width,
    pub(super) signed: bool,
    /// The argument, or the first of them; `None` if nothing is known of it.
    pub(super) arg: Option<Arg>,
}

/// A number.
#[derive(Clone, Debug)]
pub(super) enum Term {
    Constant(Number),
    Operand(Operand),
}

/// Where constants are looked up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    /// Among all.
    Any,
    /// Among those of this argument.
    Of(Arg),
}

/// The call whose arguments have names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) nr: u32,
    pub(super) call: Option<Call>,
}

impl Target {
    pub(super) fn new(nr: u32) -> Self {
        Self { nr, call: calls::by_nr(nr) }
    }

    pub(super) fn args(&self) -> Args {
        self.call.map_or(Args::default(), |call| call.args)
    }

    pub(super) fn name(&self) -> String {
        name_of(self.nr)
    }

    /// Index of the argument or register that `name` means.
    pub(super) fn index(&self, name: &str) -> Option<u8> {
        let argument = self.call.and_then(|call| call.arg(name)).map(|(index, _)| index);
        argument.or_else(|| calls::register(name)).and_then(|index| u8::try_from(index).ok())
    }

    /// prctl(2) and others count their arguments from 1: the argument that they call like the register
    /// `name`, which is another one.
    pub(super) fn miscounted(&self, name: &str) -> Option<Arg> {
        let (index, arg) = self.call?.called(name)?;
        calls::register(name).is_some_and(|register| register != index).then_some(arg)
    }

    fn operand(&self, name: &str) -> Option<Operand> {
        let Some((index, arg)) = self.call.and_then(|call| call.arg(name)) else {
            if let Some(raw) = self.index(name) {
                let value = Value::Argument(raw);
                return Some(Operand { value, width: Width::W64, signed: false, arg: None });
            }
            let value = Value::Number;
            let number = Operand { value, width: Width::W32, signed: false, arg: None };
            return (name == "nr").then_some(number);
        };
        let value = Value::Argument(u8::try_from(index).ok()?);
        let value = match arg.kind {
            Kind::Mode => with_mask(value, MODE),
            _ => value,
        };
        Some(Operand { value, width: arg.width, signed: arg.signed, arg: Some(arg) })
    }
}

impl Operand {
    /// Whether it is an address that the kernel reads or writes through.
    pub(super) fn is_pointer(&self) -> bool {
        self.arg.is_some_and(|arg| is_pointer(arg.kind))
    }

    /// Whether `NULL` says something about it.
    pub(super) fn can_be_null(&self) -> bool {
        let kind = self.arg.map_or(Kind::Int, |arg| arg.kind);
        self.is_pointer()
            || kind == Kind::Address
            || (matches!(kind, Kind::Int | Kind::Unused) && self.width == Width::W64)
    }

    pub(super) fn name(&self) -> String {
        self.arg.map_or_else(|| "this number".into(), |arg| quote(arg.name))
    }
}

fn is_pointer(kind: Kind) -> bool {
    matches!(kind, Kind::Path | Kind::Str | Kind::Sockaddr { .. } | Kind::Ptr { .. })
}

/// The bits of `bits` that a number of this width has.
pub(super) fn cut(bits: u64, width: Width) -> u64 {
    match width {
        Width::W32 => bits & 0xffff_ffff,
        Width::W64 => bits,
    }
}

/// Whether nothing is lost when a constant is cut to this width.
pub(super) fn fits(bits: u64, width: Width) -> bool {
    width == Width::W64 || matches!(bits.wrapping_shr(32), 0 | 0xffff_ffff)
}

/// `value & mask`, with masks on masks made one.
pub(super) fn with_mask(value: Value, mask: u64) -> Value {
    match value {
        Value::And(inner, old) => match *old {
            Value::Constant(old) => Value::And(inner, Box::new(Value::Constant(old & mask))),
            old => {
                let inner = Value::And(inner, Box::new(old));
                Value::And(Box::new(inner), Box::new(Value::Constant(mask)))
            }
        },
        value => Value::And(Box::new(value), Box::new(Value::Constant(mask))),
    }
}

/// Checks the numbers in the conditions of one call.
pub(super) struct Numbers<'a> {
    pub(super) names: &'a Names,
    pub(super) target: Option<Target>,
    pub(super) findings: &'a mut Findings,
}

impl<'a> Numbers<'a> {
    /// For constants alone.
    pub(super) fn without_call(names: &'a Names, findings: &'a mut Findings) -> Self {
        Self { names, target: None, findings }
    }

    pub(super) fn fail(&mut self, found: Diagnostic) -> Failed {
        self.findings.push(found);
        Failed
    }

    pub(super) fn operand(&self, name: &str) -> Option<Operand> {
        self.target.and_then(|target| target.operand(name))
    }

    /// The first argument in any of these: constants beside it are its own.
    pub(super) fn family(&self, all: &[&Expr]) -> Family {
        let arg = all.iter().find_map(|one| self.first_arg(one));
        arg.map_or(Family::Any, Family::Of)
    }

    fn first_arg(&self, expr: &Expr) -> Option<Arg> {
        match &expr.kind {
            ExprKind::Name(name) => self.operand(name).and_then(|operand| operand.arg),
            ExprKind::Group(inner) | ExprKind::Negate(inner) | ExprKind::Flip(inner) => {
                self.first_arg(inner)
            }
            ExprKind::Bits(_, parts) => parts.iter().find_map(|part| self.first_arg(part)),
            _ => None,
        }
    }

    /// A number that is known now.
    pub(super) fn constant(&mut self, expr: &Expr, family: Family) -> Checked<Number> {
        match self.number(expr, family)? {
            Term::Constant(number) => Ok(number),
            Term::Operand(_) => {
                let message = "this must be a constant".into();
                Err(self.fail(Diagnostic::new("E0318", expr.span, message)))
            }
        }
    }

    /// The ranges that an element of a list means: more than one if it is a constant that is a list.
    pub(super) fn element(
        &mut self,
        one: &Element,
        family: Family,
    ) -> Checked<Vec<(Number, Number)>> {
        if let (ExprKind::Name(name), None) = (&one.low.kind, &one.high)
            && self.operand(name).is_none()
            && let Some(constant) = self.names.constant(name)
            && let Meaning::List(list) = &constant.meaning
        {
            for (low, high) in list {
                self.is_of(low, family, name, one.low.span, constant.span)?;
                self.is_of(high, family, name, one.low.span, constant.span)?;
            }
            return Ok(list.clone());
        }
        let low = self.constant(&one.low, family);
        let high = match &one.high {
            Some(high) => self.constant(high, family)?,
            None => low.as_ref().map_err(|_| Failed)?.clone(),
        };
        Ok(alloc::vec![(low?, high)])
    }

    pub(super) fn number(&mut self, expr: &Expr, family: Family) -> Checked<Term> {
        let constant = |bits| Ok(Term::Constant(Number { bits, ..Number::default() }));
        match &expr.kind {
            ExprKind::Number(bits) => constant(*bits),
            ExprKind::Null => {
                let null = Number { null: true, ..Number::default() };
                Ok(Term::Constant(null))
            }
            ExprKind::Name(name) => self.name(name, expr.span, family),
            ExprKind::Group(inner) => self.number(inner, family),
            ExprKind::Negate(inner) => match self.number(inner, family)? {
                Term::Constant(number) => constant(number.bits.wrapping_neg()),
                Term::Operand(_) => {
                    let message = "an argument cannot be negated".into();
                    let found = Diagnostic::new("E0318", expr.span, message);
                    Err(self.fail(found.help("write the `-` on the other side")))
                }
            },
            ExprKind::Flip(inner) => Ok(match self.number(inner, family)? {
                Term::Constant(number) => {
                    Term::Constant(Number { bits: !number.bits, null: false, ..number })
                }
                Term::Operand(operand) => {
                    self.no_pointer(&operand, inner.span)?;
                    let value = Value::Not(Box::new(operand.value));
                    Term::Operand(Operand { value, ..operand })
                }
            }),
            ExprKind::Bits(BitOp::Shl, parts) => self.shift(parts, family),
            ExprKind::Bits(op, parts) => self.bits(*op, parts, family),
            ExprKind::Text(_) => {
                let message = "a text is not a number".into();
                let found = Diagnostic::new("E0309", expr.span, message);
                Err(self.fail(found.help("a path is compared with `path in \"/pattern\"`")))
            }
            ExprKind::Call(name, _) => Err(self.no_function(&name.text, name.span)),
            ExprKind::Not(_)
            | ExprKind::Compare(..)
            | ExprKind::In(..)
            | ExprKind::From(_)
            | ExprKind::And(_)
            | ExprKind::Or(_) => {
                let message = "a condition is not a number".into();
                Err(self.fail(Diagnostic::new("E0301", expr.span, message)))
            }
        }
    }

    pub(super) fn no_function(&mut self, name: &str, span: Span) -> Failed {
        let reserved = ["host", "port", "family", "path", "len"];
        if reserved.contains(&name) {
            let message = text!("the function ", quote(name), " is not in this version");
            return self.fail(Diagnostic::new("E0501", span, message));
        }
        let message = match name {
            "overlaps" => "`overlaps` is a condition, not a number".into(),
            _ => text!("unknown function ", quote(name)),
        };
        let found = Diagnostic::new("E0316", span, message);
        self.fail(found.help("there is `overlaps(addr, len, protected)`"))
    }

    fn shift(&mut self, parts: &[Expr], family: Family) -> Checked<Term> {
        let mut parts = parts.iter();
        let Some(first) = parts.next() else { return Err(Failed) };
        let mut all = self.number(first, family)?;
        let mut count = 0usize;
        for part in parts {
            let amount = self.constant(part, Family::Any)?.bits;
            let (width, bits) = match &all {
                Term::Operand(Operand { width: Width::W32, .. }) => (Width::W32, 32),
                _ => (Width::W64, 64),
            };
            let amount = u8::try_from(amount).ok().filter(|amount| *amount < bits);
            let Some(amount) = amount else {
                let message =
                    text!("a shift of at most ", decimal(u64::from(bits).saturating_sub(1)));
                return Err(self.fail(Diagnostic::new("E0303", part.span, message)));
            };
            all = match all {
                Term::Constant(number) => {
                    let bits = number.bits.wrapping_shl(u32::from(amount));
                    Term::Constant(Number { bits, null: false, ..number })
                }
                Term::Operand(operand) => {
                    self.no_pointer(&operand, first.span)?;
                    count = count.saturating_add(1);
                    self.not_too_many(count, part.span)?;
                    let value = Value::Shl(Box::new(operand.value), amount);
                    Term::Operand(Operand { value, width, ..operand })
                }
            };
        }
        Ok(all)
    }

    fn not_too_many(&mut self, count: usize, span: Span) -> Checked<()> {
        if count <= MOST {
            return Ok(());
        }
        let message = "too many arguments in one number".into();
        Err(self.fail(Diagnostic::new("E0011", span, message).help("16 is the limit")))
    }

    fn bits(&mut self, op: BitOp, parts: &[Expr], family: Family) -> Checked<Term> {
        let mut constant: Option<Number> = None;
        let mut operand: Option<Operand> = None;
        let mut constants = Vec::new();
        let mut failed = false;
        let mut count = 0usize;
        for part in parts {
            match self.number(part, family) {
                Err(Failed) => failed = true,
                Ok(Term::Constant(number)) => {
                    constants.push((number.bits, part.span));
                    constant = Some(match constant {
                        None => number,
                        Some(old) => old.joined(op, number),
                    });
                }
                Ok(Term::Operand(next)) => {
                    count = count.saturating_add(1);
                    self.not_too_many(count, part.span)?;
                    self.no_pointer(&next, part.span)?;
                    operand = Some(match operand {
                        None => next,
                        Some(old) => self.joined(op, old, next, part.span)?,
                    });
                }
            }
        }
        if failed {
            return Err(Failed);
        }
        let Some(operand) = operand else {
            return Ok(Term::Constant(constant.unwrap_or_default()));
        };
        for (bits, span) in constants {
            self.fits(bits, &operand, span)?;
        }
        let Some(constant) = constant else { return Ok(Term::Operand(operand)) };
        let bits = cut(constant.bits, operand.width);
        let right = || Box::new(Value::Constant(bits));
        let value = match op {
            BitOp::And | BitOp::Shl => with_mask(operand.value, bits),
            BitOp::Or => Value::Or(Box::new(operand.value), right()),
            BitOp::Xor => Value::Xor(Box::new(operand.value), right()),
        };
        Ok(Term::Operand(Operand { value, ..operand }))
    }

    fn joined(&mut self, op: BitOp, old: Operand, next: Operand, span: Span) -> Checked<Operand> {
        self.same_width(&old, &next, span)?;
        let (left, right) = (Box::new(old.value), Box::new(next.value));
        let value = match op {
            BitOp::And | BitOp::Shl => Value::And(left, right),
            BitOp::Or => Value::Or(left, right),
            BitOp::Xor => Value::Xor(left, right),
        };
        Ok(Operand { value, signed: old.signed && next.signed, ..old })
    }

    // ---- what goes with what

    pub(super) fn same_width(
        &mut self,
        left: &Operand,
        right: &Operand,
        span: Span,
    ) -> Checked<()> {
        if left.width == right.width {
            return Ok(());
        }
        let bits = |operand: &Operand| match operand.width {
            Width::W32 => " has 32 bits",
            Width::W64 => " has 64 bits",
        };
        let message = text!(left.name(), bits(left), ", ", right.name(), bits(right));
        Err(self.fail(Diagnostic::new("E0305", span, message)))
    }

    pub(super) fn fits(&mut self, bits: u64, operand: &Operand, span: Span) -> Checked<()> {
        if fits(bits, operand.width) {
            return Ok(());
        }
        let message = text!(hexadecimal(bits), " does not fit: ", operand.name(), " has 32 bits");
        let found = Diagnostic::new("E0307", span, message);
        Err(self.fail(found.help("the kernel does not look at the upper half of the register")))
    }

    fn no_pointer(&mut self, operand: &Operand, span: Span) -> Checked<()> {
        if !operand.is_pointer() {
            return Ok(());
        }
        Err(self.pointer(operand, span))
    }

    /// A pointer where there should be a number.
    pub(super) fn pointer(&mut self, operand: &Operand, span: Span) -> Failed {
        let message = text!(operand.name(), " is a pointer: it can only be compared with NULL");
        let is_path = operand.arg.is_some_and(|arg| arg.kind == Kind::Path);
        let found = Diagnostic::new("E0306", span, message);
        self.fail(match is_path {
            true => found.help("what it points to: `path in files`, `path in \"/pattern\"`"),
            false => {
                found.help("write `== NULL` or `!= NULL`; what it points to can change at any time")
            }
        })
    }
}

impl Number {
    fn joined(self, op: BitOp, next: Self) -> Self {
        let bits = match op {
            BitOp::And | BitOp::Shl => self.bits & next.bits,
            BitOp::Or => self.bits | next.bits,
            BitOp::Xor => self.bits ^ next.bits,
        };
        let mut names = self.names;
        names.extend(next.names);
        Self { bits, null: false, names }
    }
}
