//! `ia2 list`: the words a policy is written with.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use ia2_core::calls::{self, Arg, Call, Ia2Policy, Kind, Width};
use ia2_core::constants::{self, Set};
use ia2_core::sets::{self, CallSet};
use ia2_core::verdict::EMULATED;
use ia2_policy::source::{POLICIES, Sources};
use serde_json::{Value, json};

use crate::policy::{Files, sources, words};

/// Shown first in the long help.
const EXAMPLES: &str = "Examples:
  ia2 list syscalls openat               its arguments, and the sets it is in
  ia2 list sets @file-system             the calls of a set
  ia2 list flags PROT                    constants of a family
  ia2 list flags O_CLOEXEC               what a constant is
  ia2 list policies nginx                the text of a policy";

/// What can be listed.
#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// System calls, with their arguments and what IA2's table says.
    Syscalls,
    /// Sets of calls.
    Sets,
    /// Named constants, by family.
    Flags,
    /// What can happen to a call.
    Actions,
    /// Policies that have a name.
    Policies,
}

/// Options of `ia2 list`.
#[derive(clap::Args)]
#[command(
    before_long_help = EXAMPLES,
    after_long_help = "Exit status: 0, or 1 if there is nothing of that name."
)]
pub(crate) struct Arguments {
    /// What is listed.
    what: What,
    /// Only this one, with all that is known.
    name: Option<String>,
    /// Print an object of JSON.
    #[arg(long)]
    json: bool,
}

/// Something that has no such name: why.
type Found<T> = Result<T, String>;

/// Exit status 1 if there is no such name.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let name = arguments.name.as_deref();
    let found = match arguments.what {
        What::Syscalls => syscalls(name),
        What::Sets => sets(name),
        What::Flags => flags(name),
        What::Actions => actions(name),
        What::Policies => policies(name),
    };
    match found {
        Ok((_, rows)) if arguments.json => {
            let kind = arguments.what.to_possible_value();
            let kind = kind.map(|kind| kind.get_name().to_owned());
            writeln!(out, "{}", json!({"schema": "ia2.list/1", "what": kind, "rows": rows}))?;
        }
        Ok((text, _)) => out.write_all(text.as_bytes())?,
        Err(why) => {
            eprintln!("ia2: {why}");
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is listed, for people and for machines.
type Listing = (String, Vec<Value>);

fn syscalls(name: Option<&str>) -> Found<Listing> {
    let Some(name) = name else {
        let text = calls::all().map(|call| line(&call) + "\n").collect();
        return Ok((text, calls::all().map(|call| call_json(&call)).collect()));
    };
    let nr = match name.parse() {
        Ok(nr) => nr,
        Err(_) => words::number(name)?,
    };
    let call = calls::by_nr(nr).ok_or_else(|| format!("no table knows call {nr}"))?;
    let mut lines = vec![line(&call)];
    lines.push(format!(
        "  since Linux {}{}",
        call.since,
        if call.obsolete { "; gone" } else { "" }
    ));
    let aliases: Vec<&str> = call.aliases().collect();
    if !aliases.is_empty() {
        lines.push(format!("  also called {}", aliases.join(", ")));
    }
    for arg in &call.args {
        let width = if arg.width == Width::W32 { 32 } else { 64 };
        let sign = if arg.signed { "signed" } else { "unsigned" };
        let set = arg.set.map(|set| format!(", {}", set.name())).unwrap_or_default();
        let also = names_besides(arg);
        let also =
            if also.is_empty() { String::new() } else { format!(" (or {})", also.join(", ")) };
        lines.push(format!("  {}{also}: {}, {width} bits, {sign}{set}", arg.name, kind(arg)));
    }
    let of = sets_of(call.nr);
    if !of.is_empty() {
        lines.push(format!("  in {}", of.join(", ")));
    }
    if EMULATED.contains(&call.nr) {
        lines.push("  can be emulated".to_owned());
    }
    if let Some(ia2) = calls::ia2(call.nr) {
        lines.push(format!("  IA2: {}, {}", ia2.category, ia2_policy(ia2.policy)));
        if !ia2.seed.is_empty() {
            lines.push(format!("  IA2's words: {}", ia2.seed));
        }
        if let Some(seed) = ia2.seed_policy {
            lines.push(format!("  IA2's table has: {}", ia2_policy(seed)));
        }
        if !ia2.reason.is_empty() {
            lines.push(format!("  why: {}", ia2.reason));
        }
    }
    Ok((lines.join("\n") + "\n", vec![call_json(&call)]))
}

fn line(call: &Call) -> String {
    let args: Vec<&str> = call.args.iter().map(|arg| arg.name).collect();
    format!("{:3} {}({})", call.nr, call.name, args.join(", "))
}

fn kind(arg: &Arg) -> &'static str {
    match arg.kind {
        Kind::Int => "number",
        Kind::Fd => "descriptor",
        Kind::Size => "size",
        Kind::Pid => "process",
        Kind::Signal => "signal",
        Kind::Mode => "mode",
        Kind::Path => "path",
        Kind::Str => "string",
        Kind::Sockaddr { .. } => "socket address",
        Kind::Ptr { .. } => "pointer",
        Kind::Offset => "offset",
        Kind::Flags => "flags",
        Kind::Choice => "choice",
        Kind::Address => "address",
        Kind::Unused => "unused",
    }
}

fn sets_of(nr: u32) -> Vec<&'static str> {
    sets::all().filter(|set| set.contains(nr)).map(|set| set.name).collect()
}

fn ia2_policy(policy: Ia2Policy) -> String {
    match policy {
        Ia2Policy::Allow => "allow".to_owned(),
        Ia2Policy::Forbid => "forbid".to_owned(),
        Ia2Policy::Complex(class) => format!("by its arguments ({class})"),
    }
}

/// Other names that mean this argument.
fn names_besides(arg: &Arg) -> Vec<&'static str> {
    arg.aliases().filter(|alias| calls::register(alias).is_none()).collect()
}

fn call_json(call: &Call) -> Value {
    let args = call.args.iter().map(|arg| {
        json!({
            "name": arg.name,
            "aliases": names_besides(arg),
            "kind": kind(arg),
            "bits": if arg.width == Width::W32 { 32 } else { 64 },
            "signed": arg.signed,
            "flags": arg.set.map(Set::name),
        })
    });
    let ia2 = calls::ia2(call.nr).map(|ia2| {
        json!({"category": ia2.category, "policy": ia2_policy(ia2.policy), "reason": ia2.reason})
    });
    json!({
        "nr": call.nr,
        "name": call.name,
        "aliases": call.aliases().collect::<Vec<_>>(),
        "since": call.since.to_string(),
        "obsolete": call.obsolete,
        "args": args.collect::<Vec<_>>(),
        "sets": sets_of(call.nr),
        "emulated": EMULATED.contains(&call.nr),
        "ia2": ia2,
    })
}

fn sets(name: Option<&str>) -> Found<Listing> {
    let members = |set: &CallSet| set.calls.iter().map(words::call).collect::<Vec<_>>();
    let object =
        |set: &CallSet| json!({"name": set.name, "about": set.about(), "calls": members(set)});
    let Some(name) = name else {
        let row =
            |set: CallSet| format!("{:<20} {:3}  {}\n", set.name, set.calls.len(), set.about());
        return Ok((sets::all().map(row).collect(), sets::all().map(|set| object(&set)).collect()));
    };
    let full = if name.starts_with('@') { name.to_owned() } else { format!("@{name}") };
    let set = sets::by_name(&full).ok_or_else(|| {
        let near = words::did_you_mean(&full, sets::all().map(|set| set.name));
        format!("no set `{}`{near}", sources::visible(&full))
    })?;
    Ok((members(&set).join("\n") + "\n", vec![object(&set)]))
}

fn flags(name: Option<&str>) -> Found<Listing> {
    let object = |set: Set| {
        let constants = set.constants().map(|(name, value)| (name.to_owned(), json!(value)));
        json!({"name": set.name(), "about": set.about(), "flags": set.is_flags(),
            "constants": constants.collect::<serde_json::Map<_, _>>()})
    };
    let Some(name) = name else {
        let row =
            |set: Set| format!("{:<16} {:3}  {}\n", set.name(), set.constants().len(), set.about());
        return Ok((Set::all().map(row).collect(), Set::all().map(object).collect()));
    };
    let (mut text, mut rows) = (String::new(), Vec::new());
    for set in Set::all().filter(|set| set.name().eq_ignore_ascii_case(name)) {
        text.extend(set.constants().map(|(name, value)| format!("{name} = {value:#x}\n")));
        rows.push(object(set));
    }
    for (set, value) in constants::find(name) {
        text.push_str(&format!("{name} = {value:#x} in {}\n", set.name()));
        rows.push(json!({"name": name, "value": value, "in": set.name()}));
    }
    if rows.is_empty() {
        let near = constants::nearest(name).map(|near| format!("; did you mean `{near}`?"));
        let near = near.unwrap_or_default();
        return Err(format!("no family and no constant `{}`{near}", sources::visible(name)));
    }
    Ok((text, rows))
}

const ACTIONS: [(&str, &str); 11] = [
    ("allow", "the call is made"),
    ("deny", "the policy's default, if that refuses; else errno EPERM"),
    ("errno", "errno NAME: the call is not made and gives this error"),
    ("kill_process", "the process dies of SIGSYS"),
    ("kill_thread", "the thread dies of SIGSYS"),
    ("trap", "the program gets SIGSYS"),
    ("trace", "trace N: a tracer decides; without one ENOSYS"),
    ("emulate", "the shim does it in its own way: signals, prctl, arch_prctl, seccomp"),
    ("log", "behind another: it is reported"),
    ("broker", "reserved"),
    ("notify", "reserved"),
];

fn actions(name: Option<&str>) -> Found<Listing> {
    let rows: Vec<_> = ACTIONS.iter().filter(|row| name.is_none_or(|name| name == row.0)).collect();
    if rows.is_empty() {
        let name = name.unwrap_or("");
        let near = words::did_you_mean(name, ACTIONS.iter().map(|row| row.0));
        return Err(format!("no action `{}`{near}", sources::visible(name)));
    }
    let text = rows.iter().map(|(action, about)| format!("{action:<14} {about}\n")).collect();
    let object = |row: &&(&str, &str)| json!({"name": row.0, "about": row.1});
    Ok((text, rows.iter().map(object).collect()))
}

fn policies(name: Option<&str>) -> Found<Listing> {
    if let Some(name) = name {
        let full = sources::find(name)?;
        let read = Files::default().read(&full, None);
        let text = read.map_err(|unreadable| format!("{name}: {}", unreadable.why))?;
        let row = json!({"name": name, "file": text.name, "text": text.text});
        return Ok((text.text, vec![row]));
    }
    let built_in = core::iter::once("base").chain(POLICIES.iter().map(|row| row.0));
    let (mut text, mut rows) = (String::new(), Vec::new());
    for name in built_in {
        text.push_str(&format!("{name}\n"));
        rows.push(json!({"name": name, "file": Value::Null}));
    }
    for (name, path) in sources::installed() {
        text.push_str(&format!("{name:<14} {}\n", path.display()));
        rows.push(json!({"name": name, "file": path.to_string_lossy()}));
    }
    Ok((text, rows))
}
