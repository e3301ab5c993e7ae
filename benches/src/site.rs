//! The measured `syscall` instructions, the same in every row.
//!
//! Each site is what a libc wrapper is: the number as an immediate, then `syscall`, then `ret`, on
//! a cache line of its own. That is form A, which 86 % of glibc's sites have. The two helpers at
//! the end belong to the hand-made floors only.
//!
//! # Safety
//!
//! The assembly keeps the C calling convention: it writes rax, rcx, r10 and r11 only, and no stack.
#![allow(unsafe_code, reason = "declares and calls the assembly below")]

use crate::row::Row;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};

/// Calls in one timed chunk.
pub(crate) const CALLS_PER_CHUNK: u32 = 500;

/// Bytes of the kernel's signal set, the fourth argument of `rt_sigprocmask`.
const SIGSET_BYTES: usize = 8;

/// A number that no kernel knows.
const UNKNOWN_NR: i64 = 500;

global_asm!(
    ".macro ia2b_site name, nr",
    "    .p2align 6",
    "    .globl \\name",
    "    .hidden \\name",
    "    .type \\name, @function",
    "\\name:",
    "    .cfi_startproc",
    "    mov  ${sigset_bytes}, %r10d", // fourth argument of rt_sigprocmask; nobody else reads it
    "    mov  $\\nr, %eax",
    "    syscall",
    "    .globl \\name\\()_after",
    "    .hidden \\name\\()_after",
    "\\name\\()_after:",
    "    ret",
    "    .cfi_endproc",
    "    .size \\name, . - \\name",
    ".endm",
    ".text",
    ".p2align 6",
    ".globl ia2b_first",
    ".hidden ia2b_first",
    "ia2b_first:",
    "ia2b_site ia2b_getpid, {getpid}",
    "ia2b_site ia2b_unknown, {unknown}",
    "ia2b_site ia2b_read, {read}",
    "ia2b_site ia2b_open, {open}",
    "ia2b_site ia2b_sigprocmask, {sigprocmask}",
    "ia2b_site ia2b_tgkill, {tgkill}",
    // Where the kernel returns to from a signal handler; the kernel pops the frame itself.
    "ia2b_site ia2b_sigreturn, {sigreturn}",
    // ia2b_again(rdi: number, rsi: the six arguments) makes a trapped call again.
    ".p2align 6",
    ".globl ia2b_again",
    ".hidden ia2b_again",
    ".type ia2b_again, @function",
    "ia2b_again:",
    "    .cfi_startproc",
    "    mov  %rdi, %rax",
    "    mov  (%rsi), %rdi",
    "    mov  16(%rsi), %rdx",
    "    mov  24(%rsi), %r10",
    "    mov  32(%rsi), %r8",
    "    mov  40(%rsi), %r9",
    "    mov  8(%rsi), %rsi", // last: it holds the base
    "    syscall",
    ".globl ia2b_again_after",
    ".hidden ia2b_again_after",
    "ia2b_again_after:",
    "    ret",
    "    .cfi_endproc",
    "    .size ia2b_again, . - ia2b_again",
    ".globl ia2b_last",
    ".hidden ia2b_last",
    "ia2b_last:",
    ".purgem ia2b_site",
    getpid = const libc::SYS_getpid,
    open = const libc::SYS_open,
    sigset_bytes = const SIGSET_BYTES,
    unknown = const UNKNOWN_NR,
    read = const libc::SYS_read,
    sigprocmask = const libc::SYS_rt_sigprocmask,
    sigreturn = const libc::SYS_rt_sigreturn,
    tgkill = const libc::SYS_tgkill,
    options(att_syntax)
);

type Site = unsafe extern "C" fn(usize, usize, usize) -> isize;

unsafe extern "C" {
    fn ia2b_first();
    fn ia2b_last();
    fn ia2b_getpid(a: usize, b: usize, c: usize) -> isize;
    fn ia2b_getpid_after();
    fn ia2b_unknown(a: usize, b: usize, c: usize) -> isize;
    fn ia2b_unknown_after();
    fn ia2b_read(a: usize, b: usize, c: usize) -> isize;
    fn ia2b_read_after();
    fn ia2b_open(a: usize, b: usize, c: usize) -> isize;
    fn ia2b_open_after();
    fn ia2b_sigprocmask(a: usize, b: usize, c: usize) -> isize;
    fn ia2b_sigprocmask_after();
    fn ia2b_tgkill(a: usize, b: usize, c: usize) -> isize;
    fn ia2b_tgkill_after();
    fn ia2b_sigreturn();
    fn ia2b_sigreturn_after();
    fn ia2b_again(nr: usize, arguments: *const [usize; 6]) -> isize;
    fn ia2b_again_after();
}

/// One of the measured calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `getpid()`: next to no work in the kernel.
    Getpid,
    /// Number 500: the shortest way through the kernel's entry, answered with ENOSYS.
    Unknown,
    /// `read(fd of /dev/zero, buffer, 1)`.
    Read,
    /// `open("/etc/passwd", O_RDONLY | O_CLOEXEC)`: a path that a policy has a rule about. Closed when no time is
    /// taken.
    Open,
    /// `rt_sigprocmask(SIG_BLOCK, NULL, &old, 8)`: trivial for the kernel, and a call that the
    /// shim has to look at although it changes nothing. An inspected call with an empty verdict.
    Sigprocmask,
    /// `rt_sigprocmask(SIG_SETMASK, &mask, &mask, 8)`: two masks take turns. What the shim's last call
    /// before a handler costs, which sets a mask that was another one.
    SetMask,
    /// `tgkill(pid, tid, 0)`: sends nothing.
    Tgkill,
    /// `tgkill(pid, tid, SIGUSR1)` to itself, with a handler that does nothing: what it takes more
    /// than [`Call::Tgkill`] is the delivery and the return from the handler.
    Signal,
}

impl Call {
    /// All calls, in the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::Getpid,
        Self::Unknown,
        Self::Read,
        Self::Open,
        Self::Sigprocmask,
        Self::SetMask,
        Self::Tgkill,
        Self::Signal,
    ];

    /// Whether it is measured in `row`: not where nobody asks, and no signals in the hand-made floors,
    /// which allow one instruction only, while a handler returns from another; nor opens, for which another
    /// closes.
    pub(crate) fn is_in(self, row: Row) -> bool {
        match self {
            Self::Open => matches!(row, Row::Native | Row::Strict | Row::Policy),
            Self::SetMask => matches!(row, Row::Native | Row::AddressFilter | Row::Strict),
            Self::Tgkill | Self::Signal => {
                matches!(row, Row::Native | Row::NoBackstop | Row::Strict | Row::Sud)
            }
            _ => true,
        }
    }

    /// Name in the table, in JSON and as the worker's argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Getpid => "getpid",
            Self::Unknown => "nr500",
            Self::Read => "read1",
            Self::Open => "open",
            Self::Sigprocmask => "sigprocmask",
            Self::SetMask => "setmask",
            Self::Tgkill => "tgkill",
            Self::Signal => "signal",
        }
    }

    /// The call of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.name() == name)
    }

    fn site(self) -> Site {
        match self {
            Self::Getpid => ia2b_getpid,
            Self::Unknown => ia2b_unknown,
            Self::Read => ia2b_read,
            Self::Open => ia2b_open,
            Self::Sigprocmask | Self::SetMask => ia2b_sigprocmask,
            Self::Tgkill | Self::Signal => ia2b_tgkill,
        }
    }

    /// Address after the measured `syscall`, which is what a filter sees as instruction pointer.
    pub(crate) fn after(self) -> u64 {
        address(match self {
            Self::Getpid => ia2b_getpid_after,
            Self::Unknown => ia2b_unknown_after,
            Self::Read => ia2b_read_after,
            Self::Open => ia2b_open_after,
            Self::Sigprocmask | Self::SetMask => ia2b_sigprocmask_after,
            Self::Tgkill | Self::Signal => ia2b_tgkill_after,
        })
    }

    /// Whether something replaced the site's `mov` or `syscall` since the program was built.
    pub(crate) fn is_patched(self) -> bool {
        let end = self.after() as *const [u8; 7];
        // SAFETY: the seven bytes before `after` are the site's `mov imm32` and `syscall`, mapped
        // readable with the rest of the text; volatile, since a patcher writes behind our back.
        let bytes = unsafe { end.sub(1).read_volatile() };
        bytes[0] != 0xb8 || bytes[5..] != [0x0f, 0x05]
    }
}

fn address(label: unsafe extern "C" fn()) -> u64 {
    label as usize as u64
}

/// Address after the `syscall` that makes a trapped call again.
pub(crate) fn again_after() -> u64 {
    address(ia2b_again_after)
}

/// Address after the `syscall` that returns from a signal handler.
pub(crate) fn sigreturn_after() -> u64 {
    address(ia2b_sigreturn_after)
}

/// Address of the code a signal handler returns to.
pub(crate) fn sigreturn_entry() -> u64 {
    address(ia2b_sigreturn)
}

/// First byte and length of all code of this file, as Syscall User Dispatch wants its range.
pub(crate) fn range() -> (u64, u64) {
    let first = address(ia2b_first);
    (first, address(ia2b_last) - first)
}

/// Makes a trapped call again, from an instruction the filter allows.
pub(crate) fn again(nr: usize, arguments: &[usize; 6]) -> isize {
    // SAFETY: the caller repeats a call of this very process that the filter stopped; what it does
    // to memory is what the program had asked for.
    unsafe { ia2b_again(nr, arguments) }
}

/// The handler whose delivery is measured.
extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    DELIVERED.fetch_add(1, Ordering::Relaxed);
}

/// Signals that arrived.
static DELIVERED: AtomicU32 = AtomicU32::new(0);

/// One call with its arguments ready, so that the timed loop does nothing but call.
pub(crate) struct Prepared {
    call: Call,
    arguments: [usize; 3],
    /// A descriptor of `/dev/zero`, which is the last.
    zero: i32,
    /// What `read` and `rt_sigprocmask` write to.
    _buffer: Box<[u64; 8]>,
}

impl Prepared {
    /// Prepares `call`; `zero` is an open descriptor of `/dev/zero`.
    pub(crate) fn new(call: Call, zero: i32) -> Self {
        let mut buffer = Box::new([0; 8]);
        let target = buffer.as_mut_ptr() as usize;
        let arguments = match call {
            Call::Getpid | Call::Unknown => [0; 3],
            Call::Read => [usize::try_from(zero).unwrap_or(usize::MAX), target, 1],
            Call::Open => {
                [c"/etc/passwd".as_ptr() as usize, (libc::O_RDONLY | libc::O_CLOEXEC) as usize, 0]
            }
            Call::Sigprocmask => [libc::SIG_BLOCK as usize, 0, target],
            Call::SetMask => {
                if let Some(mask) = buffer.first_mut() {
                    *mask = 1 << (libc::SIGURG - 1); // not the mask in force
                }
                [libc::SIG_SETMASK as usize, target, target]
            }
            // The only thread: its number is that of the process.
            Call::Tgkill => [std::process::id() as usize, std::process::id() as usize, 0],
            Call::Signal => {
                // SAFETY: zeros are an action without a mask; the handler counts, and no more.
                unsafe {
                    let mut action: libc::sigaction = core::mem::zeroed();
                    action.sa_sigaction = on_signal as *const () as usize;
                    action.sa_flags = libc::SA_SIGINFO;
                    libc::sigaction(libc::SIGUSR1, &raw const action, core::ptr::null_mut());
                }
                let own = std::process::id() as usize;
                [own, own, libc::SIGUSR1 as usize]
            }
        };
        Self { call, arguments, zero, _buffer: buffer }
    }

    /// Makes the call once and says whether the answer is the right one.
    pub(crate) fn answers_right(&self) -> bool {
        let [a, b, c] = self.arguments;
        let delivered = DELIVERED.load(Ordering::Relaxed);
        // SAFETY: as in `chunk`.
        let answer = unsafe { self.call.site()(a, b, c) };
        match self.call {
            Call::Getpid => u32::try_from(answer) == Ok(std::process::id()),
            Call::Unknown => i32::try_from(-answer) == Ok(libc::ENOSYS),
            Call::Read => answer == 1,
            Call::Open => i32::try_from(answer).is_ok_and(|fd| fd > self.zero),
            Call::Sigprocmask | Call::SetMask | Call::Tgkill => answer == 0,
            Call::Signal => answer == 0 && DELIVERED.load(Ordering::Relaxed) == delivered + 1,
        }
    }

    /// Undoes what the calls of a chunk have left, while no time is taken.
    pub(crate) fn clean_up(&self) {
        if self.call == Call::Open {
            // SAFETY: whatever is above was opened by the measured calls: this is the last that `main` opened.
            unsafe { libc::close_range(self.zero.cast_unsigned() + 1, u32::MAX, 0) };
        }
    }

    /// Makes the call [`CALLS_PER_CHUNK`] times.
    #[inline(never)]
    pub(crate) fn chunk(&self) {
        let site = self.call.site();
        let [a, b, c] = self.arguments;
        for _ in 0..CALLS_PER_CHUNK {
            // SAFETY: the sites keep the C convention, and the only memory that the kernel writes
            // is `_buffer`, 64 bytes that live as long as `self` and that nobody else looks at.
            unsafe { site(a, b, c) };
        }
    }
}
