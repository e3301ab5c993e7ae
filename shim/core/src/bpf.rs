//! The backstop filter: which instruction addresses may issue system calls.
//!
//! A filter is a value (a list of classic BPF instructions) so that it can be run by a test as well
//! as by the kernel. Every program begins with the architecture: `int 0x80` and `sysenter` carry
//! other numbers, and so do the x32 calls that the second test refuses. Both get ENOSYS, as on a
//! kernel built without them.
//!
//! `seccomp_data.instruction_pointer` is the address *after* the `SYSCALL`.

use crate::cbpf::op;
use crate::handover::{CONFIG_FD, LOADER_FD, WINDOW_AT};
use crate::layout::{EMPTY_PATH, GATE, PINNED_LEN, TABLE, WINDOW_END};
use crate::nr;

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

/// Offset of `seccomp_data.nr`.
pub const NR: u32 = 0;
/// Offset of `seccomp_data.arch`.
pub const ARCH: u32 = 4;
/// Offset of the low half of `seccomp_data.instruction_pointer`.
pub const IP_LOW: u32 = 8;
/// Offset of its high half.
pub const IP_HIGH: u32 = 12;

/// `AUDIT_ARCH_X86_64`.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// Set in every x32 number.
pub const X32_BIT: u32 = 0x4000_0000;

/// No call at all: the kernel answers ENOSYS, or what a tracer that has put the number there says.
pub const SKIPPED: u32 = u32::MAX;

/// `SECCOMP_RET_ALLOW`.
pub const RET_ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_TRAP`.
pub const RET_TRAP: u32 = 0x0003_0000;
/// `SECCOMP_RET_ERRNO`, without the errno.
pub const RET_ERRNO: u32 = 0x0005_0000;
/// `SECCOMP_RET_ERRNO` with ENOSYS.
pub const RET_ENOSYS: u32 = RET_ERRNO | 38;
/// `SECCOMP_RET_ERRNO` with EPERM.
pub const RET_EPERM: u32 = RET_ERRNO | 1;
/// `SECCOMP_RET_ERRNO` with EBADF.
pub const RET_EBADF: u32 = RET_ERRNO | 9;
/// `SECCOMP_RET_TRACE`.
pub const RET_TRACE: u32 = 0x7ff0_0000;
/// `SECCOMP_RET_LOG`.
pub const RET_LOG: u32 = 0x7ffc_0000;
/// `SECCOMP_RET_USER_NOTIF`.
pub const RET_USER_NOTIF: u32 = 0x7fc0_0000;
/// `SECCOMP_RET_KILL_PROCESS`.
pub const RET_KILL_PROCESS: u32 = 0x8000_0000;
/// `SECCOMP_RET_KILL_THREAD`.
pub const RET_KILL_THREAD: u32 = 0;

/// Offset of the low half of argument `n`; its high half follows.
#[must_use]
pub const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

/// A call, and the instructions that it must pass even from the gate; `RET_ALLOW` in them means that
/// they have nothing against it.
pub type Guard = (u32, &'static [Insn]);

/// What even the gate may not do. Sorted by number.
///
/// - Execute anything but the loader, in the one form whose path is a constant at a sealed address. (Asking
///   whether a file could be executed is free.)
/// - Take the loader's descriptors away, or find them by trying all numbers.
/// - Touch the window. Where it is sealed (mseal(2), Linux 6.10) the kernel refuses that itself, and as
///   these do, with EPERM. The loader may put the same gate in its place once more, and protect the table.
pub const GUARDS: &[Guard] = &[
    (nr::CLOSE, &spares_fd(0)),
    (nr::FSTAT, &spares_fd(0)),
    (nr::MMAP, &MAP_SPARES_WINDOW),
    (nr::MPROTECT, &PROTECT_SPARES_WINDOW),
    (nr::MUNMAP, &PAGES_SPARE_WINDOW),
    (nr::IOCTL, &spares_fd(0)),
    (nr::MREMAP, &MOVE_SPARES_WINDOW),
    (nr::MADVISE, &PAGES_SPARE_WINDOW),
    (nr::SHMAT, &ATTACH_SPARES_WINDOW),
    (nr::DUP2, &spares_fd(1)),
    (nr::EXECVE, &[ret(RET_EPERM)]),
    (nr::FCNTL, &spares_fd(0)),
    (nr::REMAP_FILE_PAGES, &spares_window(0, 1)),
    (nr::NEWFSTATAT, &spares_fd(0)),
    (nr::DUP3, &spares_fd(1)),
    (nr::EXECVEAT, &IS_PINNED),
    (nr::PKEY_MPROTECT, &PAGES_SPARE_WINDOW),
    (nr::CLOSE_RANGE, &SPARES_RANGE),
];

pub(crate) const fn insn(code: u16, k: u32, jt: u8, jf: u8) -> Insn {
    Insn { code, jt, jf, k }
}

pub(crate) const fn load(offset: u32) -> Insn {
    insn(op::LD_W_ABS, offset, 0, 0)
}

pub(crate) const fn ret(action: u32) -> Insn {
    insn(op::RET_K, action, 0, 0)
}

/// The lower of the loader's descriptors.
const FIRST_FD: u32 = CONFIG_FD as u32;
/// The higher.
const LAST_FD: u32 = LOADER_FD as u32;

const fn spares_fd(n: u32) -> [Insn; 5] {
    [
        load(argument(n)),
        insn(op::JGE_K, FIRST_FD, 0, 2),
        insn(op::JGT_K, LAST_FD, 1, 0),
        ret(RET_EBADF),
        ret(RET_ALLOW),
    ]
}

const SPARES_RANGE: [Insn; 6] = [
    load(argument(0)),
    insn(op::JGT_K, LAST_FD, 3, 0),
    load(argument(1)),
    insn(op::JGE_K, FIRST_FD, 0, 1),
    ret(RET_EPERM),
    ret(RET_ALLOW),
];

const IS_PINNED: [Insn; 11] = [
    load(argument(4)),
    insn(op::JSET_K, AT_EXECVE_CHECK, 7, 0),
    insn(op::JEQ_K, AT_EMPTY_PATH, 0, 7),
    load(argument(0)),
    insn(op::JEQ_K, LAST_FD, 0, 5),
    load(argument(1)),
    insn(op::JEQ_K, EMPTY_PATH as u32, 0, 3),
    load(argument(1) + 4),
    insn(op::JEQ_K, (EMPTY_PATH >> 32) as u32, 0, 1),
    ret(RET_ALLOW),
    ret(RET_EPERM),
];

/// Instructions of [`spares_window`].
const SPARES_WINDOW: usize = 24;

/// The bytes from argument `addr` on, as many as argument `len` says, are none of the window's.
///
/// From below, they are if they are no more than those up to the window: `GATE - addr`, whose low half is
/// `-addr`, for that of `GATE` is 0.
const fn spares_window(addr: u32, len: u32) -> [Insn; SPARES_WINDOW] {
    const {
        assert!(GATE as u32 == 0 && GATE >> 32 == WINDOW_END >> 32);
    }
    let (high, end) = ((GATE >> 32) as u32, WINDOW_END as u32);
    let (addr, addr_high) = (argument(addr), argument(addr) + 4);
    [
        load(addr_high),
        insn(op::JGT_K, high, 21, 0),
        insn(op::JEQ_K, high, 0, 2),
        load(addr),
        insn(op::JGE_K, end, 18, 17),
        // Below. The high half of what is up to the window, to X.
        insn(op::TAX, 0, 0, 0),
        insn(op::LD_IMM, high, 0, 0),
        insn(op::SUB_X, 0, 0, 0),
        insn(op::TAX, 0, 0, 0),
        load(addr),
        insn(op::JEQ_K, 0, 3, 0),
        insn(op::TXA, 0, 0, 0),
        insn(op::SUB_K, 1, 0, 0),
        insn(op::TAX, 0, 0, 0),
        load(argument(len) + 4),
        insn(op::JGT_X, 0, 6, 0),
        insn(op::JEQ_X, 0, 0, 6),
        load(addr),
        insn(op::NEG, 0, 0, 0),
        insn(op::TAX, 0, 0, 0),
        load(argument(len)),
        insn(op::JGT_X, 0, 0, 1),
        ret(RET_EPERM),
        ret(RET_ALLOW),
    ]
}

/// Instructions of [`pages_spare_window`].
const PAGES: usize = 3 + SPARES_WINDOW;

/// The same of calls that the kernel refuses if `addr` is not that of a page, with an error of its own.
const fn pages_spare_window(addr: u32, len: u32) -> [Insn; PAGES] {
    chain(
        [load(argument(addr)), insn(op::JSET_K, 0xfff, 0, 1), ret(RET_ALLOW)],
        spares_window(addr, len),
    )
}

const PAGES_SPARE_WINDOW: [Insn; PAGES] = pages_spare_window(0, 1);

/// `first`, and behind it `rest`.
const fn chain<const A: usize, const B: usize, const N: usize>(
    first: [Insn; A],
    rest: [Insn; B],
) -> [Insn; N] {
    assert!(A + B == N);
    let mut all = [ret(RET_ALLOW); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < A { first[at] } else { rest[at - A] };
        at += 1;
    }
    all
}

const MAP_SHARED: u32 = 1;
const MAP_FIXED: u32 = 0x10;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
const PROT_READ: u32 = 1;
const PROT_EXEC: u32 = 4;
const MREMAP_FIXED: u32 = 2;
const SHM_REMAP: u32 = 0x4000;

/// A mapping that replaces what is there spares the window, or is the gate's own: all its arguments are
/// known.
const MAP_SPARES_WINDOW: [Insn; 22 + PAGES] = chain(
    [
        load(argument(3)),
        insn(op::JSET_K, MAP_FIXED, 0, 1),
        insn(op::JSET_K, MAP_FIXED_NOREPLACE, 0, 1),
        ret(RET_ALLOW),
        insn(op::JEQ_K, MAP_SHARED | MAP_FIXED, 0, 17),
        load(argument(4)),
        insn(op::JEQ_K, FIRST_FD, 0, 15),
        load(argument(0)),
        insn(op::JEQ_K, GATE as u32, 0, 13),
        load(argument(0) + 4),
        insn(op::JEQ_K, (GATE >> 32) as u32, 0, 11),
        load(argument(1)),
        insn(op::JEQ_K, PINNED_LEN as u32, 0, 9),
        load(argument(1) + 4),
        insn(op::JEQ_K, 0, 0, 7),
        load(argument(2)),
        insn(op::JEQ_K, PROT_READ | PROT_EXEC, 0, 5),
        load(argument(5)),
        insn(op::JEQ_K, WINDOW_AT as u32, 0, 3),
        load(argument(5) + 4),
        insn(op::JEQ_K, 0, 0, 1),
        ret(RET_ALLOW),
    ],
    PAGES_SPARE_WINDOW,
);

const PROTECT_SPARES_WINDOW: [Insn; 7 + PAGES] = chain(
    [
        load(argument(2)),
        insn(op::JEQ_K, PROT_READ, 0, 5),
        load(argument(0)),
        insn(op::JEQ_K, TABLE as u32, 0, 3),
        load(argument(0) + 4),
        insn(op::JEQ_K, (TABLE >> 32) as u32, 0, 1),
        ret(RET_ALLOW),
    ],
    PAGES_SPARE_WINDOW,
);

/// Neither what is moved nor where it is moved to.
const MOVE_SPARES_WINDOW: [Insn; 3 + 2 * PAGES] = chain(
    replace_allow(PAGES_SPARE_WINDOW),
    chain::<3, PAGES, { 3 + PAGES }>(
        [load(argument(3)), insn(op::JSET_K, MREMAP_FIXED, 1, 0), ret(RET_ALLOW)],
        pages_spare_window(4, 2),
    ),
);

/// The same, going on where it would allow.
const fn replace_allow(mut insns: [Insn; PAGES]) -> [Insn; PAGES] {
    insns[PAGES - 1] = insn(op::JA, 0, 0, 0);
    insns
}

/// How long a segment is, only the kernel knows: over what is there, it spares all of 16 TiB up to the
/// window.
const ATTACH_SPARES_WINDOW: [Insn; 7] = [
    load(argument(2)),
    insn(op::JSET_K, SHM_REMAP, 0, 4),
    load(argument(1) + 4),
    insn(op::JGT_K, (GATE >> 32) as u32, 2, 0),
    insn(op::JGE_K, (GATE >> 32) as u32 - 0x1000, 0, 1),
    ret(RET_EPERM),
    ret(RET_ALLOW),
];

const AT_EMPTY_PATH: u32 = 0x1000;
const AT_EXECVE_CHECK: u32 = 0x10000;

/// The instructions that [`GUARDS`] has for call `nr`.
#[must_use]
pub fn guard(nr: u32) -> Option<&'static [Insn]> {
    let found = GUARDS.binary_search_by_key(&nr, |row| row.0).ok()?;
    GUARDS.get(found).map(|row| row.1)
}

/// A filter of at most [`Filter::MAX`] instructions.
#[derive(Clone, Debug)]
pub struct Filter {
    insns: [Insn; Self::MAX],
    len: usize,
}

impl Filter {
    /// Room for the filters built here.
    pub const MAX: usize = 450;

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
        self.push(op::LD_W_ABS, ARCH, 0, 0);
        self.push(op::JEQ_K, AUDIT_ARCH_X86_64, 1, 0);
        self.push(op::RET_K, RET_ENOSYS, 0, 0);
        self.push(op::LD_W_ABS, NR, 0, 0);
        self.push(op::JEQ_K, SKIPPED, 0, 1);
        self.push(op::RET_K, RET_ALLOW, 0, 0);
        self.push(op::JGE_K, X32_BIT, 0, 1);
        self.push(op::RET_K, RET_ENOSYS, 0, 0);
    }

    /// Instructions of [`Filter::addresses`].
    const ADDRESSES_LEN: u32 = 7;

    /// Traps all but `addrs` (each the address after a `SYSCALL`, all in one 4 GiB window).
    fn addresses(&mut self, addrs: [u64; 3]) {
        let [a, b, c] = addrs;
        self.push(op::LD_W_ABS, IP_HIGH, 0, 0);
        self.push(op::JEQ_K, (a >> 32) as u32, 0, 4);
        self.push(op::LD_W_ABS, IP_LOW, 0, 0);
        self.push(op::JEQ_K, a as u32, 3, 0);
        self.push(op::JEQ_K, b as u32, 2, 0);
        self.push(op::JEQ_K, c as u32, 1, 0);
        self.push(op::RET_K, RET_TRAP, 0, 0);
    }

    /// [`GUARDS`], found by binary search.
    fn guards(&mut self) {
        self.push(op::LD_W_ABS, NR, 0, 0);
        self.search(GUARDS);
    }

    /// So many are not searched, but tried one after the other, if they are less.
    const FEW: usize = 3;

    fn search(&mut self, guards: &[Guard]) {
        let (low, high) = guards.split_at(guards.len() / 2);
        if let (Self::FEW.., Some(last)) = (guards.len(), low.last()) {
            self.push(op::JGT_K, last.0, 0, 1);
            self.push(op::JA, Self::search_len(low), 0, 0);
            self.search(low);
            return self.search(high);
        }
        for (number, block) in guards {
            self.push(op::JEQ_K, *number, 0, block.len() as u8);
            for Insn { code, jt, jf, k } in *block {
                self.push(*code, *k, *jt, *jf);
            }
        }
        self.push(op::RET_K, RET_ALLOW, 0, 0);
    }
    /// Instructions of [`Filter::search`].
    fn search_len(guards: &[Guard]) -> u32 {
        let (low, high) = guards.split_at(guards.len() / 2);
        if guards.len() >= Self::FEW {
            return 2 + Self::search_len(low) + Self::search_len(high);
        }
        guards.iter().fold(1, |sum, row| sum + 1 + row.1.len() as u32)
    }

    /// What stands before a filter of the program: the calls that the shim makes for itself, from
    /// `addrs`, are not that filter's business. The rest is, with the accumulator as it starts.
    #[must_use]
    pub fn exempt(numbers: &[u32], addrs: [u64; 2]) -> Self {
        let [a, b] = addrs;
        let len = numbers.len() as u8;
        let mut filter = Self::new();
        filter.push(op::LD_W_ABS, ARCH, 0, 0);
        filter.push(op::JEQ_K, AUDIT_ARCH_X86_64, 0, len + 7);
        filter.push(op::LD_W_ABS, IP_HIGH, 0, 0);
        filter.push(op::JEQ_K, (a >> 32) as u32, 0, len + 5);
        filter.push(op::LD_W_ABS, IP_LOW, 0, 0);
        filter.push(op::JEQ_K, a as u32, 1, 0);
        filter.push(op::JEQ_K, b as u32, 0, len + 2);
        filter.push(op::LD_W_ABS, NR, 0, 0);
        for (number, left) in numbers.iter().zip((0..len).rev()) {
            // The last one falls through to the end if it is not the number.
            filter.push(op::JEQ_K, *number, left, u8::from(left == 0));
        }
        filter.push(op::RET_K, RET_ALLOW, 0, 0);
        filter.push(op::LD_IMM, 0, 0, 0);
        filter
    }

    /// `strict`: every call comes from one of `addrs`; the rest traps.
    #[must_use]
    pub fn strict(addrs: [u64; 3]) -> Self {
        let mut filter = Self::new();
        filter.prologue();
        filter.addresses(addrs);
        filter.guards();
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
            // `left` counts the instructions from here to the jump that follows the groups.
            let skip = group.len() as u8;
            let above = group.last().map_or(0, |row| row.0 + 1);
            filter.push(op::JGE_K, above, skip, 0);
            left -= 1;
            for row in group {
                left -= 1;
                // Past the rest of the groups and the jump, to the address test.
                filter.push(op::JEQ_K, row.0, (left + 1) as u8, 0);
            }
        }
        filter.push(op::JA, Self::ADDRESSES_LEN, 0, 0);
        filter.addresses(addrs);
        filter.guards();
        filter
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{AUDIT_ARCH_X86_64, Filter, RET_ALLOW, RET_EBADF, RET_ENOSYS, RET_EPERM, RET_TRAP};
    use crate::cbpf::{Data, check, run_filter};
    use crate::handover::{CONFIG_FD, LOADER_FD, WINDOW_AT};
    use crate::layout::{EMPTY_PATH, GATE, PINNED_LEN, TABLE, WINDOW_END};
    use crate::nr;

    fn run(filter: &Filter, nr: u32, arch: u32, ip: u64) -> u32 {
        run_with(filter, nr, arch, ip, [5; 6])
    }

    /// What the kernel does with a filter.
    fn run_with(filter: &Filter, nr: u32, arch: u32, ip: u64, args: [u64; 6]) -> u32 {
        run_filter(filter.insns(), &Data::new(nr, ip, &args).with_arch(arch))
    }

    const ADDRS: [u64; 3] = [0x7e90_0000_0012, 0x7e90_0000_0040, 0x7e90_0000_0052];

    #[test]
    fn strict_allows_three_addresses_and_nothing_beside_them() {
        let filter = Filter::strict(ADDRS);
        for addr in ADDRS {
            for nr in [0, 3, 39, 72, 73, 292, 436, 511, 0x3fff_ffff] {
                assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, addr), RET_ALLOW);
                for wrong in [addr - 1, addr + 1, addr ^ 1 << 32, addr & 0xffff_ffff] {
                    assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, wrong), RET_TRAP);
                }
                assert_eq!(run(&filter, nr, 0x4000_0003, addr), RET_ENOSYS);
            }
            assert_eq!(run(&filter, 0x4000_0000, AUDIT_ARCH_X86_64, addr), RET_ENOSYS);
            assert_eq!(run(&filter, u32::MAX - 1, AUDIT_ARCH_X86_64, addr), RET_ENOSYS);
        }
    }

    #[test]
    fn inspected_ties_just_the_listed_calls_to_the_gate() {
        let filter = Filter::inspected(nr::INSPECTED, ADDRS);
        for nr in 0..1000 {
            let outside = if nr::is_inspected(nr) { RET_TRAP } else { RET_ALLOW };
            assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, 0x40_0000), outside, "call {nr}");
            let inside = if nr == nr::EXECVE || nr == nr::EXECVEAT { RET_EPERM } else { RET_ALLOW };
            assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, ADDRS[1]), inside, "call {nr}");
            assert_eq!(run(&filter, nr | 0x4000_0000, AUDIT_ARCH_X86_64, ADDRS[1]), RET_ENOSYS);
        }
    }

    #[test]
    fn only_the_loader_is_executed_and_only_by_the_sealed_path() {
        let filter = Filter::strict(ADDRS);
        let gate = |nr, args| run_with(&filter, nr, AUDIT_ARCH_X86_64, ADDRS[2], args);
        let pinned = [LOADER_FD as u64, EMPTY_PATH, 1, 2, 0x1000, 0];
        assert_eq!(gate(nr::EXECVEAT, pinned), RET_ALLOW);
        assert_eq!(run_with(&filter, nr::EXECVEAT, AUDIT_ARCH_X86_64, 1, pinned), RET_TRAP);
        for (index, value) in
            [(0, 1022), (0, 3), (1, EMPTY_PATH + 1), (1, EMPTY_PATH ^ 1 << 40), (4, 0), (4, 0x1100)]
        {
            let mut args = pinned;
            args[index] = value;
            assert_eq!(gate(nr::EXECVEAT, args), RET_EPERM, "{index} {value:#x}");
        }
        assert_eq!(gate(nr::EXECVE, [EMPTY_PATH; 6]), RET_EPERM);
        // Only a question.
        assert_eq!(gate(nr::EXECVEAT, [3, 4, 5, 6, 0x11000, 0]), RET_ALLOW);
    }

    #[test]
    fn descriptors_of_the_loader_cannot_be_taken_away() {
        let filter = Filter::strict(ADDRS);
        let gate = |nr, args| run_with(&filter, nr, AUDIT_ARCH_X86_64, ADDRS[0], args);
        for fd in [0u64, 3, 1021, 1022, 1023, 1024, u64::from(u32::MAX)] {
            let ours = [CONFIG_FD as u64, LOADER_FD as u64].contains(&fd);
            let wanted = if ours { RET_EBADF } else { RET_ALLOW };
            assert_eq!(gate(nr::CLOSE, [fd, 0, 0, 0, 0, 0]), wanted, "close {fd}");
            assert_eq!(gate(nr::IOCTL, [fd, 0x5451, 0, 0, 0, 0]), wanted, "ioctl {fd}");
            assert_eq!(gate(nr::FSTAT, [fd, 2, 1, 0, 0, 0]), wanted, "fstat {fd}");
            assert_eq!(gate(nr::NEWFSTATAT, [fd, 2, 1, 0, 0, 0]), wanted, "newfstatat {fd}");
            assert_eq!(gate(nr::FCNTL, [fd, 2, 1, 0, 0, 0]), wanted, "fcntl {fd}");
            assert_eq!(gate(nr::DUP2, [4, fd, 0, 0, 0, 0]), wanted, "dup2 {fd}");
            assert_eq!(gate(nr::DUP3, [4, fd, 0, 0, 0, 0]), wanted, "dup3 {fd}");
        }
        for (first, last, wanted) in [
            (3, 1021, RET_ALLOW),
            (1024, 0xffff_ffff, RET_ALLOW),
            (3, 1022, RET_EPERM),
            (1023, 1023, RET_EPERM),
            (0, 0xffff_ffff, RET_EPERM),
        ] {
            assert_eq!(gate(nr::CLOSE_RANGE, [first, last, 0, 0, 0, 0]), wanted, "{first} {last}");
        }
    }

    #[test]
    fn the_window_is_out_of_reach_of_every_call_that_changes_mappings() {
        let filter = Filter::strict(ADDRS);
        assert_eq!(check(filter.insns(), 0), Ok(()));
        let gate = |nr, args| run_with(&filter, nr, AUDIT_ARCH_X86_64, ADDRS[0], args);
        let of = |hit: bool| if hit { RET_EPERM } else { RET_ALLOW };
        let page = 4096;
        for (addr, len, hit) in [
            (GATE, page, true),
            (GATE, 0, true),
            (WINDOW_END - page, page, true),
            (WINDOW_END, page, false),
            (GATE - page, page, false),
            (GATE - page, page + 1, true),
            (GATE - page, 2 * page, true),
            (0, GATE, false),
            (0, GATE + 1, true),
            (0, u64::MAX, true),
            (GATE - (1 << 32), 1 << 32, false),
            (GATE - (1 << 32), (1 << 32) + 1, true),
            (GATE - (1 << 32) + page, (1 << 32) - page, false),
            (GATE - (1 << 32) + page, (1 << 32) - page + 1, true),
            (GATE - (5 << 32) - page, (5 << 32) + page, false),
            (GATE - (5 << 32) - page, (5 << 32) + page + 1, true),
            (GATE + (1 << 32), page, false),
            (0x7fff_0000_0000, page, false),
            (0x40_0000, page, false),
        ] {
            let say = std::format!("{addr:#x} {len:#x}");
            for nr in [nr::MUNMAP, nr::MADVISE, nr::REMAP_FILE_PAGES, nr::PKEY_MPROTECT] {
                assert_eq!(gate(nr, [addr, len, 5, 0, 0, 0]), of(hit), "{nr} {say}");
            }
            assert_eq!(gate(nr::MPROTECT, [addr, len, 5, 0, 0, 0]), of(hit), "{say}");
            assert_eq!(gate(nr::MMAP, [addr, len, 5, 0x32, 3, 0]), of(hit), "{say}");
            assert_eq!(gate(nr::MMAP, [addr, len, 5, 0x22, 3, 0]), RET_ALLOW, "{say}");
            assert_eq!(gate(nr::MMAP, [addr, len, 5, 0x10_0022, 3, 0]), RET_ALLOW, "{say}");
            assert_eq!(gate(nr::MREMAP, [addr, len, page, 1, 0, 0]), of(hit), "{say}");
            assert_eq!(gate(nr::MREMAP, [page, page, len, 3, addr, 0]), of(hit), "{say}");
            assert_eq!(gate(nr::MREMAP, [page, page, len, 1, addr, 0]), RET_ALLOW, "{say}");
        }
        // The kernel says what is wrong with these.
        for nr in [nr::MUNMAP, nr::MADVISE, nr::MPROTECT, nr::PKEY_MPROTECT] {
            assert_eq!(gate(nr, [GATE + 1, page, 5, 0, 0, 0]), RET_ALLOW, "{nr}");
        }
        assert_eq!(gate(nr::MMAP, [GATE + 1, page, 5, 0x32, 3, 0]), RET_ALLOW);
        // But this one rounds the address.
        assert_eq!(gate(nr::REMAP_FILE_PAGES, [GATE + 1, page, 0, 0, 0, 0]), RET_EPERM);
        assert_eq!(gate(nr::SHMAT, [1, GATE, 0x4000, 0, 0, 0]), RET_EPERM);
        assert_eq!(gate(nr::SHMAT, [1, GATE, 0, 0, 0, 0]), RET_ALLOW);
        assert_eq!(gate(nr::MPROTECT, [TABLE, 8192, 1, 0, 0, 0]), RET_ALLOW);
        assert_eq!(gate(nr::MPROTECT, [TABLE, 8192, 3, 0, 0, 0]), RET_EPERM);
        assert_eq!(gate(nr::MPROTECT, [GATE, 8192, 1, 0, 0, 0]), RET_EPERM);
    }

    #[test]
    fn the_gate_can_only_be_replaced_by_itself() {
        let filter = Filter::strict(ADDRS);
        let gate = |args| run_with(&filter, nr::MMAP, AUDIT_ARCH_X86_64, ADDRS[2], args);
        let own = [GATE, PINNED_LEN, 5, 0x11, CONFIG_FD as u64, WINDOW_AT];
        assert_eq!(gate(own), RET_ALLOW);
        for (index, value) in [
            (0, GATE + 4096),
            (1, 4096),
            (1, PINNED_LEN | 1 << 32),
            (2, 7),
            (3, 0x12),
            (3, 0x31),
            (4, 3),
            (4, LOADER_FD as u64),
            (5, 0),
            (5, WINDOW_AT | 1 << 32),
        ] {
            let mut args = own;
            args[index] = value;
            assert_eq!(gate(args), RET_EPERM, "{index} {value:#x}");
        }
    }

    #[test]
    fn descriptors_of_the_loader_are_safe_from_calls_that_nobody_inspects() {
        let filter = Filter::inspected(nr::INSPECTED, ADDRS);
        let anywhere = |nr, args| run_with(&filter, nr, AUDIT_ARCH_X86_64, 0x40_0000, args);
        assert_eq!(anywhere(nr::CLOSE, [1022, 0, 0, 0, 0, 0]), RET_EBADF);
        assert_eq!(anywhere(nr::CLOSE, [3, 0, 0, 0, 0, 0]), RET_ALLOW);
        assert_eq!(anywhere(nr::DUP2, [3, 1023, 0, 0, 0, 0]), RET_EBADF);
        assert_eq!(anywhere(nr::CLOSE_RANGE, [3, 9, 0, 0, 0, 0]), RET_TRAP);
    }

    #[test]
    fn a_filter_of_the_program_does_not_see_the_calls_of_the_shim() {
        let mut filter = Filter::exempt(&[14, 15, 39], [ADDRS[1], ADDRS[2]]);
        filter.push(super::op::JEQ_K, 0, 0, 1); // the accumulator starts at zero
        filter.push(super::op::RET_K, 77, 0, 0);
        filter.push(super::op::RET_K, 78, 0, 0);
        for nr in [0, 13, 14, 15, 16, 39, 40] {
            for addr in ADDRS {
                let exempt = [14, 15, 39].contains(&nr) && addr != ADDRS[0];
                let wanted = if exempt { RET_ALLOW } else { 77 };
                assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, addr), wanted, "{nr} {addr:#x}");
                assert_eq!(run(&filter, nr, AUDIT_ARCH_X86_64, addr ^ 1 << 32), 77);
                assert_eq!(run(&filter, nr, 0x4000_0003, addr), 77);
            }
        }
    }

    #[test]
    fn negative_numbers_are_enosys_as_natively() {
        assert_eq!(run(&Filter::strict(ADDRS), -2i32 as u32, AUDIT_ARCH_X86_64, 1), RET_ENOSYS);
        // A tracer's result stays.
        assert_eq!(run(&Filter::strict(ADDRS), -1i32 as u32, AUDIT_ARCH_X86_64, 1), RET_ALLOW);
    }
}
