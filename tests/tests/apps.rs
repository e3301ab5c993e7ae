//! Real programs, natively and preloaded under the strict backstop: same output, same end, and
//! nearly every call through a rewritten site.

use core::fmt::Write as _;
use ia2_tests::artifacts::{target, workspace};
use ia2_tests::c_program::compile;
use ia2_tests::run::{End, LIMIT, output, run};
use ia2_tests::server::{Server, fetch, free_port, wrk};
use ia2_tests::stats::Stats;
use ia2_tests::way::{STRICT, Session, Way, compare};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// How many SIGSYS a whole run may take.
const MOST_TRAPS: u64 = 40;
/// Fewer than this many patched sites cannot be a libc and its loader.
const LEAST_PATCHED: u64 = 400;

/// What one program does; it is called once natively and once preloaded, and returns what must be
/// the same. It starts the program under test with [`Session::command`] and everything else with
/// [`Session::native`].
type Work = fn(&Session) -> Result<String, String>;

const APPS: [(&str, Work); 24] = [
    ("python3_threads", |s| python(s, "python_threads.py")),
    ("python3_sqlite", |s| python(s, "python_sqlite.py")),
    ("python3_hash", |s| python(s, "python_hash.py")),
    ("python3_asyncio", |s| python(s, "python_asyncio.py")),
    ("node", |s| finish(s, s.command("node").arg(script("node_work.js")))),
    ("perl", |s| finish(s, s.command("perl").arg(script("perl_work.pl")))),
    ("sort", sort),
    ("tar_create", tar_create),
    ("tar_extract", tar_extract),
    ("gzip", gzip),
    ("find", find),
    ("git_log", git_log),
    ("sqlite3", sqlite3),
    ("redis_benchmark_p1", |s| redis_benchmark(s, "1")),
    ("redis_benchmark_p16", |s| redis_benchmark(s, "16")),
    ("redis_save", redis_save),
    ("redis_cli", redis_cli),
    ("nginx", nginx),
    ("java_version", |s| java(s, &["-version"])),
    ("java_program", java_program),
    ("musl_program", musl_program),
    ("bash_builtins", bash),
    ("busy_python_fork", |s| {
        finish(s, s.command("/usr/bin/python3").args(["-I", "-B", "-c", FORKS]))
    }),
    ("true", |s| finish(s, &mut s.command("/bin/true"))),
];

/// Children by os.fork, each with its own statistics.
const FORKS: &str = "
import os
for i in range(20):
    pid = os.fork()
    if pid == 0:
        os._exit(sum(range(i)) % 200)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let trials =
        APPS.map(|(name, work)| Trial::test(name, move || test(work).map_err(Failed::from)));
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn test(work: Work) -> Result<(), String> {
    // Every process that the work left behind is judged, forked children too.
    let all = compare(Session::new, &[STRICT], work)?.concat();
    if all.is_empty() {
        return Err("no process left statistics".to_owned());
    }
    all.iter().try_for_each(judge)
}

/// What must hold for each process.
fn judge(stats: &Stats) -> Result<(), String> {
    if stats.traps > MOST_TRAPS {
        return Err(format!("{}: {} traps", stats.exe, stats.traps));
    }
    if stats.patched < LEAST_PATCHED {
        return Err(format!("{}: only {} sites patched", stats.exe, stats.patched));
    }
    Ok(())
}

fn script(name: &str) -> PathBuf {
    workspace().join("tests/apps").join(name)
}

/// Runs the program under test: its output, stderr and end, and its own line of statistics.
fn finish(session: &Session, command: &mut Command) -> Result<String, String> {
    let run = run(command, LIMIT).map_err(|e| format!("{command:?}: {e}"))?;
    if session.way() != Way::Native {
        session.stats_of(run.pid).map_err(|e| format!("{e}; {}", run.error_text()))?;
    }
    if run.end != End::Exit(0) {
        return Err(format!("{}: {}", run.end, ia2_tests::run::tail(&run.error_text())));
    }
    Ok(format!("{}\n--- stderr\n{}", run.text(), run.error_text()))
}

/// Numbers that look random and are the same every time.
fn numbers(seed: u32) -> impl Iterator<Item = u32> {
    let mut state = seed;
    core::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    })
}

/// A small tree of files with old dates.
fn tree(session: &Session) -> Result<(), String> {
    for (i, size) in numbers(7).take(120).enumerate() {
        let text: String =
            numbers(size).take(size as usize % 900).fold(String::new(), |mut text, number| {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{number}");
                text
            });
        session.write(&format!("tree/d{}/e{}/file{i}", i % 5, i % 3), text)?;
    }
    let mut touch = session.native("find");
    touch.args(["tree", "-exec", "touch", "-d", "2020-02-02 02:02:02", "{}", "+"]);
    output(&mut touch).map(drop)
}

fn python(session: &Session, name: &str) -> Result<String, String> {
    let mut command = session.command("/usr/bin/python3");
    finish(
        session,
        command.env("PYTHONDONTWRITEBYTECODE", "1").args(["-I", "-B"]).arg(script(name)),
    )
}

fn sort(session: &Session) -> Result<String, String> {
    let text: String = numbers(1).take(300_000).map(|n| format!("{n} {}\n", n % 77)).collect();
    session.write("lines", text)?;
    let mut command = session.command("sort");
    // Small memory, so that it works with temporary files too.
    command.args([
        "--parallel=4",
        "-S",
        "4M",
        "-T",
        ".",
        "-k2,2n",
        "-k1,1",
        "-o",
        "sorted",
        "lines",
    ]);
    let ended = finish(session, &mut command)?;
    Ok(ended + &output(session.native("sha256sum").arg("sorted"))?)
}

fn tar_create(session: &Session) -> Result<String, String> {
    tree(session)?;
    let mut command = session.command("tar");
    command.args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "-cvf",
        "t.tar",
        "tree",
    ]);
    let ended = finish(session, &mut command)?;
    Ok(ended + &output(session.native("sha256sum").arg("t.tar"))?)
}

fn tar_extract(session: &Session) -> Result<String, String> {
    tree(session)?;
    output(session.native("tar").args(["-cf", "t.tar", "tree"]))?;
    fs::create_dir(session.path("out")).map_err(|e| e.to_string())?;
    let ended = finish(session, session.command("tar").args(["-xf", "t.tar", "-C", "out"]))?;
    Ok(ended + &output(session.native("diff").args(["-r", "tree", "out/tree"]))?)
}

fn gzip(session: &Session) -> Result<String, String> {
    let text: String = numbers(3).take(200_000).map(|n| format!("{}\n", n % 1000)).collect();
    session.write("text", text)?;
    let first = finish(session, session.command("gzip").args(["-n", "-9", "-k", "text"]))?;
    let second = finish(session, session.command("gzip").args(["-d", "-c", "text.gz"]))?;
    Ok(format!(
        "{first}{} {}",
        second.len(),
        output(session.native("sha256sum").args(["text.gz"]))?
    ))
}

fn find(session: &Session) -> Result<String, String> {
    tree(session)?;
    let mut command = session.command("find");
    command.args(["tree", "-type", "f", "-size", "+1k", "-newermt", "2019-01-01"]);
    command.args(["-printf", "%P %s %TY-%Tm-%Td %m\\n"]);
    let text = finish(session, &mut command)?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable(); // folders differ in how they order their entries
    Ok(lines.join("\n"))
}

fn git_log(session: &Session) -> Result<String, String> {
    let git = |session: &Session, arguments: &[&str], date: usize| {
        let mut command = session.native("git");
        command.args(["-c", "user.name=N", "-c", "user.email=n@example.invalid"]).args(arguments);
        let date = format!("2020-01-01T00:{:02}:{:02}Z", date / 60, date % 60);
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        output(&mut command)
    };
    fs::create_dir(session.path("repo")).map_err(|e| e.to_string())?;
    git(session, &["-C", "repo", "init", "-q", "-b", "main"], 0)?;
    for i in 0..40 {
        session.write(&format!("repo/file{}", i % 7), format!("{i}\n").repeat(i + 1))?;
        git(session, &["-C", "repo", "add", "."], i)?;
        git(session, &["-C", "repo", "commit", "-q", "-m", &format!("commit {i}")], i)?;
    }
    git(session, &["-C", "repo", "gc", "-q"], 50)?;
    let mut command = session.command("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    finish(session, command.args(["-C", "repo", "--no-pager", "log", "-p", "--stat", "--graph"]))
}

fn sqlite3(session: &Session) -> Result<String, String> {
    let mut sql = String::from("create table t(id integer primary key, a integer, b text);\n");
    let mut values = numbers(5);
    for _ in 0..100 {
        sql.push_str("begin;\n");
        for value in values.by_ref().take(1000) {
            // Writing to a string cannot fail.
            let _ = writeln!(sql, "insert into t(a, b) values({value}, 'text {}');", value % 1000);
        }
        sql.push_str("commit;\n");
    }
    sql.push_str("create index i on t(b);\nselect count(*), sum(a), min(b), max(b) from t;\n");
    sql.push_str("select count(distinct b) from t;\npragma integrity_check;\n");
    session.write("work.sql", sql)?;
    finish(session, session.command("sqlite3").args(["work.db", ".read work.sql"]))
}

/// A redis server of this session, on a port of its own.
fn redis(session: &Session) -> Result<(Server, String), String> {
    let port = free_port();
    let text = port.to_string();
    let mut command = session.command("redis-server");
    command.args(["--port", &text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--daemonize", "no", "--dir"]).arg(session.path(""));
    Ok((Server::start(&mut command, port)?, text))
}

/// Stops a server and checks its statistics.
fn stop(session: &Session, server: Server) -> Result<String, String> {
    let pid = server.pid();
    let end = server.stop().map_err(|e| e.to_string())?;
    if session.way() != Way::Native {
        session.stats_of(pid)?;
    }
    Ok(format!("server: {end}\n"))
}

fn redis_benchmark(session: &Session, pipeline: &str) -> Result<String, String> {
    let (server, port) = redis(session)?;
    let mut client = session.native("redis-benchmark");
    client.args([
        "-p",
        &port,
        "-t",
        "set,get,incr,lpush",
        "-n",
        "50000",
        "-c",
        "20",
        "-q",
        "--csv",
    ]);
    let report = output(client.args(["-P", pipeline]))?;
    // The rates differ; that each test ran is what must be the same.
    let mut text: String =
        report.lines().filter_map(|line| line.split(',').next()).collect::<Vec<_>>().join("\n");
    for question in
        [["get", "counter:__rand_int__"], ["llen", "mylist"], ["strlen", "key:__rand_int__"]]
    {
        text += &output(session.native("redis-cli").args(["-p", &port]).args(question))?;
    }
    Ok(text + &stop(session, server)?)
}

/// A background save: the server forks under the shim, and the child writes the file.
fn redis_save(session: &Session) -> Result<String, String> {
    let (server, port) = redis(session)?;
    let ask = |words: &[&str]| output(session.native("redis-cli").args(["-p", &port]).args(words));
    let mut text = ask(&["debug", "populate", "20000"])?;
    text += &ask(&["bgsave"])?;
    while !ask(&["info", "persistence"])?.contains("rdb_bgsave_in_progress:0") {}
    let info = ask(&["info", "persistence"])?;
    text += info.lines().find(|line| line.starts_with("rdb_last_bgsave_status")).unwrap_or("none");
    text += &ask(&["dbsize"])?;
    text += &stop(session, server)?;
    text += if session.path("dump.rdb").is_file() { "saved" } else { "not saved" };
    Ok(text)
}

/// The client under the shim, the server native.
fn redis_cli(session: &Session) -> Result<String, String> {
    let port = free_port();
    let text = port.to_string();
    let mut command = session.native("redis-server");
    command
        .args(["--port", &text, "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(session.path(""));
    let server = Server::start(&mut command, port)?;
    let script = "for i = 1, 1000 do redis.call('set', 'k' .. i, i * i) end \
                  return redis.call('get', 'k77')";
    let mut answers = String::new();
    for words in [&["eval", script, "0"][..], &["dbsize"], &["get", "k1000"], &["ping"]] {
        let mut client = session.command("redis-cli");
        answers += &finish(session, client.args(["-p", &text]).args(words))?;
    }
    server.stop().map_err(|e| e.to_string())?;
    Ok(answers)
}

fn nginx(session: &Session) -> Result<String, String> {
    let port = free_port();
    let config = fs::read_to_string(script("nginx.conf")).map_err(|e| e.to_string())?;
    session.write("nginx.conf", config.replace("PORT", &port.to_string()))?;
    let page: String = numbers(9).take(2000).map(|n| format!("{n}\n")).collect();
    session.write("files/page.html", page)?;
    let mut command = session.command("nginx");
    command.arg("-p").arg(session.path("")).args(["-e", "stderr", "-c", "nginx.conf"]);
    let server = Server::start(&mut command, port)?;
    let mut text = fetch(port, "/page.html")? + &fetch(port, "/text")? + &fetch(port, "/missing")?;
    // wrk runs for a time, not for a number of requests: it is run until there are enough.
    let (mut requests, mut runs) = (0u64, 0);
    while requests < 10_000 {
        runs += 1;
        if runs > 30 {
            return Err(format!("only {requests} requests in {runs} seconds"));
        }
        requests += wrk(port, "/page.html", 1)?;
    }
    text += "\n10000 requests served\n";
    Ok(text + &stop(session, server)?)
}

fn java(session: &Session, arguments: &[&str]) -> Result<String, String> {
    // No shared statistics file in /tmp, whose name would hold the process id.
    finish(session, session.command("java").args(["-XX:-UsePerfData"]).args(arguments))
}

fn java_program(session: &Session) -> Result<String, String> {
    output(session.native("javac").args(["-d", "."]).arg(script("Work.java")))?;
    java(session, &["-cp", ".", "Work"])
}

fn musl_program(session: &Session) -> Result<String, String> {
    let program = target().join("c-tests/musl_work");
    compile("musl-gcc", &script("musl_work.c"), &program, &[])?;
    finish(session, &mut session.command(program))
}

/// A shell that starts no other program: subshells, pipes, traps, files.
fn bash(session: &Session) -> Result<String, String> {
    let script = "set -e; for i in {1..50}; do echo $i; done > n; \
        sum=0; while read -r x; do sum=$((sum + x)); done < n; echo $sum; \
        (exit 3) || echo sub $?; x=$(for i in 1 2 3; do echo $((i * i)); done); echo $x; \
        { echo a; echo b; } | while read -r l; do echo got $l; done; \
        trap 'echo trapped' USR1; kill -USR1 $$; sleep_done=1; (kill -TERM $BASHPID) || echo $?; \
        wait; echo end";
    finish(session, session.command("bash").args(["--norc", "-c", script]))
}
