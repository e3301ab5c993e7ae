//! A value as two words of 32 bits, for that is what the machine computes with.

use crate::policy::Value;
use alloc::boxed::Box;
use ia2_core::bpf::{self, argument};
use ia2_core::calls::Width;

/// The sign of a word.
pub(crate) const SIGN: u32 = 1 << 31;

/// One word of a value. Constants are folded, and stand on the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// A number.
    Constant(u32),
    /// The word at this offset of the data.
    Word(u32),
    /// Bits of both.
    And(Box<Half>, Box<Half>),
    /// Bits of either.
    Or(Box<Half>, Box<Half>),
    /// Bits of one.
    Xor(Box<Half>, Box<Half>),
    /// Shifted to the left by less than 32.
    Shl(Box<Half>, u8),
    /// Shifted to the right by less than 32.
    Shr(Box<Half>, u8),
    /// The constant less the rest.
    From(u32, Box<Half>),
}

impl Half {
    /// The low word of a value.
    pub(crate) fn low(value: &Value) -> Self {
        match value {
            Value::Constant(constant) => Self::Constant(*constant as u32),
            Value::Argument(index) => Self::Word(argument((*index).into())),
            Value::Number => Self::Word(bpf::NR),
            Value::And(a, b) => Self::low(a).and(Self::low(b)),
            Value::Or(a, b) => Self::low(a).or(Self::low(b)),
            Value::Xor(a, b) => Self::low(a).xor(Self::low(b)),
            Value::Shl(inner, by) => Self::low(inner).shl(*by),
            Value::Not(inner) => Self::low(inner).xor(Self::Constant(u32::MAX)),
        }
    }

    /// The high word of a value.
    pub(crate) fn high(value: &Value) -> Self {
        match value {
            Value::Constant(constant) => Self::Constant((*constant >> 32) as u32),
            Value::Argument(index) => Self::Word(argument((*index).into()).wrapping_add(4)),
            Value::Number => Self::Constant(0),
            Value::And(a, b) => Self::high(a).and(Self::high(b)),
            Value::Or(a, b) => Self::high(a).or(Self::high(b)),
            Value::Xor(a, b) => Self::high(a).xor(Self::high(b)),
            Value::Shl(inner, 0) => Self::high(inner),
            Value::Shl(inner, by @ 1..32) => {
                let carried = Self::low(inner).shr(32u8.wrapping_sub(*by));
                Self::high(inner).shl(*by).or(carried)
            }
            Value::Shl(inner, by) => Self::low(inner).shl(by.wrapping_sub(32)),
            Value::Not(inner) => Self::high(inner).xor(Self::Constant(u32::MAX)),
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(a & b),
            (Self::Constant(0), _) | (_, Self::Constant(0)) => Self::Constant(0),
            (Self::Constant(u32::MAX), rest) | (rest, Self::Constant(u32::MAX)) => rest,
            (k @ Self::Constant(_), rest) | (rest, k) => Self::And(Box::new(rest), Box::new(k)),
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(a | b),
            (Self::Constant(u32::MAX), _) | (_, Self::Constant(u32::MAX)) => {
                Self::Constant(u32::MAX)
            }
            (Self::Constant(0), rest) | (rest, Self::Constant(0)) => rest,
            (k @ Self::Constant(_), rest) | (rest, k) => Self::Or(Box::new(rest), Box::new(k)),
        }
    }

    fn xor(self, other: Self) -> Self {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(a ^ b),
            (Self::Constant(0), rest) | (rest, Self::Constant(0)) => rest,
            (k @ Self::Constant(_), rest) | (rest, k) => Self::Xor(Box::new(rest), Box::new(k)),
        }
    }

    fn shl(self, by: u8) -> Self {
        match (self, by) {
            (_, 32..) => Self::Constant(0),
            (half, 0) => half,
            (Self::Constant(k), _) => Self::Constant(k.wrapping_shl(by.into())),
            (half, _) => Self::Shl(Box::new(half), by),
        }
    }

    fn shr(self, by: u8) -> Self {
        match (self, by) {
            (_, 32..) => Self::Constant(0),
            (half, 0) => half,
            (Self::Constant(k), _) => Self::Constant(k.wrapping_shr(by.into())),
            (half, _) => Self::Shr(Box::new(half), by),
        }
    }

    /// The constant less this.
    fn subtracted_from(self, constant: u32) -> Self {
        match self {
            Self::Constant(k) => Self::Constant(constant.wrapping_sub(k)),
            half => Self::From(constant, Box::new(half)),
        }
    }

    /// Words of scratch memory that it takes to compute it, the half that takes more first.
    pub(crate) fn room(&self) -> u32 {
        match self {
            Self::Constant(_) | Self::Word(_) => 0,
            Self::Shl(inner, _) | Self::Shr(inner, _) | Self::From(_, inner) => inner.room(),
            Self::And(a, b) | Self::Or(a, b) | Self::Xor(a, b) => match **b {
                Self::Constant(_) => a.room(),
                _ => {
                    let (a, b) = (a.room(), b.room());
                    a.max(b).max(a.min(b).wrapping_add(1))
                }
            },
        }
    }
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The high word; 0 if only 32 bits count.
    pub(crate) high: Half,
    /// The low word.
    pub(crate) low: Half,
    width: Width,
}

impl Pair {
    /// As many bits of the value as count.
    pub(crate) fn of(value: &Value, width: Width) -> Self {
        let high = match width {
            Width::W32 => Half::Constant(0),
            Width::W64 => Half::high(value),
        };
        Self { high, low: Half::low(value), width }
    }

    /// All of an argument.
    pub(crate) fn argument(index: u8) -> Self {
        Self::of(&Value::Argument(index), Width::W64)
    }

    /// A number.
    pub(crate) fn constant(value: u64) -> Self {
        Self::of(&Value::Constant(value), Width::W64)
    }

    /// What has the order of a signed value when it is compared without a sign: the sign bit turned.
    pub(crate) fn ordered(self, signed: bool) -> Self {
        match (signed, self.width) {
            (false, _) => self,
            (true, Width::W32) => Self { low: self.low.xor(Half::Constant(SIGN)), ..self },
            (true, Width::W64) => Self { high: self.high.xor(Half::Constant(SIGN)), ..self },
        }
    }

    /// All bits turned.
    pub(crate) fn turned(self) -> Self {
        let turn = |half: Half| half.xor(Half::Constant(u32::MAX));
        Self { high: turn(self.high), low: turn(self.low), ..self }
    }

    /// `end` less this, if this is not more; `borrow` if the low word of this is more than that of `end`.
    pub(crate) fn up_to(self, end: u64, borrow: bool) -> Self {
        let high = ((end >> 32) as u32).wrapping_sub(borrow.into());
        Self {
            high: self.high.subtracted_from(high),
            low: self.low.subtracted_from(end as u32),
            ..self
        }
    }
}
