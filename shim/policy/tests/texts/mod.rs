//! Texts at random: nearly policies, and policies.

use ia2_core::calls::{self, Call, Kind, Width};
use ia2_policy::source::POLICIES;
use std::fs;
use std::path::Path;

/// Everything the language is made of, and a few things it is not.
pub(crate) const PARTS: &[&str] = &[
    "policy",
    "version",
    "baseline",
    "linux",
    "6.3",
    "default",
    "unknown",
    "mode",
    "blocklist",
    "include \"a\"",
    "use seed4",
    "use table",
    "const",
    "X",
    "Y",
    "set",
    "@x",
    "@file-system",
    "files",
    "ro",
    "\"/usr\"",
    "\"a\"",
    "except",
    "override",
    "net",
    "layer",
    "read",
    "openat",
    "mmap",
    "clone3",
    "sys_read",
    "?nosuch",
    "#5",
    "#9999",
    "allow",
    "deny",
    "errno",
    "EPERM",
    "kill_process",
    "trap",
    "trace",
    "emulate",
    "notify",
    "log",
    "then",
    "else",
    "fd",
    "path",
    "prot",
    "addr",
    "len",
    "flags",
    "arg2",
    "nr",
    "PROT_EXEC",
    "O_RDONLY",
    "NULL",
    "has",
    "subset",
    "in",
    "from",
    "wrapper",
    "overlaps",
    "overlaps(addr, len, protected)",
    "protected",
    "frozen",
    "0",
    "1",
    "7",
    "0x100000000",
    "-",
    "~",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "&&",
    "||",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    ";",
    "..",
    "=",
    "?",
    "->",
    "#?",
    "#",
    "\"",
    "\\\"",
    "\n",
    "\n",
    "\n",
    " : ",
    "$",
    "é",
    "\u{202e}",
    "\0",
    "\u{1b}[2J",
    "{ {",
    "} }",
    "in {",
    "#? read(0, _) -> allow\n",
    "default kill_process\n",
    "exit_group : 1\n",
    "policy t version 1\n",
];

/// A generator that gives the same numbers every time.
pub(crate) struct Random(u64);

impl Random {
    /// One for each seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.below(1);
        }
        random
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// One time in `times`.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The built-in policies and those of `tests/bad`.
pub(crate) fn written() -> Vec<String> {
    let mut texts: Vec<String> = POLICIES.iter().map(|(_, text)| (*text).to_owned()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut files: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().collect();
    files.sort_by_key(fs::DirEntry::path);
    let bad = files
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|end| end == "ia2"));
    texts.extend(bad.map(|path| fs::read_to_string(path).expect("a text")));
    texts
}

/// At most 400 characters from anywhere in a text.
pub(crate) fn cut(text: &str, random: &mut Random) -> String {
    let chars: Vec<char> = text.chars().collect();
    let start = random.below(chars.len().saturating_sub(400));
    chars.into_iter().skip(start).take(400).collect()
}

/// Parts exchanged, left out and doubled.
pub(crate) fn mutate(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(4) {
        let at = random.below(chars.len());
        let to = (at + random.below(12)).min(chars.len());
        match random.below(4) {
            0 => drop(chars.splice(at..to, [])),
            1 => drop(chars.splice(at..at, random.of(PARTS).chars())),
            2 => {
                let same: Vec<char> = chars[at..to].to_vec();
                chars.splice(at..at, same);
            }
            _ => drop(chars.splice(at..to, random.of(PARTS).chars())),
        }
    }
    chars.into_iter().collect()
}

/// A whole policy, most of the time without an error.
pub(crate) fn policy(random: &mut Random) -> String {
    let mut text = "policy random version 1\n".to_owned();
    text += random.of(&["", "", "baseline linux 5.4\n", "baseline linux 6.12\n"]);
    let default = match random.rarely(3) {
        true => "mode blocklist\ndefault allow".to_owned(),
        false => format!("default {}", refusal(random)),
    };
    text += &format!("{default}\nunknown {}\n", refusal(random));
    text += "files rw \"/\" except \"/proc/*/mem\"\nfiles ro \"/usr\", \"/a?/**\"\n";
    text += "const BIG = 0x7fff0001\nset @mine = { read, write, @clock }\n";
    let is_used = random.rarely(4);
    if is_used {
        text += random.of(&["use seed4\n", "use capejail\n", "use ia2\n"]);
    } else if random.rarely(3) {
        let set = random.of(&["mine", "file-system", "io-event", "network-io", "process"]);
        text += &format!("@{set} : {}\n", action(random));
    }
    let all: Vec<Call> = calls::all().collect();
    let mut named: Vec<u32> = Vec::new();
    for _ in 0..=random.below(12) {
        let call = random.of(&all);
        if named.contains(&call.nr) && !random.rarely(20) {
            continue;
        }
        named.push(call.nr);
        let lead = if is_used { "override " } else { "" };
        let name = call.name;
        if call.args.is_empty() || random.rarely(6) {
            text += &format!("{lead}{name} : {}\n", action(random));
            continue;
        }
        let when = condition(random, &call, 4);
        text += &match random.below(4) {
            0 => format!("{lead}{name} : {when}\n"),
            1 => format!("{lead}{name} : {when} then {}\n", action(random)),
            2 => format!("{lead}{name} : {when} else {}\n", action(random)),
            _ => {
                let (then, otherwise) = (action(random), action(random));
                format!("{lead}{name} : {when} then {then} else {otherwise}\n")
            }
        };
    }
    text
}

fn action(random: &mut Random) -> String {
    let text = if random.rarely(3) { "allow".to_owned() } else { refusal(random) };
    let log = if random.rarely(8) { " log" } else { "" };
    let reason = if random.rarely(8) { " \"why\"" } else { "" };
    text + log + reason
}

fn refusal(random: &mut Random) -> String {
    match random.below(8) {
        0 => "kill_process".to_owned(),
        1 => "kill_thread".to_owned(),
        2 => "trap".to_owned(),
        3 => format!("trace {}", random.below(1 << 16)),
        _ => format!("errno {}", random.of(&["EPERM", "ENOSYS", "EACCES", "EINTR"])),
    }
}

fn condition(random: &mut Random, call: &Call, depth: usize) -> String {
    if depth > 0 && random.rarely(2) {
        let mut part = || condition(random, call, depth - 1);
        let (one, other) = (part(), part());
        return match random.below(5) {
            0 => format!("!({one})"),
            1 | 2 => format!("({one} && {other})"),
            _ => format!("({one} || {other})"),
        };
    }
    let index = random.below(call.args.len());
    let arg = call.args[index];
    let is_whole = random.rarely(4);
    let name = if is_whole { format!("arg{index}") } else { arg.name.to_owned() };
    match arg.kind {
        Kind::Path if random.rarely(2) => {
            let patterns = random.of(&["files", "\"/usr/**\"", "{ \"/a\", \"/b/*\" }"]);
            return format!("{} in {patterns}", arg.name);
        }
        Kind::Path | Kind::Str | Kind::Sockaddr { .. } | Kind::Ptr { .. } | Kind::Address
            if !is_whole =>
        {
            return format!("{name} {} NULL", random.of(&["==", "!="]));
        }
        _ => {}
    }
    // Bits that a number may have.
    let bits = match (arg.width, arg.signed) {
        _ if is_whole => 64,
        (Width::W32, true) => 31,
        (Width::W32, false) => 32,
        (Width::W64, true) => 63,
        (Width::W64, false) => 64,
    };
    let mut number = || number(random, bits);
    let (one, other) = (number(), number());
    match random.below(10) {
        0 => format!("{name} in {{ {} }}", list(random)),
        1 => format!("{name} has {one}"),
        2 => format!("{name} subset {one}"),
        3 => {
            let op = random.of(&["&", "|", "^"]);
            format!("({name} {op} {one}) == {other}")
        }
        4 => format!("(~{name} & {one}) != {other}"),
        5 => format!("from {}", random.of(&["wrapper", "vdso", "jit", "trampoline", "libc.so"])),
        6 => format!("nr == {}", call.nr),
        _ => {
            let op = random.of(&["==", "!=", "<", "<=", ">", ">="]);
            format!("{name} {op} {one}")
        }
    }
}

fn list(random: &mut Random) -> String {
    let mut at = random.below(4);
    let mut text = at.to_string();
    for _ in 0..random.below(9) {
        let most = 1 << random.below(20);
        let first = at + 2 + random.below(most);
        at = first + random.below(3);
        text += &if at == first { format!(", {at}") } else { format!(", {first}..{at}") };
    }
    text
}

fn number(random: &mut Random, bits: usize) -> String {
    let bit = 1u64 << random.below(bits);
    match random.below(8) {
        0 => "BIG".to_owned(),
        1 => format!("{bit:#x}"),
        2 => format!("{:#x}", bit - 1),
        3 => format!("{:#x}", bit | 1 << random.below(bits)),
        4 if !bits.is_multiple_of(32) => format!("-{}", random.below(5)),
        5 => format!("1 << {}", random.below(bits.min(31))),
        _ => random.below(9).to_string(),
    }
}
