//! Signal sets as the kernel has them (bit `n - 1` stands for signal `n`), and the held signals.
//!
//! A *held* signal is one that the kernel must never have blocked, ignored or at its default in a
//! program under the shim: with SIGSYS blocked the next trapped call kills the process, and the
//! same goes for the trap byte of live patching (SIGTRAP) and for reads of program memory that
//! fault (SIGSEGV, SIGBUS). The program sees them blocked or ignored all the same: what it set is
//! kept beside the kernel's mask and merged into every mask it is shown.

/// A signal set as the kernel passes it: 64 bits.
pub type SigSet = u64;

#[allow(missing_docs, reason = "the kernel's own names say it")]
mod numbers {
    pub const SIGILL: u32 = 4;
    pub const SIGTRAP: u32 = 5;
    pub const SIGBUS: u32 = 7;
    pub const SIGKILL: u32 = 9;
    pub const SIGSEGV: u32 = 11;
    pub const SIGSTOP: u32 = 19;
    pub const SIGSYS: u32 = 31;
}
pub use numbers::{SIGBUS, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP};

/// Highest signal number.
pub const SIG_MAX: u32 = 64;

/// The set with just `sig` in it; empty for a number that is no signal.
#[must_use]
pub const fn only(sig: u32) -> SigSet {
    if sig == 0 || sig > SIG_MAX { 0 } else { 1 << (sig - 1) }
}

/// Whether `sig` is in `set`.
#[must_use]
pub const fn has(set: SigSet, sig: u32) -> bool {
    set & only(sig) != 0
}

/// The held signals.
pub const HELD: SigSet = only(SIGSYS) | only(SIGTRAP) | only(SIGSEGV) | only(SIGBUS);

/// What no process can block: the kernel drops these two from every mask.
pub const UNBLOCKABLE: SigSet = only(SIGKILL) | only(SIGSTOP);

/// `how` of rt_sigprocmask(2).
pub const SIG_BLOCK: u32 = 0;
/// `how` of rt_sigprocmask(2).
pub const SIG_UNBLOCK: u32 = 1;
/// `how` of rt_sigprocmask(2).
pub const SIG_SETMASK: u32 = 2;

/// What `rt_sigprocmask(how, set)` makes of `old`, or `None` where the kernel says EINVAL.
#[must_use]
pub const fn apply(how: u32, old: SigSet, set: SigSet) -> Option<SigSet> {
    let set = set & !UNBLOCKABLE;
    match how {
        SIG_BLOCK => Some(old | set),
        SIG_UNBLOCK => Some(old & !set),
        SIG_SETMASK => Some(set),
        _ => None,
    }
}

/// An alternate signal stack as sigaltstack(2) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct AltStack {
    /// Lowest address.
    pub sp: u64,
    /// `SS_*`.
    pub flags: u32,
    /// The structure's hole; the kernel writes it as zero.
    pub pad: u32,
    /// Length in bytes.
    pub size: u64,
}

/// `ss_flags`: the task runs on the alternate stack (reported only).
pub const SS_ONSTACK: u32 = 1;
/// `ss_flags`: there is none.
pub const SS_DISABLE: u32 = 2;
/// `ss_flags`: forget the stack while a handler runs on it.
pub const SS_AUTODISARM: u32 = 1 << 31;

const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;

impl AltStack {
    /// No alternate stack: what every task starts with.
    pub const NONE: Self = Self { sp: 0, flags: SS_DISABLE, pad: 0, size: 0 };

    /// Whether `rsp` lies on it, as the kernel's `on_sig_stack` decides.
    #[must_use]
    pub const fn contains(&self, rsp: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && rsp > self.sp && rsp - self.sp <= self.size
    }

    /// What the old-stack argument of sigaltstack(2) is filled with.
    #[must_use]
    pub const fn report(&self, rsp: u64) -> Self {
        let state = if self.size == 0 {
            SS_DISABLE
        } else if self.contains(rsp) {
            SS_ONSTACK
        } else {
            0
        };
        Self { flags: state | (self.flags & SS_AUTODISARM), pad: 0, ..*self }
    }

    /// What sigaltstack(2) makes of it: the kernel's `do_sigaltstack`.
    ///
    /// # Errors
    /// The errno: EPERM while on it, EINVAL for unknown flags, ENOMEM for less than `min_size`
    /// bytes.
    pub const fn replaced_by(&self, new: &Self, rsp: u64, min_size: u64) -> Result<Self, i32> {
        if self.contains(rsp) {
            return Err(EPERM);
        }
        let mode = new.flags & !SS_AUTODISARM;
        if mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE {
            return Err(EINVAL);
        }
        if new.sp == self.sp && new.size == self.size && new.flags == self.flags {
            return Ok(*self);
        }
        if mode == SS_DISABLE {
            return Ok(Self { sp: 0, flags: new.flags, pad: 0, size: 0 });
        }
        if new.size < min_size {
            return Err(ENOMEM);
        }
        Ok(Self { pad: 0, ..*new })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        AltStack, HELD, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGSYS, SS_AUTODISARM, SS_DISABLE,
        SS_ONSTACK, apply, has, only,
    };

    #[test]
    fn masks_change_as_rt_sigprocmask_says_and_never_hold_kill_or_stop() {
        assert_eq!(apply(SIG_BLOCK, only(1), only(2)), Some(only(1) | only(2)));
        assert_eq!(apply(SIG_UNBLOCK, only(1) | only(2), only(2)), Some(only(1)));
        assert_eq!(apply(SIG_SETMASK, only(1), u64::MAX), Some(!(only(9) | only(19))));
        assert_eq!(apply(3, 0, 0), None);
        assert!(has(HELD, SIGSYS) && !has(HELD, 0) && !has(u64::MAX, 65));
    }

    const STACK: AltStack = AltStack { sp: 0x1000, flags: 0, pad: 0, size: 0x4000 };

    #[test]
    fn alternate_stack_cannot_change_while_in_use() {
        assert_eq!(STACK.replaced_by(&AltStack::NONE, 0x2000, 2048), Err(1));
        assert_eq!(STACK.report(0x2000).flags, SS_ONSTACK);
        assert_eq!(STACK.report(0x1000).flags, 0, "the lowest address is outside");
        assert_eq!(STACK.report(0x5000).flags, SS_ONSTACK, "the highest is inside");
    }

    #[test]
    fn alternate_stack_is_judged_as_the_kernel_does() {
        let none = AltStack::NONE;
        assert_eq!(none.replaced_by(&AltStack { flags: 4, ..STACK }, 0, 2048), Err(22));
        assert_eq!(none.replaced_by(&AltStack { size: 2047, ..STACK }, 0, 2048), Err(12));
        assert_eq!(none.replaced_by(&STACK, 0, 2048), Ok(STACK));
        let off = AltStack { flags: SS_DISABLE, ..STACK };
        assert_eq!(STACK.replaced_by(&off, 0, 2048), Ok(AltStack::NONE));
        assert_eq!(AltStack::NONE.report(0).flags, SS_DISABLE);
    }

    #[test]
    fn autodisarm_stack_is_never_in_use() {
        let stack = AltStack { flags: SS_AUTODISARM, ..STACK };
        assert_eq!(stack.report(0x2000).flags, SS_AUTODISARM);
        assert_eq!(stack.replaced_by(&AltStack::NONE, 0x2000, 2048), Ok(AltStack::NONE));
    }
}
