//! One x86-64 instruction: how long it is, where control goes after it, and whether it can run at
//! another address.
//!
//! # Rules of this file
//!
//! - No allocation, no panic, no table that is built at run time: it also serves code that runs
//!   inside a signal handler.
//! - An encoding it is not sure about is not an instruction: [`decode`] answers `None`, and the
//!   planner leaves the function alone. That covers what user code does not contain (far branches,
//!   control registers, XOP, 3DNow!, the 16-bit branches that AMD and Intel read differently).
//! - Where it does answer, length and flow are those of the processor. The tests hold that against
//!   iced-x86 for every instruction of the libraries on the machine, and for random bytes.
//!
//! # How an instruction is read
//!
//! ```text
//! prefixes* [REX] opcode (1 byte | 0f xx | 0f 38 xx | 0f 3a xx | VEX xx | EVEX xx)
//!           [ModRM [SIB] [displacement 1|4]] [immediate 1|2|4|8]
//! ```
//! One byte of [`ONE`] or [`TWO`] per opcode says what follows it; the few opcodes whose ModRM byte
//! changes the meaning are marked `LOOK` and sorted out in [`classify`].

pub use crate::quick::{quick, relative_target};

/// What an instruction does to the flow of control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next instruction follows.
    Next,
    /// A direct jump, always taken.
    Jump,
    /// A direct jump that may be taken (`jcc`, `loop`, `jrcxz`, `xbegin`).
    Branch,
    /// A direct call.
    Call,
    /// A jump to a computed address.
    JumpIndirect,
    /// A call of a computed address.
    CallIndirect,
    /// `ret`, `iret`.
    Return,
    /// `SYSCALL`.
    Syscall,
    /// Another way into the kernel or a debugger, after which the next instruction may follow.
    Trap,
    /// `ud2`, `hlt`: nothing follows.
    Stop,
}

/// Prefix 66: 16-bit operands.
const OPSIZE: u8 = 1;
/// Prefix 67: 32-bit addresses.
const ADDR32: u8 = 2;
/// Prefix f0.
const LOCK: u8 = 4;
/// Prefix f2.
const F2: u8 = 8;
/// Prefix f3.
const F3: u8 = 16;
/// A segment prefix.
const SEGMENT: u8 = 32;

/// Which opcode map an instruction is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// One-byte opcodes.
    One,
    /// `0f xx`.
    Two,
    /// `0f 38 xx` and `0f 3a xx`.
    Three,
    /// VEX and EVEX: vectors, mask registers, a few on general registers.
    Vector,
}

/// What [`decode`] found out. Offsets count from the instruction's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// Length in bytes, 1 to 15.
    pub len: u8,
    /// Where control goes.
    pub flow: Flow,
    /// Offset of the 32-bit displacement that is relative to the next instruction, or 0.
    pub rip_at: u8,
    /// Offset of the immediate (also a branch's distance); equal to `len` if there is none.
    imm_at: u8,
    map: Map,
    opcode: u8,
    /// The ModRM byte, or 0: the opcode says whether there is one.
    modrm: u8,
    /// The SIB byte, or 0.
    sib: u8,
    rex: u8,
    prefixes: u8,
}

pub(crate) const MODRM: u8 = 1;
pub(crate) const IMM8: u8 = 2;
/// 4 bytes, or 2 with an operand-size prefix.
pub(crate) const IMMZ: u8 = 4;
pub(crate) const IMM16: u8 = 8;
/// Not an instruction in 64-bit mode, or one we do not read.
pub(crate) const BAD: u8 = 16;
/// [`classify`] knows more.
pub(crate) const LOOK: u8 = 32;
/// A prefix or an escape.
pub(crate) const PREFIX: u8 = 64;

/// Sets `table[from..=to]`.
pub(crate) const fn fill(mut table: [u8; 256], from: usize, to: usize, attr: u8) -> [u8; 256] {
    let mut at = from;
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "runs in the compiler only"
    )]
    while at <= to {
        table[at] = attr;
        at += 1;
    }
    table
}

/// What follows each one-byte opcode.
pub(crate) static ONE: [u8; 256] = {
    let mut t = [0u8; 256];
    // The eight arithmetic rows: r/m,r  r,r/m  al,imm8  eax,imm32, then two old stack opcodes.
    let mut row = 0;
    while row < 0x40 {
        t = fill(t, row, row + 3, MODRM);
        t = fill(t, row + 4, row + 4, IMM8);
        t = fill(t, row + 5, row + 5, IMMZ);
        t = fill(t, row + 6, row + 7, BAD);
        row += 8;
    }
    t = fill(t, 0x0f, 0x0f, PREFIX); // escape to TWO
    t = fill(t, 0x26, 0x26, PREFIX);
    t = fill(t, 0x2e, 0x2e, PREFIX);
    t = fill(t, 0x36, 0x36, PREFIX);
    t = fill(t, 0x3e, 0x3e, PREFIX);
    t = fill(t, 0x40, 0x4f, PREFIX); // REX
    t = fill(t, 0x60, 0x61, BAD);
    t = fill(t, 0x62, 0x62, PREFIX); // EVEX
    t = fill(t, 0x63, 0x63, MODRM); // movslq
    t = fill(t, 0x64, 0x67, PREFIX);
    t = fill(t, 0x68, 0x68, IMMZ); // push
    t = fill(t, 0x69, 0x69, MODRM | IMMZ); // imul
    t = fill(t, 0x6a, 0x6a, IMM8);
    t = fill(t, 0x6b, 0x6b, MODRM | IMM8);
    t = fill(t, 0x70, 0x7f, IMM8 | LOOK); // jcc rel8
    t = fill(t, 0x80, 0x80, MODRM | IMM8);
    t = fill(t, 0x81, 0x81, MODRM | IMMZ);
    t = fill(t, 0x82, 0x82, BAD);
    t = fill(t, 0x83, 0x83, MODRM | IMM8);
    t = fill(t, 0x84, 0x8b, MODRM);
    t = fill(t, 0x8c, 0x8f, MODRM | LOOK); // segment moves, lea, pop
    t = fill(t, 0x9a, 0x9a, BAD);
    t = fill(t, 0xa0, 0xa3, LOOK); // moffs
    t = fill(t, 0xa8, 0xa8, IMM8);
    t = fill(t, 0xa9, 0xa9, IMMZ);
    t = fill(t, 0xb0, 0xb7, IMM8);
    t = fill(t, 0xb8, 0xbf, LOOK); // mov imm32 or imm64
    t = fill(t, 0xc0, 0xc1, MODRM | IMM8);
    t = fill(t, 0xc2, 0xc2, IMM16 | LOOK); // ret imm16
    t = fill(t, 0xc3, 0xc3, LOOK); // ret
    t = fill(t, 0xc4, 0xc5, PREFIX); // VEX
    t = fill(t, 0xc6, 0xc6, MODRM | IMM8 | LOOK);
    t = fill(t, 0xc7, 0xc7, MODRM | IMMZ | LOOK);
    t = fill(t, 0xc8, 0xc8, IMM16 | IMM8); // enter
    t = fill(t, 0xca, 0xcb, BAD); // far returns
    t = fill(t, 0xcc, 0xcc, LOOK); // int3
    t = fill(t, 0xcd, 0xcd, IMM8 | LOOK); // int
    t = fill(t, 0xce, 0xce, BAD);
    t = fill(t, 0xcf, 0xcf, LOOK); // iret
    t = fill(t, 0xd0, 0xd3, MODRM);
    t = fill(t, 0xd4, 0xd6, BAD);
    t = fill(t, 0xd8, 0xdf, MODRM); // x87
    t = fill(t, 0xe0, 0xe3, IMM8 | LOOK); // loop, jrcxz
    t = fill(t, 0xe4, 0xe7, IMM8); // in, out
    t = fill(t, 0xe8, 0xe9, IMMZ | LOOK); // call, jmp
    t = fill(t, 0xea, 0xea, BAD);
    t = fill(t, 0xeb, 0xeb, IMM8 | LOOK); // jmp rel8
    t = fill(t, 0xf0, 0xf0, PREFIX);
    t = fill(t, 0xf1, 0xf1, LOOK); // int1
    t = fill(t, 0xf2, 0xf3, PREFIX);
    t = fill(t, 0xf4, 0xf4, LOOK); // hlt
    t = fill(t, 0xf6, 0xf7, MODRM | LOOK);
    t = fill(t, 0xfe, 0xff, MODRM | LOOK);
    t
};

/// What follows each opcode `0f xx`.
pub(crate) static TWO: [u8; 256] = {
    let mut t = [MODRM; 256];
    t = fill(t, 0x04, 0x04, BAD);
    t = fill(t, 0x05, 0x05, LOOK); // syscall
    t = fill(t, 0x06, 0x09, 0);
    t = fill(t, 0x07, 0x07, LOOK); // sysret
    t = fill(t, 0x0a, 0x0a, BAD);
    t = fill(t, 0x0b, 0x0b, LOOK); // ud2
    t = fill(t, 0x0c, 0x0c, BAD);
    t = fill(t, 0x0e, 0x0f, BAD); // 3DNow!
    t = fill(t, 0x20, 0x27, BAD); // control registers
    t = fill(t, 0x30, 0x33, 0);
    t = fill(t, 0x34, 0x35, LOOK); // sysenter, sysexit
    t = fill(t, 0x36, 0x36, BAD);
    t = fill(t, 0x37, 0x37, 0);
    t = fill(t, 0x38, 0x3f, BAD); // 38 and 3a are read before this table
    t = fill(t, 0x70, 0x73, MODRM | IMM8);
    t = fill(t, 0x77, 0x77, 0); // emms
    t = fill(t, 0x78, 0x79, MODRM | LOOK);
    t = fill(t, 0x7a, 0x7b, BAD);
    t = fill(t, 0x80, 0x8f, IMMZ | LOOK); // jcc rel32
    t = fill(t, 0xa0, 0xa2, 0);
    t = fill(t, 0xa4, 0xa4, MODRM | IMM8);
    t = fill(t, 0xa6, 0xa7, BAD);
    t = fill(t, 0xa8, 0xaa, 0);
    t = fill(t, 0xac, 0xac, MODRM | IMM8);
    t = fill(t, 0xb8, 0xb8, MODRM | LOOK); // popcnt
    t = fill(t, 0xb9, 0xb9, MODRM | LOOK); // ud1
    t = fill(t, 0xba, 0xba, MODRM | IMM8 | LOOK);
    t = fill(t, 0xc2, 0xc2, MODRM | IMM8);
    t = fill(t, 0xc4, 0xc6, MODRM | IMM8);
    t = fill(t, 0xc8, 0xcf, 0); // bswap
    t = fill(t, 0xff, 0xff, MODRM | LOOK); // ud0
    t
};

/// The bits an opcode table has for `opcode`.
fn attributes(table: &[u8; 256], opcode: u8) -> u8 {
    table.get(usize::from(opcode)).copied().unwrap_or(BAD)
}

/// Bytes looked at: an instruction has at most 15.
const WINDOW: usize = 16;

/// A reading position in one instruction. Reading on behind the window gives wrong bytes, but then
/// the instruction is longer than 15 bytes, which [`Reader::finish`] refuses.
struct Reader<'a> {
    window: &'a [u8; WINDOW],
    at: usize,
}

impl Reader<'_> {
    #[inline]
    fn byte(&mut self) -> u8 {
        let byte = self.window.get(self.at & (WINDOW - 1)).copied().unwrap_or(0);
        self.at = self.at.wrapping_add(1);
        byte
    }

    /// Reads ModRM and what belongs to it.
    #[inline]
    fn modrm(&mut self, insn: &mut Insn) {
        let modrm = self.byte();
        insn.modrm = modrm;
        let mode = modrm >> 6;
        if mode == 3 {
            return;
        }
        let mut base = modrm & 7;
        if base == 4 {
            insn.sib = self.byte();
            base = insn.sib & 7;
        } else if mode == 0 && base == 5 {
            insn.rip_at = self.at as u8;
        }
        let displacement = match mode {
            0 if base == 5 => 4,
            0 => 0,
            1 => 1,
            _ => 4,
        };
        self.at = self.at.wrapping_add(displacement);
    }

    /// Ends the instruction after an immediate of `size` bytes.
    #[inline]
    fn finish(self, mut insn: Insn, size: usize, available: usize) -> Option<Insn> {
        let len = self.at.wrapping_add(size);
        insn.imm_at = self.at as u8;
        insn.len = len as u8;
        (len < WINDOW && len <= available).then_some(insn)
    }
}

/// Reads the instruction at the start of `code`. `None` if it is none, is not one this file reads,
/// or is cut off.
#[inline]
#[must_use]
pub fn decode(code: &[u8]) -> Option<Insn> {
    match code.first_chunk() {
        Some(window) => read(window, WINDOW),
        None => {
            let mut window = [0; WINDOW];
            window.get_mut(..code.len())?.copy_from_slice(code);
            read(&window, code.len())
        }
    }
}

/// Reads the instruction in `window`, of which `available` bytes are there.
fn read(window: &[u8; WINDOW], available: usize) -> Option<Insn> {
    let mut insn = Insn {
        len: 0,
        flow: Flow::Next,
        rip_at: 0,
        imm_at: 0,
        map: Map::One,
        opcode: 0,
        modrm: 0,
        sib: 0,
        rex: 0,
        prefixes: 0,
    };
    let mut from = Reader { window, at: 0 };
    let (opcode, attr) = loop {
        let byte = from.byte();
        let attr = attributes(&ONE, byte);
        if attr & PREFIX == 0 {
            break (byte, attr);
        }
        // Too many prefixes; also, the reader would begin again at the window's start.
        if from.at >= WINDOW - 1 {
            return None;
        }
        let prefix = match byte {
            0x40..=0x4f => {
                insn.rex = byte;
                continue;
            }
            0x0f => break escape(&mut insn, &mut from),
            0xc4 | 0xc5 | 0x62 => return vector(insn, from, byte, available),
            0x66 => OPSIZE,
            0x67 => ADDR32,
            0xf0 => LOCK,
            0xf2 => F2,
            0xf3 => F3,
            _ => SEGMENT,
        };
        // A REX prefix counts only directly before the opcode.
        insn.rex = 0;
        insn.prefixes |= prefix;
    };
    insn.opcode = opcode;
    if attr & MODRM != 0 {
        from.modrm(&mut insn);
    }
    let mut size = match attr & (IMM8 | IMMZ | IMM16) {
        0 => 0,
        IMM8 => 1,
        IMM16 => 2,
        IMMZ if insn.is_half() => 2,
        IMMZ => 4,
        _ => 3, // enter: IMM16 | IMM8
    };
    if attr & (LOOK | BAD) != 0 {
        if attr & BAD != 0 {
            return None;
        }
        size = classify(&mut insn, size)?;
    }
    from.finish(insn, size, available)
}

/// Reads the opcode behind `0f`.
#[inline]
fn escape(insn: &mut Insn, from: &mut Reader<'_>) -> (u8, u8) {
    let byte = from.byte();
    match byte {
        0x38 => {
            insn.map = Map::Three;
            (from.byte(), MODRM)
        }
        0x3a => {
            insn.map = Map::Three;
            (from.byte(), MODRM | IMM8)
        }
        _ => {
            insn.map = Map::Two;
            (byte, attributes(&TWO, byte))
        }
    }
}

/// Sorts out the opcodes that need a second look. Answers the size of the immediate.
fn classify(insn: &mut Insn, size: usize) -> Option<usize> {
    let half = insn.is_half();
    let reg = insn.modrm >> 3 & 7;
    let register = insn.modrm >> 6 == 3;
    let relative = |flow: Flow| (!half).then_some(flow);
    match (insn.map, insn.opcode) {
        (Map::One, 0x70..=0x7f | 0xe0..=0xe3) | (Map::Two, 0x80..=0x8f) => {
            insn.flow = relative(Flow::Branch)?;
        }
        (Map::One, 0xe9 | 0xeb) => insn.flow = relative(Flow::Jump)?,
        (Map::One, 0xe8) => insn.flow = relative(Flow::Call)?,
        (Map::One, 0xc2 | 0xc3) => insn.flow = relative(Flow::Return)?,
        (Map::One, 0xcf) | (Map::Two, 0x07 | 0x35) => insn.flow = Flow::Return,
        (Map::One, 0xcc | 0xcd | 0xf1) | (Map::Two, 0x34) => insn.flow = Flow::Trap,
        (Map::One, 0xf4) | (Map::Two, 0x0b | 0xb9 | 0xff) => insn.flow = Flow::Stop,
        (Map::Two, 0x05) => insn.flow = Flow::Syscall,
        (Map::One, 0x8c) if reg > 5 => return None,
        (Map::One, 0x8e) if reg > 5 || reg == 1 => return None,
        (Map::One, 0x8d) if register => return None,
        (Map::One, 0x8f) if reg != 0 => return None,
        (Map::One, 0xa0..=0xa3) => return Some(if insn.prefixes & ADDR32 != 0 { 4 } else { 8 }),
        (Map::One, 0xb8..=0xbf) => {
            return Some(match (insn.rex & 8 != 0, half) {
                (true, _) => 8,
                (false, true) => 2,
                (false, false) => 4,
            });
        }
        // c6 f8 is xabort, c7 f8 is xbegin with the address it aborts to.
        (Map::One, 0xc6) if reg != 0 && insn.modrm != 0xf8 => return None,
        (Map::One, 0xc6) if reg != 0 => insn.flow = Flow::Trap,
        (Map::One, 0xc7) if reg != 0 && insn.modrm != 0xf8 => return None,
        (Map::One, 0xc7) if reg != 0 => insn.flow = relative(Flow::Branch)?,
        // Group 3: test has an immediate, not neg mul imul div idiv have none.
        (Map::One, 0xf6) => return Some(if reg < 2 { 1 } else { 0 }),
        (Map::One, 0xf7) if reg < 2 => return Some(if half { 2 } else { 4 }),
        (Map::One, 0xfe) if reg > 1 => return None,
        (Map::One, 0xff) => match reg {
            2 if half => return None,
            4 if half => return None,
            2 => insn.flow = Flow::CallIndirect,
            4 => insn.flow = Flow::JumpIndirect,
            3 | 5 | 7 => return None,
            _ => {}
        },
        (Map::Two, 0x78 | 0x79) if insn.prefixes & (OPSIZE | F2 | F3) != 0 => return None,
        (Map::Two, 0xb8) if insn.prefixes & F3 == 0 => return None,
        (Map::Two, 0xba) if reg < 4 => return None,
        _ => {}
    }
    Some(size)
}

/// Reads on after the first byte of a VEX (c4, c5) or EVEX (62) prefix. None of these branches.
fn vector(mut insn: Insn, mut from: Reader<'_>, first: u8, available: usize) -> Option<Insn> {
    if insn.rex != 0 || insn.prefixes & (OPSIZE | LOCK | F2 | F3) != 0 {
        return None;
    }
    insn.map = Map::Vector;
    let second = from.byte();
    let map = match first {
        0xc5 => 1,
        0xc4 => {
            from.byte();
            second & 0x1f
        }
        _ => {
            let third = from.byte();
            from.byte();
            if second & 8 != 0 || third & 4 == 0 {
                return None;
            }
            second & 7
        }
    };
    insn.opcode = from.byte();
    let immediate = match (map, insn.opcode) {
        // vzeroupper, vzeroall: no ModRM
        (1, 0x77) if first != 0x62 => return from.finish(insn, 0, available),
        (1, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) | (3, _) => 1,
        (1 | 2, _) => 0,
        (5 | 6, _) if first == 0x62 => 0,
        _ => return None,
    };
    from.modrm(&mut insn);
    from.finish(insn, immediate, available)
}

/// A register of the sixteen, by number: 0 is rax.
pub type Register = u8;

/// What an instruction is known to write among the general registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// None of them.
    Nothing,
    /// Part or all of this one, and no other except the stack pointer.
    One(Register),
    /// Not known.
    Unknown,
}

impl Insn {
    /// Whether its operands have 16 bits: prefix 66 counts unless REX.W is there.
    fn is_half(&self) -> bool {
        self.prefixes & OPSIZE != 0 && self.rex & 8 == 0
    }

    /// Where a direct jump, branch or call goes; `code` starts with the instruction, which stands
    /// at `addr`.
    #[must_use]
    pub fn target(&self, code: &[u8], addr: u64) -> Option<u64> {
        if !matches!(self.flow, Flow::Jump | Flow::Branch | Flow::Call) {
            return None;
        }
        let at = usize::from(self.imm_at);
        let distance = match self.len.wrapping_sub(self.imm_at) {
            1 => i64::from(crate::read::u8_at(code, at)?.cast_signed()),
            4 => crate::read::i32_at(code, at)?,
            _ => return None,
        };
        Some(addr.wrapping_add(u64::from(self.len)).wrapping_add_signed(distance))
    }

    /// The address that a RIP-relative operand means.
    #[must_use]
    pub fn rip_target(&self, code: &[u8], addr: u64) -> Option<u64> {
        if self.rip_at == 0 || self.prefixes & ADDR32 != 0 {
            return None;
        }
        let distance = crate::read::i32_at(code, usize::from(self.rip_at))?;
        Some(addr.wrapping_add(u64::from(self.len)).wrapping_add_signed(distance))
    }

    /// Whether a copy of it at another address, with a RIP-relative displacement adjusted, has the
    /// effect of the original.
    ///
    /// Everything that only falls through qualifies, except: an `eip`-relative operand; x87, which
    /// records its own address; `endbr`, which must stay where the jump to it lands; and the
    /// system instructions of `0f 00`/`0f 01`.
    #[must_use]
    pub fn is_movable(&self) -> bool {
        if self.flow != Flow::Next || (self.rip_at != 0 && self.prefixes & ADDR32 != 0) {
            return false;
        }
        match (self.map, self.opcode) {
            (Map::One, 0x9b | 0xd8..=0xdf) | (Map::Two, 0x00 | 0x01) => false,
            (Map::Two, 0x1e) => self.prefixes & F3 == 0,
            _ => true,
        }
    }

    /// Whether it does nothing at all: `nop` in any of the lengths assemblers pad with.
    #[must_use]
    pub fn is_nop(&self) -> bool {
        match (self.map, self.opcode) {
            (Map::One, 0x90) => self.rex & 1 == 0 && self.prefixes & (F3 | F2 | LOCK) == 0,
            (Map::Two, 0x1f) => self.modrm >> 3 & 7 == 0 && self.prefixes & LOCK == 0,
            _ => false,
        }
    }

    /// Whether it is `int3`.
    #[must_use]
    pub fn is_int3(&self) -> bool {
        self.map == Map::One && self.opcode == 0xcc
    }

    /// Whether its bytes are exactly `0f 05`.
    #[must_use]
    pub fn is_plain_syscall(&self) -> bool {
        self.flow == Flow::Syscall && self.len == 2
    }

    fn reg(&self) -> Register {
        self.modrm >> 3 & 7 | self.rex << 1 & 8
    }

    fn rm(&self) -> Register {
        self.modrm & 7 | self.rex << 3 & 8
    }

    fn is_register_form(&self) -> bool {
        self.modrm >> 6 == 3
    }

    /// The value it leaves in `eax`, if that is a constant in its encoding: `mov $n,%eax`,
    /// `mov $n,%rax`, `xor %eax,%eax`, `sub %eax,%eax`.
    #[must_use]
    pub fn sets_eax(&self, code: &[u8]) -> Option<u32> {
        if self.map != Map::One || self.is_half() || self.prefixes & LOCK != 0 {
            return None;
        }
        match self.opcode {
            0xb8 if self.rex & 1 == 0 => crate::read::u32_at(code, usize::from(self.imm_at)),
            0xc7 if self.is_register_form() && self.rm() == 0 && self.flow == Flow::Next => {
                crate::read::u32_at(code, usize::from(self.imm_at))
            }
            0x31 | 0x33 | 0x29 | 0x2b if self.modrm == 0xc0 && self.rex & 5 == 0 => Some(0),
            _ => None,
        }
    }

    /// Which general register it writes, for the instructions that compilers put between loading
    /// the number and `SYSCALL`, or into the dispatch of a `switch`; `Unknown` for all others.
    #[must_use]
    pub fn writes(&self) -> Writes {
        let to_rm = if self.is_register_form() { Writes::One(self.rm()) } else { Writes::Nothing };
        let to_reg = Writes::One(self.reg());
        match (self.map, self.opcode) {
            // Byte registers 4 to 7 are ah…bh without REX.
            (Map::One, 0x88) if self.is_register_form() && self.rex == 0 && self.modrm & 4 != 0 => {
                Writes::One(self.modrm & 3)
            }
            (Map::One, 0x8a) if self.rex == 0 && self.modrm & 0x20 != 0 => {
                Writes::One(self.modrm >> 3 & 3)
            }
            (Map::One, 0x88 | 0x89 | 0xc7) if self.flow == Flow::Next => to_rm,
            (Map::One, 0xc6) if !self.is_register_form() => Writes::Nothing,
            (Map::One, 0x8a | 0x8b | 0x8d | 0x63 | 0x69 | 0x6b) => to_reg,
            (Map::One, 0x38..=0x3b | 0x3c | 0x3d | 0x84 | 0x85 | 0xa8 | 0xa9) => Writes::Nothing,
            (Map::One, 0x01 | 0x09 | 0x11 | 0x19 | 0x21 | 0x29 | 0x31) => to_rm,
            (Map::One, 0x03 | 0x0b | 0x13 | 0x1b | 0x23 | 0x2b | 0x33) => to_reg,
            (Map::One, 0x80 | 0x81 | 0x83) if self.modrm >> 3 & 7 == 7 => Writes::Nothing,
            (Map::One, 0x81 | 0x83 | 0xc1 | 0xd1 | 0xd3) => to_rm,
            (Map::One, 0xf6 | 0xf7) if self.modrm >> 3 & 7 < 2 => Writes::Nothing,
            (Map::One, 0xb8..=0xbf | 0x58..=0x5f) => {
                Writes::One(self.opcode & 7 | self.rex << 3 & 8)
            }
            (Map::One, 0x50..=0x57 | 0x68 | 0x6a | 0x70..=0x7f) => Writes::Nothing,
            (Map::One, 0x90) if self.is_nop() => Writes::Nothing,
            (Map::Two, 0x1e) if self.modrm == 0xfa || self.modrm == 0xfb => Writes::Nothing,
            (Map::Two, 0x1f | 0x80..=0x8f) => Writes::Nothing,
            (Map::Two, 0x40..=0x4f | 0xb6 | 0xb7 | 0xbe | 0xbf | 0xaf) => to_reg,
            // Vector moves, shuffles and zeroing: the destination is a vector register or memory.
            (Map::Two, 0x10..=0x17 | 0x28 | 0x29 | 0x2e | 0x2f | 0x54..=0x57 | 0x60..=0x62)
            | (Map::Two, 0x6c..=0x70 | 0x7f | 0xc6 | 0xd4 | 0xd6 | 0xef) => Writes::Nothing,
            _ => Writes::Unknown,
        }
    }

    /// The register of `jmp *%reg`.
    #[must_use]
    pub fn jumps_to_register(&self) -> Option<Register> {
        (self.flow == Flow::JumpIndirect && self.is_register_form()).then(|| self.rm())
    }

    /// The 32-bit address of `jmp *table(,%reg,8)`.
    #[must_use]
    pub fn jumps_through_table(&self, code: &[u8]) -> Option<u64> {
        let indexed = self.modrm & 0xc7 == 4 && self.sib & 0xc7 == 0xc5;
        let has_index = self.sib & 0x38 != 0x20 || self.rex & 2 != 0;
        if self.flow != Flow::JumpIndirect || !indexed || !has_index || self.rex & 1 != 0 {
            return None;
        }
        let at = usize::from(self.len).checked_sub(4)?;
        Some(crate::read::i32_at(code, at)?.cast_unsigned())
    }

    /// Whether it takes the stack frame down, as an epilogue does last: `pop %reg`, `leave`, or
    /// `add $imm,%rsp`.
    #[must_use]
    pub fn ends_frame(&self) -> bool {
        if self.map != Map::One {
            return false;
        }
        match self.opcode {
            0x58..=0x5f | 0xc9 => true,
            0x81 | 0x83 => self.rex & 9 == 8 && self.modrm == 0xc4,
            _ => false,
        }
    }

    /// The two registers of a 64-bit `add %a,%b`: what is added, and to what.
    #[must_use]
    pub fn adds(&self) -> Option<(Register, Register)> {
        if self.map != Map::One || !self.is_register_form() || self.rex & 8 == 0 {
            return None;
        }
        match self.opcode {
            0x01 => Some((self.reg(), self.rm())),
            0x03 => Some((self.rm(), self.reg())),
            _ => None,
        }
    }

    /// For `movslq (%base,%index,4),%to`: `base` and `to`.
    #[must_use]
    pub fn loads_offset(&self, code: &[u8]) -> Option<(Register, Register)> {
        // As a base, rbp and r13 can only be written with a displacement.
        let displaced = || {
            let at = usize::from(self.imm_at).checked_sub(1);
            self.modrm & 0xc7 == 0x44 && at.and_then(|at| code.get(at)) == Some(&0)
        };
        let plain = self.modrm & 0xc7 == 4 && self.sib & 7 != 5;
        let scaled = self.sib >> 6 == 2 && (plain || displaced());
        (self.map == Map::One && self.opcode == 0x63 && self.rex & 8 != 0 && scaled)
            .then(|| (self.sib & 7 | self.rex << 3 & 8, self.reg()))
    }

    /// Whether it is `lea` (of a RIP-relative address, if [`Insn::rip_target`] answers).
    #[must_use]
    pub fn is_lea(&self) -> bool {
        self.map == Map::One && self.opcode == 0x8d
    }
}
