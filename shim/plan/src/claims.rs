//! Claims: decisions that hold only if nobody outside a function enters some of its bytes. All of
//! an object's are checked together, and the few functions where one fails are decided again.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use ia2_core::site::Form;

use crate::func::Function;
use crate::plan::{Patch, Site};
use crate::planner::{OPEN, Planner, REACH_BACK, REACH_FORTH};
use crate::scan::Granules;

/// What counts as a site's surroundings: how far before it its number is looked for, and more
/// than any patch reaches behind it.
pub(crate) const SURROUNDINGS_BEFORE: u64 = 80;
const SURROUNDINGS_BEHIND: u64 = 32;

/// The claim of one function.
pub(crate) struct Claim {
    pub(crate) function: Function,
    /// The function's sites, as indices in the plan.
    pub(crate) sites: Range<usize>,
    /// What must not be entered, as indices in [`Planner::quiet`].
    pub(crate) quiet: Range<usize>,
}

impl Planner<'_> {
    /// Checks the claims against the rest of the object, and decides again, knowing more, where
    /// one does not hold.
    pub(crate) fn verify(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let landed = self.landed();
        let enters = |range: &Range<u64>| {
            let at = landed.partition_point(|addr| *addr < range.start);
            landed.get(at).is_some_and(|addr| *addr < range.end)
        };
        for Claim { function, sites, quiet } in mem::take(&mut self.claims) {
            let quiet = self.quiet.get(quiet).unwrap_or(&[]);
            let entered = quiet.iter().any(|range| {
                enters(range) || self.may_be_entered_from_beside(&function.range, range)
            });
            if entered && self.body.decode(self.image, &function) {
                self.land(&function, &landed, true);
                sites.for_each(|number| self.reopen(number));
            }
        }
    }

    /// Where the functions that the claims' functions jump to come back near a site with a claim,
    /// and where symbols are near one. Sorted.
    fn landed(&mut self) -> Vec<u64> {
        let text = || self.image.segments.iter().filter(|segment| segment.exec);
        let low = text().map(|segment| segment.vaddr).min().unwrap_or(0);
        let ends = text().map(|s| s.vaddr.saturating_add(s.bytes.len() as u64));
        let mut granules = Granules::over(low..ends.max().unwrap_or(low));
        self.quiet.iter().for_each(|range| granules.insert(range));
        for claim in &self.claims {
            for Site { addr, .. } in self.plan.sites.get(claim.sites.clone()).unwrap_or(&[]) {
                let low = addr.saturating_sub(SURROUNDINGS_BEFORE);
                granules.insert(&(low..addr.saturating_add(SURROUNDINGS_BEHIND)));
            }
        }
        let mut landed = Vec::new();
        let mut seen = BTreeSet::new();
        for exit in &self.exits {
            if let Some(function) = self.functions.find(*exit)
                && seen.insert(function.range.start)
                && self.other.decode(self.image, &function)
            {
                landed.extend(self.other.exits.iter().filter(|addr| granules.may_hold(**addr)));
            }
        }
        let near = self.image.symbols_where(|addr| granules.may_hold(addr));
        landed.extend(near.map(|symbol| symbol.addr));
        landed.sort_unstable();
        landed.dedup();
        landed
    }

    /// Whether bytes just outside `function` look like a short branch into `range`.
    fn may_be_entered_from_beside(&self, function: &Range<u64>, range: &Range<u64>) -> bool {
        let looks = |from: u64, to: u64| {
            let len = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            let text = self.image.text_at(from).filter(|_| len != 0).unwrap_or(&[]);
            let size = range.end.saturating_sub(range.start);
            // Where in the range the branch would go if its distance were 0.
            let mut at = from.wrapping_add(2).wrapping_sub(range.start);
            for (opcode, distance) in text.iter().zip(text.get(1..).unwrap_or(&[])).take(len) {
                let target = at.wrapping_add_signed(i64::from(distance.cast_signed()));
                if target < size && matches!(opcode, 0x70..=0x7f | 0xe0..=0xe3 | 0xeb) {
                    return true;
                }
                at = at.wrapping_add(1);
            }
            false
        };
        looks(range.start.saturating_sub(REACH_FORTH.saturating_add(2)), function.start)
            || looks(function.end, range.end.saturating_add(REACH_BACK))
    }

    /// Decides site `number` again, now that all landings in its surroundings are known. Islands
    /// lie outside those, so form D is not tried again.
    fn reopen(&mut self, number: usize) {
        let Some(site) = self.plan.sites.get_mut(number) else { return };
        match site.outcome {
            // If the number comes from the moved instruction, `decide` finds it again.
            Ok(Patch { form: Form::A, .. }) => site.nr = None,
            Ok(_) => {
                site.nr = None;
                site.outcome = OPEN;
            }
            Err(_) => return,
        }
        self.decide(number, false);
    }
}
