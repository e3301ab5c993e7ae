//! What this machine supports, found out by trying.

#![allow(unsafe_code, reason = "makes the calls that it asks about")]

use core::ffi::{c_long, c_void};
use core::ptr;
use std::fs;
use std::io;

use ia2_core::bpf::{Insn, NR, RET_ALLOW, RET_TRAP};
use ia2_core::cbpf::op;
use ia2_core::constants::errno_name;
use ia2_core::handover::LOADER_FD;
use ia2_core::layout::{GATE, RESERVED, WINDOW_END};
use serde_json::{Value, json};

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Yes,
    /// Not all of it, or with a price.
    Part,
    No,
    /// It says something, and nothing depends on it.
    Note,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Part => "~",
            Self::No => "no",
            Self::Note => "-",
        }
    }

    fn when(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

/// One thing that was found out.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) text: String,
    /// For machines.
    pub(super) value: Value,
}

/// All that was found out.
pub(super) struct Facts(Vec<Fact>);

impl Facts {
    pub(super) fn all(&self) -> &[Fact] {
        &self.0
    }

    /// Whether a thing is there, perhaps with a price.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|one| one.name == name && matches!(one.state, State::Yes | State::Part))
    }
}

/// Tries everything.
pub(super) fn facts() -> Facts {
    let all = [
        kernel(),
        cpu(),
        filter(),
        trap(),
        cache(),
        actions(),
        room(),
        listener(),
        dispatch(),
        privilege(),
        tracer(),
        window(),
        sealed_memory(),
        memory_files(),
        descriptors(),
        copies(),
        cores(),
        proc_files(),
        keys(),
        landlock(),
        lowest_address(),
        artifacts(),
    ];
    Facts(all.into())
}

fn fact(name: &'static str, state: State, text: impl Into<String>, value: Value) -> Fact {
    Fact { name, state, text: text.into(), value }
}

// ---- how things are tried

/// The end of a child that did `work`: what it returned, or the signal that it died of.
enum End {
    Exit(i32),
    Signal(i32),
}

/// Does `work` in a child, so that it has no consequences.
fn in_child(work: impl FnOnce() -> i32) -> Option<End> {
    // SAFETY: this process has one thread, so the child may do anything; it ends here, without the
    // parent's buffers and destructors.
    unsafe {
        match libc::fork() {
            -1 => None,
            0 => {
                // A child that dies of a signal leaves no core.
                let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
                libc::_exit(work())
            }
            pid => {
                let mut status = 0;
                while libc::waitpid(pid, &raw mut status, 0) < 0 {
                    if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                        return None;
                    }
                }
                Some(if libc::WIFSIGNALED(status) {
                    End::Signal(libc::WTERMSIG(status))
                } else {
                    End::Exit(libc::WEXITSTATUS(status))
                })
            }
        }
    }
}

/// 0, or the errno of the last call.
fn errno_if(failed: bool) -> i32 {
    if failed { io::Error::last_os_error().raw_os_error().unwrap_or(255) } else { 0 }
}

/// The name of an error.
fn name_of(errno: i32) -> String {
    let known = u16::try_from(errno).ok().and_then(errno_name);
    known.map_or_else(|| errno.to_string(), str::to_owned)
}

/// The errno that a child ended with; `None` if there was none.
fn failed(end: Option<End>) -> Option<String> {
    match end {
        Some(End::Exit(0)) => None,
        Some(End::Exit(errno)) => Some(name_of(errno)),
        Some(End::Signal(signal)) => Some(format!("died of signal {signal}")),
        None => Some("no child can be made".to_owned()),
    }
}

/// A call with arguments that are numbers.
fn call(number: c_long, args: [u64; 5]) -> i64 {
    let [a, b, c, d, e] = args;
    // SAFETY: the callers give calls that read and write no memory, or only what they lend.
    unsafe { libc::syscall(number, a, b, c, d, e) }
}

#[repr(C)]
struct Program {
    len: u16,
    insns: *const Insn,
}

const SET_MODE_FILTER: u64 = 1;

/// Installs a filter; gives what seccomp(2) gives.
fn install(insns: &[Insn], flags: u64) -> i64 {
    call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0]);
    let len = u16::try_from(insns.len()).unwrap_or(0);
    let program = Program { len, insns: insns.as_ptr() };
    call(libc::SYS_seccomp, [SET_MODE_FILTER, flags, (&raw const program).addr() as u64, 0, 0])
}

const ALLOW: Insn = Insn { code: op::RET_K, jt: 0, jf: 0, k: RET_ALLOW };

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// A line of `/proc/self/status`.
fn status(name: &str) -> Option<String> {
    let text = read("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|line| line.trim().to_owned())
}

// ---- the kernel and the CPU

fn kernel() -> Fact {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "?".to_owned());
    let is_enough = version(&release).is_some_and(|version| version >= (4, 14));
    let state = if is_enough { State::Yes } else { State::Part };
    let arch = if cfg!(target_arch = "x86_64") { "x86-64" } else { "another architecture" };
    let old = if is_enough { "" } else { "; older than 4.14, on which nobody has tried this" };
    fact("kernel", state, format!("Linux {release}, {arch}{old}"), json!(release))
}

/// Major and minor.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|char: char| !char.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn running() -> Option<(u32, u32)> {
    version(&read("/proc/sys/kernel/osrelease")?)
}

fn cpu() -> Fact {
    /// `HWCAP2_FSGSBASE`: the kernel lets programs use it.
    const FSGSBASE: u64 = 2;
    // SAFETY: takes a number.
    let there = unsafe { libc::getauxval(libc::AT_HWCAP2) } & FSGSBASE != 0;
    let text = match there {
        true => "wrgsbase works",
        false => "no wrgsbase: the block of a thread is set by arch_prctl, which is slower",
    };
    let state = if there { State::Yes } else { State::Part };
    fact("fsgsbase", state, text, json!(there))
}

// ---- seccomp

fn filter() -> Fact {
    let why = failed(in_child(|| errno_if(install(&[ALLOW], 0) != 0)));
    let text = match &why {
        None => "a filter can be installed".to_owned(),
        Some(why) => format!("a filter is refused: {why}"),
    };
    fact("seccomp filter", State::when(why.is_none()), text, json!(why.is_none()))
}

fn trap() -> Fact {
    let insn = |code, k, jt, jf| Insn { code, jt, jf, k };
    let program = [
        insn(op::LD_W_ABS, NR, 0, 0),
        insn(op::JEQ_K, libc::SYS_getppid as u32, 0, 1),
        insn(op::RET_K, RET_TRAP, 0, 0),
        ALLOW,
    ];
    let end = in_child(|| {
        if install(&program, 0) == 0 {
            call(libc::SYS_getppid, [0; 5]);
        }
        0
    });
    let works = matches!(end, Some(End::Signal(libc::SIGSYS)));
    let text = if works { "a refused call arrives as SIGSYS" } else { "no SIGSYS came" };
    fact("seccomp trap", State::when(works), text, json!(works))
}

fn cache() -> Fact {
    let there = running().is_some_and(|version| version >= (5, 11));
    let text = match there {
        true => {
            "Linux 5.11 or later answers calls that a filter allows in any case without running it"
        }
        false => "no: Linux 5.11 has it",
    };
    fact("bitmap cache", State::when(there), text, json!(there))
}

fn actions() -> Fact {
    match read("/proc/sys/kernel/seccomp/actions_avail") {
        Some(actions) => {
            let list: Vec<&str> = actions.split_whitespace().collect();
            fact("seccomp actions", State::Yes, actions.clone(), json!(list))
        }
        None => fact(
            "seccomp actions",
            State::Part,
            "the kernel does not list them (/proc/sys/kernel/seccomp)",
            Value::Null,
        ),
    }
}

/// The kernel counts the instructions of all filters of a task (`MAX_INSNS_PER_PATH`), and four for each.
fn room() -> Fact {
    const LEN: usize = 508;
    const COST: usize = LEN + 4;
    let program = [ALLOW; LEN];
    // At most 64 of them go in.
    let end = in_child(|| {
        let full = (0..200).find(|_| install(&program, 0) != 0);
        full.unwrap_or(200)
    });
    let filters = status("Seccomp_filters").unwrap_or_else(|| "?".to_owned());
    let mine = format!("{filters} in force already");
    match end {
        Some(End::Exit(count @ 1..)) => {
            let room = usize::try_from(count).unwrap_or(0) * COST;
            let text = format!(
                "{mine}; room for about {room} instructions more, in filters of at most 4096"
            );
            fact("room for filters", State::Yes, text, json!({"filters": filters, "room": room}))
        }
        _ => fact("room for filters", State::No, mine, json!({"filters": filters, "room": 0})),
    }
}

fn listener() -> Fact {
    /// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
    const NEW_LISTENER: u64 = 8;
    let why = failed(in_child(|| errno_if(install(&[ALLOW], NEW_LISTENER) < 0)));
    let text = match why.as_deref() {
        None => "a supervisor can listen (nothing here needs it yet)".to_owned(),
        Some("EBUSY") => {
            "somebody listens already: containers and syd do, and there can be only one".to_owned()
        }
        Some(why) => format!("no: {why}"),
    };
    let state = if why.is_none() { State::Yes } else { State::Part };
    fact("user notification", state, text, json!(why.is_none()))
}

fn dispatch() -> Fact {
    /// `PR_SET_SYSCALL_USER_DISPATCH`, and off.
    const DISPATCH: u64 = 59;
    let why = failed(in_child(|| errno_if(call(libc::SYS_prctl, [DISPATCH, 0, 0, 0, 0]) != 0)));
    let text = match &why {
        None => "Syscall User Dispatch works".to_owned(),
        Some(why) => format!("no Syscall User Dispatch (Linux 5.11 has it): {why}"),
    };
    fact("user dispatch", State::when(why.is_none()), text, json!(why.is_none()))
}

fn privilege() -> Fact {
    const SYS_ADMIN: u32 = 21;
    let set = status("NoNewPrivs").is_some_and(|value| value == "1");
    let capabilities = status("CapEff").and_then(|value| u64::from_str_radix(&value, 16).ok());
    let admin = capabilities.unwrap_or(0) & 1 << SYS_ADMIN != 0;
    let (state, text) = match (admin, set) {
        (true, _) => (State::Yes, "CAP_SYS_ADMIN: filters do not need no_new_privs"),
        (false, true) => (State::Yes, "no_new_privs is set already"),
        (false, false) => (
            State::Part,
            "no CAP_SYS_ADMIN: a filter sets no_new_privs, so set-user-ID programs run without it",
        ),
    };
    fact("privilege", state, text, json!({"no_new_privs": set, "sys_admin": admin}))
}

fn tracer() -> Fact {
    let pid = status("TracerPid").unwrap_or_else(|| "0".to_owned());
    match pid.as_str() {
        "0" => fact("tracer", State::Note, "none", json!(0)),
        _ => fact(
            "tracer",
            State::Part,
            format!("process {pid} traces this one: it sees a stop for each SIGSYS"),
            json!(pid.parse::<u32>().ok()),
        ),
    }
}

// ---- memory

fn window() -> Fact {
    let maps = read("/proc/self/maps").unwrap_or_default();
    let taken = maps.lines().find(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let parse = |text| u64::from_str_radix(text, 16).ok();
        let range = range.and_then(|(start, end)| Some((parse(start)?, parse(end)?)));
        range.is_some_and(|(start, end)| start < RESERVED.end && RESERVED.start < end)
    });
    let why = failed(in_child(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let len = (WINDOW_END - GATE) as usize;
        let at = ptr::without_provenance_mut::<c_void>(GATE as usize);
        // SAFETY: nothing is replaced, and nothing is there.
        let got = unsafe { libc::mmap(at, len, libc::PROT_READ, flags, -1, 0) };
        errno_if(got == libc::MAP_FAILED)
    }));
    let place = format!("{GATE:#x}..{WINDOW_END:#x}");
    match (taken, why) {
        (None, None) => fact("window", State::Yes, format!("{place} is free"), json!(place)),
        (Some(line), _) => {
            let words: Vec<&str> = line.split_whitespace().collect();
            let text = format!("{place} is taken: {}", words.join(" "));
            fact("window", State::No, text, json!(place))
        }
        (None, Some(why)) => {
            fact("window", State::No, format!("{place} cannot be mapped: {why}"), json!(place))
        }
    }
}

fn sealed_memory() -> Fact {
    /// No libc has its name yet.
    const MSEAL: c_long = 462;
    let why = failed(in_child(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new page.
        let page = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ, flags, -1, 0) };
        errno_if(call(MSEAL, [page.addr() as u64, 4096, 0, 0, 0]) != 0)
    }));
    let text = match &why {
        None => "the gate is sealed with mseal".to_owned(),
        Some(why) => format!("no mseal (Linux 6.10 has it): {why}"),
    };
    fact("mseal", State::when(why.is_none()), text, json!(why.is_none()))
}

fn memory_files() -> Fact {
    let setting = read("/proc/sys/vm/memfd_noexec").unwrap_or_else(|| "0".to_owned());
    let why = failed(in_child(|| {
        let flags = libc::MFD_ALLOW_SEALING | libc::MFD_CLOEXEC;
        let seals =
            libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        // SAFETY: a string that ends in NUL, and a descriptor of this child's own.
        unsafe {
            let told = libc::memfd_create(c"ia2-doctor".as_ptr(), flags | libc::MFD_EXEC);
            let fd = match told {
                -1 => libc::memfd_create(c"ia2-doctor".as_ptr(), flags),
                fd => fd,
            };
            errno_if(fd < 0 || libc::fcntl(fd, libc::F_ADD_SEALS, seals) != 0)
        }
    }));
    let text = match &why {
        None if setting == "0" => {
            "the loader and the policy travel in sealed memory files".to_owned()
        }
        None => format!("sealed memory files work; vm.memfd_noexec is {setting}"),
        Some(why) => format!(
            "no sealed memory files, so nothing can be executed: {why} (vm.memfd_noexec is {setting})"
        ),
    };
    fact("memory files", State::when(why.is_none()), text, json!(why.is_none()))
}

fn descriptors() -> Fact {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a structure of integers.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let wanted = LOADER_FD as u64 + 1;
    let enough = limit.rlim_max >= wanted;
    let text = match enough {
        true => format!("the limit allows {}, and {wanted} are needed", limit.rlim_max),
        false => {
            format!("the limit allows {} only: exec needs {wanted} (ulimit -Hn)", limit.rlim_max)
        }
    };
    fact("descriptors", State::when(enough), text, json!(limit.rlim_max))
}

fn copies() -> Fact {
    let why = failed(in_child(|| {
        let (from, mut to) = ([7u8; 8], [0u8; 8]);
        let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
        let remote = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
        // SAFETY: both buffers are as long as they say.
        let done = unsafe {
            libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
        };
        errno_if(done != 8)
    }));
    let text = match &why {
        None => "arguments can be read without a fault".to_owned(),
        Some(why) => format!("a process cannot read its own memory: {why}"),
    };
    fact("process_vm_readv", State::when(why.is_none()), text, json!(why.is_none()))
}

fn cores() -> Fact {
    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE`.
    const SYNC_CORE: i64 = 1 << 5;
    let there = call(libc::SYS_membarrier, [0; 5]) & SYNC_CORE != 0;
    let text = match there {
        true => "all cores can be told of a patch",
        false => "no membarrier for cores: sites that are found late stay traps",
    };
    let state = if there { State::Yes } else { State::Part };
    fact("membarrier", state, text, json!(there))
}

fn proc_files() -> Fact {
    let there = fs::metadata("/proc/self/maps").is_ok();
    let text = if there {
        "is mounted"
    } else {
        "is not mounted: texts are found by it, and exec needs it"
    };
    fact("/proc", State::when(there), text, json!(there))
}

// ---- what later versions need

fn keys() -> Fact {
    let why = failed(in_child(|| errno_if(call(libc::SYS_pkey_alloc, [0; 5]) < 0)));
    let flags = read("/proc/cpuinfo").unwrap_or_default();
    let of_cpu = flags
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| line.split_whitespace().any(|flag| flag == "pku"));
    let text = match (&why, of_cpu) {
        (None, _) => "there are some (nothing here needs them yet)".to_owned(),
        (Some(why), true) => format!("the CPU has them, and the kernel gives none: {why}"),
        (Some(_), false) => "the CPU has none".to_owned(),
    };
    let state = if why.is_none() { State::Yes } else { State::No };
    fact("protection keys", state, text, json!(why.is_none()))
}

fn landlock() -> Fact {
    const CREATE_RULESET: c_long = 444;
    let abi = call(CREATE_RULESET, [0, 0, 1, 0, 0]);
    let (state, text) = match abi {
        1.. => (State::Yes, format!("ABI {abi} (nothing here needs it yet)")),
        _ => (State::Part, format!("none: {}", name_of(errno_if(true)))),
    };
    fact("landlock", state, text, json!(abi.max(0)))
}

fn lowest_address() -> Fact {
    let lowest = read("/proc/sys/vm/mmap_min_addr").unwrap_or_else(|| "?".to_owned());
    let text = format!("{lowest}; does not matter, the gate lies high");
    fact("vm.mmap_min_addr", State::Note, text, json!(lowest))
}

fn artifacts() -> Fact {
    let missing: Vec<&str> = [crate::LOADER, "libia2shim.so"]
        .into_iter()
        .filter(|name| !crate::beside(name).is_ok_and(|path| path.exists()))
        .collect();
    let text = match missing.is_empty() {
        true => "the loader and the library are beside ia2".to_owned(),
        false => format!("not beside ia2: {}", missing.join(", ")),
    };
    let state = if missing.is_empty() { State::Yes } else { State::Part };
    fact("artifacts", state, text, json!(missing))
}
