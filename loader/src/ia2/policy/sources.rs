//! Where the text of a policy is, and who may have written it.
//!
//! | written | means |
//! |---|---|
//! | `nginx`, `ia2:nginx` | the built-in policy |
//! | `web` | `web.ia2` or `web.table` in `$XDG_CONFIG_HOME/ia2/policies` or `/etc/ia2/policies`, in this order |
//! | `./web.ia2`, `web.ia2` | the file: a name with a `/` or a `.` in it is a path |
//! | `-` | standard input |
//!
//! A name never means a file of the working directory. One that is built in and stands in a folder too is
//! an error: a new version that brings a policy of the same name must not put it in another's place.
//! A policy is as good as whoever may write it, so a file that others than root and the user may write is
//! refused, included files as well.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use ia2_core::{blob, near};
use ia2_policy::source::{self, BUILT_IN, POLICIES, Sources, Text, Unreadable};

/// Files of which nobody reads more: a policy has at most 16 MiB.
const LONGEST: u64 = 32 << 20;

/// What `base` would be as a text. It has none: it says nothing about calls.
const BASE: (&str, &str) =
    ("base", "policy base version 1\nmode blocklist\ndefault allow\nunknown allow\n");

/// Its whole name.
pub(crate) const BASE_NAME: &str = "ia2:base";

/// The folders of policies, the first one first.
pub(crate) fn folders() -> Vec<PathBuf> {
    // As the XDG base directory specification has it: a relative one does not count.
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    own.into_iter().chain([PathBuf::from("/etc")]).map(|path| path.join("ia2/policies")).collect()
}

/// Names and files of the policies in the folders.
pub(crate) fn installed() -> Vec<(String, PathBuf)> {
    let mut all: Vec<(String, PathBuf)> = Vec::new();
    for folder in folders() {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let is_policy = path.extension().is_some_and(|end| end == "ia2" || end == "table");
            let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
            if let Some(name) = name.filter(|name| is_policy && !name.contains('.'))
                && all.iter().all(|(known, _)| *known != name)
            {
                all.push((name, path));
            }
        }
    }
    all
}

/// What [`ia2_policy::load()`] calls the policy that is written as `name`.
///
/// # Errors
/// There is none, or there are two.
pub(crate) fn find(name: &str) -> Result<String, String> {
    let short = name.strip_prefix(BUILT_IN).unwrap_or(name);
    let is_built_in = |name| name == BASE.0 || POLICIES.iter().any(|row| row.0 == name);
    if name.starts_with(BUILT_IN) {
        let known = is_built_in(short);
        return if known { Ok(name.to_owned()) } else { Err(no_policy(name)) };
    }
    if name == "-" || name.contains(['/', '.']) {
        return Ok(name.to_owned());
    }
    let built_in = is_built_in(name);
    let file = installed().into_iter().find(|(known, _)| known == name).map(|row| row.1);
    match (built_in, file) {
        (true, None) => Ok(format!("{BUILT_IN}{name}")),
        (false, Some(path)) => Ok(path.to_string_lossy().into_owned()),
        (true, Some(path)) => Err(format!(
            "`{name}` is built in, and it is {} too: say `{BUILT_IN}{name}`, or the path",
            path.display()
        )),
        (false, None) => Err(no_policy(name)),
    }
}

/// That there is no such policy, and which ones there are.
pub(crate) fn no_policy(name: &str) -> String {
    let installed = installed();
    let built_in = POLICIES.iter().map(|row| row.0);
    let known = || built_in.clone().chain(installed.iter().map(|row| row.0.as_str()));
    let short = name.strip_prefix(BUILT_IN).unwrap_or(name);
    let near = near::nearest(short, known());
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let all: Vec<&str> = core::iter::once(BASE.0).chain(known()).collect();
    format!(
        "no policy `{}`{near} (there are {}; the name of a file has a `.` or a `/` in it)",
        visible(name),
        all.join(", ")
    )
}

/// A name without anything that a terminal would obey.
pub(crate) fn visible(name: &str) -> String {
    let is_odd = |char: char| char.is_control() || ia2_policy::diag::is_hidden(char);
    name.chars().map(|char| if is_odd(char) { '\u{fffd}' } else { char }).collect()
}

/// Policies in files that nobody else can have written, and the built-in ones.
#[derive(Default)]
pub(crate) struct Files {
    /// The first file was no text, but a compiled policy.
    pub(crate) compiled: Option<Vec<u8>>,
    /// There was a first text.
    pub(crate) has_read: bool,
    /// To be put behind the first text.
    pub(crate) appended: Option<String>,
}

impl Files {
    fn take(&mut self, mut text: Text, from: Option<&str>) -> Text {
        if from.is_none() {
            self.has_read = true;
            if let Some(appended) = self.appended.take() {
                text.text.push_str(&appended);
            }
        }
        text
    }

    fn file(&mut self, path: &str, is_first: bool) -> Result<Text, Unreadable> {
        // A pipe would wait for somebody to write to it.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(unreadable)?;
        let data = file.metadata().map_err(unreadable)?;
        if !data.is_file() {
            return Err(Unreadable::new("not a file"));
        }
        // SAFETY: takes nothing and cannot fail.
        let user = unsafe { libc::geteuid() };
        if data.uid() != 0 && data.uid() != user {
            let why = format!("it belongs to user {}, neither to root nor to you", data.uid());
            return Err(Unreadable::new(&why));
        }
        if data.mode() & 0o022 != 0 {
            let who = if data.mode() & 0o002 != 0 { "others" } else { "its group" };
            let why = format!("it is writable by {who} (chmod go-w would help)");
            return Err(Unreadable::new(&why));
        }
        let bytes = read(file)?;
        if is_first && bytes.starts_with(&blob::MAGIC.to_le_bytes()) {
            self.compiled = Some(bytes);
            return Err(Unreadable::new("it is a compiled policy, not a text"));
        }
        let id = u128::from(data.dev()) << 64 | u128::from(data.ino());
        Ok(Text { name: path.to_owned(), id, text: utf8(bytes)? })
    }
}

fn read(file: impl Read) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn utf8(bytes: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Unreadable::new(&format!("it is not UTF-8 (byte {at})"))
    })
}

fn unreadable(error: io::Error) -> Unreadable {
    match error.kind() {
        ErrorKind::NotFound => Unreadable::new("no such file"),
        ErrorKind::PermissionDenied => Unreadable::new("permission denied"),
        _ => Unreadable::new(&error.to_string()),
    }
}

impl Sources for Files {
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable> {
        if let Some(text) = source::built_in(name) {
            return Ok(self.take(text, from));
        }
        if let Some(short) = name.strip_prefix(BUILT_IN) {
            let text =
                || Text { name: name.to_owned(), id: u128::MAX - 1, text: BASE.1.to_owned() };
            let is_base = short == BASE.0 && from.is_none();
            let found = is_base.then(|| self.take(text(), from));
            return found.ok_or_else(|| Unreadable::new("no such policy"));
        }
        let text = if name == "-" && from.is_none() {
            let text = utf8(read(io::stdin().lock())?)?;
            Text { name: "standard input".to_owned(), id: u128::MAX, text }
        } else {
            self.file(&source::join(from, name), from.is_none())?
        };
        Ok(self.take(text, from))
    }
}
