//! `ia2 run`: starts a program under the shim, from its first instruction.
//!
//! The program is looked up as execvp(3) does, opened, and, if it is a script, followed to its
//! interpreter. Then this process becomes it: the loader and the settings go into sealed memory
//! files in their slots, and the loader is executed with the program's descriptor
//! ([`ia2_core::handover`]). No process stays behind.
//!
//! Exit status, as env(1): 125 if `ia2` itself cannot, 126 if the program cannot be executed, 127
//! if it is not found, else the program's own.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use ia2_core::handover::{
    CONFIG_FD, Handover, LAYERS, LOADER_FD, MOST_LAYERS, PARTS_AT, WINDOW_AT, next_part,
};
use ia2_core::layout::{GATE, PAGE};
use ia2_core::text::Text;
use ia2_core::{elf, script};

use crate::policy::{self, Rules};
use crate::process;

const REFUSED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Interpreters of interpreters (`bprm_execve`: "5 levels").
const SCRIPTS: usize = 5;

/// Most bytes of program headers, or of a path, that the kernel reads.
const PART_MAX: u64 = 64 << 10;

/// What catches calls that do not come from the gate.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Backstop {
    /// A filter: only the gate issues calls.
    Strict,
    /// A filter: only the gate issues the calls that somebody inspects.
    Inspected,
    /// Syscall User Dispatch: interposition without confinement.
    Sud,
    /// Nothing: rewriting alone.
    None,
}

/// Options of `ia2 run`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Policy: a built-in one (base, ia2, capejail, seed4, nginx) or a file. With several, the strictest
    /// answer counts.
    #[arg(short, long, value_name = "POLICY")]
    policy: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// What catches calls that do not come from the gate.
    #[arg(long, value_enum, default_value = "strict")]
    backstop: Backstop,
    /// Append one line of statistics per process to FILE.
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
    /// Say on stderr what the shim itself refuses, too.
    #[arg(long)]
    log: bool,
    /// Say nothing on stderr of what is refused.
    #[arg(short, long, conflicts_with = "log")]
    quiet: bool,
    /// Append a line of JSON to FILE for each call that the policy refuses.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Rewrite nothing: every call is trapped.
    #[arg(long)]
    no_patch: bool,
    /// The program and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

/// Why the program was not started: exit status and reason.
struct Failure(u8, String);

impl Failure {
    /// `ia2` itself could not do `what`.
    fn own(what: &str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(REFUSED, format!("{what}: {error}"))
    }

    /// `path` cannot be executed.
    fn exec(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let missing = error.kind() == ErrorKind::NotFound;
            let status = if missing { NOT_FOUND } else { NOT_EXECUTABLE };
            Self(status, format!("{}: {error}", path.display()))
        }
    }
}

/// Becomes the program; returns only if that fails.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let Failure(status, reason) = match try_run(arguments) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    eprintln!("ia2: {reason}");
    ExitCode::from(status)
}

fn try_run(arguments: &Arguments) -> Result<core::convert::Infallible, Failure> {
    let mut argv = arguments.command.clone();
    let path = look_up(argv.first().map_or(OsStr::new(""), OsString::as_os_str))?;
    let program = open(&path, &mut argv)?;
    process::keep_open(program.as_raw_fd())
        .map_err(Failure::own("cannot keep the program open"))?;
    let layers = layers(arguments)?;
    let settings = settings(arguments, &layers)?;
    let mut loader = loader()?;
    let gate = gate(&loader).ok_or_else(|| {
        Failure(REFUSED, "ia2-loader is of another version, or damaged".to_owned())
    })?;
    let plans = plans();
    process::with_room(LOADER_FD, || {
        process::put(CONFIG_FD, c"ia2-settings", |file| {
            file.write_all(&settings)?;
            file.write_all_at(&gate, WINDOW_AT)?;
            file.write_all_at(&[0], PARTS_AT - 1)?;
            let mut at = PARTS_AT;
            for layer in &layers {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(layer)?;
                at = next_part(at, layer.len() as u64);
            }
            if let Some(mut plans) = plans {
                file.seek(SeekFrom::Start(at))?;
                // What is cut off is made again.
                let _ = io::copy(&mut plans, file);
            }
            Ok(())
        })?;
        process::put(LOADER_FD, c"ia2-loader", |file| io::copy(&mut loader, file).map(|_| ()))
    })
    .map_err(Failure::own("cannot put the loader in its place"))?;
    let mut list = vec![c_string(path.as_os_str())?, CString::default()];
    for argument in &argv {
        list.push(c_string(argument)?);
    }
    let (mask, held, ignored) = process::hand_over_signals();
    let fd = program.into_raw_fd();
    let mut numbers = Text::<128>::new();
    Handover { fd, mask, held, ignored, ..Handover::default() }.write(&mut numbers);
    if let (Some(slot), Ok(text)) =
        (list.get_mut(1), CString::from_vec_with_nul(numbers.as_bytes().to_vec()))
    {
        *slot = text;
    }
    Err(Failure::exec(&path)(process::exec(LOADER_FD, &list)))
}

/// Finds the program as execvp(3) does.
fn look_up(name: &OsStr) -> Result<PathBuf, Failure> {
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let mut denied = false;
    for folder in std::env::split_paths(&path) {
        let candidate = folder.join(name);
        match candidate.metadata() {
            Ok(data) if data.is_file() && data.permissions().mode() & 0o111 != 0 => {
                return Ok(candidate);
            }
            Ok(_) => denied = true,
            Err(error) => denied |= error.kind() == ErrorKind::PermissionDenied,
        }
    }
    let kind = if denied && !name.is_empty() { libc::EACCES } else { libc::ENOENT };
    Err(Failure::exec(Path::new(name))(io::Error::from_raw_os_error(kind)))
}

/// Opens the program at `path`, or the interpreter it leads to; `argv` becomes what that gets.
fn open(path: &Path, argv: &mut Vec<OsString>) -> Result<File, Failure> {
    let mut at = path.to_owned();
    for _ in 0..=SCRIPTS {
        let fail = || Failure::exec(&at);
        let file = File::open(&at).map_err(fail())?;
        let data = file.metadata().map_err(fail())?;
        if !data.is_file() || data.permissions().mode() & 0o111 == 0 {
            return Err(fail()(io::Error::from_raw_os_error(libc::EACCES)));
        }
        let mut head = [0; script::HEAD];
        let len = file.read_at(&mut head, 0).map_err(fail())?;
        let head = head.get(..len).unwrap_or(&[]);
        let broken = || fail()(io::Error::from_raw_os_error(libc::ENOEXEC));
        match script::read(head) {
            Err(script::NoScript::Other) => {
                let header = elf::Header::read(head).map_err(|_| broken())?;
                // The kernel's error for a dynamic linker that is not there, too.
                if let Some(interpreter) = interpreter(&file, &header) {
                    File::open(&interpreter).map_err(Failure::exec(&interpreter))?;
                }
                return Ok(file);
            }
            Err(script::NoScript::Broken) => return Err(broken()),
            Ok(line) => {
                let part = |range| OsStr::from_bytes(head.get(range).unwrap_or(&[])).to_owned();
                let interpreter = part(line.interpreter);
                let script = core::mem::replace(&mut at, PathBuf::from(&interpreter));
                let mut list = vec![interpreter];
                list.extend(line.argument.map(part));
                list.push(script.into_os_string());
                list.extend(argv.drain(..).skip(1));
                *argv = list;
            }
        }
    }
    Err(Failure::exec(path)(io::Error::from_raw_os_error(libc::ELOOP)))
}

/// The plans made ahead. If there are none, or something else is in their place, they are made again.
fn plans() -> Option<File> {
    let path = crate::beside(crate::cache::NAME).ok()?;
    path.is_file().then(|| File::open(path).ok()).flatten()
}

/// The dynamic linker that a program asks for, as far as that can be read: the loader says what else is
/// wrong.
fn interpreter(file: &File, header: &elf::Header) -> Option<PathBuf> {
    let table = part(file, header.table.clone())?;
    let path = part(file, elf::Table(&table).interpreter()?)?;
    Some(PathBuf::from(OsStr::from_bytes(path.strip_suffix(b"\0")?)))
}

/// The gate, which is a segment of the loader's.
fn gate(loader: &File) -> Option<Vec<u8>> {
    let mut head = [0; elf::HEADER_LEN];
    loader.read_exact_at(&mut head, 0).ok()?;
    let header = elf::Header::read(&head).ok()?;
    let table = part(loader, header.table)?;
    let segment = elf::Table(&table).segments().find(|segment| segment.vaddr == GATE)?;
    let end = segment.offset.checked_add(segment.filesz.min(PAGE))?;
    part(loader, segment.offset..end)
}

/// Bytes of a file, if they are there and few.
fn part(file: &File, range: core::ops::Range<u64>) -> Option<Vec<u8>> {
    let len = range.end.checked_sub(range.start).filter(|len| *len <= PART_MAX)?;
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, range.start).ok()?;
    Some(bytes)
}

/// The settings, as the loader reads them.
fn settings(arguments: &Arguments, layers: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let backstop: &[u8] = match arguments.backstop {
        Backstop::Strict => b"strict",
        Backstop::Inspected => b"inspected",
        Backstop::Sud => b"sud",
        Backstop::None => b"none",
    };
    let mut settings = [b"IA2_BACKSTOP=", backstop, b"\0"].concat();
    if arguments.no_patch {
        settings.extend_from_slice(b"IA2_PATCH=off\0");
    }
    if arguments.log {
        settings.extend_from_slice(b"IA2_LOG=on\0");
    } else if arguments.quiet {
        settings.extend_from_slice(b"IA2_LOG=off\0");
    }
    let files = [
        ("--stats", &b"IA2_STATS="[..], &arguments.stats),
        ("--log-file", b"IA2_LOG_FILE=", &arguments.log_file),
    ];
    for (option, name, path) in files {
        let Some(path) = path else { continue };
        let path = std::path::absolute(path).map_err(Failure::own(option))?;
        // Now, while it can be said: programs start without it as well.
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        opened.map_err(Failure::own(&format!("{option} {}", path.display())))?;
        settings.extend_from_slice(&[name, path.as_os_str().as_bytes(), b"\0"].concat());
    }
    if !layers.is_empty() {
        let lengths: Vec<String> = layers.iter().map(|layer| layer.len().to_string()).collect();
        settings.extend_from_slice(&[LAYERS, b"=", lengths.join(",").as_bytes(), b"\0"].concat());
    }
    if settings.len() as u64 >= WINDOW_AT {
        return Err(Failure(REFUSED, "--stats, --log-file: the paths are too long".to_owned()));
    }
    Ok(settings)
}

/// The compiled policies.
fn layers(arguments: &Arguments) -> Result<Vec<Vec<u8>>, Failure> {
    let Arguments { policy: named, rules, .. } = arguments;
    let default = [policy::BASE_NAME.to_owned()];
    let names = if named.is_empty() { &default[..] } else { named };
    let mut warnings = Vec::new();
    let compiled = names.iter().map(|name| policy::compiled(name, rules, &mut warnings));
    let layers: Result<Vec<_>, _> = compiled.filter_map(Result::transpose).collect();
    for warning in warnings {
        eprintln!("{warning}\n");
    }
    match layers {
        Ok(layers) if layers.len() > MOST_LAYERS => {
            Err(Failure(REFUSED, format!("-p: more than {} policies", MOST_LAYERS)))
        }
        Ok(layers) => Ok(layers),
        Err(_) if named.is_empty() => Err(Failure(REFUSED, "-e: the rules have errors".to_owned())),
        Err(reason) => Err(Failure(REFUSED, format!("-p: {reason}"))),
    }
}

fn loader() -> Result<File, Failure> {
    let lost = Failure::own("cannot find where ia2 lies");
    let path = crate::beside(crate::LOADER).map_err(lost)?;
    let failed = |error| Failure(REFUSED, format!("{}: {error}", path.display()));
    File::open(&path).map_err(failed)
}

fn c_string(text: &OsStr) -> Result<CString, Failure> {
    let refused = |_| Failure(REFUSED, "an argument with a NUL byte".to_owned());
    CString::new(text.as_bytes()).map_err(refused)
}
