//! The registers of one call, as both entries save them.

/// A program's general registers at a `SYSCALL`, saved by the slow entry and restored on the way
/// back. The assembly names the fields by [`core::mem::offset_of`], never by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "register names")]
pub struct Frame {
    /// The number on entry (the kernel looks at `eax` only), the result on the way back.
    pub rax: u64,
    pub rbx: u64,
    /// Where the call returns to: the address after the `SYSCALL`, or the stub's tail.
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    /// The flags; the hardware leaves a copy of them in `r11`, and so does the way back.
    pub eflags: u64,
}

impl Frame {
    /// The call's number as the kernel reads it.
    #[must_use]
    pub const fn nr(&self) -> u32 {
        self.rax as u32
    }

    /// The same call with other arguments.
    #[must_use]
    pub const fn with_args(self, [rdi, rsi, rdx, r10, r8, r9]: [u64; 6]) -> Self {
        Self { rdi, rsi, rdx, r10, r8, r9, ..self }
    }

    /// The six arguments in the order of the system-call ABI.
    #[must_use]
    pub const fn args(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}
