//! Planning one site at its first trap, from the bytes before it and the registers at it.
//!
//! At a trap there are no function bounds to decode from (think of a JIT's page), and no allocator
//! to decode with. But there is evidence that a planner at start-up does not have: the instruction
//! at `site` *was executed*, and the registers are known. So form A is taken where the bytes before
//! the site read as an instruction that loads a constant **and** the register it names holds just
//! that constant. Two more conditions keep a look-alike out: the byte before must not be a REX
//! prefix that would make it another instruction, and the instruction is five bytes or more, so the
//! jump replaces it alone.
//!
//! What remains possible is that those bytes are the tail of a longer instruction which left the
//! same 32-bit value in the same register. No compiler's output does that; code that means to
//! deceive can only hurt itself with it.

use crate::layout::{self, STUB_CODE, STUB_SLOT, StubHeader};
use crate::regs::Frame;
use crate::text::Text;

/// Bytes before a site that [`plan`] looks at.
pub const BEFORE: usize = 8;

/// A form-A patch found at a trap: the instruction that becomes the jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatePatch {
    /// Its length in bytes, 5 to 7; it ends where the `SYSCALL` begins.
    pub len: u8,
    /// Its bytes, `len` of them. If `rip_relative`, the last four are a displacement.
    pub bytes: [u8; 8],
    /// Whether it must be re-based when it moves.
    pub rip_relative: bool,
    /// Whether it loads `eax`, so that the number is known.
    pub loads_number: bool,
}

/// The register that `code` (0 to 15, the hardware's numbering) names at the `SYSCALL`; `None`
/// where the value then says nothing (`rsp`, and `rcx` and `r11`, which the call takes).
fn register(frame: &Frame, code: u8) -> Option<u64> {
    Some(match code {
        0 => frame.rax,
        2 => frame.rdx,
        3 => frame.rbx,
        5 => frame.rbp,
        6 => frame.rsi,
        7 => frame.rdi,
        8 => frame.r8,
        9 => frame.r9,
        10 => frame.r10,
        12 => frame.r12,
        13 => frame.r13,
        14 => frame.r14,
        15 => frame.r15,
        _ => return None,
    })
}

/// Plans the site at address `site`, before which the bytes `before` stand.
#[must_use]
pub fn plan(before: &[u8; BEFORE], site: u64, frame: &Frame) -> Option<LatePatch> {
    let [_, b1, b2, b3, b4, i0, i1, i2] = *before;
    // The last four bytes before the site, and the last four but for them.
    let imm = u32::from_le_bytes([b4, i0, i1, i2]);
    let made = |len: u8, rip_relative, reg| {
        let mut bytes = [0; 8];
        let start = BEFORE - usize::from(len);
        for (to, from) in bytes.iter_mut().zip(before.iter().skip(start)) {
            *to = *from;
        }
        Some(LatePatch { len, bytes, rip_relative, loads_number: reg == 0 })
    };
    // 48 c7 c0+r imm32 / 49 c7 c0+r imm32: mov $imm32,%r64, sign-extended
    if (b1 == 0x48 || b1 == 0x49) && b2 == 0xc7 && b3 & 0xf8 == 0xc0 {
        let reg = (b3 & 7) | (b1 & 1) << 3;
        if register(frame, reg) == Some(imm as i32 as i64 as u64) {
            return made(7, false, reg);
        }
    }
    // 48 8d modrm disp32 / 4c 8d modrm disp32: lea disp32(%rip),%r64
    if (b1 == 0x48 || b1 == 0x4c) && b2 == 0x8d && b3 & 0xc7 == 0x05 {
        let reg = (b3 >> 3 & 7) | (b1 & 4) << 1;
        if register(frame, reg) == Some(site.wrapping_add(imm as i32 as i64 as u64)) {
            return made(7, true, reg);
        }
    }
    if b3 & 0xf8 == 0xb8 {
        let is_rex = b2 & 0xf0 == 0x40;
        // 41 b8+r imm32: mov $imm32,%r32 of the upper eight
        if b2 == 0x41 && register(frame, (b3 & 7) | 8) == Some(u64::from(imm)) {
            return made(6, false, 8);
        }
        // b8+r imm32: mov $imm32,%r32
        if !is_rex && register(frame, b3 & 7) == Some(u64::from(imm)) {
            return made(5, false, b3 & 7);
        }
    }
    None
}

/// The stub of a late patch, for the slot at `slot`: the moved instruction, `lea` of the address
/// after the `SYSCALL` into `rcx`, and the jump through the table.
///
/// `None` if the slot is too far from the site for a displacement of 32 bits.
#[must_use]
pub fn stub(patch: &LatePatch, site: u64, slot: u64) -> Option<[u8; STUB_SLOT as usize]> {
    let mut out = Text::<{ STUB_SLOT as usize }>::new();
    let reenter = STUB_CODE as u8 + patch.len;
    out.raw(&StubHeader { site, reenter, after: 0, after_len: 0 }.pack().to_le_bytes());
    let len = usize::from(patch.len);
    if patch.rip_relative {
        out.raw(patch.bytes.get(..len.checked_sub(4)?)?);
        let disp = i32::from_le_bytes(patch.bytes.get(len - 4..len)?.try_into().ok()?);
        let target = site.wrapping_add(i64::from(disp) as u64);
        out.raw(&displacement(slot.wrapping_add(STUB_CODE + u64::from(patch.len)), target)?);
    } else {
        out.raw(patch.bytes.get(..len)?);
    }
    // lea ret(%rip),%rcx
    let after_lea = slot.wrapping_add(u64::from(reenter) + 7);
    out.raw(&[0x48, 0x8d, 0x0d]).raw(&displacement(after_lea, site.wrapping_add(2))?);
    // movabs $entry,%r11; jmp *(%r11)
    let nr = patch.loads_number.then(|| u32::from_le_bytes(immediate(patch)));
    out.raw(&[0x49, 0xbb]).raw(&layout::table_entry(nr).to_le_bytes()).raw(&[0x41, 0xff, 0x23]);
    while out.room() != 0 {
        out.byte(0xcc);
    }
    out.as_bytes().try_into().ok()
}

/// The last four bytes of the moved instruction.
fn immediate(patch: &LatePatch) -> [u8; 4] {
    let end = usize::from(patch.len);
    patch.bytes.get(end.saturating_sub(4)..end).and_then(|b| b.try_into().ok()).unwrap_or([0; 4])
}

/// `jmp rel32` at `from` to `to`.
#[must_use]
pub fn jump(from: u64, to: u64) -> Option<[u8; 5]> {
    let [a, b, c, d] = displacement(from.wrapping_add(5), to)?;
    Some([0xe9, a, b, c, d])
}

/// The displacement from the instruction that ends at `end` to `target`; `None` if it needs more than
/// 32 bits.
#[must_use]
pub fn displacement(end: u64, target: u64) -> Option<[u8; 4]> {
    i32::try_from(target.wrapping_sub(end) as i64).ok().map(i32::to_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Frame, jump, plan, stub};

    #[test]
    fn stub_runs_the_moved_instruction_and_then_the_table_entry() {
        let frame = Frame { rax: 39, ..Frame::default() };
        let patch = plan(&[0x90, 0x90, 0x90, 0xb8, 39, 0, 0, 0], SITE, &frame).unwrap();
        let slot = SITE - 0x1000;
        let bytes = stub(&patch, SITE, slot).unwrap();
        assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()), SITE | 13 << 47);
        assert_eq!(bytes[8..13], [0xb8, 39, 0, 0, 0]);
        // From slot + 20 to SITE + 2.
        assert_eq!(bytes[13..20], [0x48, 0x8d, 0x0d, 0xee, 0x0f, 0, 0]);
        assert_eq!(bytes[20..22], [0x49, 0xbb]);
        assert_eq!(
            u64::from_le_bytes(bytes[22..30].try_into().unwrap()),
            crate::layout::TABLE + 39 * 8
        );
        assert_eq!(bytes[30..33], [0x41, 0xff, 0x23]);
    }

    #[test]
    fn address_load_is_rebased_when_it_moves() {
        let frame = Frame { rsi: SITE + 0x100, ..Frame::default() };
        let patch = plan(&[0x90, 0x48, 0x8d, 0x35, 0, 1, 0, 0], SITE, &frame).unwrap();
        let slot = SITE - 0x1000;
        let bytes = stub(&patch, SITE, slot).unwrap();
        let disp = i32::from_le_bytes(bytes[11..15].try_into().unwrap());
        assert_eq!((slot + 15).wrapping_add(disp as u64), SITE + 0x100);
    }

    #[test]
    fn slot_out_of_reach_is_refused() {
        assert_eq!(jump(0, 1 << 32), None);
        assert_eq!(jump(0x1000, 0x1005), Some([0xe9, 0, 0, 0, 0]));
    }

    const SITE: u64 = 0x7000_1000;

    #[test]
    fn constant_load_of_the_number_is_taken() {
        let frame = Frame { rax: 39, ..Frame::default() };
        let patch = plan(&[0x90, 0x90, 0x90, 0xb8, 39, 0, 0, 0], SITE, &frame).unwrap();
        assert_eq!((patch.len, patch.loads_number), (5, true));
        assert_eq!(patch.bytes, [0xb8, 39, 0, 0, 0, 0, 0, 0]);
        let wide = plan(&[0x90, 0x48, 0xc7, 0xc0, 39, 0, 0, 0], SITE, &frame).unwrap();
        assert_eq!((wide.len, wide.loads_number), (7, true));
    }

    #[test]
    fn register_that_disagrees_with_the_bytes_is_refused() {
        let frame = Frame { rax: 40, ..Frame::default() };
        assert_eq!(plan(&[0x90, 0x90, 0x90, 0xb8, 39, 0, 0, 0], SITE, &frame), None);
    }

    #[test]
    fn rex_prefix_names_another_register() {
        let frame = Frame { rax: 39, r8: 39, ..Frame::default() };
        let patch = plan(&[0x90, 0x90, 0x41, 0xb8, 39, 0, 0, 0], SITE, &frame).unwrap();
        assert_eq!((patch.len, patch.loads_number), (6, false));
        assert_eq!(plan(&[0x90, 0x90, 0x48, 0xb8, 39, 0, 0, 0], SITE, &frame), None);
    }

    #[test]
    fn load_of_an_address_is_taken_and_marked_for_rebasing() {
        let frame = Frame { rsi: SITE + 0x100, rax: 1, ..Frame::default() };
        let patch = plan(&[0x90, 0x48, 0x8d, 0x35, 0, 1, 0, 0], SITE, &frame).unwrap();
        assert_eq!((patch.len, patch.rip_relative, patch.loads_number), (7, true, false));
        let r9 = Frame { r9: SITE - 4, ..Frame::default() };
        assert!(plan(&[0x90, 0x4c, 0x8d, 0x0d, 0xfc, 0xff, 0xff, 0xff], SITE, &r9).is_some());
    }

    #[test]
    fn load_of_a_register_that_the_call_takes_proves_nothing() {
        let frame = Frame { rcx: 39, ..Frame::default() };
        assert_eq!(plan(&[0x90, 0x90, 0x90, 0xb9, 39, 0, 0, 0], SITE, &frame), None);
    }
}
