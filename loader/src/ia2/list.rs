//! `ia2 list`: the words a policy is written with.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use ia2_core::calls::{self, Call, Ia2Policy, Width};
use ia2_core::constants::Set;
use ia2_core::sets;
use ia2_policy::source::POLICIES;

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
    /// Built-in policies.
    Policies,
}

/// Options of `ia2 list`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    what: What,
    /// Only this one, with all that is known.
    name: Option<String>,
}

/// Exit status 1 if there is no such name.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<ExitCode> {
    let name = arguments.name.as_deref();
    let found = match arguments.what {
        What::Syscalls => syscalls(name, out)?,
        What::Sets => sets(name, out)?,
        What::Flags => flags(name, out)?,
        What::Actions => actions(name, out)?,
        What::Policies => policies(name, out)?,
    };
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn syscalls(name: Option<&str>, out: &mut impl Write) -> io::Result<bool> {
    let Some(name) = name else {
        for call in calls::all() {
            writeln!(out, "{}", line(&call))?;
        }
        return Ok(true);
    };
    let number = name.strip_prefix('#').unwrap_or(name).parse().ok();
    let Some(call) = calls::by_name(name).or_else(|| calls::by_nr(number?)) else {
        let near = calls::nearest(name).map(|near| format!("; did you mean {near}?"));
        eprintln!("ia2: no call {name}{}", near.unwrap_or_default());
        return Ok(false);
    };
    writeln!(out, "{}", line(&call))?;
    writeln!(out, "  since Linux {}{}", call.since, if call.obsolete { "; gone" } else { "" })?;
    let aliases: Vec<&str> = call.aliases().collect();
    if !aliases.is_empty() {
        writeln!(out, "  also called {}", aliases.join(", "))?;
    }
    for arg in &call.args {
        let width = if arg.width == Width::W32 { 32 } else { 64 };
        let sign = if arg.signed { "signed" } else { "unsigned" };
        let set = arg.set.map(|set| format!(", {}", set.name())).unwrap_or_default();
        let also: Vec<&str> = arg.aliases().collect();
        let also =
            if also.is_empty() { String::new() } else { format!(" (or {})", also.join(", ")) };
        writeln!(out, "  {}{also}: {width} bits, {sign}{set}", arg.name)?;
    }
    let of: Vec<&str> =
        sets::all().filter(|set| set.contains(call.nr)).map(|set| set.name).collect();
    writeln!(out, "  in {}", of.join(", "))?;
    if let Some(ia2) = calls::ia2(call.nr) {
        let policy = |policy| match policy {
            Ia2Policy::Allow => "allow".to_owned(),
            Ia2Policy::Forbid => "forbid".to_owned(),
            Ia2Policy::Complex(class) => format!("by its arguments ({class})"),
        };
        writeln!(out, "  IA2: {}, {}", ia2.category, policy(ia2.policy))?;
        if !ia2.seed.is_empty() {
            writeln!(out, "  IA2's words: {}", ia2.seed)?;
        }
        if let Some(seed) = ia2.seed_policy {
            writeln!(out, "  IA2's table has: {}", policy(seed))?;
        }
        if !ia2.reason.is_empty() {
            writeln!(out, "  why: {}", ia2.reason)?;
        }
    }
    Ok(true)
}

fn line(call: &Call) -> String {
    let args: Vec<&str> = call.args.iter().map(|arg| arg.name).collect();
    format!("{:3} {}({})", call.nr, call.name, args.join(", "))
}

fn sets(name: Option<&str>, out: &mut impl Write) -> io::Result<bool> {
    let Some(name) = name else {
        for set in sets::all() {
            writeln!(out, "{:<20} {:3}  {}", set.name, set.calls.len(), set.about())?;
        }
        return Ok(true);
    };
    let full = if name.starts_with('@') { name.to_owned() } else { format!("@{name}") };
    let Some(set) = sets::by_name(&full) else {
        eprintln!("ia2: no set {full}");
        return Ok(false);
    };
    for nr in set.calls.iter() {
        writeln!(out, "{}", calls::name(nr).unwrap_or("?"))?;
    }
    Ok(true)
}

fn flags(name: Option<&str>, out: &mut impl Write) -> io::Result<bool> {
    let Some(name) = name else {
        for set in Set::all() {
            writeln!(out, "{:<16} {:3}  {}", set.name(), set.constants().len(), set.about())?;
        }
        return Ok(true);
    };
    let mut found = false;
    for set in Set::all().filter(|set| set.name().eq_ignore_ascii_case(name)) {
        found = true;
        for (name, value) in set.constants() {
            writeln!(out, "{name} = {value:#x}")?;
        }
    }
    for (set, value) in ia2_core::constants::find(name) {
        found = true;
        writeln!(out, "{name} = {value:#x} in {}", set.name())?;
    }
    if !found {
        eprintln!("ia2: no family and no constant {name}");
    }
    Ok(found)
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

fn actions(name: Option<&str>, out: &mut impl Write) -> io::Result<bool> {
    let mut found = false;
    for (action, about) in ACTIONS.iter().filter(|row| name.is_none_or(|name| name == row.0)) {
        found = true;
        writeln!(out, "{action:<14} {about}")?;
    }
    Ok(found)
}

fn policies(name: Option<&str>, out: &mut impl Write) -> io::Result<bool> {
    let Some(name) = name else {
        writeln!(out, "base")?;
        for (name, _) in POLICIES {
            writeln!(out, "{name}")?;
        }
        return Ok(true);
    };
    let found = POLICIES.iter().find(|row| row.0 == name);
    if let Some((_, text)) = found {
        write!(out, "{text}")?;
    }
    Ok(found.is_some())
}
