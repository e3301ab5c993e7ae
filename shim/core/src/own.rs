//! The calls that the shim and the loader make for themselves while a program runs.
//!
//! A policy judges the program, not the shim: a policy without `mmap` would otherwise be the end of the
//! first thread that needs a block. So the kernel lets these calls pass where the shim makes them, at the
//! gate's `args` and `raw`. That has a price, which `explain` names: at these two addresses a refusal of
//! such a call is the shim's alone, so it holds against a program that only misbehaves (A1), and not
//! against one that runs code of its own choice and jumps there (A2). Hence the list is short, each call
//! passes only with arguments that the shim uses, as far as numbers tell, and what is needed for exec, or for
//! judging paths, is only in it if the policy lets a program execute, or has rules about paths.
//!
//! What even the gate may not do (see [`crate::bpf`]) it may not do here either.

use crate::access::HOW_SIZE;
use crate::bpf::{Insn, RET_ALLOW, RET_TRAP, argument, insn, load, ret};
use crate::cbpf::op;
use crate::handover::{CONFIG_FD, LOADER_FD};
use crate::nr;

/// One call, and what the shim makes it for.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The call.
    pub nr: u32,
    /// What the shim makes it for.
    pub what: &'static str,
    /// The arguments with which it does.
    pub form: Form,
    /// The same in words; empty if they can be any.
    pub only: &'static str,
}

/// Which arguments a call of the shim has, as far as numbers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the tables name what each allows")]
pub enum Form {
    Any,
    OneNow,
    Maps,
    Protects,
    AsksFilters,
    SetsGs,
    Opens,
    OnePart,
    SyncsCores,
    NoFlags,
    Moves,
    Keeps,
    AsksPersonality,
    Describes,
    Unshares,
    FirstHow,
}

/// What [`Form::insns`] end in for a call that the shim does not make; `RET_ALLOW` if it may be one.
pub const NOT_OWN: u32 = RET_TRAP | 0xffff;

impl Form {
    /// The test, as part of a filter.
    #[must_use]
    pub fn insns(self) -> &'static [Insn] {
        match self {
            Self::Any => &ANY,
            Self::OneNow => &ONE_NOW,
            Self::Maps => &MAPS,
            Self::Protects => &PROTECTS,
            Self::AsksFilters => &ASKS_FILTERS,
            Self::SetsGs => &SETS_GS,
            Self::Opens => &OPENS,
            Self::OnePart => &ONE_PART,
            Self::SyncsCores => &SYNCS_CORES,
            Self::NoFlags => &NO_FLAGS,
            Self::Moves => &MOVES,
            Self::Keeps => &KEEPS,
            Self::AsksPersonality => &ASKS_PERSONALITY,
            Self::Describes => &DESCRIBES,
            Self::Unshares => &UNSHARES,
            Self::FirstHow => &FIRST_HOW,
        }
    }
}

const fn any(nr: u32, what: &'static str) -> Row {
    Row { nr, what, form: Form::Any, only: "" }
}

const fn only(nr: u32, form: Form, only: &'static str, what: &'static str) -> Row {
    Row { nr, what, form, only }
}

/// Without which no program runs under the shim. Sorted by number.
pub const ALWAYS: &[Row] = &[
    any(nr::READ, "/proc/self/maps, before a site is patched"),
    any(nr::WRITE, "messages and statistics"),
    any(nr::CLOSE, "what was opened for the other rows"),
    any(nr::FSTAT, "which library a text belongs to"),
    only(
        nr::POLL,
        Form::OneNow,
        "one, without waiting",
        "whether a process that had a block has ended",
    ),
    only(
        nr::MMAP,
        Form::Maps,
        "private, or the settings; never writable and executable",
        "blocks of threads, stubs, plans of libraries",
    ),
    only(
        nr::MPROTECT,
        Form::Protects,
        "no PROT_GROWSDOWN and the like",
        "the guard of a block; text while it is patched",
    ),
    any(nr::MUNMAP, "what was mapped for the other rows"),
    any(nr::RT_SIGACTION, "the shim's own handlers"),
    any(nr::RT_SIGPROCMASK, "the kernel's mask is not the program's"),
    any(nr::RT_SIGRETURN, "every signal ends with it"),
    any(nr::PREAD64, "plans of libraries"),
    any(nr::NANOSLEEP, "to wait for a lock"),
    any(nr::GETPID, "to raise a signal again"),
    any(nr::EXIT, "a task can always end"),
    any(nr::FLOCK, "the file of the statistics"),
    any(nr::CAPGET, "whether the program may install a filter"),
    any(nr::RT_SIGPENDING, "held signals pend in the shim, the others in the kernel"),
    any(nr::SIGALTSTACK, "the kernel's alternate stack is the shim's"),
    only(
        nr::PRCTL,
        Form::AsksFilters,
        "PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS",
        "filters of the program, which are known to the shim",
    ),
    only(
        nr::ARCH_PRCTL,
        Form::SetsGs,
        "ARCH_SET_GS, ARCH_GET_XCOMP_PERM",
        "the gs base of a new task",
    ),
    any(nr::GETTID, "to raise a signal again"),
    any(nr::EXIT_GROUP, "a process can always end"),
    only(
        nr::OPENAT,
        Form::Opens,
        "to read, as O_PATH, or to append with exactly O_CREAT and O_CLOEXEC",
        "/proc/self/maps, plans, the file of the statistics",
    ),
    any(nr::NEWFSTATAT, "whether a path is /proc/self/exe"),
    any(nr::READLINKAT, "whether a path is /proc/self/exe"),
    any(nr::RT_TGSIGQUEUEINFO, "to raise a signal again"),
    only(
        nr::PROCESS_VM_READV,
        Form::OnePart,
        "one part",
        "arguments of a program that faults on them",
    ),
    only(nr::MEMBARRIER, Form::SyncsCores, "for code that was patched", "all cores see a patch"),
    only(
        nr::PIDFD_OPEN,
        Form::NoFlags,
        "without flags",
        "whether a process that had a block has ended",
    ),
];

/// Without which no program is executed: the shim opens it and asks about it, and the loader maps it and
/// boots. Sorted by number; a call that is in both tables has the form of this one.
pub const EXEC: &[Row] = &[
    any(nr::LSEEK, "the length of the settings"),
    only(
        nr::MREMAP,
        Form::Moves,
        "MREMAP_MAYMOVE and MREMAP_FIXED together",
        "the loader leaves its file",
    ),
    only(
        nr::FCNTL,
        Form::Keeps,
        "F_GETFD, F_SETFD, F_SETLEASE, F_SETSIG of SIGURG",
        "the program's descriptor stays open over exec; whether somebody writes its file",
    ),
    only(nr::PERSONALITY, Form::AsksPersonality, "the question", "whether addresses are random"),
    only(
        nr::PRCTL,
        Form::Describes,
        "PR_SET_MM_MAP, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS",
        "what others are told about the new program",
    ),
    only(nr::UNSHARE, Form::Unshares, "CLONE_FILES", "exec parts descriptors that are shared"),
    any(nr::GETRANDOM, "random addresses"),
    any(nr::EXECVEAT, "the pinned form"),
    any(nr::FACCESSAT2, "whether a program may be executed"),
    any(nr::MSEAL, "the window"),
];

/// Without which no path is judged. Sorted by number.
pub const PATHS: &[Row] = &[only(
    nr::OPENAT2,
    Form::FirstHow,
    "with a `struct open_how` of 24 bytes",
    "where a path leads, and the file that it led to",
)];

/// What a policy needs the shim to do, beside what it always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// To execute programs: [`EXEC`].
    pub exec: bool,
    /// To judge paths: [`PATHS`].
    pub paths: bool,
}

impl Needs {
    /// Everything.
    pub const ALL: Self = Self { exec: true, paths: true };

    /// The tables of such a policy; a call that is in two has the form of the first.
    fn of<T>(self, [always, exec, paths]: [&'static [T]; 3]) -> impl Iterator<Item = &'static [T]> {
        let all = [(self.exec, exec), (self.paths, paths), (true, always)];
        all.into_iter().filter_map(|(is, table)| is.then_some(table))
    }

    /// The rows that such a policy needs.
    pub fn rows(self) -> impl Iterator<Item = &'static Row> {
        self.of([ALWAYS, EXEC, PATHS]).flatten()
    }
}

/// Any arguments.
pub const ANY: [Insn; 1] = [ret(RET_ALLOW)];

/// `argument` is one of two values.
const fn either(n: u32, one: u32, other: u32) -> [Insn; 5] {
    [
        load(argument(n)),
        insn(op::JEQ_K, one, 1, 0),
        insn(op::JEQ_K, other, 0, 1),
        ret(RET_ALLOW),
        ret(NOT_OWN),
    ]
}

/// `argument` is this value.
const fn exactly(n: u32, value: u32) -> [Insn; 4] {
    [load(argument(n)), insn(op::JEQ_K, value, 0, 1), ret(RET_ALLOW), ret(NOT_OWN)]
}

/// poll(2) of one descriptor, with a timeout of 0.
const ONE_NOW: [Insn; 6] = [
    load(argument(1)),
    insn(op::JEQ_K, 1, 0, 3),
    load(argument(2)),
    insn(op::JEQ_K, 0, 0, 1),
    ret(RET_ALLOW),
    ret(NOT_OWN),
];

const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;
/// PROT_READ, PROT_WRITE, PROT_EXEC.
const PROT: u32 = 7;
const MAP_SHARED: u32 = 1;
/// MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE, MAP_POPULATE, MAP_FIXED_NOREPLACE.
const MAP: u32 = 1 | 2 | 0x10 | 0x20 | 0x4000 | 0x8000 | 0x10_0000;

const MAPS: [Insn; 12] = [
    load(argument(2)),
    insn(op::JSET_K, PROT_WRITE, 0, 1),
    insn(op::JSET_K, PROT_EXEC, 8, 0),
    insn(op::JSET_K, !PROT, 7, 0),
    load(argument(3)),
    insn(op::JSET_K, !MAP, 5, 0),
    insn(op::JSET_K, MAP_SHARED, 0, 3),
    // Neither can be written, or mapped to be.
    load(argument(4)),
    insn(op::JEQ_K, CONFIG_FD as u32, 1, 0),
    insn(op::JEQ_K, LOADER_FD as u32, 0, 1),
    ret(RET_ALLOW),
    ret(NOT_OWN),
];

const PROTECTS: [Insn; 4] =
    [load(argument(2)), insn(op::JSET_K, !PROT, 1, 0), ret(RET_ALLOW), ret(NOT_OWN)];

const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_GET_SECCOMP: u32 = 21;
const PR_SET_MM: u32 = 35;
const PR_SET_MM_MAP: u32 = 14;
const PR_GET_NO_NEW_PRIVS: u32 = 39;

const ASKS_FILTERS: [Insn; 5] = either(0, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS);

const DESCRIBES: [Insn; 10] = [
    load(argument(0)),
    insn(op::JEQ_K, PR_GET_SECCOMP, 6, 0),
    insn(op::JEQ_K, PR_GET_NO_NEW_PRIVS, 5, 0),
    insn(op::JEQ_K, PR_SET_NAME, 4, 0),
    insn(op::JEQ_K, PR_GET_NAME, 3, 0),
    insn(op::JEQ_K, PR_SET_MM, 0, 3),
    load(argument(1)),
    insn(op::JEQ_K, PR_SET_MM_MAP, 0, 1),
    ret(RET_ALLOW),
    ret(NOT_OWN),
];

const ARCH_SET_GS: u32 = 0x1001;
const ARCH_GET_XCOMP_PERM: u32 = 0x1022;
const SETS_GS: [Insn; 5] = either(0, ARCH_SET_GS, ARCH_GET_XCOMP_PERM);

/// O_NOCTTY, O_NONBLOCK, O_NOFOLLOW, O_CLOEXEC, O_PATH: nothing is written or made.
const READS: u32 = 0o400 | 0o4000 | 0o40_0000 | 0o200_0000 | 0o1000_0000;
/// O_WRONLY, O_CREAT, O_APPEND, O_CLOEXEC.
const APPENDS: u32 = 1 | 0o100 | 0o2000 | 0o200_0000;

const OPENS: [Insn; 5] = [
    load(argument(2)),
    insn(op::JEQ_K, APPENDS, 1, 0),
    insn(op::JSET_K, !READS, 1, 0),
    ret(RET_ALLOW),
    ret(NOT_OWN),
];

/// process_vm_readv(2) from one place to one place.
const ONE_PART: [Insn; 6] = [
    load(argument(2)),
    insn(op::JEQ_K, 1, 0, 3),
    load(argument(4)),
    insn(op::JEQ_K, 1, 0, 1),
    ret(RET_ALLOW),
    ret(NOT_OWN),
];

const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 1 << 5;
const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: u32 = 1 << 6;
const SYNCS_CORES: [Insn; 5] = either(
    0,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
);

const NO_FLAGS: [Insn; 4] = exactly(1, 0);
/// MREMAP_MAYMOVE and MREMAP_FIXED.
const MOVES: [Insn; 4] = exactly(3, 3);
const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_SETSIG: u32 = 10;
const F_SETLEASE: u32 = 1024;
const SIGURG: u32 = 23;
const KEEPS: [Insn; 9] = [
    load(argument(1)),
    insn(op::JEQ_K, F_GETFD, 5, 0),
    insn(op::JEQ_K, F_SETFD, 4, 0),
    insn(op::JEQ_K, F_SETLEASE, 3, 0),
    insn(op::JEQ_K, F_SETSIG, 0, 3),
    load(argument(2)),
    insn(op::JEQ_K, SIGURG, 0, 1),
    ret(RET_ALLOW),
    ret(NOT_OWN),
];
const ASKS_PERSONALITY: [Insn; 4] = exactly(0, u32::MAX);
const CLONE_FILES: u32 = 0x400;
const UNSHARES: [Insn; 4] = exactly(0, CLONE_FILES);
/// The size of the first version of `struct open_how` (openat2(2)).
const FIRST_HOW: [Insn; 4] = exactly(3, HOW_SIZE as u32);

/// The tables without words: what the preloaded library has of them.
static ALWAYS_FORMS: [(u32, Form); ALWAYS.len()] = without_words(ALWAYS);
static EXEC_FORMS: [(u32, Form); EXEC.len()] = without_words(EXEC);
static PATHS_FORMS: [(u32, Form); PATHS.len()] = without_words(PATHS);

const fn without_words<const N: usize>(rows: &[Row]) -> [(u32, Form); N] {
    let mut forms = [(0, Form::Any); N];
    let mut at = 0;
    while at < N {
        forms[at] = (rows[at].nr, rows[at].form);
        at += 1;
    }
    forms
}

/// The numbers of all tables.
pub fn numbers() -> impl Iterator<Item = u32> {
    ALWAYS_FORMS.iter().chain(&EXEC_FORMS).chain(&PATHS_FORMS).map(|row| row.0)
}

/// With which arguments the shim makes call `nr`, if it does.
#[must_use]
pub fn form(nr: u32, needs: Needs) -> Option<Form> {
    needs.of([ALWAYS_FORMS.as_slice(), &EXEC_FORMS, &PATHS_FORMS]).find_map(|rows| {
        let found = rows.binary_search_by_key(&nr, |row| row.0).ok()?;
        rows.get(found).map(|row| row.1)
    })
}

/// Whether the shim makes call `nr`.
#[must_use]
pub fn is_own(nr: u32, needs: Needs) -> bool {
    form(nr, needs).is_some()
}

/// What the shim makes call `nr` for, if it does, and how.
#[must_use]
pub fn row(nr: u32, needs: Needs) -> Option<&'static Row> {
    needs.rows().find(|row| row.nr == nr)
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS, EXEC, Form, NOT_OWN, Needs, PATHS, form, is_own};
    use crate::bpf::RET_ALLOW;
    use crate::cbpf::{Data, check, run_filter};
    use crate::nr;

    #[test]
    fn rows_are_sorted_so_that_binary_search_finds_them() {
        for rows in [ALWAYS, EXEC, PATHS] {
            assert!(rows.is_sorted_by(|one, next| one.nr < next.nr));
        }
        let none = Needs::default();
        assert!(ALWAYS.iter().all(|row| is_own(row.nr, none)));
        assert!(Needs::ALL.rows().all(|row| is_own(row.nr, Needs::ALL)));
        assert!(EXEC.iter().all(|row| row.nr == nr::PRCTL || !is_own(row.nr, none)));
        assert!(PATHS.iter().all(|row| !is_own(row.nr, Needs { paths: false, ..Needs::ALL })));
        assert!(!is_own(nr::EXECVE, Needs::ALL));
    }

    #[test]
    fn forms_are_programs_that_the_kernel_takes() {
        for row in Needs::ALL.rows() {
            assert_eq!(check(row.form.insns(), 0), Ok(()), "{}", row.nr);
            assert_eq!(row.only.is_empty(), row.form == Form::Any, "{}", row.nr);
        }
    }

    fn is_own_with(nr: u32, exec: bool, args: [u64; 6]) -> bool {
        let needs = Needs { exec, paths: true };
        let end = run_filter(form(nr, needs).unwrap().insns(), &Data::new(nr, 0, &args));
        assert!([RET_ALLOW, NOT_OWN].contains(&end));
        end == RET_ALLOW
    }

    #[test]
    fn only_what_the_shim_calls_is_its_own() {
        for (nr, exec, args, own) in [
            (nr::POLL, false, [0x1000, 1, 0, 0, 0, 0], true),
            (nr::POLL, false, [0x1000, 1, 1, 0, 0, 0], false),
            (nr::POLL, false, [0x1000, 2, 0, 0, 0, 0], false),
            (nr::MMAP, false, [0, 4096, 3, 0x4022, u64::MAX, 0], true),
            (nr::MMAP, false, [0, 4096, 5, 0x12, 3, 0], true),
            (nr::MMAP, false, [0, 4096, 1, 1, 1022, 0], true),
            (nr::MMAP, false, [0, 4096, 5, 0x11, 1023, 0], true),
            (nr::MMAP, false, [0, 4096, 5, 0x11, 1021, 0], false),
            (nr::MMAP, false, [0, 4096, 7, 0x22, u64::MAX, 0], false),
            (nr::MMAP, false, [0, 4096, 6, 0x22, u64::MAX, 0], false),
            (nr::MMAP, false, [0, 4096, 0x100_0001, 0x22, u64::MAX, 0], false),
            (nr::MMAP, false, [0, 4096, 3, 0x122, u64::MAX, 0], false),
            (nr::MPROTECT, false, [0x1000, 4096, 7, 0, 0, 0], true),
            (nr::MPROTECT, false, [0x1000, 4096, 0x100_0003, 0, 0, 0], false),
            (nr::PRCTL, false, [21, 0, 0, 0, 0, 0], true),
            (nr::PRCTL, false, [39, 0, 0, 0, 0, 0], true),
            (nr::PRCTL, false, [15, 0, 0, 0, 0, 0], false),
            (nr::PRCTL, true, [15, 0, 0, 0, 0, 0], true),
            (nr::PRCTL, true, [16, 0, 0, 0, 0, 0], true),
            (nr::PRCTL, true, [35, 14, 0, 0, 0, 0], true),
            (nr::PRCTL, true, [35, 1, 0, 0, 0, 0], false),
            (nr::PRCTL, true, [4, 1, 0, 0, 0, 0], false),
            (nr::ARCH_PRCTL, false, [0x1001, 0, 0, 0, 0, 0], true),
            (nr::ARCH_PRCTL, false, [0x2003, 0, 0, 0, 0, 0], false),
            (nr::OPENAT, false, [u64::MAX, 0x1000, 0o200_0000, 0, 0, 0], true),
            (nr::OPENAT, false, [u64::MAX, 0x1000, 0o1240_0000, 0, 0, 0], true),
            (nr::OPENAT, false, [u64::MAX, 0x1000, 0o200_2101, 0o666, 0, 0], true),
            (nr::OPENAT, false, [u64::MAX, 0x1000, 0o200_0001, 0, 0, 0], false),
            (nr::OPENAT, false, [u64::MAX, 0x1000, 2, 0, 0, 0], false),
            (nr::OPENAT, false, [u64::MAX, 0x1000, 0o200_0100, 0o666, 0, 0], false),
            (nr::PROCESS_VM_READV, false, [1, 0x1000, 1, 0x1000, 1, 0], true),
            (nr::PROCESS_VM_READV, false, [1, 0x1000, 2, 0x1000, 1, 0], false),
            (nr::MEMBARRIER, false, [32, 0, 0, 0, 0, 0], true),
            (nr::MEMBARRIER, false, [1, 0, 0, 0, 0, 0], false),
            (nr::PIDFD_OPEN, false, [1, 0, 0, 0, 0, 0], true),
            (nr::PIDFD_OPEN, false, [1, 0x800, 0, 0, 0, 0], false),
            (nr::MREMAP, true, [0x1000, 4096, 4096, 3, 0x2000, 0], true),
            (nr::MREMAP, true, [0x1000, 0, 4096, 1, 0, 0], false),
            (nr::FCNTL, true, [3, 2, 0, 0, 0, 0], true),
            (nr::FCNTL, true, [3, 1024, 0, 0, 0, 0], true),
            (nr::FCNTL, true, [3, 10, 23, 0, 0, 0], true),
            (nr::FCNTL, true, [3, 10, 31, 0, 0, 0], false),
            (nr::FCNTL, true, [3, 8, 1, 0, 0, 0], false),
            (nr::PERSONALITY, true, [0xffff_ffff, 0, 0, 0, 0, 0], true),
            (nr::PERSONALITY, true, [0x40_0000, 0, 0, 0, 0, 0], false),
            (nr::OPENAT2, false, [0, 0, 0, 24, 0, 0], true),
            (nr::OPENAT2, false, [0, 0, 0, 32, 0, 0], false),
            (nr::UNSHARE, true, [0x400, 0, 0, 0, 0, 0], true),
            (nr::UNSHARE, true, [0x1000_0400, 0, 0, 0, 0, 0], false),
        ] {
            assert_eq!(is_own_with(nr, exec, args), own, "{nr} {args:x?}");
        }
    }
}
