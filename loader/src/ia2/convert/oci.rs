//! Seccomp profiles of the Open Container Initiative: the `linux.seccomp` object of a bundle's
//! `config.json`, and the profiles of Docker, Podman and Kubernetes, which are the same with
//! conditions (`includes`, `excludes`) that the engine decides before the runtime sees them.
//!
//! The format says little; what it means is what runc does with libseccomp:
//!
//! - an entry whose action is the default's is left out; so is a name that libseccomp does not know;
//! - the conditions of an entry must all hold, unless two of them are of one argument: then each alone
//!   is enough. (Nobody means that; it is what happens.)
//! - several entries of one call are alternatives. One without conditions wins over those with, the first
//!   of two over the second. Where two with conditions and different actions hold at once, libseccomp's
//!   answer depends on how it sorted them: we take the stricter, and tell;
//! - comparisons are of 64 bits, without sign;
//! - calls with a number above all that the profile names get ENOSYS, unless the default lets through or
//!   is `ENOSYS`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ia2_core::calls::{self, Call};
use ia2_core::constants;

use super::foreign::{
    Action, Condition, Fault, Foreign, MOST_STEPS, Place, Relation, Step, call_named, too_many,
};
use super::json::{self, Node};
use super::settle::overlap;
use super::write::{action as action_text, name_of};

/// The first number that never reaches a policy: those of x32.
const X32: u32 = 0x4000_0000;

/// What an engine knows about the container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Container {
    /// Its capabilities, `CAP_SYS_ADMIN`.
    pub(crate) capabilities: BTreeSet<String>,
}

/// Reads a profile.
pub(crate) fn read(file: &Rc<str>, text: &str, container: &Container) -> Result<Foreign, Fault> {
    let root = json::parse(file, text)?;
    root.object()?;
    let mut foreign = Foreign::new("OCI", file);
    let profile = match root.get("linux") {
        Some(linux) => linux.get("seccomp").ok_or_else(|| {
            Fault::new(&linux.place, "no `seccomp` here: the container has no filter")
        })?,
        None => &root,
    };
    Profile { foreign: &mut foreign, container, last: None, by_engine: BTreeMap::new() }
        .read(profile)?;
    Ok(foreign)
}

struct Profile<'a> {
    foreign: &'a mut Foreign,
    container: &'a Container,
    /// The highest number named.
    last: Option<u32>,
    /// Entries that a capability decided.
    by_engine: BTreeMap<String, (Place, Vec<String>)>,
}

/// The steps of one call.
#[derive(Default)]
struct Chain {
    unconditional: Option<Step>,
    conditional: Vec<Step>,
}

impl Profile<'_> {
    fn read(&mut self, profile: &Node) -> Result<(), Fault> {
        let members = profile.object()?;
        let default = profile.get("defaultAction").ok_or_else(|| {
            Fault::new(&profile.place, "no `defaultAction`: not a seccomp profile")
        })?;
        let (number, name) = (profile.get("defaultErrnoRet"), profile.get("defaultErrno"));
        self.foreign.default = self.action(default, number, name)?;
        for (name, node) in members {
            self.member(name, node)?;
        }
        let mut chains: BTreeMap<u32, Chain> = BTreeMap::new();
        if let Some(entries) = profile.get("syscalls") {
            for (index, entry) in entries.array()?.iter().enumerate() {
                self.entry(index, entry, &mut chains)?;
            }
        }
        for (nr, chain) in chains {
            let steps = self.steps(nr, chain);
            self.foreign.calls.insert(nr, steps);
        }
        for (needed, (place, names)) in core::mem::take(&mut self.by_engine) {
            self.foreign.note(&place, shortened(&names), needed);
        }
        self.stub(profile, default);
        Ok(())
    }

    /// Members other than the default and the calls.
    fn member(&mut self, name: &str, node: &Node) -> Result<(), Fault> {
        match name {
            "defaultAction" | "defaultErrnoRet" | "defaultErrno" | "syscalls" | "comment" => {}
            "architectures" | "archMap" => {
                let mut others = Vec::new();
                for arch in node.array()? {
                    others.extend(
                        arch.get("subArchitectures").map(Node::array).transpose()?.unwrap_or(&[]),
                    );
                    if matches!(arch.value, json::Value::String(_)) {
                        others.push(arch);
                    }
                }
                let mut names = Vec::new();
                for other in others {
                    let name = other.string()?;
                    if name != "SCMP_ARCH_X86_64"
                        && matches!(name, "SCMP_ARCH_X86" | "SCMP_ARCH_X32")
                    {
                        names.push(name.to_owned());
                    }
                }
                names.dedup();
                if !names.is_empty() {
                    let reason = "calls of these are refused before a policy is asked";
                    self.foreign.lose(&node.place, names.join(", "), reason);
                }
            }
            "flags" => {
                for flag in node.array()? {
                    let flag_name = flag.string()?;
                    let reason = "how the filter is loaded is not a matter of the policy";
                    self.foreign.lose(&flag.place, flag_name, reason);
                }
            }
            "listenerPath" | "listenerMetadata" => {
                let reason = "no process is asked about calls in this version";
                self.foreign.lose(&node.place, name, reason);
            }
            _ => self.foreign.lose(&node.place, name, "not known"),
        }
        Ok(())
    }

    /// An action with its number: as `errnoRet`, or by name.
    fn action(
        &mut self,
        node: &Node,
        number: Option<&Node>,
        name: Option<&Node>,
    ) -> Result<Action, Fault> {
        let mut data = None;
        if let Some(number) = number {
            let value = number.number()?;
            data = Some(u16::try_from(value).map_err(|_| {
                Fault::new(
                    &number.place,
                    format!("{value} is not an error number: they end at 4095"),
                )
            })?);
        }
        if let Some(name) = name.filter(|name| !matches!(name.string(), Ok(""))) {
            let text = name.string()?;
            let value = constants::errno(text)
                .ok_or_else(|| Fault::new(&name.place, format!("unknown error {text}")))?;
            if data.is_some_and(|data| data != value) {
                return Err(Fault::new(&name.place, format!("{text} is not the number beside it")));
            }
            data = Some(value);
        }
        // What runc puts there if nothing is said.
        let data_or_eperm = data.unwrap_or(1);
        Ok(match node.string()? {
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
            "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
            "SCMP_ACT_TRAP" => Action::Trap(0),
            "SCMP_ACT_ERRNO" => Action::Errno(data_or_eperm),
            "SCMP_ACT_TRACE" => Action::Trace(data_or_eperm),
            "SCMP_ACT_LOG" => Action::Log,
            "SCMP_ACT_ALLOW" => Action::Allow,
            "SCMP_ACT_NOTIFY" => {
                let reason = "no process is asked about calls in this version: the result is errno \
                              ENOSYS, as from the kernel when nobody listens";
                self.foreign.lose(&node.place, "SCMP_ACT_NOTIFY", reason);
                Action::Errno(38)
            }
            other => {
                return Err(Fault::new(&node.place, format!("unknown action {other}")));
            }
        })
    }

    fn entry(
        &mut self,
        index: usize,
        entry: &Node,
        chains: &mut BTreeMap<u32, Chain>,
    ) -> Result<(), Fault> {
        for (name, node) in entry.object()? {
            let known = [
                "names", "name", "action", "errnoRet", "errno", "args", "includes", "excludes",
                "comment",
            ];
            if !known.contains(&name.as_str()) {
                self.foreign.lose(&node.place, name.as_str(), "not known");
            }
        }
        let mut names: Vec<(&str, &Node)> = Vec::new();
        if let Some(list) = entry.get("names") {
            for name in list.array()? {
                names.push((name.string()?, name));
            }
        }
        if let Some(name) = entry.get("name") {
            names.push((name.string()?, name));
        }
        if names.is_empty() {
            return Err(Fault::new(&entry.place, "an entry without `names`"));
        }
        let action = entry
            .get("action")
            .ok_or_else(|| Fault::new(&entry.place, "an entry without `action`"))?;
        if !self.applies(entry, &names)? {
            return Ok(());
        }
        let action = self.action(action, entry.get("errnoRet"), entry.get("errno"))?;
        let conditions = self.conditions(entry)?;
        let label: Rc<str> = format!("syscalls[{index}]").into();
        let mut unknown = Vec::new();
        for (name, _) in names {
            let Some(call) = call_named(name) else {
                unknown.push(match calls::by_name(name) {
                    Some(call) => format!("{name} (here {})", call.name),
                    None => name.to_owned(),
                });
                continue;
            };
            self.last = self.last.max(Some(call.nr));
            if action == self.foreign.default {
                continue;
            }
            let chain = chains.entry(call.nr).or_default();
            for when in &conditions {
                let step = Step {
                    when: when.clone(),
                    action,
                    place: entry.place.clone(),
                    label: Rc::clone(&label),
                };
                self.add(&call, chain, step)?;
            }
        }
        if !unknown.is_empty() {
            let reason = "not calls of x86-64: left out, as by libseccomp";
            self.foreign.note(&entry.place, shortened(&unknown), reason);
        }
        Ok(())
    }

    /// Adds a step as libseccomp adds a rule.
    fn add(&mut self, call: &Call, chain: &mut Chain, step: Step) -> Result<(), Fault> {
        let what = || format!("{}: {}", call.name, action_text(step.action));
        if let Some(first) = &chain.unconditional {
            if first.action != step.action {
                let reason = format!(
                    "line {} decides this call whatever its arguments, and libseccomp keeps the first such rule",
                    first.place.line
                );
                self.foreign.lose(&step.place, what(), reason);
            }
            return Ok(());
        }
        if step.when == Condition::True {
            if let Some(other) = chain.conditional.iter().find(|other| other.action != step.action)
            {
                let reason = format!(
                    "this decides the call whatever its arguments, and libseccomp then forgets line {}",
                    other.place.line
                );
                self.foreign.lose(&step.place, what(), reason);
            }
            chain.conditional.clear();
            chain.unconditional = Some(step);
        } else if chain.conditional.len() == MOST_STEPS {
            return Err(Fault::new(&step.place, too_many()));
        } else {
            chain.conditional.push(step);
        }
        Ok(())
    }

    fn steps(&mut self, nr: u32, chain: Chain) -> Vec<Step> {
        let mut steps = chain.conditional;
        let mut clash = None;
        for (index, one) in steps.iter().enumerate() {
            for other in steps.iter().skip(index + 1) {
                if one.action != other.action && overlap(&one.when, &other.when) {
                    clash = Some((one.place.line, other.place.clone()));
                }
            }
        }
        if let Some((line, place)) = clash {
            let reason = format!(
                "this entry and the one in line {line} can hold at once, and which one libseccomp takes depends \
                 on its sorting: the result takes the stricter"
            );
            self.foreign.lose(&place, name_of(nr), reason);
            steps.sort_by_key(|step| step.action);
        }
        steps.extend(chain.unconditional);
        steps
    }

    /// Whether the engine would give the entry to the runtime.
    fn applies(&mut self, entry: &Node, names: &[(&str, &Node)]) -> Result<bool, Fault> {
        let names =
            || -> Vec<String> { names.iter().map(|(name, _)| (*name).to_owned()).collect() };
        for (member, wanted) in [("excludes", false), ("includes", true)] {
            let Some(filter) = entry.get(member) else { continue };
            filter.object()?;
            if let Some(arches) = filter.get("arches") {
                let arches = strings(arches)?;
                let ours = arches.iter().any(|arch| matches!(*arch, "amd64" | "x86_64"));
                if !arches.is_empty() && ours != wanted {
                    return Ok(false);
                }
            }
            if let Some(caps) = filter.get("caps") {
                let needed = strings(caps)?;
                let has = |cap: &&str| self.container.capabilities.contains(*cap);
                let holds = if wanted { needed.iter().all(has) } else { !needed.iter().any(has) };
                if !needed.is_empty() {
                    let list = needed.join(", ");
                    let reason = if holds == wanted {
                        format!(
                            "the container has {list}: entries that need it are taken, entries for those without are not"
                        )
                    } else {
                        format!(
                            "the container lacks {list} (--cap): entries that need it are left out, entries for those without are taken"
                        )
                    };
                    let told = self.by_engine.entry(reason);
                    let (_, told) = told.or_insert_with(|| (filter.place.clone(), Vec::new()));
                    for name in names() {
                        if !told.contains(&name) {
                            told.push(name);
                        }
                    }
                }
                if !holds {
                    return Ok(false);
                }
            }
            if let Some(kernel) = filter.get("minKernel") {
                let version = kernel.string()?;
                let reason = "the kernel is taken to be newer than that";
                self.foreign.note(&kernel.place, format!("minKernel {version}"), reason);
                if !wanted {
                    return Ok(false);
                }
            }
            for (name, node) in filter.object()? {
                if !matches!(name.as_str(), "arches" | "caps" | "minKernel") {
                    self.foreign.lose(&node.place, name.as_str(), "not known");
                }
            }
        }
        Ok(true)
    }

    /// The conditions of an entry: each of them is a rule of its own.
    fn conditions(&mut self, entry: &Node) -> Result<Vec<Condition>, Fault> {
        let Some(args) = entry.get("args") else { return Ok(vec![Condition::True]) };
        let mut tests: Vec<(u8, Condition, Place)> = Vec::new();
        for arg in args.array()? {
            let number = |name| arg.get(name).map_or(Ok(0), Node::number);
            let index = arg
                .get("index")
                .ok_or_else(|| Fault::new(&arg.place, "a condition without `index`"))?;
            let place = index.place.clone();
            let index = u8::try_from(index.number()?).ok().filter(|index| *index < 6);
            let index =
                index.ok_or_else(|| Fault::new(&place, "there are six arguments, from 0 to 5"))?;
            let (value, second) = (number("value")?, number("valueTwo")?);
            let op =
                arg.get("op").ok_or_else(|| Fault::new(&arg.place, "a condition without `op`"))?;
            let relation = match op.string()? {
                "SCMP_CMP_NE" => Relation::Ne,
                "SCMP_CMP_LT" => Relation::Lt,
                "SCMP_CMP_LE" => Relation::Le,
                "SCMP_CMP_EQ" => Relation::Eq,
                "SCMP_CMP_GE" => Relation::Ge,
                "SCMP_CMP_GT" => Relation::Gt,
                "SCMP_CMP_MASKED_EQ" => {
                    tests.push((index, Condition::masked(index, value, second & value), place));
                    continue;
                }
                other => return Err(Fault::new(&op.place, format!("unknown comparison {other}"))),
            };
            tests.push((index, Condition::compare(index, relation, value), place));
        }
        if tests.is_empty() {
            return Ok(vec![Condition::True]);
        }
        let twice = tests
            .iter()
            .enumerate()
            .find(|(at, (index, ..))| tests.iter().take(*at).any(|(known, ..)| known == index));
        if let Some((_, (index, _, place))) = twice {
            let reason = "runc then takes each condition of the entry alone as enough, those of other \
                          arguments too, and so does the result: check that it is meant";
            self.foreign.lose(place, format!("two conditions of argument {index}"), reason);
            return Ok(tests.into_iter().map(|(_, test, _)| test).collect());
        }
        Ok(vec![Condition::all(tests.into_iter().map(|(_, test, _)| test).collect())])
    }

    /// What runc puts before the filter for calls that are newer than the profile.
    fn stub(&mut self, profile: &Node, default: &Node) {
        let enosys = Action::Errno(38);
        self.foreign.unknown = self.foreign.default;
        let lets_through =
            matches!(self.foreign.default, Action::Allow | Action::Log | Action::Trace(_));
        let is_enosys = self.foreign.default == enosys
            || profile.get("defaultErrnoRet").is_some_and(|node| matches!(node.number(), Ok(38)));
        let Some(last) = self.last else { return };
        if lets_through || is_enosys {
            return;
        }
        self.foreign.unknown = enosys;
        let reason = format!(
            "numbers above {last} ({}), the highest named here, get ENOSYS, as from runc; so do numbers below that \
             no call has",
            name_of(last)
        );
        self.foreign.note(&default.place, "defaultAction", reason);
        for call in calls::all().filter(|call| call.nr > last && call.nr < X32) {
            let step = Step {
                when: Condition::True,
                action: enosys,
                place: default.place.clone(),
                label: "newer than the profile".into(),
            };
            self.foreign.calls.entry(call.nr).or_insert_with(|| vec![step]);
        }
    }
}

fn strings(node: &Node) -> Result<Vec<&str>, Fault> {
    node.array()?.iter().map(Node::string).collect()
}

/// Some names, and how many more.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
