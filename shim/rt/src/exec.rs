//! execve and execveat: the new program is started by the loader.
//!
//! The filter survives exec, addresses do not: the first call of an image that the kernel itself
//! starts would come from its own text, and be its end. So every exec becomes the *pinned form*, that
//! of `ia2-loader`, whose image has the gate at the gate's address: through the descriptor
//! [`LOADER_FD`] and the empty path at [`EMPTY_PATH`]. It gets the program as an open descriptor,
//! and maps it as the kernel would have (`loader/README.md`).
//!
//! What can go wrong must go wrong here, while the old image is there to be told. In order:
//!
//! 1. every signal but the faults is blocked, for the mask survives exec as well; a signal that came
//!    before is handled first, and the call made again;
//! 2. the program is opened, and the kernel is asked whether it could be executed
//!    (`AT_EXECVE_CHECK`, Linux 6.14; before that its type and permissions are looked at, and whether
//!    somebody writes it);
//! 3. its first bytes say what it is: a script leads to its interpreter, with the arguments that
//!    fs/binfmt_script.c makes; an ELF program must be one that can be mapped, and the interpreter it
//!    names one that can be executed;
//! 4. the argument list gets two entries at its front, which the loader takes off again: the path of
//!    the program, and what is handed over ([`Handover`]);
//! 5. the pinned call. If it returns, the kernel has refused what only it can see: arguments that are
//!    too long, or not there.
//!
//! The program's descriptor must be inheritable for the last of these steps. So that no other task
//! inherits it, none is made with a copy of the descriptors meanwhile ([`lock::EXEC`]).
//!
//! The list and the strings made here are in a mapping of their own, which a successful exec takes
//! with it. That of a child of vfork is its parent's memory: it is noted in the block, and the parent
//! unmaps it.

use crate::abi::errno::{
    E2BIG, EACCES, EFAULT, EINVAL, ELIBBAD, ELOOP, ENODEV, ENOENT, ENOEXEC, ENXIO, EPERM,
};
use crate::abi::{SIG_IGN, SigAction};
use crate::ask::MOST_TRIES;
use crate::block::Block;
use crate::state::{self, Backstop};
use crate::{exe, gate, lock, sys, usermem};
use core::ops::Range;
use core::sync::atomic::Ordering;
use ia2_core::elf::{ENTRY_LEN, HEADER_LEN, Header, Table};
use ia2_core::handover::{Handover, LOADER_FD};
use ia2_core::layout::{EMPTY_PATH, RESERVED};
use ia2_core::nr;
use ia2_core::regs::Frame;
use ia2_core::script::{self, NoScript};
use ia2_core::sigset::{HELD, SIG_MAX, UNBLOCKABLE, has, only};
use ia2_core::text::Text;
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE,
    O_CLOEXEC, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, PROT_READ, PROT_WRITE,
};

/// Interpreters of interpreters (`exec_binprm`: more than five rewrites are ELOOP).
const SCRIPTS: usize = 5;
/// Longest path, its NUL included.
const PATH_MAX: usize = 4096;
/// Entries that the list may grow by: the loader's two, and two for each script.
const GROWTH: u64 = 2 + 2 * SCRIPTS as u64;
/// Room for strings: a path and a handover, and for each script its line and a path.
const STRINGS: u64 = 2 * PATH_MAX as u64 + 512 + SCRIPTS as u64 * 512;
/// Most arguments; the kernel finds a list of that size too big as well (`bprm_stack_limits`).
const ARGUMENTS_MAX: u64 = 1 << 24;

/// One exec as the program asked for it.
struct Call {
    folder: i32,
    path: u64,
    argv: u64,
    envp: u64,
    flags: u32,
}

/// Makes the call of `frame`; returns if it failed.
pub fn exec(block: &Block, frame: &Frame) {
    let [a, b, c, d, e, _] = frame.args();
    let call = match frame.nr() {
        nr::EXECVE => Call { folder: AT_FDCWD, path: a, argv: b, envp: c, flags: 0 },
        _ => Call { folder: a as i32, path: b, argv: c, envp: d, flags: e as u32 },
    };
    let mask = block.block_but_faults();
    if block.deferred.load(Ordering::Relaxed) != 0 {
        return block.pass();
    }
    let mut made = Made { fd: -1, memory: 0, len: 0 };
    let tries = block.tries.take();
    let errno = match prepare(block, &call, mask, &mut made) {
        Err(TURNED) if tries < MOST_TRIES => {
            made.undo(block);
            block.tries.set(tries + 1);
            return block.unmask(mask, gate::GENERIC); // judged anew
        }
        Err(TURNED) => EACCES,
        Ok(list) => execute(block, &call, list, &mut made),
        Err(errno) => errno,
    };
    made.undo(block);
    block.done(-i64::from(errno));
    block.unmask(mask, frame.rcx);
}

/// No errno: the path leads to another file by now.
const TURNED: i32 = 0;

/// What a failed exec leaves behind, to be taken away.
struct Made {
    fd: i32,
    memory: u64,
    len: u64,
}

impl Made {
    fn undo(&self, block: &Block) {
        if self.fd >= 0 {
            sys::close(self.fd);
        }
        if self.memory != 0 {
            sys::munmap(self.memory, self.len);
            block.exec_memory.set((0, 0));
        }
    }
}

/// Strings and the list, in a mapping: the list from its start, strings from `strings` on.
struct Builder {
    /// Where the next string goes, and the end of its room.
    next: u64,
    end: u64,
    /// The list's first slot, and where its first entry is: it grows to the front.
    list: u64,
    first: u64,
}

impl Builder {
    /// Keeps a string, adding its NUL, and gives its address.
    fn string(&mut self, bytes: &[u8]) -> Result<u64, i32> {
        let addr = self.next;
        let end = addr + bytes.len() as u64 + 1;
        if end > self.end {
            return Err(E2BIG);
        }
        // The room is zeros, so the NUL is there.
        usermem::copy(addr, bytes.as_ptr().addr() as u64, bytes.len())?;
        self.next = end;
        Ok(addr)
    }

    /// Puts an entry before the others.
    fn push_front(&mut self, addr: u64) -> Result<(), i32> {
        if self.first == self.list {
            return Err(E2BIG);
        }
        self.first -= 8;
        usermem::write(self.first, &addr)
    }

    /// Takes the first entry away, if there is one.
    fn drop_first(&mut self) -> Result<(), i32> {
        if usermem::read::<u64>(self.first)? != 0 {
            self.first += 8;
        }
        Ok(())
    }
}

/// The pinned call. Gives the errno; a successful exec does not return.
fn execute(block: &Block, call: &Call, list: u64, made: &mut Made) -> i32 {
    // A guest's descriptors are its own.
    let _guard = (!block.guest.get()).then(|| lock::EXEC.lock(block));
    if let Err(errno) = sys::keep_over_exec(made.fd) {
        return errno;
    }
    let args = [LOADER_FD as u64, EMPTY_PATH, list, call.envp, AT_EMPTY_PATH.into(), 0];
    let result = sys::pass(nr::EXECVEAT, args);
    sys::close(core::mem::replace(&mut made.fd, -1));
    -(result as i32)
}

fn prepare(block: &Block, call: &Call, mask: u64, made: &mut Made) -> Result<u64, i32> {
    let mut path = [0u8; PATH_MAX];
    let path_len = usermem::string(call.path, &mut path)?;
    if call.flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(EINVAL);
    }
    let path = path.get(..path_len).unwrap_or(&[]);
    // The kernel does so in an exec. Before the program is open, or the others would keep it; and only
    // if that is likely to be the last thing this task does.
    if state::FILES_SHARED.load(Ordering::Relaxed)
        && (path.is_empty() || sys::is_executable(call.folder, call.path))
    {
        sys::unshare_files()?;
    }
    made.fd = open(call, path)?;
    if let Some(judged) = block.judged_file.get()
        && sys::identity(made.fd)?.file() != judged
        // Judged by the name that the kernel gives it, which is the loader's.
        && exe::instead(call.folder, call.path).is_none()
    {
        return Err(TURNED);
    }
    // The loader reads there what it starts in; without it, better an error now than an end later.
    sys::close(sys::open(b"/proc/self/maps\0", O_RDONLY, 0)?);
    let count = count(call.argv)?;
    made.len = (count + 2 + GROWTH) * 8 + STRINGS;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    made.memory = sys::mmap(0, made.len, PROT_READ | PROT_WRITE, flags, -1, 0)?;
    if block.vforked.get() {
        block.exec_memory.set((made.memory, made.len));
    }
    let list = made.memory;
    let first = list + GROWTH * 8;
    let strings = first + (count + 2) * 8;
    let mut builder = Builder { next: strings, end: made.memory + made.len, list, first };
    if count == 0 {
        // As the kernel since 5.18: a program gets at least an empty name.
        let empty = builder.string(b"")?;
        usermem::write(first, &empty)?;
    } else {
        usermem::copy(first, call.argv, count as usize * 8)?;
    }

    let name = builder.string(full_name(call, path).as_bytes())?;
    follow(made, &mut builder, name, call)?;

    let handover = Handover {
        fd: made.fd,
        mask: mask & !UNBLOCKABLE,
        held: block.blocked_held.get(),
        ignored: ignored(block),
        confined: matches!(state::backstop(), Backstop::Strict | Backstop::Inspected),
        no_new_privs: block.no_new_privs.load(Ordering::Relaxed),
        filtered: block.filtered.load(Ordering::Relaxed),
    };
    let mut numbers = Text::<128>::new();
    handover.write(&mut numbers);
    let numbers = numbers.as_bytes().split_last().map_or(&[][..], |(_, bytes)| bytes);
    let numbers = builder.string(numbers)?;
    builder.push_front(numbers)?;
    builder.push_front(name)?;
    Ok(builder.first)
}

/// The name of the program as the kernel makes it (`alloc_bprm`): what AT_EXECFN shows, and what
/// the interpreter of a script is given.
fn full_name(call: &Call, path: &[u8]) -> Text<{ PATH_MAX + 32 }> {
    let mut name = Text::new();
    if call.folder != AT_FDCWD && !path.starts_with(b"/") {
        name.str("/dev/fd/").dec(u64::from(call.folder.unsigned_abs()));
        if !path.is_empty() {
            name.byte(b'/');
        }
    }
    name.raw(path);
    name
}

/// Opens the program, if it may be executed.
fn open(call: &Call, path: &[u8]) -> Result<i32, i32> {
    let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    let fd = if path.is_empty() {
        if call.flags & AT_EMPTY_PATH == 0 {
            return Err(ENOENT);
        }
        // By its name in /proc, for the program may have it open in another way than for reading.
        let mut name = Text::<64>::new();
        name.str("/proc/self/fd/").dec(u64::from(call.folder.unsigned_abs())).byte(0);
        sys::file_size(call.folder)?; // EBADF
        sys::open_at(AT_FDCWD, name.as_bytes().as_ptr().addr() as u64, flags).map_err(no_file)?
    } else {
        let nofollow = call.flags & AT_SYMLINK_NOFOLLOW != 0;
        let flags = if nofollow { flags | O_NOFOLLOW } else { flags };
        let path = exe::instead(call.folder, call.path).filter(|_| !nofollow);
        sys::open_at(call.folder, path.unwrap_or(call.path), flags).map_err(no_file)?
    };
    match sys::may_execute(fd) {
        Ok(()) => Ok(fd),
        Err(errno) => {
            sys::close(fd);
            Err(errno)
        }
    }
}

/// What the kernel says of files that cannot be opened like one: sockets, devices without a driver.
fn no_file(errno: i32) -> i32 {
    if matches!(errno, ENXIO | ENODEV) { EACCES } else { errno }
}

/// Follows scripts to the program that runs them, in `made.fd`; the list becomes what that gets.
fn follow(made: &mut Made, list: &mut Builder, name: u64, call: &Call) -> Result<(), i32> {
    let mut script_name = name;
    for _ in 0..=SCRIPTS {
        let mut head = [0u8; script::HEAD];
        let len = sys::pread(made.fd, &mut head, 0)?;
        let head = head.get(..len).unwrap_or(&[]);
        let line = match script::read(head) {
            Ok(line) => line,
            Err(NoScript::Broken) => return Err(ENOEXEC),
            Err(NoScript::Other) => return check_program(made.fd, head),
        };
        // The interpreter would find the descriptor closed (`path_noexec` aside: load_script).
        if script_name == name && call.folder != AT_FDCWD && sys::is_closed_on_exec(call.folder) {
            return Err(ENOENT);
        }
        let interpreter = list.string(head.get(line.interpreter).unwrap_or(&[]))?;
        list.drop_first()?;
        list.push_front(script_name)?;
        if let Some(argument) = line.argument {
            let argument = list.string(head.get(argument).unwrap_or(&[]))?;
            list.push_front(argument)?;
        }
        list.push_front(interpreter)?;
        script_name = interpreter;
        let fd = sys::open_at(AT_FDCWD, interpreter, O_RDONLY | O_CLOEXEC | O_NONBLOCK)?;
        sys::close(made.fd);
        made.fd = fd;
        sys::may_execute(fd)?;
    }
    Err(ELOOP)
}

/// Whether the file is a program that the loader can map, and its interpreter one that can be run.
fn check_program(fd: i32, head: &[u8]) -> Result<(), i32> {
    let Some(range) = check_image(fd, head)? else { return Ok(()) };
    let mut path = [0u8; PATH_MAX];
    let len = usize::try_from(range.end - range.start).map_err(|_| ENOEXEC)?;
    let path = path.get_mut(..len).ok_or(ENOEXEC)?;
    if len < 2 || sys::pread(fd, path, range.start)? != len || path.last() != Some(&0) {
        return Err(ENOEXEC);
    }
    let interpreter =
        sys::open_at(AT_FDCWD, path.as_ptr().addr() as u64, O_RDONLY | O_CLOEXEC | O_NONBLOCK)?;
    let mut head = [0u8; HEADER_LEN];
    let checked = sys::may_execute(interpreter).and_then(|()| {
        sys::pread(interpreter, &mut head, 0)?;
        let checked = check_image(interpreter, &head);
        checked.map_err(|errno| if errno == ENOEXEC { ELIBBAD } else { errno })
    });
    sys::close(interpreter);
    checked.map(|_| ())
}

/// Whether the file, which begins with `head`, is one that can be mapped. Answers where the path of its
/// interpreter is.
fn check_image(fd: i32, head: &[u8]) -> Result<Option<Range<u64>>, i32> {
    let header = Header::read(head).map_err(|_| ENOEXEC)?;
    let mut table = [0u8; 64 * ENTRY_LEN];
    let len = (header.table.end - header.table.start) as usize;
    // A program with more headers is not looked at closer: the loader will say what is wrong.
    let Some(table) = table.get_mut(..len) else { return Ok(None) };
    if sys::pread(fd, table, header.table.start)? != len {
        return Err(ENOEXEC);
    }
    let table = Table(table);
    let extent = table.extent().map_err(|_| ENOEXEC)?;
    // Its calls from there would pass the filter.
    if header.fixed && extent.start < RESERVED.end && RESERVED.start < extent.end {
        return Err(EPERM);
    }
    Ok(table.interpreter())
}

/// Entries of the list at `argv`.
fn count(argv: u64) -> Result<u64, i32> {
    if argv == 0 {
        return Ok(0);
    }
    for index in 0..ARGUMENTS_MAX {
        let addr = argv.checked_add(index * 8).ok_or(EFAULT)?;
        if usermem::read::<u64>(addr)? == 0 {
            return Ok(index);
        }
    }
    Err(E2BIG)
}

/// The held signals that the program ignores: the kernel knows them by the shim's handler.
fn ignored(block: &Block) -> u64 {
    let ignores = |sig: &u32| {
        let action: SigAction = block.actions.get().get(block, *sig);
        has(HELD, *sig) && action.handler == SIG_IGN
    };
    (1..=SIG_MAX).filter(ignores).fold(0, |set, sig| set | only(sig))
}
