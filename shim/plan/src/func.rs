//! Which function holds an address, and what lies between functions.
//!
//! Cases, in the order they are tried:
//! 1. An unwind entry covers the address: it tells both bounds.
//! 2. The address lies in a short gap that follows one entry's end and is not padding: assembly that
//!    switches unwinding off around a `SYSCALL` that returns on another stack (glibc's `clone`).
//!    Control falls from the entry into the gap, so it is decoded as the continuation.
//! 3. None does, but a function symbol comes before it with no unwind entry between: the *region*
//!    from that symbol to the next symbol or unwind entry. It may hold several functions (local
//!    ones have no symbol in a stripped object) and the padding between them; compilers put nothing
//!    else there, so decoding from its start stays in step. musl's libc is like this throughout.
//! 4. Otherwise nobody knows.

use alloc::vec::Vec;
use core::ops::Range;

use crate::image::Image;
use crate::insn;
use crate::unwind::Unwind;

/// Longest gap of case 2.
const BRIDGE: u64 = 32;

/// Longest region of case 3. A C library without unwind entries has far more symbols than that; a
/// longer region is a program with a few symbols at most, which say little about its text.
const REGION: u64 = 256 << 10;

/// A function, or a region of case 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// The code.
    pub(crate) range: Range<u64>,
    /// Its unwind entry marks a signal frame.
    pub(crate) signal: bool,
    /// Where the table of its landing pads is.
    pub(crate) lsda: Option<u64>,
}

/// All functions of an object.
pub(crate) struct Functions<'a> {
    image: &'a Image<'a>,
    unwind: Unwind<'a>,
    starts: Starts,
}

/// What symbols name in one stretch of text.
#[derive(Default)]
struct Starts {
    stretch: Range<u64>,
    /// Sorted: the address, and whether a function is there.
    list: Vec<(u64, bool)>,
    /// How many stretches were looked at.
    count: usize,
}

/// After so many stretches, the symbols of all text are sorted, once.
const STRETCHES: usize = 8;

impl<'a> Functions<'a> {
    /// The functions of `image`.
    pub(crate) fn new(image: &'a Image<'a>) -> Self {
        Self { image, unwind: Unwind::new(image), starts: Starts::default() }
    }

    /// The function that holds `addr`.
    pub(crate) fn find(&mut self, addr: u64) -> Option<Function> {
        let after = self.unwind.starts_up_to(addr);
        let mut floor = 0;
        if let Some(before) = after.checked_sub(1)
            && let Some(fde) = self.unwind.fde(before)
        {
            if fde.range.contains(&addr) {
                return Some(Function { range: fde.range, signal: fde.signal, lsda: fde.lsda });
            }
            floor = fde.range.end;
            if let Some((next, _)) = self.unwind.entry(after)
                && next.saturating_sub(floor) <= BRIDGE
            {
                let range = fde.range.start..next;
                let bridge = Function { range, signal: fde.signal, lsda: fde.lsda };
                return (!is_padding(self.image, &(floor..next))).then_some(bridge);
            }
        }
        let ceiling = self.unwind.entry(after).map_or(u64::MAX, |(start, _)| start);
        let starts = self.starts(floor..ceiling);
        let next = starts.partition_point(|(start, _)| *start <= addr);
        let (start, is_function) = *starts.get(next.checked_sub(1)?)?;
        if !is_function {
            return None; // a label: data in text has one, too
        }
        let next = starts.get(next).map_or(u64::MAX, |(start, _)| *start);
        let text = self.image.text_at(start)?;
        let end = next.min(ceiling).min(start.saturating_add(text.len() as u64));
        (start >= floor && addr < end && end.saturating_sub(start) <= REGION).then_some(Function {
            range: start..end,
            signal: false,
            lsda: None,
        })
    }

    /// The functions before and after `function` that begin or end within `reach` bytes of it.
    pub(crate) fn neighbours(&mut self, function: &Function, reach: u64) -> Vec<Function> {
        let mut found = Vec::new();
        let low = function.range.start.saturating_sub(reach);
        let mut addr = function.range.start;
        while addr > low {
            addr = addr.wrapping_sub(1);
            if let Some(other) = self.find(addr) {
                addr = other.range.start.min(addr);
                found.push(other);
            }
        }
        let high = function.range.end.saturating_add(reach);
        let mut addr = function.range.end;
        while addr < high {
            match self.find(addr) {
                Some(other) => {
                    addr = other.range.end.max(addr.saturating_add(1));
                    found.push(other);
                }
                None => addr = addr.saturating_add(1),
            }
        }
        found
    }

    /// Adds the landing pads of `function` to `found`. Answers whether its table can be read.
    pub(crate) fn landing_pads(&self, function: &Function, found: &mut Vec<u64>) -> bool {
        let Some(lsda) = function.lsda else { return true };
        self.unwind.landing_pads(lsda, function.range.start, found).is_some()
    }

    /// The stretches of padding *between* functions that touch `window`: behind one unwind entry's
    /// end and before the next one's start, with nothing in them but `nop` and `int3`. The caller
    /// checks that no symbol names a place in them. Only objects with an unwind index have them.
    pub(crate) fn padding(&self, window: &Range<u64>) -> Vec<Range<u64>> {
        let mut found = Vec::new();
        let mut index = self.unwind.starts_up_to(window.start).saturating_sub(1);
        while let Some((start, _)) = self.unwind.entry(index) {
            if start >= window.end {
                break;
            }
            let next = self.unwind.entry(index.saturating_add(1)).map(|(start, _)| start);
            if let Some(fde) = self.unwind.fde(index)
                && let Some(next) = next
                && next.saturating_sub(fde.range.end) < 64
                && fde.range.end < next
            {
                let gap = fde.range.end..next;
                if is_padding(self.image, &gap) {
                    found.push(gap);
                }
            }
            index = index.saturating_add(1);
        }
        found
    }

    /// What symbols name in `stretch`, and perhaps around it. Most objects have symbols by the
    /// thousand and unwind entries nearly everywhere, so that only a few stretches are asked for.
    fn starts(&mut self, stretch: Range<u64>) -> &[(u64, bool)] {
        let known = &mut self.starts;
        if stretch.start < known.stretch.start || stretch.end > known.stretch.end {
            known.count = known.count.saturating_add(1);
            known.stretch = if known.count > STRETCHES { 0..u64::MAX } else { stretch };
            let range = known.stretch.clone();
            let symbols = self.image.symbols_where(|addr| range.contains(&addr));
            known.list.clear();
            known.list.extend(symbols.map(|symbol| (symbol.addr, symbol.function)));
            // Functions first, so that they stay where a label names the same address.
            known.list.sort_unstable_by_key(|(addr, function)| (*addr, !function));
            known.list.dedup_by_key(|(addr, _)| *addr);
        }
        &known.list
    }
}

/// Whether `gap` holds only `nop` (of any length) and `int3`.
fn is_padding(image: &Image<'_>, gap: &Range<u64>) -> bool {
    let mut left = usize::try_from(gap.end.saturating_sub(gap.start)).unwrap_or(usize::MAX);
    let Some(mut code) = image.text_at(gap.start) else { return false };
    while left != 0 {
        let padding = insn::decode(code).filter(|insn| insn.is_nop() || insn.is_int3());
        let Some(len) = padding.map(|insn| usize::from(insn.len)).filter(|len| *len <= left) else {
            return false;
        };
        left = left.saturating_sub(len);
        code = code.get(len..).unwrap_or(&[]);
    }
    true
}
