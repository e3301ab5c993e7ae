//! `ia2`, the command line of ia2shim. Each subcommand has a file; this one only chooses.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod sites;
mod stats;

/// Route every system call of a program through one gate.
#[derive(Parser)]
#[command(name = "ia2", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show which SYSCALL instructions of ELF files can be rewritten, in which form, and why the
    /// others are left alone.
    Sites(sites::Arguments),
    /// Show the statistics that programs wrote to a file named by IA2_STATS.
    Stats {
        /// Files with one JSON object per line.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = match arguments.command {
        Command::Sites(arguments) => sites::run(&arguments, &mut out),
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
