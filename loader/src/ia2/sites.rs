//! `ia2 sites`: what the planner would do to files, without doing it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ia2_plan::image::{Image, Symbol};
use ia2_plan::plan::{ObjectPlan, Patch, Site, plan};
use ia2_plan::report::Summary;
use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter};
use serde_json::{Map, Value, json};

use crate::file::{self, BadInput};

/// The arguments of `ia2 sites`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// ELF programs or libraries.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print every site, not only those left alone.
    #[arg(long)]
    list: bool,
}

/// Plans each file and prints the results. A file that cannot be planned is named on standard
/// error, with offset and reason, and makes the exit status 2.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let mut failed = false;
    let mut objects = Vec::new();
    for path in &arguments.files {
        if let Err(bad) = show(path, arguments, &mut objects, out)? {
            bad.tell(path);
            objects.push(json!({
                "path": path.to_string_lossy(),
                "error": { "offset": bad.offset, "reason": bad.reason },
            }));
            failed = true;
        }
    }
    if arguments.json {
        writeln!(out, "{}", json!({ "schema": "ia2.sites/1", "files": objects }))?;
    }
    Ok(crate::bad_input(failed))
}

/// Plans one file, and prints the result or adds it to `objects`. The outer error is of the output.
fn show(
    path: &Path,
    arguments: &Arguments,
    objects: &mut Vec<Value>,
    out: &mut impl Write,
) -> io::Result<Result<(), BadInput>> {
    let bytes = match file::map(path) {
        Ok(bytes) => bytes,
        Err(bad) => return Ok(Err(bad)),
    };
    let image = match Image::from_file(&bytes) {
        Ok(image) => image,
        Err(error) => return Ok(Err(error.into())),
    };
    let plan = plan(&image);
    let report = Report { path, image: &image, plan: &plan, list: arguments.list };
    if arguments.json {
        objects.push(report.json());
    } else {
        report.text(out)?;
    }
    Ok(Ok(()))
}

/// A planned file, to be printed.
struct Report<'a> {
    path: &'a Path,
    image: &'a Image<'a>,
    plan: &'a ObjectPlan,
    list: bool,
}

impl Report<'_> {
    /// The sites that are printed one by one.
    fn shown(&self) -> impl Iterator<Item = &Site> {
        self.plan.sites.iter().filter(|site| self.list || site.outcome.is_err())
    }

    fn text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}: {}", self.path.display(), Summary::of(self.plan))?;
        let names = Names::new(self.image, self.shown().next().is_some());
        for site in self.shown() {
            write!(out, "  {:#x} {}", site.addr, names.of(site.addr).unwrap_or_default())?;
            match &site.outcome {
                Ok(patch) => {
                    write!(out, ": {}", patch.form.letter())?;
                    if let Some(nr) = site.nr {
                        write!(out, ", number {nr}")?;
                    }
                    if let Some(island) = patch.island {
                        write!(out, ", island at {:#x}", island.addr)?;
                    }
                    writeln!(out, ", overwrites {}", disassemble(patch))?;
                }
                Err(refusal) => writeln!(out, ": left alone, {}", refusal.name())?,
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let summary = Summary::of(self.plan);
        let forms: Map<String, Value> =
            summary.forms.iter().map(|(form, n)| (form.letter().to_owned(), json!(n))).collect();
        let refusals = summary.refusals.iter();
        let refusals: Map<String, Value> =
            refusals.map(|(refusal, n)| (refusal.name().to_owned(), json!(n))).collect();
        let names = Names::new(self.image, self.shown().next().is_some());
        let site = |site: &Site| {
            let mut object = json!({
                "addr": format!("{:#x}", site.addr),
                "symbol": names.of(site.addr),
                "number": site.nr,
            });
            match &site.outcome {
                Ok(patch) => {
                    object["form"] = json!(patch.form.letter());
                    object["overwrites"] = json!(disassemble(patch));
                }
                Err(refusal) => object["reason"] = json!(refusal.name()),
            }
            object
        };
        let unpatched = self.plan.sites.iter().filter(|site| site.outcome.is_err());
        let mut object = json!({
            "path": self.path.to_string_lossy(),
            "candidates": self.plan.candidates,
            "hidden": summary.hidden,
            "found": summary.found,
            "patched": summary.patched(),
            "forms": forms,
            "refusals": refusals,
            "unpatched": unpatched.map(site).collect::<Vec<_>>(),
        });
        if self.list {
            object["sites"] = self.plan.sites.iter().map(site).collect();
        }
        object
    }
}

/// The instructions a patch overwrites, as an assembler would have them.
fn disassemble(patch: &Patch) -> String {
    let mut formatter = GasFormatter::new();
    let mut text = String::new();
    let options = DecoderOptions::NONE;
    for instruction in &mut Decoder::with_ip(64, &patch.old, patch.start, options) {
        if !text.is_empty() {
            text.push_str("; ");
        }
        formatter.format(&instruction, &mut text);
    }
    text
}

/// Symbols by address.
struct Names<'a> {
    image: &'a Image<'a>,
    symbols: Vec<Symbol>,
}

impl<'a> Names<'a> {
    /// Sorts the symbols, if any will be asked for.
    fn new(image: &'a Image<'a>, wanted: bool) -> Self {
        let mut symbols: Vec<Symbol> = if wanted { image.symbols().collect() } else { Vec::new() };
        symbols.sort_by_key(|symbol| (symbol.addr, symbol.function));
        Self { image, symbols }
    }

    /// The nearest symbol at or before `addr`, and how far it is.
    fn of(&self, addr: u64) -> Option<String> {
        let next = self.symbols.partition_point(|symbol| symbol.addr <= addr);
        let symbol = self.symbols.get(next.checked_sub(1)?)?;
        Some(format!("{}+{:#x}", self.image.name(symbol)?, addr - symbol.addr))
    }
}
