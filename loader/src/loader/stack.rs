//! The argument block that the kernel laid out on the stack (fs/binfmt_elf.c `create_elf_tables`).
//!
//! ```text
//! sp    argc
//!       argv[0] … argv[argc-1], 0       two entries more than the program gets
//!       envp[0] …, 0
//!       auxiliary vector: pairs of type and value, ending in AT_NULL
//!       …strings
//! ```
//! Everything stays where it is: the program's stack pointer is 16 bytes above the loader's, and its
//! argc stands in place of what was argv[1]. So the alignment holds.

#![allow(unsafe_code, reason = "reads and writes the initial stack")]

use crate::image::Image;
use core::ffi::CStr;
use core::ops::Range;
use ia2_rt::sys;
use linux_raw_sys::auxvec as at;
use linux_raw_sys::general::{PROT_EXEC, PROT_GROWSDOWN, PROT_READ, PROT_WRITE};

/// Entries of argv that are the loader's.
const HANDOVER: usize = 2;

/// See the module's text.
pub(crate) struct Stack {
    sp: *mut u64,
    envp: usize,
    auxv: usize,
    /// One past the last page of the stack.
    end: u64,
}

/// One past the NUL of the string at `addr`.
fn string_end(addr: u64) -> u64 {
    // SAFETY: the kernel's own strings on the initial stack, which end in NUL.
    let string = unsafe { CStr::from_ptr(core::ptr::with_exposed_provenance(addr as usize)) };
    addr + string.count_bytes() as u64 + 1
}

impl Stack {
    /// The block at `sp`.
    ///
    /// # Safety
    /// `sp` must be the initial stack pointer, and nobody else may use the block.
    pub(crate) unsafe fn at(sp: *mut u64) -> Self {
        let mut stack = Self { sp, envp: 0, auxv: 0, end: 0 };
        stack.envp = stack.argc() + 2;
        stack.auxv = stack.envp;
        while stack.word(stack.auxv) != 0 {
            stack.auxv += 1;
        }
        stack.auxv += 1;
        let (_, len) = stack.auxv();
        let mut keys = (stack.auxv..stack.auxv + len / 8).step_by(2);
        let last = keys.find(|index| stack.word(*index) == u64::from(at::AT_EXECFN));
        // The path that was executed is the last string; a zero word follows.
        let path = last.map_or(sp.addr() as u64, |index| stack.word(index + 1));
        stack.end = (string_end(path) + 8).next_multiple_of(4096);
        stack
    }

    fn word(&self, index: usize) -> u64 {
        // SAFETY: within the block: every caller stops at the zero that ends its part.
        unsafe { self.sp.add(index).read() }
    }

    fn set(&mut self, index: usize, value: u64) {
        // SAFETY: as above.
        unsafe { self.sp.add(index).write(value) }
    }

    fn argc(&self) -> usize {
        self.word(0) as usize
    }

    /// Argument `index` of the loader, without its NUL.
    pub(crate) fn argument(&self, index: usize) -> Option<&'static [u8]> {
        (index < self.argc()).then(|| {
            // SAFETY: an entry of argv points to a string that ends in NUL.
            unsafe {
                CStr::from_ptr(core::ptr::with_exposed_provenance(self.word(1 + index) as usize))
            }
            .to_bytes()
        })
    }

    /// The strings of the entries from `index` to the zero behind them; where they would begin, if
    /// there is none, is `from`.
    fn strings(&self, mut index: usize, from: u64) -> Range<u64> {
        let start = if self.word(index) == 0 { from } else { self.word(index) };
        let mut end = start;
        while self.word(index) != 0 {
            end = end.max(string_end(self.word(index)));
            index += 1;
        }
        start..end
    }

    /// Where the program's arguments are, and its environment.
    pub(crate) fn text(&self) -> [Range<u64>; 2] {
        let handover = self.strings(1, 0);
        let arguments = self.strings(1 + HANDOVER, handover.end);
        let environment = self.strings(self.envp, arguments.end);
        [arguments, environment]
    }

    /// The stack pointer it starts with.
    pub(crate) fn program_sp(&self) -> u64 {
        (self.sp.addr() + HANDOVER * 8) as u64
    }

    /// The auxiliary vector: its address, and its bytes with the end.
    pub(crate) fn auxv(&self) -> (u64, usize) {
        let mut index = self.auxv;
        while self.word(index) != u64::from(at::AT_NULL) {
            index += 2;
        }
        ((self.sp.addr() + self.auxv * 8) as u64, (index + 2 - self.auxv) * 8)
    }

    /// Tells the program, in the auxiliary vector, where it and its interpreter are.
    pub(crate) fn tell(&mut self, program: &Image, interpreter: Option<&Image>) {
        let (_, len) = self.auxv();
        for index in (self.auxv..self.auxv + len / 8).step_by(2) {
            let value = match self.word(index) as u32 {
                at::AT_PHDR => program.headers,
                at::AT_PHNUM => program.headers_len,
                at::AT_BASE => interpreter.map_or(0, |interpreter| interpreter.bias),
                at::AT_ENTRY => program.entry,
                at::AT_EXECFN => self.word(1),
                _ => continue,
            };
            self.set(index + 1, value);
        }
    }

    /// As the kernel for a program whose PT_GNU_STACK says so.
    pub(crate) fn make_executable(&self) {
        let page = self.sp.addr() as u64 & !4095;
        let prot = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN;
        if let Err(errno) = sys::mprotect(page, self.end - page, prot) {
            ia2_boot::raw::give_up("the stack cannot be made executable", errno);
        }
    }

    /// Takes off what is the loader's, and gives the program's stack pointer.
    pub(crate) fn without_handover(mut self) -> u64 {
        let argc = self.argc() - HANDOVER;
        self.set(HANDOVER, argc as u64);
        self.program_sp()
    }
}
