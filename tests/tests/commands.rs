//! The commands that read policies: what they print, and their exit status.

use ia2_tests::artifacts::{ia2, workspace};
use ia2_tests::run::{End, LIMIT, Run, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn go(arguments: &[&str]) -> Run {
    let mut command = Command::new(ia2());
    run(command.args(arguments).env("NO_COLOR", "1"), LIMIT).expect("it runs")
}

/// Checks the exit status, and that each part is in the output.
fn prints(arguments: &[&str], status: i32, parts: &[&str]) -> String {
    let run = go(arguments);
    let text = run.text();
    assert_eq!(run.end, End::Exit(status), "{arguments:?}: {text}{}", run.error_text());
    for part in parts {
        assert!(text.contains(part), "{arguments:?}: {part:?} is not in:\n{text}");
    }
    text
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("app.ia2");
    fs::write(&path, text).expect("a file can be written");
    (folder, path)
}

const APP: &str = "policy app version 1\nbaseline linux 6.6\ndefault errno EPERM\nunknown errno ENOSYS\n\
                   @system-service : allow\nread : fd == 0\n#? read(0, _, _) -> allow\n#? read(1, _, _) -> errno EPERM\n";

#[test]
fn check_says_what_is_wrong_and_where() {
    let (_folder, path) =
        written("policy app version 1\ndefault errno EPERM\nopennat : allow\nread : fdd == 0\n");
    let path = path.to_str().expect("it is UTF-8");
    prints(
        &["check", path],
        1,
        &[
            "error[E0102]: unknown system call `opennat`",
            "app.ia2:3:1",
            "did you mean `openat`?",
            "error[E0103]",
            "app.ia2:4:8",
        ],
    );
    let json = prints(&["check", "--json", path], 1, &[]);
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["schema"], "ia2.check/1");
    assert_eq!(
        (&json["findings"][0]["line"], &json["findings"][0]["column"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn check_gives_the_size_of_what_is_right() {
    prints(
        &["check", "ia2", "seed4"],
        0,
        &["ia2: 0 errors, 0 warnings; instructions in the filter: "],
    );
    assert_eq!(go(&["check", "/does/not/exist.ia2"]).end, End::Exit(2));
    // A policy from which there is no way out is worth a warning.
    assert_eq!(go(&["check", "--deny", "warnings", "seed4"]).end, End::Exit(1));
}

#[test]
fn explain_names_home_and_level_of_each_rule() {
    prints(&["explain", "ia2", "openat"], 0, &["home S, level A1: open, openat"]);
    prints(&["explain", "ia2", "ioctl"], 0, &["home K, level A2: ioctl : cmd in"]);
    prints(
        &["explain", "ia2", "mprotect"],
        0,
        &["A1 for calls that the shim makes for itself: mprotect ("],
    );
    for name in ["base", "ia2", "capejail", "seed4", "nginx"] {
        let text =
            prints(&["explain", name, "--cost"], 0, &["home K, level ", ": unknown ", "cost: "]);
        assert!(
            text.lines().all(|line| line.contains("home ") || line.starts_with("    ")),
            "{text}"
        );
    }
    assert_eq!(go(&["explain", "ia2", "opennat"]).end, End::Exit(2));
}

#[test]
fn test_runs_the_tests_of_a_policy_and_asks_it_about_calls() {
    let (_folder, path) = written(APP);
    let path = path.to_str().expect("it is UTF-8");
    prints(&["test", path], 0, &["2 tests, 0 failed"]);
    prints(
        &["test", path, "read(3, _, _)"],
        0,
        &["read(3, _, _): errno EPERM, by ", "app.ia2:6:1 (its condition does not hold)"],
    );
    prints(&["test", path, "read(3, _, _)", "--expect", "deny"], 0, &[]);
    prints(&["test", path, "read(3, _, _)", "--expect", "allow"], 1, &["FAILED"]);
    let (_folder, wrong) = written(&APP.replace("-> allow", "-> deny"));
    prints(
        &["test", wrong.to_str().expect("it is UTF-8")],
        1,
        &["app.ia2:7:1: FAILED: read(0, _, _): allow", "1 failed"],
    );
    prints(
        &["test", "ia2", "openat(AT_FDCWD, \"/proc/1/mem\", O_RDONLY)", "--expect", "errno EACCES"],
        0,
        &[],
    );
    prints(
        &["test", "ia2", "openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY)", "--expect", "allow"],
        0,
        &[],
    );
}

#[test]
fn diff_lists_calls_with_a_witness() {
    prints(&["diff", "ia2", "ia2"], 0, &["0 calls differ"]);
    prints(
        &["diff", "--why", "ia2", "capejail"],
        1,
        &[
            "ia2 allows, capejail does not (",
            "  listen(_, _): allow | errno EPERM\n      ia2: allow, by ia2:ia2:",
            "  kexec_load(_, _, _, _): errno EPERM \"kernel\" | kill_process",
            "calls differ",
        ],
    );
    let (_folder, path) = written(&APP.replace("fd == 0", "fd == 1"));
    let (_other, other) = written(APP);
    let [one, other] = [&path, &other].map(|path| path.to_str().expect("it is UTF-8"));
    prints(&["diff", one, other], 1, &["  read(1, _, _): allow | errno EPERM", "1 call differs"]);
    let json = prints(&["diff", "--json", one, other], 1, &[]);
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((&json["schema"], &json["equal"]), (&"ia2.diff/1".into(), &false.into()));
    let ways = json["differences"].as_array().expect("a list").iter().map(|one| &one["way"]);
    assert_eq!(ways.collect::<Vec<_>>(), ["more", "less"]);
}

#[test]
fn compile_writes_what_run_takes() {
    let (folder, path) = written(APP);
    let path = path.to_str().expect("it is UTF-8");
    let blob = folder.path().join("app.blob");
    let blob = blob.to_str().expect("it is UTF-8");
    prints(&["compile", path, "-o", blob], 0, &[]);
    let (_other, lax) = written(&APP.replace("read : fd == 0", "read : fd != 1000"));
    let lax_path = lax.to_str().expect("it is UTF-8");
    prints(&["compile", lax_path, "-o", blob], 0, &[]);
    prints(&["run", "-p", blob, "--", "/bin/echo", "ran"], 0, &["ran\n"]);
    let filter = go(&["compile", path, "--emit", "bpf"]).stdout;
    assert!(filter.len() > 80 && filter.len().is_multiple_of(8), "{}", filter.len());
    prints(&["compile", path, "--emit", "pfc"], 0, &["0: "]);
    prints(&["compile", path, "--emit", "c"], 0, &["struct sock_filter filter[]"]);
}

#[test]
fn list_knows_calls_sets_and_constants() {
    prints(&["list", "syscalls"], 0, &["257 openat(dirfd, path, flags, mode)"]);
    prints(&["list", "syscalls", "openat"], 0, &["since Linux 2.6.16", "IA2: fs"]);
    prints(&["list", "sets", "clock"], 0, &["clock_settime\n"]);
    prints(&["list", "flags", "PROT"], 0, &["PROT_EXEC = 0x4"]);
    prints(&["list", "flags", "O_CREAT"], 0, &["O_CREAT = 0x40 in OPEN"]);
    prints(&["list", "policies", "seed4"], 0, &["sys_gettimeofday : tz == NULL"]);
    assert_eq!(go(&["list", "syscalls", "nosuch"]).end, End::Exit(1));
}

#[test]
fn completions_and_manual_pages_are_written() {
    for shell in ["bash", "zsh", "fish"] {
        prints(&["completions", shell], 0, &["explain"]);
    }
    prints(&["man"], 0, &[".TH ia2 1", ".SH EXAMPLES"]);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let to = folder.path().to_str().expect("it is UTF-8");
    prints(&["man", to], 0, &[]);
    let pages = |section: &str| {
        let files = fs::read_dir(folder.path().join(section)).expect("it can be read");
        files.map(|file| file.expect("a file").path()).collect::<Vec<_>>()
    };
    let (commands, formats) = (pages("man1"), pages("man5"));
    assert!(commands.len() >= 14, "{commands:?}");
    assert_eq!(formats, [folder.path().join("man5/ia2-policy.5")]);
    for page in commands.iter().chain(&formats) {
        assert_ne!(formatted(page).0, "", "{}", page.display());
    }
    // What groff has to complain of.
    let wrong = folder.path().join("wrong.5");
    fs::write(&wrong, ".TH a 5\n.SH NAME\n\\fBa\n.frobnicate\n").expect("it can be written");
    assert!(formatted(&wrong).1.contains("frobnicate"));
}

/// A manual page as a terminal without fonts shows it, and what is wrong with it.
fn formatted(page: &Path) -> (String, String) {
    let mut groff = Command::new("groff");
    // Lines are not broken, nor words.
    groff.args(["-man", "-ww", "-Tascii", "-P-cbou", "-rLL=2000n", "-rHY=0"]).arg(page);
    let run = run(&mut groff, LIMIT).expect("groff is installed");
    assert_eq!(run.end, End::Exit(0), "{}", run.error_text());
    (run.text(), run.error_text())
}

/// Each line of code stands in it as it is, and each word of the rest in its order.
#[test]
fn the_page_of_the_language_says_what_the_documentation_says() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    prints(&["man", folder.path().to_str().expect("it is UTF-8")], 0, &[]);
    let (page, wrong) = formatted(&folder.path().join("man5/ia2-policy.5"));
    assert_eq!(wrong, "");
    let written = fs::read_to_string(workspace().join("docs/policy.md")).expect("it is there");
    let (mut is_code, mut prose) = (false, String::new());
    let mut lines = written.lines().skip(1).peekable();
    while let Some(line) = lines.next() {
        // A list has no head.
        let is_head = lines.peek().is_some_and(|next| next.starts_with("|--"));
        if line.starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            assert!(page.lines().any(|shown| shown.trim() == line.trim()), "{line}");
        } else if !is_head && !line.starts_with("|--") {
            prose += &(line.to_owned() + "\n");
        }
    }
    let words = |text: &str| {
        let words = text.split(|char: char| !char.is_ascii_alphanumeric());
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut shown = words(&page).into_iter();
    let wanted = words(&prose);
    assert!(wanted.len() > 1000, "{} words", wanted.len());
    for (at, word) in wanted.iter().enumerate() {
        let before = &wanted[at.saturating_sub(5)..at];
        assert!(shown.any(|other| other == *word), "{word}, after {before:?}");
    }
}

#[test]
fn doctor_finds_that_this_machine_will_do() {
    let text =
        prints(&["doctor"], 0, &["yes  strict", "yes  A0", "the loader and the library are"]);
    // The other tests run here.
    assert!(!text.lines().any(|line| line.starts_with(" no  seccomp")), "{text}");
    let json: Value = serde_json::from_str(&prints(&["doctor", "--json"], 0, &[])).expect("JSON");
    assert_eq!(json["schema"], "ia2.doctor/1");
    // Under the shim its window is taken, and that is said.
    let under = [ia2().to_str().expect("it is UTF-8"), "doctor"].map(str::to_owned);
    prints(&["run", "--", &under[0], &under[1]], 1, &["no  window", "is taken"]);
}

/// The filter for bubblewrap: it works in a process that has nothing else of ours.
#[test]
fn a_plain_filter_judges_without_the_shim() {
    let (folder, path) = written(
        "policy plain version 1\nmode blocklist\ndefault allow\nunknown errno ENOSYS\n\
         mkdir, mkdirat : errno EROFS\nio_uring_setup : errno ENOSYS\nsocket : family == AF_UNIX else errno EACCES\n",
    );
    let path = path.to_str().expect("it is UTF-8");
    let filter = folder.path().join("filter");
    prints(
        &["compile", path, "--shape", "plain", "-o", filter.to_str().expect("it is UTF-8")],
        0,
        &[],
    );
    let script = "import ctypes, errno, os, socket, sys
data = open(sys.argv[1], 'rb').read()
class Program(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('insns', ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(data) // 8, data))) == 0
for what in (lambda: os.mkdir('/tmp/x'), lambda: socket.socket(socket.AF_INET), lambda: socket.socket(socket.AF_UNIX)):
    try:
        what()
        print('made')
    except OSError as e:
        print(errno.errorcode[e.errno])
";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(&filter);
    let run = run(&mut python, LIMIT).expect("it runs");
    assert_eq!(run.text(), "EROFS\nEACCES\nmade\n", "{}", run.error_text());
    // What only the shim can decide is an error with its place.
    let refused = go(&["compile", "ia2", "--shape", "plain"]);
    assert_eq!(refused.end, End::Exit(1));
    assert!(refused.error_text().contains("error[E0901]"), "{}", refused.error_text());
    assert!(refused.error_text().contains("path in files"), "{}", refused.error_text());
}
