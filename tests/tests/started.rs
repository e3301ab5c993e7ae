//! Programs started by `ia2 run` and executed under the shim, against the kernel's own exec.

use core::time::Duration;
use ia2_tests::artifacts::{ia2, loader, shim};
use ia2_tests::c_program::{compile, difference};
use ia2_tests::run::{End, Run, run};
use ia2_tests::stats::Stats;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("ia2-tests-").tempdir().expect("a temporary folder")
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name)
}

/// `ia2 run` before a command.
fn under(stats: &Path) -> Command {
    let mut command = Command::new(ia2());
    command.args(["run", "--stats"]).arg(stats).arg("--");
    command
}

fn same(native: &Run, shim: &Run) {
    assert_eq!(native.end, shim.end, "{}{}", shim.text(), shim.error_text());
    assert!(native.stdout == shim.stdout, "{}", difference(&native.stdout, &shim.stdout));
    assert!(native.stderr == shim.stderr, "{}", difference(&native.stderr, &shim.stderr));
}

/// Runs a command natively and by `ia2 run`, in `folder`, and compares. Gives the statistics.
fn compare(folder: &Path, words: &[&str]) -> Vec<Stats> {
    let stats = folder.join("stats.json");
    let _ = fs::remove_file(&stats);
    let (first, rest) = words.split_first().expect("a command");
    let native = run(Command::new(first).args(rest).current_dir(folder), LIMIT).expect("it starts");
    let shim = run(under(&stats).args(words).current_dir(folder), LIMIT).expect("ia2 starts");
    same(&native, &shim);
    Stats::read(&stats).unwrap_or_default()
}

#[test]
fn programs_of_every_kind_see_what_the_kernel_would_have_shown() {
    let folder = folder();
    let kinds: &[(&str, &[&str])] = &[
        ("gcc", &["-pie"]),
        ("gcc", &["-no-pie"]),
        ("gcc", &["-static"]),
        ("gcc", &["-static-pie"]),
        ("gcc", &["-z", "execstack"]),
        ("gcc", &["-static", "-z", "execstack"]),
        ("gcc", &["-Wl,-z,max-page-size=2097152"]),
        ("gcc", &["-static-pie", "-Wl,-z,max-page-size=2097152"]),
        ("gcc", &["-Wl,-z,noseparate-code"]),
        ("gcc", &["-DBSS=100000000"]),
        ("gcc", &["-static", "-DBSS=100000000"]),
        ("musl-gcc", &[]),
        ("musl-gcc", &["-static"]),
        ("musl-gcc", &["-static-pie"]),
    ];
    for (number, (compiler, flags)) in kinds.iter().enumerate() {
        let name = format!("kind-{number}");
        compile(compiler, &program("self.c"), &folder.path().join(&name), flags)
            .unwrap_or_else(|e| panic!("{compiler} {flags:?}: {e}"));
        println!("{compiler} {flags:?}");
        let stats = compare(folder.path(), &[&format!("./{name}"), "", "two words", "x"]);
        let [stats] = &stats[..] else { panic!("{} lines of statistics", stats.len()) };
        assert!(stats.calls > 0);
    }
}

#[test]
fn exit_status_is_the_programs_or_says_who_failed() {
    let folder = folder();
    compare(folder.path(), &["/bin/sh", "-c", "exit 7"]);
    compare(folder.path(), &["/bin/sh", "-c", "kill -TERM $$"]);
    compare(folder.path(), &["/bin/sh", "-c", "kill -SEGV $$"]);
    fs::write(folder.path().join("plain"), "text").expect("a file");
    for (words, status) in [
        (&["./missing"][..], 127),
        (&["missing-from-every-folder"], 127),
        (&["./plain"], 126),
        (&["/"], 126),
    ] {
        let stats = folder.path().join("stats.json");
        let ended = run(under(&stats).args(words).current_dir(&folder), LIMIT).expect("ia2 starts");
        assert_eq!(ended.end, End::Exit(status), "{words:?}");
        assert!(ended.error_text().starts_with("ia2: "), "{}", ended.error_text());
    }
    for wrong in
        [&["run"][..], &["run", "--backstop", "x", "--", "true"], &["run", "-p", "x", "true"]]
    {
        let ended = run(Command::new(ia2()).args(wrong), LIMIT).expect("ia2 starts");
        assert_eq!(ended.end, End::Exit(125), "{wrong:?}: {}", ended.error_text());
    }
}

#[test]
fn go_programs_start_goroutines_and_other_programs() {
    let folder = folder();
    let source = fs::read_to_string(program("storm.go")).expect("the program");
    fs::write(folder.path().join("storm.go"), source).expect("a file");
    // With cgo it is linked to libc, for the names of hosts, and C makes its threads.
    for cgo in ["0", "1"] {
        let mut go = Command::new("go");
        go.args(["build", "-o", "storm", "storm.go"]).current_dir(&folder);
        go.env("CGO_ENABLED", cgo)
            .env("GOCACHE", folder.path().join("cache"))
            .env("GO111MODULE", "off");
        run(&mut go, LIMIT).expect("go starts").success().expect("it builds");
        let stats = compare(folder.path(), &["./storm"]);
        // What is left alone traps: returns from signal handlers, which unwinders know by their bytes.
        let storm = stats.iter().find(|one| one.exe.ends_with("/storm")).expect("a line");
        assert!(storm.patched > 30, "{storm:?}");
        let others = storm.unpatched.iter().filter(|site| site.reason != "signal-restorer");
        assert_eq!(others.count(), 0, "cgo {cgo}: {storm:?}");
    }
}

/// Ten programs deep, every second one with an empty environment, under both ways in: the last
/// one, static, is still covered.
#[test]
fn a_chain_of_programs_is_covered_to_its_end() {
    let folder = folder();
    compile("gcc", &program("chain.c"), &folder.path().join("chain"), &["-static"])
        .expect("it compiles");
    let stats = folder.path().join("stats.json");
    let mut first = Command::new("/bin/sh");
    first.args(["-c", "exec ./chain 10"]).env("LD_PRELOAD", shim()).env("IA2_STATS", &stats);
    let mut by_run = under(&stats);
    by_run.args(["./chain", "10"]);
    for (what, command) in [("preloaded", &mut first), ("run", &mut by_run)] {
        let _ = fs::remove_file(&stats);
        let ended = run(command.current_dir(&folder), LIMIT).expect("it starts");
        assert_eq!(ended.end, End::Exit(0), "{what}: {}{}", ended.text(), ended.error_text());
        assert_eq!(
            ended.text(),
            "filters: 1\nplain execve at the gate: EPERM\nother descriptor at the gate: EPERM\n\
             descriptor of the loader: EBADF EBADF EBADF EPERM\ncall from fresh code: made\n",
            "{what}"
        );
        let lines = Stats::read(&stats).expect("statistics");
        let [last] = &lines[..] else { panic!("{what}: {} lines", lines.len()) };
        assert!(last.traps >= 1, "{what}: the call from fresh code is trapped");
    }
    // The control: without the shim the chain ends as well, and nothing is refused.
    let native = run(Command::new("./chain").arg("10").current_dir(&folder), LIMIT);
    let native = native.expect("it starts");
    assert!(native.text().starts_with("filters: 0\n"), "{}", native.text());
}

/// Somebody may become another user, or remove the folder. Natively that stops no program.
#[test]
fn programs_start_though_the_statistics_cannot_be_written_any_more() {
    let folder = folder();
    let place = folder.path().join("place");
    let stats = place.join("stats");
    let script = "mv place gone; exec /bin/echo ran";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).env("LD_PRELOAD", shim()).env("IA2_STATS", &stats);
    let mut started = under(&stats);
    started.args(["/bin/sh", "-c", script]);
    for command in [&mut shell, &mut started] {
        fs::create_dir(&place).expect("it is not there");
        let ended = run(command.current_dir(&folder), LIMIT).expect("it starts");
        assert_eq!(ended.success().expect("it runs"), "ran\n");
        fs::remove_dir_all(folder.path().join("gone")).expect("the script moved it");
    }
    let mut wrong = under(folder.path());
    let ended = run(wrong.args(["/bin/echo", "ran"]), LIMIT).expect("ia2 starts");
    assert_eq!(ended.end, End::Exit(125), "{}", ended.text());
    assert!(ended.error_text().contains("--stats"), "{}", ended.error_text());
}

#[test]
fn the_loader_is_not_started_by_hand() {
    let ended = run(&mut Command::new(loader()), LIMIT).expect("it starts");
    assert_eq!(ended.end, End::Exit(125));
    assert!(ended.error_text().contains("ia2-loader"), "{}", ended.error_text());
}
