//! The hand-made floors: what the kernel alone costs in each mode of the shim.
//!
//! The address filter has the instructions of the shim's strict filter in the same order, so that
//! the two rows differ in nothing but the way to the `syscall`. The bare SIGSYS round trip is the
//! least that a trapped call can be: kernel entry, filter, signal frame, a handler that makes the
//! call again from an allowed address and stores the answer, `rt_sigreturn`.
//!
//! # Safety
//!
//! Installs filters and a signal handler in the worker process, which exists for nothing else.
#![allow(unsafe_code, reason = "prctl, rt_sigaction and a signal handler")]

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::row::Row;
use crate::site::{self, Call};

/// SIGSYS arrivals so far.
static TRAPS: AtomicU32 = AtomicU32::new(0);

/// Selector of Syscall User Dispatch: calls from outside the range are allowed.
static SELECTOR: AtomicU8 = AtomicU8::new(0);

/// SIGSYS arrivals in this process's own handler so far.
pub(crate) fn traps() -> u32 {
    TRAPS.load(Ordering::Relaxed)
}

/// Turns this process into what `row` says; rows of the shim and `Native` need nothing.
pub(crate) fn install(row: Row, call: Call) -> Result<(), String> {
    match row {
        Row::NumberFilter => install_filter(&number_filter()),
        Row::AddressFilter => {
            handle_sigsys()?;
            let allowed = [call.after(), site::again_after(), site::sigreturn_after()];
            install_filter(&address_filter(allowed)?)
        }
        Row::BareSigsys => {
            handle_sigsys()?;
            let again = site::again_after();
            install_filter(&address_filter([again, site::sigreturn_after(), again])?)
        }
        Row::Dispatch => dispatch_by_range(),
        _ => Ok(()),
    }
}

/// `AUDIT_ARCH_X86_64`.
const ARCH: u32 = 0xc000_003e;
/// Numbers from here on are x32 calls.
const X32_BIT: u32 = 0x4000_0000;
/// Offsets in `struct seccomp_data`.
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_IP_LOW: u32 = 8;
const OFFSET_IP_HIGH: u32 = 12;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const JUMP_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const JUMP_GREATER_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Admits calls from three exact addresses (each the one after a `syscall`), traps the rest.
pub(crate) fn address_filter(allowed: [u64; 3]) -> Result<[libc::sock_filter; 13], String> {
    let high = |address: u64| (address >> 32) as u32;
    let low = |address: u64| address as u32;
    let [a, b, c] = allowed;
    if high(a) != high(b) || high(a) != high(c) {
        return Err("the bench's own code crosses a 4 GiB boundary; start it again".to_owned());
    }
    Ok([
        instruction(LOAD, OFFSET_ARCH, 0, 0),
        instruction(JUMP_EQUAL, ARCH, 0, 10), // 1: else to 12
        instruction(LOAD, OFFSET_NR, 0, 0),
        instruction(JUMP_GREATER_EQUAL, X32_BIT, 8, 0), // 3: x32 to 12
        instruction(LOAD, OFFSET_IP_HIGH, 0, 0),
        instruction(JUMP_EQUAL, high(a), 0, 4), // 5: else to 10
        instruction(LOAD, OFFSET_IP_LOW, 0, 0),
        instruction(JUMP_EQUAL, low(a), 3, 0), // 7: to 11
        instruction(JUMP_EQUAL, low(b), 2, 0), // 8: to 11
        instruction(JUMP_EQUAL, low(c), 1, 0), // 9: to 11
        instruction(RETURN, libc::SECCOMP_RET_TRAP, 0, 0), // 10
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0), // 11
        instruction(RETURN, REFUSE, 0, 0),     // 12
    ])
}

/// Looks at architecture and number only, so the kernel need not run it for known numbers.
fn number_filter() -> [libc::sock_filter; 6] {
    [
        instruction(LOAD, OFFSET_ARCH, 0, 0),
        instruction(JUMP_EQUAL, ARCH, 0, 3), // 1: else to 5
        instruction(LOAD, OFFSET_NR, 0, 0),
        instruction(JUMP_GREATER_EQUAL, X32_BIT, 1, 0), // 3: x32 to 5
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        instruction(RETURN, REFUSE, 0, 0),
    ]
}

pub(crate) fn install_filter(filter: &[libc::sock_filter]) -> Result<(), String> {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(), // the kernel only reads it
    };
    // SAFETY: takes plain numbers and changes an attribute of this process only.
    let status = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    check("no_new_privs", status)?;
    // SAFETY: `program` and the instructions it points to are alive for the whole call.
    let status =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    check("seccomp", status)
}

fn dispatch_by_range() -> Result<(), String> {
    const PR_SET_SYSCALL_USER_DISPATCH: c_int = 59;
    const PR_SYS_DISPATCH_ON: c_int = 1;
    let (first, length) = site::range();
    // SAFETY: the selector is a static, so the kernel may read it for the rest of the process; it
    // stays 0 (allow), so calls of libc keep working.
    let status = unsafe {
        libc::prctl(
            PR_SET_SYSCALL_USER_DISPATCH,
            PR_SYS_DISPATCH_ON,
            first,
            length,
            SELECTOR.as_ptr(),
        )
    };
    check("Syscall User Dispatch", status)
}

/// The kernel's own `struct sigaction`: libc's wrapper would put in its own return address, and
/// that `rt_sigreturn` is not one the filter allows.
#[repr(C)]
struct KernelSigaction {
    handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void),
    flags: u64,
    restorer: u64,
    mask: u64,
}

fn handle_sigsys() -> Result<(), String> {
    const SA_RESTORER: u64 = 0x0400_0000;
    let action = KernelSigaction {
        handler: on_sigsys,
        flags: libc::SA_SIGINFO as u64 | SA_RESTORER,
        restorer: site::sigreturn_entry(),
        mask: 0,
    };
    // SAFETY: `action` has the kernel's layout, is alive for the call, and names a handler and a
    // return stub that live as long as the program.
    let status = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, libc::SIGSYS, &raw const action, 0_usize, 8_usize)
    };
    check("SIGSYS handler", status as c_int)
}

/// Makes the trapped call again and stores the answer where the program finds it.
extern "C" fn on_sigsys(_signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    TRAPS.store(traps() + 1, Ordering::Relaxed); // one thread, and SIGSYS is blocked here
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel hands an SA_SIGINFO handler a valid ucontext on its own frame, and nobody
    // else refers to it while the handler runs.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    let value = |index: c_int| registers[index as usize] as usize;
    let arguments = [
        value(libc::REG_RDI),
        value(libc::REG_RSI),
        value(libc::REG_RDX),
        value(libc::REG_R10),
        value(libc::REG_R8),
        value(libc::REG_R9),
    ];
    let answer = site::again(value(libc::REG_RAX), &arguments);
    registers[libc::REG_RAX as usize] = answer as i64;
}

fn check(what: &str, status: c_int) -> Result<(), String> {
    if status == 0 { Ok(()) } else { Err(format!("{what}: {}", std::io::Error::last_os_error())) }
}
