//! The shim's own system calls, through the gate's `raw`.
//!
//! Results are as the kernel gives them; typed wrappers return `Err(errno)`. Nothing here touches
//! errno variables or restarts a call.

#![allow(unsafe_code, reason = "system calls")]

use crate::abi::{SigAction, SigInfo, errno};
use crate::{gate, memory};
use core::arch::asm;
use ia2_core::access::HOW_SIZE;
use ia2_core::objects;
use ia2_core::sigset::{AltStack, SigSet};
use linux_raw_sys::general as k;

/// Makes call `nr`.
///
/// # Safety
/// The arguments must be ones with which the call breaks nothing that Rust code relies on.
pub unsafe fn raw(nr: u32, args: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = args;
    let result: i64;
    // SAFETY: the gate's `raw` makes the call and comes back through r15; it touches no stack.
    // SYSCALL destroys rcx and r11.
    unsafe {
        asm!(
            "lea r15, [rip + 2f]",
            "jmp {gate}",
            "2:",
            gate = in(reg) gate::RAW,
            inlateout("rax") i64::from(nr) => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            out("rcx") _,
            out("r11") _,
            out("r15") _,
            options(nostack),
        );
    }
    result
}

/// Splits a result into value and errno.
///
/// # Errors
/// The errno, if the result is one.
pub fn check(result: i64) -> Result<u64, i32> {
    if (-4095..0).contains(&result) { Err(-(result as i32)) } else { Ok(result as u64) }
}

macro_rules! call {
    ($nr:ident $(, $arg:expr)* $(,)?) => {{
        let mut args = [0u64; 6];
        let list: &[u64] = &[$($arg as u64),*];
        for (to, from) in args.iter_mut().zip(list.iter()) {
            *to = *from;
        }
        // SAFETY: the wrapper's own types and contract make the arguments harmless.
        unsafe { raw(k::$nr, args) }
    }};
}

/// mmap(2).
///
/// # Errors
/// As the call.
pub fn mmap(addr: u64, len: u64, prot: u32, flags: u32, fd: i32, offset: u64) -> Result<u64, i32> {
    let make = || call!(__NR_mmap, addr, len, prot, flags, i64::from(fd), offset);
    check(memory::own_mmap(make, len, prot, flags))
}

/// munmap(2), of memory that the shim mapped and nobody uses any more.
pub fn munmap(addr: u64, len: u64) {
    memory::own_munmap(|| call!(__NR_munmap, addr, len), addr..addr + len);
}

/// mprotect(2).
///
/// # Errors
/// As the call.
pub fn mprotect(addr: u64, len: u64, prot: u32) -> Result<(), i32> {
    let make = || call!(__NR_mprotect, addr, len, prot);
    check(memory::own_mprotect(make, addr..addr + len, prot)).map(|_| ())
}

/// write(2), the result ignored by most callers: there is nobody to tell.
///
/// # Errors
/// As the call.
pub fn write(fd: i32, bytes: &[u8]) -> Result<u64, i32> {
    check(call!(__NR_write, i64::from(fd), bytes.as_ptr().addr(), bytes.len()))
}

/// read(2).
///
/// # Errors
/// As the call.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize, i32> {
    check(call!(__NR_read, i64::from(fd), buffer.as_mut_ptr().addr(), buffer.len()))
        .map(|len| len as usize)
}

/// openat(2) with AT_FDCWD and O_CLOEXEC; `path` ends in a NUL.
///
/// # Errors
/// As the call.
pub fn open(path: &[u8], flags: u32, mode: u32) -> Result<i32, i32> {
    debug_assert_nul(path);
    let flags = flags | k::O_CLOEXEC;
    check(call!(__NR_openat, i64::from(k::AT_FDCWD), path.as_ptr().addr(), flags, mode))
        .map(|fd| fd as i32)
}

fn debug_assert_nul(path: &[u8]) {
    if path.last() != Some(&0) {
        crate::die::die("path without NUL", 0);
    }
}

/// close(2).
pub fn close(fd: i32) {
    call!(__NR_close, i64::from(fd));
}

/// flock(2) with LOCK_EX, or LOCK_UN.
pub fn flock(fd: i32, exclusive: bool) {
    call!(__NR_flock, i64::from(fd), if exclusive { k::LOCK_EX } else { k::LOCK_UN });
}

/// readlinkat(2) with AT_FDCWD; `path` ends in a NUL.
///
/// # Errors
/// As the call.
pub fn readlink(path: &[u8], buffer: &mut [u8]) -> Result<usize, i32> {
    debug_assert_nul(path);
    let (to, len) = (buffer.as_mut_ptr().addr(), buffer.len());
    check(call!(__NR_readlinkat, i64::from(k::AT_FDCWD), path.as_ptr().addr(), to, len))
        .map(|len| len as usize)
}

/// readlinkat(2) of the path at an address that may be the program's.
///
/// # Errors
/// As the call.
pub fn readlink_at(folder: i32, path: u64, buffer: &mut [u8]) -> Result<usize, i32> {
    let (to, len) = (buffer.as_mut_ptr().addr(), buffer.len());
    check(call!(__NR_readlinkat, i64::from(folder), path, to, len)).map(|len| len as usize)
}

/// Whether a process has ended, waited for or not: a pidfd is readable then (pidfd_open(2)).
pub fn has_ended(pid: u32) -> bool {
    const ESRCH: i32 = 3;
    const POLLIN: u64 = 1;
    match check(call!(__NR_pidfd_open, pid, 0)) {
        Ok(fd) => {
            let entry = fd | POLLIN << 32;
            let ready = call!(__NR_poll, (&raw const entry).addr(), 1, 0) == 1;
            close(fd as i32);
            ready
        }
        Err(errno) => errno == ESRCH,
    }
}

/// Gives this task a copy of the descriptors it shares with others, by unshare(2).
///
/// # Errors
/// As the call.
pub fn unshare_files() -> Result<(), i32> {
    check(call!(__NR_unshare, k::CLONE_FILES)).map(|_| ())
}

/// Whether the file at a path, which may be the program's, may be executed, by faccessat2(2).
pub fn is_executable(folder: i32, path: u64) -> bool {
    const X_OK: u32 = 1;
    check(call!(__NR_faccessat2, i64::from(folder), path, X_OK, k::AT_EACCESS)).is_ok()
}

/// getpid(2).
#[must_use]
pub fn getpid() -> i32 {
    call!(__NR_getpid) as i32
}

/// gettid(2).
#[must_use]
pub fn gettid() -> i32 {
    call!(__NR_gettid) as i32
}

/// exit_group(2).
pub fn exit_group(status: i32) -> ! {
    loop {
        call!(__NR_exit_group, i64::from(status));
    }
}

/// rt_sigprocmask(2) on the kernel's mask of this thread; gives the mask before.
pub fn sigprocmask(how: u32, set: Option<SigSet>) -> SigSet {
    let mut old: SigSet = 0;
    let set_addr = set.as_ref().map_or(0, |set| core::ptr::from_ref(set).addr());
    call!(__NR_rt_sigprocmask, how, set_addr, (&raw mut old).addr(), 8);
    old
}

/// rt_sigaction(2) on the kernel's action; gives the action before.
///
/// # Errors
/// As the call.
pub fn sigaction(sig: u32, new: Option<&SigAction>) -> Result<SigAction, i32> {
    let mut old = SigAction::default();
    let new_addr = new.map_or(0, |new| core::ptr::from_ref(new).addr());
    check(call!(__NR_rt_sigaction, sig, new_addr, (&raw mut old).addr(), 8))?;
    Ok(old)
}

/// sigaltstack(2) on the kernel's alternate stack of this thread.
///
/// # Errors
/// As the call.
pub fn sigaltstack(new: Option<&AltStack>) -> Result<AltStack, i32> {
    let mut old = AltStack::NONE;
    let new_addr = new.map_or(0, |new| core::ptr::from_ref(new).addr());
    check(call!(__NR_sigaltstack, new_addr, (&raw mut old).addr()))?;
    Ok(old)
}

/// rt_tgsigqueueinfo(2) to the calling thread: raises a signal again with the information it had.
pub fn requeue(info: &SigInfo) {
    let addr = core::ptr::from_ref(info).addr();
    call!(__NR_rt_tgsigqueueinfo, getpid(), gettid(), info.signo, addr);
}

/// `si_code` of a signal from tkill(2) or tgkill(2).
const SI_TKILL: i32 = -6;

/// Dies of a signal whose default action that is, if the kernel lets it.
pub fn die_of(sig: u32) {
    let _ = sigaction(sig, Some(&SigAction::default()));
    sigprocmask(ia2_core::sigset::SIG_UNBLOCK, Some(ia2_core::sigset::only(sig)));
    // As tgkill(2) would: by the call that a policy lets the shim make.
    requeue(&SigInfo { signo: sig as i32, code: SI_TKILL, ..SigInfo::default() });
}

/// membarrier(2).
///
/// # Errors
/// As the call.
pub fn membarrier(command: i32) -> Result<(), i32> {
    check(call!(__NR_membarrier, command, 0, 0)).map(|_| ())
}

/// arch_prctl(2) with ARCH_SET_GS.
///
/// # Errors
/// As the call.
pub fn set_gs(base: u64) -> Result<(), i32> {
    check(call!(__NR_arch_prctl, crate::state::ARCH_SET_GS, base)).map(|_| ())
}

/// Whether the process may use registers that the kernel keeps room for on demand only (AMX), by
/// arch_prctl(2) with ARCH_GET_XCOMP_PERM.
pub fn has_large_registers() -> bool {
    const ARCH_GET_XCOMP_PERM: u32 = 0x1022;
    const TILE_DATA: u64 = 1 << 18;
    let mut features = 0u64;
    let known = call!(__NR_arch_prctl, ARCH_GET_XCOMP_PERM, (&raw mut features).addr()) == 0;
    known && features & TILE_DATA != 0
}

/// The fs base of this thread, by arch_prctl(2) with ARCH_GET_FS.
///
/// # Errors
/// As the call.
pub fn fs_base() -> Result<u64, i32> {
    const ARCH_GET_FS: u32 = 0x1003;
    let mut base = 0u64;
    check(call!(__NR_arch_prctl, ARCH_GET_FS, (&raw mut base).addr())).map(|_| base)
}

/// rseq(2): takes this thread's area of `len` bytes back from the kernel, which `signature` was given with.
///
/// # Errors
/// EINVAL if that is not the area.
pub fn unregister_rseq(area: u64, len: u64, signature: u32) -> Result<(), i32> {
    const RSEQ_FLAG_UNREGISTER: u32 = 1;
    check(call!(__NR_rseq, area, len, RSEQ_FLAG_UNREGISTER, signature)).map(|_| ())
}

/// prctl(2) with five arguments.
///
/// # Errors
/// As the call.
pub fn prctl(option: u32, b: u64, c: u64, d: u64, e: u64) -> Result<u64, i32> {
    check(call!(__NR_prctl, option, b, c, d, e))
}

/// prctl(2): the mode of seccomp.
pub const PR_GET_SECCOMP: u32 = 21;
/// prctl(2): whether exec gives no privilege.
pub const PR_GET_NO_NEW_PRIVS: u32 = 39;

/// Whether the task has no_new_privs.
#[must_use]
pub fn has_no_new_privs() -> bool {
    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == Ok(1)
}

/// Whether the task is under a seccomp filter.
#[must_use]
pub fn is_filtered() -> bool {
    prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == Ok(2)
}

/// Whether the task has CAP_SYS_ADMIN in its user namespace, by capget(2).
pub fn is_admin() -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    const SYS_ADMIN: u32 = 21;
    let (head, mut sets) = ([VERSION_3, 0], [0u32; 6]);
    let done = call!(__NR_capget, (&raw const head).addr(), (&raw mut sets).addr()) == 0;
    let [effective, ..] = sets;
    done && effective & 1 << SYS_ADMIN != 0
}

/// seccomp(2).
///
/// # Errors
/// As the call.
pub fn seccomp(operation: u32, flags: u32, args: u64) -> Result<u64, i32> {
    check(call!(__NR_seccomp, operation, flags, args))
}

/// mseal(2), Linux 6.10.
///
/// # Errors
/// As the call; ENOSYS on older kernels.
pub fn mseal(addr: u64, len: u64) -> Result<(), i32> {
    check(call!(__NR_mseal, addr, len, 0)).map(|_| ())
}

/// mmap(2), mprotect(2) or pkey_mprotect(2) as the program made it.
pub fn pass(number: u32, args: [u64; 6]) -> i64 {
    // SAFETY: the program's own call, whose arguments the kernel checks; the shim's memory is no
    // worse off than if the call were passed on.
    unsafe { raw(number, args) }
}

/// Copies `len` bytes within this process by process_vm_readv(2), which faults on nothing.
///
/// # Errors
/// EFAULT if a byte is not there; EPERM or ENOSYS where the call is not to be had.
pub fn copy_own(to: u64, from: u64, len: usize) -> Result<(), i32> {
    let (local, remote) = ([to, len as u64], [from, len as u64]);
    let (local, remote) = ((&raw const local).addr(), (&raw const remote).addr());
    let copied = check(call!(__NR_process_vm_readv, getpid(), local, 1, remote, 1, 0))?;
    if copied == len as u64 { Ok(()) } else { Err(errno::EFAULT) }
}

/// memfd_create(2) of a file that may be sealed, and executed, and that exec closes.
///
/// # Errors
/// As the call.
pub fn memory_file(name: &core::ffi::CStr) -> Result<i32, i32> {
    let flags = k::MFD_CLOEXEC | k::MFD_ALLOW_SEALING;
    let create = |flags: u32| check(call!(__NR_memfd_create, name.as_ptr().addr(), flags));
    // Kernels before 6.3 do not know the flag, and make every such file executable.
    create(flags | k::MFD_EXEC).or_else(|_| create(flags)).map(|fd| fd as i32)
}

/// Forbids every change of a memory file.
///
/// # Errors
/// As fcntl(2).
pub fn seal(fd: i32) -> Result<(), i32> {
    let seals = k::F_SEAL_SEAL | k::F_SEAL_SHRINK | k::F_SEAL_GROW | k::F_SEAL_WRITE;
    check(call!(__NR_fcntl, fd, k::F_ADD_SEALS, seals)).map(|_| ())
}

/// dup2(2): exec leaves the copy open.
///
/// # Errors
/// As the call.
pub fn dup_to(fd: i32, slot: i32) -> Result<(), i32> {
    check(call!(__NR_dup3, fd, slot, 0)).map(|_| ())
}

/// Copies the first `len` bytes of a file to another, by sendfile(2).
///
/// # Errors
/// As the call; EIO if the file ends before.
pub fn copy_file(from: i32, to: i32, len: u64) -> Result<(), i32> {
    let mut left = len;
    while left != 0 {
        match check(call!(__NR_sendfile, to, from, 0, left))? {
            0 => return Err(errno::EIO),
            copied => left = left.saturating_sub(copied),
        }
    }
    Ok(())
}

/// Does `work` with descriptors up to `slot` allowed, whatever the soft limit is.
///
/// # Errors
/// As prlimit64(2), and those of `work`.
pub fn with_descriptors(slot: i32, work: impl FnOnce() -> Result<(), i32>) -> Result<(), i32> {
    let wanted = u64::from(slot.unsigned_abs()) + 1;
    let mut limit = [0u64; 2];
    check(call!(__NR_prlimit64, 0, k::RLIMIT_NOFILE, 0, (&raw mut limit).addr()))?;
    let [soft, hard] = limit;
    if soft >= wanted {
        return work();
    }
    let raised = [wanted, hard.max(wanted)];
    check(call!(__NR_prlimit64, 0, k::RLIMIT_NOFILE, (&raw const raised).addr(), 0))?;
    let done = work();
    check(call!(__NR_prlimit64, 0, k::RLIMIT_NOFILE, (&raw const limit).addr(), 0))?;
    done
}

/// openat(2); `path` is the address of a string.
///
/// # Errors
/// As the call.
pub fn open_at(folder: i32, path: u64, flags: u32) -> Result<i32, i32> {
    check(call!(__NR_openat, i64::from(folder), path, flags, 0)).map(|fd| fd as i32)
}

/// openat2(2) without a mode; `path` is the address of a string.
///
/// # Errors
/// As the call.
pub fn open_within(folder: i32, path: u64, flags: u32, resolve: u32) -> Result<i32, i32> {
    let how = [u64::from(flags), 0, u64::from(resolve)];
    let how_addr = (&raw const how).addr();
    check(call!(__NR_openat2, i64::from(folder), path, how_addr, HOW_SIZE)).map(|fd| fd as i32)
}

/// Whether the file could be executed by its descriptor: asks the kernel (`AT_EXECVE_CHECK`, Linux
/// 6.14), or, where it does not know, looks at type, permissions, and who writes it.
///
/// # Errors
/// What an exec would give, before anything is read of the file.
pub fn may_execute(fd: i32) -> Result<(), i32> {
    const AT_EXECVE_CHECK: u32 = 0x10000;
    const FORMAT: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    const X_OK: u32 = 1;
    let empty = c"".as_ptr().addr();
    let list = [empty as u64, 0];
    let flags = k::AT_EMPTY_PATH | AT_EXECVE_CHECK;
    match check(call!(__NR_execveat, i64::from(fd), empty, list.as_ptr().addr(), 0, flags)) {
        Err(errno::EINVAL) => {}
        result => return result.map(|_| ()),
    }
    if stat(fd)?.st_mode & FORMAT != REGULAR {
        return Err(errno::EACCES);
    }
    let flags = k::AT_EMPTY_PATH | k::AT_EACCESS;
    check(call!(__NR_faccessat2, fd, empty, X_OK, flags))?;
    if is_being_written(fd) { Err(errno::ETXTBSY) } else { Ok(()) }
}

/// Whether somebody has the file open for writing: then the kernel gives no lease for reading. Without the
/// capability CAP_LEASE it gives none for files of other users either, and nothing is known of those.
fn is_being_written(fd: i32) -> bool {
    // Whoever opens the file for writing while there is a lease has the kernel send a signal; one
    // that does nothing unless the program handles it, instead of SIGIO.
    if check(call!(__NR_fcntl, fd, k::F_SETSIG, k::SIGURG)).is_err() {
        return false;
    }
    let lease = check(call!(__NR_fcntl, fd, k::F_SETLEASE, k::F_RDLCK));
    if lease.is_ok() {
        let _ = check(call!(__NR_fcntl, fd, k::F_SETLEASE, k::F_UNLCK));
    }
    lease == Err(errno::EAGAIN)
}

/// Whether exec closes the descriptor.
pub fn is_closed_on_exec(fd: i32) -> bool {
    check(call!(__NR_fcntl, fd, k::F_GETFD))
        .is_ok_and(|flags| flags & u64::from(k::FD_CLOEXEC) != 0)
}

/// Has exec leave the descriptor open.
///
/// # Errors
/// As fcntl(2).
pub fn keep_over_exec(fd: i32) -> Result<(), i32> {
    check(call!(__NR_fcntl, fd, k::F_SETFD, 0)).map(|_| ())
}

/// mremap(2) of `len` bytes at `from` to `to`, over what is there.
///
/// # Errors
/// As the call.
pub fn move_pages(from: u64, to: u64, len: u64) -> Result<(), i32> {
    let flags = k::MREMAP_MAYMOVE | k::MREMAP_FIXED;
    check(call!(__NR_mremap, from, len, len, flags, to)).map(|_| ())
}

/// pread64(2).
///
/// # Errors
/// As the call.
pub fn pread(fd: i32, buffer: &mut [u8], offset: u64) -> Result<usize, i32> {
    check(call!(__NR_pread64, fd, buffer.as_mut_ptr().addr(), buffer.len(), offset))
        .map(|len| len as usize)
}

/// A random number, by getrandom(2); 0 if there is none to be had.
pub fn random() -> u64 {
    let mut word = 0u64;
    call!(__NR_getrandom, (&raw mut word).addr(), 8, k::GRND_NONBLOCK);
    word
}

/// The execution domain, by personality(2).
pub fn personality() -> u32 {
    call!(__NR_personality, 0xffff_ffffu32) as u32
}

/// Size in bytes of an open file, by fstat(2).
///
/// # Errors
/// As the call.
pub fn file_size(fd: i32) -> Result<u64, i32> {
    Ok(u64::try_from(stat(fd)?.st_size).unwrap_or(0))
}

/// What tells a file, and each of its states, from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// When the content changed last, in nanoseconds.
    pub modified: u64,
    /// When the inode changed last, in nanoseconds.
    pub changed: u64,
    /// The size of its blocks: for a file of huge pages, that of one.
    pub block: u64,
}

impl Identity {
    /// Which file it is, whatever its state.
    #[must_use]
    pub const fn file(self) -> objects::Identity {
        objects::Identity { device: self.device, inode: self.inode }
    }

    fn of(stat: &k::stat) -> Self {
        let time = |s: k::__kernel_ulong_t, ns| s.wrapping_mul(1_000_000_000).wrapping_add(ns);
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size.cast_unsigned(),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
            block: stat.st_blksize.cast_unsigned(),
        }
    }
}

/// The identity of an open file, by fstat(2).
///
/// # Errors
/// As the call.
pub fn identity(fd: i32) -> Result<Identity, i32> {
    stat(fd).map(|stat| Identity::of(&stat))
}

/// The identity of the file at `path`, which ends in NUL, by newfstatat(2).
///
/// # Errors
/// As the call.
pub fn identity_at(path: &[u8]) -> Result<Identity, i32> {
    debug_assert_nul(path);
    let at = i64::from(k::AT_FDCWD);
    filled(|stat| call!(__NR_newfstatat, at, path.as_ptr().addr(), stat, 0))
        .map(|stat| Identity::of(&stat))
}

/// As [`identity_at`], of a link itself.
///
/// # Errors
/// As the call.
pub fn link_identity_at(path: &[u8]) -> Result<Identity, i32> {
    debug_assert_nul(path);
    let at = i64::from(k::AT_FDCWD);
    let flags = k::AT_SYMLINK_NOFOLLOW;
    filled(|stat| call!(__NR_newfstatat, at, path.as_ptr().addr(), stat, flags))
        .map(|stat| Identity::of(&stat))
}

fn stat(fd: i32) -> Result<k::stat, i32> {
    filled(|stat| call!(__NR_fstat, fd, stat))
}

fn filled(call: impl FnOnce(usize) -> i64) -> Result<k::stat, i32> {
    let mut stat = core::mem::MaybeUninit::<k::stat>::zeroed();
    check(call(stat.as_mut_ptr().addr()))?;
    // SAFETY: integers only, and the kernel has filled it.
    Ok(unsafe { stat.assume_init() })
}

/// Whether only root and the user of this process can have written an open file: it is a regular one, of
/// one of them, that neither its group nor others may write.
///
/// # Errors
/// As fstat(2).
pub fn is_trusted(fd: i32) -> Result<bool, i32> {
    const TYPE: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    let stat = stat(fd)?;
    let own = stat.st_uid == 0 || i64::from(stat.st_uid) == call!(__NR_geteuid);
    Ok(own && stat.st_mode & TYPE == REGULAR && stat.st_mode & 0o022 == 0)
}

/// Where an open file ends, by lseek(2), which leaves its position there.
///
/// # Errors
/// As the call.
pub fn end_of_file(fd: i32) -> Result<u64, i32> {
    check(call!(__NR_lseek, fd, 0, k::SEEK_END))
}

/// pwrite64(2) of all of `bytes`.
///
/// # Errors
/// As the call; EIO if less is written.
pub fn pwrite(fd: i32, bytes: &[u8], offset: u64) -> Result<(), i32> {
    let done = check(call!(__NR_pwrite64, fd, bytes.as_ptr().addr(), bytes.len(), offset))?;
    if done == bytes.len() as u64 { Ok(()) } else { Err(errno::EIO) }
}

/// nanosleep(2) of less than a second; a signal may cut it short.
pub fn sleep(nanoseconds: u64) {
    let time = [0, nanoseconds];
    call!(__NR_nanosleep, (&raw const time).addr(), 0);
}

/// rt_sigpending(2) into the word at `addr`, which is the shim's own.
pub fn sigpending(addr: u64) -> i64 {
    call!(__NR_rt_sigpending, addr, 8)
}
