//! The backstop filter: which instruction addresses may issue system calls.
//!
//! A filter is a value (a list of classic BPF instructions) so that it can be run by a test as well
//! as by the kernel. Every program begins with the architecture: `int 0x80` and `sysenter` carry
//! other numbers, and so do the x32 calls that the second test refuses. Both get ENOSYS, as on a
//! kernel built without them.
//!
//! `seccomp_data.instruction_pointer` is the address *after* the `SYSCALL`.

/// One classic BPF instruction, `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Insn {
    /// Operation.
    pub code: u16,
    /// Instructions to skip if the test holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

const LD_W_ABS: u16 = 0x20;
const JEQ: u16 = 0x15;
const JGE: u16 = 0x35;
const RET: u16 = 0x06;

/// Offset of `seccomp_data.nr`.
const NR: u32 = 0;
/// Offset of `seccomp_data.arch`.
const ARCH: u32 = 4;
/// Offset of the low half of `seccomp_data.instruction_pointer`.
const IP_LOW: u32 = 8;
/// Offset of its high half.
const IP_HIGH: u32 = 12;

/// `AUDIT_ARCH_X86_64`.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// Set in every x32 number.
pub const X32_BIT: u32 = 0x4000_0000;

/// `SECCOMP_RET_ALLOW`.
pub const RET_ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_TRAP`.
pub const RET_TRAP: u32 = 0x0003_0000;
/// `SECCOMP_RET_ERRNO` with ENOSYS.
pub const RET_ENOSYS: u32 = 0x0005_0000 | 38;

/// A filter of at most [`Filter::MAX`] instructions.
#[derive(Clone, Debug)]
pub struct Filter {
    insns: [Insn; Self::MAX],
    len: usize,
}

impl Filter {
    /// Room for the filters built here.
    pub const MAX: usize = 96;

    const fn new() -> Self {
        Self { insns: [Insn { code: 0, jt: 0, jf: 0, k: 0 }; Self::MAX], len: 0 }
    }

    /// The program.
    #[must_use]
    pub fn insns(&self) -> &[Insn] {
        self.insns.get(..self.len).unwrap_or(&[])
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        if let Some(slot) = self.insns.get_mut(self.len) {
            *slot = Insn { code, jt, jf, k };
            self.len += 1;
        }
    }

    fn prologue(&mut self) {
        self.push(LD_W_ABS, ARCH, 0, 0);
        self.push(JEQ, AUDIT_ARCH_X86_64, 1, 0);
        self.push(RET, RET_ENOSYS, 0, 0);
        self.push(LD_W_ABS, NR, 0, 0);
        self.push(JGE, X32_BIT, 0, 1);
        self.push(RET, RET_ENOSYS, 0, 0);
    }

    /// Allows exactly `addrs` (each the address after a `SYSCALL`, all in one 4 GiB window).
    fn addresses(&mut self, addrs: [u64; 3]) {
        let [a, b, c] = addrs;
        self.push(LD_W_ABS, IP_HIGH, 0, 0);
        self.push(JEQ, (a >> 32) as u32, 0, 4);
        self.push(LD_W_ABS, IP_LOW, 0, 0);
        self.push(JEQ, a as u32, 3, 0);
        self.push(JEQ, b as u32, 2, 0);
        self.push(JEQ, c as u32, 1, 0);
        self.push(RET, RET_TRAP, 0, 0);
        self.push(RET, RET_ALLOW, 0, 0);
    }

    /// `strict`: every call comes from one of `addrs`; the rest traps.
    #[must_use]
    pub fn strict(addrs: [u64; 3]) -> Self {
        let mut filter = Self::new();
        filter.prologue();
        filter.addresses(addrs);
        filter
    }

    /// `inspected`: only the calls in `numbers` (sorted) are tied to `addrs`. The rest is allowed
    /// without a look at the address, so that the kernel's per-number cache answers for it.
    ///
    /// Laid out as a row of groups, each headed by one `JGE` that skips it, so that the cost of a
    /// call that the cache does not hold is the number of groups and not of calls.
    #[must_use]
    pub fn inspected(numbers: &[(u32, &str)], addrs: [u64; 3]) -> Self {
        const GROUP: usize = 5;
        let mut filter = Self::new();
        filter.prologue();
        let groups = numbers.chunks(GROUP);
        let mut left: usize = groups.clone().map(|group| group.len() + 1).sum();
        for group in groups {
            // `left` counts the instructions from here to the `RET ALLOW` that follows the groups.
            let skip = group.len() as u8;
            let above = group.last().map_or(0, |row| row.0 + 1);
            filter.push(JGE, above, skip, 0);
            left -= 1;
            for row in group {
                left -= 1;
                // Past the rest of the groups and the `RET ALLOW`, to the address test.
                filter.push(JEQ, row.0, (left + 1) as u8, 0);
            }
        }
        filter.push(RET, RET_ALLOW, 0, 0);
        filter.addresses(addrs);
        filter
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{AUDIT_ARCH_X86_64, Filter, Insn, RET_ALLOW, RET_ENOSYS, RET_TRAP};
    use crate::nr;

    /// What the kernel does with a filter of the four operations used here.
    fn run(filter: &Filter, nr: u32, arch: u32, ip: u64) -> u32 {
        let (mut pc, mut acc) = (0, 0);
        loop {
            let Insn { code, jt, jf, k } = filter.insns()[pc];
            pc += 1;
            match code {
                0x20 => acc = [nr, arch, ip as u32, (ip >> 32) as u32][k as usize / 4],
                0x15 => pc += usize::from(if acc == k { jt } else { jf }),
                0x35 => pc += usize::from(if acc >= k { jt } else { jf }),
                0x06 => return k,
                _ => panic!("operation {code:#x}"),
            }
        }
    }

    const ADDRS: [u64; 3] = [0x7e90_0000_0012, 0x7e90_0000_0040, 0x7e90_0000_0052];

    #[test]
    fn strict_allows_three_addresses_and_nothing_beside_them() {
        let filter = Filter::strict(ADDRS);
        for addr in ADDRS {
            for nr in [0, 39, 511, 0x3fff_ffff] {
                assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, addr), RET_ALLOW);
                for wrong in [addr - 1, addr + 1, addr ^ 1 << 32, addr & 0xffff_ffff] {
                    assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, wrong), RET_TRAP);
                }
                assert_eq!(run(&filter, nr, 0x4000_0003, addr), RET_ENOSYS);
            }
            assert_eq!(run(&filter, 0x4000_0000, AUDIT_ARCH_X86_64, addr), RET_ENOSYS);
            assert_eq!(run(&filter, u32::MAX, AUDIT_ARCH_X86_64, addr), RET_ENOSYS);
        }
    }

    #[test]
    fn inspected_ties_just_the_listed_calls_to_the_gate() {
        let filter = Filter::inspected(nr::INSPECTED, ADDRS);
        for nr in 0..1000 {
            let outside = if nr::is_inspected(nr) { RET_TRAP } else { RET_ALLOW };
            assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, 0x40_0000), outside, "call {nr}");
            assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, ADDRS[1]), RET_ALLOW, "call {nr}");
            assert_eq!(run(&filter, nr | 0x4000_0000, AUDIT_ARCH_X86_64, ADDRS[1]), RET_ENOSYS);
        }
    }

    #[test]
    fn negative_numbers_are_enosys_as_natively() {
        assert_eq!(run(&Filter::strict(ADDRS), -1i32 as u32, AUDIT_ARCH_X86_64, 1), RET_ENOSYS);
    }
}
