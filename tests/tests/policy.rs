//! What a policy says is what happens: in real processes that make one call and nothing else, and in
//! programs of every day.

use core::sync::atomic::{AtomicUsize, Ordering};
use ia2_core::verdict::ActionKind;
use ia2_policy::eval::{self, Atom, Cause};
use ia2_policy::policy::{Expr, Policy, Value};
use ia2_policy::source::Memory;
use ia2_tests::artifacts::{archive, ia2, shim, workspace};
use ia2_tests::machine;
use ia2_tests::probe::{Outcome, Probe};
use ia2_tests::run::{End, LIMIT, Run, output, run};
use ia2_tests::server::{Server, fetch, free_port};
use serde_json::Value as Json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const SIGSYS: i32 = 31;
const EFAULT: u16 = 14;

/// Every argument is a bad pointer, a bad descriptor and a bad number: what is let through does no harm.
const BAD: [u64; 6] = [u64::MAX; 6];

/// The two entries.
const ENTRIES: [&[&str]; 2] = [&[], &["--no-patch"]];

fn built_in(name: &str) -> Policy {
    load(&format!("ia2:{name}"), "")
}

/// The policy called `name`; `text` is that of `main.ia2`.
fn load(name: &str, text: &str) -> Policy {
    let (policy, findings, _) = ia2_policy::load(name, &mut Memory::new().with("main.ia2", text));
    policy.unwrap_or_else(|| panic!("{name}: {findings:?}"))
}

/// `ia2 run` with the policy and more options.
fn under(policy: &str, options: &[&str]) -> Command {
    let mut command = Command::new(ia2());
    command
        .args(["run", "--quiet", "-p", policy])
        .args(options)
        .arg("--")
        .arg(Probe::get().program());
    command
}

fn text_of(args: &[u64; 6]) -> Vec<String> {
    args.iter().map(u64::to_string).collect()
}

/// What must become of the call, which natively becomes `native`; `None` if anything may.
fn expected(policy: &Policy, nr: u32, args: &[u64; 6], native: Outcome) -> Option<Outcome> {
    if nr >= 1 << 30 {
        return Some(Outcome::Returned(-38)); // x32, and negative numbers
    }
    // Paths cannot be read; the caller is the program, which is static.
    let said = eval::eval(policy, nr, args, &mut |atom| match atom {
        Atom::Path { .. } => Err(EFAULT),
        Atom::From(_) => Ok(true),
    });
    match said.action {
        ActionKind::Allow | ActionKind::Emulate => {
            // The shim's own refusals stay.
            (!is_the_shims(nr)).then_some(native)
        }
        ActionKind::Errno(errno) => Some(Outcome::Returned(-i64::from(errno))),
        ActionKind::KillProcess | ActionKind::KillThread | ActionKind::Trap(_) => {
            Some(Outcome::Signal(SIGSYS))
        }
        ActionKind::Trace(_) => Some(Outcome::Returned(-38)),
    }
}

/// The calls of the kernel's own uprobe trampolines, which seccomp does not see (kernel/seccomp.c): the
/// shim judges them where they are rewritten, and natively they do nothing from anywhere else.
fn is_unseen(nr: u32) -> bool {
    [335, 336].contains(&nr)
}

/// Calls that under the shim differ from natively by themselves: exit, arch_prctl, rseq, prctl.
fn is_the_shims(nr: u32) -> bool {
    const OWN: [&str; 4] = ["arch_prctl", "prctl", "rt_sigreturn", "membarrier"];
    ia2_core::calls::by_nr(nr).is_some_and(|call| OWN.contains(&call.name))
}

/// Whether both are the same, where numbers of processes and the like may differ.
fn is_same(one: Outcome, other: Outcome) -> bool {
    match (one, other) {
        (Outcome::Returned(one), Outcome::Returned(other)) if one >= 0 && other >= 0 => true,
        _ => one == other,
    }
}

/// Does `work` for all `cases`, two at a time. Gives what failed.
fn in_parallel<T: Sync>(
    cases: &[T],
    work: impl Fn(&T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let (next, failed) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(what) = work(case) {
                        failed.lock().expect("nobody panics with it").push(what);
                    }
                }
            });
        }
    });
    failed.into_inner().expect("nobody panics with it")
}

fn native(nr: u32, args: &[String]) -> Outcome {
    let probe = Probe::get();
    probe.call(Command::new(probe.program()), nr.into(), args).expect("the probe runs")
}

fn check(policy: &Policy, name: &str, cases: &[(u32, [u64; 6])]) {
    let cases = machine::cases(cases);
    let failed = in_parallel(&cases, |(nr, args)| {
        let text = text_of(args);
        let native = native(*nr, &text);
        for entry in ENTRIES {
            let got = Probe::get().call(under(name, entry), u64::from(*nr), &text);
            let got = got.map_err(|e| e.to_string())?;
            let seen = entry.is_empty() || !is_unseen(*nr);
            if let Some(wanted) = expected(policy, *nr, args, native).filter(|_| seen)
                && !is_same(got, wanted)
            {
                let call = ia2_core::calls::by_nr(*nr).map_or("?", |call| call.name);
                return Err(format!(
                    "{nr} {call} {args:x?} {entry:?}: {got:?}, not {wanted:?}; natively {native:?}"
                ));
            }
        }
        Ok(())
    });
    assert!(
        failed.is_empty(),
        "{name}: {} of {}:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

/// All numbers to 600, x32 numbers and negative ones.
fn all_numbers() -> Vec<(u32, [u64; 6])> {
    let odd =
        [600, 1023, 0x3fff_ffff, 0x4000_0000, 0x4000_0001, 0x4000_0208, 0x8000_0000, u32::MAX - 1];
    (0..=600).chain(odd).map(|nr| (nr, BAD)).collect()
}

#[test]
fn every_number_gets_what_seed4_says() {
    check(&built_in("seed4"), "seed4", &all_numbers());
}

#[test]
fn every_number_gets_what_capejail_says() {
    check(&built_in("capejail"), "capejail", &all_numbers());
}

#[test]
fn every_number_gets_what_ia2_says() {
    check(&built_in("ia2"), "ia2", &all_numbers());
}

#[test]
fn every_number_gets_what_nginx_says() {
    check(&built_in("nginx"), "nginx", &all_numbers());
}

/// The constants that a condition compares with an argument.
fn constants(expr: &Expr, found: &mut Vec<(u8, u64)>) {
    fn argument(value: &Value) -> Option<u8> {
        match value {
            Value::Argument(at) => Some(*at),
            Value::And(a, b) | Value::Or(a, b) | Value::Xor(a, b) => argument(a).or(argument(b)),
            Value::Shl(a, _) | Value::Not(a) => argument(a),
            Value::Constant(_) | Value::Number => None,
        }
    }
    fn all(value: &Value, out: &mut Vec<u64>) {
        match value {
            Value::Constant(number) => out.push(*number),
            Value::And(a, b) | Value::Or(a, b) | Value::Xor(a, b) => {
                all(a, out);
                all(b, out);
            }
            Value::Shl(a, _) | Value::Not(a) => all(a, out),
            Value::Argument(_) | Value::Number => {}
        }
    }
    match expr {
        Expr::Not(inner) => constants(inner, found),
        Expr::And(list) | Expr::Or(list) => list.iter().for_each(|one| constants(one, found)),
        Expr::Compare { left, right, .. } => {
            if let Some(at) = argument(left).or(argument(right)) {
                let mut numbers = Vec::new();
                all(left, &mut numbers);
                all(right, &mut numbers);
                found.extend(numbers.into_iter().map(|number| (at, number)));
            }
        }
        Expr::In { value, ranges, .. } => {
            if let Some(at) = argument(value) {
                found.extend(ranges.iter().flat_map(|(low, high)| [(at, *low), (at, *high)]));
            }
        }
        Expr::Overlaps { addr, .. } => {
            let region = ia2_core::verdict::Region::Protected.range();
            found.extend([(*addr, region.start), (*addr, region.end)]);
        }
        Expr::True | Expr::False | Expr::Path { .. } | Expr::From(_) => {}
    }
}

/// For each rule and each constant in it: below, at, and above it, with the sign bits of both widths, and
/// with an upper half that is not zero.
fn boundaries(policy: &Policy) -> Vec<(u32, [u64; 6])> {
    let mut cases = Vec::new();
    for (nr, rule) in &policy.calls {
        let Some(rule) = policy.rules.get(usize::from(*rule)) else { continue };
        let mut found = Vec::new();
        constants(&rule.when, &mut found);
        for (at, number) in found {
            let values = [
                number.wrapping_sub(1),
                number,
                number.wrapping_add(1),
                number ^ 1 << 31,
                number ^ 1 << 63,
                number ^ 1 << 32,
            ];
            for value in values {
                let mut args = BAD;
                args[usize::from(at)] = value;
                cases.push((*nr, args));
            }
        }
    }
    cases.sort_unstable();
    cases.dedup();
    cases
}

/// Calls that would do harm, or not end, if they were let through with such arguments.
fn is_harmless(nr: u32) -> bool {
    const HARMFUL: [&str; 6] = ["kill", "tkill", "tgkill", "clone", "munmap", "prctl"];
    ia2_core::calls::by_nr(nr).is_none_or(|call| !HARMFUL.contains(&call.name))
}

#[test]
fn arguments_are_judged_at_their_boundaries() {
    for name in ["seed4", "ia2", "nginx"] {
        let policy = built_in(name);
        let cases: Vec<_> =
            boundaries(&policy).into_iter().filter(|(nr, _)| is_harmless(*nr)).collect();
        assert!(cases.len() > 10, "{name}: {}", cases.len());
        check(&policy, name, &cases);
    }
}

/// A folder with a policy in it.
struct Written(TempDir);

impl Written {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs::write(folder.path().join("main.ia2"), text).expect("a file can be written");
        Self(folder)
    }

    fn policy(&self) -> String {
        self.0.path().join("main.ia2").to_str().expect("it is UTF-8").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program under the policy.
    fn run(&self, options: &[&str], command: &[&str]) -> Run {
        let mut ia2 = Command::new(ia2());
        ia2.args(["run", "-p", &self.policy()]).args(options).arg("--").args(command);
        run(&mut ia2, LIMIT).unwrap_or_else(|e| panic!("{command:?}: {e}"))
    }

    /// The same, preloaded.
    fn preload(&self, variables: &[(&str, &str)], command: &[&str]) -> Run {
        let [program, arguments @ ..] = command else { panic!("no program") };
        let mut command = Command::new(program);
        command.args(arguments).env("LD_PRELOAD", shim()).env("IA2_POLICY", self.policy());
        command.envs(variables.iter().copied());
        run(&mut command, LIMIT).unwrap_or_else(|e| panic!("{program}: {e}"))
    }
}

const OPEN: &str = "policy main version 1\nmode blocklist\ndefault allow\nunknown errno ENOSYS\n";

/// Rules of the command line: what they say holds in children, too, under every policy and under none.
#[test]
fn rules_of_the_command_line_are_what_happens() {
    let script = "mkdir a; sh -c 'mkdir b'; rmdir b";
    let rules = ["-e", "@file-system : allow", "-e", "mkdir, mkdirat : errno EROFS \"by hand\""];
    let closed = Written::new(&format!("{OPEN}mkdir, mkdirat : allow rmdir : errno EACCES\n"));
    let closed = closed.policy();
    for policies in [&[][..], &["-p", "base"], &["-p", &closed], &["-p", "ia2", "-p", &closed]] {
        for entry in ENTRIES {
            let folder = tempfile::tempdir().expect("a folder can be made");
            let mut ia2 = Command::new(ia2());
            ia2.arg("run").args(policies).args(rules).args(entry);
            ia2.args(["--", "sh", "-c", script]).current_dir(folder.path()).env("LC_ALL", "C");
            let run = run(&mut ia2, LIMIT).expect("it runs");
            let told = run.error_text();
            for denied in ["cannot create directory 'a'", "cannot create directory 'b'"] {
                assert!(told.contains(&format!("{denied}: Read-only file system")), "{told}");
            }
            assert!(told.contains("failed to remove 'b': No such file"), "{told}");
            assert!(told.contains("rule  -e 2:1:1: mkdir, mkdirat : errno EROFS"), "{told}");
        }
    }
    // What is odd about a rule is told, once.
    let mut ia2 = Command::new(ia2());
    ia2.args(["run", "-p", "base", "-p", &closed, "-e", "read : fd == 0", "--", "echo", "ran"]);
    let run = run(&mut ia2, LIMIT).expect("it runs");
    assert_eq!((run.end, run.text().as_str()), (End::Exit(0), "ran\n"));
    let told = run.error_text();
    assert_eq!(told.matches("warning[W0205]").count(), 1, "{told}");
}

#[test]
fn a_file_that_others_may_write_is_no_policy() {
    let written = Written::new(OPEN);
    fs::set_permissions(written.policy(), fs::Permissions::from_mode(0o666)).expect("it is ours");
    for run in [written.run(&[], &["/bin/true"]), written.preload(&[], &["/bin/true"])] {
        assert_eq!(run.end, End::Exit(125));
        assert!(run.error_text().contains("main.ia2"), "{}", run.error_text());
    }
}

#[test]
fn a_policy_with_errors_stops_the_program_and_says_where() {
    let written = Written::new(&format!("{OPEN}\nopennat : allow\n"));
    for run in
        [written.run(&[], &["/bin/echo", "ran"]), written.preload(&[], &["/bin/echo", "ran"])]
    {
        assert_eq!((run.end, run.text().as_str()), (End::Exit(125), ""));
        let told = run.error_text();
        assert!(
            told.contains("E0102") && told.contains("openat") && told.contains("main.ia2:6"),
            "{told}"
        );
    }
}

/// What a policy refuses to any program, each in its way, and what of it is told.
#[test]
fn a_refusal_is_reported_with_its_rule_and_where_it_came_from() {
    let rule = "mkdir, mkdirat : errno EROFS \"nothing is made here\"";
    let written = Written::new(&format!("{OPEN}{rule}\n"));
    let target = written.path("new");
    let target = target.to_str().expect("it is UTF-8");
    let log = written.path("log");
    let log = log.to_str().expect("it is UTF-8");
    let runs = [
        written.run(&["--log-file", log], &["/bin/mkdir", target]),
        written.run(&["--log-file", log, "--no-patch"], &["/bin/mkdir", target]),
        written.preload(&[("IA2_LOG_FILE", log)], &["/bin/mkdir", target]),
        written.run(&["--log-file", log, "--backstop", "inspected"], &["/bin/mkdir", target]),
        written.run(&["--log-file", log, "--backstop", "sud"], &["/bin/mkdir", target]),
        written.run(&["--log-file", log, "--backstop", "none"], &["/bin/mkdir", target]),
    ];
    let ways = runs.len();
    for run in runs {
        let told = run.error_text();
        assert_eq!(run.end, End::Exit(1), "{told}");
        for part in [
            "ia2shim: denied mkdir(path=",
            target,
            "-> errno EROFS (nothing is made here)",
            "main.ia2:5:1: mkdir, mkdirat : errno EROFS",
            "libc.so.6+0x",
            "(mkdir+0x",
            "allow mkdir : allow",
            "Read-only file system",
        ] {
            assert!(told.contains(part), "{part:?} is missing:\n{told}");
        }
        assert_eq!(told.matches("ia2shim:").count(), 1, "{told}");
    }
    let lines = fs::read_to_string(log).expect("there is a log");
    assert_eq!(lines.lines().count(), ways);
    for line in lines.lines() {
        let line: Json = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(line["schema"], "ia2.denial/1");
        assert_eq!(
            (&line["sys"], &line["nr"], &line["act"]),
            (&"mkdir".into(), &83.into(), &"errno EROFS".into())
        );
        assert_eq!((&line["rule"]["line"], &line["rule"]["held"]), (&5.into(), &true.into()));
    }
}

#[test]
fn nothing_is_said_if_nothing_is_to_be_said() {
    let written = Written::new(&format!("{OPEN}mkdir, mkdirat : errno EROFS\n"));
    let run = written.run(&["--quiet"], &["/bin/mkdir", "/tmp/never"]);
    assert!(!run.error_text().contains("ia2shim"), "{}", run.error_text());
    let run = written.preload(&[("IA2_LOG", "off")], &["/bin/mkdir", "/tmp/never"]);
    assert!(!run.error_text().contains("ia2shim"), "{}", run.error_text());
}

#[test]
fn what_a_program_executes_is_under_the_policy_too() {
    let written = Written::new(&format!("{OPEN}mkdir, mkdirat : errno EROFS\n"));
    let command =
        "sh -c 'mkdir /tmp/never; env -i /bin/mkdir /tmp/never; (mkdir /tmp/never); echo end'";
    for run in [
        written.run(&["--quiet"], &["/bin/sh", "-c", command]),
        written.preload(&[("IA2_LOG", "off")], &["/bin/sh", "-c", command]),
    ] {
        let told = run.error_text();
        assert_eq!((run.end, run.text().as_str()), (End::Exit(0), "end\n"), "{told}");
        assert_eq!(told.matches("Read-only file system").count(), 3, "{told}");
    }
    assert!(!PathBuf::from("/tmp/never").exists());
}

#[test]
fn a_killed_process_dies_of_sigsys() {
    for how in ["kill_process", "kill_thread"] {
        let written = Written::new(&format!("{OPEN}mkdir, mkdirat : {how} \"why\"\n"));
        for backstop in ["strict", "inspected", "sud", "none"] {
            let run = written.run(&["--backstop", backstop], &["/bin/mkdir", "/tmp/never"]);
            assert_eq!(run.end, End::Signal(SIGSYS), "{how} {backstop}: {}", run.error_text());
            assert!(run.error_text().contains("(why)"), "{how} {backstop}: {}", run.error_text());
        }
    }
}

/// Of several policies the strictest answer counts.
#[test]
fn layers_add_up() {
    let (one, two) = (
        Written::new(&format!("{OPEN}mkdir, mkdirat : errno EROFS\nrmdir : kill_process\n")),
        Written::new(&format!("{OPEN}rmdir, unlinkat : errno EACCES\n")),
    );
    let both = |command: &[&str]| {
        let mut ia2 = Command::new(ia2());
        ia2.args(["run", "--quiet", "-p", &one.policy(), "-p", &two.policy(), "--"]).args(command);
        run(&mut ia2, LIMIT).expect("it runs")
    };
    assert!(both(&["/bin/mkdir", "/tmp/never"]).error_text().contains("Read-only"));
    assert_eq!(both(&["/bin/rmdir", "/tmp/never"]).end, End::Signal(SIGSYS));
    let file = one.path("file");
    fs::write(&file, "").expect("it can be written");
    let file = file.to_str().expect("it is UTF-8");
    assert!(both(&["/bin/rm", file]).error_text().contains("Permission denied"));
    assert_eq!(both(&["/bin/true"]).end, End::Exit(0));
}

/// What counts is where a path leads.
#[test]
fn paths_are_judged_by_where_they_lead() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let at = folder.path().canonicalize().expect("it is there");
    for name in ["open", "shut"] {
        fs::create_dir(at.join(name)).expect("it can be made");
        fs::write(at.join(name).join("file"), format!("{name}\n")).expect("it can be written");
    }
    symlink(at.join("shut/file"), at.join("open/out")).expect("it can be made");
    symlink(at.join("open/file"), at.join("shut/in")).expect("it can be made");
    let text = format!(
        "{OPEN}files ro \"/\" except \"{at}/shut\"\nfiles rw \"{at}/open\", \"/dev\"\n\
         open, openat, openat2, creat : path in files else errno EACCES\n",
        at = at.display()
    );
    let written = Written::new(&text);
    let script = format!(
        "cd {at}; for f in open/file shut/file open/out shut/in open/../shut/file ./open/./file \
         /proc/self/cwd/shut/file /proc/self/cwd/open/file open/none; do cat $f 2>&1 | tail -1; done; \
         echo x > open/new && echo made; echo x > new || echo refused; echo x > shut/new || echo refused; \
         cd shut && cat file; cat ../open/file",
        at = at.display()
    );
    let wanted = "open\ncat: shut/file: Permission denied\ncat: open/out: Permission denied\nopen\n\
                  cat: open/../shut/file: Permission denied\nopen\n\
                  cat: /proc/self/cwd/shut/file: Permission denied\nopen\n\
                  cat: open/none: No such file or directory\nmade\nrefused\nrefused\nopen\n";
    for options in
        [&["--quiet"][..], &["--quiet", "--no-patch"], &["--quiet", "--backstop", "inspected"]]
    {
        let run = written.run(options, &["/bin/sh", "-c", &script]);
        assert_eq!(run.text(), wanted, "{options:?}: {}", run.error_text());
    }
    let run = written.preload(&[("IA2_LOG", "off")], &["/bin/sh", "-c", &script]);
    assert_eq!(run.text(), wanted, "{}", run.error_text());
}

/// `tests/policy/paths.c`, compiled in `folder` with more arguments.
fn paths_program(folder: &Path, name: &str, more: &[&OsStr]) -> PathBuf {
    let program = folder.join(name);
    let source = workspace().join("tests/policy/paths.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-pthread", "-o"]).arg(&program).arg(source).args(more);
    output(&mut gcc).expect("it compiles");
    program
}

/// The folder anew, as `tests/policy/paths.c` wants it.
fn lay_out(at: &Path) {
    for name in ["open", "shut", "read"] {
        let _ = fs::remove_dir_all(at.join(name));
        fs::create_dir(at.join(name)).expect("it can be made");
        for file in ["file", "kept"] {
            fs::write(at.join(name).join(file), format!("{name}\n")).expect("it can be written");
        }
    }
    symlink("../shut/made", at.join("open/out")).expect("it can be made");
    symlink("made", at.join("open/in")).expect("it can be made");
}

/// Links to nothing, flags behind a pointer, two paths in one call, a descriptor in place of a path; and a
/// thread that changes paths and flags while the call is judged.
#[test]
fn paths_are_judged_however_they_are_named() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let at = folder.path().canonicalize().expect("it is there");
    let program = paths_program(&at, "paths", &[]);
    let linked = paths_program(&at, "linked", &["-static".as_ref(), archive().as_os_str()]);
    let written = Written::new(&format!(
        "{OPEN}files ro \"/\" except \"{at}/shut\"\nfiles rw \"{at}/open\", \"/dev\"\n\
         open, openat, openat2, creat, newfstatat : path in files else errno EACCES\n\
         rename : oldpath in files && newpath in files else errno EACCES\n",
        at = at.display()
    ));
    let words = |said: [&str; 18]| said.map(str::to_owned).to_vec();
    let (ok, out) = ("ok", "EACCES");
    let natively = words([
        ok, ok, ok, ok, "EINVAL", ok, "E2BIG", "EFAULT", ok, ok, ok, ok, ok, "ENOENT", ok, ok,
        "yes", "yes",
    ]);
    let judged = words([
        out, ok, ok, out, "EINVAL", ok, "E2BIG", "EFAULT", ok, out, out, ok, ok, "ENOENT", ok, out,
        "no", "no",
    ]);
    let check = |run: Run, wanted: &[String], how: &str| {
        let said: Vec<String> = run
            .text()
            .lines()
            .map(|line| line.rsplit(": ").next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(said, wanted, "{how}: {}{}", run.text(), run.error_text());
    };
    lay_out(&at);
    check(
        run(Command::new(&program).current_dir(&at), LIMIT).expect("it runs"),
        &natively,
        "natively",
    );
    for options in [
        &["--quiet"][..],
        &["--quiet", "--no-patch"],
        &["--quiet", "--backstop", "inspected"],
        &["--quiet", "--backstop", "none"],
    ] {
        lay_out(&at);
        let mut ia2 = Command::new(ia2());
        ia2.args(["run", "-p", &written.policy()]).args(options).arg("--").arg(&program);
        let run = run(ia2.current_dir(&at), LIMIT).expect("it runs");
        check(run, &judged, &format!("{options:?}"));
        assert!(!at.join("shut/made").exists());
    }
    lay_out(&at);
    let mut linked = Command::new(linked);
    linked.current_dir(&at).env("IA2_POLICY", written.policy()).env("IA2_LOG", "off");
    check(run(&mut linked, LIMIT).expect("it runs"), &judged, "linked");
    lay_out(&at);
    let mut preloaded = Command::new(&program);
    preloaded.current_dir(&at).env("LD_PRELOAD", shim());
    preloaded.env("IA2_POLICY", written.policy()).env("IA2_LOG", "off");
    check(run(&mut preloaded, LIMIT).expect("it runs"), &judged, "preloaded");
}

/// A path that is judged is opened, and used otherwise, as natively.
#[test]
fn what_is_allowed_is_done_as_natively() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = folder.path().join("opens");
    let source = workspace().join("tests/policy/opens.c");
    output(Command::new("gcc").args(["-O1", "-o"]).arg(&program).arg(source)).expect("it compiles");
    let calls = "open, openat, openat2, creat, truncate, newfstatat, lstat, rmdir, unlink, mkdir";
    let written = Written::new(&format!(
        "{OPEN}files rw \"/\"\n{calls} : path in files else errno EACCES\n\
         rename : oldpath in files && newpath in files else errno EACCES\n"
    ));
    let said = |command: &mut Command| {
        let at = tempfile::tempdir().expect("a folder can be made");
        let at = at.path().canonicalize().expect("it is there");
        let run = run(command.current_dir(at), LIMIT).expect("it runs");
        assert_eq!(run.end, End::Exit(0), "{}{}", run.text(), run.error_text());
        run.text()
    };
    let natively = said(&mut Command::new(&program));
    assert!(natively.lines().count() > 60, "{natively}");
    for options in [&[][..], &["--no-patch"], &["--backstop", "inspected"], &["--backstop", "none"]]
    {
        let mut ia2 = Command::new(ia2());
        ia2.args(["run", "--quiet", "-p", &written.policy()]).args(options).arg("--").arg(&program);
        assert_eq!(said(&mut ia2), natively, "{options:?}");
    }
    let mut preloaded = Command::new(&program);
    preloaded.env("LD_PRELOAD", shim()).env("IA2_POLICY", written.policy());
    assert_eq!(said(&mut preloaded), natively, "preloaded");
}

/// A program that dispatches its calls to itself gets them, whatever a policy would say to them.
#[test]
fn user_dispatch_comes_before_a_policy() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = folder.path().join("dispatch");
    let sources = workspace().join("c-tests");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-pthread", "-I"]).arg(&sources).arg("-o").arg(&program);
    output(gcc.arg(sources.join("own_user_dispatch.c"))).expect("it compiles");
    let natively = run(&mut Command::new(&program), LIMIT).expect("it runs");
    assert_eq!(natively.end, End::Exit(0), "{}", natively.error_text());
    let written = Written::new(OPEN);
    let run = written.run(&["--quiet"], &[program.to_str().expect("it is UTF-8")]);
    assert_eq!((run.end, run.text()), (natively.end, natively.text()), "{}", run.error_text());
}

/// Who makes the call.
#[test]
fn callers_are_told_apart() {
    for (from, allowed) in
        [("wrapper", true), ("libc.so", true), ("jit", false), ("vdso", false), ("libm.so", false)]
    {
        let written =
            Written::new(&format!("{OPEN}mkdir, mkdirat : from {from} else errno EROFS\n"));
        let target = written.path("new");
        let run = written.run(&["--quiet"], &["/bin/mkdir", target.to_str().expect("it is UTF-8")]);
        assert_eq!(target.exists(), allowed, "{from}: {}", run.error_text());
    }
}

/// A policy that was compiled before is taken as it is.
#[test]
fn a_compiled_policy_is_a_policy() {
    let policy = load("main.ia2", &format!("{OPEN}mkdir, mkdirat : errno EROFS\n"));
    let compiled = ia2_policy::compile::compile(&policy).expect("it compiles");
    let written = Written::new("");
    fs::write(written.policy(), &compiled.blob).expect("it can be written");
    for run in [
        written.run(&["--quiet"], &["/bin/mkdir", "/tmp/never"]),
        written.preload(&[], &["/bin/mkdir", "/tmp/never"]),
    ] {
        assert!(run.error_text().contains("Read-only"), "{}", run.error_text());
    }
}

/// A cause that the tests above never name.
#[test]
fn an_argument_that_cannot_be_read_is_its_own_cause() {
    let policy = load("main.ia2", &format!("{OPEN}open : path in files\nfiles ro \"/\"\n"));
    let said = eval::eval(&policy, 2, &BAD, &mut |_| Err(EFAULT));
    assert_eq!((said.action, said.cause), (ActionKind::Errno(EFAULT), Cause::Argument));
}

/// Code that jumps to the gate with a call of its choice gets no further than through it: the control is
/// that it gets there at all.
#[test]
fn code_that_jumps_to_the_gate_is_judged_as_well() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = folder.path().join("jump");
    let source = workspace().join("tests/policy/jump.c");
    output(Command::new("gcc").args(["-O1", "-mno-red-zone", "-o"]).arg(&program).arg(source))
        .expect("it compiles");
    let program = program.to_str().expect("it is UTF-8");
    let control = Written::new(OPEN);
    let written = Written::new(&format!("{OPEN}getppid : errno EROFS\n"));
    for options in [&["--quiet"][..], &["--quiet", "--backstop", "inspected"]] {
        assert_eq!(control.run(options, &[program]).text(), "made\nmade\nmade\n", "{options:?}");
        let run = written.run(options, &[program]);
        assert_eq!(run.text(), "refused\nrefused\nrefused\n", "{options:?}: {}", run.error_text());
    }
}

/// What a program of every day prints under a built-in policy.
fn under_built_in(policy: &str, command: &[&str]) -> Result<String, String> {
    let mut ia2 = Command::new(ia2());
    ia2.args(["run", "-p", policy, "--"]).args(command);
    let run = run(&mut ia2, LIMIT).map_err(|e| e.to_string())?;
    // Nothing that it needs was refused.
    assert!(!run.error_text().contains("ia2shim"), "{}", run.error_text());
    run.success()
}

#[test]
fn python_and_sqlite_work_under_ia2() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("data");
    let file = file.to_str().expect("it is UTF-8");
    let sql = "create table t(a); insert into t values(7); select max(a) from t;";
    assert_eq!(under_built_in("ia2", &["sqlite3", file, sql]), Ok("7\n".to_owned()));
    let script = "import json, sqlite3, subprocess, sys, threading\n\
                  t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n\
                  print(subprocess.run(['echo', 'child'], capture_output=True, text=True).stdout, end='')\n\
                  print(sqlite3.connect(sys.argv[1]).execute('select a from t').fetchone())\n";
    let text = under_built_in("ia2", &["/usr/bin/python3", "-c", script, file]);
    assert_eq!(text.as_deref(), Ok("thread\nchild\n(7,)\n"));
}

#[test]
fn redis_works_under_ia2() {
    let port = free_port();
    let port_text = port.to_string();
    let mut ia2 = Command::new(ia2());
    ia2.args(["run", "-p", "ia2", "--", "redis-server", "--save", "", "--port", &port_text]);
    let server = Server::start(&mut ia2, port).expect("it starts");
    let ask = |words: &[&str]| {
        output(Command::new("redis-cli").args(["-p", &port_text]).args(words)).expect("it answers")
    };
    assert_eq!((ask(&["set", "a", "b"]).as_str(), ask(&["get", "a"]).as_str()), ("OK\n", "b\n"));
    assert_eq!(server.stop().expect("it ends"), End::Exit(0));
}

#[test]
fn nginx_works_under_nginx() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let at = folder.path().to_str().expect("it is UTF-8");
    let port = free_port();
    fs::write(folder.path().join("page"), "a page\n").expect("it can be written");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at};"))
        .concat();
    let config = format!(
        "pid {at}/pid; error_log stderr; daemon off; worker_processes 1; events {{}}\n\
         http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; root {at}; }} }}\n"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, config).expect("it can be written");
    let mut ia2 = Command::new(ia2());
    ia2.args(["run", "-p", "nginx", "--", "nginx", "-e", "stderr", "-c"]).arg(&file);
    let server = Server::start(&mut ia2, port).expect("it starts");
    assert!(fetch(port, "/page").expect("it answers").ends_with("a page"));
    assert!(fetch(port, "/none").expect("it answers").contains("404"));
    assert_eq!(server.stop().expect("it ends"), End::Exit(0));
}
