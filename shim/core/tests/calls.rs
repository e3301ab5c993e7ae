//! The table of calls against what others say: the `syscalls` crate, the kernel's header, IA2's own
//! table, and the names that policies use.

use ia2_core::calls::{self, Call, Dir, Ia2Policy, Kind, Len, NEWEST, Version, Width};
use ia2_core::constants::{self, Set};
use ia2_core::{nr, sets};
use std::collections::BTreeMap;
use std::process::Command;

fn call(name: &str) -> Call {
    calls::by_name(name).unwrap_or_else(|| panic!("no call {name}"))
}

#[test]
fn numbers_and_names_are_those_of_the_syscalls_crate() {
    // Where that crate and we differ, and why.
    let known = [
        (470, "listns", "newer than the crate, which ends with Linux 6.17"),
        (471, "rseq_slice_yield", "as listns"),
    ];
    let theirs: BTreeMap<u32, &str> = syscalls::SysnoSet::all()
        .iter()
        .map(|one| (one.id().cast_unsigned(), one.name()))
        .collect();
    for call in calls::all() {
        match theirs.get(&call.nr) {
            Some(name) => assert_eq!(*name, call.name),
            None => assert!(known.iter().any(|row| (row.0, row.1) == (call.nr, call.name))),
        }
    }
    for (nr, name) in theirs {
        assert_eq!(calls::by_nr(nr).map(|call| call.name), Some(name));
    }
}

#[test]
fn numbers_and_names_are_those_of_the_kernel_header() {
    let output = Command::new("gcc")
        .args(["-E", "-dM", "-include", "asm/unistd_64.h", "-x", "c", "/dev/null"])
        .output()
        .expect("gcc can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut newest = 0;
    let mut seen = 0;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("#define __NR_") else { continue };
        let (name, number) = rest.split_once(' ').expect("a macro has a value");
        let number = number.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
        // A header newer than the table names calls that the table cannot have.
        if number <= NEWEST {
            assert_eq!(calls::by_nr(number).map(|call| call.name), Some(name), "{line}");
            newest = newest.max(number);
            seen += 1;
        }
    }
    // Nor does the table have what the header leaves out, up to its newest. The probes have numbers
    // in the gap between 334 and 424, so a header may be newer than one of them and not the other.
    let ours = calls::all().filter(|call| call.nr <= newest);
    let ours = ours.filter(|call| !matches!(call.name, "uretprobe" | "uprobe")).count();
    let probes = ["uretprobe", "uprobe"]
        .iter()
        .filter(|name| text.contains(&format!("#define __NR_{name} ")));
    assert_eq!(seen, ours + probes.count());
    assert!(seen > 300, "{seen}");
}

/// The rows of IA2's table, `tests/data/ia2-table.tsv`.
fn seed() -> Vec<Vec<&'static str>> {
    let mut rows: Vec<_> = include_str!("data/ia2-table.tsv")
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .collect();
    assert_eq!(
        rows.remove(0)[..7].join(" "),
        "nr name entrypoint implementation category policy action"
    );
    rows
}

fn policy(text: &'static str) -> Ia2Policy {
    match (text, text.strip_prefix("complex:")) {
        ("allow", _) => Ia2Policy::Allow,
        ("forbid", _) => Ia2Policy::Forbid,
        (_, Some(class)) => Ia2Policy::Complex(class),
        _ => panic!("{text}"),
    }
}

#[test]
fn every_row_of_ia2s_table_is_there_with_its_words() {
    let rows = seed();
    assert_eq!(rows.len(), 362);
    for row in &rows {
        let [number, name, entry, _, category, words, action, said] = row[..] else {
            panic!("{row:?}")
        };
        let call = call(name);
        assert_eq!(call.nr.to_string(), number, "{name}");
        let ia2 = calls::ia2(call.nr).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(ia2.category, category, "{name}");
        assert_eq!(ia2.seed, words, "{name}");
        assert_eq!(ia2.seed_policy.unwrap_or(ia2.policy), policy(action), "{name}");
        // What was said about a row is kept, and a change has a reason.
        assert!(ia2.reason.contains(said), "{name}");
        assert!(ia2.seed_policy.is_none_or(|old| old != ia2.policy && !ia2.reason.is_empty()));
        // The name of the entry point means the call. `stub_` ones are no C functions.
        if !entry.is_empty() && !entry.starts_with("stub_") {
            assert_eq!(calls::by_name(entry), Some(call), "{entry}");
        }
    }
    let theirs = |call: &Call| calls::ia2(call.nr).is_some_and(|ia2| !ia2.seed.is_empty());
    assert_eq!(calls::all().filter(theirs).count(), rows.len());
    // The rest is newer, or from the gap, and has a reason.
    for call in calls::all().filter(|call| !theirs(call)) {
        let ia2 = calls::ia2(call.nr).unwrap_or_else(|| panic!("{}", call.name));
        assert!(call.since > Version::new(6, 3) && !ia2.reason.is_empty(), "{}", call.name);
    }
}

#[test]
fn policies_for_the_whole_table_add_up() {
    let count = |wanted: fn(Ia2Policy) -> bool| {
        let rows =
            calls::all().filter_map(|call| calls::ia2(call.nr)).filter(|ia2| !ia2.seed.is_empty());
        rows.filter(|ia2| wanted(ia2.seed_policy.unwrap_or(ia2.policy))).count()
    };
    assert_eq!(count(|policy| policy == Ia2Policy::Forbid), 96);
    // madvise was allowed before the thread amended it.
    assert_eq!(count(|policy| policy == Ia2Policy::Allow), 234);
    assert_eq!(count(|policy| matches!(policy, Ia2Policy::Complex(_))), 32);
}

#[test]
fn calls_are_found_by_number_and_by_every_name() {
    assert!(calls::all().is_sorted_by(|a, b| a.nr < b.nr));
    assert_eq!(NEWEST, 471);
    for call in calls::all() {
        assert_eq!(calls::by_nr(call.nr), Some(call));
        assert_eq!(calls::name(call.nr), Some(call.name));
        assert!(calls::args(call.nr).eq(call.args.iter().copied()), "{}", call.name);
        for name in call.aliases().chain([call.name]) {
            assert_eq!(calls::by_name(name), Some(call), "{name}");
            assert_eq!(calls::by_name(&format!("sys_{name}")), Some(call), "{name}");
            assert_eq!(calls::nearest(name), Some(name));
        }
    }
    for gap in [337, 423, 472, 512, 0x4000_0000, u32::MAX] {
        assert_eq!((calls::by_nr(gap), calls::name(gap), calls::args(gap).len()), (None, None, 0));
    }
    for name in ["", "sys_", "sys_sys_read", "Read", "adjtime", "__clone2", "mmap2", "_llseek"] {
        assert_eq!(calls::by_name(name), None, "{name}");
    }
}

#[test]
fn seeds_and_manual_pages_name_calls_by_their_aliases() {
    for (alias, name) in [
        ("sys_newstat", "stat"),
        ("sys_newuname", "uname"),
        ("sys_sigreturn", "rt_sigreturn"),
        ("sigaction", "rt_sigaction"),
        ("umount", "umount2"),
        ("pread", "pread64"),
        ("fadvise64_64", "fadvise64"),
        ("sendfile64", "sendfile"),
        ("fstatat", "newfstatat"),
        ("prlimit", "prlimit64"),
    ] {
        assert_eq!(call(alias).name, name);
    }
}

#[test]
fn mistyped_names_have_a_nearest_one() {
    for (wrong, right) in [
        ("raed", Some("read")),
        ("opneat", Some("openat")),
        ("sys_wrlte", Some("write")),
        ("adjtime", Some("adjtimex")),
        ("clone2", Some("clone")),
        ("getrandm", Some("getrandom")),
        ("sched_setafinity", Some("sched_setaffinity")),
        ("frobnicate_all", None),
    ] {
        assert_eq!(calls::nearest(wrong), right, "{wrong}");
    }
    assert_eq!(constants::nearest("PROT_EXECUTE"), Some("PROT_EXEC"));
    assert_eq!(constants::nearest("prot_exec"), Some("PROT_EXEC"));
    assert_eq!(sets::nearest("@filesystem"), Some("@file-system"));
}

/// The names in the example policies.
const USED: [(&str, &[&str]); 26] = [
    ("read", &["fd"]),
    ("write", &["fd"]),
    ("gettimeofday", &["tz"]),
    ("mmap", &["addr", "len", "length", "prot", "flags", "fd", "off", "offset"]),
    ("mprotect", &["addr", "len", "prot"]),
    ("pkey_mprotect", &["addr", "len", "prot", "pkey"]),
    ("munmap", &["addr", "len", "length"]),
    ("madvise", &["addr", "len", "advice"]),
    ("mremap", &["old_addr", "old_len", "new_len", "flags", "new_addr"]),
    ("clone", &["flags"]),
    ("unshare", &["flags"]),
    ("prctl", &["option", "second"]),
    ("arch_prctl", &["code", "option", "addr"]),
    ("ioctl", &["fd", "cmd", "arg"]),
    ("rt_sigaction", &["sig"]),
    ("signalfd4", &["flags"]),
    ("memfd_create", &["name", "flags"]),
    ("open", &["path", "flags", "mode"]),
    ("openat", &["dirfd", "path", "flags", "mode"]),
    ("openat2", &["dirfd", "path", "how", "size"]),
    ("creat", &["path", "mode"]),
    ("socket", &["domain", "type", "protocol"]),
    ("connect", &["fd", "addr", "addrlen"]),
    ("setsockopt", &["fd", "level", "optname"]),
    ("kill", &["pid", "sig"]),
    ("fcntl", &["fd", "cmd", "arg"]),
];

#[test]
fn arguments_have_the_names_that_policies_use() {
    for (name, arguments) in USED {
        for argument in arguments {
            assert!(call(name).arg(argument).is_some(), "{name}: {argument}");
        }
    }
    let order = |name: &str| call(name).args.iter().map(|arg| arg.name).collect::<Vec<_>>();
    assert_eq!(order("mmap"), ["addr", "len", "prot", "flags", "fd", "off"]);
    assert_eq!(order("mremap"), ["old_addr", "old_len", "new_len", "flags", "new_addr"]);
}

#[test]
fn registers_have_the_same_names_in_every_call() {
    for (index, name) in ["arg0", "arg1", "arg2", "arg3", "arg4", "arg5"].iter().enumerate() {
        assert_eq!(calls::register(name), Some(index));
        for call in calls::all() {
            assert!(call.arg(name).is_none_or(|(at, _)| at == index), "{} {name}", call.name);
        }
    }
    for name in ["arg", "arg6", "arg00", "Arg0", "arg-"] {
        assert_eq!(calls::register(name), None);
    }
    // Whose manual page says otherwise.
    let miscounted = |call: &calls::Call| {
        call.called("arg2").is_some_and(|(at, _)| at != 2)
            || call.called("arg1").is_some_and(|(at, _)| at != 1)
    };
    let names: Vec<_> = calls::all().filter(miscounted).map(|call| call.name).collect();
    assert_eq!(names, ["prctl", "arch_prctl", "keyctl"]);
}

#[test]
fn arguments_know_the_constants_that_policies_use() {
    let used = [
        ("mmap", "prot", "PROT_WRITE PROT_EXEC"),
        ("mmap", "flags", "MAP_ANONYMOUS MAP_ANON MAP_FIXED"),
        ("open", "flags", "O_RDONLY O_CREAT O_CLOEXEC O_TMPFILE O_ASYNC"),
        ("openat", "dirfd", "AT_FDCWD"),
        ("clone", "flags", "CLONE_THREAD CLONE_NEWUSER CLONE_NEWTIME"),
        (
            "prctl",
            "option",
            "PR_SET_NAME PR_SET_PDEATHSIG PR_GET_DUMPABLE PR_CAPBSET_READ PR_SET_VMA \
             PR_SET_SYSCALL_USER_DISPATCH",
        ),
        ("arch_prctl", "code", "ARCH_SET_FS ARCH_GET_FS ARCH_CET_STATUS"),
        (
            "ioctl",
            "cmd",
            "TCGETS TCSETSW TIOCGWINSZ TIOCSWINSZ TIOCGPGRP TIOCSPGRP TIOCSTI TIOCLINUX FIONREAD \
             FIONBIO FIOASYNC FIOCLEX FIONCLEX SIOCGIFCONF FICLONE BLKGETSIZE64",
        ),
        ("rt_sigaction", "sig", "SIGSYS"),
        ("signalfd4", "flags", "SFD_CLOEXEC SFD_NONBLOCK"),
        ("memfd_create", "flags", "MFD_EXEC"),
        ("socket", "domain", "AF_UNIX AF_INET PF_INET6"),
        ("socket", "type", "SOCK_STREAM SOCK_CLOEXEC"),
        ("socket", "protocol", "IPPROTO_TCP NETLINK_ROUTE"),
        ("setsockopt", "level", "SOL_SOCKET IPPROTO_TCP SOL_TCP"),
        ("setsockopt", "optname", "SO_ZEROCOPY SO_ATTACH_BPF TCP_NODELAY IPV6_V6ONLY"),
        ("sendmsg", "flags", "MSG_ZEROCOPY"),
        ("fcntl", "cmd", "F_SETSIG F_ADD_SEALS"),
        ("madvise", "advice", "MADV_DONTNEED MADV_GUARD_INSTALL"),
        ("kill", "sig", "SIGKILL"),
        ("prlimit64", "resource", "RLIMIT_CORE"),
        ("fchmodat2", "flags", "AT_EMPTY_PATH"),
    ];
    for (name, argument, constants) in used {
        let (_, arg) = call(name).arg(argument).unwrap_or_else(|| panic!("{name} {argument}"));
        let set = arg.set.unwrap_or_else(|| panic!("{name} {argument}"));
        for constant in constants.split_whitespace() {
            assert!(set.value(constant).is_some(), "{name} {argument} {constant}");
        }
    }
}

#[test]
fn arguments_have_the_width_that_the_kernel_looks_at() {
    let widths = [
        ("open", "flags", Width::W32, true),
        ("mmap", "prot", Width::W64, false),
        ("mmap", "fd", Width::W32, true),
        ("clone", "flags", Width::W64, false),
        ("unshare", "flags", Width::W64, false),
        ("ioctl", "cmd", Width::W32, false),
        ("ioctl", "arg", Width::W64, false),
        ("prctl", "option", Width::W32, true),
        ("prctl", "second", Width::W64, false),
        ("kill", "sig", Width::W32, true),
        ("lseek", "offset", Width::W64, true),
        ("fcntl", "arg", Width::W64, false),
        ("getdents64", "count", Width::W32, false),
        ("ptrace", "request", Width::W64, true),
        ("futex_wait", "val", Width::W64, false),
    ];
    for (name, argument, width, signed) in widths {
        let (_, arg) = call(name).arg(argument).unwrap_or_else(|| panic!("{name} {argument}"));
        assert_eq!((arg.width, arg.signed), (width, signed), "{name} {argument}");
    }
}

#[test]
fn lengths_point_at_numbers_and_pointers_are_64_bits() {
    for call in calls::all() {
        for arg in &call.args {
            let index = match arg.kind {
                Kind::Ptr { len: Len::Arg(arg) | Len::Items { arg, .. }, .. } => Some(arg),
                Kind::Sockaddr { len } => Some(len),
                _ => None,
            };
            if let Some(index) = index {
                let length = call.args[usize::from(index)];
                assert!(
                    matches!(length.kind, Kind::Int | Kind::Size),
                    "{} {}",
                    call.name,
                    arg.name
                );
            }
            let pointer = matches!(
                arg.kind,
                Kind::Ptr { .. } | Kind::Path | Kind::Str | Kind::Sockaddr { .. } | Kind::Address
            );
            assert!(!pointer || arg.width == Width::W64, "{} {}", call.name, arg.name);
            let chosen = matches!(arg.kind, Kind::Flags | Kind::Choice);
            assert!(!chosen || arg.set.is_some(), "{} {}", call.name, arg.name);
        }
    }
    let (_, buf) = call("read").arg("buf").expect("an argument");
    assert_eq!(buf.kind, Kind::Ptr { dir: Dir::Out, len: Len::Arg(2) });
    let (_, addr) = call("connect").arg("addr").expect("an argument");
    assert_eq!(addr.kind, Kind::Sockaddr { len: 2 });
}

#[test]
fn the_numbers_that_the_shim_knows_are_those_of_the_table() {
    let known = [
        (nr::WRITE, "write"),
        (nr::RT_SIGRETURN, "rt_sigreturn"),
        (nr::CLONE3, "clone3"),
        (nr::EPOLL_PWAIT2, "epoll_pwait2"),
        (nr::PKEY_MPROTECT, "pkey_mprotect"),
    ];
    for (number, name) in known {
        assert_eq!(calls::by_nr(number).map(|call| call.name), Some(name));
    }
    for (number, _) in nr::INSPECTED {
        assert!(calls::by_nr(*number).is_some_and(|call| !call.obsolete), "{number}");
    }
}

#[test]
fn versions_are_ordered_and_printed() {
    let since = |name| call(name).since;
    assert!(since("read") < since("openat") && since("openat") < since("clone3"));
    assert_eq!(since("openat"), Version { major: 2, minor: 6, patch: 16 });
    assert_eq!(since("openat").to_string(), "2.6.16");
    assert_eq!(since("clone3").to_string(), "5.3");
    // Numbers are given in the order of arrival, lately.
    let late: Vec<_> = calls::all().filter(|call| call.nr >= 447).collect();
    assert!(late.is_sorted_by_key(|call| call.since));
}

#[test]
fn constants_are_found_in_their_sets() {
    let sets = |name| constants::find(name).map(|(set, _)| set.name()).collect::<Vec<_>>();
    assert_eq!(sets("PROT_EXEC"), ["PROT"]);
    assert_eq!(sets("O_CLOEXEC"), ["OPEN", "OPEN_TREE", "UFFD"]);
    assert_eq!(sets("TCP_NODELAY"), ["TCP", "SOCKOPT"]);
    assert_eq!(sets("NO_SUCH_NAME"), [""; 0]);
    assert_eq!(Set::PROT.value("PROT_EXEC"), Some(4));
    assert_eq!(Set::ATFD.value("AT_FDCWD"), Some(-100_i64 as u64));
    assert_eq!(Set::SIG.name_of(31), Some("SIGSYS"));
    assert_eq!(Set::by_name("PROT"), Some(Set::PROT));
    assert_eq!(Set::by_name(""), None);
    assert!(Set::PROT.is_flags() && !Set::SIG.is_flags());
    for set in Set::all() {
        assert_eq!(Set::by_name(set.name()), Some(set));
        assert!(set.constants().len() != 0 && !set.about().is_empty(), "{}", set.name());
    }
    let none = Set(u8::MAX);
    assert_eq!((none.name(), none.constants().len(), none.is_flags()), ("", 0, false));
}

#[test]
fn errors_have_names() {
    assert_eq!(constants::errno("EPERM"), Some(1));
    assert_eq!(constants::errno("EWOULDBLOCK"), constants::errno("EAGAIN"));
    assert_eq!(constants::errno("ENOTSUP"), constants::errno("EOPNOTSUPP"));
    assert_eq!(constants::errno("EDEADLOCK"), constants::errno("EDEADLK"));
    assert_eq!(constants::errno("PROT_EXEC"), None);
    for (number, name) in [(11, "EAGAIN"), (35, "EDEADLK"), (38, "ENOSYS"), (95, "EOPNOTSUPP")] {
        assert_eq!(constants::errno_name(number), Some(name));
    }
    assert_eq!(constants::errno_name(41), None);
    // 41 and 58 were never given.
    let named = (1..=133).filter(|number| constants::errno_name(*number).is_some());
    assert_eq!(named.count(), 131);
}

#[test]
fn systemds_sets_are_there() {
    let names = "@default @aio @basic-io @chown @clock @cpu-emulation @debug @file-system @io-event \
                 @ipc @keyring @memlock @module @mount @network-io @obsolete @pkey @privileged \
                 @process @raw-io @reboot @resources @sandbox @setuid @signal @swap @sync \
                 @system-service @timer @known";
    for name in names.split_whitespace() {
        let set = sets::by_name(name).unwrap_or_else(|| panic!("no set {name}"));
        assert!(set.calls.iter().is_sorted_by(|a, b| a < b) && !set.calls.is_empty(), "{name}");
        assert!(set.calls.iter().all(|nr| calls::by_nr(nr).is_some()), "{name}");
    }
    assert_eq!(sets::all().count(), names.split_whitespace().count());
    let contains =
        |set: &str, name: &str| sets::by_name(set).is_some_and(|set| set.contains(call(name).nr));
    assert!(contains("@file-system", "openat") && !contains("@file-system", "socket"));
    // Through @process.
    assert!(contains("@system-service", "clone3") && !contains("@system-service", "ptrace"));
    assert_eq!(sets::by_name("@known").map(|set| set.calls.len()), Some(calls::all().len()));
}
