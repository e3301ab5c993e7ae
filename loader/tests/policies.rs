//! The commands that read policies, as their users meet them: output, messages, exit status.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder with policies, which is the working directory of what it runs.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        // Tests run at the same time.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a temporary folder");
        fs::write(&path, text).expect("a temporary file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ia2"));
        command.current_dir(&self.0).args(arguments);
        command.env("XDG_CONFIG_HOME", self.0.join("config"));
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.command(arguments).output().expect("ia2 starts"))
    }

    /// Standard output, if the exit status is that.
    fn text(&self, status: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status(), status, "{arguments:?}: {}{}", ran.out(), ran.err());
        ran.out()
    }

    fn json(&self, status: i32, arguments: &[&str]) -> Value {
        let text = self.text(status, arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }
}

struct Ran(Output);

impl Ran {
    fn status(&self) -> i32 {
        self.0.status.code().expect("it exits")
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).expect("UTF-8")
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).expect("UTF-8")
    }
}

const APP: &str = r#"policy app version 1
baseline linux 6.6
default errno EPERM "not for this program"
unknown errno ENOSYS

files ro "/usr" except "/usr/secret"
files rw "/tmp/app"
@timer, exit_group : allow
read       : fd in { 0, 3..7 }
mmap       : !(prot has PROT_WRITE|PROT_EXEC)   else kill_process "W^X"
openat     : path in files                      else errno EACCES
clone      : flags has CLONE_THREAD && from wrapper || (flags & CLONE_NEWUSER) == 0
eventfd2   : flags subset EFD_CLOEXEC|EFD_NONBLOCK then allow log
rt_sigaction : emulate
execve     : path in "/usr/bin/*" && from wrapper
mkdirat    : errno EROFS      # a comment

#? read(0, _, _) -> allow
#? read(8, _, _) -> errno EPERM
#? mmap(_, _, PROT_READ|PROT_WRITE|PROT_EXEC, _, _, _) -> kill_process
#? openat(AT_FDCWD, "/usr/lib/x", O_RDONLY) -> allow
#? openat(AT_FDCWD, "/usr/secret/x", O_RDONLY) -> errno EACCES
#? openat(AT_FDCWD, "/usr/lib/x", O_RDWR) -> deny
#? execve("/usr/bin/ls") -> allow
"#;

const BAD: &str = "policy bad version 1
default errno EPERM
unknown errno ENOSYS
opennat : allow
read : fdd == 0
mmap : prot has O_RDONLY
write, write : fd == 1
getpid : allow
getpid : errno EIO
exit : 1
";

fn app() -> Folder {
    Folder::new("app").with("app.ia2", APP)
}

// ---- rules on the command line

#[test]
fn rules_of_the_command_line_outrank_the_policy_in_every_command() {
    const RULES: [&str; 3] = ["-e", "read : fd == 8 else errno EIO", "--rule=write : errno EROFS"];
    let folder = app();
    fn with<'a>(start: &[&'a str], end: &[&'a str]) -> Vec<&'a str> {
        [start, &RULES, end].concat()
    }
    let text = folder.text(0, &with(&["test", "app.ia2"], &["read(8, _, _)"]));
    assert_eq!(text, "read(8, _, _): allow, by -e 1:1:1 (its condition holds)\n");
    let text = folder.text(0, &with(&["test", "app.ia2"], &["write(_, _, _)"]));
    assert_eq!(text, "write(_, _, _): errno EROFS, by -e 2:1:1\n");
    // The policy's own tests say what the rules change.
    let text = folder.text(1, &with(&["test"], &["app.ia2"]));
    assert!(text.contains("app.ia2:19:1: FAILED: read(8, _, _): allow, by -e 1:1:1 "), "{text}");
    let text = folder.text(0, &with(&["explain"], &["app.ia2", "read"]));
    assert!(text.starts_with("-e 1:1:1: home K, level A1: read : fd == 8 else"), "{text}");
    let text = folder.text(0, &with(&["compile", "--emit", "pfc"], &["app.ia2"]));
    assert!(text.contains("return errno EROFS") && !text.contains("EPERM (app.ia2:10"), "{text}");
    assert!(folder.text(0, &with(&["check"], &["app.ia2", "ia2", "base"])).lines().count() >= 3);
    // A call that is asked about is no test of theirs.
    let rules = ["test", "base", "-e", "#? getpid() -> allow", "sync()", "--expect", "deny"];
    let text = folder.text(1, &rules);
    assert!(text.starts_with("FAILED: sync(): allow, by default: "), "{text}");
    let (compiled, rules) = (folder.0.join("app.bin"), ["-e", "sync : allow"]);
    let compiled = compiled.to_str().expect("UTF-8");
    folder.text(0, &["compile", "app.ia2", "-o", compiled]);
    let ran = folder.run(&[&["run", "-p", compiled][..], &rules, &["true"]].concat());
    assert_eq!(ran.status(), 125);
    assert!(ran.err().contains("rules are for a policy's text"), "{}", ran.err());
}

#[test]
fn what_is_wrong_with_a_rule_of_the_command_line_names_it() {
    let folder = app();
    let wrong = ["-e", "sync : allow", "-e", "  opennat : allow"];
    let drawn = "error[E0102]: unknown system call `opennat`\n --> -e 2:1:3\n";
    for command in ["check", "explain", "compile", "test"] {
        let ran = folder.run(&[&[command, "app.ia2"][..], &wrong].concat());
        let text = ran.out() + &ran.err();
        assert!(text.contains(drawn) && ran.status() > 0, "{command}: {text}");
    }
    for policy in [&[][..], &["-p", "app.ia2"], &["-p", "ia2", "-p", "capejail"]] {
        let ran = folder.run(&[&["run"][..], policy, &wrong, &["echo", "ran"]].concat());
        assert_eq!((ran.status(), ran.out().as_str()), (125, ""));
        assert_eq!(ran.err().matches(drawn).count(), 1, "{}", ran.err());
        let last = if policy.is_empty() {
            "-e: the rules have errors\n"
        } else {
            "the policy has errors\n"
        };
        assert!(ran.err().ends_with(last), "{}", ran.err());
    }
    let json = folder.json(1, &["check", "--json", "base", "-e", "read : fdd == 1"]);
    let first = &json["findings"][0];
    assert_eq!(
        (&first["file"], &first["line"], &first["column"]),
        (&"-e 1".into(), &1.into(), &8.into())
    );
}

// ---- check

#[test]
fn check_draws_errors() {
    let folder = Folder::new("bad").with("bad.ia2", BAD);
    insta::assert_snapshot!(folder.text(1, &["check", "bad.ia2"]));
}

#[test]
fn check_gives_sizes() {
    let text = app().text(0, &["check", "app.ia2"]);
    insta::assert_snapshot!(text);
}

#[test]
fn check_gives_json_as_a_language_server_wants_it() {
    let folder = Folder::new("json").with("bad.ia2", BAD);
    let json = folder.json(1, &["check", "--json", "bad.ia2"]);
    assert_eq!(json["schema"], "ia2.check/1");
    let first = &json["findings"][0];
    for (name, wanted) in [
        ("file", Value::from("bad.ia2")),
        ("line", 4.into()),
        ("column", 1.into()),
        ("code", "E0102".into()),
        ("severity", "error".into()),
        ("message", "unknown system call `opennat`".into()),
        ("help", "did you mean `openat`?".into()),
    ] {
        assert_eq!(first[name], wanted, "{name}");
    }
    assert_eq!((&first["end"]["line"], &first["end"]["column"]), (&4.into(), &8.into()));
    assert_eq!(json["instructions"], Value::Null);
    let json = folder.json(0, &["check", "--json", "ia2"]);
    assert!(json["instructions"]["strict"].as_u64().is_some_and(|count| count > 100), "{json}");
    // One line for each policy.
    let lines = folder.text(1, &["check", "--json", "bad.ia2", "ia2"]);
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn check_knows_kernels() {
    let folder = app();
    let text = folder.text(0, &["check", "--kernel", "6.18", "app.ia2"]);
    assert!(text.contains("Linux 6.18 has all calls of its rules"), "{text}");
    assert!(text.contains("newer than the policy's baseline, which get errno ENOSYS: "), "{text}");
    assert!(text.contains("mseal (6.10)"), "{text}");
    let text = folder.text(0, &["check", "--kernel", "2.6.15", "app.ia2"]);
    assert!(text.contains("that Linux 2.6.15 does not have: "), "{text}");
    assert!(text.contains("openat (2.6.16)"), "{text}");
    assert_eq!(folder.run(&["check", "--kernel", "six", "app.ia2"]).status(), 2);
    let json = folder.json(0, &["check", "--kernel", "5.15", "--json", "ia2"]);
    assert_eq!(json["kernel"]["version"], "5.15");
    let missing = json["kernel"]["missing"].as_array().expect("a list");
    assert!(missing.iter().any(|one| one["sys"] == "futex_waitv" && one["since"] == "5.16"));
}

#[test]
fn check_has_three_exit_statuses() {
    let folder = Folder::new("status").with("bad.ia2", BAD);
    assert_eq!(folder.run(&["check", "seed4"]).status(), 0);
    assert_eq!(folder.run(&["check", "--deny", "warnings", "seed4"]).status(), 1);
    assert_eq!(folder.run(&["check", "--deny", "warnings", "ia2"]).status(), 0);
    assert_eq!(folder.run(&["check", "bad.ia2"]).status(), 1);
    for name in ["missing.ia2", "nosuch", ".", "ia2:nosuch"] {
        let ran = folder.run(&["check", "bad.ia2", name]);
        assert_eq!(ran.status(), 2, "{name}: {}", ran.out());
        assert!(ran.out().contains("error[E0601]: "), "{}", ran.out());
    }
}

#[test]
fn colours_are_where_they_are_wanted() {
    let folder = Folder::new("colour").with("bad.ia2", BAD);
    let has = |ran: &Ran| ran.out().contains('\u{1b}');
    assert!(!has(&folder.run(&["check", "bad.ia2"])), "no terminal");
    assert!(has(&folder.run(&["check", "--color", "always", "bad.ia2"])));
    assert!(has(&folder.run(&["--color=always", "check", "bad.ia2"])));
    let with = |name: &str, option: &str| {
        Ran(folder.command(&["check", "bad.ia2", option]).env(name, "1").output().expect("starts"))
    };
    assert!(has(&with("CLICOLOR_FORCE", "--color=auto")));
    assert!(!has(&with("CLICOLOR_FORCE", "--color=never")));
    assert!(!has(&with("NO_COLOR", "--color=auto")));
}

// ---- where policies are

#[test]
fn a_policy_is_found_by_name_but_never_in_the_working_directory() {
    let text = APP.replace("policy app", "policy web");
    let folder = Folder::new("names").with("web.ia2", &text);
    let ran = folder.run(&["check", "web"]);
    assert_eq!(ran.status(), 2, "{}", ran.out());
    assert!(ran.out().contains("no policy `web`"), "{}", ran.out());
    let folder = folder.with("config/ia2/policies/web.ia2", &text);
    folder.text(0, &["check", "web"]);
    assert!(folder.text(0, &["list", "policies"]).contains("/ia2/policies/web.ia2"));
    assert_eq!(folder.text(0, &["list", "policies", "web"]), text);
    // A mistyped one.
    assert!(folder.run(&["check", "wbe"]).out().contains("did you mean `web`?"));
    // A name that is built in as well means neither.
    let folder = folder.with("config/ia2/policies/nginx.ia2", &text);
    let ran = folder.run(&["check", "nginx"]);
    assert_eq!(ran.status(), 2);
    assert!(ran.out().contains("`nginx` is built in, and it is "), "{}", ran.out());
    folder.text(0, &["check", "ia2:nginx"]);
    // Without a home there are still the others.
    let mut command = folder.command(&["check", "ia2"]);
    let output = command.env_remove("XDG_CONFIG_HOME").env_remove("HOME").output().expect("starts");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_policy_that_others_can_write_is_refused_and_so_is_what_it_includes() {
    let folder = Folder::new("mode")
        .with("app.ia2", APP)
        .with("outer.ia2", "policy outer version 1\ninclude \"part/app.ia2\"\n")
        .with("part/app.ia2", "default errno EPERM\nunknown errno ENOSYS\ninclude \"deep.ia2\"\n")
        .with("part/deep.ia2", "exit_group : allow\n");
    folder.text(0, &["check", "app.ia2"]);
    folder.text(0, &["check", "outer.ia2"]);
    for (mode, who) in [(0o664, "its group"), (0o646, "others")] {
        for (file, checked, status) in
            [("app.ia2", "app.ia2", 2), ("part/deep.ia2", "outer.ia2", 1)]
        {
            let path = folder.0.join(file);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            let text = folder.text(status, &["check", checked]);
            assert!(text.contains("cannot read") && text.contains(who), "{text}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        }
    }
}

#[test]
fn standard_input_is_a_policy_too() {
    let folder = Folder::new("stdin");
    let mut command = folder.command(&["test", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ia2 starts");
    child.stdin.take().expect("a pipe").write_all(APP.as_bytes()).expect("it reads");
    let ran = Ran(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.status(), ran.out().as_str()), (0, "-: 7 tests, 0 failed\n"), "{}", ran.err());
}

#[test]
fn what_is_no_text_is_told() {
    let folder = Folder::new("odd").with("empty.ia2", "").with("app.ia2", APP);
    fs::write(folder.0.join("bytes.ia2"), b"policy a\xff").expect("a temporary file");
    folder.text(1, &["check", "empty.ia2"]);
    assert!(folder.text(2, &["check", "bytes.ia2"]).contains("it is not UTF-8 (byte 8)"));
    folder.text(0, &["compile", "app.ia2", "-o", "app.blob"]);
    assert!(folder.text(2, &["check", "app.blob"]).contains("it is a compiled policy"));
    // A name that would move the cursor.
    let text = folder.text(2, &["check", "no\u{1b}[2J.ia2"]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    for command in ["explain", "test", "compile"] {
        let ran = folder.run(&[command, "empty.ia2"]);
        assert_eq!((ran.status(), ran.out().as_str()), (2, ""), "{command}");
        assert!(ran.err().contains("error["), "{command}: {}", ran.err());
    }
    assert_eq!(folder.run(&["diff", "empty.ia2", "ia2"]).status(), 2);
    let json = folder.json(2, &["diff", "--json", "empty.ia2", "ia2"]);
    assert_eq!(json["findings"][0]["severity"], "error");
}

// ---- explain

#[test]
fn explain_says_who_enforces_what() {
    insta::assert_snapshot!(app().text(0, &["explain", "app.ia2"]));
}

#[test]
fn explain_says_what_a_call_costs() {
    let folder = app();
    let text = folder.text(0, &["explain", "app.ia2", "openat", "--cost"]);
    assert!(text.contains("    cost: ask; at most "), "{text}");
    let json = folder.json(0, &["explain", "app.ia2", "--cost", "--json"]);
    assert_eq!(json["schema"], "ia2.explain/1");
    let costs = json["rules"].as_array().expect("a list").iter();
    let costs: Vec<&Value> =
        costs.flat_map(|rule| rule["costs"].as_array().expect("a list")).collect();
    let class = |name: &str| {
        let found = costs.iter().find(|cost| cost["sys"] == name);
        found.unwrap_or_else(|| panic!("no {name}"))["class"].as_str().expect("a word").to_owned()
    };
    for (name, wanted) in [
        ("timerfd_create", "bitmap"),
        ("openat", "ask"),
        ("mmap", "slow"),
        ("read", "filter"),
        ("mkdirat", "slow"),
    ] {
        assert_eq!(class(name), wanted, "{name}");
    }
}

#[test]
fn explain_decides_one_call() {
    let folder = app();
    for (call, parts) in [
        ("read(3)", &["read(3, _, _): allow, by app.ia2:9:1", "decided by K"][..]),
        (
            "openat(_, \"/etc/x\", O_RDONLY)",
            &[
                "errno EACCES",
                "decided by S",
                "S A1  `path in files` decides: allow, else errno EACCES",
            ],
        ),
        ("clone(CLONE_NEWUSER)", &["errno EPERM", "decided by K"]),
        ("clone(CLONE_NEWUSER|CLONE_THREAD)", &["allow", "decided by S"]),
        ("getpid()", &["by default: no rule names it; decided by K", "default errno EPERM"]),
        ("mseal()", &["unknown: newer than the policy", "home K, level A1: unknown errno ENOSYS"]),
        ("getpid", &["home K, level A1: default errno EPERM", "getpid (to raise a signal again)"]),
        ("#471", &["unknown errno ENOSYS"]),
    ] {
        let text = folder.text(0, &["explain", "app.ia2", call]);
        for part in parts {
            assert!(text.contains(part), "{call}: {part:?} is not in:\n{text}");
        }
    }
    for call in ["opennat", "opennat(1)", "read(", "read(1)(2)", "read(0)\nwrite : allow", ""] {
        let ran = folder.run(&["explain", "app.ia2", call]);
        assert_eq!(ran.status(), 2, "{call}: {}", ran.out());
        assert!(!ran.err().is_empty(), "{call}");
    }
}

#[test]
fn explain_knows_codes() {
    let folder = app();
    assert!(folder.text(0, &["explain", "E0201"]).starts_with("E0201: One call has one rule."));
    assert!(folder.text(0, &["explain", "E0901"]).starts_with("E0901: "));
    assert_eq!(folder.json(0, &["explain", "--json", "L0301"])["code"], "L0301");
    assert_eq!(folder.run(&["explain", "E9999"]).status(), 2);
}

// ---- test

#[test]
fn a_test_must_hold_whatever_it_leaves_open() {
    let folder = app().with(
        "wrong.ia2",
        &format!("{APP}#? read(_, _, _) -> allow\n#? openat(_, _, O_WRONLY) -> deny\n#? mkdirat() -> EROFS\n")
            .replace("-> EROFS", "-> errno EROFS"),
    );
    assert_eq!(folder.text(0, &["test", "app.ia2"]), "app.ia2: 7 tests, 0 failed\n");
    insta::assert_snapshot!(folder.text(1, &["test", "wrong.ia2"]));
}

#[test]
fn one_call_is_asked_about() {
    let folder = app();
    for (call, expect, status) in [
        ("read(3, _, _)", "allow", 0),
        ("read(3, _, _)", "deny", 1),
        ("read(8)", "errno EPERM", 0),
        ("read(8)", "EPERM", 0),
        ("read(8)", "errno EACCES", 1),
        ("mmap(_, _, PROT_WRITE|PROT_EXEC)", "kill_process", 0),
        ("mmap(_, _, _)", "allow", 1),
        ("rt_sigaction(SIGSYS)", "emulate", 0),
        ("rt_sigaction(SIGSYS)", "allow", 0),
        ("openat(_, \"/usr/lib\", O_RDONLY)", "allow", 0),
        ("openat(_, \"/tmp/app/x\", O_CREAT|O_RDWR)", "allow", 0),
        // Where a name leads that is not absolute, nobody knows.
        ("openat(_, \"x\", O_RDONLY)", "allow", 1),
        ("openat(_, \"x\", O_RDONLY)", "deny", 1),
        ("openat(_, NULL, O_RDONLY)", "errno EFAULT", 0),
        ("nosuch()", "allow", 2),
        ("read(8)", "eat", 2),
        ("read(8)", "allow\nread : allow", 2),
    ] {
        let ran = folder.run(&["test", "app.ia2", call, "--expect", expect]);
        assert_eq!(ran.status(), status, "{call} {expect}: {}{}", ran.out(), ran.err());
    }
    for call in ["?nosuch()", "read(0) -> allow", "read(0) # ", "read(fd)", "read(0, 0, 0, 0)"] {
        let ran = folder.run(&["test", "app.ia2", call]);
        assert_eq!((ran.status(), ran.out().as_str()), (2, ""), "{call}: {}", ran.err());
        assert!(call == "?nosuch()" || ran.err().contains("--> the call:1:"), "{}", ran.err());
    }
    // What is wrong with the policy is not blamed on the call.
    let folder = folder.with("half.ia2", "policy h version 1\ndefault errno EPERM\nread : fd ==");
    let ran = folder.run(&["test", "half.ia2", "read(0)"]);
    assert_eq!(ran.status(), 2);
    assert!(ran.err().contains("--> half.ia2:3:"), "{}", ran.err());
    assert!(!ran.err().contains("the call"), "{}", ran.err());
    // Without an expectation it is only shown.
    insta::assert_snapshot!(
        [
            folder.text(0, &["test", "app.ia2", "read(_, _, _)"]),
            folder.text(0, &["test", "app.ia2", "eventfd2(0, EFD_CLOEXEC)"]),
            folder.text(0, &["test", "app.ia2", "openat(_, \"x/y\", O_RDONLY)"]),
            folder.text(0, &["test", "nginx", "openat2(_, \"/usr/x\")"]),
            folder.text(0, &["test", "app.ia2", "execve(\"/usr/bin/ls\")", "--from", "any"]),
        ]
        .concat()
    );
}

#[test]
fn callers_are_assumed() {
    let folder = app();
    let call = "execve(\"/usr/bin/ls\")";
    for (from, status) in [("wrapper", 0), ("jit", 1), ("libfoo.so", 1), ("any", 1)] {
        let ran = folder.run(&["test", "app.ia2", call, "--from", from, "--expect", "allow"]);
        assert_eq!(ran.status(), status, "{from}: {}", ran.out());
    }
    let folder = folder.with(
        "module.ia2",
        "policy m version 1\ndefault errno EPERM\nunknown errno ENOSYS\nbpf : from libfoo.so\n",
    );
    for (from, status) in
        [("libfoo.so", 0), ("libfoo.so.3", 0), ("libfoobar.so", 1), ("wrapper", 1)]
    {
        let ran = folder.run(&["test", "module.ia2", "bpf()", "--from", from, "--expect", "allow"]);
        assert_eq!(ran.status(), status, "{from}: {}", ran.out());
    }
}

#[test]
fn coverage_names_rules_without_a_test() {
    let text = app().text(0, &["test", "--coverage", "app.ia2"]);
    assert!(text.contains("app.ia2:12:1: no test: clone : "), "{text}");
    assert!(text.contains("app.ia2:10:1: no test where its condition holds: mmap : "), "{text}");
    assert!(!text.contains(": read : "), "{text}");
    let json = app().json(0, &["test", "--coverage", "--json", "app.ia2"]);
    assert_eq!(json["failed"], 0);
    assert!(json["unreached"].as_array().is_some_and(|list| !list.is_empty()));
    assert!(json["tests"][0]["passed"].as_bool().is_some_and(|passed| passed));
}

// ---- diff

#[test]
fn a_policy_is_equal_to_itself() {
    let folder = app();
    for name in ["base", "ia2", "nginx", "capejail", "seed4", "table", "app.ia2"] {
        assert_eq!(folder.text(0, &["diff", name, name]), "0 calls differ\n", "{name}");
    }
    // The seed in both its forms.
    folder.text(0, &["diff", "seed4", "table"]);
}

#[test]
fn diff_gives_a_witness_for_each_difference() {
    let other = APP
        .replace("fd in { 0, 3..7 }", "fd in { 0, 3..8 }")
        .replace("\"/tmp/app\"", "\"/tmp/app\", \"/var/app\"")
        .replace("from wrapper || (flags", "from wrapper && fn != NULL || (flags")
        .replace("EFD_NONBLOCK then allow log", "EFD_NONBLOCK")
        .replace("PROT_WRITE|PROT_EXEC)   else kill_process", "PROT_EXEC) else kill_process")
        .replace("from wrapper && fn != NULL", "from jit")
        .replace("rt_sigaction : emulate", "rt_sigaction : allow")
        .replace("mkdirat    : errno EROFS", "mkdirat    : errno EACCES");
    let folder = app().with("other.ia2", &other);
    insta::assert_snapshot!(folder.text(1, &["diff", "--why", "app.ia2", "other.ia2"]));
    let json = folder.json(1, &["diff", "--json", "app.ia2", "other.ia2"]);
    assert_eq!((&json["schema"], &json["equal"]), (&"ia2.diff/1".into(), &false.into()));
    // Each witness is one: both policies say so of it.
    for one in json["differences"].as_array().expect("a list") {
        let call = one["call"].as_str().expect("a text");
        let from = match one["besides"].as_str().expect("a text") {
            "from memory without a file" => "jit",
            "from another module" => "x.so",
            _ => "wrapper",
        };
        for (name, side) in [("app.ia2", "one"), ("other.ia2", "other")] {
            let said = folder.json(0, &["test", "--json", name, call, "--from", from]);
            let outcomes = said["tests"][0]["outcomes"].as_array().expect("a list").clone();
            assert_eq!(outcomes.len(), 1, "{name} {call}: {said}");
            assert_eq!(outcomes[0]["action"], one[side]["action"], "{name} {call}");
        }
    }
}

#[test]
fn diff_tells_whether_one_allows_no_more() {
    let stricter =
        APP.replace("fd in { 0, 3..7 }", "fd == 0").replace("rw \"/tmp/app\"", "ro \"/tmp/app\"");
    let folder = app().with("stricter.ia2", &stricter);
    let text = folder.text(0, &["diff", "--subset", "stricter.ia2", "app.ia2"]);
    assert_eq!(text, "stricter.ia2 allows nothing that app.ia2 refuses\n");
    let text = folder.text(1, &["diff", "--subset", "app.ia2", "stricter.ia2"]);
    assert!(text.contains("app.ia2 is not a subset of stricter.ia2: 2 calls"), "{text}");
}

#[test]
fn what_samples_cannot_tell_is_said() {
    let policy = |pattern: &str, condition: &str| {
        format!(
            "policy p version 1\ndefault errno EPERM\nunknown errno ENOSYS\nexecve : path in \"{pattern}\"\nlseek : {condition}\n"
        )
    };
    let folder = Folder::new("open")
        .with("a.ia2", &policy("/a/b*", "fd == 1"))
        .with("b.ia2", &policy("/a/b*", "fd == 1 && off < 7"))
        .with("c.ia2", &policy("/a/*b", "arg1 == 7 || arg1 == arg2"))
        .with("d.ia2", &policy("/a/*b", "arg1 == 7 || arg1 <= arg2"));
    let text = folder.text(1, &["diff", "a.ia2", "b.ia2"]);
    assert!(text.contains("lseek(1, 7, _): allow | errno EPERM"), "{text}");
    assert!(!text.contains("execve"), "{text}");
    let text = folder.text(1, &["diff", "c.ia2", "d.ia2"]);
    assert!(text.contains("  lseek(_, ") || text.contains("lseek: perhaps different"), "{text}");
}

/// The seed's two lists contradict each other: of capejail's names, 28 are allowed in IA2's table.
#[test]
fn diff_lists_the_conflicts_of_the_two_seeds() {
    let folder = app();
    let said = |one: &str| {
        let json = folder.json(1, &["diff", "--json", one, "capejail"]);
        let rows = json["differences"].as_array().expect("a list").clone();
        let more = rows.iter().filter(|row| row["way"] == "more");
        more.map(|row| row["sys"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let row = |nr: u32| ia2_core::calls::ia2(nr).expect("it is in IA2's table");
    let by_seed = |nr: u32| row(nr).seed_policy.unwrap_or(row(nr).policy);
    let (policy, ..) = ia2_policy::load("ia2:capejail", &mut ia2_policy::source::Memory::new());
    let policy = policy.expect("it is a policy");
    let listed = policy.calls.iter().map(|row| row.0);
    let conflicts = listed.filter(|nr| ia2_core::calls::ia2(*nr).is_some());
    let conflicts: Vec<&str> = conflicts
        .filter(|nr| by_seed(*nr) == ia2_core::calls::Ia2Policy::Allow)
        .filter_map(ia2_core::calls::name)
        .collect();
    let (whole, shipped) = (said("nginx"), said("ia2"));
    // The example for nginx is the whole table: it allows these, what its workers need, and seccomp.
    let mut rest = whole.clone();
    rest.retain(|name| !["seccomp", "setuid", "setgid", "setgroups"].contains(&name.as_str()));
    assert_eq!(rest.len(), 28, "{rest:?}");
    // Where the built-in policy says otherwise than the table, the conflict is gone.
    let (policy, ..) = ia2_policy::load("ia2:ia2", &mut ia2_policy::source::Memory::new());
    let policy = policy.expect("it is a policy");
    for name in &rest {
        let nr = ia2_core::calls::by_name(name).expect("a call").nr;
        let refuses = policy.rule_of(nr).and_then(|at| policy.rules.get(at)).is_none_or(|rule| {
            rule.when == ia2_policy::policy::Expr::True && !rule.then.kind.lets_through()
        });
        assert_eq!(shipped.contains(name), !refuses, "{name}");
    }
    for name in conflicts {
        assert!(whole.iter().any(|known| known == name), "{name}");
    }
}

// ---- compile, list

#[test]
fn filters_are_written_in_all_forms() {
    let folder = app().with("plain.ia2", "policy p version 1\ndefault errno EPERM\nunknown errno ENOSYS\nread : fd == 0\nexit_group : allow log\n");
    let length = |arguments: &[&str]| {
        let ran = folder.run(arguments);
        assert_eq!(ran.status(), 0, "{arguments:?}: {}", ran.err());
        ran.0.stdout.len()
    };
    for shape in ["strict", "inspected"] {
        let bytes = length(&["compile", "app.ia2", "--shape", shape, "--emit", "bpf"]);
        let json = folder.json(0, &["compile", "app.ia2", "--shape", shape, "--emit", "json"]);
        let count = json["instructions"].as_array().expect("a list").len();
        assert_eq!(bytes, count * 8);
        assert_eq!(json["shape"], shape);
        let text = folder.text(0, &["compile", "app.ia2", "--shape", shape, "--emit", "pfc"]);
        assert_eq!(text.lines().count(), count);
    }
    insta::assert_snapshot!(
        folder.text(0, &["compile", "plain.ia2", "--shape", "plain", "--emit", "pfc"])
    );
    assert_eq!(
        folder.run(&["compile", "plain.ia2", "--shape", "plain", "--emit", "blob"]).status(),
        2
    );
    let ran = folder.run(&["compile", "app.ia2", "--shape", "plain"]);
    assert_eq!((ran.status(), ran.out().as_str()), (1, ""));
    for rule in ["openat     : path in files", "from wrapper ||", "rt_sigaction : emulate"] {
        assert!(ran.err().contains(rule), "{rule} is not in:\n{}", ran.err());
    }
    assert_eq!(folder.run(&["compile", "app.ia2", "-o", "missing/app.blob"]).status(), 2);
    // Whatever the umask is, the result can be used as a policy.
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "umask 0; exec \"$0\" compile app.ia2 -o open.blob",
        env!("CARGO_BIN_EXE_ia2"),
    ]);
    assert!(shell.current_dir(&folder.0).status().expect("sh starts").success());
    let mode = fs::metadata(folder.0.join("open.blob")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn list_is_a_reference() {
    let folder = app();
    insta::assert_snapshot!(
        [
            folder.text(0, &["list", "syscalls", "openat"]),
            folder.text(0, &["list", "syscalls", "#9"]),
            folder.text(0, &["list", "sets", "@clock"]),
            folder.text(0, &["list", "flags", "FADV"]),
            folder.text(0, &["list", "flags", "O_CLOEXEC"]),
            folder.text(0, &["list", "actions"]),
        ]
        .concat()
    );
    for what in ["syscalls", "sets", "flags", "actions", "policies"] {
        let json = folder.json(0, &["list", what, "--json"]);
        assert_eq!((&json["schema"], &json["what"]), (&"ia2.list/1".into(), &what.into()));
        assert!(json["rows"].as_array().is_some_and(|rows| rows.len() > 5), "{what}");
        let ran = folder.run(&["list", what, "nosuch"]);
        assert_eq!((ran.status(), ran.out().as_str()), (1, ""), "{what}");
    }
    assert!(folder.run(&["list", "syscalls", "opennat"]).err().contains("did you mean `openat`?"));
    assert!(folder.run(&["list", "sets", "@clok"]).err().contains("did you mean `@clock`?"));
    assert!(
        folder.run(&["list", "flags", "PROT_EXCE"]).err().contains("did you mean `PROT_EXEC`?")
    );
    assert!(folder.run(&["list", "actions", "alow"]).err().contains("did you mean `allow`?"));
}

// ---- help

const COMMANDS: [&str; 7] = ["check", "explain", "test", "diff", "compile", "list", "doctor"];

#[test]
fn long_help_begins_with_examples() {
    let folder = app();
    for command in COMMANDS {
        let long = folder.text(0, &[command, "--help"]);
        assert!(long.starts_with("Examples:\n  ia2 "), "{command}: {long}");
        assert!(long.contains("Exit status: "), "{command}");
        let short = folder.text(0, &[command, "-h"]);
        assert!(!short.contains("Examples"), "{command}: {short}");
    }
}

#[test]
fn completions_are_there_for_shells() {
    let folder = app();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = folder.text(0, &["completions", shell]);
        for command in COMMANDS {
            assert!(text.contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(folder.run(&["completions", "csh"]).status(), 2);
    let script = folder.0.join("ia2.bash");
    fs::write(&script, folder.text(0, &["completions", "bash"])).expect("a temporary file");
    let bash = Command::new("bash").arg("-n").arg(&script).output();
    let bash = bash.expect("bash is installed");
    assert!(bash.status.success(), "{}", String::from_utf8_lossy(&bash.stderr));
}

#[test]
fn manual_pages_are_written() {
    let folder = app();
    let text = folder.text(0, &["man"]);
    assert!(text.contains(".TH ia2 1") && text.contains(".SH EXAMPLES"), "{text}");
    folder.text(0, &["man", "pages"]);
    for command in COMMANDS {
        let page = fs::read_to_string(folder.0.join(format!("pages/man1/ia2-{command}.1")));
        let page = page.unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(&format!(".TH ia2-{command} 1")), "{page}");
        assert!(page.contains(".SH EXAMPLES") && page.contains("Exit status"), "{command}");
    }
    let page = fs::read_to_string(folder.0.join("pages/man5/ia2-policy.5")).expect("it is there");
    assert!(page.contains(".TH ia2\\-policy 5 ") && page.contains(".SH Three defaults"), "{page}");
    assert_eq!(folder.run(&["man", "/dev/null/x"]).status(), 2);
}

#[test]
fn doctor_says_what_works() {
    let folder = app();
    let ran = folder.run(&["doctor", "--json"]);
    let json: Value = serde_json::from_str(&ran.out()).expect("JSON");
    assert_eq!(json["schema"], "ia2.doctor/1");
    let states = |list: &str| {
        let rows = json[list].as_array().expect("a list").clone();
        let pairs = rows.into_iter().map(|row| {
            let word = |name: &str| row[name].as_str().expect("a word").to_owned();
            (word("name"), word("state"))
        });
        pairs.collect::<Vec<_>>()
    };
    let names = |list: &str| states(list).into_iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(names("backstops"), ["strict", "inspected", "sud", "none"]);
    assert_eq!(names("levels"), ["A0", "A1", "A2", "A3"]);
    assert!(states("levels").contains(&("A3".to_owned(), "no".to_owned())));
    let strict = states("backstops").first().expect("strict").1.clone();
    assert_eq!(ran.status(), i32::from(strict == "no"));
}
