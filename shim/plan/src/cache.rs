//! Plans that were made before, so that nobody needs to make them again: in a file beside the library,
//! and in the sealed memory that a tree of processes shares.
//!
//! Most of what start-up takes is planning the C library, and the plan of a file does not change while
//! the file does not. A plan is found by what stat(2) says of the file; whatever else is wrong with
//! it is caught as with a fresh one, for every patch names the bytes that it overwrites.
//!
//! ```text
//!   header   magic, planner, count, 0                                    8 bytes each
//!   rows     key (5), where its entry begins and how long it is, hash    8 bytes each, by key
//!   entries  end, count of parts, count of sites                         8 bytes each
//!            parts: vaddr, len, offset, writable                         8 bytes each
//!            sites: see `Writer::site`                                   64 bytes each
//! ```
//! All words are little-endian. Nothing is trusted: what does not add up is not there.

use alloc::vec::Vec;
use core::ops::Range;

use ia2_core::site::{Form, Refusal};

use crate::image::Image;
use crate::plan::{Bytes, Island, ObjectPlan, PATCH_MAX, Patch, Site};
use crate::read::{Cursor, array, u64_at};

const MAGIC: u64 = u64::from_le_bytes(*b"ia2plans");
const WORD: usize = 8;
const HEADER: usize = 4 * WORD;
const ROW: usize = 8 * WORD;
const SITE: usize = 8 * WORD;

/// Which planner made the plans: changes with every change of this crate.
const PLANNER: u64 = {
    let text = env!("IA2_PLANNER").as_bytes();
    let (mut value, mut at) = (0u64, 0);
    #[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
    while at < text.len() {
        value = value.wrapping_mul(10).wrapping_add((text[at] - b'0') as u64);
        at += 1;
    }
    value
};

/// What a file is known by: device, inode, size in bytes, and when its content and its inode changed,
/// in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u64; 5]);

impl Key {
    /// That of a file; `None` if its times say nothing. (In an image of a file system that is never
    /// written they are those of a build, in seconds, and another image may have the same.)
    #[must_use]
    pub fn new(device: u64, inode: u64, size: u64, modified: u64, changed: u64) -> Option<Self> {
        let says_nothing = modified == changed && modified.is_multiple_of(1_000_000_000);
        (!says_nothing).then_some(Self([device, inode, size, modified, changed]))
    }
}

/// One executable segment of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Link-time address of the first byte.
    pub vaddr: u64,
    /// How many bytes come from the file.
    pub len: u64,
    /// Offset in the file of the first one.
    pub offset: u64,
    /// Mapped writable as well.
    pub write: bool,
}

/// What patching needs to know of an object beside its sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One past its last link-time address.
    pub end: u64,
    /// Its executable segments, by address.
    pub parts: Vec<Part>,
}

impl Layout {
    /// That of `image`.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        let exec = image.segments.iter().filter(|segment| segment.exec);
        let parts = exec.map(|segment| Part {
            vaddr: segment.vaddr,
            len: segment.bytes.len() as u64,
            offset: segment.offset,
            write: segment.write,
        });
        Self { end: image.end, parts: parts.collect() }
    }
}

/// A plan as it is kept.
#[derive(Clone, Debug)]
pub struct Entry {
    key: Key,
    bytes: Vec<u8>,
}

impl Entry {
    /// Keeps the plan of the object with this layout, which lies in the file `key`.
    #[must_use]
    pub fn new(key: Key, layout: &Layout, plan: &ObjectPlan) -> Self {
        let words = layout.parts.len().saturating_mul(4).saturating_add(3);
        let sites = plan.sites.len().saturating_mul(SITE);
        let mut out = Writer(Vec::with_capacity(words.saturating_mul(WORD).saturating_add(sites)));
        for word in [layout.end, layout.parts.len() as u64, plan.sites.len() as u64] {
            out.word(word);
        }
        for part in &layout.parts {
            for word in [part.vaddr, part.len, part.offset, u64::from(part.write)] {
                out.word(word);
            }
        }
        plan.sites.iter().for_each(|site| out.site(site));
        Self { key, bytes: out.0 }
    }
}

struct Writer(Vec<u8>);

/// First byte of a site that is not patched; the second is the refusal.
const LEFT: u8 = u8::MAX;
/// Bits of a site's flags.
const HAS_NUMBER: u8 = 1;
const HAS_ISLAND: u8 = 2;

impl Writer {
    fn word(&mut self, word: u64) {
        self.0.extend_from_slice(&word.to_le_bytes());
    }

    /// ```text
    ///    0  address           8 bytes
    ///    8  start of patch    8 bytes
    ///   16  island            8 bytes
    ///   24  number            4 bytes
    ///   28  form or LEFT, refusal or how much lies before, length of old bytes, flags
    ///   32  old bytes         16 bytes
    ///   48  old bytes of the island, and nothing   16 bytes
    /// ```
    fn site(&mut self, site: &Site) {
        let number = site.nr.map_or(0, |_| HAS_NUMBER);
        let (start, island, kind, old) = match &site.outcome {
            Ok(patch) => {
                let flags = number | patch.island.map_or(0, |_| HAS_ISLAND);
                let form = patch.form as u8;
                let kind = [form, patch.before, patch.old.len() as u8, flags];
                (patch.start, patch.island, kind, patch.old)
            }
            Err(refusal) => (0, None, [LEFT, *refusal as u8, 0, number], Bytes::default()),
        };
        self.word(site.addr);
        self.word(start);
        self.word(island.map_or(0, |island| island.addr));
        self.0.extend_from_slice(&site.nr.unwrap_or(0).to_le_bytes());
        self.0.extend_from_slice(&kind);
        for bytes in [old.as_slice(), &island.map_or([0; 5], |island| island.old)] {
            let end = self.0.len().saturating_add(PATCH_MAX);
            self.0.extend_from_slice(bytes);
            self.0.resize(end, 0);
        }
    }
}

fn read_site(bytes: &[u8; SITE]) -> Option<Site> {
    let [kind, detail, len, flags] = array(bytes, 28)?;
    let nr = (flags & HAS_NUMBER != 0).then_some(u32::from_le_bytes(array(bytes, 24)?));
    let outcome = if kind == LEFT {
        Err(*Refusal::ALL.iter().find(|refusal| **refusal as u8 == detail)?)
    } else {
        let old = bytes.get(32..)?.get(..usize::from(len).min(PATCH_MAX))?;
        let island = (flags & HAS_ISLAND != 0)
            .then_some(Island { addr: u64_at(bytes, 16)?, old: array(bytes, 48)? });
        Ok(Patch {
            form: *Form::ALL.iter().find(|form| **form as u8 == kind)?,
            start: u64_at(bytes, 8)?,
            old: Bytes::new(old)?,
            island,
            before: detail,
        })
    };
    Some(Site { addr: u64_at(bytes, 0)?, nr, outcome })
}

/// Plans that are kept.
#[derive(Clone, Copy, Default)]
pub struct Cache<'a> {
    bytes: &'a [u8],
    rows: &'a [[u8; ROW]],
}

impl<'a> Cache<'a> {
    /// The plans in `bytes`; none if they are not plans of this planner.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        if (u64_at(bytes, 0)?, u64_at(bytes, WORD)?) != (MAGIC, PLANNER) {
            return None;
        }
        let count = usize::try_from(u64_at(bytes, 2 * WORD)?).ok()?;
        let rows = bytes.get(HEADER..)?.get(..count.checked_mul(ROW)?)?;
        Some(Self { bytes, rows: rows.as_chunks().0 })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn row(&self, key: &Key) -> Option<&'a [u8; ROW]> {
        let at = self.rows.binary_search_by(|row| row_key(row).cmp(key)).ok()?;
        self.rows.get(at)
    }

    /// Whether there seems to be a plan of the file `key`.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.row(key).is_some()
    }

    /// The plan of the file `key`: the object's layout, and its sites.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<(Layout, Vec<Site>)> {
        let entry = self.entry(self.row(key)?)?;
        let mut from = Cursor::new(entry, 0);
        let mut word = || from.take().map(u64::from_le_bytes);
        let (end, parts, sites) = (word()?, word()?, word()?);
        let mut layout = Layout { end, parts: Vec::new() };
        for _ in 0..parts {
            let (vaddr, len, offset, write) = (word()?, word()?, word()?, word()?);
            layout.parts.push(Part { vaddr, len, offset, write: write != 0 });
        }
        let (records, rest) = entry.get(from.at()..)?.as_chunks::<SITE>();
        if records.len() as u64 != sites || !rest.is_empty() {
            return None;
        }
        let sites: Option<Vec<Site>> = records.iter().map(read_site).collect();
        Some((layout, sites?))
    }

    /// The entry that `row` leads to, if it is intact.
    fn entry(&self, row: &[u8; ROW]) -> Option<&'a [u8]> {
        let at = usize::try_from(u64_at(row, 5 * WORD)?).ok()?;
        let len = usize::try_from(u64_at(row, 6 * WORD)?).ok()?;
        let entry = self.bytes.get(at..)?.get(..len)?;
        (hash(entry) == u64_at(row, 7 * WORD)?).then_some(entry)
    }

    /// The bytes of a cache with these plans and `fresh` ones, which replace older ones of the same
    /// file.
    #[must_use]
    pub fn with(&self, fresh: &[Entry]) -> Vec<u8> {
        let kept = self.rows.iter().filter_map(|row| Some((row_key(row), self.entry(row)?)));
        let mut all: Vec<(Key, &[u8])> =
            fresh.iter().map(|entry| (entry.key, &entry.bytes[..])).chain(kept).collect();
        // Stable, so that the fresh one of two stays.
        all.sort_by_key(|(key, _)| *key);
        all.dedup_by_key(|(key, _)| *key);
        let entries = HEADER.saturating_add(all.len().saturating_mul(ROW));
        let total = all.iter().fold(entries, |sum, (_, entry)| sum.saturating_add(entry.len()));
        let mut out = Writer(Vec::with_capacity(total));
        for word in [MAGIC, PLANNER, all.len() as u64, 0] {
            out.word(word);
        }
        let mut at = entries as u64;
        for (Key(key), entry) in &all {
            key.iter().for_each(|word| out.word(*word));
            for word in [at, entry.len() as u64, hash(entry)] {
                out.word(word);
            }
            at = at.saturating_add(entry.len() as u64);
        }
        all.iter().for_each(|(_, entry)| out.0.extend_from_slice(entry));
        out.0
    }
}

fn row_key(row: &[u8; ROW]) -> Key {
    let mut key = [0; 5];
    for (word, bytes) in key.iter_mut().zip(row.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Key(key)
}

/// FNV-1a, over words: an entry is made of whole ones. Against torn and rotten files, not attackers.
fn hash(entry: &[u8]) -> u64 {
    let words = entry.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        let mixed = (hash ^ word).wrapping_mul(0x100_0000_01b3);
        mixed ^ (mixed >> 32)
    })
}

/// The executable segment of `layout` whose beginning lies in a mapping of the file's bytes from
/// `offset` at `range`: what the mapping adds to link-time addresses, and the link-time addresses of
/// the segment.
#[must_use]
pub fn place(layout: &Layout, range: &Range<u64>, offset: u64) -> Option<(u64, Range<u64>)> {
    layout.parts.iter().find_map(|part| {
        let start = range.start.checked_add(part.offset.checked_sub(offset)?)?;
        let end = part.vaddr.checked_add(part.len)?;
        range.contains(&start).then_some((start.wrapping_sub(part.vaddr), part.vaddr..end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn plan() -> (Layout, ObjectPlan) {
        let part = Part { vaddr: 0x1000, len: 0x2000, offset: 0x1000, write: false };
        let layout = Layout { end: 0x9000, parts: vec![part, Part { write: true, ..part }] };
        let old = Bytes::new(b"\xb8\x01\0\0\0").unwrap();
        let a = Patch { form: Form::A, start: 0x1100, old, island: None, before: 5 };
        let island = Some(Island { addr: 0x1190, old: [0x90; 5] });
        let d = Patch { form: Form::D, start: 0x1180, before: 0, island, ..a };
        let sites = vec![
            Site { addr: 0x1105, nr: Some(1), outcome: Ok(a) },
            Site { addr: 0x1180, nr: None, outcome: Ok(d) },
            Site { addr: 0x1200, nr: Some(15), outcome: Err(Refusal::Restorer) },
        ];
        (layout, ObjectPlan { candidates: 3, hidden: vec![], sites })
    }

    const FILE: Key = Key([1, 2, 3, 4, 5]);

    #[test]
    fn a_plan_comes_back_as_it_was_kept() {
        let (layout, plan) = plan();
        let empty = ObjectPlan::default();
        let other = Key([1, 2, 3, 4, 4]);
        let first = Cache::default().with(&[Entry::new(FILE, &layout, &plan)]);
        let both = Cache::new(&first).with(&[Entry::new(other, &layout, &empty)]);
        let cache = Cache::new(&both);
        assert_eq!(cache.len(), 2);
        assert_eq!(cache.get(&FILE), Some((layout.clone(), plan.sites)));
        assert_eq!(cache.get(&other), Some((layout, vec![])));
        assert_eq!(cache.get(&Key([1, 2, 3, 5, 5])), None);
    }

    #[test]
    fn a_fresh_plan_replaces_the_old_one() {
        let (layout, plan) = plan();
        let old = Cache::default().with(&[Entry::new(FILE, &layout, &plan)]);
        let new = Cache::new(&old).with(&[Entry::new(FILE, &layout, &ObjectPlan::default())]);
        assert_eq!(Cache::new(&new).get(&FILE), Some((layout, vec![])));
        assert_eq!(Cache::new(&new).len(), 1);
    }

    /// Whichever byte is wrong, and wherever the end is missing: nothing comes back that was not kept.
    #[test]
    fn damage_makes_plans_disappear() {
        let (layout, plan) = plan();
        let good = Cache::default().with(&[Entry::new(FILE, &layout, &plan)]);
        let kept = Some((layout, plan.sites));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            let got = Cache::new(&bad).get(&FILE);
            assert!(got.is_none() || (24..32).contains(&at) && got == kept, "byte {at}: {got:?}");
            assert_eq!(Cache::new(&good[..at]).get(&FILE), None, "{at} bytes");
        }
    }

    #[test]
    fn a_mapping_is_placed_by_the_segment_it_begins() {
        let (layout, _) = plan();
        let mapping = 0x7000_1000..0x7000_4000;
        assert_eq!(place(&layout, &mapping, 0x1000), Some((0x7000_0000, 0x1000..0x3000)));
        assert_eq!(place(&layout, &mapping, 0x2000), None);
    }
}
