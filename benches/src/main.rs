//! `ia2-bench`: what one system call costs, as ratios against the native call and against the
//! physical floor of each backstop.
//!
//! The method is in `benches/README.md`. In short: every row of the table needs a process of its
//! own, because a filter cannot be taken off again and a preload is decided at exec. So the bench
//! starts one worker per row and call, keeps all of them alive, and asks them in turn for small
//! batches, in alternating order; a disturbance of the machine hits all rows alike and the lower
//! quartile drops it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `row` | the rows: what each process is, its floor, its bound |
//! | `site` | the measured `syscall` instructions (assembly) |
//! | `floor` | the hand-made floors: address filter, dispatch, bare SIGSYS |
//! | `worker` | the measuring process |
//! | `pool` | starts the workers, checks that each is what it claims, alternates |
//! | `way` | the ways a program is started: native, `ia2 run`, preloaded, preloaded without plans |
//! | `filter` | filters of many rules, ours and others, in forked children |
//! | `compiling` | what it takes to compile a policy |
//! | `timing` | does one piece of work in all ways in turn |
//! | `startup`, `inside`, `shell` | `/bin/true` started by us, by a program, by a shell |
//! | `memory` | `/bin/cat`, native and preloaded |
//! | `stats`, `report` | lower quartiles, table, JSON, bounds |
#![deny(unsafe_code)]

mod compiling;
mod filter;
mod floor;
mod inside;
mod memory;
mod pool;
mod report;
mod row;
mod shell;
mod site;
mod startup;
mod stats;
mod timing;
mod way;
mod worker;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: ia2-bench [options]
  --lib FILE         libia2shim.so (default: beside this program)
  --json FILE        where to write the numbers (default: out/bench.json)
  --floors           only the rows that need no libia2shim.so
  --check            exit 1 if a ratio exceeds its bound
  --cpu N            CPU to measure on (default: the last one)
  --generations N    how often all processes are started anew (default: 16)
  --rounds N         rounds per generation (default: 20)
  --spawns N         starts of /bin/true per row (default: 400)
  --loops N          shells that start it 500 times, per row (default: 5)
";

/// What the user asked for.
struct Options {
    lib: Option<PathBuf>,
    json: PathBuf,
    floors_only: bool,
    check: bool,
    cpu: usize,
    plan: pool::Plan,
    spawns: usize,
    loops: usize,
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        lib: None,
        json: PathBuf::from("out/bench.json"),
        floors_only: false,
        check: false,
        cpu: std::thread::available_parallelism().map_or(0, |n| n.get() - 1),
        plan: pool::Plan { generations: 16, rounds: 20 },
        spawns: 400,
        loops: 5,
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{arg} wants a value"));
        match arg.as_str() {
            "--lib" => options.lib = Some(PathBuf::from(value()?)),
            "--json" => options.json = PathBuf::from(value()?),
            "--floors" => options.floors_only = true,
            "--check" => options.check = true,
            "--cpu" => options.cpu = number(arg, value()?)?,
            "--generations" => options.plan.generations = at_least_one(arg, value()?)?,
            "--rounds" => options.plan.rounds = at_least_one(arg, value()?)?,
            "--loops" => options.loops = at_least_one(arg, value()?)?,
            "--spawns" => options.spawns = at_least_one(arg, value()?)?,
            _ => return Err(format!("unknown argument {arg}\n{USAGE}")),
        }
    }
    Ok(options)
}

fn number(name: &str, text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{name}: not a number: {text}"))
}

fn at_least_one(name: &str, text: &str) -> Result<usize, String> {
    match number(name, text)? {
        0 => Err(format!("{name}: must be at least 1")),
        n => Ok(n),
    }
}

/// The library to preload, or the reason why there is none.
fn find_lib(options: &Options) -> Result<PathBuf, String> {
    let path = match &options.lib {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .map_err(|e| format!("own path: {e}"))?
            .with_file_name("libia2shim.so"),
    };
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(_) => Err(format!(
            "{}: not built: run make (or measure the floors alone with --floors)",
            path.display()
        )),
    }
}

/// A bench that is itself preloaded would measure the shim in the native rows.
fn refuse_preloaded_parent() -> Result<(), String> {
    match std::env::var_os("LD_PRELOAD") {
        Some(value) if !value.is_empty() => {
            Err("LD_PRELOAD is set: the bench sets it for the rows that want it".to_owned())
        }
        _ => Ok(()),
    }
}

fn run(args: &[String]) -> Result<bool, String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        write_out(USAGE)?;
        return Ok(true);
    }
    let options = parse(args)?;
    refuse_preloaded_parent()?;
    let lib = if options.floors_only { None } else { Some(find_lib(&options)?) };
    let lib = lib.as_deref();

    worker::pin(options.cpu)?;
    worker::ask_for_priority();

    let ways = way::Ways::find(lib)?;
    ways.check()?;
    let calls = pool::measure(options.plan, options.cpu, lib)?;
    let timings = vec![
        startup::measure(options.spawns, &ways)?,
        inside::measure(options.spawns, &ways)?,
        shell::measure(options.loops, &ways)?,
    ];
    let memory = memory::measure(lib)?;
    let filters = filter::measure(options.plan.generations * options.plan.rounds / 4)?;
    let compiling = compiling::measure(options.plan.rounds * 4)?;
    let report = report::Report {
        cpu: options.cpu,
        plan: options.plan,
        calls,
        timings,
        plans: ways.plans,
        memory,
        filters,
        compiling,
    };
    write_out(&report.table())?;
    write_json(&options.json, &report.json())?;
    write_out(&format!("numbers: {}\n", options.json.display()))?;
    Ok(!options.check || report.bounds().iter().all(report::Bound::holds))
}

fn write_out(text: &str) -> Result<(), String> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| format!("stdout: {e}"))
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let text = format!("{value:#}\n");
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first() {
        Some((first, rest)) if first == worker::ARGUMENT => worker::main(rest).map(|()| true),
        Some((first, rest)) if first == inside::ARGUMENT => inside::main(rest).map(|()| true),
        _ => run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("ia2-bench: {message}");
            ExitCode::from(2)
        }
    }
}
