//! The programs in `tests/attacks`: what their heads claim, running them, and whether the claims hold.
//!
//! The form of a head is documented in `tests/attacks/README.md`.

use crate::artifacts::{ia2, loader, shim, target, workspace};
use crate::c_program::compile;
use crate::kernel::Feature;
use crate::run::{End, output, run};
use core::fmt::Write as _;
use core::time::Duration;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// How long a program may take: the two that race make hundreds of thousands of calls.
const LIMIT: Duration = Duration::from_secs(180);

/// Debian's user without rights.
const NOBODY: u32 = 65534;

/// Who runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Root.
    Root,
    /// Nobody; whoever runs the tests, if that is not root.
    Unprivileged,
}

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Natively: the control.
    Native,
    /// With the library preloaded.
    Preloaded,
    /// By `ia2 run`.
    Run,
}

/// One way to run a program.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its name in the name of a test.
    pub name: &'static str,
    /// How it is started.
    pub entry: Entry,
    /// `IA2_BACKSTOP`.
    pub backstop: &'static str,
    /// Whether sites are rewritten.
    pub patch: bool,
}

const fn way(name: &'static str, entry: Entry, backstop: &'static str, patch: bool) -> Way {
    Way { name, entry, backstop, patch }
}

/// The control, and the ways under the shim.
pub const WAYS: [Way; 6] = [
    way("control", Entry::Native, "", true),
    way("preloaded", Entry::Preloaded, "strict", true),
    way("preloaded-trapped", Entry::Preloaded, "strict", false),
    way("preloaded-inspected", Entry::Preloaded, "inspected", true),
    way("run", Entry::Run, "strict", true),
    way("run-trapped", Entry::Run, "strict", false),
];

/// What is claimed of one attack under the shim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The program's own calls are refused, in one of these ways; calls by the gate's instructions are not.
    OwnCalls(Vec<String>),
    /// All are refused, the program's own in one of these ways.
    AnyCode(Vec<String>),
    /// It succeeds, for this reason.
    Open(String),
    /// The kernel does not know it: natively this error, and nowhere does it succeed.
    Unknown(String),
}

/// One attack, or one legitimate twin, of a program.
#[derive(Clone, Debug)]
pub struct Step {
    /// What the program calls it.
    pub name: String,
    /// `[root]`, `[preloaded]`, `[run]`: for whom and where alone it succeeds natively or is claimed.
    pub only: Option<String>,
    /// What is claimed; of a twin, `None` if it works.
    pub claim: Option<Claim>,
}

impl Step {
    /// Reads `NAME`, `NAME [only]`, `… = A1 ERRNO|ERRNO`, `… = A2 ERRNO`,
    /// `… = open: reason`, or `… = unknown ERRNO`.
    fn parse(line: &str) -> Result<Self, String> {
        let (left, right) = match line.split_once(" = ") {
            Some((left, right)) => (left, Some(right)),
            None => (line, None),
        };
        let (name, only) = match left.strip_suffix(']').and_then(|left| left.split_once(" [")) {
            Some((name, only)) => (name, Some(only.to_owned())),
            None => (left, None),
        };
        if let Some(only) = &only
            && !["root", "preloaded", "run"].contains(&only.as_str())
        {
            return Err(format!("[{only}]"));
        }
        let ways = |text: &str| text.split('|').map(str::to_owned).collect();
        let claim = match right.map(|right| right.split_once(' ').unwrap_or((right, ""))) {
            None => None,
            Some(("A1", how)) if !how.is_empty() => Some(Claim::OwnCalls(ways(how))),
            Some(("A2", how)) if !how.is_empty() => Some(Claim::AnyCode(ways(how))),
            Some(("open:", why)) if !why.is_empty() => Some(Claim::Open(why.to_owned())),
            Some(("unknown", how)) if !how.is_empty() => Some(Claim::Unknown(how.to_owned())),
            Some(_) => return Err(format!("no claim in {line:?}")),
        };
        Ok(Self { name: name.to_owned(), only, claim })
    }

    /// Whether it is for this user and this way.
    fn applies(&self, user: User, way: Way) -> bool {
        match self.only.as_deref() {
            Some("root") => user == User::Root,
            Some("preloaded") => way.entry != Entry::Run,
            Some("run") => way.entry != Entry::Preloaded,
            _ => true,
        }
    }

    /// What is wrong with what the program says of this attack, each manner with its outcome.
    pub fn judge(&self, user: User, way: Way, outcomes: &[(&str, &str)]) -> Result<(), String> {
        let succeeded: Vec<&str> =
            outcomes.iter().filter(|one| one.1 == "succeeded").map(|one| one.0).collect();
        let own = outcomes.first().map_or("nothing", |one| one.1);
        let wanted = if way.entry == Entry::Native { 1 } else { 3 };
        if outcomes.len() != wanted {
            return Err(format!("{} manners, not {wanted}", outcomes.len()));
        }
        if !self.applies(user, way) {
            return match succeeded.is_empty() {
                true => Ok(()),
                false => {
                    Err(format!("it succeeded by {succeeded:?}, but it is marked {:?}", self.only))
                }
            };
        }
        if way.entry == Entry::Native {
            let wanted = match &self.claim {
                Some(Claim::Unknown(errno)) => errno,
                _ => "succeeded",
            };
            return match own == wanted {
                true => Ok(()),
                false => Err(format!("the control gives {own}, not {wanted}")),
            };
        }
        match &self.claim {
            Some(Claim::Open(_)) if own == "succeeded" => Ok(()),
            Some(Claim::Open(_)) => Err(format!("it is said to be open, and gives {own}")),
            Some(Claim::OwnCalls(how) | Claim::AnyCode(how))
                if !how.iter().any(|how| how == own) =>
            {
                Err(format!("its own call gives {own}, not {}", how.join(" or ")))
            }
            Some(Claim::OwnCalls(_)) if succeeded.is_empty() => {
                Err("the gate's instructions are refused as well: it is A2".to_owned())
            }
            Some(Claim::AnyCode(_)) if !succeeded.is_empty() => {
                Err(format!("it succeeds by the gate's {succeeded:?}: it is A1"))
            }
            Some(Claim::Unknown(_)) if !succeeded.is_empty() => {
                Err(format!("it succeeds by {succeeded:?}, and natively it is not known"))
            }
            Some(_) => Ok(()),
            None => Err("no claim".to_owned()),
        }
    }

    /// The same of a twin.
    fn judge_twin(&self, user: User, way: Way, outcome: &str) -> Result<(), String> {
        let is_open = self.claim.is_some() && self.applies(user, way) && way.entry != Entry::Native;
        match (is_open, outcome == "works") {
            (false, true) | (true, false) => Ok(()),
            (false, false) => Err(format!("it does not work: {outcome}")),
            (true, true) => Err("it is said not to work, and does".to_owned()),
        }
    }
}

/// What is claimed of one attack instead, where the kernel lacks something.
#[derive(Clone, Debug)]
pub struct Without {
    /// What it lacks.
    pub feature: &'static Feature,
    /// The attack, and the claim.
    pub step: Step,
}

impl Without {
    /// Reads what is said of kernels without the feature of this name.
    fn parse(feature: &str, line: &str) -> Result<Self, String> {
        let feature = Feature::by_name(feature).ok_or_else(|| format!("no feature {feature}"))?;
        Ok(Self { feature, step: Step::parse(line)? })
    }
}

/// One program and what its head says.
#[derive(Debug)]
pub struct Attack {
    /// The file's name without `.c`.
    pub name: String,
    /// The numbers of its cases.
    pub cases: Vec<u32>,
    /// What the attack is.
    pub title: String,
    /// The layers that stop it.
    pub layers: String,
    /// Policies, each of which is tried.
    pub policies: Vec<String>,
    /// Who tries it.
    pub users: Vec<User>,
    /// Hardware that a defence would need.
    pub needs: Option<String>,
    /// The attacks, in the order in which the program tries them.
    pub attacks: Vec<Step>,
    /// What must still work, likewise.
    pub twins: Vec<Step>,
    /// What is so of some of the attacks where the kernel lacks something.
    pub without: Vec<Without>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    staged: OnceLock<Result<(), String>>,
}

impl Attack {
    /// Reads the head of a C file. An unknown or missing line is an error: a claim that nobody checks is
    /// worse than none.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut found = Self {
            name: name.to_owned(),
            cases: Vec::new(),
            title: String::new(),
            layers: String::new(),
            policies: Vec::new(),
            users: Vec::new(),
            needs: None,
            attacks: Vec::new(),
            twins: Vec::new(),
            without: Vec::new(),
            notes: Vec::new(),
            staged: OnceLock::new(),
        };
        for line in text.lines().filter_map(|line| line.strip_prefix("//# ")) {
            let Some((key, value)) = line.split_once(": ") else {
                return Err(format!("{name}: no value: {line}"));
            };
            let list = || value.split(", ").map(str::to_owned);
            match key {
                "case" => {
                    let numbers = list().map(|case| case.strip_prefix('T')?.parse().ok());
                    found.cases = numbers
                        .collect::<Option<_>>()
                        .ok_or_else(|| format!("{name}: no case: {line}"))?;
                }
                "title" => found.title = value.to_owned(),
                "layers" => found.layers = value.to_owned(),
                "policy" => found.policies = list().collect(),
                "users" => {
                    for user in list() {
                        found.users.push(match user.as_str() {
                            "root" => User::Root,
                            "unprivileged" => User::Unprivileged,
                            _ => return Err(format!("{name}: no user: {user}")),
                        });
                    }
                }
                "needs" => found.needs = Some(value.to_owned()),
                "attack" => {
                    let step = Step::parse(value).map_err(|e| format!("{name}: {e}"))?;
                    if matches!(step.claim, None | Some(Claim::Unknown(_))) {
                        return Err(format!("{name}: nothing is claimed of {value}"));
                    }
                    found.attacks.push(step);
                }
                "twin" => {
                    let step = Step::parse(value).map_err(|e| format!("{name}: {e}"))?;
                    if !matches!(step.claim, None | Some(Claim::Open(_))) {
                        return Err(format!("{name}: a twin works, or is open: {value}"));
                    }
                    found.twins.push(step);
                }
                "note" => found.notes.push(value.to_owned()),
                _ => {
                    let feature = key.strip_prefix("without ");
                    let feature = feature.ok_or_else(|| format!("{name}: unknown line: {line}"))?;
                    let without =
                        Without::parse(feature, value).map_err(|e| format!("{name}: {e}"))?;
                    let is_attack = |step: &Step| step.name == without.step.name;
                    if without.step.claim.is_none() || !found.attacks.iter().any(is_attack) {
                        return Err(format!("{name}: no attack, or no claim: {line}"));
                    }
                    found.without.push(without);
                }
            }
        }
        let is_whole = !found.cases.is_empty()
            && !found.title.is_empty()
            && found
                .layers
                .split(", ")
                .all(|layer| "BUFSLMDKX".contains(layer) && layer.len() == 1)
            && !found.policies.is_empty()
            && !found.users.is_empty()
            && !found.attacks.is_empty()
            && !found.twins.is_empty();
        match is_whole {
            true => Ok(found),
            false => Err(format!("{name}: its head is not whole")),
        }
    }

    /// The lowest level that is claimed of its attacks: `open`, `A1` or `A2`.
    #[must_use]
    pub fn level(&self) -> &'static str {
        let has = |is: fn(&Claim) -> bool| {
            self.attacks.iter().filter_map(|one| one.claim.as_ref()).any(is)
        };
        match () {
            () if has(|claim| matches!(claim, Claim::Open(_))) => "open",
            () if has(|claim| matches!(claim, Claim::OwnCalls(_))) => "A1",
            () => "A2",
        }
    }

    /// The program's file, compiled if it is not there or older than its sources.
    pub fn compiled(&self) -> Result<PathBuf, String> {
        let program = target().join("attacks").join(&self.name);
        compile("gcc", &sources().join(format!("{}.c", self.name)), &program, &[])?;
        Ok(program)
    }

    /// Runs it in one way and compares what it says with what its head claims.
    pub fn test(&self, stage: &Stage, user: User, way: Way, policy: &str) -> Result<(), String> {
        let program = stage.folder().join(&self.name);
        let staged = self.staged.get_or_init(|| {
            // By another process: one that is started meanwhile would hold the copy open for writing.
            output(Command::new("cp").arg(self.compiled()?).arg(&program)).map(|_| ())
        });
        staged.clone()?;
        let run = run(&mut stage.command(&program, user, way, policy), LIMIT)
            .map_err(|e| format!("{}: {e}", program.display()))?;
        let text = run.text();
        let mut wrong = Vec::new();
        let mut lines = text.lines();
        for step in &self.attacks {
            let outcomes = outcomes_of(&step.name, lines.next());
            let mut lacking = self.without.iter().filter(|one| !one.feature.is_there());
            let step = lacking
                .find(|one| one.step.name == step.name)
                .map_or(step, |without| &without.step);
            if let Err(what) = outcomes.and_then(|all| step.judge(user, way, &all)) {
                wrong.push(format!("attack {}: {what}", step.name));
            }
        }
        for step in &self.twins {
            let line = lines.next().unwrap_or("the end of its output");
            let outcome = line.strip_prefix(&format!("twin {}: ", step.name)).unwrap_or(line);
            if let Err(what) = step.judge_twin(user, way, outcome) {
                wrong.push(format!("twin {}: {what}", step.name));
            }
        }
        if (lines.next(), lines.next(), run.end) != (Some("EXIT-SUCCESS"), None, End::Exit(0)) {
            wrong.push(format!("it ended by {}, or says more than its head", run.end));
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => {
                let told = run.error_text();
                Err(format!("{}\nstdout:\n{text}stderr:\n{told}", wrong.join("\n")))
            }
        }
    }
}

/// The manners and outcomes in `attack NAME: call EPERM, fast EPERM, raw succeeded`.
fn outcomes_of<'a>(name: &str, line: Option<&'a str>) -> Result<Vec<(&'a str, &'a str)>, String> {
    let line = line.unwrap_or("the end of its output");
    let rest = line.strip_prefix(&format!("attack {name}: ")).ok_or_else(|| line.to_owned())?;
    rest.split(", ").map(|one| one.split_once(' ').ok_or_else(|| line.to_owned())).collect()
}

/// The folder with the programs.
#[must_use]
pub fn sources() -> PathBuf {
    workspace().join("tests/attacks")
}

/// Every program, by its number.
pub fn all() -> Result<Vec<Attack>, String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sources()).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        found.push(Attack::parse(&name, &text)?);
    }
    found.sort_by(|one, next| one.name.cmp(&next.name));
    Ok(found)
}

/// A folder that everybody can look into, with the artifacts and the programs; made on first use.
#[derive(Debug, Default)]
pub struct Stage(OnceLock<TempDir>);

impl Stage {
    fn folder(&self) -> &Path {
        let folder = self.0.get_or_init(|| {
            let folder = TempDir::with_prefix("ia2-attacks-").expect("a temporary folder");
            let open = Permissions::from_mode(0o755);
            fs::set_permissions(folder.path(), open).expect("it is ours");
            for artifact in [shim(), loader(), ia2()] {
                let name = artifact.file_name().expect("a file has a name");
                fs::copy(&artifact, folder.path().join(name)).expect("a file can be copied");
            }
            folder
        });
        folder.path()
    }

    /// A command that runs `program` in this way.
    #[must_use]
    pub fn command(&self, program: &Path, user: User, way: Way, policy: &str) -> Command {
        let mut command = match way.entry {
            Entry::Native => Command::new(program),
            Entry::Preloaded => {
                let mut command = Command::new(program);
                command.env("LD_PRELOAD", self.folder().join("libia2shim.so"));
                command.env("IA2_POLICY", policy).env("IA2_LOG", "off");
                command.env("IA2_BACKSTOP", way.backstop);
                command.env("IA2_PATCH", if way.patch { "on" } else { "off" });
                command
            }
            Entry::Run => {
                let mut command = Command::new(self.folder().join("ia2"));
                command.args(["run", "--quiet", "-p", policy, "--backstop", way.backstop]);
                command.args(if way.patch { &[][..] } else { &["--no-patch"] });
                command.arg("--").arg(program);
                command
            }
        };
        command.current_dir("/");
        if user == User::Unprivileged && is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: no memory effects.
    #[allow(unsafe_code, reason = "geteuid has no safe form in std")]
    let user = unsafe { libc::geteuid() };
    user == 0
}

/// A case without a program here: where else it is tested, or why it is not.
#[derive(Debug)]
pub struct Elsewhere {
    /// Its number.
    pub case: u32,
    /// What the attack is.
    pub title: String,
    /// `c:NAME`, a program of c-tests, or `NAME::function`, a test.
    pub tests: Vec<String>,
    /// Why it is not tried here, if it is not tested elsewhere.
    pub reason: String,
}

/// Reads `elsewhere.in`, and sees that what it names is there.
pub fn elsewhere() -> Result<Vec<Elsewhere>, String> {
    let path = sources().join("elsewhere.in");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [case, tests, title, reason @ ..] = columns.as_slice() else {
            return Err(format!("too few columns: {line}"));
        };
        let case = case.strip_prefix('T').and_then(|case| case.parse().ok());
        let tests: Vec<String> =
            tests.split_whitespace().filter(|test| *test != "-").map(str::to_owned).collect();
        if tests.is_empty() != (reason.len() == 1) {
            return Err(format!("a test, or a reason: {line}"));
        }
        tests.iter().try_for_each(|test| is_there(test))?;
        found.push(Elsewhere {
            case: case.ok_or_else(|| format!("no case: {line}"))?,
            title: (*title).to_owned(),
            tests,
            reason: reason.first().map_or(String::new(), |reason| (*reason).to_owned()),
        });
    }
    Ok(found)
}

fn is_there(test: &str) -> Result<(), String> {
    let there = match test.strip_prefix("c:") {
        Some(program) => workspace().join("c-tests").join(format!("{program}.c")).is_file(),
        None => {
            let (file, function) = test.split_once("::").unwrap_or((test, ""));
            let path = workspace().join("tests/tests").join(format!("{file}.rs"));
            fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {function}")))
        }
    };
    if there { Ok(()) } else { Err(format!("there is no test {test}")) }
}

/// `docs/threat-model.md`, as the heads have it.
#[must_use]
pub fn page(attacks: &[Attack], elsewhere: &[Elsewhere]) -> String {
    let mut rows = Vec::new();
    for attack in attacks {
        for case in &attack.cases {
            let results = results(attack);
            let Attack { name, title, layers, .. } = attack;
            let level = attack.level();
            rows.push((
                *case,
                format!("{title} | {layers} | {level} | `attacks`: `{name}` | {results}"),
            ));
        }
    }
    for Elsewhere { case, title, tests, reason } in elsewhere {
        let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
        let (tests, result) = match tests.is_empty() {
            true => ("–".to_owned(), format!("not tried: {reason}")),
            false => (tests.join(", "), "tested there".to_owned()),
        };
        rows.push((*case, format!("{title} | – | – | {tests} | {result}")));
    }
    rows.sort();
    let mut text = String::from(INTRODUCTION);
    for (case, rest) in rows {
        let _ = writeln!(text, "| T{case:02} | {rest} |");
    }
    text.push_str(OPEN);
    for attack in attacks {
        for step in attack.attacks.iter().chain(&attack.twins) {
            if let Some(Claim::Open(why)) = &step.claim {
                let kind = if attack.twins.iter().any(|twin| twin.name == step.name) {
                    "twin "
                } else {
                    ""
                };
                let only = step.only.as_ref().map_or(String::new(), |only| format!(" ({only})"));
                let _ = writeln!(text, "| `{}` | {kind}{}{only} | {why} |", attack.name, step.name);
            }
        }
    }
    text.push_str(OLDER);
    for attack in attacks {
        for Without { feature, step } in &attack.without {
            let result = match &step.claim {
                Some(Claim::OwnCalls(how)) => format!("{} (A1)", how.join("/")),
                Some(Claim::AnyCode(how)) => format!("{} (A2)", how.join("/")),
                Some(Claim::Open(why)) => format!("open: {why}"),
                Some(Claim::Unknown(errno)) => format!("no attack: natively {errno}"),
                None => unreachable!("a head that claims nothing is none"),
            };
            let (test, what) = (&attack.name, &step.name);
            let Feature { name, since, .. } = feature;
            let _ = writeln!(text, "| `{name}`, Linux {since} | `{test}` | {what} | {result} |");
        }
    }
    text.push_str(NOTES);
    for attack in attacks {
        for note in &attack.notes {
            let _ = writeln!(text, "- `{}`: {note}.", attack.name);
        }
    }
    text
}

/// How its attacks end, counted: `3 × EPERM (A2), 1 × open`.
fn results(attack: &Attack) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for step in &attack.attacks {
        let result = match &step.claim {
            Some(Claim::OwnCalls(how)) => format!("{} (A1)", how.join("/")),
            Some(Claim::AnyCode(how)) => format!("{} (A2)", how.join("/")),
            Some(Claim::Open(_) | Claim::Unknown(_)) | None => "open".to_owned(),
        };
        match counted.iter_mut().find(|one| one.0 == result) {
            Some(one) => one.1 += 1,
            None => counted.push((result, 1)),
        }
    }
    let parts: Vec<String> =
        counted.into_iter().map(|(result, count)| format!("{count} × {result}")).collect();
    let needs = attack.needs.as_ref().map_or(String::new(), |needs| format!("; needs {needs}"));
    parts.join(", ") + &needs
}

const INTRODUCTION: &str = "# Threat model

What an attacker tries against the shim, and what becomes of it. This page is generated from the heads of the programs in
`tests/attacks` (`IA2_BLESS=1 cargo test -p ia2-tests --test attacks page`), and the test `attacks` runs each of them: natively,
where every attack must succeed, and under the shim, preloaded and by `ia2 run`, rewritten and trapped, as root and as nobody, where
it must end as said here. An attack that is not stopped is run as well, and must succeed until its line is changed.

Each attack is made in three manners: by calls of the program's, and by two of the gate's own SYSCALL instructions with registers
of the attacker's.

| level | the attacker | claimed when |
| --- | --- | --- |
| A1 | is hostile through its inputs, and races, but has no code of its own | the program's own calls are refused |
| A2 | runs native code of any kind | calls by the gate's instructions are refused as well |
| A3 | does so in a compartment behind protection keys | never yet |
| open | | it succeeds |

A case has the lowest level of its attacks. Layers: **B** the kernel's filter, by number and scalar arguments · **U** inspection in the
gate · **F** frozen arguments · **S** a supervising process · **L** Landlock · **M** sealed mappings · **D** a process that cannot be
dumped · **K** protection keys · **X** every exec is the loader's.

| case | attack | layers | level | test | result |
| --- | --- | --- | --- | --- | --- |
";

const OPEN: &str = "
## What is open

An attack here succeeds under the shim; a twin is something legitimate that does not work.

| test | what | why |
| --- | --- | --- |
";

const OLDER: &str = "
## On older kernels

`make check-vm` runs the attacks with Debian 12's Linux 6.1 as well. They end as above, but for these:

| without | test | what | result |
| --- | --- | --- | --- |
";

const NOTES: &str = "
## Notes

";
