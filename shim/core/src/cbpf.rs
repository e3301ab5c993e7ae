//! A machine for classic BPF, as seccomp runs it: two registers, sixteen words of scratch memory, jumps
//! that only go forward.
//!
//! It takes exactly the programs that the kernel takes (`bpf_check_classic` and `seccomp_check_filter`;
//! a test asks the kernel about random ones), and one operation more: [`op::ASK`], a jump on what only
//! somebody outside can tell, as whether a path is one of a list. The kernel takes no program with it.
//!
//! | | the kernel's choice, and so this one's |
//! |---|---|
//! | `A` and `X` | start as 0 |
//! | `A / X` with `X` = 0 | ends the program with 0, which is `SECCOMP_RET_KILL_THREAD` |
//! | `A << X`, `A >> X` | by the low five bits of `X` |
//! | everything else | wraps at 32 bits, without a sign |

use crate::bpf::{AUDIT_ARCH_X86_64, Insn};

/// The operations, by the kernel's names without `BPF_`.
pub mod op {
    #![allow(missing_docs, reason = "the kernel's own names say it")]
    pub const LD_IMM: u16 = 0x00;
    pub const LD_W_ABS: u16 = 0x20;
    pub const LD_MEM: u16 = 0x60;
    pub const LD_W_LEN: u16 = 0x80;
    pub const LDX_IMM: u16 = 0x01;
    pub const LDX_MEM: u16 = 0x61;
    pub const LDX_W_LEN: u16 = 0x81;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const ADD_K: u16 = 0x04;
    pub const ADD_X: u16 = 0x0c;
    pub const SUB_K: u16 = 0x14;
    pub const SUB_X: u16 = 0x1c;
    pub const MUL_K: u16 = 0x24;
    pub const MUL_X: u16 = 0x2c;
    pub const DIV_K: u16 = 0x34;
    pub const DIV_X: u16 = 0x3c;
    pub const OR_K: u16 = 0x44;
    pub const OR_X: u16 = 0x4c;
    pub const AND_K: u16 = 0x54;
    pub const AND_X: u16 = 0x5c;
    pub const LSH_K: u16 = 0x64;
    pub const LSH_X: u16 = 0x6c;
    pub const RSH_K: u16 = 0x74;
    pub const RSH_X: u16 = 0x7c;
    pub const NEG: u16 = 0x84;
    pub const XOR_K: u16 = 0xa4;
    pub const XOR_X: u16 = 0xac;
    pub const JA: u16 = 0x05;
    pub const JEQ_K: u16 = 0x15;
    pub const JEQ_X: u16 = 0x1d;
    pub const JGT_K: u16 = 0x25;
    pub const JGT_X: u16 = 0x2d;
    pub const JGE_K: u16 = 0x35;
    pub const JGE_X: u16 = 0x3d;
    pub const JSET_K: u16 = 0x45;
    pub const JSET_X: u16 = 0x4d;
    pub const RET_K: u16 = 0x06;
    pub const RET_A: u16 = 0x16;
    pub const TAX: u16 = 0x07;
    pub const TXA: u16 = 0x87;
    /// Jumps by the answer to question number `k`. No operation of the kernel has a second byte.
    pub const ASK: u16 = 0x105;
}

/// Words of scratch memory (`BPF_MEMWORDS`).
pub const SCRATCH: usize = 16;
/// Most instructions of a program (`BPF_MAXINSNS`).
pub const MAX: usize = 4096;
/// Bytes of `struct seccomp_data`.
const DATA_LEN: u32 = 64;

/// Where instructions come from: a list, or the bytes of one.
pub trait Program {
    /// How many there are.
    fn count(&self) -> usize;
    /// Number `at`.
    fn insn(&self, at: usize) -> Option<Insn>;
}

impl Program for [Insn] {
    fn count(&self) -> usize {
        self.len()
    }

    fn insn(&self, at: usize) -> Option<Insn> {
        self.get(at).copied()
    }
}

impl Program for [[u8; 8]] {
    fn count(&self) -> usize {
        self.len()
    }

    fn insn(&self, at: usize) -> Option<Insn> {
        let [a, b, jt, jf, c, d, e, f] = *self.get(at)?;
        Some(Insn { code: u16::from_le_bytes([a, b]), jt, jf, k: u32::from_le_bytes([c, d, e, f]) })
    }
}

/// What a program looks at: `struct seccomp_data`, by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data([u32; 16]);

impl Data {
    /// What the kernel shows of a native call; `ip` is the address after the `SYSCALL`.
    #[must_use]
    pub const fn new(nr: u32, ip: u64, args: &[u64; 6]) -> Self {
        let [a, b, c, d, e, f] = *args;
        Self([
            nr,
            AUDIT_ARCH_X86_64,
            ip as u32,
            (ip >> 32) as u32,
            a as u32,
            (a >> 32) as u32,
            b as u32,
            (b >> 32) as u32,
            c as u32,
            (c >> 32) as u32,
            d as u32,
            (d >> 32) as u32,
            e as u32,
            (e >> 32) as u32,
            f as u32,
            (f >> 32) as u32,
        ])
    }

    /// The same, of another architecture.
    #[must_use]
    pub const fn with_arch(self, arch: u32) -> Self {
        let Self([nr, _, a, b, c, d, e, f, g, h, i, j, k, l, m, n]) = self;
        Self([nr, arch, a, b, c, d, e, f, g, h, i, j, k, l, m, n])
    }
}

/// Runs a program, and gives what it returns. `ask` answers the questions; if it has no answer, the run
/// ends with what it says instead.
///
/// # Errors
/// That of `ask`.
///
/// A program that [`check`] has not seen may run into what is no operation or no instruction. It ends
/// with `u32::MAX`, which is an action of the strictest kind.
pub fn run<E>(
    program: &(impl Program + ?Sized),
    data: &Data,
    ask: impl FnMut(u32) -> Result<bool, E>,
) -> Result<u32, E> {
    run_from(State::START, program, data, ask)
}

/// As [`run`], from there on.
///
/// # Errors
/// That of `ask`.
pub fn run_from<E>(
    mut state: State,
    program: &(impl Program + ?Sized),
    data: &Data,
    ask: impl FnMut(u32) -> Result<bool, E>,
) -> Result<u32, E> {
    Ok(state.run(program, data, |_| false, ask)?.unwrap_or(STOPPED))
}

/// What a program ends with that is none.
const STOPPED: u32 = u32::MAX;

/// A machine between two instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    at: usize,
    a: u32,
    x: u32,
    scratch: [u32; SCRATCH],
}

impl State {
    /// Before the first instruction.
    pub const START: Self = Self::before(0);

    /// Before instruction `at`, with zeros everywhere.
    #[must_use]
    pub const fn before(at: usize) -> Self {
        Self { at, a: 0, x: 0, scratch: [0; SCRATCH] }
    }

    /// Before instruction `at`, with `a` in `A`.
    #[must_use]
    pub const fn with(at: usize, a: u32) -> Self {
        Self { a, ..Self::before(at) }
    }

    /// Number of the instruction that is next.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Runs on, as [`run`]; but before the load of a word that `is_open` tells by its offset it stops, and
    /// gives `None`. Where a run stopped, or `ask` had no answer, the same instruction is next.
    ///
    /// # Errors
    /// That of `ask`.
    #[inline]
    pub fn run<E>(
        &mut self,
        program: &(impl Program + ?Sized),
        data: &Data,
        is_open: impl Fn(u32) -> bool,
        mut ask: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<Option<u32>, E> {
        let Data(words) = data;
        let Self { mut at, mut a, mut x, mut scratch } = *self;
        loop {
            let Some(Insn { code, jt, jf, k }) = program.insn(at) else { return Ok(Some(STOPPED)) };
            at = at.wrapping_add(1);
            let holds = match code {
                op::LD_W_ABS if is_open(k) => {
                    // What is in `A` is lost anyway.
                    *self = Self { at: at.wrapping_sub(1), a: 0, x, scratch };
                    return Ok(None);
                }
                op::LD_W_ABS => {
                    let Some(word) = words.get(k as usize / 4) else { return Ok(Some(STOPPED)) };
                    a = *word;
                    continue;
                }
                op::JEQ_K => a == k,
                op::JGE_K => a >= k,
                op::JGT_K => a > k,
                op::JSET_K => a & k != 0,
                op::JEQ_X => a == x,
                op::JGE_X => a >= x,
                op::JGT_X => a > x,
                op::JSET_X => a & x != 0,
                op::ASK => match ask(k) {
                    Ok(answer) => answer,
                    Err(error) => {
                        *self = Self { at: at.wrapping_sub(1), a, x, scratch };
                        return Err(error);
                    }
                },
                op::JA => {
                    at = at.wrapping_add(k as usize);
                    continue;
                }
                op::RET_K => return Ok(Some(k)),
                op::RET_A => return Ok(Some(a)),
                op::LD_MEM | op::LDX_MEM => {
                    let Some(word) = scratch.get(k as usize) else { return Ok(Some(STOPPED)) };
                    *(if code == op::LD_MEM { &mut a } else { &mut x }) = *word;
                    continue;
                }
                op::ST | op::STX => {
                    let Some(word) = scratch.get_mut(k as usize) else { return Ok(Some(STOPPED)) };
                    *word = if code == op::ST { a } else { x };
                    continue;
                }
                op::LDX_IMM => {
                    x = k;
                    continue;
                }
                op::LDX_W_LEN => {
                    x = DATA_LEN;
                    continue;
                }
                op::TAX => {
                    x = a;
                    continue;
                }
                op::DIV_K | op::DIV_X => {
                    let Some(quotient) = a.checked_div(if code == op::DIV_K { k } else { x })
                    else {
                        return Ok(Some(0));
                    };
                    a = quotient;
                    continue;
                }
                _ => {
                    a = match code {
                        op::LD_IMM => k,
                        op::LD_W_LEN => DATA_LEN,
                        op::TXA => x,
                        op::ADD_K => a.wrapping_add(k),
                        op::ADD_X => a.wrapping_add(x),
                        op::SUB_K => a.wrapping_sub(k),
                        op::SUB_X => a.wrapping_sub(x),
                        op::MUL_K => a.wrapping_mul(k),
                        op::MUL_X => a.wrapping_mul(x),
                        op::OR_K => a | k,
                        op::OR_X => a | x,
                        op::AND_K => a & k,
                        op::AND_X => a & x,
                        op::XOR_K => a ^ k,
                        op::XOR_X => a ^ x,
                        op::LSH_K => a.wrapping_shl(k),
                        op::LSH_X => a.wrapping_shl(x),
                        op::RSH_K => a.wrapping_shr(k),
                        op::RSH_X => a.wrapping_shr(x),
                        op::NEG => a.wrapping_neg(),
                        _ => return Ok(Some(STOPPED)),
                    };
                    continue;
                }
            };
            at = at.wrapping_add(usize::from(if holds { jt } else { jf }));
        }
    }
}

/// Runs a program that has no questions.
#[must_use]
pub fn run_filter(program: &(impl Program + ?Sized), data: &Data) -> u32 {
    match run(program, data, |_| Err(u32::MAX)) {
        Ok(action) | Err(action) => action,
    }
}

/// Why a program is none. All but the first two name the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has no instruction.
    Empty,
    /// It has more than [`MAX`].
    TooLong,
    /// The last instruction is not `RET`.
    NoEnd(usize),
    /// A jump past the last instruction.
    Jump(usize),
    /// No such operation, or none that may be here.
    Operation(usize),
    /// A load past the data, or of less than a word.
    Load(usize),
    /// A constant that no operation of that kind can have: a division by 0, a shift by 32.
    Operand(usize),
    /// Scratch memory that is not there, or is read before it was written.
    Scratch(usize),
    /// A question that nobody has put down.
    Question(usize),
}

/// Whether the kernel would take the program as a filter. With `questions`, [`op::ASK`] is an operation
/// too, if its constant is below.
///
/// # Errors
/// The first fault.
pub fn check(program: &(impl Program + ?Sized), questions: u32) -> Result<(), Fault> {
    check_shape(program, questions)?;
    check_scratch(program)
}

/// The part of [`check`] without which a run could stop in the middle. A word of scratch memory that was
/// not written is 0 here.
///
/// # Errors
/// The first fault.
pub fn check_shape(program: &(impl Program + ?Sized), questions: u32) -> Result<(), Fault> {
    let count = program.count();
    if count == 0 {
        return Err(Fault::Empty);
    }
    if count > MAX {
        return Err(Fault::TooLong);
    }
    let last = count.wrapping_sub(1);
    for at in 0..count {
        let Some(Insn { code, jt, jf, k }) = program.insn(at) else {
            return Err(Fault::Operation(at));
        };
        // Instructions that follow this one.
        let left = last.wrapping_sub(at);
        match code {
            op::LD_W_ABS if k >= DATA_LEN || k & 3 != 0 => return Err(Fault::Load(at)),
            op::LD_MEM | op::LDX_MEM | op::ST | op::STX if k as usize >= SCRATCH => {
                return Err(Fault::Scratch(at));
            }
            op::DIV_K if k == 0 => return Err(Fault::Operand(at)),
            op::LSH_K | op::RSH_K if k >= 32 => return Err(Fault::Operand(at)),
            op::JA if k as usize >= left => return Err(Fault::Jump(at)),
            op::ASK if k >= questions => return Err(Fault::Question(at)),
            _ if is_branch(code) && (usize::from(jt) >= left || usize::from(jf) >= left) => {
                return Err(Fault::Jump(at));
            }
            _ if !is_branch(code) && !is_known(code) => return Err(Fault::Operation(at)),
            _ => {}
        }
    }
    match program.insn(last) {
        Some(Insn { code: op::RET_K | op::RET_A, .. }) => Ok(()),
        _ => Err(Fault::NoEnd(last)),
    }
}

/// Whether `jt` and `jf` count.
const fn is_branch(code: u16) -> bool {
    matches!(
        code,
        op::JEQ_K
            | op::JEQ_X
            | op::JGT_K
            | op::JGT_X
            | op::JGE_K
            | op::JGE_X
            | op::JSET_K
            | op::JSET_X
            | op::ASK
    )
}

const fn is_known(code: u16) -> bool {
    matches!(
        code,
        op::LD_IMM
            | op::LD_W_ABS
            | op::LD_MEM
            | op::LD_W_LEN
            | op::LDX_IMM
            | op::LDX_MEM
            | op::LDX_W_LEN
            | op::ST
            | op::STX
            | op::ADD_K
            | op::ADD_X
            | op::SUB_K
            | op::SUB_X
            | op::MUL_K
            | op::MUL_X
            | op::DIV_K
            | op::DIV_X
            | op::OR_K
            | op::OR_X
            | op::AND_K
            | op::AND_X
            | op::LSH_K
            | op::LSH_X
            | op::RSH_K
            | op::RSH_X
            | op::NEG
            | op::XOR_K
            | op::XOR_X
            | op::JA
            | op::RET_K
            | op::RET_A
            | op::TAX
            | op::TXA
    )
}

/// As the kernel's `check_load_and_stores`, word for word: of every way to an instruction, only what all
/// of them have written may be read. What follows a `RET` counts as reached from it.
fn check_scratch(program: &(impl Program + ?Sized)) -> Result<(), Fault> {
    let mut written_at = [u16::MAX; MAX];
    let mut written = 0u16;
    let mut at = 0usize;
    while let Some(Insn { code, jt, jf, k }) = program.insn(at) {
        let next = at.wrapping_add(1);
        let bit = 1u16.checked_shl(k).unwrap_or(0);
        written &= written_at.get(at).copied().unwrap_or(0);
        let targets = match code {
            op::ST | op::STX => {
                written |= bit;
                [None, None]
            }
            op::LD_MEM | op::LDX_MEM if written & bit == 0 => return Err(Fault::Scratch(at)),
            op::JA => [Some(k as usize), None],
            _ if is_branch(code) => [Some(usize::from(jt)), Some(usize::from(jf))],
            _ => [None, None],
        };
        for target in targets.into_iter().flatten() {
            if let Some(mask) = written_at.get_mut(next.wrapping_add(target)) {
                *mask &= written;
            }
        }
        if targets != [None, None] {
            written = u16::MAX;
        }
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Data, Fault, check, check_shape, op, run, run_filter};
    use crate::bpf::{AUDIT_ARCH_X86_64, Insn};
    use std::vec;
    use std::vec::Vec;

    fn insn(code: u16, k: u32) -> Insn {
        Insn { code, jt: 0, jf: 0, k }
    }

    const DATA: Data = Data::new(7, 0x1_0000_0002, &[3, 4, 5, 6, 7, 0x9_0000_0008]);

    /// What is in `A` after these.
    fn computed(insns: &[(u16, u32)]) -> u32 {
        let mut program: Vec<Insn> = insns.iter().map(|(code, k)| insn(*code, *k)).collect();
        program.push(insn(op::RET_A, 0));
        assert_eq!(check_shape(&program[..], 0), Ok(()));
        run_filter(&program[..], &DATA)
    }

    #[test]
    fn words_lie_as_the_kernel_shows_them() {
        let word = |offset| computed(&[(op::LD_W_ABS, offset)]);
        assert_eq!([0, 4, 8, 12].map(word), [7, AUDIT_ARCH_X86_64, 2, 1]);
        assert_eq!([16, 20, 24, 56, 60].map(word), [3, 0, 4, 8, 9]);
        assert_eq!(
            run_filter(&[insn(op::LD_W_ABS, 4), insn(op::RET_A, 0)][..], &DATA.with_arch(3)),
            3
        );
    }

    #[test]
    fn arithmetic_wraps_and_shifts_by_five_bits() {
        let of = |a, code, k| computed(&[(op::LD_IMM, a), (code, k)]);
        let with_x = |a, code, x| computed(&[(op::LD_IMM, a), (op::LDX_IMM, x), (code, 99)]);
        assert_eq!(of(u32::MAX, op::ADD_K, 2), 1);
        assert_eq!(of(1, op::SUB_K, 2), u32::MAX);
        assert_eq!(with_x(1 << 31, op::MUL_X, 2), 0);
        assert_eq!(of(7, op::DIV_K, 2), 3);
        assert_eq!(with_x(7, op::DIV_X, 0), 0);
        assert_eq!(with_x(6, op::XOR_X, 3), 5);
        assert_eq!(with_x(1, op::LSH_X, 33), 2);
        assert_eq!(with_x(4, op::RSH_X, 33), 2);
        assert_eq!(of(1, op::NEG, 0), u32::MAX);
        assert_eq!(computed(&[(op::LD_W_LEN, 0), (op::TAX, 0), (op::ADD_X, 0)]), 128);
    }

    #[test]
    fn scratch_memory_keeps_words() {
        let program =
            [(op::LD_IMM, 5), (op::ST, 15), (op::LDX_MEM, 15), (op::STX, 0), (op::LD_MEM, 0)];
        assert_eq!(computed(&program), 5);
        assert_eq!(computed(&[(op::LDX_IMM, 9), (op::TXA, 0)]), 9);
    }

    #[test]
    fn division_by_zero_ends_the_program() {
        let program = [insn(op::LD_IMM, 1), insn(op::DIV_X, 0), insn(op::RET_K, 0x7fff_0000)];
        assert_eq!(run_filter(&program[..], &DATA), 0);
    }

    #[test]
    fn questions_are_asked_and_may_have_no_answer() {
        let program =
            [Insn { code: op::ASK, jt: 0, jf: 1, k: 1 }, insn(op::RET_K, 10), insn(op::RET_K, 11)];
        assert_eq!(check(&program[..], 2), Ok(()));
        assert_eq!(check(&program[..], 1), Err(Fault::Question(0)));
        let answer = |answer: Result<bool, u16>| {
            run(&program[..], &DATA, |question| {
                assert_eq!(question, 1);
                answer
            })
        };
        assert_eq!(answer(Ok(true)), Ok(10));
        assert_eq!(answer(Ok(false)), Ok(11));
        assert_eq!(answer(Err(14)), Err(14));
    }

    #[test]
    fn what_is_no_program_is_named() {
        let refused = |program: &[Insn]| check(program, 0).unwrap_err();
        let end = insn(op::RET_K, 0);
        assert_eq!(refused(&[]), Fault::Empty);
        assert_eq!(refused(&vec![end; 4097]), Fault::TooLong);
        assert_eq!(refused(&[insn(op::LD_IMM, 0)]), Fault::NoEnd(0));
        assert_eq!(refused(&[insn(op::JA, 1), end]), Fault::Jump(0));
        assert_eq!(refused(&[insn(op::JA, u32::MAX), end]), Fault::Jump(0));
        assert_eq!(refused(&[Insn { jf: 1, ..insn(op::JEQ_K, 0) }, end]), Fault::Jump(0));
        assert_eq!(refused(&[insn(op::LD_W_ABS, 2), end]), Fault::Load(0));
        assert_eq!(refused(&[insn(op::LD_W_ABS, 64), end]), Fault::Load(0));
        assert_eq!(refused(&[insn(op::DIV_K, 0), end]), Fault::Operand(0));
        assert_eq!(refused(&[insn(op::LSH_K, 32), end]), Fault::Operand(0));
        assert_eq!(refused(&[insn(op::ST, 16), end]), Fault::Scratch(0));
        assert_eq!(refused(&[insn(op::LD_MEM, 0), end]), Fault::Scratch(0));
        // A remainder, and a load of a byte: operations of others.
        assert_eq!(refused(&[insn(0x94, 1), end]), Fault::Operation(0));
        assert_eq!(refused(&[insn(0x30, 0), end]), Fault::Operation(0));
        // Written on one of two ways only.
        let branch = Insn { code: op::JEQ_K, jt: 1, jf: 0, k: 0 };
        assert_eq!(
            refused(&[branch, insn(op::ST, 3), insn(op::LD_MEM, 3), end]),
            Fault::Scratch(2)
        );
    }

    #[test]
    fn unchecked_programs_stop_with_the_strictest_action() {
        for program in [
            &[][..],
            &[insn(op::JA, 9)],
            &[insn(op::LD_W_ABS, 64)],
            &[insn(op::ST, 16)],
            &[insn(0x94, 1)],
            &[insn(op::ASK, 0)],
        ] {
            assert_eq!(run_filter(program, &DATA), u32::MAX);
        }
    }
}
