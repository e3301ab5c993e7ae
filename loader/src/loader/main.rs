//! `ia2-loader`: starts a program under the shim, from its first instruction.
//!
//! The kernel executes this file in place of the program, by a descriptor ([`handover`]). Its image
//! has the gate's page at the gate's address, so its own calls come from there, and a filter that was
//! inherited over exec lets them pass. `README.md` beside the package tells the story step by step.
//!
//! | file | noun | unsafe |
//! |---|---|---|
//! | `stack` | the argument block: argv, envp, auxiliary vector | [U] |
//! | `own` | this image, moved off its file | [U] |
//! | `image` | an ELF program, mapped | [U] |
//! | `process` | what the kernel tells others about the process | [U] |
//! | `lang` | what the compiler demands | [U] |
//!
//! [`handover`]: ia2_core::handover
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod image;
mod lang;
mod own;
mod process;
mod stack;

use ia2_boot::raw::{gate_is_there, give_up};
use ia2_core::handover::Handover;
use ia2_rt::sys;
use stack::Stack;

#[allow(unsafe_code, reason = "the first instructions and the last")]
mod edge {
    use core::arch::{asm, global_asm};
    use ia2_rt::sys;
    use linux_raw_sys::general::{
        MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE,
    };

    /// Bytes of the loader's stack: planning takes the most.
    const STACK: u64 = 256 << 10;

    global_asm!(
        ".globl _start",
        "_start:",
        "xor ebp, ebp", // the end for who walks frames
        "mov rdi, rsp", // the argument block
        "and rsp, -16",
        "call {start}",
        "ud2",
        start = sym start,
    );

    /// Loads the program whose argument block is at `sp`: its first instruction and its stack pointer.
    extern "C" fn load(sp: *mut u64, loaded: &mut [u64; 2]) {
        // SAFETY: the kernel's initial stack pointer.
        let stack = unsafe { super::Stack::at(sp) };
        let (entry, sp) = super::load(stack);
        *loaded = [entry, sp];
    }

    /// Calls [`load`] on a stack of its own: the program's may be small (`RLIMIT_STACK`), and what lies
    /// below its stack pointer is zeros when it starts.
    fn load_aside(sp: *mut u64) -> [u64; 2] {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        let stack = match sys::mmap(0, STACK, PROT_READ | PROT_WRITE, flags, -1, 0) {
            Ok(stack) => stack,
            Err(errno) => super::give_up("no memory for the loader's stack", errno),
        };
        // An overflow ends here, and not in somebody's mapping.
        let _ = sys::mprotect(stack, 4096, 0);
        let mut loaded = [0; 2];
        // SAFETY: a fresh stack, and a function of this signature; r12 is kept by it.
        unsafe {
            asm!(
                "mov r12, rsp",
                "mov rsp, {top}",
                "call {load}",
                "mov rsp, r12",
                top = in(reg) stack + STACK,
                load = sym load,
                in("rdi") sp,
                in("rsi") &raw mut loaded,
                out("r12") _,
                clobber_abi("C"),
            );
        }
        sys::munmap(stack, STACK);
        loaded
    }

    extern "C" fn start(sp: *mut u64) -> ! {
        super::gate_is_there();
        let [entry, sp] = load_aside(sp);
        // SAFETY: the program's first instruction and its stack, as the kernel would have set them:
        // no register holds anything (the psABI gives rdx a meaning, the kernel leaves it 0).
        unsafe {
            asm!(
                "mov rsp, rsi",
                "push rdi",
                "fninit",
                "push 0x1f80",
                "ldmxcsr [rsp]",
                "pop rax",
                "xorps xmm0, xmm0", // the upper halves are still as the kernel left them
                "xorps xmm1, xmm1",
                "xorps xmm2, xmm2",
                "xorps xmm3, xmm3",
                "xorps xmm4, xmm4",
                "xorps xmm5, xmm5",
                "xorps xmm6, xmm6",
                "xorps xmm7, xmm7",
                "xorps xmm8, xmm8",
                "xorps xmm9, xmm9",
                "xorps xmm10, xmm10",
                "xorps xmm11, xmm11",
                "xorps xmm12, xmm12",
                "xorps xmm13, xmm13",
                "xorps xmm14, xmm14",
                "xorps xmm15, xmm15",
                "push 0x202", // interrupts are on, and the bit that always is
                "popfq",
                "mov eax, 0", // `xor` would set flags
                "mov ebx, 0",
                "mov ecx, 0",
                "mov edx, 0",
                "mov esi, 0",
                "mov edi, 0",
                "mov ebp, 0",
                "mov r8d, 0",
                "mov r9d, 0",
                "mov r10d, 0",
                "mov r11d, 0",
                "mov r12d, 0",
                "mov r13d, 0",
                "mov r14d, 0",
                "mov r15d, 0",
                "ret", // to the entry, with the stack pointer where it belongs
                in("rdi") entry,
                in("rsi") sp,
                options(noreturn),
            );
        }
    }
}

/// Loads the program, and gives its first instruction and its stack pointer.
fn load(mut stack: Stack) -> (u64, u64) {
    let Some(handover) = stack.argument(1).and_then(Handover::parse) else {
        give_up("ia2-loader is started by ia2 and by the shim, not by hand", 0)
    };
    ia2_boot::gate_leaves_file();
    let program = image::load(handover.fd, image::Role::Program);
    let interpreter = program.interpreter();
    if program.executable_stack {
        stack.make_executable();
    }
    stack.tell(&program, interpreter.as_ref()); // first, for the kernel gets a copy
    process::describe(&stack, &program, interpreter.is_some(), handover.fd);
    sys::close(handover.fd);
    #[allow(unsafe_code, reason = "passes on that nothing else runs")]
    // SAFETY: the process has this one thread, and nothing of the program runs.
    unsafe {
        ia2_boot::take_over(&handover);
    }
    let entry = interpreter.as_ref().map_or(program.entry, |interpreter| interpreter.entry);
    sys::sigprocmask(ia2_core::sigset::SIG_SETMASK, Some(handover.mask));
    (entry, stack.without_handover())
}
