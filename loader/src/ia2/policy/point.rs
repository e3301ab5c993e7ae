//! One call with all that a policy can ask about it, and what it says.

use ia2_core::access::{self, Flags};
use ia2_core::calls::{self, Kind};
use ia2_core::constants::errno;
use ia2_core::paths::matches;
use ia2_core::show::{self, ReadString};
use ia2_core::text::Text;
use ia2_policy::eval::{Atom, Outcome, eval};
use ia2_policy::policy::{Caller, Paths, Policy};

/// The call.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) nr: u32,
    pub(crate) args: [u64; 6],
    /// What path arguments point to.
    pub(crate) paths: [Option<String>; 6],
    /// Where it is made.
    pub(crate) from: Caller,
    /// Whether the file is there.
    pub(crate) there: bool,
    /// Whether a path that is not absolute leads to where a policy asks.
    pub(crate) relative: bool,
    /// Flags that lie behind a pointer.
    pub(crate) behind: u64,
}

impl Point {
    /// What the policy says.
    pub(crate) fn ask<'a>(&self, policy: &'a Policy) -> Outcome<'a> {
        eval(policy, self.nr, &self.args, &mut |atom| match atom {
            Atom::From(caller) => Ok(comes_from(&self.from, caller)),
            Atom::Path { arg, paths } => match self.path(arg) {
                None => Err(errno("EFAULT").unwrap_or(0)),
                Some(path) if !is_resolved(path) => Ok(self.relative),
                Some(path) => Ok(self.leads_there(policy, arg, paths, path.as_bytes())),
            },
        })
    }

    fn path(&self, arg: u8) -> Option<&str> {
        self.paths.get(usize::from(arg)).and_then(Option::as_deref)
    }

    fn leads_there(&self, policy: &Policy, arg: u8, paths: &Paths, path: &[u8]) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|one| matches(one.as_bytes(), path));
        match paths {
            Paths::Patterns(patterns) => any(patterns),
            Paths::Files => {
                let flags = match access::flags(self.nr) {
                    Flags::Argument(at) => self.args.get(usize::from(at)).copied().unwrap_or(0),
                    Flags::Behind(_) => self.behind,
                    Flags::None => 0,
                };
                let wanted = access::wanted(self.nr, arg, flags, self.there);
                let mut files = policy.files.iter();
                files.any(|one| one.access.covers(wanted) && any(&one.paths) && !any(&one.except))
            }
        }
    }

    /// As a unit test has it: `openat(_, "/etc/shadow", O_RDONLY, _)`. Arguments in `free` do not matter.
    pub(crate) fn written(&self, free: [bool; 6]) -> String {
        let known = calls::by_nr(self.nr);
        let name = known.map_or_else(|| format!("#{}", self.nr), |call| call.name.to_owned());
        let count = known.map_or(6, |call| call.args.len());
        let all = self.args.iter().zip(&self.paths).zip(free).zip(0usize..).take(count);
        let words = all.map(|(((value, path), free), at)| {
            if free {
                return "_".to_owned();
            }
            if let Some(path) = path {
                return quoted(path);
            }
            match known.as_ref().and_then(|call| call.args.get(at)) {
                Some(arg) => {
                    let mut text = Text::<256>::new();
                    show::argument(&mut text, arg, *value, &mut NoStrings);
                    String::from_utf8_lossy(text.as_bytes()).into_owned()
                }
                None => format!("{value:#x}"),
            }
        });
        // What is free at the end need not be written; a call without arguments that matter is short.
        format!("{name}({})", words.collect::<Vec<_>>().join(", "))
    }

    /// What else it depends on, in words; empty for what goes without saying.
    pub(crate) fn besides(&self, asked: &Asked) -> String {
        let mut words = Vec::new();
        if asked.from {
            words.push(match &self.from {
                Caller::Wrapper => "from the C library".to_owned(),
                Caller::Vdso => "from the vDSO".to_owned(),
                Caller::Jit => "from memory without a file".to_owned(),
                Caller::Trampoline => "from the gate".to_owned(),
                Caller::Module(name) if name == OTHER => "from another module".to_owned(),
                Caller::Module(name) => format!("from {name}"),
            });
        }
        if asked.there {
            words.push(if self.there { "if it is there" } else { "if it is not there" }.to_owned());
        }
        if asked.relative {
            let held = if self.relative { "is" } else { "is not" };
            words.push(format!("if the path leads to where it {held} among the policy's"));
        }
        if asked.behind {
            let writes = match self.behind & 3 {
                0 if self.behind == 0 => "to read",
                _ if self.behind & 0o100 != 0 => "to create",
                _ => "to write",
            };
            words.push(format!("if its flags are {writes}"));
        }
        words.join(", ")
    }
}

/// What an outcome depends on besides arguments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) from: bool,
    pub(crate) there: bool,
    pub(crate) relative: bool,
    pub(crate) behind: bool,
}

/// A module that no policy names.
pub(crate) const OTHER: &str = "another module";
/// The C library's file.
const LIBC: &str = "libc.so.6";

/// Whether a call from `here` is one from `there`.
fn comes_from(here: &Caller, there: &Caller) -> bool {
    match (there, here) {
        (Caller::Trampoline, _) => true,
        (Caller::Module(name), Caller::Wrapper) => is_module(LIBC, name),
        (Caller::Module(name), Caller::Module(file)) => is_module(file, name),
        (there, here) => there == here,
    }
}

/// Whether `name` means the file: it is called that, or that and a version.
fn is_module(file: &str, name: &str) -> bool {
    file.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether nothing is left to find out: the path is absolute, without `.` and `..`.
pub(crate) fn is_resolved(path: &str) -> bool {
    path.starts_with('/') && !path.split('/').any(|part| matches!(part, "." | ".."))
}

/// Whether argument `at` of call `nr` is a path.
pub(crate) fn is_path(nr: u32, at: usize) -> bool {
    calls::args(nr).nth(at).is_some_and(|arg| arg.kind == Kind::Path)
}

/// As a text of the language.
fn quoted(text: &str) -> String {
    let mut all = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => all.extend(['\\', char]),
            '\n' => all.push_str("\\n"),
            '\t' => all.push_str("\\t"),
            _ => all.push(char),
        }
    }
    all + "\""
}

/// There is no memory behind the arguments.
struct NoStrings;

impl ReadString for NoStrings {
    fn read_string(&mut self, _: u64, _: &mut [u8]) -> Option<usize> {
        None
    }
}
