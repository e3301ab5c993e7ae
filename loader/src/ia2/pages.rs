//! `ia2 man`: manual pages, made of the same words as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;

/// Options of `ia2 man`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write ia2.1 and a page for each command there; without it, ia2.1 to standard output.
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
    for (name, text) in pages {
        let path = folder.join(format!("{name}.1"));
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
    let source = concat!("ia2 ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name).source(source).manual("ia2shim");
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
    Ok(page)
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
