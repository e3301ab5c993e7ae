//! Faults, sanitizers, language runtimes, unwinders, debuggers and core dumps: what works by signals, by
//! generated code, or by reading the stack, natively and under the shim. The programs are in
//! `tests/runtimes`.

use ia2_tests::artifacts::{target, workspace};
use ia2_tests::run::{LIMIT, Run, output, run, send, spawn, wait};
use ia2_tests::way::{STRICT, Session, Way, compare};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

const UNPATCHED: Way = Way::Preloaded { backstop: "strict", patch: false };
/// For programs that something can be preloaded into.
const ALL: [Way; 3] = [STRICT, UNPATCHED, Way::Run];

fn source(name: &str) -> PathBuf {
    workspace().join("tests/runtimes").join(name)
}

/// `source` compiled by `compiler`, once for each change of it.
fn built(compiler: &str, name: &str, flags: &[&str]) -> Result<PathBuf, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().map_err(|e| e.to_string())?;
    let folder = target().join("runtimes");
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let from = source(name);
    let program = folder.join(format!("{compiler}{}-{name}.bin", flags.concat().replace('/', "_")));
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    if changed(&program).is_none() || changed(&program) < changed(&from) {
        let mut command = Command::new(compiler);
        command.args(["-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"]).arg(&program);
        // Libraries come after what needs them.
        output(command.arg(&from).args(flags).current_dir(&folder))?;
    }
    Ok(program)
}

/// A text without what differs in every run: addresses, and numbers of processes.
fn stable(text: &str) -> String {
    let mut stable = String::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some(char) = rest.chars().next() {
            let mark = ["0x", "==", "pid=", "tid=", "LWP ", "process "].into_iter();
            let found = mark.filter_map(|mark| Some((mark, rest.strip_prefix(mark)?))).next();
            let Some((mark, after)) = found else {
                stable.push(char);
                rest = &rest[char.len_utf8()..];
                continue;
            };
            let radix = if mark == "0x" { 16 } else { 10 };
            rest = after.trim_start_matches(|digit: char| digit.is_digit(radix));
            stable.push_str(mark);
            if rest.len() != after.len() {
                stable.push('N');
            }
        }
        stable.push('\n');
    }
    stable
}

/// The lines that contain one of `words`.
fn lines_with(text: &str, words: &[&str]) -> String {
    let lines = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    lines.map(|line| format!("{line}\n")).collect()
}

fn ended(command: &mut Command) -> Result<Run, String> {
    run(command, LIMIT).map_err(|e| format!("{command:?}: {e}"))
}

/// Both outputs and the end.
fn all_of(command: &mut Command) -> Result<String, String> {
    Ok(stable(&ended(command)?.transcript()))
}

/// The output, the end, and those lines of standard error that contain one of `words`.
fn most_of(command: &mut Command, words: &[&str]) -> Result<String, String> {
    let run = ended(command)?;
    let errors = stable(&lines_with(&run.error_text(), words));
    Ok(format!("{}--- stderr\n{errors}--- {}\n", run.text(), run.end))
}

/// Does `work` natively and in each of `ways`; each that left statistics was covered.
fn same(ways: &[Way], work: impl Fn(&Session) -> Result<String, String>) {
    let all = compare(Session::new, ways, work).unwrap_or_else(|e| panic!("{e}"));
    for (way, stats) in ways.iter().zip(all) {
        let off = *way == UNPATCHED;
        assert!(stats.iter().all(|one| off != (one.patched > 0)), "{way:?}: {stats:?}");
        assert!(stats.iter().all(|one| one.denied == 0), "{way:?}: {stats:?}");
    }
}

fn same_with(ways: &[Way], program: &Path, arguments: &[&str]) {
    same(ways, |s| all_of(s.command(program).args(arguments)));
}

/// Number, code, address, instruction and all registers of faults, beside calls as well.
#[test]
fn faults_keep_their_place_and_registers() {
    for (compiler, flags) in [("gcc", &["-O2"][..]), ("gcc", &["-O2", "-no-pie"])] {
        let program = built(compiler, "faults.c", flags).expect("it compiles");
        for kind in ["plain", "altstack", "fatal"] {
            same_with(&ALL, &program, &[kind]);
        }
    }
    let program = built("gcc", "faults.c", &["-O2", "-static"]).expect("it compiles");
    same_with(&[Way::Run], &program, &[]);
}

/// The trap flag shows the same instructions, also around calls.
#[test]
fn single_steps_by_the_trap_flag_are_the_programs_instructions() {
    let program = built("gcc", "faults.c", &["-O2"]).expect("it compiles");
    same_with(&ALL, &program, &["steps"]);
}

#[test]
fn stacks_are_unwound_through_signal_frames() {
    let unwind = ["-O1", "-fexceptions", "-fnon-call-exceptions", "-fasynchronous-unwind-tables"];
    let with = |more: &[&'static str]| [&unwind[..], more].concat();
    let program = built("g++", "unwind.cc", &with(&["-rdynamic"])).expect("it compiles");
    same_with(&ALL, &program, &[]);
    let program = built("gcc", "unwind_c.c", &with(&[])).expect("it compiles");
    same_with(&ALL, &program, &[]);
    // musl's own functions have no tables; those of the program do.
    let musl = with(&["-Wl,--eh-frame-hdr", "-lgcc_eh"]);
    let program = built("musl-gcc", "unwind_c.c", &musl).expect("it compiles");
    same_with(&ALL, &program, &[]);
    let fixed = built("musl-gcc", "unwind_c.c", &[&musl[..], &["-static"]].concat());
    same_with(&[Way::Run], &fixed.expect("it compiles"), &[]);
}

#[test]
fn threads_are_cancelled_in_every_blocking_call() {
    for compiler in ["gcc", "musl-gcc"] {
        let program = built(compiler, "cancel.c", &["-O1"]).expect("it compiles");
        same_with(&ALL, &program, &[]);
    }
}

/// A program with gcc's ASan can be preloaded into only if the runtime does not insist on being first.
#[test]
fn address_sanitizer_reports_the_same() {
    const ANY_ORDER: (&str, &str) = ("ASAN_OPTIONS", "verify_asan_link_order=0");
    const REPORT: [&str; 7] =
        ["ERROR:", "SUMMARY:", "    #", "located", "caused by", "Hint", "Direct leak"];
    let flags = ["-O1", "-fsanitize=address"];
    let shared = built("g++", "asan.cc", &flags).expect("it compiles");
    let fixed = built("g++", "asan.cc", &[&flags[..], &["-static-libasan"]].concat());
    let fixed = fixed.expect("it compiles");
    let kinds =
        ["clean", "overflow", "after-free", "stack", "null", "wild", "leak", "deep", "handler"];
    for kind in kinds {
        same(&ALL, |s| {
            most_of(s.command(&shared).arg(kind).env(ANY_ORDER.0, ANY_ORDER.1), &REPORT)
        });
    }
    for kind in ["clean", "overflow"] {
        same(&ALL, |s| most_of(s.command(&fixed).arg(kind), &REPORT));
    }
    same(&[Way::Run], |s| most_of(s.command(&shared).arg("overflow"), &REPORT));
}

#[test]
fn thread_sanitizer_reports_the_same() {
    let program = built("g++", "tsan.cc", &["-O1", "-fsanitize=thread"]).expect("it compiles");
    for kind in ["clean", "race", "order", "leak"] {
        let words = ["WARNING:", "ThreadSanitizer: reported"];
        same(&ALL, |s| most_of(s.command(&program).arg(kind), &words));
    }
}

#[test]
fn undefined_behaviour_sanitizer_reports_the_same() {
    for (fixed, ways) in [("", &ALL[..]), ("-static", &[Way::Run])] {
        let flags =
            ["-O1", "-fsanitize=undefined", fixed].into_iter().filter(|flag| !flag.is_empty());
        let program = built("gcc", "ubsan.c", &flags.collect::<Vec<_>>()).expect("it compiles");
        for kind in ["plain", "fault"] {
            same(ways, |s| most_of(s.command(&program).arg(kind), &["runtime error"]));
        }
    }
}

/// `go build` with these flags, in a folder that keeps what was compiled for the next time.
fn go(name: &str, words: &[&str], cgo: &str) -> Result<PathBuf, String> {
    let folder = target().join("runtimes/go");
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    for file in ["race.go", "race_test.go"] {
        fs::copy(source(file), folder.join(file)).map_err(|e| e.to_string())?;
    }
    fs::write(folder.join("go.mod"), "module race\n").map_err(|e| e.to_string())?;
    let program = folder.join(name);
    let mut command = Command::new("go");
    command.args(words).arg("-o").arg(&program).current_dir(&folder);
    command.env("GOCACHE", folder.join("cache")).env("CGO_ENABLED", cgo);
    command.env("GOPROXY", "off").env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
    // The first time compiles Go's library.
    run(&mut command, 4 * LIMIT).map_err(|e| e.to_string())?.success()?;
    Ok(program)
}

#[test]
fn go_programs_and_its_race_detector_do_the_same() {
    let plain = go("plain", &["build"], "0").expect("it builds");
    let race = go("race", &["build", "-race"], "1").expect("it builds");
    let tests = go("race.test", &["test", "-race", "-c"], "1").expect("it builds");
    let words = ["WARNING: DATA RACE", "Found", "panic:", "signal", "SIGQUIT"];
    for (program, ways) in [(&plain, &[Way::Run][..]), (&race, &ALL)] {
        for kind in ["clean", "nil"] {
            same(ways, |s| most_of(s.command(program).arg(kind), &words));
        }
    }
    same(&[Way::Run], |s| most_of(s.command(&plain).arg("quit"), &["SIGQUIT: quit"]));
    same(&ALL, |s| most_of(s.command(&race).arg("racy"), &words));
    same(&ALL, |s| {
        // How long a test took differs.
        let text = most_of(s.command(&tests).arg("-test.v"), &words)?;
        let lines = text.lines().map(|line| line.split(" (").next().unwrap_or(line));
        Ok(lines.map(|line| format!("{line}\n")).collect())
    });
}

/// The folder with `Faults.class`.
fn java() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = target().join("runtimes/java");
        fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new("javac");
        command.args(["-XDignore.symbol.file", "-d"]).arg(&folder).arg(source("Faults.java"));
        output(&mut command).expect("it compiles");
        folder
    })
}

fn java_command(session: &Session, options: &[&str]) -> Command {
    let mut command = session.command("java");
    command.args(["-XX:-UsePerfData"]).args(options).arg("-cp").arg(java()).arg("Faults");
    command
}

#[test]
fn java_checks_for_null_and_stops_its_threads_by_faults() {
    for (options, rounds) in [
        (&["-XX:+UseG1GC"][..], "100000"),
        (&["-XX:+UseParallelGC"], "100000"),
        (&["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"], "100000"),
        (&["-Xint"], "3000"),
    ] {
        same(&ALL, |s| all_of(java_command(s, options).args([rounds, "term"])));
    }
    same(&[Way::Run], |s| all_of(java_command(s, &[]).arg("20000")));
}

/// A tool attaches to the JVM (SIGQUIT and a socket), then SIGTERM runs the hook.
#[test]
fn java_answers_jstack_and_ends_by_its_hook() {
    same(&ALL, |s| {
        let mut child = spawn(java_command(s, &[]).arg("wait").stdout(Stdio::piped()))
            .map_err(|e| e.to_string())?;
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().ok_or("it says nothing")?.map_err(|e| e.to_string())?;
        let pid = child.id().to_string();
        let agrees = first == format!("pid {pid}");
        let asked = output(s.command("jstack").arg("-J-XX:-UsePerfData").arg(&pid));
        send(child.id(), libc::SIGTERM, false);
        let end = wait(&mut child, LIMIT).map_err(|e| e.to_string())?;
        let stack =
            lines_with(&asked?, &["Faults.main", "Thread.sleep(Native", "Full thread dump"]);
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        Ok(format!("{agrees} {stack} {rest:?} {end}"))
    });
}

#[test]
fn node_compiles_and_catches_faults_of_webassembly() {
    for kind in ["plain", "term"] {
        same(&ALL, |s| all_of(s.command("node").arg(source("jit.js")).arg(kind)));
    }
    same(&ALL, |s| most_of(s.command("node").arg(source("jit.js")).arg("abort"), &["none"]));
}

#[test]
fn interpreters_with_compilers_and_signals_do_the_same() {
    for (program, script) in [
        ("luajit", "jit.lua"),
        ("pypy3", "signals.py"),
        ("/usr/bin/python3", "signals.py"),
        ("perl", "alarm.pl"),
        ("ruby", "signals.rb"),
    ] {
        same(&ALL, |s| all_of(s.command(program).arg(source(script))));
    }
}

#[test]
fn python_tells_the_stack_of_its_faults() {
    for kind in ["segv", "fpe", "abrt", "overflow", "thread", "read", "kill", "user", "later"] {
        let script = source("handler.py");
        same(&ALL, |s| all_of(s.command("/usr/bin/python3").arg("-B").arg(&script).arg(kind)));
    }
}

/// gdb without the settings of whoever runs the tests.
fn gdb(session: &Session) -> Command {
    let mut gdb = session.native("gdb");
    gdb.args(["-nx", "-batch", "-x"]).arg(workspace().join("scripts/gdb.py"));
    for command in [
        "set startup-with-shell off",
        "set debuginfod enabled off",
        "set pagination off",
        "set confirm off",
        "set width 0",
        "handle SIGUSR1 nostop noprint pass",
    ] {
        gdb.args(["-ex", command]);
    }
    gdb
}

/// Has gdb run the program in the session's way.
fn preload(session: &Session, gdb: &mut Command) {
    for (name, value) in session.command("x").get_envs() {
        let (name, Some(value)) = (name.to_string_lossy(), value) else { continue };
        if name.starts_with("IA2") || name == "LD_PRELOAD" {
            gdb.args(["-ex", &format!("set env {name} {}", value.to_string_lossy())]);
        }
    }
}

/// What gdb found out: the functions of each stack without the gate's, where it stopped, values.
fn findings(text: &str) -> String {
    let mut found = String::new();
    for line in text.lines() {
        if line.starts_with('#') {
            let frame = line.split_once("  ").map_or(line, |(_, frame)| frame);
            let frame =
                frame.strip_prefix("0x").and_then(|f| f.split_once(" in ")).map_or(frame, |f| f.1);
            let name = frame.split(" (").next().unwrap_or(frame);
            if name != "??" {
                found += &format!("  in {name}\n");
            }
        } else if let Some((_, what)) = line.split_once(" hit ") {
            found += &format!("hit {}\n", what.split(" (").next().unwrap_or(what));
        } else if let Some((number, _)) =
            line.strip_prefix("Thread ").and_then(|rest| rest.split_once(" (Thread 0x"))
        {
            found += &format!("thread {number}\n");
        } else if ["$", "Old", "New value", "[Inferior", "Program terminated"]
            .iter()
            .any(|start| line.starts_with(start))
        {
            found += &stable(line);
        }
    }
    found
}

fn debugged() -> PathBuf {
    built("gcc", "debugged.c", &["-O1", "-no-pie"]).expect("it compiles")
}

/// Whether a process may be traced here: gdb runs one natively.
fn can_trace() -> bool {
    let session = Session::new(Way::Native);
    let ran = output(gdb(&session).args(["-ex", "run", "--args", "/bin/true"]));
    let can = ran.is_ok_and(|text| text.contains("exited normally"));
    if !can {
        println!("gdb cannot run a program here: nothing is tested");
    }
    can
}

/// Breakpoints, steps, a watchpoint: the same stops and stacks.
#[test]
fn gdb_stops_and_steps_where_it_does_natively() {
    if !can_trace() {
        return;
    }
    let script = |next: &str| {
        [
            "break main",
            "run",
            "bt",
            "break write",
            "continue",
            "bt",
            "finish",
            "print $rax",
            "print (long)getppid() > 1",
            "delete",
            "break inline_call",
            "continue",
            "bt",
            next,
            "bt",
            "catch syscall write",
            "continue",
            "bt",
            "continue",
            "delete",
            "break handler",
            "continue",
            "bt",
            "watch watched",
            "continue",
            "bt",
            "delete",
            "continue",
        ]
        .map(str::to_owned)
    };
    let work = |next: &'static str| {
        move |s: &Session| {
            let mut gdb = gdb(s);
            preload(s, &mut gdb);
            for command in script(next) {
                gdb.args(["-ex", &command]);
            }
            Ok(findings(&output(gdb.arg(debugged()))?))
        }
    };
    same(&[STRICT], work("next"));
    same(&[STRICT, UNPATCHED], work("finish"));
    // Over the call's own instruction, which is a jump under the shim.
    same(&[STRICT], |s| {
        let mut gdb = gdb(s);
        preload(s, &mut gdb);
        for command in [
            "break inline_call",
            "run",
            "nexti",
            "nexti",
            "nexti",
            "bt",
            "print $rax == (long)getppid()",
            "kill",
        ] {
            gdb.args(["-ex", command]);
        }
        Ok(findings(&output(gdb.arg(debugged()))?))
    });
}

/// gdb follows the exec of the loader; it is told the program once that is mapped.
#[test]
fn gdb_follows_ia2_run() {
    if !can_trace() {
        return;
    }
    same(&[Way::Run], |s| {
        let mut gdb = gdb(s);
        let command = s.command(debugged());
        if s.way() == Way::Run {
            for command in ["catch exec", "run", "catch syscall seccomp", "continue", "delete"] {
                gdb.args(["-ex", command]);
            }
            gdb.args(["-ex", &format!("file {}", debugged().display())]);
        } else {
            gdb.args(["-ex", "tbreak main", "-ex", "run"]);
        }
        for command in [
            "break handler",
            "break says",
            "continue",
            "bt",
            "finish",
            "continue",
            "bt",
            "continue",
            "bt",
            "delete",
            "continue",
        ] {
            gdb.args(["-ex", command]);
        }
        gdb.arg("--args").arg(command.get_program()).args(command.get_args());
        let text = output(&mut gdb)?;
        // How breakpoints are counted differs by those that were needed to begin.
        let found = findings(&text).replace(|c: char| c.is_ascii_digit(), "N");
        Ok(found.split_once("in says").map_or(found.clone(), |(_, rest)| rest.to_owned()))
    });
}

/// Attached to a blocked process, it finds all stacks, and lets it go on.
#[test]
fn gdb_attaches_and_lets_go() {
    if !can_trace() {
        return;
    }
    same(&ALL, |s| {
        let mut child = spawn(s.command(debugged()).args(["wait", "x"]).stdout(Stdio::piped()))
            .map_err(|e| e.to_string())?;
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line == "ready");
        let mut gdb = gdb(s);
        gdb.args(["-p", &child.id().to_string(), "-ex", "thread apply all -ascending bt"]);
        gdb.args(["-ex", "gcore saved", "-ex", "detach"]);
        let text = output(&mut gdb);
        send(child.id(), libc::SIGUSR1, false);
        send(child.id(), libc::SIGTERM, false);
        let end = wait(&mut child, LIMIT).map_err(|e| e.to_string())?;
        let text = all_stacks(&text?);
        if !ready || !text.contains("in sleeper") {
            return Err(format!("no stack: {text}"));
        }
        let saved = stacks_of_core(s, "saved")?;
        Ok(format!("{text}{saved}{end}"))
    });
}

/// The stacks in a core dump, and the signal it was made for.
fn stacks_of_core(session: &Session, core: &str) -> Result<String, String> {
    let mut gdb = gdb(session);
    for command in [
        "thread apply all -ascending bt",
        "print $_siginfo.si_signo",
        "print $_siginfo.si_code",
        "print $pc == (void *)&at_fault",
    ] {
        gdb.args(["-ex", command]);
    }
    Ok(all_stacks(&output(gdb.arg(debugged()).arg(session.path(core)))?))
}

/// What gdb found out after it was asked for the stacks of all threads: before, it says where the thread
/// is that it looks at.
fn all_stacks(text: &str) -> String {
    let found = findings(text);
    found.split_once("thread ").map_or(String::new(), |(_, stacks)| stacks.to_owned())
}

#[test]
fn core_dumps_show_all_stacks() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.starts_with('|') || pattern.contains('/') {
        println!("core dumps go elsewhere here: nothing is tested (gcore is, by another test)");
        return;
    }
    for kind in ["abort", "segv", "behind", "trap", "quit"] {
        same(&ALL, |s| {
            let mut command = s.command(debugged());
            command.arg(kind);
            // The harness allows no core dumps, so this is not started by it; a native shell allows them,
            // and a native env sets what is preloaded.
            let mut shell = s.native("sh");
            shell.args(["-c", "ulimit -c unlimited && exec env \"$@\"", "sh"]);
            for (name, value) in command.get_envs() {
                let Some(value) = value else { continue };
                shell.arg(format!("{}={}", name.to_string_lossy(), value.to_string_lossy()));
            }
            shell.arg(command.get_program()).args(command.get_args());
            let status = shell.stdout(Stdio::null()).status().map_err(|e| e.to_string())?;
            let mut names = fs::read_dir(s.path("")).map_err(|e| e.to_string())?;
            let is_core = |name: &String| name.starts_with("core");
            let core = names.find_map(|entry| {
                Some(entry.ok()?.file_name().into_string().ok()?).filter(is_core)
            });
            let core = core.ok_or_else(|| format!("no core dump: {status}"))?;
            let signal = status.signal();
            Ok(format!("{signal:?}\n{}", stacks_of_core(s, &core)?))
        });
    }
}

/// The offsets in `scripts/gdb.py` are those of the sources.
#[test]
fn the_script_for_gdb_knows_the_layout() {
    let read = |name: &str| fs::read_to_string(workspace().join(name)).expect("a source");
    let (gate, script) = (read("shim/rt/src/gate.rs"), read("scripts/gdb.py"));
    for (name, line) in [
        (
            "FAST_SYSCALL: u64 = GATE + 0x29;",
            "FAST_SYSCALL, FAST_JMP, FAST_END = GATE + 0x29, GATE + 0xAC",
        ),
        ("FAST_JMP: u64 = GATE + 0xac;", "GATE + 0xAC, GATE + 0xAE"),
        (
            "GENERIC: u64 = GATE + 0xc0;",
            "GENERIC, GENERIC_END, GATE_END = GATE + 0xC0, GATE + 0x140",
        ),
        ("GATE_END: u64 = GATE + 0x300;", "GATE + 0x140, GATE + 0x300"),
    ] {
        assert!(gate.contains(name) && script.contains(line), "{name} {line}");
    }
}
