//! The values of one argument that conditions can tell apart.
//!
//! A condition looks at an argument in two ways: it compares it, which cuts the line of numbers into
//! pieces, or it compares some of its bits with a pattern (`has`, `subset`, `(flags & MASK) == X`). Bits
//! that all patterns treat alike are one class, and of a class only three things matter: all its bits are
//! 0, all are 1, or neither. So a value for each piece and each way to set the classes is all that can be
//! told apart: a *cell*. Nothing is lost by trying one value of each, but where a condition looks in
//! another way (at two arguments at once, at an order of some bits), and that is said.

use std::collections::{BTreeMap, BTreeSet};

/// What is known of how conditions look at one argument.
#[derive(Clone, Debug, Default)]
pub(super) struct Axis {
    /// Where pieces begin.
    cuts: BTreeSet<u64>,
    /// Bits that are compared, and with what.
    masks: BTreeSet<(u64, u64)>,
    /// Constants as they are written, in order: a reader knows them.
    named: Vec<u64>,
    /// Values to be tried besides.
    more: Vec<u64>,
    /// Whether it is seen with 32 bits, and with 64.
    narrow: bool,
    wide: bool,
    /// Both ends of each cell matter.
    ends: bool,
    /// It is looked at in another way.
    inexact: bool,
}

/// Most values of one argument.
const MOST: usize = 1500;
/// Classes of bits that are told apart: three ways for each.
const CLASSES: usize = 6;

impl Axis {
    /// A piece begins here.
    pub(super) fn cut(&mut self, at: u64) {
        self.cuts.insert(at);
    }

    /// It is compared with all values from `first` to `last`.
    pub(super) fn range(&mut self, first: u64, last: u64) {
        self.cuts.insert(first);
        if let Some(next) = last.checked_add(1) {
            self.cuts.insert(next);
        }
        self.name(first);
    }

    /// The bits in `mask` are compared with `value`.
    pub(super) fn bits(&mut self, mask: u64, value: u64) {
        self.masks.insert((mask, value & mask));
        self.name(value & mask);
    }

    /// How many bits a condition sees, and whether it has a sign.
    pub(super) fn seen(&mut self, is_wide: bool) {
        self.wide |= is_wide;
        self.narrow |= !is_wide;
        // Where the order of a signed number breaks.
        self.cuts.extend([0, if is_wide { 1 << 63 } else { 1 << 31 }]);
    }

    /// Both ends of each cell matter.
    pub(super) fn both_ends(&mut self) {
        self.ends = true;
    }

    /// It is looked at in another way.
    pub(super) fn inexact(&mut self) {
        self.inexact = true;
    }

    /// One value more.
    pub(super) fn also(&mut self, value: u64) {
        self.more.push(value);
    }

    /// Whether anything looks at it.
    pub(super) fn is_seen(&self) -> bool {
        self.wide || self.narrow || !self.more.is_empty()
    }

    fn name(&mut self, value: u64) {
        if !self.named.contains(&value) {
            self.named.push(value);
        }
    }

    /// A value of each cell, those that a reader knows first; and whether that is all.
    pub(super) fn values(&self) -> (Vec<u64>, bool) {
        // An argument that is seen both ways is tried with both; that is not all.
        let mut exact = !(self.inexact || self.wide && self.narrow);
        let last = if self.wide { u64::MAX } else { u64::from(u32::MAX) };
        let mut starts: Vec<u64> = self.cuts.iter().copied().filter(|cut| *cut <= last).collect();
        if starts.first() != Some(&0) {
            starts.insert(0, 0);
        }
        let masks: Vec<(u64, u64)> =
            self.masks.iter().map(|(mask, value)| (mask & last, value & last)).collect();
        let (classes, complete) = classes(&masks);
        exact &= complete;
        let mut found = BTreeSet::new();
        for (at, start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).map_or(last, |next| next - 1);
            found.extend(lowest(*start, end, &classes));
            if self.ends {
                // From above it is the same, with all bits turned.
                let highest = lowest(!end & last, !start & last, &classes);
                found.extend(highest.into_iter().map(|high| !high & last));
            }
            if found.len() > MOST {
                exact = false;
                break;
            }
        }
        found.extend(self.more.iter().map(|value| value & last));
        let known = self.named.iter().map(|value| value & last);
        let mut values: Vec<u64> = known.filter(|value| found.remove(value)).collect();
        values.extend(found);
        (values, exact)
    }
}

/// Bits that all comparisons treat alike; and whether these are all classes.
fn classes(masks: &[(u64, u64)]) -> (Vec<u64>, bool) {
    // For each comparison, whether it looks at the bit, and what it wants of it.
    let mut classes: Vec<(Vec<Option<bool>>, u64)> = Vec::new();
    for bit in (0..64).map(|at| 1u64 << at) {
        let sign = |(mask, value): &(u64, u64)| (mask & bit != 0).then_some(value & bit != 0);
        let signs: Vec<Option<bool>> = masks.iter().map(sign).collect();
        if signs.iter().all(Option::is_none) {
            continue;
        }
        match classes.iter_mut().find(|class| class.0 == signs) {
            Some(class) => class.1 |= bit,
            None => classes.push((signs, bit)),
        }
    }
    let complete = classes.len() <= CLASSES;
    (classes.into_iter().take(CLASSES).map(|class| class.1).collect(), complete)
}

/// How the bits of a class are set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Zeros,
    Ones,
    Mixed,
}

/// The lowest value from `start` to `end` for each way to set the classes.
fn lowest(start: u64, end: u64, classes: &[u64]) -> Vec<u64> {
    let most: usize =
        classes.iter().map(|bits| if bits.count_ones() == 1 { 2 } else { 3 }).product();
    let mut found: BTreeMap<Vec<Way>, u64> = BTreeMap::new();
    let mut next = Some(start);
    // Blocks, of which the upper bits are fixed and the lower ones are free.
    while let Some(block) = next.filter(|block| *block <= end && found.len() < most) {
        let fits = |free: u64| block & free == 0 && free <= end - block;
        let frees = (0..=64).map(|count| if count == 64 { u64::MAX } else { (1 << count) - 1 });
        let free = frees.take_while(|free| fits(*free)).last().unwrap_or(0);
        let mut values = vec![(Vec::new(), block)];
        for bits in classes {
            let ways = ways(block, free, *bits);
            values = values
                .iter()
                .flat_map(|(known, value)| {
                    ways.iter().map(move |(way, set)| {
                        (known.iter().copied().chain([*way]).collect(), value | set)
                    })
                })
                .collect();
        }
        for (ways, value) in values {
            found.entry(ways).or_insert(value);
        }
        next = block.checked_add(free).and_then(|last| last.checked_add(1));
    }
    found.into_values().collect()
}

/// The ways to set the bits of a class in a block, each with the least bits that must be set for it.
fn ways(block: u64, free: u64, bits: u64) -> Vec<(Way, u64)> {
    let (fixed, free) = (bits & !free, bits & free);
    let (ones, zeros) = (block & fixed != 0, !block & fixed != 0);
    let first = free & free.wrapping_neg();
    let mixed = match (ones, zeros) {
        (true, true) => Some(0),
        (true, false) => (free != 0).then_some(0),
        (false, true) => (free != 0).then_some(first),
        (false, false) => (free != first).then_some(first),
    };
    let all = [
        (!ones).then_some((Way::Zeros, 0)),
        (!zeros).then_some((Way::Ones, free)),
        mixed.map(|set| (Way::Mixed, set)),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::{Axis, lowest};
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_least_value_of_each_kind_is_found() {
        let kind = |value: u64, bits: u64| match value & bits {
            0 => 0,
            set if set == bits => 1,
            _ => 2,
        };
        for classes in [&[][..], &[6], &[1, 6], &[0x81, 0x70, 2], &[0x0f, 0xf0], &[0xff]] {
            for (start, end) in [(0, 255), (0, 0), (3, 3), (5, 200), (100, 131), (254, 255), (7, 8)]
            {
                let mut wanted = BTreeMap::new();
                for value in start..=end {
                    let kinds: Vec<_> = classes.iter().map(|bits| kind(value, *bits)).collect();
                    wanted.entry(kinds).or_insert(value);
                }
                let wanted: Vec<u64> =
                    BTreeSet::from_iter(wanted.into_values()).into_iter().collect();
                let mut found = lowest(start, end, classes);
                found.sort_unstable();
                assert_eq!(found, wanted, "{start}..={end} {classes:x?}");
            }
        }
        assert_eq!(lowest(0, u64::MAX, &[]), [0]);
        assert_eq!(lowest(u64::MAX, u64::MAX, &[1 << 63]), [u64::MAX]);
    }

    /// Conditions of all kinds on one argument of a few bits: whatever answers some value gets, a cell gets.
    #[test]
    fn no_answers_are_lost() {
        let conditions: [fn(u64) -> bool; 5] = [
            |value| value & 6 == 6,
            |value| value & !0x13 & 0xffff_ffff == 0,
            |value| value & 3 == 2,
            |value| (17..=40).contains(&value),
            |value| value < 100,
        ];
        let mut axis = Axis::default();
        axis.seen(false);
        axis.bits(6, 6);
        axis.bits(0xffff_ffec, 0);
        axis.bits(3, 2);
        axis.range(17, 40);
        axis.range(0, 99);
        let (values, exact) = axis.values();
        assert!(exact);
        let answers = |value: u64| conditions.map(|condition| condition(value));
        for value in (0..4096).chain((0..32).map(|at| 1 << at)) {
            let wanted = answers(value);
            assert!(values.iter().any(|cell| answers(*cell) == wanted), "{value}: {wanted:?}");
        }
    }

    #[test]
    fn known_values_come_first() {
        let mut axis = Axis::default();
        axis.seen(false);
        axis.range(0x5401, 0x5401);
        assert_eq!(axis.values(), (vec![0x5401, 0, 0x5402, 0x8000_0000], true));
    }
}
