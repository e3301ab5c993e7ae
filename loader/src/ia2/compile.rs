//! `ia2 compile`: a policy as bytes, for `ia2 run -p`, or its filter for others.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use ia2_core::blob::Blob;
use ia2_policy::listing::{Machine, c_array, listing};
use serde_json::json;

use crate::policy::{self, Rules, plain, words};

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 compile app.ia2 -o app.blob                        for ia2 run -p app.blob, IA2_POLICY
  ia2 compile app.ia2 --emit pfc                         the filter, to be read
  ia2 compile app.ia2 --shape plain --emit bpf -o app.bpf
  bwrap --ro-bind / / --seccomp 9 CMD 9< app.bpf         without the shim";

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// All of it, as `ia2 run -p` and IA2_POLICY take it.
    Blob,
    /// The filter alone: 8 bytes an instruction, as seccomp(2) takes it.
    Bpf,
    /// The filter, for people to read.
    Pfc,
    /// The filter as an array in C.
    C,
    /// The filter as JSON.
    Json,
}

/// Which filter.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Every call is tied to the gate.
    Strict,
    /// Only calls that somebody looks at are.
    Inspected,
    /// For programs that run without the shim: no call is tied to anything. Rules that only the shim can
    /// decide are errors.
    Plain,
}

/// Options of `ia2 compile`.
#[derive(clap::Args)]
#[command(
    before_long_help = EXAMPLES,
    after_long_help = "Exit status: 0 if it is written, 1 if the shape cannot say it, 2 if the policy cannot be used or the file not be written."
)]
pub(crate) struct Arguments {
    /// A file, `-` for standard input, or a name.
    policy: String,
    #[command(flatten)]
    rules: Rules,
    /// What to write: a blob, unless the shape is `plain`.
    #[arg(long, value_enum)]
    emit: Option<Emit>,
    /// Which of the filters.
    #[arg(long, value_enum, default_value = "strict")]
    shape: Shape,
    /// Where to; standard output without it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exit status 1 if the shape cannot say it, 2 if the policy cannot be used or the file not be written.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let is_plain = arguments.shape == Shape::Plain;
    let emit = arguments.emit.unwrap_or(if is_plain { Emit::Bpf } else { Emit::Blob });
    if is_plain && emit == Emit::Blob {
        eprintln!(
            "ia2: a blob is for the shim, and `plain` is without it: --emit bpf, pfc, c or json"
        );
        return Ok(ExitCode::from(2));
    }
    let is_binary = matches!(emit, Emit::Blob | Emit::Bpf);
    if is_binary && arguments.output.is_none() && io::stdout().is_terminal() {
        eprintln!("ia2: not written to a terminal: give -o FILE");
        return Ok(ExitCode::from(2));
    }
    let mut loaded = policy::load(&arguments.policy, &arguments.rules);
    // For `plain` too: what the compiler cannot say, it will not say in another shape.
    let compiled = loaded.compile();
    let (Some(policy), Some(compiled)) = (&loaded.policy, compiled) else {
        loaded.draw_errors();
        return Ok(ExitCode::from(2));
    };
    let insns = match arguments.shape {
        Shape::Strict => compiled.strict,
        Shape::Inspected => compiled.inspected,
        Shape::Plain => match plain::filter(policy) {
            Ok(insns) => insns,
            Err(errors) => {
                loaded.findings = errors;
                loaded.draw_errors();
                return Ok(ExitCode::from(1));
            }
        },
    };
    // A plain filter's traps tell of no verdict.
    let blob = Blob::parse(&compiled.blob).ok().filter(|_| !is_plain);
    let text = || listing(&insns, Machine::Kernel(blob.as_ref()));
    let bytes = match emit {
        Emit::Pfc => text().into_bytes(),
        Emit::Blob => compiled.blob,
        Emit::Bpf => plain::bytes(&insns),
        Emit::C => c_array(&insns, "filter").into_bytes(),
        Emit::Json => {
            let text = text();
            let rows = insns.iter().zip(text.lines()).map(|(insn, line)| {
                let words = line.split_once(": ").map_or(line, |(_, words)| words);
                json!({"code": insn.code, "jt": insn.jt, "jf": insn.jf, "k": insn.k, "text": words})
            });
            let shape = arguments.shape.to_possible_value();
            let report = json!({
                "schema": "ia2.compile/1",
                "policy": policy.name,
                "version": policy.version,
                "shape": shape.map(|shape| shape.get_name().to_owned()),
                "default": words::action(policy.default.kind),
                "unknown": words::action(policy.unknown.kind),
                "instructions": rows.collect::<Vec<_>>(),
            });
            format!("{report}\n").into_bytes()
        }
    };
    match &arguments.output {
        None => out.write_all(&bytes)?,
        Some(path) => {
            if let Err(error) = write(path, &bytes) {
                eprintln!("ia2: {}: {error}", path.display());
                return Ok(ExitCode::from(2));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that its group and others may not write, whatever the umask is: otherwise it would be refused as
/// a policy.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).open(path)?.write_all(bytes)
}
