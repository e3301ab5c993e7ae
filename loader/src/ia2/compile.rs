//! `ia2 compile`: a policy as bytes, for `ia2 run -p`, or its filter for others.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use ia2_core::blob::Blob;
use ia2_policy::listing::{Machine, c_array, listing};

use crate::layers;

/// What is written.
#[derive(Clone, Copy, ValueEnum)]
enum Emit {
    /// All of it, as `ia2 run -p` and IA2_POLICY take it.
    Blob,
    /// The filter alone: 8 bytes an instruction, as seccomp(2) takes it.
    Bpf,
    /// The filter, for people to read.
    Pfc,
    /// The filter as an array in C.
    C,
}

/// Which filter.
#[derive(Clone, Copy, ValueEnum)]
enum Shape {
    /// Every call is tied to the gate.
    Strict,
    /// Only calls that somebody looks at are.
    Inspected,
}

/// Options of `ia2 compile`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A file, or a built-in policy by name.
    policy: String,
    /// What to write.
    #[arg(long, value_enum, default_value = "blob")]
    emit: Emit,
    /// Which of the two filters.
    #[arg(long, value_enum, default_value = "strict")]
    shape: Shape,
    /// Where to; standard output without it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exit status 2 if the policy cannot be used or the file not be written.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let mut loaded = layers::load(&arguments.policy, None);
    let compiled = loaded.compile();
    let (Some(_), Some(compiled)) = (loaded.or_draw(), compiled) else {
        return Ok(ExitCode::from(2));
    };
    let insns = match arguments.shape {
        Shape::Strict => &compiled.strict,
        Shape::Inspected => &compiled.inspected,
    };
    let bytes = match arguments.emit {
        Emit::Pfc => {
            let blob = Blob::parse(&compiled.blob).ok();
            listing(insns, Machine::Kernel(blob.as_ref())).into_bytes()
        }
        Emit::Blob => compiled.blob,
        Emit::Bpf => filter(insns),
        Emit::C => c_array(insns, "filter").into_bytes(),
    };
    match &arguments.output {
        None => out.write_all(&bytes)?,
        Some(path) => {
            if let Err(error) = std::fs::write(path, &bytes) {
                eprintln!("ia2: {}: {error}", path.display());
                return Ok(ExitCode::from(2));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn filter(insns: &[ia2_core::bpf::Insn]) -> Vec<u8> {
    let bytes = insns.iter().flat_map(|insn| {
        let [a, b] = insn.code.to_le_bytes();
        let [c, d, e, f] = insn.k.to_le_bytes();
        [a, b, insn.jt, insn.jf, c, d, e, f]
    });
    bytes.collect()
}
