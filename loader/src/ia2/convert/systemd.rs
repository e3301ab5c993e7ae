//! Services of systemd: what of a unit becomes a seccomp filter.
//!
//! systemd loads a filter for each of these settings, one after the other, and of all filters the
//! strictest answer counts; among errors, that of the filter loaded last. So a call's chain here is: what
//! `SystemCallFilter=` refuses, which is loaded last, then the conditions of the others, the latest
//! first, then `SystemCallLog=`.
//!
//! Settings are read as systemd reads them: several lines of one name are one list, an empty one begins
//! it anew, `~` turns it. Settings that confine a service in another way than by a filter are told as
//! lost; those that do not confine it are not.

use std::collections::BTreeMap;
use std::rc::Rc;

use ia2_core::constants::{self, Set};
use ia2_core::sets;

use super::foreign::{
    Action, Condition, Fault, Foreign, Place, Relation, Selection, Step, call_named, unknown_name,
};

/// Sections whose processes are confined by these settings.
const SECTIONS: &[&str] = &["Service", "Socket", "Mount", "Swap"];

/// What else confines a service, and by what.
const ELSEWHERE: &[(&str, &str)] = &[
    ("AmbientCapabilities", "capabilities"),
    ("AppArmorProfile", "AppArmor"),
    ("BindPaths", "mounts"),
    ("BindReadOnlyPaths", "mounts"),
    ("CapabilityBoundingSet", "capabilities"),
    ("DeviceAllow", "control groups"),
    ("DevicePolicy", "control groups"),
    ("ExecPaths", "mounts"),
    ("Group", "user and group"),
    ("IPAddressAllow", "control groups"),
    ("IPAddressDeny", "control groups"),
    ("IPCNamespacePath", "namespaces"),
    ("InaccessiblePaths", "mounts"),
    ("KeyringMode", "keyrings"),
    ("NetworkNamespacePath", "namespaces"),
    ("NoExecPaths", "mounts"),
    ("PrivateIPC", "namespaces"),
    ("PrivateMounts", "mounts"),
    ("PrivateNetwork", "namespaces"),
    ("PrivateTmp", "mounts"),
    ("PrivateUsers", "namespaces"),
    ("ProcSubset", "mounts"),
    ("ProtectControlGroups", "mounts"),
    ("ProtectHome", "mounts"),
    ("ProtectProc", "mounts"),
    ("ProtectSystem", "mounts"),
    ("ReadOnlyPaths", "mounts"),
    ("ReadWritePaths", "mounts"),
    ("RemoveIPC", "clean-up"),
    ("RestrictFileSystems", "a security module"),
    ("RestrictNetworkInterfaces", "control groups"),
    ("RootDirectory", "mounts"),
    ("RootImage", "mounts"),
    ("SELinuxContext", "SELinux"),
    ("SecureBits", "capabilities"),
    ("SmackProcessLabel", "Smack"),
    ("SocketBindAllow", "control groups"),
    ("SocketBindDeny", "control groups"),
    ("SupplementaryGroups", "user and group"),
    ("TemporaryFileSystem", "mounts"),
    ("UMask", "the umask"),
    ("User", "user and group"),
];

const EPERM: u16 = 1;
const ENOSYS: u16 = 38;
const EAFNOSUPPORT: u16 = 97;

/// The kinds of namespaces, and their flags.
const NAMESPACES: &[(&str, u64)] = &[
    ("cgroup", 0x0200_0000),
    ("ipc", 0x0800_0000),
    ("net", 0x4000_0000),
    ("mnt", 0x0002_0000),
    ("pid", 0x2000_0000),
    ("user", 0x1000_0000),
    ("time", 0x80),
    ("uts", 0x0400_0000),
];

/// Reads a unit.
pub(crate) fn read(file: &Rc<str>, text: &str) -> Result<Foreign, Fault> {
    let mut unit = Unit::new(file);
    for setting in settings(file, text)? {
        unit.setting(&setting)?;
    }
    unit.finish()
}

/// `Name=value`, in a section that matters.
struct Setting {
    name: String,
    value: String,
    place: Place,
}

/// The settings of a unit, with lines that end in a backslash joined.
fn settings(file: &Rc<str>, text: &str) -> Result<Vec<Setting>, Fault> {
    let (mut settings, mut section): (Vec<Setting>, Option<String>) = (Vec::new(), None);
    let mut lines = text.lines().zip(1_u32..);
    while let Some((line, number)) = lines.next() {
        let place = |column| Place { file: Rc::clone(file), line: number, column };
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.strip_suffix(']');
            let name = name.ok_or_else(|| Fault::new(&place(1), "a section without a ']'"))?;
            section = Some(name.to_owned());
            continue;
        }
        let Some((name, value)) = trimmed.split_once('=') else {
            return Err(Fault::new(&place(1), "expected Name=value"));
        };
        let Some(section) = &section else {
            return Err(Fault::new(&place(1), "a setting before the first section"));
        };
        let mut value = value.trim().to_owned();
        while let Some(before) = value.strip_suffix('\\') {
            value = before.to_owned();
            // Comments in between are left out, and do not end the value.
            let more = lines.by_ref().find(|(line, _)| !line.trim_start().starts_with(['#', ';']));
            let Some((more, _)) = more else { break };
            value.push(' ');
            value.push_str(more.trim());
        }
        if SECTIONS.contains(&section.as_str()) {
            let column = line.chars().take_while(|c| c.is_whitespace()).count();
            let column = u32::try_from(column).unwrap_or(0).saturating_add(1);
            let name = name.trim().to_owned();
            settings.push(Setting { name, value: value.trim().to_owned(), place: place(column) });
        }
    }
    Ok(settings)
}

/// A list of calls, as an allow-list or a deny-list.
#[derive(Default)]
struct Calls {
    /// `None` until the first line says which.
    allow: Option<bool>,
    /// The calls in it, with their own error, and the place.
    calls: BTreeMap<u32, (Option<Action>, Place)>,
    /// The words of an allow-list that only ever grew.
    words: Option<Vec<Selection>>,
}

/// A filter that is loaded before `SystemCallFilter=`: conditions and errors of calls.
struct Filter {
    label: &'static str,
    place: Place,
    refused: Vec<(&'static str, Condition, u16)>,
}

struct Unit {
    foreign: Foreign,
    filter: Calls,
    log: Calls,
    /// `None` kills.
    errno: Option<u16>,
    /// Address families: whether they are allowed, and which.
    families: Option<(bool, Vec<u64>)>,
    families_place: Option<Place>,
    namespaces: Option<u64>,
    namespaces_place: Option<Place>,
    personality: u64,
    /// Settings that are on or off, with the place where they were last set.
    switches: BTreeMap<&'static str, Place>,
}

/// Settings that are on or off and become filters, in the order in which they are loaded.
const SWITCHES: &[&str] = &[
    "ProtectHostname",
    "MemoryDenyWriteExecute",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectClock",
    "PrivateDevices",
    "LockPersonality",
    "DynamicUser",
    "NoNewPrivileges",
];

impl Unit {
    fn new(file: &Rc<str>) -> Self {
        Self {
            foreign: Foreign::new("systemd", file),
            filter: Calls::default(),
            log: Calls::default(),
            errno: None,
            families: None,
            families_place: None,
            namespaces: None,
            namespaces_place: None,
            personality: 0,
            switches: BTreeMap::new(),
        }
    }

    fn setting(&mut self, setting: &Setting) -> Result<(), Fault> {
        let Setting { name, value, place } = setting;
        if let Some(switch) = SWITCHES.iter().find(|switch| *switch == name) {
            match boolean(value) {
                Some(true) => {
                    self.switches.insert(switch, place.clone());
                }
                // An empty value is what was before all: off.
                Some(false) => {
                    self.switches.remove(switch);
                }
                None if value.is_empty() => {
                    self.switches.remove(switch);
                }
                None if *switch == "ProtectHostname" && value.starts_with("private") => {
                    self.foreign.lose(place, format!("{name}={value}"), "not a filter: namespaces");
                }
                None => {
                    return Err(Fault::new(place, format!("expected yes or no, found {value}")));
                }
            }
            return Ok(());
        }
        match name.as_str() {
            "SystemCallFilter" => self.calls(setting, true)?,
            "SystemCallLog" => self.calls(setting, false)?,
            "SystemCallErrorNumber" => {
                self.errno = match value.as_str() {
                    "" | "kill" => None,
                    error => Some(
                        errno(error)
                            .ok_or_else(|| Fault::new(place, format!("unknown error {error}")))?,
                    ),
                };
            }
            "SystemCallArchitectures" => {
                let others: Vec<&str> = value
                    .split_whitespace()
                    .filter(|arch| !matches!(*arch, "native" | "x86-64"))
                    .collect();
                if !others.is_empty() {
                    let reason = "calls of these are refused before a policy is asked";
                    self.foreign.lose(place, format!("{name}={}", others.join(" ")), reason);
                }
            }
            "RestrictAddressFamilies" => self.families(setting),
            "RestrictNamespaces" => self.namespaces(setting)?,
            "Personality" => {
                self.personality = match value.as_str() {
                    "" | "x86-64" => 0,
                    "x86" => 8,
                    other => {
                        return Err(Fault::new(place, format!("unknown personality {other}")));
                    }
                };
            }
            _ => {
                let elsewhere = ELSEWHERE.iter().find(|(known, _)| known == name);
                let off = value.is_empty() || boolean(value) == Some(false);
                if let Some((_, means)) = elsewhere.filter(|_| !off) {
                    let reason = format!("not a filter: {means}");
                    self.foreign.lose(place, format!("{name}={value}"), reason);
                }
            }
        }
        Ok(())
    }

    /// A line of `SystemCallFilter=` or `SystemCallLog=`.
    fn calls(&mut self, setting: &Setting, is_filter: bool) -> Result<(), Fault> {
        let Setting { value, place, .. } = setting;
        let mut list = core::mem::take(if is_filter { &mut self.filter } else { &mut self.log });
        if value.is_empty() {
            // All over again, and `list` is empty already.
            return Ok(());
        }
        let (turned, words) = match value.strip_prefix('~') {
            Some(words) => (true, words),
            None => (false, value.as_str()),
        };
        if list.allow.is_none() {
            list.allow = Some(!turned);
            if !turned {
                list.words = Some(Vec::new());
                if is_filter {
                    // What a program needs to start is always allowed.
                    self.word(&mut list, "@default", false, place);
                }
            }
        }
        for word in words.split_whitespace() {
            self.word(&mut list, word, turned, place);
        }
        *(if is_filter { &mut self.filter } else { &mut self.log }) = list;
        Ok(())
    }

    /// One word of such a line: a set or a call, with an error or without.
    fn word(&mut self, list: &mut Calls, word: &str, turned: bool, place: &Place) {
        let (name, error) = match word.split_once(':') {
            Some((name, error)) => (name, Some(error)),
            None => (word, None),
        };
        let action = match error {
            None => None,
            Some(_) if !turned => {
                let reason = "systemd ignores words with an error in a list without ~";
                self.foreign.lose(place, word, reason);
                return;
            }
            Some("kill") => Some(Action::KillProcess),
            Some(error) => match errno(error) {
                Some(error) => Some(Action::Errno(error)),
                None => {
                    self.foreign.lose(place, word, "systemd ignores words with an unknown error");
                    return;
                }
            },
        };
        let numbers: Vec<u32> = if name.starts_with('@') {
            match sets::by_name(name) {
                Some(set) => set.calls.iter().collect(),
                None => {
                    self.foreign.lose(place, word, "unknown set: left out, as by systemd");
                    return;
                }
            }
        } else {
            match call_named(name) {
                Some(call) => vec![call.nr],
                None => {
                    let reason = format!("{}: left out, as by systemd", unknown_name(name));
                    self.foreign.note(place, word, reason);
                    return;
                }
            }
        };
        let allow = list.allow.unwrap_or(true);
        // What a word adds to: allowed ones in an allow-list, refused ones in a deny-list; and an
        // allow-list can hold calls that are refused with an error of their own.
        let adds = turned != allow || (turned && allow && action.is_some());
        if adds {
            if action.is_some() && allow {
                list.words = None;
            }
            for nr in &numbers {
                list.calls.insert(*nr, (action, place.clone()));
            }
            if let Some(words) = &mut list.words
                && !words.iter().any(|known| known.name == name)
            {
                words.push(Selection { name: name.to_owned(), calls: numbers });
            }
        } else {
            for nr in &numbers {
                list.calls.remove(nr);
            }
            list.words = None;
        }
    }

    fn families(&mut self, setting: &Setting) {
        let Setting { value, place, .. } = setting;
        self.families_place = Some(place.clone());
        if value.is_empty() {
            self.families = None;
            return;
        }
        if value == "none" {
            self.families = Some((true, Vec::new()));
            return;
        }
        let (turned, words) = match value.strip_prefix('~') {
            Some(words) => (true, words),
            None => (false, value.as_str()),
        };
        let (allow, mut families) = self.families.take().unwrap_or((!turned, Vec::new()));
        for word in words.split_whitespace() {
            let Some(family) = Set::AF.value(word) else {
                self.foreign.lose(place, word, "unknown address family: left out, as by systemd");
                continue;
            };
            families.retain(|known| *known != family);
            if turned != allow {
                families.push(family);
            }
        }
        self.families = Some((allow, families));
    }

    fn namespaces(&mut self, setting: &Setting) -> Result<(), Fault> {
        let Setting { value, place, .. } = setting;
        let all = NAMESPACES.iter().fold(0, |all, (_, flag)| all | flag);
        self.namespaces_place = Some(place.clone());
        if value.is_empty() {
            self.namespaces = None;
            return Ok(());
        }
        if let Some(restrict) = boolean(value) {
            self.namespaces = Some(if restrict { 0 } else { all });
            return Ok(());
        }
        let (turned, words) = match value.strip_prefix('~') {
            Some(words) => (true, words),
            None => (false, value.as_str()),
        };
        let mut flags = 0;
        for word in words.split_whitespace() {
            let known = NAMESPACES.iter().find(|(name, _)| *name == word);
            let (_, flag) = known
                .ok_or_else(|| Fault::new(place, format!("unknown kind of namespace {word}")))?;
            flags |= flag;
        }
        self.namespaces = Some(match (self.namespaces, turned) {
            (None, false) => flags,
            (None, true) => all & !flags,
            (Some(known), false) => known | flags,
            (Some(known), true) => known & !flags,
        });
        Ok(())
    }

    /// The filters other than `SystemCallFilter=` and `SystemCallLog=`, in the order of loading.
    fn filters(&mut self) -> Vec<Filter> {
        let mut filters = Vec::new();
        let dynamic = self.switches.get("DynamicUser").cloned();
        if let Some(place) = &dynamic {
            self.foreign.lose(place, "DynamicUser=", "not a filter: user and group");
            self.switches.entry("RestrictSUIDSGID").or_insert_with(|| place.clone());
        }
        if let Some(place) = self.switches.get("NoNewPrivileges").cloned() {
            self.foreign.lose(
                &place,
                "NoNewPrivileges=",
                "not a filter: a property of the process",
            );
        }
        for switch in SWITCHES {
            if *switch == "MemoryDenyWriteExecute"
                && let Some(filter) = self.family_filter()
            {
                filters.push(filter);
            }
            if *switch == "ProtectKernelTunables"
                && let Some(filter) = self.namespace_filter()
            {
                filters.push(filter);
            }
            let Some(place) = self.switches.get(switch).cloned() else { continue };
            let refused = self.refused_by(switch);
            if refused.is_empty() {
                continue;
            }
            let also = match *switch {
                "ProtectHostname"
                | "ProtectKernelTunables"
                | "ProtectKernelModules"
                | "ProtectKernelLogs"
                | "ProtectClock"
                | "PrivateDevices" => {
                    "its filter is converted; its mounts, capabilities and devices are not"
                }
                "MemoryDenyWriteExecute" => {
                    "as a filter; newer versions of systemd ask the kernel for it instead where it can (6.3)"
                }
                _ => "",
            };
            if also.starts_with("its filter") {
                self.foreign.lose(&place, format!("{switch}="), also);
            } else if !also.is_empty() {
                self.foreign.note(&place, format!("{switch}="), also);
            }
            filters.push(Filter { label: switch, place, refused });
        }
        filters
    }

    /// What a switch refuses.
    fn refused_by(&self, switch: &str) -> Vec<(&'static str, Condition, u16)> {
        let all_of = |names: &[&'static str]| -> Vec<(&'static str, Condition, u16)> {
            names.iter().map(|name| (*name, Condition::True, EPERM)).collect()
        };
        let set = |name: &str| -> Vec<(&'static str, Condition, u16)> {
            let numbers = sets::by_name(name).into_iter().flat_map(|set| set.calls.iter());
            let names = numbers.filter_map(ia2_core::calls::by_nr);
            names.map(|call| (call.name, Condition::True, EPERM)).collect()
        };
        let masked = |name, index, bits| (name, Condition::masked(index, bits, bits), EPERM);
        match switch {
            "ProtectHostname" => all_of(&["sethostname", "setdomainname"]),
            "ProtectKernelTunables" => all_of(&["_sysctl"]),
            "ProtectKernelModules" => set("@module"),
            "ProtectKernelLogs" => all_of(&["syslog"]),
            "ProtectClock" => set("@clock"),
            "PrivateDevices" => set("@raw-io"),
            "LockPersonality" => {
                let other = Condition::compare(0, Relation::Ne, self.personality);
                vec![("personality", other, EPERM)]
            }
            // PROT_WRITE is 2, PROT_EXEC is 4, SHM_EXEC is 0x8000.
            "MemoryDenyWriteExecute" => vec![
                masked("mmap", 2, 6),
                masked("mprotect", 2, 4),
                masked("pkey_mprotect", 2, 4),
                masked("shmat", 2, 0x8000),
            ],
            // All policies but SCHED_OTHER, SCHED_BATCH and SCHED_IDLE: 0, 3 and 5.
            "RestrictRealtime" => {
                let mut parts: Vec<Condition> = [1, 2, 4]
                    .iter()
                    .map(|policy| Condition::compare(1, Relation::Eq, *policy))
                    .collect();
                parts.push(Condition::compare(1, Relation::Gt, 5));
                vec![("sched_setscheduler", Condition::any(parts), EPERM)]
            }
            "RestrictSUIDSGID" => suid_sgid(),
            _ => Vec::new(),
        }
    }

    fn family_filter(&self) -> Option<Filter> {
        let (allow, families) = self.families.as_ref()?;
        let place = self.families_place.clone()?;
        let parts: Vec<Condition> =
            families.iter().map(|family| Condition::compare(0, Relation::Eq, *family)).collect();
        let when = match (allow, parts.is_empty()) {
            (false, true) => return None,
            (true, true) => Condition::True,
            (false, false) => Condition::any(parts),
            (true, false) => Condition::Not(Box::new(Condition::any(parts))),
        };
        let refused = vec![("socket", when, EAFNOSUPPORT)];
        Some(Filter { label: "RestrictAddressFamilies", place, refused })
    }

    fn namespace_filter(&self) -> Option<Filter> {
        let kept = self.namespaces?;
        let place = self.namespaces_place.clone()?;
        let refused: Vec<u64> =
            NAMESPACES.iter().map(|(_, flag)| *flag).filter(|flag| kept & flag == 0).collect();
        if refused.is_empty() {
            return None;
        }
        let of = |index| -> Vec<Condition> {
            refused.iter().map(|flag| Condition::masked(index, *flag, *flag)).collect()
        };
        let setns = if kept == 0 {
            Condition::True
        } else {
            // 0 means: whatever kind it is.
            let mut parts = vec![Condition::compare(1, Relation::Eq, 0)];
            parts.extend(of(1));
            Condition::any(parts)
        };
        let refused = vec![
            // Its flags are in memory, so all of it goes; programs then use clone.
            ("clone3", Condition::True, ENOSYS),
            ("clone", Condition::any(of(0)), EPERM),
            ("unshare", Condition::any(of(0)), EPERM),
            ("setns", setns, EPERM),
        ];
        Some(Filter { label: "RestrictNamespaces", place, refused })
    }

    fn finish(mut self) -> Result<Foreign, Fault> {
        let filters = self.filters();
        let refusal = self.errno.map_or(Action::KillProcess, Action::Errno);
        let allow_list = self.filter.allow == Some(true);
        self.foreign.default = if allow_list { refusal } else { Action::Allow };
        self.foreign.unknown = if allow_list { Action::Errno(ENOSYS) } else { Action::Allow };
        let log_unlisted = self.log.allow == Some(false);
        if log_unlisted && !allow_list {
            self.foreign.default = Action::Log;
            self.foreign.unknown = Action::Log;
        }
        if allow_list {
            let place = Place { file: Rc::clone(&self.foreign.file), line: 1, column: 1 };
            let reason = "calls newer than the table of calls get ENOSYS, as since systemd 255; before it \
                          they were refused like the others";
            self.foreign.note(&place, "SystemCallFilter=", reason);
        }
        for call in ia2_core::calls::all() {
            let steps = self.chain(call.nr, call.name, &filters, refusal);
            if !steps.is_empty() {
                self.foreign.calls.insert(call.nr, steps);
            }
        }
        self.foreign.selections = self.filter.words.take().unwrap_or_default();
        if self.foreign.calls.is_empty() && self.foreign.default == Action::Allow {
            let place = Place { file: Rc::clone(&self.foreign.file), line: 1, column: 1 };
            let reason = "no setting of this unit becomes a filter: the result allows everything";
            self.foreign.note(&place, "the unit", reason);
        }
        Ok(self.foreign)
    }

    /// What happens to one call.
    fn chain(&self, nr: u32, name: &str, filters: &[Filter], refusal: Action) -> Vec<Step> {
        let mut steps = Vec::new();
        let step = |when, action, place: &Place, label: &str| Step {
            when,
            action,
            place: place.clone(),
            label: format!("{label}=").into(),
        };
        let listed = self.filter.calls.get(&nr);
        let label = "SystemCallFilter";
        let decided = match (self.filter.allow, listed) {
            (Some(true), Some((Some(error), place)))
            | (Some(false), Some((Some(error), place))) => {
                Some(step(Condition::True, *error, place, label))
            }
            (Some(false), Some((None, place))) => {
                Some(step(Condition::True, refusal, place, label))
            }
            // The default says it.
            (Some(true), None) => return Vec::new(),
            _ => None,
        };
        // A filter that kills is stricter than all the others, and one with an error is the last loaded.
        if let Some(decided) = decided {
            return vec![decided];
        }
        for filter in filters.iter().rev() {
            for (_, when, error) in filter.refused.iter().filter(|(refused, ..)| *refused == name) {
                steps.push(step(when.clone(), Action::Errno(*error), &filter.place, filter.label));
            }
        }
        let logged = match (self.log.allow, self.log.calls.get(&nr)) {
            (Some(true), Some((_, place))) => Some(place.clone()),
            (Some(false), None) => None,
            _ => None,
        };
        let log_unlisted = self.log.allow == Some(false) && !self.log.calls.contains_key(&nr);
        let allowed = listed.map(|(_, place)| place.clone());
        if let Some(place) = &logged {
            steps.push(step(Condition::True, Action::Log, place, "SystemCallLog"));
        } else if log_unlisted && self.foreign.default != Action::Log {
            let place = allowed.clone().unwrap_or_else(|| self.start());
            steps.push(step(Condition::True, Action::Log, &place, "SystemCallLog"));
        } else if let Some(place) = &allowed
            && self.filter.allow == Some(true)
        {
            steps.push(step(Condition::True, Action::Allow, place, label));
        } else if self.foreign.default == Action::Log && !log_unlisted {
            let place = self.start();
            steps.push(step(Condition::True, Action::Allow, &place, "SystemCallLog"));
        }
        steps
    }

    fn start(&self) -> Place {
        Place { file: Rc::clone(&self.foreign.file), line: 1, column: 1 }
    }
}

/// What `RestrictSUIDSGID=` refuses: to set either bit, by any call that makes or changes a file.
fn suid_sgid() -> Vec<(&'static str, Condition, u16)> {
    const O_CREAT: u64 = 0o100;
    let modes: &[(&str, u8)] = &[
        ("chmod", 1),
        ("fchmod", 1),
        ("fchmodat", 2),
        ("fchmodat2", 2),
        ("mkdir", 1),
        ("mkdirat", 2),
        ("mknod", 1),
        ("mknodat", 2),
        ("creat", 1),
    ];
    let bits = |index| {
        let bit = |bit| Condition::masked(index, bit, bit);
        Condition::Any(vec![bit(0o4000), bit(0o2000)])
    };
    let mut refused: Vec<(&'static str, Condition, u16)> =
        modes.iter().map(|(name, index)| (*name, bits(*index), EPERM)).collect();
    for (name, flags, mode) in [("open", 1, 2), ("openat", 2, 3)] {
        let creates = Condition::masked(flags, O_CREAT, O_CREAT);
        refused.push((name, Condition::All(vec![creates, bits(mode)]), EPERM));
    }
    // Its flags are in memory, so all of it goes; programs then use openat.
    refused.push(("openat2", Condition::True, ENOSYS));
    refused
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// An error by name or number.
fn errno(text: &str) -> Option<u16> {
    let number = || text.parse::<u16>().ok().filter(|number| *number <= 4095);
    constants::errno(text).or_else(number)
}
