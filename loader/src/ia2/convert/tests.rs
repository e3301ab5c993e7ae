//! Samples in `tests/data/convert`, and what is known of them: the text that they become (snapshots),
//! verdicts written by hand (`NAME.tsv`), and the filters that other programs make of them (`NAME.bpf`,
//! see `oracle.py` there).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ia2_core::calls;

use super::foreign::{Action, Bits, Condition, Foreign, Term, Test};
use super::settle::{each_test, settle};
use super::write::{self, Style};
use super::{kafel, minijail, oci, systemd};

/// A verdict of seccomp, in the kernel's order: the action, and its number.
type Verdict = (i32, u16);

const ALLOW: i32 = 0x7fff_0000;
const LOG: i32 = 0x7ffc_0000;
const TRACE: i32 = 0x7ff0_0000;
const ERRNO: i32 = 0x0005_0000;
const TRAP: i32 = 0x0003_0000;
const KILL_PROCESS: i32 = i32::MIN;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/convert")
}

/// The samples of a format, sorted.
fn samples(format: &str) -> Vec<PathBuf> {
    let extension = match format {
        "oci" => "json",
        "systemd" => "service",
        "minijail" => "policy",
        other => other,
    };
    let files = fs::read_dir(folder().join(format)).expect("the samples are there");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|known| known == extension));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn read_with(format: &str, path: &Path, capabilities: &[&str]) -> Result<Foreign, super::Fault> {
    let text = fs::read_to_string(path).expect("UTF-8");
    let name: Rc<str> = path.to_str().expect("UTF-8").into();
    read_text(format, &name, &text, capabilities)
}

fn read_text(
    format: &str,
    name: &Rc<str>,
    text: &str,
    capabilities: &[&str],
) -> Result<Foreign, super::Fault> {
    let capabilities = capabilities.iter().map(|&cap| cap.to_owned()).collect();
    match format {
        "oci" => oci::read(name, text, &oci::Container { capabilities }),
        "systemd" => systemd::read(name, text),
        "minijail" => minijail::read(name, text, &super::beside),
        _ => kafel::read(name, text, &super::beside),
    }
}

fn read(format: &str, path: &Path) -> Foreign {
    read_with(format, path, &[]).unwrap_or_else(|fault| panic!("{}: {}", fault.place, fault.reason))
}

const FORMATS: [&str; 4] = ["oci", "systemd", "minijail", "kafel"];

// ---- what a foreign policy says, straight from its chains

fn value(term: &Term, args: &[u64; 6]) -> u64 {
    match term {
        Term::Number(number) => *number,
        Term::Argument(index) => args[usize::from(*index)],
        Term::And(a, b) => value(a, args) & value(b, args),
        Term::Or(a, b) => value(a, args) | value(b, args),
    }
}

fn holds(condition: &Condition, args: &[u64; 6]) -> bool {
    match condition {
        Condition::True => true,
        Condition::False => false,
        Condition::Test(Test { left, relation, right, bits }) => {
            let mask = if *bits == Bits::Low32 { 0xffff_ffff } else { u64::MAX };
            relation.holds(value(left, args) & mask, value(right, args) & mask)
        }
        Condition::Not(inner) => !holds(inner, args),
        Condition::All(parts) => parts.iter().all(|part| holds(part, args)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, args)),
    }
}

const fn verdict(action: Action) -> Verdict {
    match action {
        Action::KillProcess => (KILL_PROCESS, 0),
        Action::KillThread => (0, 0),
        Action::Trap(number) => (TRAP, number),
        Action::Errno(number) => (ERRNO, number),
        Action::Trace(number) => (TRACE, number),
        Action::Log => (LOG, 0),
        Action::Allow => (ALLOW, 0),
    }
}

fn by_chain(foreign: &Foreign, nr: u32, args: &[u64; 6]) -> Action {
    match foreign.calls.get(&nr) {
        Some(chain) => {
            let step = chain.iter().find(|step| holds(&step.when, args));
            step.map_or(foreign.default, |step| step.action)
        }
        None if calls::by_nr(nr).is_none() => foreign.unknown,
        None => foreign.default,
    }
}

// ---- where verdicts change

/// The numbers beside which a chain may change its mind.
fn interesting(foreign: &Foreign, nr: u32) -> Vec<Vec<u64>> {
    let mut values: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); 6];
    for step in foreign.calls.get(&nr).into_iter().flatten() {
        each_test(&step.when, &mut |test| {
            let mut constants = BTreeSet::from([0, u64::MAX, 1 << 31, 1 << 32, 0xffff_ffff]);
            numbers(&test.left, &mut constants);
            numbers(&test.right, &mut constants);
            let mut near = BTreeSet::new();
            for number in constants {
                near.extend([number, number.wrapping_add(1), number.wrapping_sub(1), !number]);
                near.extend([number | 1 << 32, number | 1 << 63, number ^ 1 << 31]);
                near.insert((number as u32).cast_signed() as u64);
                near.extend((0..64).map(|bit| number & 1 << bit));
            }
            for term in [&test.left, &test.right] {
                term.arguments(&mut |index| values[usize::from(index)].extend(&near));
            }
        });
    }
    values
        .into_iter()
        .map(|set| if set.is_empty() { vec![0x55] } else { set.into_iter().collect() })
        .collect()
}

fn numbers(term: &Term, all: &mut BTreeSet<u64>) {
    match term {
        Term::Number(number) => {
            all.insert(*number);
        }
        Term::Argument(_) => {}
        Term::And(a, b) | Term::Or(a, b) => {
            numbers(a, all);
            numbers(b, all);
        }
    }
}

/// Calls `see` with arguments at all boundaries; with some of them, if there are very many.
fn at_boundaries(foreign: &Foreign, nr: u32, mut see: impl FnMut(&[u64; 6])) {
    const MOST: usize = 2000;
    let values = interesting(foreign, nr);
    let all: usize = values.iter().map(Vec::len).product();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for point in 0..all.min(MOST) {
        let mut rest = point;
        let args = core::array::from_fn(|index| {
            let own = &values[index];
            let at = if all <= MOST {
                let at = rest % own.len();
                rest /= own.len();
                at
            } else {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as usize % own.len()
            };
            own[at]
        });
        see(&args);
    }
}

/// Numbers to be tried: all of the table, those between, and some above.
fn numbers_tried() -> impl Iterator<Item = u32> {
    (0..600).chain([5000, 0x3fff_ffff])
}

#[test]
fn rules_say_what_the_chains_say() {
    for format in FORMATS {
        for path in samples(format) {
            let foreign = read(format, &path);
            for (nr, chain) in &foreign.calls {
                let settled = settle(chain, foreign.default);
                at_boundaries(&foreign, *nr, |args| {
                    let body = &settled.body;
                    let held = holds(&body.when, args);
                    let mut expected = by_chain(&foreign, *nr, args);
                    for (from, to) in &settled.changed {
                        if expected == *from {
                            expected = *to;
                        }
                    }
                    let found = if held { body.then } else { body.otherwise };
                    assert_eq!(found, expected, "{}: {nr} {args:x?}", path.display());
                });
            }
        }
    }
}

// ---- filters of others

/// One instruction: code, jt, jf, k.
type Instruction = (u16, u8, u8, u32);

fn filters(path: &Path) -> Vec<Vec<Instruction>> {
    let text = fs::read_to_string(path).expect("the filters were made");
    let mut filters: Vec<Vec<Instruction>> = Vec::new();
    for line in text.lines() {
        if line == "filter" {
            filters.push(Vec::new());
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let hex = |word| u32::from_str_radix(word, 16).expect("a number");
        let code = u16::try_from(hex(words[0])).expect("16 bits");
        let jump = |word: &str| word.parse().expect("a jump");
        filters.last_mut().expect("begun").push((
            code,
            jump(words[1]),
            jump(words[2]),
            hex(words[3]),
        ));
    }
    filters
}

/// What one filter returns: all that libseccomp writes is loads, masks and jumps.
fn run(filter: &[Instruction], nr: u32, args: &[u64; 6]) -> u32 {
    let load = |offset: u32| match offset {
        0 => nr,
        4 => 0xc000_003e,
        8 | 12 => 0,
        offset => {
            let arg = args[usize::try_from((offset - 16) / 8).expect("small")];
            if offset % 8 == 0 { arg as u32 } else { (arg >> 32) as u32 }
        }
    };
    let (mut at, mut a) = (0, 0_u32);
    loop {
        let (code, jt, jf, k) = filter[at];
        at += 1;
        let taken = match code {
            0x20 => {
                a = load(k);
                continue;
            }
            0x54 => {
                a &= k;
                continue;
            }
            0x05 => {
                at += usize::try_from(k).expect("small");
                continue;
            }
            0x06 => return k,
            0x15 => a == k,
            0x25 => a > k,
            0x35 => a >= k,
            0x45 => a & k != 0,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if taken { jt } else { jf });
    }
}

/// What the kernel makes of several filters: the latest is asked first, and only a stricter one changes
/// the answer.
fn run_all(filters: &[Vec<Instruction>], nr: u32, args: &[u64; 6]) -> Verdict {
    let mut all = (ALLOW, 0);
    for filter in filters.iter().rev() {
        let result = run(filter, nr, args);
        let action = (result & 0xffff_0000).cast_signed();
        if action < all.0 {
            all = (action, result as u16);
        }
    }
    all
}

/// libseccomp 2.5.4 knows the calls of Linux 5.17.
fn known_to_libseccomp(nr: u32) -> bool {
    calls::by_nr(nr).is_some_and(|call| call.since <= calls::Version::new(5, 17))
}

/// Compares with the filters of others.
fn compare(format: &str, path: &Path, foreign: &Foreign, is_known: impl Fn(u32) -> bool) {
    let filters = filters(&path.with_extension("bpf"));
    let mut wrong = Vec::new();
    for nr in numbers_tried().filter(|nr| is_known(*nr)) {
        at_boundaries(foreign, nr, |args| {
            let (found, expected) =
                (verdict(by_chain(foreign, nr, args)), run_all(&filters, nr, args));
            if found != expected {
                wrong.push(format!(
                    "{} {args:x?}: {found:x?} for {expected:x?}",
                    write::name_of(nr)
                ));
            }
        });
    }
    let count = wrong.len();
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{format} {}: {count} wrong:\n{}", path.display(), wrong.join("\n"));
}

#[test]
fn a_capability_decides_which_entries_count() {
    let path = folder().join("oci/containers.json");
    let capabilities = ["CAP_SYS_ADMIN", "CAP_AUDIT_WRITE", "CAP_SYS_CHROOT"];
    let foreign = read_with("oci", &path, &capabilities).expect("a profile");
    compare("oci", &path.with_file_name("containers-capable.json"), &foreign, |_| true);
}

#[test]
fn oci_profiles_say_what_libseccomp_makes_of_them() {
    for path in samples("oci") {
        // Names that libseccomp 2.5.4 does not know are in none of the samples.
        compare("oci", &path, &read("oci", &path), |_| true);
    }
}

#[test]
fn units_say_what_systemd_makes_of_them() {
    for path in samples("systemd") {
        compare("systemd", &path, &read("systemd", &path), known_to_libseccomp);
    }
}

// ---- verdicts written by hand

/// A line `call(arguments) TAB action`.
fn row(line: &str) -> (u32, [u64; 6], &str) {
    let (call, action) = line.split_once('\t').expect("a tab");
    let (name, rest) = call.split_once('(').expect("arguments");
    let nr = match name.strip_prefix('#') {
        Some(number) => number.parse().expect("a number"),
        None => super::foreign::call_named(name).unwrap_or_else(|| panic!("no call {name}")).nr,
    };
    let mut args = [0; 6];
    let rest = rest.strip_suffix(')').expect("a parenthesis");
    for (index, text) in rest.split(", ").filter(|text| !text.is_empty()).enumerate() {
        args[index] = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
            (Some(digits), _) => u64::from_str_radix(digits, 16),
            (_, Some(digits)) => u64::from_str_radix(digits, 8),
            _ => text.parse(),
        }
        .expect("a number");
    }
    (nr, args, action)
}

/// The lines of all tables, with the sample that each is for.
fn tables() -> Vec<(&'static str, PathBuf, String)> {
    let mut all = Vec::new();
    for format in FORMATS {
        for path in samples(format) {
            let Ok(text) = fs::read_to_string(path.with_extension("tsv")) else { continue };
            all.push((format, path, text));
        }
    }
    assert!(all.len() >= 10);
    all
}

#[test]
fn verdicts_are_those_written_by_hand() {
    for (format, path, text) in tables() {
        let foreign = read(format, &path);
        for line in text.lines() {
            let (nr, args, expected) = row(line);
            let found = write::action(by_chain(&foreign, nr, &args));
            assert_eq!(found, expected, "{}: {line}", path.display());
        }
    }
}

// ---- texts

#[test]
fn texts_are_as_they_were() {
    for format in FORMATS {
        for path in samples(format) {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
            let text = write::text(&mut read(format, &path), Style::default());
            insta::with_settings!({
                snapshot_path => "../../../tests/snapshots",
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, { insta::assert_snapshot!(format!("convert__{format}_{name}"), text) });
        }
    }
}

// ---- what our own front end makes of the texts

/// The policy, and everything that was said about it.
fn load(text: &str) -> (Option<ia2_policy::policy::Policy>, Vec<String>) {
    let mut sources = ia2_policy::source::Memory::new().with("converted.ia2", text);
    let (policy, findings, texts) = ia2_policy::load("converted.ia2", &mut sources);
    let findings = findings.iter().map(|found| ia2_policy::render::line(found, &texts));
    (policy, findings.collect())
}

fn by_policy(policy: &ia2_policy::policy::Policy, nr: u32, args: &[u64; 6]) -> Verdict {
    use ia2_core::verdict::ActionKind as Kind;
    let outcome = ia2_policy::eval::by_numbers(policy, nr, args).expect("numbers decide");
    match (outcome.action, outcome.log) {
        (Kind::KillProcess, _) => (KILL_PROCESS, 0),
        (Kind::KillThread, _) => (0, 0),
        (Kind::Trap(number), _) => (TRAP, number),
        (Kind::Errno(number), _) => (ERRNO, number),
        (Kind::Trace(number), _) => (TRACE, number),
        (Kind::Emulate, _) => panic!("no importer writes that"),
        (Kind::Allow, true) => (LOG, 0),
        (Kind::Allow, false) => (ALLOW, 0),
    }
}

/// The action with what had to be given up for a rule's two outcomes.
fn after_settling(foreign: &Foreign, nr: u32, mut action: Action) -> Action {
    if let Some(chain) = foreign.calls.get(&nr) {
        for (from, to) in settle(chain, foreign.default).changed {
            if action == from {
                action = to;
            }
        }
    }
    action
}

#[test]
fn texts_mean_what_the_sources_say() {
    for format in FORMATS {
        for path in samples(format) {
            let mut foreign = read(format, &path);
            let text = write::text(&mut foreign, Style::default());
            let (policy, findings) = load(&text);
            let policy = policy.unwrap_or_else(|| panic!("{}: {findings:#?}", path.display()));
            for nr in numbers_tried() {
                at_boundaries(&foreign, nr, |args| {
                    let expected = after_settling(&foreign, nr, by_chain(&foreign, nr, args));
                    let found = by_policy(&policy, nr, args);
                    assert_eq!(
                        found,
                        verdict(expected),
                        "{}: {} {args:x?}",
                        path.display(),
                        write::name_of(nr)
                    );
                });
            }
        }
    }
}

/// For arguments as a compiler passes them, typed texts say the same; a negative number is one in 64 bits
/// only in the sources.
#[test]
fn typed_texts_mean_the_same_for_ordinary_arguments() {
    for format in FORMATS {
        for path in samples(format) {
            let mut foreign = read(format, &path);
            let (policy, findings) = load(&write::text(&mut foreign, Style { typed: true }));
            let policy = policy.unwrap_or_else(|| panic!("{}: {findings:#?}", path.display()));
            for (nr, chain) in &foreign.calls {
                let mut negative = false;
                for step in chain {
                    each_test(&step.when, &mut |test| {
                        let mut all = BTreeSet::new();
                        numbers(&test.right, &mut all);
                        negative |= all.iter().any(|number| *number >= 0xffff_ffff_8000_0000);
                    });
                }
                let Some(call) = calls::by_nr(*nr).filter(|_| !negative) else { continue };
                at_boundaries(&foreign, *nr, |args| {
                    let mut ordinary = *args;
                    for (value, arg) in ordinary.iter_mut().zip(&call.args) {
                        if arg.width == calls::Width::W32 {
                            *value &= 0xffff_ffff;
                        }
                    }
                    let expected = by_chain(&foreign, *nr, &ordinary);
                    let expected = after_settling(&foreign, *nr, expected);
                    let found = by_policy(&policy, *nr, &ordinary);
                    assert_eq!(
                        found,
                        verdict(expected),
                        "{}: {} {ordinary:x?}",
                        path.display(),
                        call.name
                    );
                });
            }
        }
    }
}

// ---- the way back

/// Numbers that a profile can say something about.
fn named(nr: u32) -> bool {
    calls::by_nr(nr).is_some()
}

#[test]
fn exported_profiles_say_the_same() {
    for format in FORMATS {
        for path in samples(format) {
            let mut foreign = read(format, &path);
            let (policy, _) = load(&write::text(&mut foreign, Style::default()));
            let policy = policy.expect("loaded elsewhere");
            let (profile, _) = super::to_oci::profile(&policy)
                .unwrap_or_else(|fault| panic!("{}: {}", fault.place, fault.reason));
            let again = read_text("oci", &"again".into(), &profile, &[])
                .unwrap_or_else(|fault| panic!("{}: {}", fault.place, fault.reason));
            for nr in numbers_tried().filter(|nr| named(*nr)) {
                at_boundaries(&foreign, nr, |args| {
                    let mut expected = by_policy(&policy, nr, args);
                    if expected.0 == TRAP {
                        expected.1 = 0;
                    }
                    let found = verdict(by_chain(&again, nr, args));
                    let name = write::name_of(nr);
                    assert_eq!(found, expected, "{}: {name} {args:x?}", path.display());
                });
            }
        }
    }
}

/// What libseccomp makes of an exported profile is what the policy says.
#[test]
fn libseccomp_reads_an_exported_profile_as_it_is_meant() {
    let path = folder().join("export/rich.ia2");
    let text = fs::read_to_string(&path).expect("the sample is there");
    let (policy, findings) = load(&text);
    let policy = policy.unwrap_or_else(|| panic!("{findings:#?}"));
    let (profile, losses) = super::to_oci::profile(&policy)
        .unwrap_or_else(|fault| panic!("{}: {}", fault.place, fault.reason));
    assert!(losses.is_empty(), "{losses:?}");
    let known = path.with_extension("json");
    if std::env::var_os("INSTA_UPDATE").is_some() {
        fs::write(&known, &profile).expect("written");
    }
    // `oracle.py export/rich.json` after a change.
    assert_eq!(fs::read_to_string(&known).expect("the profile"), profile);
    let filters = filters(&path.with_extension("bpf"));
    let again = read_text("oci", &"again".into(), &profile, &[]).expect("a profile");
    for nr in numbers_tried().filter(|nr| known_to_libseccomp(*nr)) {
        at_boundaries(&again, nr, |args| {
            let (found, expected) = (run_all(&filters, nr, args), by_policy(&policy, nr, args));
            assert_eq!(found, expected, "{} {args:x?}", write::name_of(nr));
        });
    }
}

#[test]
fn what_a_profile_cannot_say_is_an_error_with_its_place() {
    let cases = [
        ("files ro \"/\"\nopenat : path in files", "asks for a path"),
        ("read : from wrapper", "where the call comes from"),
        ("mmap : !overlaps(addr, len, protected)", "adds an address and a length"),
        ("dup3 : oldfd != newfd", "compared with each other"),
        ("rt_sigaction : emulate", "emulate"),
        ("kill : pid != 5 && sig != 9 && pid != 7", "more cases"),
    ];
    for (rules, expected) in cases {
        let (policy, findings) = load(&format!(
            "policy p version 1\ndefault errno EPERM\nunknown errno ENOSYS\n\n{rules}\n"
        ));
        let policy = policy.unwrap_or_else(|| panic!("{findings:#?}"));
        let fault = super::to_oci::profile(&policy).expect_err(rules);
        assert!(fault.reason.contains(expected), "{}", fault.reason);
        assert!(fault.place.line >= 5 && &*fault.place.file == "converted.ia2", "{}", fault.place);
    }
}

// ---- bad input

#[test]
fn bad_input_is_told_with_its_place() {
    let cases = [
        ("oci", "", "1:1", "expected a value"),
        ("oci", "[]", "1:1", "expected an object"),
        ("oci", "{}", "1:1", "no `defaultAction`"),
        ("oci", "{\n \"defaultAction\": 3 }", "2:19", "expected a string"),
        ("oci", "{\"defaultAction\": \"SCMP_ACT_MAYBE\"}", "1:19", "unknown action SCMP_ACT_MAYBE"),
        (
            "oci",
            "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": -1}",
            "1:56",
            "from 0",
        ),
        (
            "oci",
            "{\"defaultAction\": \"SCMP_ACT_LOG\",\n\"syscalls\": [{}]}",
            "2:14",
            "without `names`",
        ),
        (
            "oci",
            "{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\
             \"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}]}",
            "1:106",
            "six arguments",
        ),
        ("oci", "{\"linux\": {}}", "1:11", "no `seccomp`"),
        ("oci", "{\"a\": tru", "1:7", "expected a value, found tru"),
        ("oci", "{\"a\": \"b\n\"}", "1:7", "a string without an end"),
        ("systemd", "User=root", "1:1", "before the first section"),
        ("systemd", "[Service]\nSystemCallFilter", "2:1", "Name=value"),
        ("systemd", "[Service", "1:1", "without a ']'"),
        ("systemd", "[Service]\n  LockPersonality=perhaps", "2:3", "yes or no"),
        ("systemd", "[Service]\nSystemCallErrorNumber=EWHAT", "2:1", "unknown error EWHAT"),
        ("systemd", "[Service]\nRestrictNamespaces=disk", "2:1", "kind of namespace disk"),
        ("minijail", "read", "1:5", "expected ':'"),
        ("minijail", "read: maybe", "1:7", "unknown action maybe"),
        ("minijail", "read: arg0 = 1", "1:12", "expected a comparison"),
        ("minijail", "read: arg6 == 1", "1:7", "unknown action arg6"),
        ("minijail", "\nopen: arg1 == O_RDONYL", "2:15", "is O_RDONLY meant?"),
        ("minijail", "read: 1\nread: 1", "2:1", "already decided"),
        ("minijail", "@include /no/such/file", "1:1", "/no/such/file"),
        ("minijail", "open: arg1 == 0x10000000000000000", "1:15", "not a number of 64 bits"),
        ("minijail", "read: \"x\"", "1:7", "unexpected"),
        ("kafel", "", "1:1", "no policy is in force"),
        ("kafel", "USE a", "1:5", "no policy a"),
        ("kafel", "POLICY a { ALLOW { raed } }", "1:20", "is read meant?"),
        ("kafel", "ALLOW { read { fd === 0 } }", "1:21", "unexpected '='"),
        ("kafel", "ALLOW {\n  read { df == 0 } }", "2:10", "this call has fd, buf, count"),
        ("kafel", "ERRNO(70000) { read }", "1:7", "the most is 65535"),
        ("kafel", "DEFAULT ALLOW DEFAULT KILL", "1:15", "a second DEFAULT"),
        ("kafel", "/* \n", "1:1", "a comment without an end"),
        ("kafel", "#include \"no/such\"\n", "1:10", "no/such"),
        ("kafel", "#define A 1\n#define A 2\nDEFAULT ALLOW", "2:9", "another value"),
    ];
    let mut wrong = Vec::new();
    for (format, text, place, words) in cases {
        let fault = read_text(format, &"f".into(), text, &[]).expect_err(text);
        let found = format!("{}:{}", fault.place.line, fault.place.column);
        if (found.as_str(), &*fault.place.file) != (place, "f") || !fault.reason.contains(words) {
            wrong.push(format!("{text:?}: {}: {}", fault.place, fault.reason));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Damaged samples are either read or complained of; nothing panics, and places lie in the text.
#[test]
fn damaged_input_is_read_or_complained_of() {
    let mut state = 7_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for format in FORMATS {
        for path in samples(format) {
            let text = fs::read_to_string(&path).expect("UTF-8");
            let name: Rc<str> = path.to_str().expect("UTF-8").into();
            let chars: Vec<char> = text.chars().collect();
            for round in 0..80 {
                let mut damaged = chars.clone();
                let at = random(damaged.len());
                match round % 4 {
                    0 => damaged.truncate(at),
                    1 => drop(damaged.remove(at)),
                    2 => damaged[at] = ['(', '}', '"', '~', '0', '\n', 'é', '\0'][random(8)],
                    _ => {
                        let to = (at + random(40)).min(damaged.len());
                        damaged.drain(at..to);
                    }
                }
                let damaged: String = damaged.into_iter().collect();
                match read_text(format, &name, &damaged, &[]) {
                    Ok(mut foreign) => {
                        let text = write::text(&mut foreign, Style { typed: round % 3 == 0 });
                        let (policy, findings) = load(&text);
                        assert!(policy.is_some(), "{findings:#?}\n{text}");
                    }
                    Err(fault) => {
                        let lines = damaged.split('\n').count();
                        let line = usize::try_from(fault.place.line).expect("small");
                        let inside = *fault.place.file == *name && (1..=lines).contains(&line);
                        assert!(inside || *fault.place.file != *name, "{}: {damaged}", fault.place);
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_too_deep_or_too_much_is_refused() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + "1" + &close.repeat(100_000);
    let refused = |format: &str, text: &str| {
        read_text(format, &"f".into(), text, &[]).expect_err("refused").reason
    };
    assert!(refused("oci", &deep("[", "]")).contains("deep"));
    assert!(
        refused("kafel", &format!("ALLOW {{ read {{ {} == 1 }} }}", deep("(", ")")))
            .contains("deep")
    );
    assert!(
        refused("kafel", &format!("ALLOW {{ read {{ {} }} }}", "!".repeat(100_000)))
            .contains("deep")
    );
    assert!(refused("minijail", &format!("read: arg0 == {}", deep("(", ")"))).contains("deep"));
    let many = "read: arg0 == 1\n".repeat(100_000);
    assert!(refused("minijail", &many).contains("more than"));
    let entry = "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}";
    let entries = vec![entry; 5000].join(",");
    let profile = format!("{{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{entries}]}}");
    assert!(refused("oci", &profile).contains("more than"));
}
