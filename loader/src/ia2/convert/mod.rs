//! `ia2 convert`: policies of other programs into ours, and ours into the format of containers.
//!
//! The result says exactly what the source's own runtime makes of it, and what it cannot say is told,
//! with the place: in the text as a comment, and on standard error. Nothing is left out silently.
//!
//! | file | noun |
//! |---|---|
//! | `foreign` | what the source says, in its own terms; losses |
//! | `oci`, `systemd`, `minijail`, `kafel` | one source each |
//! | `settle` | chains of conditions → rules of ours |
//! | `write` | the text |
//! | `to_oci` | a policy → an OCI profile |
//! | `json`, `scan` | texts with places |

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use ia2_policy::diag::Severity;
use ia2_policy::listing::{Machine, listing};
use ia2_policy::policy::Policy;
use ia2_policy::source::{Sources, Text, Unreadable};
use ia2_policy::span::line_column;
use serde_json::{Value, json};

mod foreign;
mod json;
mod kafel;
mod minijail;
mod oci;
mod scan;
mod settle;
mod systemd;
mod to_oci;
mod write;

use crate::policy;
use foreign::{Fault, Foreign, Place, Weight};

/// The arguments of `ia2 convert`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The format of FILE.
    #[arg(long, value_enum, value_name = "FORMAT")]
    from: From,
    /// The format of the result.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "ia2")]
    to: To,
    /// The policy to convert; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write to OUT, instead of to standard output.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// A capability that the container has, for OCI profiles that ask; may be given several times.
    #[arg(long = "cap", value_name = "CAP", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// Compare 32-bit arguments as the kernel looks at them, also where the source's runtime compares
    /// 64 bits.
    #[arg(long)]
    typed: bool,
    /// Fail if anything of the source is lost.
    #[arg(long)]
    strict: bool,
    /// Print one JSON object: the result and the losses.
    #[arg(long)]
    json: bool,
}

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum From {
    /// A seccomp profile of containers, or a bundle's config.json.
    Oci,
    /// A policy of minijail0 -S.
    Minijail,
    /// A policy of nsjail.
    Kafel,
    /// A service unit.
    Systemd,
    /// A policy of ours.
    Ia2,
}

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// A policy of ours.
    Ia2,
    /// A seccomp profile of containers.
    Oci,
    /// The filter, as the kernel takes it.
    Bpf,
    /// The filter, to be read.
    Pfc,
}

/// A finished conversion.
struct Converted {
    bytes: Vec<u8>,
    losses: Vec<foreign::Loss>,
}

/// Converts the file. A file that cannot be converted is told with line and column, and makes the exit
/// status 2; with `--strict`, a loss makes it 1.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let converted = match convert(arguments) {
        Ok(converted) => converted,
        Err(fault) => {
            tell(&format!("{}: {}", fault.place, fault.reason));
            if arguments.json {
                let object = json!({
                    "schema": "ia2.convert/1",
                    "error": place_json(&fault.place, &[("message", json!(fault.reason))]),
                });
                writeln!(out, "{object}")?;
            }
            return Ok(ExitCode::from(2));
        }
    };
    for loss in &converted.losses {
        let weight = loss.weight.name();
        tell(&format!("{}: {weight}: {}: {}", loss.place, loss.what, loss.reason));
    }
    if arguments.strict && converted.losses.iter().any(|loss| loss.weight == Weight::Lost) {
        return Ok(ExitCode::from(1));
    }
    if arguments.json {
        let losses = converted.losses.iter().map(|loss| {
            let rest = [
                ("kind", json!(loss.weight.name())),
                ("what", json!(loss.what)),
                ("reason", json!(loss.reason)),
            ];
            place_json(&loss.place, &rest)
        });
        let object = json!({
            "schema": "ia2.convert/1",
            "from": format!("{:?}", arguments.from).to_lowercase(),
            "to": format!("{:?}", arguments.to).to_lowercase(),
            "result": String::from_utf8_lossy(&converted.bytes),
            "losses": losses.collect::<Vec<_>>(),
        });
        writeln!(out, "{object}")?;
    } else if arguments.output.is_none() {
        out.write_all(&converted.bytes)?;
    }
    if let Some(path) = &arguments.output
        && let Err(error) = fs::write(path, &converted.bytes)
    {
        eprintln!("ia2: {}: {error}", path.display());
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line on standard error; the words of a foreign file do not move the cursor.
fn tell(line: &str) {
    eprintln!("ia2: {}", write::visible(line).replace(['\n', '\r', '\t'], " "));
}

fn place_json(place: &Place, rest: &[(&str, Value)]) -> Value {
    let mut object = json!({ "file": &*place.file, "line": place.line, "column": place.column });
    for (name, value) in rest {
        object[*name] = value.clone();
    }
    object
}

fn convert(arguments: &Arguments) -> Result<Converted, Fault> {
    let (name, text) = source(&arguments.file)?;
    let style = write::Style { typed: arguments.typed };
    let (text, mut losses) = if arguments.from == From::Ia2 {
        (text, Vec::new())
    } else {
        let mut foreign = import(arguments, &name, &text)?;
        let text = write::text(&mut foreign, style);
        (text, foreign.losses)
    };
    let bytes = match arguments.to {
        To::Ia2 => text.into_bytes(),
        To::Oci => {
            let policy = check(arguments.from == From::Ia2, &name, text)?;
            let (profile, more) = to_oci::profile(&policy)?;
            losses.extend(more);
            profile.into_bytes()
        }
        To::Bpf | To::Pfc => {
            let policy = check(arguments.from == From::Ia2, &name, text)?;
            let place = Place { file: Rc::clone(&name), line: 1, column: 1 };
            compiled(&policy, arguments.to).map_err(|error| Fault::new(&place, error))?
        }
    };
    Ok(Converted { bytes, losses })
}

/// What a file of another program says.
fn import(arguments: &Arguments, name: &Rc<str>, text: &str) -> Result<Foreign, Fault> {
    match arguments.from {
        From::Oci => {
            let capabilities = arguments.capabilities.iter().cloned().collect();
            oci::read(name, text, &oci::Container { capabilities })
        }
        From::Systemd => systemd::read(name, text),
        From::Minijail => minijail::read(name, text, &beside),
        _ => kafel::read(name, text, &beside),
    }
}

/// The policy that a text means. A text of ours may include others; the first error is told.
fn check(own: bool, name: &Rc<str>, text: String) -> Result<Policy, Fault> {
    // A converted text has no file: it is called by what it was made from.
    let shown = if own { name.to_string() } else { format!("{name}, converted") };
    let first = Some((shown.clone(), text));
    let mut texts = Texts { first, others: policy::Files::default() };
    let (policy, findings, sources) = ia2_policy::load(&shown, &mut texts);
    policy.ok_or_else(|| {
        let error = findings.iter().find(|found| found.severity == Severity::Error);
        let at = error.map(|found| found.span).unwrap_or_default();
        let source = sources.get(usize::from(at.file));
        let (line, column) = source.map_or((1, 1), |source| line_column(&source.text, at.start));
        let file = source.map_or(shown.as_str(), |source| source.name.as_str()).into();
        let reason = error.map_or("not a policy".to_owned(), |found| {
            let help = if found.help.is_empty() { "" } else { ": " };
            format!("{}: {}{help}{}", found.code.0, found.message, found.help)
        });
        Fault { place: Place { file, line, column }, reason }
    })
}

/// The text that is converted, and what it includes.
struct Texts {
    first: Option<(String, String)>,
    others: policy::Files,
}

impl Sources for Texts {
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable> {
        match self.first.take() {
            Some((name, text)) => Ok(Text { name, id: u128::MAX, text }),
            None => self.others.read(name, from),
        }
    }
}

/// The filter for programs without the shim, as the kernel takes it, or as text.
fn compiled(policy: &Policy, to: To) -> Result<Vec<u8>, String> {
    let insns = policy::plain::filter(policy).map_err(|errors| {
        let lines = errors.iter().map(|error| ia2_policy::render::line(error, &policy.sources));
        lines.collect::<Vec<_>>().join("; ")
    })?;
    Ok(match to {
        To::Bpf => policy::plain::bytes(&insns),
        _ => listing(&insns, Machine::Kernel(None)).into_bytes(),
    })
}

/// The text of the file, and the name that it is told by.
fn source(path: &Path) -> Result<(Rc<str>, String), Fault> {
    let standard = path == Path::new("-");
    let name: Rc<str> =
        if standard { "standard input".into() } else { path.to_string_lossy().as_ref().into() };
    let place = Place { file: Rc::clone(&name), line: 1, column: 1 };
    let bytes = if standard {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| Fault::new(&place, format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or(&[]));
        let line =
            u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX).saturating_add(1);
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count());
        let column = u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1);
        Fault::new(&Place { file: Rc::clone(&name), line, column }, "not UTF-8")
    })?;
    Ok((name, text))
}

/// A file that another includes: relative to that one.
fn beside(from: &str, path: &str) -> Result<(Rc<str>, String), String> {
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    source(&folder.join(path)).map_err(|fault| format!("{}: {}", fault.place.file, fault.reason))
}

#[cfg(test)]
mod tests;
