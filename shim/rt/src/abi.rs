//! The kernel's structures that the shim reads and writes, each checked against the kernel headers.

use core::mem::{offset_of, size_of};
use ia2_core::regs::Frame;
use ia2_core::sigset::AltStack;
use linux_raw_sys::general as k;

/// `struct kernel_sigaction`, the argument of rt_sigaction(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SigAction {
    /// Address, or [`SIG_DFL`] or [`SIG_IGN`].
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: u64,
}

const _: () = assert!(size_of::<SigAction>() == size_of::<k::kernel_sigaction>());
const _: () = assert!(offset_of!(SigAction, mask) == offset_of!(k::kernel_sigaction, sa_mask));

/// Default action.
pub const SIG_DFL: u64 = 0;
/// Ignore.
pub const SIG_IGN: u64 = 1;

/// Flags of a signal action; the kernel's names.
#[allow(missing_docs, reason = "the kernel's own names say it")]
pub mod sa {
    pub const NOCLDSTOP: u64 = 1;
    pub const NOCLDWAIT: u64 = 2;
    pub const SIGINFO: u64 = 4;
    pub const UNSUPPORTED: u64 = 0x400;
    pub const EXPOSE_TAGBITS: u64 = 0x800;
    pub const RESTORER: u64 = 0x0400_0000;
    pub const ONSTACK: u64 = 0x0800_0000;
    pub const RESTART: u64 = 0x1000_0000;
    pub const NODEFER: u64 = 0x4000_0000;
    pub const RESETHAND: u64 = 0x8000_0000;
    /// What rt_sigaction(2) keeps of the flags it is given (`UAPI_SA_FLAGS`).
    pub const KNOWN: u64 = NOCLDSTOP
        | NOCLDWAIT
        | SIGINFO
        | EXPOSE_TAGBITS
        | RESTORER
        | ONSTACK
        | RESTART
        | NODEFER
        | RESETHAND;
}

/// `siginfo_t`: the head that matters here, and the rest as words.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SigInfo {
    /// `si_signo`.
    pub signo: i32,
    /// `si_errno`.
    pub errno: i32,
    /// `si_code`: positive if the kernel raised it.
    pub code: i32,
    /// Hole.
    pub pad: i32,
    /// The union.
    pub rest: [u64; 14],
}

const _: () = assert!(size_of::<SigInfo>() == size_of::<k::siginfo_t>());

/// `si_code` of a SIGSYS raised by a seccomp filter.
pub const SYS_SECCOMP: i32 = 1;
/// `si_code` of a SIGSYS raised by Syscall User Dispatch.
pub const SYS_USER_DISPATCH: i32 = 2;
/// `si_code` of a SIGTRAP raised by the trap flag.
pub const TRAP_TRACE: i32 = 2;
/// `si_code` of everything the kernel raises that is no fault.
pub const SI_KERNEL: i32 = 0x80;

/// `struct ucontext` of x86-64, with `struct sigcontext` inside.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[allow(missing_docs, reason = "register names")]
pub struct UContext {
    pub flags: u64,
    pub link: u64,
    pub stack: AltStack,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub eflags: u64,
    pub cs_gs_fs_ss: u64,
    pub err: u64,
    pub trapno: u64,
    pub oldmask: u64,
    pub cr2: u64,
    /// Address of the floating-point state, or 0.
    pub fpstate: u64,
    pub reserved: [u64; 8],
    /// Signals blocked before the handler.
    pub sigmask: u64,
}

impl UContext {
    /// The registers of it that a frame has.
    #[must_use]
    pub const fn frame(&self) -> Frame {
        Frame {
            rax: self.rax,
            rbx: self.rbx,
            rcx: self.rcx,
            rdx: self.rdx,
            rsi: self.rsi,
            rdi: self.rdi,
            rbp: self.rbp,
            rsp: self.rsp,
            r8: self.r8,
            r9: self.r9,
            r10: self.r10,
            r12: self.r12,
            r13: self.r13,
            r14: self.r14,
            r15: self.r15,
            eflags: self.eflags,
        }
    }

    /// Takes over the registers of a frame; `rip` and `r11` stay.
    pub const fn set_frame(&mut self, frame: &Frame) {
        self.rax = frame.rax;
        self.rbx = frame.rbx;
        self.rcx = frame.rcx;
        self.rdx = frame.rdx;
        self.rsi = frame.rsi;
        self.rdi = frame.rdi;
        self.rbp = frame.rbp;
        self.rsp = frame.rsp;
        self.r8 = frame.r8;
        self.r9 = frame.r9;
        self.r10 = frame.r10;
        self.r12 = frame.r12;
        self.r13 = frame.r13;
        self.r14 = frame.r14;
        self.r15 = frame.r15;
        self.eflags = frame.eflags;
    }
}

const _: () = assert!(size_of::<UContext>() == 304);
const _: () = assert!(offset_of!(UContext, rip) == 168);
const _: () = assert!(offset_of!(UContext, fpstate) == 224);
const _: () = assert!(offset_of!(UContext, sigmask) == 296);
const _: () = assert!(size_of::<AltStack>() == size_of::<k::stack_t>());

/// `struct rt_sigframe`: what the kernel pushes for a handler, below the floating-point state.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SigFrame {
    /// The handler's return address: `sa_restorer`.
    pub pretcode: u64,
    /// The interrupted context.
    pub uc: UContext,
    /// Why.
    pub info: SigInfo,
}

const _: () = assert!(size_of::<SigFrame>() == 440);

/// `struct clone_args` as far as the shim needs it; newer kernels append fields.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[allow(missing_docs, reason = "clone(2) says it")]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
}

const _: () = assert!(offset_of!(CloneArgs, tls) == offset_of!(k::clone_args, tls));

/// Errors that the shim gives by itself.
#[allow(missing_docs, reason = "the kernel's own names say it")]
pub mod errno {
    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const ESRCH: i32 = 3;
    pub const EIO: i32 = 5;
    pub const ENXIO: i32 = 6;
    pub const E2BIG: i32 = 7;
    pub const ENOEXEC: i32 = 8;
    pub const EBADF: i32 = 9;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EFAULT: i32 = 14;
    pub const EXDEV: i32 = 18;
    pub const ENODEV: i32 = 19;
    pub const ENOTDIR: i32 = 20;
    pub const EINVAL: i32 = 22;
    pub const ETXTBSY: i32 = 26;
    pub const ENOSPC: i32 = 28;
    pub const ENAMETOOLONG: i32 = 36;
    pub const ENOSYS: i32 = 38;
    pub const ELOOP: i32 = 40;
    pub const ELIBBAD: i32 = 80;
}
