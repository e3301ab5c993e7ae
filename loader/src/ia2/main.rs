//! `ia2`, the command line of ia2shim. Each subcommand has a file; this one only chooses.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod ask;
mod cache;
mod check;
mod compile;
mod convert;
mod diff;
mod doctor;
mod explain;
mod file;

mod list;
mod pages;
mod policy;
mod process;
mod roff;
mod run;
mod sites;
mod stats;

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 run -p nginx -- nginx              start a program under a policy
  ia2 run -e 'socket : errno EACCES' -- make        without a network
  ia2 check app.ia2                      what is wrong with a policy
  ia2 explain app.ia2 openat             who enforces a rule, and against whom
  ia2 test app.ia2 'read(3, _, _)'       what a policy says to a call
  ia2 doctor                             what works on this machine";

/// Route every system call of a program through one gate.
#[derive(Parser)]
#[command(name = "ia2", version, before_long_help = EXAMPLES)]
struct Arguments {
    /// Colours: auto (on a terminal, unless NO_COLOR is set), always, never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: clap::ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a program under the shim, from its first instruction.
    Run(run::Arguments),
    /// Check policies: errors, warnings, sizes.
    Check(check::Arguments),
    /// Show who enforces each rule of a policy, and against whom that holds.
    Explain(explain::Arguments),
    /// Ask a policy about a call, or run its own tests.
    Test(ask::Arguments),
    /// Show which calls two policies treat differently.
    Diff(diff::Arguments),
    /// Write a policy in its compiled form, or its filter.
    Compile(compile::Arguments),
    /// Convert policies of other programs, and tell what could not be converted.
    Convert(convert::Arguments),
    /// List calls, sets, constants, actions, built-in policies.
    List(list::Arguments),
    /// Tell what this machine supports, and so which backstops and levels work.
    Doctor(doctor::Arguments),
    /// Write the completions of a shell to standard output.
    Completions {
        /// Which one.
        shell: clap_complete::Shell,
    },
    /// Write manual pages.
    Man(pages::Arguments),
    /// Show which SYSCALL instructions of ELF files can be rewritten, in which form, and why the
    /// others are left alone.
    Sites(sites::Arguments),
    /// Plan libraries and programs ahead, so that programs under the shim start sooner.
    Cache(cache::Arguments),
    /// Show the statistics that programs wrote to a file named by IA2_STATS.
    Stats {
        /// Files with one JSON object per line.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// The loader's file.
const LOADER: &str = "ia2-loader";

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        // As env(1): 125 is "ia2 run itself failed"; the other commands have no child to tell from.
        let wrong = error.use_stderr();
        let is_run = std::env::args_os().nth(1).is_some_and(|command| command == "run");
        let _ = error.print();
        std::process::exit(if !wrong {
            0
        } else if is_run {
            125
        } else {
            2
        });
    });
    policy::draw::choose(arguments.color);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = match arguments.command {
        Command::Run(arguments) => return run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments, &mut out),
        Command::Explain(arguments) => explain::run(&arguments, &mut out),
        Command::Test(arguments) => ask::run(&arguments, &mut out),
        Command::Diff(arguments) => diff::run(&arguments, &mut out),
        Command::Compile(arguments) => compile::run(&arguments, &mut out),
        Command::Convert(arguments) => convert::run(&arguments, &mut out),
        Command::List(arguments) => list::run(&arguments, &mut out),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "ia2", &mut out);
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor(arguments) => doctor::run(&arguments, &mut out),
        Command::Man(arguments) => pages::run(&arguments, Arguments::command(), &mut out),
        Command::Sites(arguments) => sites::run(&arguments, &mut out),
        Command::Cache(arguments) => cache::run(&arguments, &mut out),
        Command::Stats { files } => stats::run(&files, &mut out),
    };
    match done.and_then(|code| out.flush().map(|()| code)) {
        Ok(code) => code,
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ia2: standard output: {error}");
            ExitCode::from(2)
        }
    }
}

/// Exit status for bad input: something was wrong with a file, the others were handled.
fn bad_input(any: bool) -> ExitCode {
    if any { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// The file `name` where the library and the loader lie: beside this program, or, installed, in the
/// `lib` beside its `bin`.
fn beside(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let installed = own.parent().map(|bin| bin.with_file_name("lib"));
    let lib =
        installed.filter(|lib| !own.with_file_name(LOADER).exists() && lib.join(LOADER).exists());
    Ok(lib.map_or_else(|| own.with_file_name(name), |lib| lib.join(name)))
}
