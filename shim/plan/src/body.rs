//! One function, decoded from its first byte to its last: where instructions begin, where direct
//! branches go, and where its `switch` tables lead.

use alloc::vec::Vec;

use crate::func::Function;
use crate::image::Image;
use crate::insn::{self, Flow, Insn, Register, Writes};
use crate::read::{i32_at, u64_at};

/// One decoded instruction, in the few bytes that are kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Offset from the function's start.
    pub(crate) at: u32,
    pub(crate) len: u8,
    pub(crate) flow: Flow,
}

impl Step {
    /// Offset of the next instruction.
    pub(crate) fn end(self) -> u32 {
        self.at.wrapping_add(u32::from(self.len))
    }
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
    /// Its instructions, as far as it is decoded.
    pub(crate) steps: Vec<Step>,
    /// Offsets that its own direct branches go to, sorted.
    pub(crate) targets: Vec<u32>,
    /// Addresses outside that its own direct jumps go to, conditional or not, but not its calls.
    pub(crate) exits: Vec<u64>,
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
        self.steps.clear();
        self.targets.clear();
        self.exits.clear();
        self.indirect = false;
        self.broken = false;
        let Some(text) = image.text_at(range.start) else { return false };
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        // Offsets are kept in 32 bits.
        let len = len.min(text.len()).min(u32::MAX as usize >> 1);
        self.text = text;
        self.bytes = text.get(..len).unwrap_or(&[]);
        !self.bytes.is_empty()
    }

    /// Decodes on, past the instruction that holds offset `last`, or to the end of the function.
    pub(crate) fn decode_to(&mut self, last: u32) {
        let len = self.bytes.len();
        let mut at = self.steps.last().map_or(0, |step| step.end()) as usize;
        // The last instruction may be decoded with bytes behind the function in view.
        while at < len && at <= last as usize && !self.broken {
            let code = self.text.get(at..).unwrap_or(&[]);
            let (insn_len, flow, insn) = match insn::quick(code) {
                Some((len, flow)) => (len, flow, None),
                None => match insn::decode(code) {
                    Some(insn) => (insn.len, insn.flow, Some(insn)),
                    None => {
                        self.broken = true;
                        break;
                    }
                },
            };
            let next = at.wrapping_add(usize::from(insn_len));
            if next > len {
                self.broken = true;
                break;
            }
            self.steps.push(Step { at: at as u32, len: insn_len, flow });
            if flow != Flow::Next {
                let addr = self.start.wrapping_add(at as u64);
                let direct = matches!(flow, Flow::Jump | Flow::Branch | Flow::Call);
                let bytes = code.get(..usize::from(insn_len)).unwrap_or(&[]);
                let target = match insn {
                    Some(insn) => insn.target(code, addr),
                    None => direct.then(|| insn::relative_target(bytes, addr)).flatten(),
                };
                if let Some(target) = target {
                    match self.offset(target) {
                        Some(offset) => self.targets.push(offset),
                        None if flow != Flow::Call => self.exits.push(target),
                        None => {}
                    }
                }
                self.indirect |= flow == Flow::JumpIndirect;
            }
            at = next;
        }
        self.targets.sort_unstable();
    }

    /// The offset of `addr`, if it lies inside.
    pub(crate) fn offset(&self, addr: u64) -> Option<u32> {
        let offset = addr.checked_sub(self.start)?;
        (offset < self.bytes.len() as u64).then_some(offset as u32)
    }

    /// The index of the instruction at `offset`, or, if none begins there, of the one that holds
    /// it.
    pub(crate) fn find(&self, offset: u32) -> Result<usize, usize> {
        let result = self.steps.binary_search_by_key(&offset, |step| step.at);
        result.map_err(|next| next.saturating_sub(1))
    }

    /// The step at `index`.
    pub(crate) fn step(&self, index: usize) -> Option<Step> {
        self.steps.get(index).copied()
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

    /// The link-time address of the instruction at `index`.
    fn addr(&self, index: usize) -> Option<u64> {
        Some(self.start.wrapping_add(u64::from(self.step(index)?.at)))
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
        for (index, step) in self.steps.iter().enumerate() {
            if step.flow != Flow::JumpIndirect {
                continue;
            }
            let Some((insn, code)) = self.insn(index) else { return false };
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
            for (index, step) in self.steps.iter().enumerate() {
                // `lea x(%rip),%reg` has seven bytes, the second of which is its opcode.
                if step.len != 7 || self.code(step.at).get(1) != Some(&0x8d) {
                    continue;
                }
                let Some((insn, code)) = self.insn(index) else { return false };
                if insn.is_lea()
                    && let Some(table) = self.addr(index).and_then(|at| insn.rip_target(code, at))
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
            if self.is_target_within(step.end(), step.end()) {
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

    /// Adds to `found` where the short branches go.
    pub(crate) fn short_branches(&self, found: &mut Vec<u64>) {
        for (index, step) in self.steps.iter().enumerate() {
            if matches!(step.flow, Flow::Jump | Flow::Branch)
                && let (Some((insn, code)), Some(addr)) = (self.insn(index), self.addr(index))
            {
                found.extend(insn.target(code, addr));
            }
        }
    }

    /// Whether a direct branch of the function goes to an offset in `first..=last`.
    pub(crate) fn is_target_within(&self, first: u32, last: u32) -> bool {
        let at = self.targets.partition_point(|target| *target < first);
        self.targets.get(at).is_some_and(|target| *target <= last)
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
