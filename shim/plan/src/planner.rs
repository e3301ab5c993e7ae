//! The planner at work: every site is decided from what its own function shows.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use ia2_core::site::{Form, Refusal};

use crate::body::Body;
use crate::claims::Claim;
use crate::func::{Function, Functions};
use crate::image::Image;
use crate::insn::{self, Flow};
use crate::plan::{ObjectPlan, Patch, Site};

/// How far a `jmp rel8` reaches back from its end, and forth.
pub(crate) const REACH_BACK: u64 = 128;
pub(crate) const REACH_FORTH: u64 = 127;

/// How far back decoding starts to see whether a pair outside all functions is an instruction.
const IN_STEP: u64 = 128;

/// What a site's outcome is until it is decided.
pub(crate) const OPEN: Result<Patch, Refusal> = Err(Refusal::LateUnproven);

/// Where control may enter a function other than by its own direct branches.
#[derive(Default)]
pub(crate) struct Landings {
    /// Offsets, sorted.
    offsets: Vec<u32>,
    /// There is an indirect jump that may go anywhere.
    pub(crate) anywhere: bool,
    /// The addresses that `offsets` is made of, and others.
    found: Vec<u64>,
}

impl Landings {
    fn is_within(&self, first: u32, last: u32) -> bool {
        let at = self.offsets.partition_point(|offset| *offset < first);
        self.offsets.get(at).is_some_and(|offset| *offset <= last)
    }
}

/// One object being planned. Buffers are kept from one function to the next.
pub(crate) struct Planner<'a> {
    pub(crate) image: &'a Image<'a>,
    pub(crate) functions: Functions<'a>,
    /// The function whose sites are being decided.
    pub(crate) body: Body<'a>,
    /// Another one, looked at for what it does to the first.
    pub(crate) other: Body<'a>,
    pub(crate) landings: Landings,
    /// Addresses of islands given away.
    pub(crate) islands: BTreeSet<u64>,
    /// Ranges that decisions so far rely on not being entered from outside the function.
    pub(crate) quiet: Vec<Range<u64>>,
    pub(crate) claims: Vec<Claim>,
    /// Where the direct jumps of functions with claims inside leave them.
    pub(crate) exits: Vec<u64>,
    pub(crate) plan: ObjectPlan,
}

impl<'a> Planner<'a> {
    /// A planner of `image`, in whose text there are so many `candidates`.
    pub(crate) fn new(image: &'a Image<'a>, candidates: usize) -> Self {
        Self {
            image,
            functions: Functions::new(image),
            body: Body::default(),
            other: Body::default(),
            landings: Landings::default(),
            islands: BTreeSet::new(),
            quiet: Vec::new(),
            claims: Vec::new(),
            exits: Vec::new(),
            plan: ObjectPlan {
                candidates,
                hidden: Vec::new(),
                // Growing step by step would touch twice the memory, at start-up.
                sites: Vec::with_capacity(candidates),
            },
        }
    }
}

impl Planner<'_> {
    /// Decides every site from what its own function shows.
    pub(crate) fn decide_all(&mut self, candidates: &[u64]) {
        let mut rest = candidates;
        while let Some((first, others)) = rest.split_first() {
            let Some(function) = self.functions.find(*first) else {
                self.no_function(*first);
                rest = others;
                continue;
            };
            let count = rest.partition_point(|addr| *addr < function.range.end).max(1);
            let (mine, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = others;
            if self.body.begin(self.image, &function) {
                self.sites_of(function, mine);
            } else {
                mine.iter().for_each(|addr| self.no_function(*addr));
            }
        }
    }

    /// Notes a pair that nobody knows the function of. It is left alone whatever it is; to tell
    /// people what it probably is, text is decoded from somewhat before it, which falls into step
    /// within a few instructions.
    fn no_function(&mut self, addr: u64) {
        let before = |back: u64| addr.checked_sub(back).and_then(|addr| self.image.text_at(addr));
        let loads_15 = before(7).is_some_and(|code| code.starts_with(b"\x48\xc7\xc0\x0f\0\0\0"))
            || before(5).is_some_and(|code| code.starts_with(b"\xb8\x0f\0\0\0"));
        if loads_15 {
            return self.refuse(addr, Refusal::Restorer);
        }
        let (mut at, mut code) = (0u64, before(IN_STEP).unwrap_or(&[]));
        while at < IN_STEP && !code.is_empty() {
            let len = insn::decode(code).map_or(1, |insn| insn.len);
            at = at.wrapping_add(u64::from(len));
            code = code.get(usize::from(len)..).unwrap_or(&[]);
        }
        if at > IN_STEP {
            self.plan.hidden.push(addr);
        } else {
            self.refuse(addr, Refusal::NoFunction);
        }
    }

    /// Sorts the pairs of the function just taken up into sites and hidden ones, and decides the
    /// sites: form A first wherever it fits, so that no other form takes its bytes, then form D with
    /// an island between functions. Neither depends on what comes behind the site, so the function
    /// is decoded up to the last pair, and further only where they do not answer everything.
    fn sites_of(&mut self, function: Function, pairs: &[u64]) {
        let quiet = self.quiet.len();
        let last = pairs.last().and_then(|addr| self.body.offset(*addr));
        self.body.decode_to(last.unwrap_or(u32::MAX));
        let sites = self.plan.sites.len();
        let mut open = false;
        for addr in pairs {
            let Some(offset) = self.body.offset(*addr) else { continue };
            let found = self.body.find(offset);
            let (Ok(index) | Err(index)) = found;
            let end = self.body.step(index).map_or(0, |step| step.end);
            if offset >= end {
                // Behind the byte where decoding stopped.
                self.refuse(*addr, Refusal::Undecodable);
            } else if found.is_err() {
                // Within an instruction, or behind its prefixes.
                match self.body.insn(index) {
                    Some((insn, _)) if insn.flow == Flow::Syscall => {
                        let broken = self.body.broken;
                        let reason = if broken { Refusal::Undecodable } else { Refusal::Immovable };
                        self.refuse(*addr, reason);
                    }
                    _ => self.plan.hidden.push(*addr),
                }
            } else if self.body.broken {
                self.refuse(*addr, Refusal::Undecodable);
            } else {
                let site = self.first_look(*addr, index, function.signal);
                let on_island = matches!(site.outcome, Ok(Patch { form: Form::D, .. }));
                open |= site.nr.is_none() && !on_island;
                self.plan.sites.push(site);
            }
        }
        let sites = sites..self.plan.sites.len();
        if open {
            self.body.decode_to(u32::MAX);
            if self.body.broken {
                let all = self.plan.sites.get_mut(sites.clone()).unwrap_or_default();
                for site in all.iter_mut().filter(|site| site.outcome == OPEN) {
                    site.outcome = Err(Refusal::Undecodable);
                }
            } else {
                self.land(&function, &[], false);
                sites.clone().for_each(|number| self.decide(number, true));
            }
        }
        if self.quiet.len() > quiet {
            // Nobody's cold half jumps to padding between functions.
            if open {
                self.exits.extend_from_slice(&self.body.exits);
            }
            let quiet = quiet..self.quiet.len();
            self.claims.push(Claim { function, sites, quiet });
        }
    }

    /// What can be said of the site at `addr`, the instruction `index`, without knowing what comes
    /// behind it.
    fn first_look(&mut self, addr: u64, index: usize, signal: bool) -> Site {
        let before = index.checked_sub(1).and_then(|before| self.body.insn(before));
        let loaded = before.and_then(|(insn, code)| insn.sets_eax(code));
        if loaded == Some(15) && !signal {
            return Site { addr, nr: loaded, outcome: Err(Refusal::Restorer) };
        }
        match self.form_a(index, before, true) {
            Some(patch) => Site { addr, nr: loaded, outcome: Ok(patch) },
            None => Site { addr, nr: None, outcome: self.island_between(addr).map_or(OPEN, Ok) },
        }
    }

    fn refuse(&mut self, addr: u64, refusal: Refusal) {
        self.plan.sites.push(Site { addr, nr: None, outcome: Err(refusal) });
    }

    /// Collects where control may enter the decoded function: `switch` tables, landing pads, and
    /// what is in `landed`; also branches of the functions beside it, if asked for.
    pub(crate) fn land(&mut self, function: &Function, landed: &[u64], beside: bool) {
        let range = &function.range;
        let Landings { offsets, anywhere, found } = &mut self.landings;
        found.clear();
        let from = landed.partition_point(|addr| *addr < range.start);
        let inside = landed.get(from..).unwrap_or(&[]);
        found.extend(inside.iter().copied().take_while(|addr| *addr < range.end));
        *anywhere = !self.functions.landing_pads(function, found)
            || (self.body.indirect && !self.body.resolve_jumps(self.image, found));
        if beside {
            for neighbour in self.functions.neighbours(function, REACH_BACK) {
                if self.other.decode(self.image, &neighbour) {
                    self.other.branches(found);
                }
            }
        }
        offsets.clear();
        offsets.extend(found.iter().filter_map(|addr| self.body.offset(*addr)));
        offsets.sort_unstable();
    }

    /// Whether control may arrive at an offset in `first..=last` in any way but from before.
    pub(crate) fn is_entered(&self, first: u32, last: u32) -> bool {
        first <= last
            && (self.body.is_target_within(first, last) || self.landings.is_within(first, last))
    }

    /// Relies on nobody outside the function entering the offsets `first..=last`.
    pub(crate) fn rely_on(&mut self, first: u32, last: u32) {
        if first <= last {
            let addr = |offset: u32| self.body.start.wrapping_add(u64::from(offset));
            self.quiet.push(addr(first)..addr(last).wrapping_add(1));
        }
    }

    /// Decides site `number` of the plan, which lies in the decoded function, unless it is decided;
    /// on `islands` in that function, too.
    pub(crate) fn decide(&mut self, number: usize, islands: bool) {
        let Some(site) = self.plan.sites.get(number).copied() else { return };
        let Some(Ok(index)) = self.body.offset(site.addr).map(|offset| self.body.find(offset))
        else {
            return;
        };
        let outcome = if site.outcome == OPEN {
            let over_nop = self.island_over_nop(number, index);
            match over_nop.or_else(|| islands.then(|| self.island_inside(site.addr)).flatten()) {
                Some(patch) => Ok(patch),
                None => self.form_b_or_c(number, index).or_else(|refusal| {
                    let before = index.checked_sub(1).and_then(|before| self.body.insn(before));
                    self.form_a(index, before, false).ok_or(refusal)
                }),
            }
        } else {
            site.outcome
        };
        let entry = outcome.as_ref().map_or(site.addr, |patch| patch.start);
        let nr = site.nr.or_else(|| self.number(index, entry));
        if let Some(site) = self.plan.sites.get_mut(number) {
            *site = Site { nr, outcome, ..*site };
        }
    }
}
