//! The four forms: whether one fits a site, and the patch that it makes there. And the number that
//! is known where a patch is entered.

use alloc::vec::Vec;
use core::ops::Range;

use ia2_core::site::{Form, Refusal};

use crate::claims::SURROUNDINGS_BEFORE;
use crate::insn::{Flow, Insn, Writes};
use crate::plan::{Bytes, Island, JUMP_LEN, PATCH_MAX, Patch, Site};
use crate::planner::{Planner, REACH_BACK, REACH_FORTH};

impl Planner<'_> {
    /// One preceding instruction of five bytes or more. Where the function itself branches to the
    /// `SYSCALL` past it, that branch would trap every time: then another form is better, and this
    /// one the last resort. `before` is that instruction, and its bytes.
    pub(crate) fn form_a(
        &self,
        index: usize,
        before: Option<(Insn, &[u8])>,
        avoid_target: bool,
    ) -> Option<Patch> {
        let (insn, code) = before?;
        let site = self.body.step(index)?;
        let step = self.body.step(index.checked_sub(1)?)?;
        let last = if avoid_target { site.at } else { site.at.wrapping_sub(1) };
        if usize::from(insn.len) < JUMP_LEN
            || !insn.is_movable()
            || self.body.is_target_within(step.at.wrapping_add(1), last)
        {
            return None;
        }
        Some(Patch {
            form: Form::A,
            start: self.body.start.wrapping_add(u64::from(step.at)),
            old: Bytes::new(code.get(..usize::from(insn.len))?)?,
            island: None,
            before: insn.len,
        })
    }

    /// The constant in `eax` at the `SYSCALL` with index `index`, when control came from `entry`
    /// or from before.
    pub(crate) fn number(&mut self, index: usize, entry: u64) -> Option<u32> {
        let entry = self.body.offset(entry)?;
        let site = self.body.step(index)?;
        let mut at = index;
        loop {
            at = at.checked_sub(1)?;
            let step = self.body.step(at)?;
            if u64::from(site.at.wrapping_sub(step.at)) > SURROUNDINGS_BEFORE {
                return None;
            }
            let (insn, code) = self.body.insn(at)?;
            if let Some(nr) = insn.sets_eax(code) {
                // Between the load and the entry nobody may come in from the side.
                let first = step.at.wrapping_add(1);
                if first <= entry && (self.landings.anywhere || self.is_entered(first, entry)) {
                    return None;
                }
                self.rely_on(first, entry);
                return Some(nr);
            }
            let straight = matches!(insn.flow, Flow::Next | Flow::Branch);
            if !straight || matches!(insn.writes(), Writes::Unknown | Writes::One(0)) {
                return None;
            }
        }
    }

    /// Form D with an island of padding between functions.
    pub(crate) fn island_between(&mut self, addr: u64) -> Option<Patch> {
        let padding = self.functions.padding(&island_window(addr)?);
        padding.into_iter().find_map(|stretch| self.island(addr, stretch))
    }

    /// Form D with an island of padding inside the decoded function, all of it.
    pub(crate) fn island_inside(&mut self, addr: u64) -> Option<Patch> {
        let mut padding = Vec::new();
        self.padding_inside(&island_window(addr)?, &mut padding);
        padding.into_iter().find_map(|stretch| self.island(addr, stretch))
    }

    /// Two bytes that jump to an island in this `stretch` of padding.
    fn island(&mut self, addr: u64, stretch: Range<u64>) -> Option<Patch> {
        let end = addr.checked_add(2)?;
        let mut at = stretch.start.max(end.saturating_sub(REACH_BACK));
        let last = end.saturating_add(REACH_FORTH);
        while at <= last && at.saturating_add(JUMP_LEN as u64) <= stretch.end {
            let overlapping = at.saturating_sub(4)..at.saturating_add(JUMP_LEN as u64);
            if let Some(taken) = self.islands.range(overlapping).next_back() {
                at = taken.saturating_add(JUMP_LEN as u64);
                continue;
            }
            let old = *self.image.text_at(at)?.first_chunk()?;
            self.islands.insert(at);
            self.quiet.push(stretch);
            return Some(Patch {
                form: Form::D,
                start: addr,
                old: Bytes::new(&[0x0f, 0x05])?,
                island: Some(Island { addr: at, old }),
                before: 0,
            });
        }
        None
    }

    /// Two bytes that jump back to an island in the `nop` right before the `SYSCALL`. Whoever runs
    /// that `nop` goes on to make the call, and so does the island: it does not matter who comes.
    pub(crate) fn island_over_nop(&mut self, number: usize, index: usize) -> Option<Patch> {
        let site = self.body.step(index)?;
        let nop = self.body.step(index.checked_sub(1)?)?;
        let (insn, code) = self.body.insn(index.checked_sub(1)?)?;
        let inside = nop.at.wrapping_add(1);
        if !insn.is_nop() || self.body.is_target_within(inside, site.at.wrapping_sub(1)) {
            return None;
        }
        let old = *code.get(..usize::from(insn.len))?.first_chunk()?;
        let mut patch = self.moving(Form::D, number, nop.at..site.end, 0).ok()?;
        let addr = patch.start;
        if self.islands.range(addr.saturating_sub(4)..patch.range().end).next().is_some() {
            return None;
        }
        self.islands.insert(addr);
        patch.start = addr.wrapping_add(u64::from(insn.len));
        patch.old = Bytes::new(&[0x0f, 0x05])?;
        patch.island = Some(Island { addr, old });
        Some(patch)
    }

    /// Adds the padding inside the decoded function that nothing reaches: behind a jump or return,
    /// up to where control may enter again.
    fn padding_inside(&self, window: &Range<u64>, found: &mut Vec<Range<u64>>) {
        if self.landings.anywhere || self.body.broken {
            return;
        }
        let addr = |offset: u32| self.body.start.wrapping_add(u64::from(offset));
        let stops = self.body.stops.as_slice();
        let is_before =
            |stop: &usize| self.body.step(*stop).is_some_and(|step| addr(step.at) < window.start);
        let near = stops.get(stops.partition_point(is_before)..).unwrap_or(&[]);
        for stop in near {
            let Some(step) = self.body.step(*stop) else { break };
            if addr(step.at) >= window.end {
                break;
            }
            let mut index = stop.saturating_add(1);
            let mut to = step.end;
            while let Some((insn, _)) = self.body.insn(index)
                && (insn.is_nop() || insn.is_int3())
            {
                to = to.wrapping_add(u32::from(insn.len));
                index = index.saturating_add(1);
            }
            if to > step.end && !self.is_entered(step.end, to.wrapping_sub(1)) {
                found.push(addr(step.end)..addr(to));
            }
        }
    }

    /// The forms that move instructions around the `SYSCALL`; if neither fits, the reason.
    pub(crate) fn form_b_or_c(&mut self, number: usize, index: usize) -> Result<Patch, Refusal> {
        if self.landings.anywhere {
            return Err(Refusal::IndirectJump);
        }
        self.form_b(number, index).or_else(|not_b| {
            self.form_c(number, index).map_err(|not_c| {
                // A branch target is the more telling reason of the two.
                if not_b == Refusal::BranchTarget { not_b } else { not_c }
            })
        })
    }

    /// The `SYSCALL` and what follows.
    fn form_b(&mut self, number: usize, index: usize) -> Result<Patch, Refusal> {
        let site = self.body.step(index).ok_or(Refusal::Immovable)?;
        let mut next = index;
        let mut end = site.end;
        while (end.wrapping_sub(site.at) as usize) < JUMP_LEN {
            next = next.saturating_add(1);
            let step = self.body.step(next).ok_or(Refusal::Immovable)?;
            let (insn, _) = self.body.insn(next).ok_or(Refusal::Immovable)?;
            if !insn.is_movable() {
                return Err(Refusal::Immovable);
            }
            end = step.end;
        }
        if self.is_entered(site.at.wrapping_add(1), end.wrapping_sub(1)) {
            return Err(Refusal::BranchTarget);
        }
        if end as usize >= self.body.bytes.len() {
            return Err(Refusal::Immovable);
        }
        let patch = self.moving(Form::B, number, site.at..end, 0)?;
        self.rely_on(site.at.wrapping_add(1), end.wrapping_sub(1));
        Ok(patch)
    }

    /// What precedes, and the `SYSCALL`; or only what precedes, if that is several instructions
    /// with room enough.
    fn form_c(&mut self, number: usize, index: usize) -> Result<Patch, Refusal> {
        let site = self.body.step(index).ok_or(Refusal::Immovable)?;
        let mut reason = Refusal::Immovable;
        let mut first = index;
        while let Some(before) = first.checked_sub(1) {
            first = before;
            let (Some(step), Some((insn, _))) = (self.body.step(first), self.body.insn(first))
            else {
                break;
            };
            let len = site.at.wrapping_sub(step.at);
            if !insn.is_movable() || len as usize > PATCH_MAX {
                break;
            }
            let inside = step.at.wrapping_add(1);
            if self.is_entered(inside, site.at.wrapping_sub(1)) {
                reason = Refusal::BranchTarget;
                break;
            }
            let before = len as u8;
            if (len as usize).saturating_add(2) >= JUMP_LEN {
                if !self.is_entered(inside, site.at) {
                    let patch = self.moving(Form::C, number, step.at..site.end, before)?;
                    self.rely_on(inside, site.at);
                    return Ok(patch);
                }
                reason = Refusal::BranchTarget;
            }
            // With one instruction only this would be form A.
            if len as usize >= JUMP_LEN && first.saturating_add(1) < index {
                let patch = self.moving(Form::C, number, step.at..site.at, before)?;
                self.rely_on(inside, site.at.wrapping_sub(1));
                return Ok(patch);
            }
        }
        Err(reason)
    }

    /// A patch that overwrites `range` of the decoded function, if no other patch does.
    fn moving(
        &self,
        form: Form,
        number: usize,
        range: Range<u32>,
        before: u8,
    ) -> Result<Patch, Refusal> {
        let start = self.body.start.wrapping_add(u64::from(range.start));
        let bytes = self.body.bytes.get(range.start as usize..range.end as usize);
        let old = bytes.and_then(Bytes::new).ok_or(Refusal::Immovable)?;
        let patch = Patch { form, start, old, island: None, before };
        let mine = patch.range();
        let close = |other: &&Site| other.addr.abs_diff(start) < 64;
        let overlaps = |other: &Site| {
            other.outcome.as_ref().is_ok_and(|other| {
                let other = other.range();
                other.start < mine.end && mine.start < other.end
            })
        };
        let (earlier, later) =
            self.plan.sites.split_at_checked(number).unwrap_or((&self.plan.sites, &[]));
        let clash = earlier.iter().rev().take_while(close).any(overlaps)
            || later.iter().skip(1).take_while(close).any(overlaps);
        if clash { Err(Refusal::Immovable) } else { Ok(patch) }
    }
}

/// Every byte that an island in reach of the site at `addr` could have.
fn island_window(addr: u64) -> Option<Range<u64>> {
    let end = addr.checked_add(2)?;
    let last = end.saturating_add(REACH_FORTH);
    Some(end.saturating_sub(REACH_BACK)..last.saturating_add(JUMP_LEN as u64))
}
