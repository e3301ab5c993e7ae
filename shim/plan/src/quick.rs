//! Length and flow of the common instructions, in a fraction of the time of [`crate::insn::decode`],
//! with which it always agrees. Start-up decodes ten thousands of instructions, and of most it wants
//! to know only where the next one begins.
//!
//! What is decided here is computed rather than branched on, from one table entry for the opcode and
//! one for the ModRM byte: a branch that depends on the bytes of code is mispredicted every other
//! time.

use crate::insn::{BAD, Flow, IMM8, IMM16, IMMZ, LOOK, MODRM, ONE, PREFIX, TWO, fill};

/// What is known of an opcode. The low three bits of the low byte are the size of opcode and
/// immediate, of which this one stands for an immediate of four bytes.
const IMM4: u16 = 4;
/// REX.W makes the immediate longer. The same bit as W in a REX prefix.
const WIDE: u16 = 8;
/// There is a ModRM byte, and a SIB byte may ask for four bytes more.
const FAR: u16 = 16;
/// The operand must be in memory.
const MEMORY: u16 = 32;
/// The ModRM byte must name register 0.
const ZERO: u16 = 64;
/// It changes the flow, and bits 4 to 6 say how: an index in [`TURNS`], 0 if others have to tell.
const TURN: u16 = 128;
/// The high byte masks the size in [`OPERAND`], if there is a ModRM byte.
const SIZE: u16 = 7 << 8;

static TURNS: [Option<Flow>; 8] = [
    None,
    Some(Flow::Branch),
    Some(Flow::Jump),
    Some(Flow::Call),
    Some(Flow::Return),
    None,
    None,
    None,
];

/// What is known of the opcodes of `table`.
const fn kinds(table: &[u8; 256], one_byte: bool) -> [u16; 256] {
    let mut kinds = [TURN; 256];
    let mut at = 0;
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "runs in the compiler only"
    )]
    while at < 256 {
        let attr = table[at];
        let size = match attr & (IMM8 | IMMZ) {
            0 => 1,
            IMM8 => 2,
            _ => 5,
        };
        let modrm = if attr & MODRM != 0 { FAR | SIZE } else { 0 };
        kinds[at] = match at {
            0x70..=0x7f if one_byte => TURN | 0x10 | size,
            0xeb | 0xe9 if one_byte => TURN | 0x20 | size,
            0xe8 if one_byte => TURN | 0x30 | size,
            0xc3 if one_byte => TURN | 0x40 | size,
            0x8d if one_byte => size | modrm | MEMORY,
            0xb8..=0xbf if one_byte => 5 | WIDE,
            0xc6 | 0xc7 if one_byte => size | modrm | ZERO,
            _ if attr & (PREFIX | LOOK | BAD | IMM16) == 0 => size | modrm,
            _ => TURN,
        };
        at += 1;
    }
    kinds
}

static KINDS: [u16; 256] = kinds(&ONE, true);
static KINDS_TWO: [u16; 256] = kinds(&TWO, false);

/// What is known of a prefix: 8, the bits it takes; and [`IMM4`] if it makes such an
/// immediate shorter.
static BEFORE: [u8; 256] = {
    let mut table = [0; 256];
    table = fill(table, 0x64, 0x64, 8);
    table = fill(table, 0x66, 0x66, 8 | IMM4 as u8);
    fill(table, 0xf2, 0xf3, 8)
};

/// What is known of a ModRM byte. The low three bits are the bytes it asks for, itself
/// included. Then [`FAR`] if it may ask for more, [`MEMORY`] if its operand is *not* in memory,
/// [`ZERO`] if it does *not* name register 0.
static OPERAND: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    #[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
    while at < 256 {
        let (mode, rm) = (at >> 6, at & 7);
        let sib = if mode != 3 && rm == 4 { 1 } else { 0 };
        let displacement = match mode {
            0 if rm == 5 => 4,
            1 => 1,
            2 => 4,
            _ => 0,
        };
        let far = if mode == 0 && rm == 4 { FAR } else { 0 };
        let memory = if mode == 3 { MEMORY } else { 0 };
        let zero = if at & 0x38 != 0 { ZERO } else { 0 };
        table[at] = (1 + sib + displacement) | (far | memory | zero) as u8;
        at += 1;
    }
    table
};

/// Length and flow of the instruction at the start of `code`, if it is of a common kind: one prefix
/// at most besides REX, and no details to look up.
#[inline]
#[must_use]
pub fn quick(code: &[u8]) -> Option<(u8, Flow)> {
    let window = code.first_chunk()?;
    let (len, flow) = match plain(window) {
        Some(len) => (len, Flow::Next),
        None => other(window)?,
    };
    (usize::from(len) <= code.len()).then_some((len, flow))
}

/// The entry of `table` for the lowest byte of `word`.
#[inline(always)]
fn look<T: Copy + Default>(table: &[T; 256], word: u64) -> T {
    table.get(usize::from(word as u8)).copied().unwrap_or_default()
}

/// The length of the instruction at the start of `window` if it is a plain one, which goes on with
/// the next: a one-byte opcode of a common kind, and before it no prefix but REX.
#[inline(always)]
pub(crate) fn plain(window: &[u8; 8]) -> Option<u8> {
    let word = u64::from_le_bytes(*window);
    let rex = rex_bits(word);
    let behind = word.wrapping_shr(u32::from(rex));
    rest(look(&KINDS, behind), word as u8 & rex, behind, rex >> 3)
}

/// How many bits the REX prefix takes that `word` begins with: 8 or 0.
#[inline(always)]
fn rex_bits(word: u64) -> u8 {
    u8::from(word & 0xf0 == 0x40) << 3
}

/// The length of an instruction whose opcode, of this `kind`, `word` begins with, behind some
/// `skipped` bytes; `None` if it is not so simple. `wide` is [`WIDE`] if there is REX.W.
#[inline(always)]
fn rest(kind: u16, wide: u8, word: u64, skipped: u8) -> Option<u8> {
    let operand = u16::from(look(&OPERAND, word >> 8));
    let len = (operand & kind >> 8).wrapping_add(kind & 7) as u8;
    let len = len.wrapping_add(skipped);
    match kind & (operand & (FAR | MEMORY | ZERO) | u16::from(wide) | TURN) {
        0 => Some(len),
        FAR => Some(len.wrapping_add(u8::from(word & 0x07_0000 == 0x05_0000) << 2)),
        _ => None,
    }
}

/// Length and flow of an instruction that is not [`plain`].
#[inline]
pub(crate) fn other(window: &[u8; 8]) -> Option<(u8, Flow)> {
    let word = u64::from_le_bytes(*window);
    let kind = look(&KINDS, word);
    if kind & TURN != 0
        && let Some(Some(flow)) = TURNS.get(usize::from(kind >> 4 & 7))
    {
        return Some((kind as u8 & 7, *flow));
    }
    match word & 0xffff {
        0x050f => return Some((2, Flow::Syscall)),
        0x800f..=0x8f0f if word as u8 == 0x0f => return Some((6, Flow::Branch)),
        _ => {}
    }
    let prefix = look(&BEFORE, word);
    let behind = word.wrapping_shr(u32::from(prefix & 8));
    let rex = rex_bits(behind);
    let wide = behind as u8 & rex;
    let opcode = behind.wrapping_shr(u32::from(rex));
    let skipped = (prefix & 8).wrapping_add(rex) >> 3;
    let (kind, opcode, skipped) = if opcode as u8 == 0x0f {
        (look(&KINDS_TWO, opcode >> 8), opcode >> 8, skipped.wrapping_add(1))
    } else {
        (look(&KINDS, opcode), opcode, skipped)
    };
    if kind & u16::from(prefix) & IMM4 != 0 {
        return None;
    }
    Some((rest(kind, wide, opcode, skipped)?, Flow::Next))
}

/// Where the direct jump, branch or call with these bytes goes; its distance is the last byte of
/// two, or else the last four. It stands at `addr`.
#[inline]
#[must_use]
pub fn relative_target(insn: &[u8], addr: u64) -> Option<u64> {
    let distance = match *insn {
        [_, distance] => i64::from(distance.cast_signed()),
        _ => i64::from(i32::from_le_bytes(*insn.last_chunk()?)),
    };
    Some(addr.wrapping_add(insn.len() as u64).wrapping_add_signed(distance))
}
