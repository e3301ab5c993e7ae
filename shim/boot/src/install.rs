//! Gate, block, signals, filter: what makes the process one under the shim.

#![allow(unsafe_code, reason = "maps the gate, sets the gs base")]

use crate::config::Config;
use crate::raw::{self, GiveUp};
use crate::seat;
use core::ptr;
use core::sync::atomic::Ordering;
use ia2_core::blob::Shape;
use ia2_core::bpf::{Filter, Insn};
use ia2_core::handover::Handover;
use ia2_core::layout::{
    GATE, PAGE, PINNED_LEN, TABLE, TABLE_GENERIC, TABLE_LEN, TABLE_NUMBERS, WINDOW_END,
};
use ia2_core::nr;
use ia2_core::sigset::{HELD, SIG_BLOCK, SIG_MAX, SIG_UNBLOCK, has};
use ia2_rt::abi::errno::{EACCES, EFAULT, ENAMETOOLONG, ENOENT, ENOTDIR};
use ia2_rt::abi::{SIG_IGN, SigAction};
use ia2_rt::block::{self, Block};
use ia2_rt::state::{self, Backstop, KeptPath, STATS_PATH};
use ia2_rt::{action, clone, entry, exe, gate, patch, policy, report, signal, stats, sys};
use linux_raw_sys::general as k;

/// Refuses a process that already has threads: they have no block, and would run unpatched text
/// while it is being patched.
pub(crate) fn only_thread() -> Result<(), GiveUp> {
    // unshare(CLONE_THREAD) does nothing, and says EINVAL if there is another thread (unshare(2)).
    // SAFETY: it does nothing.
    let result = unsafe { raw::call(k::__NR_unshare, [u64::from(k::CLONE_THREAD), 0, 0, 0, 0, 0]) };
    if result == -22 {
        return Err(GiveUp {
            what: "the process has threads already; the shim must be loaded first (LD_PRELOAD)",
            errno: 0,
        });
    }
    Ok(())
}

/// Whether the gate is there already: the program was started by the loader, and its environment still
/// names the preloaded library.
pub(crate) fn is_there() -> bool {
    let mut page = [0u8; PAGE as usize];
    let len = gate::blob().len();
    let (local, remote) = ([page.as_mut_ptr().addr() as u64, len as u64], [GATE, len as u64]);
    let (local, remote) = ((&raw const local).addr() as u64, (&raw const remote).addr() as u64);
    // SAFETY: copies from what may not be there into the buffer, and faults on nothing.
    let copied = unsafe {
        let pid = raw::call(k::__NR_getpid, [0; 6]);
        raw::call(k::__NR_process_vm_readv, [pid as u64, local, 1, remote, 1, 0])
    };
    if copied >= 0 || copied == -i64::from(EFAULT) {
        return copied == len as i64 && page.get(..len) == Some(gate::blob());
    }
    // Refused, by a policy. Taken for a path, what is there and can be read is not found.
    // SAFETY: looks for a file, and faults on nothing.
    let found = unsafe { raw::call(k::__NR_faccessat, [k::AT_FDCWD as u64, GATE, 0, 0, 0, 0]) };
    if ![ENOENT, ENAMETOOLONG, ENOTDIR].iter().any(|errno| found == -i64::from(*errno)) {
        return false;
    }
    let there = ptr::with_exposed_provenance::<u8>(GATE as usize);
    // SAFETY: the kernel has read from there, and nothing else runs yet that could unmap it; if the
    // path ended before `len`, so does the page not: it is a whole one.
    let there = unsafe { core::slice::from_raw_parts(there, len) };
    there == gate::blob()
}

/// Maps the window and fills the gate page. From here on [`sys`] works.
///
/// # Safety
/// To be called once, first.
pub(crate) unsafe fn gate() -> Result<(), GiveUp> {
    let blob = gate::blob();
    let len = WINDOW_END - GATE;
    let prot = u64::from(k::PROT_READ | k::PROT_WRITE);
    let flags = u64::from(k::MAP_PRIVATE | k::MAP_ANONYMOUS | k::MAP_FIXED_NOREPLACE);
    // SAFETY: NOREPLACE: nothing that is there is touched.
    let got = unsafe { raw::call(k::__NR_mmap, [GATE, len, prot, flags, u64::MAX, 0]) };
    if got != GATE as i64 {
        return Err(GiveUp {
            what: "the shim's window at 0x7e9000000000 is taken; is it loaded twice?",
            errno: if got < 0 { -(got as i32) } else { 0 },
        });
    }
    let to = ptr::with_exposed_provenance_mut(GATE as usize);
    // SAFETY: mapped writable just now; the blob fits a page (asserted below).
    unsafe { ptr::copy_nonoverlapping(blob.as_ptr(), to, blob.len()) };
    let exec = u64::from(k::PROT_READ | k::PROT_EXEC);
    // SAFETY: our own page.
    let done = unsafe { raw::call(k::__NR_mprotect, [GATE, PAGE, exec, 0, 0, 0]) };
    if done != 0 {
        return Err(GiveUp { what: "the gate cannot be made executable", errno: -(done as i32) });
    }
    Ok(())
}

const _: () = assert!(gate::GATE_END - GATE <= PAGE);

/// Puts gate and constants in their place for good: shared pages of a sealed file. What is private to the
/// process can be written through `/proc/self/mem`, which asks for no permission (`FOLL_FORCE`); these
/// cannot, by nobody.
///
/// The page that is replaced holds the call that does it, and the next instruction is the same in both.
pub(crate) fn pin_gate() -> Result<(), GiveUp> {
    let flags = k::MAP_SHARED | k::MAP_FIXED;
    let prot = k::PROT_READ | k::PROT_EXEC;
    seat::with_window(|fd, at| sys::mmap(GATE, PINNED_LEN, prot, flags, fd, at).map(|_| ()))
        .map_err(GiveUp::because("the gate cannot be put in its place"))
}

/// Maps the dispatch table, where gate and constants are there already.
pub(crate) fn map_table() -> Result<(), GiveUp> {
    let flags = k::MAP_PRIVATE | k::MAP_ANONYMOUS | k::MAP_FIXED_NOREPLACE;
    let prot = k::PROT_READ | k::PROT_WRITE;
    sys::mmap(TABLE, WINDOW_END - TABLE, prot, flags, -1, 0)
        .map(|_| ())
        .map_err(GiveUp::because("the shim's window is taken"))
}

/// Gives this thread its block.
///
/// # Safety
/// To be called once, after [`gate`].
pub(crate) unsafe fn block() -> Result<&'static Block, GiveUp> {
    let block = block::boot().map_err(GiveUp::because("no memory for the first thread"))?;
    sys::set_gs(block.this.get()).map_err(GiveUp::because("the gs base cannot be set"))?;
    Ok(block)
}

/// Makes the configuration known to the live code; `first` in the first process of a tree.
pub(crate) fn state(config: &Config, first: bool) {
    state::set_backstop(config.backstop);
    state::PATCHING.store(config.patch && config.backstop != Backstop::None, Ordering::Relaxed);
    state::LOG.store(config.log == Some(true), Ordering::Relaxed);
    state::REPORT.store(config.log != Some(false), Ordering::Relaxed);
    report::note_stderr();
    state::FSGSBASE.store(config.fsgsbase, Ordering::Relaxed);
    state::MIN_ALTSTACK.store(config.min_altstack, Ordering::Relaxed);
    let wrong = ["IA2_STATS: the path is too long", "IA2_STATS: the file cannot be opened"];
    keep_path(&STATS_PATH, &config.stats, stats::open, first, wrong);
    let wrong = ["IA2_LOG_FILE: the path is too long", "IA2_LOG_FILE: the file cannot be opened"];
    keep_path(&report::FILE, &config.log_file, report::open, first, wrong);
}

/// Keeps the path of a file that will be written, and opens it once: now, while it can be said what is
/// `wrong`; later nobody is left to tell.
fn keep_path(
    kept: &KeptPath,
    path: &[u8],
    open: fn() -> Option<Result<i32, i32>>,
    first: bool,
    wrong: [&'static str; 2],
) {
    let [too_long, no_file] = wrong;
    if path.is_empty() {
        return;
    }
    if !kept.set(path) {
        raw::give_up(too_long, 0);
    }
    match open() {
        Some(Ok(fd)) => sys::close(fd),
        Some(Err(errno)) if first => raw::give_up(no_file, errno),
        // Further down, somebody may have become a user who may not write it, or have another root.
        // That is no reason for a program not to start.
        Some(Err(_)) => {
            kept.set(&[]);
        }
        None => {}
    }
}

/// Fills the dispatch table. Fast calls are only counted where somebody will read the count.
pub(crate) fn table(config: &Config) {
    let fast = if config.stats.is_empty() { gate::FAST } else { gate::FAST_COUNTED };
    let guards = matches!(config.backstop, Backstop::Sud | Backstop::None);
    let is_slow = |number| {
        nr::is_inspected(number)
            || policy::is_slow(number, true)
            || (guards && (policy::is_looked_at(number) || nr::GUARDED.contains(&number)))
            || exe::is_looked_at(number)
    };
    for index in 0..TABLE_LEN {
        let target = match u32::try_from(index) {
            Ok(number) if index <= TABLE_NUMBERS && is_slow(number) => entry::slow_addr(),
            _ if index == TABLE_GENERIC => gate::GENERIC,
            _ => fast,
        };
        let slot = ptr::with_exposed_provenance_mut::<u64>((TABLE + 8 * index) as usize);
        // SAFETY: the window is still writable here, and the table lies in it.
        unsafe { slot.write(target) };
    }
    if let Err(errno) = sys::mprotect(TABLE, WINDOW_END - TABLE, k::PROT_READ) {
        raw::give_up("the dispatch table cannot be made read-only", errno);
    }
    // Before Linux 6.10 the filter alone keeps the window where it is (`ia2_core::bpf::GUARDS`).
    let _ = sys::mseal(GATE, WINDOW_END - GATE);
}

/// Seals the shim's own text where the kernel can (mseal(2), Linux 6.10): nobody changes its mapping.
pub(crate) fn seal_text(text: Option<(u64, u64)>) {
    if let Some((start, end)) = text {
        let _ = sys::mseal(start, end - start);
    }
}

/// Takes over the signal state: actions, mask, alternate stack. What the program had of held signals
/// before an exec, only the old image knew.
pub(crate) fn signals(block: &'static Block, handover: Option<&Handover>) -> Result<(), GiveUp> {
    for sig in 1..=SIG_MAX {
        // The kernel refuses nothing here: it is a query.
        if let Ok(old) = sys::sigaction(sig, None) {
            let ignored = handover.is_some_and(|handover| has(handover.ignored, sig));
            let old = if ignored { SigAction { handler: SIG_IGN, ..old } } else { old };
            action::PROCESS.adopt(sig, &old);
            if old.handler > 1 {
                let _ = sys::sigaction(sig, Some(&action::for_kernel(sig, &old)));
            }
        }
    }
    let altstack = block.kernel_altstack();
    let old = sys::sigaltstack(Some(&altstack))
        .map_err(GiveUp::because("the alternate signal stack cannot be set"))?;
    block.altstack.set(old);
    signal::install(block).map_err(GiveUp::because("the signal handlers cannot be set"))?;
    // Noted first: one that was sent meanwhile arrives as soon as the kernel lets it. The loader
    // starts with everything blocked; its caller tells what the program had.
    let mask = sys::sigprocmask(SIG_BLOCK, Some(0));
    block.blocked_held.set(handover.map_or(mask, |handover| handover.held) & HELD);
    sys::sigprocmask(SIG_UNBLOCK, Some(HELD));
    Ok(())
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    len: u16,
    filter: *const Insn,
}

/// Puts the backstop up: the last step, for nothing outside the gate can call the kernel after it.
///
/// A filter that was inherited is this one: it is not put up again.
pub(crate) fn backstop(
    config: &Config,
    block: &Block,
    handover: Option<&Handover>,
) -> Result<(), GiveUp> {
    if state::PATCHING.load(Ordering::Relaxed) {
        // Without it live patching registers itself at the first patch.
        let _ = sys::membarrier(patch::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
    }
    // What the program has before the shim adds to it. Under a backstop only the old image knew.
    let handover = handover.filter(|handover| handover.confined);
    let (no_new_privs, filtered) = match handover {
        Some(handover) => (handover.no_new_privs, handover.filtered),
        None => (sys::has_no_new_privs(), sys::is_filtered()),
    };
    block.no_new_privs.store(no_new_privs, Ordering::Relaxed);
    block.filtered.store(filtered, Ordering::Relaxed);
    let shape = match config.backstop {
        Backstop::None => return Ok(()),
        Backstop::Sud => {
            return clone::arm_dispatch().map_err(GiveUp::because(
                "Syscall User Dispatch cannot be switched on; it needs Linux 5.11",
            ));
        }
        Backstop::Strict | Backstop::Inspected if handover.is_some() => return Ok(()),
        Backstop::Strict => Shape::Strict,
        Backstop::Inspected => Shape::Inspected,
    };
    if !policy::is_there() {
        let filter = match shape {
            Shape::Strict => Filter::strict(gate::ALLOWED),
            Shape::Inspected => Filter::inspected(nr::INSPECTED, gate::ALLOWED),
        };
        return put_filter(filter.insns().as_ptr(), filter.insns().len());
    }
    // Each is complete in itself; the kernel takes the strictest answer.
    policy::layers().try_for_each(|layer| {
        let insns = layer.kernel(shape);
        put_filter(insns.as_ptr().cast(), insns.len() / size_of::<Insn>())
    })
}

/// Puts up one filter, on the only thread there is.
fn put_filter(insns: *const Insn, len: usize) -> Result<(), GiveUp> {
    const SECCOMP_SET_MODE_FILTER: u32 = 1;
    const SECCOMP_FILTER_FLAG_TSYNC: u32 = 1;
    const PR_SET_NO_NEW_PRIVS: u32 = 38;
    let program = Program { len: len as u16, filter: insns };
    let addr = (&raw const program).addr() as u64;
    let put = || sys::seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, addr);
    let result = match put() {
        // Without privilege a filter takes no_new_privs, which the program can see; else it does not.
        Err(EACCES) => {
            sys::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                .map_err(GiveUp::because("no_new_privs cannot be set"))?;
            put()
        }
        result => result,
    };
    match result {
        Ok(0) => Ok(()),
        Ok(_) => Err(GiveUp { what: "a thread has a seccomp filter of its own", errno: 0 }),
        Err(errno) => Err(GiveUp { what: "the seccomp filter was refused", errno }),
    }
}
