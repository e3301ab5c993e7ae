//! What is changed in a program's text, byte by byte: exactly what the plan overwrites, and never
//! data that looks like a call. File and memory of everything that python3 and node have mapped are
//! compared.

use core::ops::Range;
use core::time::Duration;
use ia2_plan::image::Image;
use ia2_plan::plan::{ObjectPlan, plan};
use ia2_tests::artifacts::workspace;
use ia2_tests::run::{End, run};
use ia2_tests::way::{STRICT, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn script(name: &str) -> PathBuf {
    workspace().join("tests/apps").join(name)
}

/// One file as the plan sees it, in file offsets.
struct Object {
    /// Ranges that may be overwritten.
    allowed: Vec<Range<u64>>,
    /// Pairs `0f 05` that are no site: they must stay.
    data: Vec<u64>,
    /// Patched sites.
    patched: usize,
}

/// The offset in the file of a link-time address, by the program headers.
fn offset_of(bytes: &[u8], addr: u64) -> u64 {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let table = word(32) as usize;
    for number in 0..usize::from(half(56)) {
        let at = table + 56 * number;
        let (kind, offset, vaddr, size) =
            (word(at) as u32, word(at + 8), word(at + 16), word(at + 32));
        if kind == 1 && (vaddr..vaddr + size).contains(&addr) {
            return addr - vaddr + offset;
        }
    }
    panic!("address {addr:#x} lies in no segment");
}

/// The executable parts of a file, as file offsets.
fn executable(bytes: &[u8]) -> Vec<Range<usize>> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let table = word(32) as usize;
    let mut parts = Vec::new();
    for number in 0..usize::from(half(56)) {
        let at = table + 56 * number;
        let flags = (word(at) >> 32) as u32;
        if word(at) as u32 == 1 && flags & 1 != 0 {
            let offset = word(at + 8) as usize;
            parts.push(offset..offset + word(at + 32) as usize);
        }
    }
    parts
}

impl Object {
    fn read(path: &Path) -> Self {
        let mut bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut object = Self { allowed: Vec::new(), data: Vec::new(), patched: 0 };
        let mut sites = BTreeSet::new();
        // In memory there are no section headers: what is decided there is decided without them.
        // A plan that knows them is right as well.
        for stripped in [false, true] {
            if stripped {
                bytes[40..48].fill(0); // e_shoff
                bytes[58..64].fill(0); // e_shentsize, e_shnum, e_shstrndx
            }
            let image = Image::from_file(&bytes)
                .unwrap_or_else(|e| panic!("{}: {}", path.display(), e.reason));
            let made: ObjectPlan = plan(&image);
            for site in &made.sites {
                let at = offset_of(&bytes, site.addr);
                sites.insert(at);
                // A site that the plan leaves alone may be rewritten at its first trap: the one
                // instruction of five to seven bytes before it.
                object.allowed.push(at.saturating_sub(7)..at);
                let Ok(patch) = &site.outcome else { continue };
                let start = offset_of(&bytes, patch.start);
                object.allowed.push(start..start + patch.old.len() as u64);
                if let Some(island) = &patch.island {
                    let start = offset_of(&bytes, island.addr);
                    object.allowed.push(start..start + island.old.len() as u64);
                }
            }
            object.patched = made.sites.iter().filter(|site| site.outcome.is_ok()).count();
        }
        for part in executable(&bytes) {
            let start = part.start;
            let pairs =
                bytes[part].windows(2).enumerate().filter(|(_, pair)| *pair == [0x0f, 0x05]);
            let at = pairs.map(|(at, _)| (start + at) as u64);
            // (An immediate inside an instruction that moves as a whole is no data.)
            let data = at.filter(|at| {
                !sites.contains(at) && !object.allowed.iter().any(|range| range.contains(at))
            });
            object.data.extend(data);
        }
        object
    }
}

/// What `python_text.py` printed: the files compared, and what differs.
struct Comparison {
    files: BTreeSet<PathBuf>,
    changed: BTreeMap<PathBuf, Vec<Range<u64>>>,
}

impl Comparison {
    fn parse(text: &str) -> Self {
        let mut found = Self { files: BTreeSet::new(), changed: BTreeMap::new() };
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("mapped ") {
                found.files.insert(path.into());
                continue;
            }
            let mut words = line.rsplitn(3, ' ');
            let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
            let (length, offset) = (number().expect("a length"), number().expect("an offset"));
            let path = PathBuf::from(words.next().expect("a path"));
            found.changed.entry(path).or_default().push(offset..offset + length);
        }
        found
    }

    /// Checks every file that was mapped; gives how many pieces of data were found untouched.
    fn judge(&self) -> usize {
        assert!(!self.files.is_empty(), "nothing was compared");
        let mut untouched = 0;
        for path in &self.files {
            let object = Object::read(path);
            let changed = self.changed.get(path).map_or(&[][..], Vec::as_slice);
            for range in changed {
                let inside =
                    |allowed: &Range<u64>| allowed.start <= range.start && range.end <= allowed.end;
                // Patches may touch each other: then each byte lies in one.
                let covered = object.allowed.iter().any(inside)
                    || range.clone().all(|at| object.allowed.iter().any(|a| a.contains(&at)));
                assert!(covered, "{}: {range:#x?} changed, and no patch is there", path.display());
            }
            for at in &object.data {
                let touched = changed.iter().any(|r| r.start < at + 2 && *at < r.end);
                assert!(!touched, "{}: the data at {at:#x} was changed", path.display());
                untouched += 1;
            }
            // Each patch changes at least its first byte or (form D) its second.
            assert!(
                changed.len() >= object.patched / 2,
                "{}: {} ranges changed, {} sites should be patched",
                path.display(),
                changed.len(),
                object.patched
            );
        }
        let libc =
            self.files.iter().find(|path| path.ends_with("libc.so.6")).expect("libc is mapped");
        assert!(self.changed.get(libc).map_or(0, Vec::len) > 400, "libc was not rewritten");
        untouched
    }
}

#[test]
fn python3_changes_only_what_the_plan_overwrites() {
    let session = Session::new(STRICT);
    let mut command = session.command("/usr/bin/python3");
    // Extension modules, so that more is mapped than libc.
    let modules = "import _ctypes, _decimal, _hashlib, _json, _sqlite3, _ssl, sys, threading\n\
                   threading.Thread(target=print, args=('mapped /bin/true',)).start()\n\
                   sys.argv = ['x']\n";
    let text = std::fs::read_to_string(script("python_text.py")).expect("the script");
    command.args(["-I", "-B", "-c", &(modules.to_owned() + &text)]);
    let run = run(&mut command, Duration::from_secs(60)).expect("python3 runs");
    assert_eq!(run.end, End::Exit(0), "{}", run.error_text());
    let found = Comparison::parse(&run.text());
    assert!(found.files.len() > 8, "{:?}", found.files);
    assert!(found.judge() > 0, "there was no data that looks like a call");
}

#[test]
fn node_changes_only_what_the_plan_overwrites() {
    let session = Session::new(STRICT);
    let mut node = session
        .command("node")
        .arg(script("node_text.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node can be started");
    let mut line = String::new();
    BufReader::new(node.stdout.as_mut().expect("a pipe"))
        .read_line(&mut line)
        .expect("node says something");
    let mut reader = session.native("/usr/bin/python3");
    reader.args(["-I", "-B"]).arg(script("python_text.py")).arg(node.id().to_string());
    let read = run(&mut reader, Duration::from_secs(120));
    // Whatever came of it, node is told to end: by the end of its input.
    drop(node.stdin.take());
    let ended = node.wait().expect("node ends");
    assert!(line.starts_with("ready"), "{line}");
    assert!(ended.success(), "{ended}");
    let read = read.expect("python3 runs");
    assert_eq!(read.end, End::Exit(0), "{}", read.error_text());
    let found = Comparison::parse(&read.text());
    assert!(found.files.iter().any(|path| path.ends_with("node")), "{:?}", found.files);
    assert!(found.judge() > 0, "there was no data that looks like a call");
}

/// The plan's sites against another decoder: what is to be patched in a libc and its loader is an
/// instruction for objdump too, and every call that objdump finds is a site.
#[test]
fn the_sites_of_libc_are_those_that_objdump_finds() {
    for path in [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-musl-x86_64.so.1",
    ] {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let image = Image::from_file(&bytes).unwrap_or_else(|e| panic!("{path}: {}", e.reason));
        let planned: BTreeSet<u64> = plan(&image).sites.iter().map(|site| site.addr).collect();
        let mut command = Command::new("objdump");
        let run = run(command.args(["-d", "--no-show-raw-insn", path]), Duration::from_secs(120));
        let text = run.expect("objdump runs").success().unwrap_or_else(|e| panic!("{path}: {e}"));
        let found: BTreeSet<u64> = text
            .lines()
            .filter(|line| line.trim_end().ends_with("syscall"))
            .filter_map(|line| u64::from_str_radix(line.trim_start().split(':').next()?, 16).ok())
            .collect();
        assert!(found.len() > 40, "{path}: objdump finds only {}", found.len());
        let differ: Vec<_> = planned.symmetric_difference(&found).collect();
        assert!(differ.is_empty(), "{path}: {differ:x?}");
    }
}
