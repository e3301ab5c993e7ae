//! Whole trees of processes: shells, builds, servers, and python3's own tests. Each is done
//! natively, by `ia2 run` and preloaded, and must give the same.

use core::time::Duration;
use ia2_tests::artifacts::workspace;
use ia2_tests::c_program::compile;
use ia2_tests::pty::Terminal;
use ia2_tests::run::{LIMIT, output, run, send, spawn, tail, wait};
use ia2_tests::server::{Server, fetch, free_port, wrk};
use ia2_tests::stats::Stats;
use ia2_tests::way::{STRICT, Session, Way, compare};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Both ways to begin a tree.
const BOTH: [Way; 2] = [Way::Run, STRICT];

fn file(name: &str) -> PathBuf {
    workspace().join("tests").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What must hold for the processes of a tree: there are at least so many, each was rewritten, and
/// no call was refused.
fn judge(all: &[Stats], least: usize) -> Result<(), String> {
    let most = all.iter().map(|one| (one.traps, one.exe.as_str())).max().unwrap_or_default();
    println!("{} processes, at most {} traps ({})", all.len(), most.0, most.1);
    if all.len() < least {
        let names: Vec<_> = all.iter().map(|one| &one.exe).collect();
        return Err(format!("{} processes, expected {least}: {names:?}", all.len()));
    }
    match all.iter().find(|one| one.denied > 0 || one.patched == 0) {
        Some(one) => Err(format!("refused, or not rewritten: {one:?}")),
        None => Ok(()),
    }
}

/// Does `work` each way, compares, and judges the trees.
fn everywhere(
    session: fn(Way) -> Session,
    least: usize,
    work: impl Fn(&Session) -> Result<String, String>,
) {
    let judged = compare(session, &BOTH, work)
        .and_then(|trees| trees.iter().try_for_each(|tree| judge(tree, least)));
    judged.unwrap_or_else(|e| panic!("{e}"));
}

/// What a command printed and how it ended.
fn outcome(command: &mut Command) -> Result<String, String> {
    Ok(run(command, LIMIT).map_err(|e| format!("{command:?}: {e}"))?.transcript())
}

/// A command that nothing could preload into, since it may be static: something dynamic executes it.
fn by_env(session: &Session, program: &str) -> Command {
    let mut command = session.command("env");
    command.arg(program);
    command
}

/// Asks until the answer is yes.
fn wait_until(what: &str, mut yes: impl FnMut() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !yes() {
        if Instant::now() > deadline {
            return Err(format!("{what}: it does not come to that"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[test]
fn shells_with_pipes_and_jobs_behave() {
    let script = "
        for i in 1 2 3; do (echo $i | cat | tr 123 abc); done
        f() { sleep 0.1; return 3; }
        f & wait $!; echo $?
        cat <(echo substituted); echo $(printf '%s-' a b c)
        trap 'echo trapped' USR1; kill -USR1 $$
        sleep 60 & kill $!; wait $! 2>/dev/null; echo $?
        set -m; (exit 5) & wait %1; echo $?
        bash -c 'set -m; sleep 60 | cat & kill -STOP %%
            until jobs -s | grep -q sleep; do sleep 0.01; done
            jobs -s; bg %%; jobs -r; kill %%; wait $!; echo $?' 2>/dev/null
        exec sh -c 'echo replaced; exit 4'
    ";
    everywhere(Session::new, 20, |s| outcome(s.command("bash").args(["-c", script])));
}

/// What somebody types, and what must be on the screen, piece after piece, before the next is typed.
const TYPED: [(&str, &[&str]); 23] = [
    ("", &["@ "]),
    // A job that reads the terminal: stopped, listed, continued, interrupted.
    ("cat\n", &["cat\n"]),
    ("one\n", &["one\none\n"]),
    ("\x1a", &["topped", "@ "]),
    ("jobs\n", &["topped", "@ "]),
    ("fg\n", &["\ncat\n"]),
    ("two\n", &["two\ntwo\n"]),
    ("\x03", &["@ "]),
    ("echo status $?\n", &["\nstatus 130\n", "@ "]),
    // Two processes in one job, which goes on in the background and comes back.
    ("sh -c 'echo begun; exec sleep 60' | cat\n", &["\nbegun\n"]),
    ("\x1a", &["topped", "@ "]),
    ("echo status $?\n", &["\nstatus 148\n", "@ "]),
    ("bg\n", &["bg\n", "@ "]),
    ("jobs\n", &["unning", "@ "]),
    ("fg\n", &["sleep 60", "\n"]),
    ("\x03", &["@ "]),
    // Who reads the terminal from the background is stopped by it.
    ("cat & until grep -q State:.T /proc/$!/status; do sleep 0.1; done\n", &["topped", "@ "]),
    ("fg\n", &["cat\n"]),
    ("three\n", &["three\nthree\n"]),
    ("\x03", &["@ "]),
    // A shell in the shell, which handles the interrupt.
    (
        "sh -c 'trap \"echo caught; exit 3\" INT; echo begun; while :; do sleep 0.1; done'\n",
        &["\nbegun\n"],
    ),
    ("\x03", &["caught\n", "@ "]),
    ("echo status $?; stty size; test -t 0 && echo a terminal\n", &["\na terminal\n", "@ "]),
];

/// Sits at a terminal with a shell and types.
fn type_to(session: &Session, shell: &[&str]) -> Result<String, String> {
    let mut command = session.command(shell[0]);
    command.args(&shell[1..]).env("PS1", "@ ").env("TERM", "dumb").env_remove("ENV");
    let mut terminal = Terminal::start(command).map_err(|e| e.to_string())?;
    for (typed, answers) in TYPED {
        // A control character is for the job that has the terminal, not for the shell.
        if typed.starts_with(char::is_control) {
            terminal.expect_job()?;
        }
        terminal.write(typed).map_err(|e| e.to_string())?;
        for answer in answers {
            terminal.expect(&answer.replace('\n', "\r\n"))?;
        }
    }
    terminal.write("exit 7\n").map_err(|e| e.to_string())?;
    let (screen, end) = terminal.finish()?;
    // Only the numbers of processes differ.
    let words =
        screen.split_inclusive([' ', '\n']).map(|word| match word.trim_end().parse::<u32>() {
            Ok(number) if number > 200 => "PID\n",
            _ => word,
        });
    Ok(words.collect::<String>() + &end.to_string())
}

#[test]
fn bash_on_a_terminal_controls_its_jobs() {
    let shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"];
    everywhere(Session::new, 3, |s| type_to(s, &shell));
}

#[test]
fn sh_on_a_terminal_controls_its_jobs() {
    everywhere(Session::new, 3, |s| type_to(s, &["sh", "-i"]));
}

/// The processes of a group that are not zombies.
fn living(group: u32) -> Vec<String> {
    let stats = fs::read_dir("/proc").expect("/proc can be read").flatten();
    stats
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            // After the name: state, parent, group.
            let fields = stat.rsplit(')').next().unwrap_or_default();
            let fields: Vec<_> = fields.split_whitespace().collect();
            fields[0] != "Z" && fields[2] == group.to_string()
        })
        .collect()
}

/// Starts a shell that says its own number and that of its parent and then waits, 20 seconds at
/// most; sends it signals, each when the one before was answered.
fn signalled(session: &Session, traps: &str, signals: &[i32]) -> Result<String, String> {
    let script = format!("{traps}\necho $$ $PPID; for i in $(seq 400); do sleep 0.05; done");
    let mut command = session.command("sh");
    command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = spawn(&mut command).map_err(|e| e.to_string())?;
    let pid = child.id();
    let mut lines = BufReader::new(child.stdout.take().ok_or("a pipe")?);
    let mut text = String::new();
    let talk = (|| {
        lines.read_line(&mut text).map_err(|e| e.to_string())?;
        for signal in signals {
            send(pid, *signal, false);
            lines.read_line(&mut text).map_err(|e| e.to_string())?;
        }
        Ok(())
    })();
    let end = wait(&mut child, Duration::from_secs(20)).map_err(|e| e.to_string())?;
    talk.and_then(|()| lines.read_to_string(&mut text).map_err(|e| e.to_string()))?;
    wait_until("no process stays", || living(pid).is_empty())?;
    let numbers = format!("{pid} {}\n", std::process::id());
    let text = text.strip_prefix(&numbers).ok_or(format!("{text} does not begin {numbers}"))?;
    Ok(format!("{text}{end}"))
}

/// A signal to the process that was started, which is the program: `ia2` is not there any more.
#[test]
fn signals_reach_the_program_and_no_process_stays() {
    let traps = "
        for s in HUP INT QUIT USR1 USR2 ALRM WINCH CONT; do trap \"echo got $s\" $s; done
        trap 'echo got TERM; exit 5' TERM
    ";
    let all = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGWINCH,
        libc::SIGCONT,
        libc::SIGTERM,
    ];
    everywhere(Session::new, 1, |s| {
        let text = signalled(s, traps, &all)?;
        match (text.lines().count(), text.ends_with("exit 5")) {
            (10, true) => Ok(text),
            _ => Err(text),
        }
    });
    // Killed, it leaves no line; the sleeps that it started do.
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGUSR1, libc::SIGALRM] {
        everywhere(Session::new, 0, |s| signalled(s, "", &[signal]));
    }
}

#[test]
fn make_builds_a_project_with_gcc() {
    // make, and for each file gcc, cc1, as; then gcc, collect2, ld.
    everywhere(Session::new, 1 + 3 * 33 + 3, |s| {
        let mut all = String::new();
        for number in 0..32 {
            let text = format!("int f{number}(int x) {{ return x + {number}; }}\n");
            s.write(&format!("f{number}.c"), text)?;
            all.push_str(&format!(" f{number}.o"));
        }
        s.write("main.c", "int f7(int);\nint main(void) { return f7(35); }\n")?;
        s.write("Makefile", format!("prog: main.o{all}\n\tgcc -o $@ $^\n"))?;
        // The order of two jobs is nobody's promise; that it says nothing is.
        let built = outcome(s.command("make").args(["-s", "-j2"]))?;
        let sum = output(s.native("sha256sum").arg("prog"))?;
        Ok(built + &sum + &outcome(&mut s.native(s.path("prog")))?)
    });
}

#[test]
fn cargo_builds_and_tests_a_crate() {
    // cargo, rustc for the build script, the script, rustc for the tests and for the program, the
    // tests, and for each of three links cc, collect2, ld.
    everywhere(Session::new, 10, |s| {
        s.write(
            "crate/Cargo.toml",
            "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n",
        )?;
        s.write(
            "crate/build.rs",
            "fn main() { println!(\"cargo::rustc-env=MADE={}\", 6 * 7); }\n",
        )?;
        s.write("crate/src/part.rs", "pub fn made() -> &'static str { env!(\"MADE\") }\n")?;
        s.write(
            "crate/src/main.rs",
            "mod part;\nfn main() { println!(\"made {}\", part::made()); }\n\
             #[test]\nfn made() { assert_eq!(part::made(), \"42\"); }\n",
        )?;
        let cargo = |word: &str| {
            let mut command = s.command("cargo");
            command.args([word, "-q", "--offline"]).current_dir(s.path("crate"));
            command.env("CARGO_HOME", s.path("home")).env("CARGO_TARGET_DIR", s.path("target"));
            // What the cargo that runs these tests says of itself is not for this one.
            for (name, _) in std::env::vars_os() {
                let name = name.to_string_lossy().into_owned();
                if name.starts_with("CARGO_PKG_") || name == "RUSTFLAGS" {
                    command.env_remove(name);
                }
            }
            outcome(&mut command)
        };
        let built = cargo("build")?;
        let ran = outcome(&mut s.command(s.path("target/debug/small")))?;
        let tested = cargo("test")?;
        // The one thing that differs is how long the tests took.
        let tested = tested.split("; finished in").next().unwrap_or_default();
        Ok(format!("{built}{ran}{tested}"))
    });
}

#[test]
fn git_commits_clones_and_logs() {
    let script = "
        set -e
        git init -q -b main repo
        for i in 1 2 3 4 5 6; do
            export GIT_AUTHOR_DATE=\"2020-01-0${i}T00:00:00Z\" GIT_COMMITTER_DATE=\"2020-01-0${i}T00:00:00Z\"
            seq $((i * 100)) > repo/file$((i % 4))
            git -C repo add .
            git -C repo commit -q -m \"commit $i\"
        done
        git -C repo gc -q
        git clone -q --no-local repo far
        git clone -q repo near
        git -C far fsck --strict
        git -C near --no-pager log -p --stat
        git -C far --no-pager log --graph --format='%H %T %s'
        git -C far status --short --branch
        cat far/file1 near/file2 | sha256sum
    ";
    everywhere(Session::new, 50, |s| {
        let mut command = s.command("bash");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "N");
            command.env(format!("GIT_{who}_EMAIL"), "n@example.invalid");
        }
        let text = outcome(command.args(["-c", script]))?;
        match text.contains("commit 6") && text.ends_with("exit 0\n") {
            true => Ok(text),
            false => Err(text),
        }
    });
}

#[test]
fn nginx_with_workers_reloads_and_quits() {
    // The master, two workers, two more after the reload, and the two that told it.
    everywhere(Session::open, 7, |s| {
        let port = free_port();
        let config = text("apps/nginx_workers.conf").replace("PORT", &port.to_string());
        let configure = |text: &str| s.write("nginx.conf", config.replace("TEXT", text));
        let nginx = || {
            let mut command = s.command("nginx");
            command.arg("-p").arg(s.path("")).args(["-e", "stderr", "-c", "nginx.conf"]);
            command
        };
        configure("first")?;
        s.write("files/page.html", "line of a page\n".repeat(700))?;
        let server = Server::start(&mut nginx(), port)?;
        let mut text = fetch(port, "/page.html")? + &fetch(port, "/text")?;
        let requests = wrk(port, "/page.html", 2)?;
        configure("second")?;
        text += &output(nginx().args(["-s", "reload"]))?;
        // The old workers close connections while they leave.
        wait_until("reload", || {
            living(server.pid()).len() == 3
                && fetch(port, "/text").is_ok_and(|text| text.contains("second"))
        })?;
        text += &fetch(port, "/missing")?;
        let more = wrk(port, "/page.html", 1)?;
        text += &output(nginx().args(["-s", "quit"]))?;
        let end = server.end().map_err(|e| e.to_string())?;
        Ok(format!("{text}{end}; answers: {} {}", requests > 0, more > 0))
    });
}

/// The folder of the newest postgres: its programs are in nobody's PATH on Debian.
fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path().join("bin")).max();
    newest.unwrap_or_else(|| "/usr/bin".into())
}

/// A database that is stopped when the work on it has failed.
struct Database<'a>(&'a Session);

impl Database<'_> {
    fn stop(&self, mode: &str, mut command: Command) -> Result<String, String> {
        output(
            command
                .args(["stop", "-s", "-w", "-m", mode, "-D", "data"])
                .current_dir(self.0.path("")),
        )
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if self.0.path("data/postmaster.pid").exists() {
            // The work has failed already, with its own message.
            let _ = self.stop("immediate", self.0.native(postgres_programs().join("pg_ctl")));
        }
    }
}

/// pgbench for half a minute under `ia2 run`, where it is the whole tree, and shorter otherwise.
#[test]
fn postgres_is_made_started_measured_and_stopped() {
    everywhere(Session::unprivileged, 15, |s| {
        let at = postgres_programs();
        let time = if s.way() == Way::Run { "30" } else { "5" };
        let command = |name: &str| {
            let mut command = s.command(at.join(name));
            command.env("PGHOST", s.path("")).env("PGDATABASE", "postgres").env("PGUSER", "me");
            command
        };
        let database = Database(s);
        output(command("initdb").args(["-D", "data", "-U", "me", "-A", "trust", "--no-sync"]))?;
        let settings = format!(
            "-F -c listen_addresses= -c autovacuum=off -c unix_socket_directories={}",
            s.path("").display()
        );
        output(
            command("pg_ctl")
                .args(["start", "-s", "-w", "-D", "data", "-l", "log", "-o", &settings]),
        )?;
        output(command("pgbench").args(["-i", "-q"]))?;
        let report = output(command("pgbench").args(["-c2", "-j2", "-T", time]))?;
        let count = report.lines().find_map(|line| {
            line.strip_prefix("number of transactions actually processed: ")?.parse::<u64>().ok()
        });
        let count = count.filter(|count| *count > 0).ok_or(report)?;
        // Each transaction adds one number in four places.
        let sums = "select (select count(*) from pgbench_history), \
            (select count(*) from pgbench_accounts), a = b and b = t and t = h from \
            (select sum(abalance) a from pgbench_accounts) x, \
            (select sum(bbalance) b from pgbench_branches) y, \
            (select sum(tbalance) t from pgbench_tellers) z, \
            (select sum(delta) h from pgbench_history) w";
        let found = output(command("psql").args(["-X", "-A", "-t", "-c", sums]))?;
        if found != format!("{count}|100000|t\n") {
            return Err(format!("{count} transactions, but in the tables: {found}"));
        }
        let stopped = database.stop("smart", command("pg_ctl"))?;
        let log = fs::read_to_string(s.path("log")).map_err(|e| e.to_string())?;
        let bad = log
            .lines()
            .filter(|l| ["ERROR", "FATAL", "PANIC", "WARNING"].iter().any(|w| l.contains(w)));
        Ok(bad.collect::<Vec<_>>().join("\n") + &stopped)
    });
}

/// What became of each test, by its name, from a report in the format of JUnit.
fn verdicts(report: &Path) -> Result<BTreeMap<String, &'static str>, String> {
    let text = fs::read_to_string(report).map_err(|e| format!("no report: {e}"))?;
    let cases = text.split("<testcase ").skip(1).map(|case| {
        let name = case.strip_prefix("name=\"").and_then(|case| case.split('"').next());
        let kinds = ["skipped", "failure", "error"];
        let verdict = kinds.into_iter().find(|kind| case.contains(&format!("<{kind}")));
        // What goes wrong in the setting-up of a class has no name of its own.
        (name.unwrap_or("nameless").to_owned(), verdict.unwrap_or("ok"))
    });
    Ok(cases.collect())
}

/// Runs a module of python3's tests, or only those tests in it whose names match.
fn python_tests(
    session: &Session,
    module: &str,
    only: &[String],
) -> Result<BTreeMap<String, &'static str>, String> {
    let report = session.path("report.xml");
    let mut command = session.command("/usr/bin/python3");
    command.args(["-m", "test", "--tempdir"]).arg(session.path("")).arg("--junit-xml").arg(&report);
    // Sockets between virtual machines are the machine's, and hang in some.
    command.args(["-i", "*VSOCK*"]);
    for name in only {
        command.args(["-m", name]);
    }
    let ended = run(command.arg(module), 2 * LIMIT).map_err(|e| e.to_string())?;
    verdicts(&report).map_err(|e| format!("{e}; {}", tail(&ended.transcript())))
}

/// A module of python3's own tests: each test ends as it does natively.
///
/// The three runs are made at once, since the tests mostly sleep. Some tests are about time and fail
/// on a busy machine, natively too: what differs is run again alone, natively and under the shim, at
/// most three times, and must once be the same.
fn python(module: &str, least: usize) {
    let sessions = [Way::Native, Way::Run, STRICT].map(Session::open);
    let [native, by_run, preloaded] = std::thread::scope(|scope| {
        let runs = sessions.each_ref().map(|s| scope.spawn(|| python_tests(s, module, &[])));
        runs.map(|run| run.join().expect("no panic").unwrap_or_else(|e| panic!("{e}")))
    });
    assert!(native.len() >= least, "only {} tests", native.len());
    for (session, found) in sessions[1..].iter().zip([by_run, preloaded]) {
        let names = native.keys().chain(found.keys());
        let mut differ: Vec<_> =
            names.filter(|n| native.get(*n) != found.get(*n)).cloned().collect();
        for _ in 0..3 {
            if differ.is_empty() {
                break;
            }
            println!("{:?}: again: {differ:?}", session.way());
            let again = [&sessions[0], session].map(|s| python_tests(s, module, &differ));
            let [native, found] = again.map(|tests| tests.unwrap_or_else(|e| panic!("{e}")));
            differ.retain(|name| !native.contains_key(name) || native.get(name) != found.get(name));
        }
        assert!(differ.is_empty(), "{:?}: {differ:?}", session.way());
        judge(&session.stats().expect("statistics"), 1).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn python_tests_of_subprocess() {
    python("test_subprocess", 300);
}

#[test]
fn python_tests_of_os() {
    python("test_os", 300);
}

#[test]
fn python_tests_of_posix() {
    python("test_posix", 150);
}

#[test]
fn python_tests_of_signal() {
    python("test_signal", 50);
}

#[test]
fn python_tests_of_threading() {
    python("test_threading", 180);
}

#[test]
fn python_tests_of_socket() {
    python("test_socket", 600);
}

#[test]
fn the_shell_of_static_busybox_runs_a_script() {
    let script = "
        set -e
        count() { n=0; while read -r line; do n=$((n + 1)); done; echo $n; }
        for i in $(seq 1 20); do echo \"$i $((i * i))\" >> squares; done
        count < squares
        busybox grep -c 4 squares
        busybox sort -rn squares | busybox head -3 | busybox tr ' ' ':'
        busybox awk '{ s += $2 } END { print s }' squares
        busybox tar cf - squares | busybox gzip | busybox gunzip | busybox tar xOf - | busybox sha256sum
        (exit 4) || echo \"status $?\"
        sleep 60 & kill $!; wait $! || echo \"killed $?\"
        trap 'echo left' EXIT
        ls / | busybox wc -l
        exit 3
    ";
    everywhere(Session::new, 12, |s| outcome(by_env(s, "busybox").args(["sh", "-c", script])));
}

#[test]
fn a_static_program_of_musl() {
    everywhere(Session::new, 1, |s| {
        compile("musl-gcc", &file("apps/musl_work.c"), &s.path("work"), &["-static"])?;
        outcome(&mut by_env(s, "./work"))
    });
}

#[test]
fn a_static_program_of_rust() {
    // The program, and the shell it starts.
    everywhere(Session::new, 2, |s| {
        let mut rustc = s.native("rustc");
        rustc.args(["--target", "x86_64-unknown-linux-gnu", "-C", "target-feature=+crt-static"]);
        rustc.args(["--edition", "2021", "-o", "work"]).arg(file("programs/work.rs"));
        output(&mut rustc)?;
        outcome(by_env(s, "./work").args(["one", "two words"]))
    });
}

/// A go command that knows nothing but the temporary folder and asks nobody.
fn go(session: &Session, mut command: Command) -> Command {
    command.env("GOCACHE", session.path("cache")).env("GOPATH", session.path("path"));
    command.env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    command.env("GO111MODULE", "on").env("CGO_ENABLED", "0").env("GOENV", "off");
    command
}

#[test]
fn go_builds_and_tests_a_module() {
    // go, and at least compile, asm and link for each of the two, and the test.
    everywhere(Session::new, 10, |s| {
        s.write("go.mod", "module example.invalid/small\n\ngo 1.19\n")?;
        s.write("main.go", MAIN)?;
        s.write("part/part.go", PART)?;
        s.write("part/part_test.go", PART_TEST)?;
        let built = outcome(go(s, by_env(s, "go")).args(["build", "-o", "small", "."]))?;
        let ran = outcome(&mut by_env(s, "./small"))?;
        let tested = outcome(go(s, by_env(s, "go")).args(["test", "./..."]))?;
        // Last in a line is how long the test took.
        let tested: Vec<_> =
            tested.lines().map(|line| line.rsplit_once('\t').unwrap_or((line, "")).0).collect();
        Ok(format!("{built}{ran}{}", tested.join("\n")))
    });
}

const MAIN: &str = r#"package main

import (
	"fmt"

	"example.invalid/small/part"
)

func main() { fmt.Println("the answer", part.Answer(6)) }
"#;

const PART: &str = "package part\n\n// Answer is one.\nfunc Answer(x int) int { return x * 7 }\n";

const PART_TEST: &str = r#"package part

import "testing"

func TestAnswer(t *testing.T) {
	if Answer(6) != 42 {
		t.Fatal(Answer(6))
	}
}
"#;

#[test]
fn a_static_server_of_go_serves_and_ends() {
    let folder = Session::new(Way::Native);
    let mut build = go(&folder, folder.native("go"));
    build.env("GO111MODULE", "off").args(["build", "-o", "server"]).arg(file("programs/server.go"));
    output(&mut build).unwrap_or_else(|e| panic!("{e}"));
    let program = folder.path("server").display().to_string();
    everywhere(Session::new, 1, |s| {
        let port = free_port();
        let server = Server::start(by_env(s, &program).arg(port.to_string()), port)?;
        let text = fetch(port, "/path")?;
        let requests = wrk(port, "/", 2)?;
        let end = server.stop().map_err(|e| e.to_string())?;
        Ok(format!("{text}\n{end}; answers: {}", requests > 0))
    });
}
