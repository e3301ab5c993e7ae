//! What right policies mean: every construct of the language.

use ia2_core::calls::{self, Version, Width};
use ia2_core::verdict::{Access, ActionKind, Region};
use ia2_policy::policy::{Caller, Expected, Expr, Op, Paths, Policy, Rule, Value};
use ia2_policy::source::Memory;
use ia2_policy::{load, load_with, render};

const EPERM: ActionKind = ActionKind::Errno(1);
const ENOSYS: ActionKind = ActionKind::Errno(38);
const EACCES: ActionKind = ActionKind::Errno(13);

fn loaded(name: &str, mut texts: Memory) -> (Policy, Vec<String>) {
    let (policy, found, sources) = load(name, &mut texts);
    let lines: Vec<_> = found.iter().map(|found| render::line(found, &sources)).collect();
    (policy.unwrap_or_else(|| panic!("{lines:#?}")), lines)
}

/// A policy with these items, and nothing to be said of it.
fn policy(items: &str) -> Policy {
    let text = format!("policy t version 3\ndefault kill_process\nexit_group : 1\n{items}\n");
    let (policy, lines) = loaded("t", Memory::new().with("t", &text));
    assert!(lines.is_empty(), "{lines:#?}");
    policy
}

fn nr(name: &str) -> u32 {
    calls::by_name(name).unwrap_or_else(|| panic!("{name}")).nr
}

fn rule<'p>(policy: &'p Policy, call: &str) -> &'p Rule {
    let number = policy.rule_of(nr(call)).unwrap_or_else(|| panic!("no rule for {call}"));
    &policy.rules[number]
}

/// The condition of a rule for `call`.
fn when(call: &str, condition: &str) -> Expr {
    rule(&policy(&format!("{call} : {condition}")), call).when.clone()
}

fn arg(index: u8) -> Value {
    Value::Argument(index)
}

fn mask(value: Value, bits: u64) -> Value {
    Value::And(Box::new(value), Box::new(Value::Constant(bits)))
}

fn compare(left: Value, op: Op, right: u64, width: Width, signed: bool) -> Expr {
    Expr::Compare { op, left, right: Value::Constant(right), width, signed }
}

/// Of a file descriptor or another `int`.
fn int(index: u8, op: Op, right: u64) -> Expr {
    compare(arg(index), op, right, Width::W32, true)
}

/// Of a size or address.
fn wide(left: Value, op: Op, right: u64) -> Expr {
    compare(left, op, right, Width::W64, false)
}

fn not(inner: Expr) -> Expr {
    Expr::Not(Box::new(inner))
}

fn range(index: u8, ranges: &[(u64, u64)], signed: bool) -> Expr {
    Expr::In { value: arg(index), ranges: ranges.to_vec(), width: Width::W32, signed }
}

#[test]
fn header_and_settings() {
    let policy = policy("baseline linux 2.6.16\nunknown trap 5 log \"new\"\n mode allowlist");
    assert_eq!((policy.name.as_str(), policy.version), ("t", 3));
    assert_eq!(policy.baseline, Some(Version { major: 2, minor: 6, patch: 16 }));
    assert_eq!(policy.default.kind, ActionKind::KillProcess);
    assert_eq!(policy.unknown.kind, ActionKind::Trap(5));
    assert!(policy.unknown.log);
    assert_eq!(policy.unknown.reason, "new");
}

#[test]
fn what_is_not_said_of_new_calls() {
    for (default, unknown) in [
        ("kill_process", ActionKind::KillProcess),
        ("kill_thread", ActionKind::KillThread),
        ("errno EPERM", ENOSYS),
        ("trap", ENOSYS),
    ] {
        let text = format!("policy t version 1 baseline linux 6.3 default {default} exit : 1");
        assert_eq!(loaded("t", Memory::new().with("t", &text)).0.unknown.kind, unknown);
    }
}

#[test]
fn comparisons() {
    let rows = [
        ("==", Op::Eq, Op::Eq),
        ("!=", Op::Ne, Op::Ne),
        ("<", Op::Lt, Op::Gt),
        ("<=", Op::Le, Op::Ge),
        (">", Op::Gt, Op::Lt),
        (">=", Op::Ge, Op::Le),
    ];
    for (sign, op, mirrored) in rows {
        assert_eq!(when("read", &format!("fd {sign} 7")), int(0, op, 7));
        assert_eq!(when("read", &format!("7 {sign} fd")), int(0, mirrored, 7));
        assert_eq!(when("read", &format!("count {sign} 0x7")), wide(arg(2), op, 7));
    }
}

#[test]
fn every_call_has_six_registers() {
    for index in 0..6 {
        let calls: Vec<_> = calls::all().map(|call| format!("?{}", call.name)).collect();
        let text = format!(
            "policy t version 1 default kill_process\n{} : arg{index} == 0x123456789",
            calls.join(", ")
        );
        let (policy, _) = loaded("t", Memory::new().with("t", &text));
        assert_eq!(policy.calls.len(), calls::all().len());
        for call in calls::all() {
            let wanted = wide(arg(index), Op::Eq, 0x1_2345_6789);
            assert_eq!(rule(&policy, call.name).when, wanted, "{}", call.name);
        }
    }
    // Of a number that no table knows, too.
    let policy = policy("?#9999 : arg3 == 7");
    let rule = policy.rule_of(9999).map(|number| &policy.rules[number].when);
    assert_eq!(rule, Some(&wide(arg(3), Op::Eq, 7)));
}

#[test]
fn constants_are_cut_to_the_argument() {
    assert_eq!(when("openat", "dirfd == AT_FDCWD"), int(0, Op::Eq, 0xffff_ff9c));
    assert_eq!(when("read", "fd == -1"), int(0, Op::Eq, 0xffff_ffff));
    assert_eq!(when("read", "fd == 0xffffffff"), int(0, Op::Eq, 0xffff_ffff));
    assert_eq!(when("read", "fd >= -1"), int(0, Op::Ge, 0xffff_ffff));
    assert_eq!(when("read", "count == -1"), wide(arg(2), Op::Eq, u64::MAX));
    let uid = compare(arg(0), Op::Ne, 0xffff_ffff, Width::W32, false);
    assert_eq!(when("setuid", "uid != -1"), uid);
}

#[test]
fn words_for_bits() {
    let masked = |bits| mask(arg(2), bits);
    assert_eq!(when("mmap", "prot has PROT_WRITE|PROT_EXEC"), wide(masked(6), Op::Eq, 6));
    assert_eq!(when("mmap", "!(prot has PROT_EXEC)"), not(wide(masked(4), Op::Eq, 4)));
    let others = compare(mask(arg(3), 0xffff_ffff & !0x80800), Op::Eq, 0, Width::W32, true);
    assert_eq!(when("signalfd4", "flags subset SFD_CLOEXEC|SFD_NONBLOCK"), others);
    let both = Value::And(Box::new(arg(2)), Box::new(arg(3)));
    let (op, width) = (Op::Eq, Width::W64);
    let has = Expr::Compare { op, left: both, right: arg(3), width, signed: false };
    assert_eq!(when("mmap", "prot has flags"), has);
    let rest = Value::And(Box::new(arg(2)), Box::new(Value::Not(Box::new(arg(3)))));
    assert_eq!(when("mmap", "prot subset flags"), wide(rest, Op::Eq, 0));
}

#[test]
fn signs_for_bits() {
    assert_eq!(when("mmap", "(prot & 6) != 0"), wide(mask(arg(2), 6), Op::Ne, 0));
    assert_eq!(when("mmap", "(4 & prot & ~3) == 4"), wide(mask(arg(2), 4), Op::Eq, 4));
    assert_eq!(when("mmap", "((prot & 7) & 6) == 4"), wide(mask(arg(2), 6), Op::Eq, 4));
    let or = Value::Or(Box::new(arg(2)), Box::new(arg(3)));
    assert_eq!(when("mmap", "(prot | flags) == 0"), wide(or, Op::Eq, 0));
    let xor = Value::Xor(Box::new(arg(2)), Box::new(Value::Constant(3)));
    assert_eq!(when("mmap", "(prot ^ 1 << 0 ^ 2) < 9"), wide(xor, Op::Lt, 9));
    let shifted = Value::Shl(Box::new(arg(2)), 4);
    assert_eq!(when("mmap", "prot << 4 == 0x40"), wide(shifted, Op::Eq, 0x40));
    let flipped = Value::Not(Box::new(arg(1)));
    assert_eq!(when("mmap", "~len > 1"), wide(flipped, Op::Gt, 1));
    let cut = compare(mask(arg(1), 0xfff7_ffff), Op::Eq, 0, Width::W32, true);
    assert_eq!(when("open", "(flags & ~O_CLOEXEC) == 0"), cut);
}

#[test]
fn the_kernel_looks_at_16_bits_of_a_mode() {
    let mode = |op, right| compare(mask(arg(1), 0xffff), op, right, Width::W32, false);
    assert_eq!(when("chmod", "mode == 0644"), mode(Op::Eq, 0o644));
    assert_eq!(when("chmod", "mode <= 0o777"), mode(Op::Le, 0o777));
    let bits = compare(mask(arg(1), 0o6000), Op::Eq, 0, Width::W32, false);
    assert_eq!(when("chmod", "(mode & (S_ISUID|S_ISGID)) == 0"), bits);
}

#[test]
fn pointers() {
    assert_eq!(when("settimeofday", "tz == NULL"), wide(arg(1), Op::Eq, 0));
    assert_eq!(when("mmap", "addr == NULL"), wide(arg(0), Op::Eq, 0));
    assert_eq!(when("mmap", "addr < 0x10000"), wide(arg(0), Op::Lt, 0x10000));
    assert_eq!(when("ioctl", "arg != NULL"), wide(arg(2), Op::Ne, 0));
}

#[test]
fn lists() {
    assert_eq!(when("read", "fd in { 5, 0..2, 3, }"), range(0, &[(0, 3), (5, 5)], true));
    assert_eq!(when("read", "fd in 1..2"), range(0, &[(1, 2)], true));
    assert_eq!(when("read", "fd in 1"), range(0, &[(1, 1)], true));
    let signed = [(0xffff_fffe, 0xffff_ffff), (3, 4)];
    assert_eq!(when("read", "fd in { 3..4, -2..-1 }"), range(0, &signed, true));
    let whence = range(2, &[(0, 1), (3, 3)], false);
    assert_eq!(when("lseek", "whence in { SEEK_SET, SEEK_CUR, SEEK_DATA }"), whence);
    let masked = Expr::In {
        value: mask(arg(3), 0xf),
        ranges: vec![(2, 2)],
        width: Width::W64,
        signed: false,
    };
    assert_eq!(when("mmap", "flags & MAP_TYPE in { MAP_PRIVATE }"), masked);
}

#[test]
fn constants_of_the_policy() {
    let items = "const STD = 2 const TTY = { TCGETS, FIONREAD..0x541c } const WRITE = O_WRONLY|O_CREAT\n\
        const BOTH = WRITE | O_EXCL\n\
        read : fd <= STD\nioctl : cmd in { TTY, FIONBIO }\nfcntl : cmd in 3 \n\
        openat : flags has BOTH open, openat2, creat, open_by_handle_at : 0";
    let policy = policy(items);
    assert_eq!(rule(&policy, "read").when, int(0, Op::Le, 2));
    let ranges = [(0x5401, 0x5401), (0x541b, 0x541c), (0x5421, 0x5421)];
    assert_eq!(rule(&policy, "ioctl").when, range(1, &ranges, false));
    let has = compare(mask(arg(2), 0o301), Op::Eq, 0o301, Width::W32, true);
    assert_eq!(rule(&policy, "openat").when, has);
}

#[test]
fn any_constant_where_the_table_knows_none() {
    assert_eq!(when("fcntl", "arg has O_NONBLOCK"), wide(mask(arg(2), 0o4000), Op::Eq, 0o4000));
}

#[test]
fn and_or_not() {
    let (a, b, c) = (int(0, Op::Eq, 0), int(0, Op::Eq, 1), wide(arg(2), Op::Lt, 9));
    let and = Expr::And(vec![b.clone(), c.clone()]);
    let all = Expr::Or(vec![a.clone(), and]);
    assert_eq!(when("read", "fd == 0 || fd == 1 && count < 9"), all);
    let or = Expr::Or(vec![a.clone(), b]);
    let all = Expr::And(vec![or, not(c)]);
    assert_eq!(when("read", "(fd == 0 || fd == 1) && !(count < 9)"), all);
    assert_eq!(when("read", "!!(fd == 0)"), not(not(a)));
}

#[test]
fn foregone_comparisons_are_left_out() {
    let text = "policy t version 1 default kill_process exit : 1\n\
        read : count >= 0 && fd == 0\nwrite : count < 0 || fd == 1\nlseek : count >= 0";
    let text = text.replace("lseek : count", "pread64 : count");
    let (policy, lines) = loaded("t", Memory::new().with("t", &text));
    assert_eq!(lines.len(), 3);
    assert_eq!(rule(&policy, "read").when, int(0, Op::Eq, 0));
    assert_eq!(rule(&policy, "write").when, int(0, Op::Eq, 1));
    assert_eq!(rule(&policy, "pread64").when, Expr::True);
}

#[test]
fn paths() {
    let items = "files ro \"/\" except \"/proc/*/mem\", \"/dev/mem\"\nfiles rw \"/tmp/\"\n\
        files create \"/var/log/**/x\" files rx \"/bin\"\n\
        open, openat, openat2, creat, open_by_handle_at : 0\nexecve : path in files\n\
        execveat : path in { \"/usr/**\", \"/bin/?s\", }\nchdir : (path) in \"/\\\"a\\\\\"";
    let policy = policy(items);
    let files: Vec<_> = policy.files.iter().map(|item| (item.access, &item.paths[..])).collect();
    let text = |text: &str| vec![text.to_owned()];
    let rows = [
        (Access::Read, &text("/")[..]),
        (Access::Write, &text("/tmp")[..]),
        (Access::Create, &text("/var/log/**/x")[..]),
        (Access::Execute, &text("/bin")[..]),
    ];
    assert_eq!(files, rows);
    assert_eq!(policy.files[0].except, ["/proc/*/mem", "/dev/mem"]);
    let patterns =
        |all: &[&str]| Paths::Patterns(all.iter().map(|one| (*one).to_owned()).collect());
    let path = |arg, paths| Expr::Path { arg, paths };
    assert_eq!(rule(&policy, "execve").when, path(0, Paths::Files));
    assert_eq!(rule(&policy, "execveat").when, path(1, patterns(&["/usr/**", "/bin/?s"])));
    assert_eq!(rule(&policy, "chdir").when, path(0, patterns(&["/\"a\\"])));
}

#[test]
fn callers() {
    let module = |name: &str| Caller::Module(name.to_owned());
    for (written, caller) in [
        ("trampoline", Caller::Trampoline),
        ("wrapper", Caller::Wrapper),
        ("vdso", Caller::Vdso),
        ("jit", Caller::Jit),
        ("libcrypto.so", module("libcrypto.so")),
        ("libstdc++.so.6", module("libstdc++.so.6")),
        ("\"a b\"", module("a b")),
        ("\"jit\"", Caller::Jit),
    ] {
        assert_eq!(when("read", &format!("from {written}")), Expr::From(caller));
    }
    assert_eq!(when("ioperm", "from == 3"), wide(arg(0), Op::Eq, 3));
}

#[test]
fn overlaps() {
    let region = Region::Protected;
    let expected = Expr::Overlaps { addr: 4, len: 2, region };
    assert_eq!(when("mremap", "overlaps(new_addr, new_len, protected)"), expected);
}

#[test]
fn arguments_without_names() {
    // A register is all of it, whatever the kernel looks at.
    assert_eq!(when("read", "arg0 == 1"), wide(arg(0), Op::Eq, 1));
    let new = policy("?#9999 : arg5 == 1");
    assert_eq!(new.rules[1].when, wide(arg(5), Op::Eq, 1));
    assert_eq!(new.calls[1], (9999, 1));
    let number = compare(Value::Number, Op::Eq, 0, Width::W32, false);
    assert_eq!(when("read", "nr == 0"), number);
    // Calls with an argument of this name mean that one.
    assert_eq!(when("futex_wake", "nr == 1"), int(2, Op::Eq, 1));
}

#[test]
fn actions() {
    let rows = [
        ("allow", ActionKind::Allow),
        ("deny", ActionKind::KillProcess),
        ("errno EACCES", EACCES),
        ("errno 0", ActionKind::Errno(0)),
        ("errno 38", ENOSYS),
        ("kill_process", ActionKind::KillProcess),
        ("kill_thread", ActionKind::KillThread),
        ("trap", ActionKind::Trap(0)),
        ("trap 7", ActionKind::Trap(7)),
        ("trace 9", ActionKind::Trace(9)),
        ("1", ActionKind::Allow),
        ("0", ActionKind::KillProcess),
    ];
    for (written, kind) in rows {
        let policy = policy(&format!("read : {written}"));
        let rule = rule(&policy, "read");
        assert_eq!((&rule.when, rule.then.kind), (&Expr::True, kind), "{written}");
    }
    let policy =
        policy("rt_sigaction : emulate\nread : allow \"why\" log\nwrite : deny log \"no\"");
    assert_eq!(rule(&policy, "rt_sigaction").then.kind, ActionKind::Emulate);
    let read = &rule(&policy, "read").then;
    assert_eq!((read.log, read.reason.as_str()), (true, "why"));
    let write = &rule(&policy, "write").then;
    assert_eq!((write.log, write.reason.as_str()), (true, "no"));
}

#[test]
fn deny_refuses_as_the_default_does_or_with_eperm() {
    let text = "policy t version 1 mode blocklist default allow io_uring_setup : deny";
    let (policy, _) = loaded("t", Memory::new().with("t", text));
    assert_eq!(rule(&policy, "io_uring_setup").then.kind, EPERM);
    let text = "policy t version 1 default deny unknown deny exit : 1 read : deny";
    let (policy, _) = loaded("t", Memory::new().with("t", text));
    assert_eq!(policy.default.kind, EPERM);
    assert_eq!(policy.unknown.kind, EPERM);
    assert_eq!(rule(&policy, "read").then.kind, EPERM);
}

#[test]
fn both_ways() {
    let policy = policy(
        "read : fd == 0 write : fd == 1 else errno EACCES\n\
         close : fd == 2 then deny log lseek : fd == 3 then trap else allow",
    );
    let ways = |call| {
        let rule = rule(&policy, call);
        (rule.then.kind, rule.otherwise.kind)
    };
    assert_eq!(ways("read"), (ActionKind::Allow, ActionKind::KillProcess));
    assert_eq!(ways("write"), (ActionKind::Allow, EACCES));
    assert_eq!(ways("close"), (ActionKind::KillProcess, ActionKind::KillProcess));
    assert_eq!(ways("lseek"), (ActionKind::Trap(0), ActionKind::Allow));
}

#[test]
fn selectors() {
    let policy = policy(
        "set @mine = { sys_read, #1, ?nosuch, @sync, }\nset @more = { @mine, close }\nset @none = {}\n\
         @more, @none : 1\nsys_newstat, ?nosuch : deny ?@nosuch : deny ?frobnicate : fd == 0\n#2 : errno 2",
    );
    for name in ["read", "write", "fsync", "close"] {
        assert_eq!(rule(&policy, name).then.kind, ActionKind::Allow, "{name}");
    }
    assert_eq!(rule(&policy, "stat").then.kind, ActionKind::KillProcess);
    assert_eq!(rule(&policy, "open").then.kind, ActionKind::Errno(2));
    assert!(policy.calls.is_sorted_by(|one, next| one.0 < next.0));
}

#[test]
fn a_name_outranks_a_set_in_any_order() {
    for items in ["@basic-io : 1\nread : fd == 0", "read : fd == 0\n@basic-io : 1"] {
        let policy = policy(items);
        assert_eq!(rule(&policy, "read").when, int(0, Op::Eq, 0));
        assert_eq!(rule(&policy, "write").when, Expr::True);
    }
    // Not even the arguments of a set's rule have to exist in a call that has its own.
    policy("set @x = { read, sync } @x : fd == 0\nsync : deny");
}

#[test]
fn one_rule_for_each_place_of_an_argument() {
    let policy = policy("open, openat, creat, openat2 : path in \"/usr\" open_by_handle_at : 0");
    let path = |arg| Expr::Path { arg, paths: Paths::Patterns(vec!["/usr".to_owned()]) };
    assert_eq!(rule(&policy, "open").when, path(0));
    assert_eq!(rule(&policy, "openat").when, path(1));
    assert_eq!(policy.rule_of(nr("open")), policy.rule_of(nr("creat")));
    assert_eq!(policy.rule_of(nr("openat")), policy.rule_of(nr("openat2")));
    assert_eq!(rule(&policy, "open").span, rule(&policy, "openat").span);
    assert_eq!(policy.rules.len(), 4);
}

#[test]
fn words_of_the_language_are_not_reserved() {
    let policy = policy(
        "chmod :\n  mode has S_ISUID\nopen, openat, openat2, creat, open_by_handle_at : 0 umask : mask == 0\n\
         rt_sigprocmask :\n  set == NULL",
    );
    assert_eq!(rule(&policy, "rt_sigprocmask").when, wide(arg(1), Op::Eq, 0));
}

#[test]
fn includes_and_overrides() {
    let texts = Memory::new()
        .with(
            "/etc/ia2/main.ia2",
            "policy main version 1 include \"sets/io.ia2\" override read : fd == 1\n@mine : 1",
        )
        .with(
            "/etc/ia2/sets/io.ia2",
            "policy io version 9 include \"more.ia2\" use seed4 include \"more.ia2\"",
        )
        .with(
            "/etc/ia2/sets/more.ia2",
            "set @mine = { close } close : 0 exit : 1\n#? close(0) -> allow",
        );
    let (policy, _) = loaded("/etc/ia2/main.ia2", texts);
    assert_eq!((policy.name.as_str(), policy.version), ("main", 1));
    assert_eq!(rule(&policy, "read").when, int(0, Op::Eq, 1));
    assert_eq!(rule(&policy, "write").when, int(0, Op::Eq, 1));
    assert_eq!(rule(&policy, "close").then.kind, ActionKind::KillProcess);
    assert_eq!(policy.default.kind, ActionKind::KillProcess);
    assert_eq!(policy.sources.len(), 4);
    assert!(policy.tests.is_empty());
}

#[test]
fn an_override_through_a_set_takes_everything() {
    let texts = Memory::new()
        .with("a", "policy a version 1 include \"b\" override @basic-io : deny")
        .with("b", "default errno ENOSYS exit : 1 read : 1 @basic-io : 1");
    let (policy, _) = loaded("a", texts);
    assert_eq!(rule(&policy, "read").then.kind, ENOSYS);
}

#[test]
fn settings_of_the_outermost_text_count() {
    let texts = Memory::new()
        .with("a", "policy a version 1 include \"b\" include \"c\" default errno EPERM exit : 1 baseline linux 6.1")
        .with("b", "default errno ENOSYS unknown kill_process")
        .with("c", "default kill_process");
    let (policy, _) = loaded("a", texts);
    assert_eq!(policy.default.kind, EPERM);
    assert_eq!(policy.unknown.kind, ActionKind::KillProcess);
}

#[test]
fn rules_of_a_command_line() {
    let app = "policy app version 7 use seed4 override read : fd == 3 exit_group : 1\n\
        const OWN = 5 set @mine = { @timer } override @timer, write, pipe : errno EACCES\n\
        #? read(3, _, _) -> allow";
    let under = |rules: &[&str]| {
        let mut texts = Memory::new().with("app.ia2", app).with("more.ia2", "getuid : 1");
        let (policy, found, sources) = load_with("app.ia2", rules, &mut texts);
        let lines: Vec<_> = found.iter().map(|found| render::line(found, &sources)).collect();
        (policy, lines)
    };
    let rules = [
        "read : fd == OWN", // outranks the policy and what that includes, and uses its names
        "@mine : errno ENOSYS", // a call that the policy names as well
        "timer_create, write : 1", // outranks the set beside it
        "use capejail include \"more.ia2\" default errno EACCES mode allowlist",
        "lseek : 1\n#? read(OWN, _, _) -> allow",
    ];
    let (policy, lines) = under(&rules);
    let policy = policy.unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(lines.iter().all(|line| !line.contains("error")), "{lines:#?}");
    assert_eq!((policy.name.as_str(), policy.version), ("app", 7));
    assert_eq!(policy.default.kind, EACCES);
    assert_eq!(rule(&policy, "read").when, int(0, Op::Eq, 5));
    assert_eq!(rule(&policy, "timer_delete").then.kind, ENOSYS);
    assert_eq!(rule(&policy, "timer_create").then.kind, ActionKind::Allow);
    assert_eq!(rule(&policy, "write").then.kind, ActionKind::Allow);
    assert_eq!(rule(&policy, "pipe").then.kind, EACCES);
    assert_eq!(rule(&policy, "getuid").then.kind, ActionKind::Allow);
    assert_eq!(policy.tests.len(), 2);
    let names: Vec<_> = policy.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!((names[0], names[2], names[5]), ("app.ia2", "-e 1", "-e 4"));

    for (rules, wanted) in [
        (&["getpid : 1", "  opennat : 1"][..], "-e 2:1:3: error[E0102]: unknown system call"),
        (&["getpid : 1\nread"], "-e 1:2:5: error[E0010]: expected `:`, found the end"),
        // Each of them stands for itself.
        (&["read", ": allow"], "-e 1:1:5: error[E0010]: "),
        (&["read : 1", "read : fd == 1"], "-e 2:1:1: error[E0201]: `read` has two rules"),
        (&["exit_group : 0", "read : 1"], "app.ia2:1:1: warning[W0401]: no way to exit"),
        (&["override sync : 1"], "-e 1:1:10: warning[W0202]: "),
        (&["include \"none.ia2\""], "-e 1:1:9: error[E0601]: "),
        (&["read : fd == 0 else errno EPERM then"], "-e 1:1:33: error[E0010]: "),
        (&["lseek : fd == 0 then deny"], "-e 1:1:9: warning[W0205]: "),
    ] {
        let (_, lines) = under(rules);
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "{rules:?}: {lines:#?}");
    }
    let (policy, _) = under(&["getpid : 1"; 300]);
    assert!(policy.is_none());
}

#[test]
fn tests_in_a_policy() {
    let policy = policy(
        "open, openat, openat2, creat, open_by_handle_at : 0 \n\
         #? openat(AT_FDCWD, \"/etc/shadow\", O_RDONLY|O_CLOEXEC) -> deny # why\n\
         #? read(-1, NULL, 1 << 3) -> errno EACCES\nread : fd == 0 #? read(_) -> allow\n\
         #? ?#9999(\"x\", 5) -> kill_process\n#? ?nosuch(1) -> allow\n#? exit_group() -> trap 3",
    );
    let [first, second, third, fourth, last] = &policy.tests[..] else {
        panic!("{:?}", policy.tests)
    };
    let dirfd = Some(0xffff_ffff_ffff_ff9c);
    assert_eq!(first.args, [dirfd, None, Some(0o2_000_000), None, None, None]);
    assert_eq!(first.paths[1].as_deref(), Some("/etc/shadow"));
    assert_eq!((first.nr, first.expected), (257, Expected::Deny));
    assert_eq!(second.args[..3], [Some(u64::MAX), Some(0), Some(8)]);
    assert_eq!(second.expected, Expected::Exactly(EACCES));
    assert_eq!((third.args, third.expected), ([None; 6], Expected::Allow));
    assert_eq!((fourth.nr, fourth.args[1]), (9999, Some(5)));
    assert_eq!(fourth.expected, Expected::Exactly(ActionKind::KillProcess));
    assert_eq!(last.expected, Expected::Exactly(ActionKind::Trap(3)));
    let source = &policy.sources[0].text;
    let written = &source[first.span.start as usize..first.span.end as usize];
    assert!(written.starts_with("#? openat(") && written.contains("-> deny"), "{written}");
}

#[test]
fn tables() {
    let text = "{ { \"sys_read\", \"fd == 0\" }, { \"open, creat\", \"path in \\\"/usr\\\" else errno EACCES\" },\n\
        { \"exit\", \"1\" }, { \"?nosuch\", \"deny\" }, };";
    let (policy, _) = loaded("/etc/my.table", Memory::new().with("/etc/my.table", text));
    assert_eq!((policy.name.as_str(), policy.version), ("my", 1));
    assert_eq!(policy.default.kind, ActionKind::KillProcess);
    assert_eq!(policy.unknown.kind, ActionKind::KillProcess);
    assert_eq!(rule(&policy, "read").when, int(0, Op::Eq, 0));
    assert_eq!(rule(&policy, "creat").otherwise.kind, EACCES);
    // And as a part of another policy.
    let texts = Memory::new().with("a", "policy a version 1 use table override read : 1 exit : 1");
    let (policy, _) = loaded("a", texts);
    assert_eq!(policy.default.kind, ActionKind::KillProcess);
    assert_eq!(rule(&policy, "read").when, Expr::True);
}

#[test]
fn a_policy_may_be_one_line_or_have_a_mark_and_other_ends_of_lines() {
    let text =
        "\u{feff}policy t version 1\r\ndefault kill_process;\r\n\texit : 1; read : 1 write : 1\r\n";
    let (policy, lines) = loaded("t", Memory::new().with("t", text));
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(policy.calls.len(), 3);
}
