//! `ia2 cache`: plans files ahead, so that programs under the shim start sooner.
//!
//! As ldconfig(8) does for the dynamic linker: it is run once, and again when libraries have changed.
//! A plan is used only while its file is the one that was planned, so one that is out of date costs
//! time and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ia2_plan::cache::{Cache, Entry, Key, Layout};
use ia2_plan::image::Image;
use ia2_plan::plan::plan;

use crate::file::{self, BadInput};

/// Name of the file beside the library.
pub(crate) const NAME: &str = "ia2-plans";

/// The arguments of `ia2 cache`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write to FILE, instead of to where the library and the loader look for it: beside them.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Programs and libraries to plan beside those that the dynamic linker knows (`ldconfig -p`).
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Plans the files and writes the result. A named file that cannot be planned is told on standard
/// error, and makes the exit status 2.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let mut failed = false;
    let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
    for path in &arguments.files {
        match entry(path) {
            Ok(entry) => entries.extend(entry.filter(|(key, _)| seen.insert(*key))),
            Err(bad) => {
                bad.tell(path);
                failed = true;
            }
        }
    }
    for path in libraries() {
        // What the dynamic linker's list names may be gone, or be for another machine.
        let planned = entry(&path).ok().flatten();
        entries.extend(planned.filter(|(key, _)| seen.insert(*key)));
    }
    let entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
    let output = arguments.output.clone().map_or_else(|| crate::beside(NAME), Ok)?;
    if let Err(error) = replace(&output, &Cache::default().with(&entries)) {
        eprintln!("ia2: {}: {error}", output.display());
        return Ok(ExitCode::from(2));
    }
    writeln!(out, "{}: plans of {} files", output.display(), entries.len())?;
    Ok(crate::bad_input(failed))
}

/// The plan of a file; `None` if there is nothing to plan, or it changed meanwhile, or cannot be told
/// from others.
fn entry(path: &Path) -> Result<Option<(Key, Entry)>, BadInput> {
    let key = key(path)?;
    let bytes = file::map(path)?;
    let image = Image::from_file(&bytes)?;
    let plan = plan(&image);
    let wanted = plan.candidates != 0 && !image.relocates_text && self::key(path)? == key;
    let entry = |key| (key, Entry::new(key, &Layout::of(&image), &plan));
    Ok(key.filter(|_| wanted).map(entry))
}

fn key(path: &Path) -> Result<Option<Key>, BadInput> {
    let data = file::metadata(path)?;
    let time = |seconds: i64, nanoseconds: i64| {
        seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds).cast_unsigned()
    };
    let modified = time(data.mtime(), data.mtime_nsec());
    let changed = time(data.ctime(), data.ctime_nsec());
    Ok(Key::new(data.dev(), data.ino(), data.size(), modified, changed))
}

/// The libraries that the dynamic linker knows, itself among them, and ours: children of a program that
/// was preloaded with it load it again.
fn libraries() -> Vec<PathBuf> {
    let list = ["ldconfig", "/sbin/ldconfig"]
        .iter()
        .find_map(|program| Command::new(program).arg("-p").output().ok());
    let list = list.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let list = list.unwrap_or_default();
    let known =
        list.lines().filter_map(|line| line.rsplit_once("=> ")).map(|(_, path)| path.into());
    known.chain(crate::beside("libia2shim.so")).collect()
}

/// Writes a new file over `path`, all at once.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(name);
    let written = File::create_new(&new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&new, path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}
