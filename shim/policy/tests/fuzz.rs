//! Whatever is written, `load` comes back: with a policy or with an error, and with places that exist.

use ia2_policy::source::{Memory, POLICIES};
use ia2_policy::{load, render};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};
use std::path::Path;
use std::{env, fs};

/// Loads a text and checks what must hold of every answer.
fn load_anything(text: &str) {
    let texts = Memory::new()
        .with("t", text)
        .with("a", "read : fd == 0 default errno ENOSYS include \"t\"");
    let (policy, found, sources) = load("t", &mut texts.clone());
    let errors = found.iter().any(|found| found.code.0.starts_with('E'));
    assert_eq!(policy.is_none(), errors, "{found:?}");
    for found in &found {
        for span in [found.span].into_iter().chain(found.related.iter().map(|(span, _)| *span)) {
            let text = &sources[usize::from(span.file)].text;
            assert!(text.get(span.start as usize..span.end as usize).is_some(), "{found:?}");
        }
        let line = render::line(found, &sources);
        assert!(!line.contains(['\n', '\0', '\u{1b}']), "{line:?}");
    }
    let Some(policy) = policy else { return };
    assert!(policy.calls.is_sorted_by(|one, next| one.0 < next.0));
    assert!(policy.calls.iter().all(|(_, rule)| usize::from(*rule) < policy.rules.len()));
}

/// How many texts to try; more with, say, `IA2_FUZZ=100000`.
fn iterations() -> u32 {
    let asked = env::var("IA2_FUZZ").ok().and_then(|asked| asked.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { 500 } else { 10_000 })
}

/// Everything the language is made of, and a few things it is not.
const PARTS: &[&str] = &[
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

fn parts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        9 => (0..PARTS.len()).prop_map(|index| PARTS[index].to_owned()),
        1 => "[a-zA-Z_@#.0-9]{1,6}",
    ];
    let space = prop_oneof![4 => Just(" "), 1 => Just(""), 1 => Just("\n")];
    vec((part, space), 0..60)
        .prop_map(|all| all.into_iter().map(|(part, space)| part + space).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(iterations()))]

    #[test]
    fn any_tokens(text in parts()) {
        load_anything(&text);
        load_anything(&format!("policy t version 1\ndefault kill_process\nread : {text}"));
        load_anything(&format!("policy t version 1\ndefault deny\n{text}\nwrite : fd == 1\n"));
    }

    #[test]
    fn any_characters(text in any::<String>()) {
        load_anything(&text);
        load_anything(&format!("{{ {{ \"read\", \"{text}\" }} }}"));
    }
}

/// A generator that gives the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Policies that are nearly right: real ones, with parts exchanged, left out and doubled.
#[test]
fn mutations() {
    let mut texts: Vec<String> = POLICIES.iter().map(|(_, text)| (*text).to_owned()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut files: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().collect();
    files.sort_by_key(fs::DirEntry::path);
    let bad = files
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|end| end == "ia2"));
    texts.extend(bad.map(|path| fs::read_to_string(path).expect("a text")));
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..iterations() {
        let text = &texts[random.below(texts.len())];
        let mut chars: Vec<char> = text.chars().collect();
        // Long ones are cut, so that there can be many.
        let start = random.below(chars.len().saturating_sub(400));
        chars = chars.split_off(start);
        chars.truncate(400);
        for _ in 0..=random.below(4) {
            let at = random.below(chars.len());
            let to = (at + random.below(12)).min(chars.len());
            match random.below(4) {
                0 => drop(chars.splice(at..to, [])),
                1 => drop(chars.splice(at..at, PARTS[random.below(PARTS.len())].chars())),
                2 => {
                    let same: Vec<char> = chars[at..to].to_vec();
                    chars.splice(at..at, same);
                }
                _ => drop(chars.splice(at..to, PARTS[random.below(PARTS.len())].chars())),
            }
        }
        let mutated: String = chars.into_iter().collect();
        load_anything(&mutated);
        load_anything(&format!("policy t version 1\ndefault kill_process\nexit : 1\n{mutated}"));
    }
}

/// Nothing is worse than a constant times its length, and no depth is too deep.
#[test]
fn large_texts() {
    const MANY: usize = if cfg!(debug_assertions) { 1 << 14 } else { 1 << 20 };
    let head = "policy t version 1\ndefault kill_process\nexit : 1\n";
    let parts = [
        "(",
        ")",
        "{",
        "}",
        "!",
        "~",
        "-",
        "read",
        "read,",
        "read :",
        "read : ",
        "?",
        "@",
        "#",
        "#?",
        "#? ",
        "\"",
        "\\",
        "fd == ",
        "fd |",
        "fd << 1 << ",
        "fd == 0 ||",
        "fd == 0 && ",
        "in {",
        "{ {",
        "f(",
        "1,",
        "\n",
        "\nread,",
        "\nset",
        "\n1",
        "\nread :",
        "\nread : 1",
        "\nread : fd == 0",
        "\n@io-event : 1",
        "\nconst X = 1",
        "\nset @x = { read",
        "\ndefault allow",
        "\ninclude \"t\"",
        "\nfiles ro \"/\"",
        "\n#? read(0) -> allow",
        "\nlayer x {",
        "$",
        "é",
        "\u{202e}",
        "a.",
        "a-",
        "1_",
        "..",
        "\nread : fd = 1\n  , write",
        "\nopen : path in {\"/a\"}",
    ];
    for part in parts {
        let text = head.to_owned() + &part.repeat(MANY / part.len());
        load_anything(&text);
        load_anything(&text[head.len()..]);
        load_anything(&format!("{head}read : {}", &text[head.len()..]));
    }
    let list = "fd == 0 || ".repeat(MANY / 20) + "fd == 1";
    load_anything(&format!("{head}read : {list}"));
    let list = "7, ".repeat(MANY / 3);
    load_anything(&format!("{head}read : fd in {{ {list} }}"));
    let list = "O_CREAT | ".repeat(MANY / 10);
    load_anything(&format!("{head}open : flags has {list} O_CREAT"));
    let list: String =
        (0..MANY / 20).map(|at| format!("const X{at} = {at}\nset @x{at} = {{ read }}\n")).collect();
    load_anything(&format!("{head}{list}"));
    let list: String = (0..MANY / 5).map(|at| format!("{}, ", at * 2)).collect();
    load_anything(&format!("{head}read : fd in {{ {list} }}"));
}
