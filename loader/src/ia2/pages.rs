//! `ia2 man`: manual pages. Those of the commands are made of the same words as `--help`, ia2-policy(5) of
//! `docs/policy.md`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;

use crate::roff;

/// Where programs come from, as pages have it.
const SOURCE: &str = concat!("ia2 ", env!("CARGO_PKG_VERSION"));
const MANUAL: &str = "ia2shim";
/// The reference of the policy language.
const POLICY: &str = include_str!("../../../docs/policy.md");

/// Options of `ia2 man`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write all pages there, into man1 and man5; without it, ia2.1 to standard output.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Exit status 2 if a page cannot be written.
pub(crate) fn run(
    arguments: &Arguments,
    mut command: Command,
    out: &mut impl Write,
) -> io::Result<ExitCode> {
    command.build();
    let Some(folder) = &arguments.folder else {
        out.write_all(&page(&command, "ia2")?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let parts = command.get_subcommands().filter(|part| !part.is_hide_set());
    let parts = parts.filter(|part| part.get_name() != "help");
    let mut pages = vec![("ia2".to_owned(), page(&command, "ia2")?)];
    for part in parts {
        let name = format!("ia2-{}", part.get_name());
        pages.push((name.clone(), page(part, &name)?));
    }
    let names: Vec<String> = pages.iter().map(|(name, _)| name.clone()).collect();
    let mut files: Vec<(String, Vec<u8>)> =
        pages.into_iter().map(|(name, page)| (format!("man1/{name}.1"), page)).collect();
    files.push(("man5/ia2-policy.5".to_owned(), policy(&names)?));
    for (name, text) in files {
        let path = folder.join(name);
        if let Err(error) = write(&path, &text) {
            eprintln!("ia2: {}: {error}", path.display());
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// One page. clap_mangen leaves out what stands before the help, the examples.
fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let examples = command.get_before_long_help().map(ToString::to_string);
    let man = Man::new(command.clone()).title(name).source(SOURCE).manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if let Some(examples) = examples {
        section(&mut page, "EXAMPLES", &examples)?;
    }
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_long_help() {
        section(&mut page, "NOTES", &notes.to_string())?;
    }
    let is_first = name == "ia2";
    let others = if is_first { &[("ia2-policy", 5)][..] } else { &[("ia2", 1), ("ia2-policy", 5)] };
    see_also(&mut page, others)?;
    Ok(page)
}

/// The language's page; `commands` are the names of the others.
fn policy(commands: &[String]) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    writeln!(page, ".TH ia2\\-policy 5 \"\" \"{SOURCE}\" \"{MANUAL}\"")?;
    writeln!(page, ".SH NAME\nia2\\-policy \\- what system calls a program may make")?;
    writeln!(page, ".SH DESCRIPTION")?;
    let text = roff::page(POLICY).map_err(io::Error::other)?;
    page.extend_from_slice(text.as_bytes());
    let commands = commands.iter().map(|name| (name.as_str(), 1));
    let others: Vec<(&str, u8)> = commands.chain([("seccomp", 2), ("syscalls", 2)]).collect();
    see_also(&mut page, &others)?;
    Ok(page)
}

fn see_also(page: &mut Vec<u8>, others: &[(&str, u8)]) -> io::Result<()> {
    writeln!(page, ".SH SEE ALSO")?;
    for (at, (name, number)) in others.iter().enumerate() {
        let comma = if at + 1 < others.len() { "," } else { "" };
        writeln!(page, ".BR {} ({number}){comma}", name.replace('-', "\\-"))?;
    }
    Ok(())
}

/// Text whose lines stay what they are. Nothing in it is taken for a request.
fn section(page: &mut Vec<u8>, name: &str, text: &str) -> io::Result<()> {
    writeln!(page, ".SH {name}\n.nf")?;
    for line in text.lines().skip_while(|line| line.ends_with("xamples:")) {
        let line = line.strip_prefix("  ").unwrap_or(line);
        writeln!(page, "\\&{}", line.replace('\\', "\\e").replace('-', "\\-"))?;
    }
    writeln!(page, ".fi")
}
