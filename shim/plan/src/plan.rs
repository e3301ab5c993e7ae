//! From an object to its sites: what is patched, in which form, and why the rest is left alone.
//!
//! # What makes a patch safe
//!
//! A patch overwrites whole instructions with a jump to a stub that holds copies of them. Three
//! things must be true:
//!
//! 1. *The bytes are code, and the site is an instruction.* The function is decoded from its first
//!    byte (`func` says how that is known), up to the site for form A, which depends on nothing
//!    behind it, and else to the end. A pair `0f 05` that is not where an instruction begins
//!    is `hidden`: constants and displacements, never touched.
//! 2. *Nobody jumps into what was overwritten*, except to its first byte. Branches of the function
//!    itself are known from decoding it. The cold half that a compiler splits off a function jumps
//!    back into it, at places without a symbol; it is entered from the hot half only, so every
//!    function that this one jumps to is decoded, too. The neighbours are searched for short
//!    branches; `switch` tables are read; the unwinder's landing pads and all symbols count as
//!    targets. If an indirect jump remains that could go anywhere, only forms that move at most
//!    *one* instruction apply (A and D): they have no inside to jump into but the middle of one
//!    instruction.
//! 3. *The copies do what the originals did*: [`crate::insn::Insn::is_movable`], and a stub close
//!    enough for RIP-relative operands, which [`crate::stub::emit`] checks.
//!
//! Not excluded: hand-written assembly that jumps into the middle of a function which does not jump to
//! it first, and names the place by no symbol. The tests look for it, with another decoder, in all
//! text of the libraries they plan. Nor a `switch` of a function's hot half with a case label in its cold half, directly
//! behind a `SYSCALL` there. No compiler output with that was found; it takes a table in one
//! function that leads behind a site in another one that has no frame.
//!
//! # Order
//!
//! First, each function that holds a pair is decoded and its sites are decided from what the
//! function itself shows. Where that relies on nobody else jumping to some bytes, it is a *claim*.
//! Then all claims are checked together. The few functions where one fails are decided
//! again with what was found.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use ia2_core::site::{Form, Refusal};

use crate::body::Body;
use crate::func::{Function, Functions};
use crate::image::Image;
use crate::insn::{self, Flow, Writes};
use crate::scan::{self, Granules};

/// Bytes of a `jmp rel32`.
pub const JUMP_LEN: usize = 5;

/// Most bytes a patch overwrites.
pub const PATCH_MAX: usize = 16;

/// How far a `jmp rel8` reaches back from its end, and forth.
const REACH_BACK: u64 = 128;
const REACH_FORTH: u64 = 127;

/// What counts as a site's surroundings: how far before it its number is looked for, and more
/// than any patch reaches behind it.
const SURROUNDINGS_BEFORE: u64 = 80;
const SURROUNDINGS_BEHIND: u64 = 32;

/// How far back decoding starts to see whether a pair outside all functions is an instruction.
const IN_STEP: u64 = 128;

/// The surroundings of a site.
fn surroundings(addr: u64) -> Range<u64> {
    addr.saturating_sub(SURROUNDINGS_BEFORE)..addr.saturating_add(SURROUNDINGS_BEHIND)
}

/// Up to [`PATCH_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    len: u8,
    bytes: [u8; PATCH_MAX],
}

impl Bytes {
    /// A copy of `bytes`; `None` if there are more than fit.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut copy = Self { len: u8::try_from(bytes.len()).ok()?, bytes: [0; PATCH_MAX] };
        copy.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(copy)
    }

    /// Overwrites four of the bytes, from `at`.
    pub(crate) fn set(&mut self, at: usize, word: [u8; 4]) {
        if let Some(place) = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = word;
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl core::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl core::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02x?}", self.as_slice())
    }
}

/// Five bytes of padding that become the second jump of form D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Island {
    /// Link-time address.
    pub addr: u64,
    /// What is there.
    pub old: [u8; JUMP_LEN],
}

/// How a site is rewritten. Addresses are link-time addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The form.
    pub form: Form,
    /// Where overwriting begins, and where the jump stands.
    pub start: u64,
    /// The bytes that are overwritten, from `start`: whole instructions.
    pub old: Bytes,
    /// Form D only: where its second jump stands.
    pub island: Option<Island>,
    /// How many of `old` are instructions before the `SYSCALL` that move into the stub.
    before: u8,
}

impl Patch {
    /// The moved instructions that stood before the `SYSCALL` (forms A and C).
    #[must_use]
    pub fn before(&self) -> &[u8] {
        self.old.as_slice().get(..usize::from(self.before)).unwrap_or(&[])
    }

    /// The moved instructions that stood behind the `SYSCALL` (form B).
    #[must_use]
    pub fn after(&self) -> &[u8] {
        match self.form {
            Form::B => self.old.as_slice().get(2..).unwrap_or(&[]),
            Form::A | Form::C | Form::D => &[],
        }
    }

    /// The overwritten addresses at the site itself.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.old.len() as u64)
    }
}

/// One `SYSCALL` instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Link-time address of its `0f 05`.
    pub addr: u64,
    /// The number that is in `eax` whenever the patch's stub is entered, if that is a constant (of
    /// a site without patch: whenever the `SYSCALL` is reached).
    pub nr: Option<u32>,
    /// How it is patched, or why not.
    pub outcome: Result<Patch, Refusal>,
}

/// What is to be done to one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPlan {
    /// Pairs `0f 05` in executable segments.
    pub candidates: usize,
    /// Addresses of pairs that are not an instruction.
    pub hidden: Vec<u64>,
    /// The sites, by address.
    pub sites: Vec<Site>,
}

/// Plans `image`.
#[must_use]
pub fn plan(image: &Image<'_>) -> ObjectPlan {
    let candidates = candidates(image);
    if candidates.is_empty() {
        return ObjectPlan::default();
    }
    let mut planner = Planner {
        image,
        functions: Functions::new(image),
        body: Body::default(),
        landings: Landings::default(),
        islands: BTreeSet::new(),
        quiet: Vec::new(),
        claims: Vec::new(),
        plan: ObjectPlan {
            candidates: candidates.len(),
            hidden: Vec::new(),
            // Growing step by step would touch twice the memory, at start-up.
            sites: Vec::with_capacity(candidates.len()),
        },
    };
    planner.decide_all(&candidates);
    planner.verify();
    planner.plan
}

/// The addresses of all pairs `0f 05` in text, sorted.
fn candidates(image: &Image<'_>) -> Vec<u64> {
    let mut found = Vec::new();
    for segment in image.segments.iter().filter(|segment| segment.exec) {
        scan::syscall_pairs(segment.bytes, |at| found.push(segment.vaddr.wrapping_add(at as u64)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Where control may enter a function other than by its own direct branches.
#[derive(Default)]
struct Landings {
    /// Offsets, sorted.
    offsets: Vec<u32>,
    /// There is an indirect jump that may go anywhere.
    anywhere: bool,
}

impl Landings {
    fn is_within(&self, first: u32, last: u32) -> bool {
        let at = self.offsets.partition_point(|offset| *offset < first);
        self.offsets.get(at).is_some_and(|offset| *offset <= last)
    }
}

/// A decision that holds only if nothing outside the function enters these ranges.
struct Claim {
    function: Function,
    /// The function's sites, as indices in the plan.
    sites: Range<usize>,
    /// Indices in [`Planner::quiet`].
    quiet: Range<usize>,
    /// Where the function's direct jumps leave it, if the ranges lie inside it.
    exits: Vec<u64>,
}

struct Planner<'a> {
    image: &'a Image<'a>,
    functions: Functions<'a>,
    body: Body<'a>,
    landings: Landings,
    /// Addresses of islands given away.
    islands: BTreeSet<u64>,
    /// Ranges that decisions so far rely on not being entered from outside the function.
    quiet: Vec<Range<u64>>,
    claims: Vec<Claim>,
    plan: ObjectPlan,
}

/// What a site's outcome is until it is decided.
const OPEN: Result<Patch, Refusal> = Err(Refusal::LateUnproven);

impl Planner<'_> {
    /// Decides every site from what its own function shows.
    fn decide_all(&mut self, candidates: &[u64]) {
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
            let (Ok(index) | Err(index)) = self.body.find(offset);
            let Some(step) = self.body.step(index) else {
                self.refuse(*addr, Refusal::Undecodable);
                continue;
            };
            if offset >= step.end() {
                // Behind the byte where decoding stopped.
                self.refuse(*addr, Refusal::Undecodable);
            } else if step.flow != Flow::Syscall {
                self.plan.hidden.push(*addr);
            } else if self.body.broken {
                self.refuse(*addr, Refusal::Undecodable);
            } else if step.len != 2 {
                // A prefix stands before it.
                self.refuse(*addr, Refusal::Immovable);
            } else if !function.signal && self.is_restorer(index) {
                let outcome = Err(Refusal::Restorer);
                self.plan.sites.push(Site { addr: *addr, nr: Some(15), outcome });
            } else {
                let patch = self.form_a(index, true);
                let nr = patch.and_then(|_| {
                    let (insn, code) = self.body.insn(index.checked_sub(1)?)?;
                    insn.sets_eax(code)
                });
                let between = if patch.is_none() { self.form_d(*addr, false) } else { None };
                open |= between.is_none() && nr.is_none();
                let outcome = between.or(patch).map_or(OPEN, Ok);
                self.plan.sites.push(Site { addr: *addr, nr, outcome });
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
            let exits = if open { self.body.exits.clone() } else { Vec::new() };
            let quiet = quiet..self.quiet.len();
            self.claims.push(Claim { function, sites, quiet, exits });
        }
    }

    fn refuse(&mut self, addr: u64, refusal: Refusal) {
        self.plan.sites.push(Site { addr, nr: None, outcome: Err(refusal) });
    }

    /// Whether the instruction before `index` loads 15, the number of `rt_sigreturn`.
    fn is_restorer(&self, index: usize) -> bool {
        let before = index.checked_sub(1).and_then(|before| self.body.insn(before));
        before.is_some_and(|(insn, code)| insn.sets_eax(code) == Some(15))
    }

    /// Checks the claims against the rest of the object, and decides again, knowing more, where
    /// one does not hold.
    fn verify(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let landed = self.landed();
        let enters = |range: &Range<u64>, list: &[u64]| {
            let at = list.partition_point(|addr| *addr < range.start);
            list.get(at).is_some_and(|addr| *addr < range.end)
        };
        for claim in core::mem::take(&mut self.claims) {
            let quiet = self.quiet.get(claim.quiet.clone()).unwrap_or(&[]);
            let entered = quiet.iter().any(|range| {
                enters(range, &landed) || self.may_be_entered_from_beside(&claim.function, range)
            });
            if entered && self.body.decode(self.image, &claim.function) {
                self.land(&claim.function, &landed, true);
                for number in claim.sites {
                    self.reopen(number);
                }
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
        for site in self.claims.iter().flat_map(|claim| self.plan.sites.get(claim.sites.clone())) {
            for site in site {
                granules.insert(&surroundings(site.addr));
            }
        }
        let mut landed = Vec::new();
        let mut seen = BTreeSet::new();
        let mut other = Body::default();
        for exit in self.claims.iter().flat_map(|claim| &claim.exits) {
            if let Some(function) = self.functions.find(*exit)
                && seen.insert(function.range.start)
                && other.decode(self.image, &function)
            {
                landed.extend(other.exits.iter().filter(|addr| granules.may_hold(**addr)));
            }
        }
        let symbols = self.image.symbols().map(|symbol| symbol.addr);
        landed.extend(symbols.filter(|addr| granules.may_hold(*addr)));
        landed.sort_unstable();
        landed.dedup();
        landed
    }

    /// Whether bytes just outside `function` look like a short branch into `range`.
    fn may_be_entered_from_beside(&self, function: &Function, range: &Range<u64>) -> bool {
        let looks = |from: u64, to: u64| {
            let Some(text) = self.image.text_at(from) else { return false };
            let len = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            text.windows(2).take(len).enumerate().any(|(at, pair)| {
                let [0x70..=0x7f | 0xe0..=0xe3 | 0xeb, distance] = *pair else { return false };
                let next = from.wrapping_add(at as u64).wrapping_add(2);
                range.contains(&next.wrapping_add_signed(i64::from(distance.cast_signed())))
            })
        };
        let (start, end) = (function.range.start, function.range.end);
        looks(range.start.saturating_sub(REACH_FORTH.saturating_add(2)), start)
            || looks(end, range.end.saturating_add(REACH_BACK))
    }

    /// Collects where control may enter the decoded function: `switch` tables, landing pads, and
    /// what is in `landed`; also short branches of the functions beside it, if asked for.
    fn land(&mut self, function: &Function, landed: &[u64], beside: bool) {
        let range = &function.range;
        let from = landed.partition_point(|addr| *addr < range.start);
        let inside = landed.get(from..).unwrap_or(&[]);
        let mut found: Vec<u64> =
            inside.iter().copied().take_while(|addr| *addr < range.end).collect();
        let mut anywhere = false;
        match self.functions.landing_pads(function) {
            Some(pads) => found.extend(pads),
            None => anywhere = true,
        }
        if self.body.indirect && !self.body.resolve_jumps(self.image, &mut found) {
            anywhere = true;
        }
        if beside {
            let mut other = Body::default();
            for neighbour in self.functions.neighbours(function, REACH_BACK) {
                if other.decode(self.image, &neighbour) {
                    other.short_branches(&mut found);
                }
            }
        }
        self.landings.anywhere = anywhere;
        self.landings.offsets.clear();
        self.landings.offsets.extend(found.iter().filter_map(|addr| self.body.offset(*addr)));
        self.landings.offsets.sort_unstable();
    }

    /// Whether control may arrive at an offset in `first..=last` in any way but from before.
    fn is_entered(&self, first: u32, last: u32) -> bool {
        first <= last
            && (self.body.is_target_within(first, last) || self.landings.is_within(first, last))
    }

    /// Relies on nobody outside the function entering the offsets `first..=last`.
    fn rely_on(&mut self, first: u32, last: u32) {
        if first <= last {
            let addr = |offset: u32| self.body.start.wrapping_add(u64::from(offset));
            self.quiet.push(addr(first)..addr(last).wrapping_add(1));
        }
    }

    /// Decides site `number` of the plan, which lies in the decoded function, unless it is decided.
    fn decide(&mut self, number: usize, islands: bool) {
        let Some(site) = self.plan.sites.get(number).copied() else { return };
        let Some(Ok(index)) = self.body.offset(site.addr).map(|offset| self.body.find(offset))
        else {
            return;
        };
        let outcome = if site.outcome == OPEN {
            let over_nop = self.form_d_over_nop(number, index);
            match over_nop.or_else(|| islands.then(|| self.form_d(site.addr, true)).flatten()) {
                Some(patch) => Ok(patch),
                None => self
                    .form_b_or_c(number, index)
                    .or_else(|refusal| self.form_a(index, false).ok_or(refusal)),
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

    /// One preceding instruction of five bytes or more. Where the function itself branches to the
    /// `SYSCALL` past it, that branch would trap every time: then another form is better, and this
    /// one the last resort.
    fn form_a(&self, index: usize, avoid_target: bool) -> Option<Patch> {
        let site = self.body.step(index)?;
        let before = index.checked_sub(1)?;
        let step = self.body.step(before)?;
        let (insn, code) = self.body.insn(before)?;
        let inside = step.at.wrapping_add(1);
        if usize::from(step.len) < JUMP_LEN
            || !insn.is_movable()
            || (avoid_target && self.body.is_target_within(site.at, site.at))
            || self.body.is_target_within(inside, site.at.wrapping_sub(1))
        {
            return None;
        }
        Some(Patch {
            form: Form::A,
            start: self.body.start.wrapping_add(u64::from(step.at)),
            old: Bytes::new(code.get(..usize::from(step.len))?)?,
            island: None,
            before: step.len,
        })
    }

    /// The constant in `eax` at the `SYSCALL` with index `index`, when control came from `entry`
    /// or from before.
    fn number(&mut self, index: usize, entry: u64) -> Option<u32> {
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

    /// Two bytes that jump to an island of padding: between functions, or also `inside` the decoded
    /// one, all of it.
    fn form_d(&mut self, addr: u64, inside: bool) -> Option<Patch> {
        let end = addr.checked_add(2)?;
        let reach = end.saturating_sub(REACH_BACK)..end.saturating_add(REACH_FORTH);
        // Every byte that an island in reach could have.
        let window = reach.start..reach.end.saturating_add(JUMP_LEN as u64);
        let mut padding = self.functions.padding(&window);
        if inside {
            self.padding_inside(&window, &mut padding);
        }
        for stretch in padding {
            let mut at = stretch.start.max(reach.start);
            while at <= reach.end && at.saturating_add(JUMP_LEN as u64) <= stretch.end {
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
        }
        None
    }

    /// Two bytes that jump back to an island in the `nop` right before the `SYSCALL`. Whoever runs
    /// that `nop` goes on to make the call, and so does the island: it does not matter who comes.
    fn form_d_over_nop(&mut self, number: usize, index: usize) -> Option<Patch> {
        let site = self.body.step(index)?;
        let nop = self.body.step(index.checked_sub(1)?)?;
        let (insn, code) = self.body.insn(index.checked_sub(1)?)?;
        let inside = nop.at.wrapping_add(1);
        if !insn.is_nop() || self.body.is_target_within(inside, site.at.wrapping_sub(1)) {
            return None;
        }
        let old = *code.get(..usize::from(nop.len))?.first_chunk()?;
        let mut patch = self.moving(Form::D, number, nop.at..site.end(), 0).ok()?;
        let addr = patch.start;
        if self.islands.range(addr.saturating_sub(4)..patch.range().end).next().is_some() {
            return None;
        }
        self.islands.insert(addr);
        patch.start = addr.wrapping_add(u64::from(nop.len));
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
        let low = window.start.saturating_sub(self.body.start);
        let first = self.body.steps.partition_point(|step| u64::from(step.at) < low);
        let mut index = first;
        while let Some(step) = self.body.step(index) {
            let addr = self.body.start.wrapping_add(u64::from(step.at));
            if addr >= window.end {
                break;
            }
            index = index.saturating_add(1);
            if !matches!(step.flow, Flow::Jump | Flow::JumpIndirect | Flow::Return) {
                continue;
            }
            let from = step.end();
            let mut to = from;
            while let Some((insn, _)) = self.body.insn(index)
                && (insn.is_nop() || insn.is_int3())
            {
                to = to.wrapping_add(u32::from(insn.len));
                index = index.saturating_add(1);
            }
            if to > from && !self.is_entered(from, to.wrapping_sub(1)) {
                let start = self.body.start.wrapping_add(u64::from(from));
                found.push(start..start.wrapping_add(u64::from(to.wrapping_sub(from))));
            }
        }
    }

    /// The forms that move instructions around the `SYSCALL`; if neither fits, the reason.
    fn form_b_or_c(&mut self, number: usize, index: usize) -> Result<Patch, Refusal> {
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
        let mut end = site.end();
        while (end.wrapping_sub(site.at) as usize) < JUMP_LEN {
            next = next.saturating_add(1);
            let step = self.body.step(next).ok_or(Refusal::Immovable)?;
            let (insn, _) = self.body.insn(next).ok_or(Refusal::Immovable)?;
            if !insn.is_movable() {
                return Err(Refusal::Immovable);
            }
            end = step.end();
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
                    let patch = self.moving(Form::C, number, step.at..site.end(), before)?;
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
