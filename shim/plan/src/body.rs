//! One function, decoded from its first byte to its last: where instructions begin, where direct
//! branches go, and where its `switch` tables lead.

use alloc::vec::Vec;

use crate::func::Function;
use crate::image::Image;
use crate::insn::{self, Flow, Insn, Register, Writes};
use crate::quick;
use crate::read::{i32_at, u64_at};

/// Where one decoded instruction stands: offsets from the function's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its first byte.
    pub(crate) at: u32,
    /// The next instruction.
    pub(crate) end: u32,
}

/// A decoded function. The buffers are reused from one function to the next.
#[derive(Default)]
pub(crate) struct Body<'a> {
    /// Link-time address of the first byte.
    pub(crate) start: u64,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// Its bytes and all text behind them.
    text: &'a [u8],
    /// Offsets of its instructions, as far as it is decoded. Nothing else is kept of them: most are
    /// never looked at again.
    starts: Vec<u32>,
    /// How far it is decoded.
    end: u32,
    /// A bit for each of its offsets: whether one of its own direct branches goes there.
    targets: Vec<u64>,
    /// Addresses outside that its own direct jumps go to, conditional or not, but not its calls.
    pub(crate) exits: Vec<u64>,
    /// The indices of its jumps and returns, behind which it does not go on.
    pub(crate) stops: Vec<usize>,
    /// Whether it has an indirect jump.
    pub(crate) indirect: bool,
    /// Whether a byte was reached that is not the beginning of an instruction.
    pub(crate) broken: bool,
}

impl<'a> Body<'a> {
    /// Decodes all of `function`. Answers whether there was anything to decode.
    pub(crate) fn decode(&mut self, image: &Image<'a>, function: &Function) -> bool {
        let any = self.begin(image, function);
        self.decode_to(u32::MAX);
        any
    }

    /// Takes up `function`, of which nothing is decoded yet. Answers whether there is anything to
    /// decode.
    pub(crate) fn begin(&mut self, image: &Image<'a>, function: &Function) -> bool {
        let range = &function.range;
        self.start = range.start;
        self.text = &[];
        self.bytes = &[];
        self.starts.clear();
        self.end = 0;
        self.targets.clear();
        self.exits.clear();
        self.stops.clear();
        self.indirect = false;
        self.broken = false;
        let Some(text) = image.text_at(range.start) else { return false };
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        // Offsets are kept in 32 bits.
        let len = len.min(text.len()).min(u32::MAX as usize >> 1);
        self.text = text;
        self.bytes = text.get(..len).unwrap_or(&[]);
        self.targets.resize(len.div_ceil(64), 0);
        !self.bytes.is_empty()
    }

    /// Decodes on, past the instruction that holds offset `last`, or to the end of the function.
    pub(crate) fn decode_to(&mut self, last: u32) {
        if self.broken {
            return;
        }
        let text = self.text;
        let stop = (last as usize).saturating_add(1).min(self.bytes.len()).min(text.len());
        let mut at = self.end as usize;
        while at < stop {
            self.starts.push(at as u32);
            // The last instruction may be decoded with bytes behind the function in view.
            let code = text.get(at..).unwrap_or(&[]);
            let plain = code.first_chunk().and_then(quick::plain);
            match plain.map(usize::from).or_else(|| self.turn(code, at)) {
                Some(len) => at = at.wrapping_add(len),
                None => return self.break_off(),
            }
        }
        if at > self.bytes.len() {
            return self.break_off();
        }
        self.end = at as u32;
    }

    /// Takes back the start of what is no instruction, or one that the function cuts off.
    fn break_off(&mut self) {
        self.end = self.starts.pop().unwrap_or(0);
        self.broken = true;
    }

    /// Decodes an instruction that is not plain: the last in `starts`, at offset `at`, where `code`
    /// begins. Answers its length; nothing is noted of one that the function cuts off.
    fn turn(&mut self, code: &[u8], at: usize) -> Option<usize> {
        let (len, flow, insn) = match code.first_chunk().and_then(quick::other) {
            Some((len, flow)) => (len, flow, None),
            None => {
                let insn = insn::decode(code)?;
                (insn.len, insn.flow, Some(insn))
            }
        };
        let len = usize::from(len);
        if flow == Flow::Next || at.wrapping_add(len) > self.bytes.len() {
            return Some(len);
        }
        if matches!(flow, Flow::Jump | Flow::JumpIndirect | Flow::Return) {
            self.stops.push(self.starts.len().saturating_sub(1));
            self.indirect |= flow == Flow::JumpIndirect;
        }
        if matches!(flow, Flow::Jump | Flow::Branch | Flow::Call) {
            let addr = self.start.wrapping_add(at as u64);
            let target = match insn {
                Some(insn) => insn.target(code, addr),
                None => quick::relative_target(code.get(..len)?, addr),
            };
            match target.map(|target| self.offset(target).ok_or(target)) {
                Some(Ok(offset)) => {
                    if let Some(word) = self.targets.get_mut(offset as usize >> 6) {
                        *word |= 1u64.wrapping_shl(offset);
                    }
                }
                Some(Err(outside)) if flow != Flow::Call => self.exits.push(outside),
                _ => {}
            }
        }
        Some(len)
    }

    /// The offset of `addr`, if it lies inside.
    pub(crate) fn offset(&self, addr: u64) -> Option<u32> {
        let offset = addr.checked_sub(self.start)?;
        (offset < self.bytes.len() as u64).then_some(offset as u32)
    }

    /// The index of the instruction at `offset`, or, if none begins there, of the one that holds
    /// it.
    pub(crate) fn find(&self, offset: u32) -> Result<usize, usize> {
        self.starts.binary_search(&offset).map_err(|next| next.saturating_sub(1))
    }

    /// The step at `index`.
    pub(crate) fn step(&self, index: usize) -> Option<Step> {
        let at = *self.starts.get(index)?;
        let next = self.starts.get(index.saturating_add(1));
        Some(Step { at, end: next.copied().unwrap_or(self.end) })
    }

    /// The bytes from `offset`.
    pub(crate) fn code(&self, offset: u32) -> &'a [u8] {
        self.bytes.get(offset as usize..).unwrap_or(&[])
    }

    /// The instruction at `index` and its bytes (and what follows them).
    pub(crate) fn insn(&self, index: usize) -> Option<(Insn, &'a [u8])> {
        let code = self.code(self.step(index)?.at);
        Some((insn::decode(code)?, code))
    }

    /// Adds to `found` where the indirect jumps of the function may go, in any function. Answers
    /// whether that covers all of them.
    ///
    /// 1. `jmp *x(%rip)` leaves through a pointer of the linker: a tail call.
    /// 2. `jmp *table(,%reg,8)`: the addresses in the table.
    /// 3. `movslq (%base,%index,4),%r; add %base,%r; jmp *%r`: distances in a table whose address
    ///    the function computed with `lea table(%rip)`. Which `lea` it was, perhaps far away,
    ///    does not need to be known: *every* constant whose address the function takes is read as
    ///    if it were the table.
    /// 4. Right behind the end of an epilogue: a tail call, for a jump within the function would
    ///    find its frame gone.
    /// 5. Anything else may go anywhere.
    ///
    /// A table has no length. It is read until an entry leads outside text: a compiler fills every
    /// entry with a label, so the table does not go on behind such an entry; entries read beyond
    /// the table's real end only add targets.
    pub(crate) fn resolve_jumps(&self, image: &Image<'a>, found: &mut Vec<u64>) -> bool {
        let mut relative = false;
        for index in self.stops.iter().copied() {
            let Some((insn, code)) = self.insn(index) else { return false };
            if insn.flow != Flow::JumpIndirect {
                continue;
            }
            if insn.rip_at != 0 || self.is_behind_epilogue(index) {
                continue;
            }
            if let Some(table) = insn.jumps_through_table(code) {
                absolute_table(image, table, found);
            } else if insn.jumps_to_register().is_some_and(|reg| self.is_switch(index, reg)) {
                relative = true;
            } else {
                return false;
            }
        }
        if relative {
            let before = found.len();
            for at in self.starts.iter().copied() {
                // A REX prefix, and then the opcode of `lea x(%rip),%reg`.
                let code = self.code(at);
                if code.get(1) != Some(&0x8d) {
                    continue;
                }
                let Some(insn) = insn::decode(code) else { return false };
                let addr = self.start.wrapping_add(u64::from(at));
                if insn.is_lea()
                    && let Some(table) = insn.rip_target(code, addr)
                {
                    relative_table(image, table, found);
                }
            }
            // A table that leads nowhere into this function is not the one that was meant.
            let read = found.get(before..).unwrap_or(&[]);
            return read.iter().any(|target| self.offset(*target).is_some());
        }
        true
    }

    /// Whether the instruction before the one at `index` ends the frame, and nothing branches past it.
    fn is_behind_epilogue(&self, index: usize) -> bool {
        let Some(jump) = self.step(index) else { return false };
        let before = index.checked_sub(1).and_then(|before| self.insn(before));
        before.is_some_and(|(insn, _)| insn.ends_frame())
            && !self.is_target_within(jump.at, jump.at)
    }

    /// Whether the jump to `target` at `index` is the end of case 3: its register is the sum of a
    /// base and of a distance loaded from there, with nothing else done to the two in between.
    fn is_switch(&self, index: usize, target: Register) -> bool {
        let mut base = None;
        let mut at = index;
        for _ in 0..8 {
            let Some(before) = at.checked_sub(1) else { return false };
            at = before;
            // A jump into this sequence would come with other registers.
            let Some(step) = self.step(at) else { return false };
            if self.is_target_within(step.end, step.end) {
                return false;
            }
            let Some((insn, code)) = self.insn(at) else { return false };
            if insn.flow != Flow::Next {
                return false;
            }
            match base {
                None => {
                    if let Some((added, to)) = insn.adds()
                        && to == target
                        && added != target
                    {
                        base = Some(added);
                        continue;
                    }
                }
                Some(added) => {
                    // Either register may have been the table and the other the distance.
                    if let Some((table, to)) = insn.loads_offset(code)
                        && ((table, to) == (added, target) || (table, to) == (target, added))
                    {
                        return true;
                    }
                }
            }
            match insn.writes() {
                Writes::Nothing => {}
                Writes::One(reg) if reg != target && Some(reg) != base => {}
                _ => return false,
            }
        }
        false
    }

    /// Adds to `found` where its direct branches go, inside or not.
    pub(crate) fn branches(&self, found: &mut Vec<u64>) {
        for (index, word) in self.targets.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                let offset = (index << 6) as u64 | u64::from(left.trailing_zeros());
                found.push(self.start.wrapping_add(offset));
                left &= left.wrapping_sub(1);
            }
        }
        found.extend_from_slice(&self.exits);
    }

    /// Whether a direct branch of the function goes to an offset in `first..=last`.
    pub(crate) fn is_target_within(&self, first: u32, last: u32) -> bool {
        let (from, to) = (first as usize >> 6, last as usize >> 6);
        let words = self.targets.iter().enumerate().take(to.saturating_add(1)).skip(from);
        first <= last
            && words.into_iter().any(|(index, word)| {
                let low = if index == from { u64::MAX.wrapping_shl(first) } else { u64::MAX };
                let high = if index == to { u64::MAX.wrapping_shr(!last) } else { u64::MAX };
                word & low & high != 0
            })
    }
}

/// Most entries read of one table: far more than any `switch` has.
const TABLE_LIMIT: usize = 1 << 16;

/// Adds the targets of a table of 64-bit addresses.
fn absolute_table(image: &Image<'_>, table: u64, found: &mut Vec<u64>) {
    let Some(bytes) = image.at(table) else { return };
    for entry in bytes.chunks_exact(8).take(TABLE_LIMIT) {
        match u64_at(entry, 0) {
            Some(target) if image.is_text(target) => found.push(target),
            _ => break,
        }
    }
}

/// Adds the targets of a table of 32-bit distances from its own beginning.
fn relative_table(image: &Image<'_>, table: u64, found: &mut Vec<u64>) {
    let Some(bytes) = image.constant_at(table) else { return };
    for entry in bytes.chunks_exact(4).take(TABLE_LIMIT) {
        match i32_at(entry, 0).map(|distance| table.wrapping_add_signed(distance)) {
            Some(target) if image.is_text(target) => found.push(target),
            _ => break,
        }
    }
}
