//! Searching text for bytes: fast, because all of an object's text passes through here at start-up.
//!
//! Both searches compare 64 positions at a time with SSE2, which every x86-64 has, and look closer
//! only at the positions that the compares mark.

use alloc::vec;
use alloc::vec::Vec;
use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
    _mm_set1_epi8,
};
use core::ops::Range;

use crate::read::i32_at;

/// Positions compared at a time.
const BLOCK: usize = 64;

/// Sixteen bytes and, in the second vector, the sixteen that begin one byte later.
fn load(bytes: &[u8; 17]) -> (__m128i, __m128i) {
    let vector = |bytes: &[u8]| {
        let (low, high) = bytes.split_at_checked(8).unwrap_or((&[], &[]));
        let half = |half: &[u8]| half.first_chunk().copied().map_or(0, i64::from_le_bytes);
        _mm_set_epi64x(half(high), half(low))
    };
    (vector(bytes.first_chunk::<16>().unwrap_or(&[0; 16])), vector(bytes.last_chunk::<16>().unwrap_or(&[0; 16])))
}

/// A vector of one byte.
fn all(byte: u8) -> __m128i {
    _mm_set1_epi8(byte.cast_signed())
}

/// Marks positions by a test on each byte and the one behind it: bit n of the result stands for
/// the pair at offset n of the block.
#[inline]
fn mark(block: &[u8; BLOCK + 1], test: impl Fn(__m128i, __m128i) -> __m128i) -> u64 {
    let mut marks = 0u64;
    for part in [48usize, 32, 16, 0] {
        let Some(bytes) = block.get(part..).and_then(<[u8]>::first_chunk::<17>) else { continue };
        let (first, second) = load(bytes);
        let bits = _mm_movemask_epi8(test(first, second)).cast_unsigned();
        marks = marks << 16 | u64::from(bits);
    }
    marks
}

/// Calls `found` with the offset of every pair of bytes that passes the test, which is given once
/// for vectors and once for bytes.
#[inline]
fn pairs(
    text: &[u8],
    vectors: impl Fn(__m128i, __m128i) -> __m128i,
    bytes: impl Fn(u8, u8) -> bool,
    mut found: impl FnMut(usize),
) {
    let mut at = 0usize;
    while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let mut marks = mark(block, &vectors);
        while marks != 0 {
            found(at.wrapping_add(marks.trailing_zeros() as usize));
            marks &= marks.wrapping_sub(1);
        }
        at = at.saturating_add(BLOCK);
    }
    for (index, pair) in text.get(at..).unwrap_or(&[]).windows(2).enumerate() {
        if let [first, second] = *pair
            && bytes(first, second)
        {
            found(at.saturating_add(index));
        }
    }
}

/// Calls `found` with the offset of every pair `0f 05`, in order.
pub fn syscall_pairs(text: &[u8], found: impl FnMut(usize)) {
    pairs(
        text,
        |first, second| {
            _mm_and_si128(_mm_cmpeq_epi8(first, all(0x0f)), _mm_cmpeq_epi8(second, all(0x05)))
        },
        |first, second| first == 0x0f && second == 0x05,
        found,
    );
}

/// A set of addresses in one stretch of text, as bits for 64-byte granules: it may say yes to an
/// address next to a member.
pub(crate) struct Granules {
    base: u64,
    bits: Vec<u64>,
}

impl Granules {
    /// An empty set over `span`.
    pub(crate) fn over(span: Range<u64>) -> Self {
        let granules = (span.end.saturating_sub(span.start) >> 6).saturating_add(1);
        let words = usize::try_from(granules >> 6).unwrap_or(0).saturating_add(1);
        Self { base: span.start & !63, bits: vec![0; words] }
    }

    /// Which word and bit stand for `addr`.
    fn place(&self, addr: u64) -> (usize, u64) {
        let granule = addr.wrapping_sub(self.base) >> 6;
        (usize::try_from(granule >> 6).unwrap_or(usize::MAX), 1u64.rotate_left(granule as u32 & 63))
    }

    /// Adds the granules that touch `window`.
    pub(crate) fn insert(&mut self, window: &Range<u64>) {
        let mut addr = window.start & !63;
        while addr < window.end {
            let (word, bit) = self.place(addr);
            if let Some(word) = self.bits.get_mut(word) {
                *word |= bit;
            }
            let Some(next) = addr.checked_add(64) else { break };
            addr = next;
        }
    }

    /// Whether `addr` may be in the set.
    pub(crate) fn may_hold(&self, addr: u64) -> bool {
        let (word, bit) = self.place(addr);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// Calls `found` with the target of everything in `text` that has the bytes of a `jmp rel32` or
/// `jcc rel32` into the set, at any alignment, whether it is an instruction or not. `text` begins
/// at address `start`.
///
/// This is how branches out of *other* functions are excluded: the cold half of a function jumps
/// back into the hot half at places that have no symbol.
pub(crate) fn jumps_into(text: &[u8], start: u64, set: &Granules, mut found: impl FnMut(u64)) {
    let mut check = |at: usize| {
        let Some(distance) = i32_at(text, at) else { return };
        let target = start.wrapping_add(at as u64).wrapping_add(4).wrapping_add_signed(distance);
        if set.may_hold(target) {
            found(target);
        }
    };
    // The distance begins behind e9, or behind 0f 8x.
    pairs(
        text,
        |first, second| {
            let long = _mm_cmpeq_epi8(_mm_and_si128(second, all(0xf0)), all(0x80));
            let long = _mm_and_si128(_mm_cmpeq_epi8(first, all(0x0f)), long);
            _mm_or_si128(long, _mm_cmpeq_epi8(second, all(0xe9)))
        },
        |first, second| second == 0xe9 || (first == 0x0f && second & 0xf0 == 0x80),
        |at| check(at.saturating_add(2)),
    );
    if text.first() == Some(&0xe9) {
        check(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syscalls(text: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        syscall_pairs(text, |at| found.push(at));
        found
    }

    #[test]
    fn a_pair_is_found_at_every_offset_of_a_block() {
        for len in [2usize, 63, 64, 65, 66, 127, 128, 129, 200] {
            for at in 0..len - 1 {
                let mut text = vec![0x90u8; len];
                text[at] = 0x0f;
                text[at + 1] = 0x05;
                assert_eq!(syscalls(&text), [at], "length {len}");
            }
        }
    }

    #[test]
    fn a_split_pair_is_no_pair() {
        assert!(syscalls(&[0x0f]).is_empty());
        assert!(syscalls(&[]).is_empty());
        assert!(syscalls(&[0x0f, 0x90, 0x05]).is_empty());
        assert_eq!(syscalls(&[0x0f, 0x0f, 0x05, 0x05]), [1]);
    }

    #[test]
    fn a_jump_into_the_window_is_found_wherever_it_stands() {
        let start = 0x1000u64;
        for opcode in [&[0xe9u8][..], &[0x0f, 0x84], &[0x0f, 0x8f]] {
            for at in 0..190usize {
                let mut text = vec![0x90u8; 200];
                let target = 0x5000u64;
                let end = at + opcode.len() + 4;
                let distance = (target - (start + end as u64)) as u32;
                text[at..at + opcode.len()].copy_from_slice(opcode);
                text[at + opcode.len()..end].copy_from_slice(&distance.to_le_bytes());
                let mut set = Granules::over(0x1000..0x9000);
                set.insert(&(0x5000..0x5001));
                let mut hits = Vec::new();
                jumps_into(&text, start, &set, |target| hits.push(target));
                assert_eq!(hits, [0x5000], "{opcode:x?} at {at}");
            }
        }
    }

    #[test]
    fn granules_hold_what_was_inserted_and_nothing_far() {
        let mut set = Granules::over(0x1000..0x4000);
        set.insert(&(0x10ff..0x1101));
        assert!(set.may_hold(0x10ff) && set.may_hold(0x1100));
        assert!(!set.may_hold(0x1200) && !set.may_hold(0xfff) && !set.may_hold(u64::MAX));
    }
}
