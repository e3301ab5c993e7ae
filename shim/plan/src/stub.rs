//! The bytes of a stub, and the jump that leads to it.
//!
//! A stub is one slot of [`layout::STUB_SLOT`] bytes, the first eight of which are a
//! [`layout::StubHeader`]. Its code:
//!
//! ```text
//!   forms A, C    before:   the moved instructions
//!   form D        (nothing)
//!   all           reenter:  lea   return(%rip), %rcx
//!                           movabs $table_entry, %r11
//!                           jmp   *(%r11)
//!   form B        after:    lea   site+2(%rip), %rcx
//!                           the moved instructions
//!                           jmp   behind them
//! ```
//! `return` is the address behind the `SYSCALL`, which is also what the hardware leaves in `rcx`;
//! in form B the gate comes back to `after` instead, which then loads that address. `rcx` and `r11`
//! are free because `SYSCALL` overwrites them. No instruction changes a flag or uses the stack.

use ia2_core::late;
use ia2_core::layout::{STUB_CODE, STUB_SLOT, StubHeader, table_entry};
use ia2_core::site::{Form, Refusal};

use crate::insn;
use crate::plan::{JUMP_LEN, PATCH_MAX, Patch, Site};

/// A stub: one whole slot, header included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stub {
    /// The slot's bytes. What is not used is `int3`.
    pub bytes: [u8; STUB_SLOT as usize],
    /// How many of them are used.
    pub len: usize,
}

/// Bytes to write over others. Both arrays count up to `len`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    /// Run-time address.
    pub addr: u64,
    /// What must be there now.
    pub old: [u8; PATCH_MAX],
    /// What comes there.
    pub new: [u8; PATCH_MAX],
    /// How many bytes.
    pub len: usize,
}

const NOP: u8 = 0x90;
const INT3: u8 = 0xcc;

/// Code that grows in a slot whose run-time address is known.
struct Emitter {
    stub: Stub,
    addr: u64,
}

impl Emitter {
    /// The run-time address of the next byte.
    fn here(&self) -> u64 {
        self.addr.wrapping_add(self.stub.len as u64)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let end = self.stub.len.saturating_add(bytes.len());
        let room = self.stub.bytes.get_mut(self.stub.len..end).ok_or(Refusal::Immovable)?;
        room.copy_from_slice(bytes);
        self.stub.len = end;
        Ok(())
    }

    /// An opcode that ends in the 32-bit distance to `target`.
    fn put_relative(&mut self, opcode: &[u8], target: u64) -> Result<(), Refusal> {
        self.put(opcode)?;
        let next = self.here().wrapping_add(4);
        self.put(&distance(next, target)?)
    }

    /// `lea target(%rip), %rcx`.
    fn put_lea_rcx(&mut self, target: u64) -> Result<(), Refusal> {
        self.put_relative(&[0x48, 0x8d, 0x0d], target)
    }

    /// Copies of the instructions in `code`, which stands at run-time address `from`.
    fn put_moved(&mut self, code: &[u8], from: u64) -> Result<(), Refusal> {
        let mut at = self.stub.len;
        self.put(code)?;
        let moved = from.wrapping_sub(self.addr.wrapping_add(at as u64));
        while at < self.stub.len {
            let copy = self.stub.bytes.get(at..).unwrap_or(&[]);
            let insn = insn::decode(copy).filter(insn::Insn::is_movable);
            let insn = insn.ok_or(Refusal::Immovable)?;
            let here = self.addr.wrapping_add(at as u64);
            let next = at.saturating_add(usize::from(insn.len));
            if insn.rip_at != 0 {
                let target = insn.rip_target(copy, here.wrapping_add(moved));
                let target = target.ok_or(Refusal::Immovable)?;
                let distance = distance(self.addr.wrapping_add(next as u64), target)?;
                let field = at.saturating_add(usize::from(insn.rip_at));
                let field = self.stub.bytes.get_mut(field..).and_then(<[u8]>::first_chunk_mut);
                *field.ok_or(Refusal::Immovable)? = distance;
            }
            at = next;
        }
        // The last instruction must not be cut off.
        if at == self.stub.len { Ok(()) } else { Err(Refusal::Immovable) }
    }
}

/// The distance from `next` to `target` as an instruction holds it.
fn distance(next: u64, target: u64) -> Result<[u8; 4], Refusal> {
    late::displacement(next, target).ok_or(Refusal::NoStubMemory)
}

/// The stub of `site` for the slot at run-time address `slot_addr`. `bias` is what was added to the
/// object's link-time addresses.
///
/// # Errors
/// [`Refusal::NoStubMemory`] if the slot is more than 2 GiB from the site or from an operand of a
/// moved instruction; [`Refusal::Immovable`] if the patch is not one that [`crate::plan`] made.
pub fn emit(patch: &Patch, site: &Site, bias: u64, slot_addr: u64) -> Result<Stub, Refusal> {
    let start = patch.start.wrapping_add(bias);
    let behind = site.addr.wrapping_add(bias).wrapping_add(2);
    let mut out = Emitter {
        stub: Stub { bytes: [INT3; STUB_SLOT as usize], len: STUB_CODE as usize },
        addr: slot_addr,
    };
    out.put_moved(patch.before(), start)?;
    let reenter = out.stub.len;
    let entry = table_entry(site.nr).to_le_bytes();
    let is_b = patch.form == Form::B;
    // lea (7 bytes), movabs (10) and jmp (3) lie between here and `after`.
    let after = reenter.wrapping_add(20);
    out.put_lea_rcx(if is_b { slot_addr.wrapping_add(after as u64) } else { behind })?;
    out.put(&[0x49, 0xbb])?;
    out.put(&entry)?;
    out.put(&[0x41, 0xff, 0x23])?;
    if is_b {
        out.put_lea_rcx(behind)?;
        out.put_moved(patch.after(), behind)?;
        out.put_relative(&[0xe9], behind.wrapping_add(patch.after().len() as u64))?;
    }
    let header = StubHeader {
        site: site.addr.wrapping_add(bias),
        reenter: reenter as u8,
        after: if is_b { after as u8 } else { 0 },
        after_len: patch.after().len() as u8,
    };
    if let Some(head) = out.stub.bytes.first_chunk_mut() {
        *head = header.pack().to_le_bytes();
    }
    Ok(out.stub)
}

/// What to write, in this order. Form D has two writes: the island first, so that the short jump
/// at the site never leads to padding.
///
/// # Errors
/// [`Refusal::NoStubMemory`] if the slot is out of a jump's reach.
pub fn writes(patch: &Patch, bias: u64, slot_addr: u64) -> Result<[Option<Write>; 2], Refusal> {
    let start = patch.start.wrapping_add(bias);
    let code = slot_addr.wrapping_add(STUB_CODE);
    let Some(island) = patch.island else {
        let jump = jump(start, code)?;
        return Ok([Some(write(start, &patch.old, &jump)?), None]);
    };
    let island_addr = island.addr.wrapping_add(bias);
    let jump = jump(island_addr, code)?;
    let short = island_addr.wrapping_sub(start.wrapping_add(2)).cast_signed();
    let short = i8::try_from(short).map_err(|_| Refusal::Immovable)?;
    Ok([
        Some(write(island_addr, &island.old, &jump)?),
        Some(write(start, &patch.old, &[0xeb, short.cast_unsigned()])?),
    ])
}

/// `jmp rel32` at `from` to `to`.
fn jump(from: u64, to: u64) -> Result<[u8; JUMP_LEN], Refusal> {
    late::jump(from, to).ok_or(Refusal::NoStubMemory)
}

/// `new` and then `nop` over all of `old`.
fn write(addr: u64, old: &[u8], new: &[u8]) -> Result<Write, Refusal> {
    let mut write = Write { addr, old: [0; PATCH_MAX], new: [NOP; PATCH_MAX], len: old.len() };
    let fits = Refusal::Immovable;
    write.old.get_mut(..old.len()).ok_or(fits)?.copy_from_slice(old);
    write.new.get_mut(..new.len()).ok_or(fits)?.copy_from_slice(new);
    if new.len() > old.len() { Err(fits) } else { Ok(write) }
}
