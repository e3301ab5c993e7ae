//! Searching text for bytes: fast, because all of an object's text passes through here at start-up.
//!
//! 128 positions are tested at a time with SSE2, and only those that pass are looked at closer.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use wide::u8x16;

/// Positions tested at a time: eight registers full.
const STEP: usize = 128;

/// Calls `found` with the offset of every pair `0f 05`, in order.
pub fn syscall_pairs(text: &[u8], mut found: impl FnMut(usize)) {
    let is_pair = |(first, second): (&[u8; 16], &[u8; 16])| {
        u8x16::new(*first).simd_eq(u8x16::splat(0x0f))
            & u8x16::new(*second).simd_eq(u8x16::splat(0x05))
    };
    let (firsts, _) = text.as_chunks::<STEP>();
    let (seconds, _) = text.get(1..).unwrap_or(&[]).as_chunks::<STEP>();
    for (index, (first, second)) in firsts.iter().zip(seconds).enumerate() {
        let pairs = || first.as_chunks().0.iter().zip(second.as_chunks().0).map(is_pair);
        // Few steps hold one, so the first question is only whether this one does.
        if pairs().fold(u8x16::splat(0), |any, passed| any | passed).to_bitmask() == 0 {
            continue;
        }
        let mut at = index.saturating_mul(STEP);
        for passed in pairs() {
            let mut marks = passed.to_bitmask();
            while marks != 0 {
                found(at.saturating_add(marks.trailing_zeros() as usize));
                marks &= marks.wrapping_sub(1);
            }
            at = at.saturating_add(16);
        }
    }
    let rest = seconds.len().saturating_mul(STEP);
    for (index, pair) in text.get(rest..).unwrap_or(&[]).windows(2).enumerate() {
        if *pair == [0x0f, 0x05] {
            found(rest.saturating_add(index));
        }
    }
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

    /// Which word and bit stand for `addr`; no word does if it lies outside the span.
    fn place(&self, addr: u64) -> (usize, u32) {
        let granule = addr.wrapping_sub(self.base) >> 6;
        ((granule >> 6) as usize, granule as u32 & 63)
    }

    /// Adds the granules that touch `window`.
    pub(crate) fn insert(&mut self, window: &Range<u64>) {
        let mut addr = window.start & !63;
        while addr < window.end {
            let (word, bit) = self.place(addr);
            if let Some(word) = self.bits.get_mut(word) {
                *word |= 1u64.wrapping_shl(bit);
            }
            let Some(next) = addr.checked_add(64) else { break };
            addr = next;
        }
    }

    /// Whether `addr` may be in the set.
    pub(crate) fn may_hold(&self, addr: u64) -> bool {
        let (word, bit) = self.place(addr);
        self.bits.get(word).is_some_and(|word| word.wrapping_shr(bit) & 1 != 0)
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
        for len in [2usize, 63, 64, 65, 127, 128, 129, 130, 255, 256, 257, 300] {
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
    fn granules_hold_what_was_inserted_and_nothing_far() {
        let mut set = Granules::over(0x1000..0x4000);
        set.insert(&(0x10ff..0x1101));
        assert!(set.may_hold(0x10ff) && set.may_hold(0x1100));
        assert!(!set.may_hold(0x1200) && !set.may_hold(0xfff) && !set.may_hold(u64::MAX));
    }
}
