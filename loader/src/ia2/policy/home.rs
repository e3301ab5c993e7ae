//! Who decides a rule, and against whom that holds.
//!
//! What numbers and scalar arguments decide, the kernel decides (K), also for code that jumps to the gate:
//! that holds up to A2. What only the shim can tell (S) holds up to A1. A condition with both is split as
//! the compiler splits it: what holds if the whole could, what holds if the whole must, and the rest.

use ia2_core::verdict::ActionKind;
use ia2_core::{calls, own};
use ia2_policy::compile::{exempted, needs};
use ia2_policy::condition::{assume, has_question};
use ia2_policy::policy::{Expr, Policy};

use super::{words, written};

/// One part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// `K` or `S`.
    pub(crate) home: &'static str,
    /// `A0` to `A2`; `None` if nothing is refused.
    pub(crate) level: Option<&'static str>,
    /// What is decided, in words.
    pub(crate) text: String,
}

/// A call for which a rule holds less than its parts say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weak {
    pub(crate) nr: u32,
    pub(crate) level: &'static str,
    pub(crate) why: &'static str,
    /// The arguments with which it does; empty for any.
    pub(crate) only: &'static str,
}

/// The calls of the kernel's own uprobe trampolines.
const UNSEEN: [&str; 2] = ["uretprobe", "uprobe"];
/// Calls that the C library answers without the kernel.
const VDSO: [&str; 5] = ["gettimeofday", "time", "clock_gettime", "clock_getres", "getcpu"];

/// The parts of a rule, for its call `nr`.
pub(crate) fn parts(policy: &Policy, index: usize, nr: u32) -> Vec<Part> {
    let Some(rule) = policy.rules.get(index) else { return Vec::new() };
    let (then, otherwise) = (&rule.then, &rule.otherwise);
    let level = |refuses: bool, level| refuses.then_some(level);
    let refuses = |action: &ia2_policy::policy::Action| !action.kind.lets_through();
    let in_words = words::whole_action;
    let one = |action: &ia2_policy::policy::Action, when: &str| match action.kind {
        ActionKind::Emulate => {
            let when = when.strip_prefix("always ").unwrap_or(when);
            let text = format!("{when}the shim does it in its own way");
            Part { home: "S", level: None, text }
        }
        _ => Part {
            home: "K",
            level: level(refuses(action), "A2"),
            text: format!("{when}{}", in_words(action)),
        },
    };
    match &rule.when {
        Expr::True => vec![one(then, "always ")],
        Expr::False => vec![one(otherwise, "always ")],
        when if !has_question(when) => {
            let condition = written::condition(when, nr);
            vec![one(then, &format!("if {condition}: ")), one(otherwise, "otherwise ")]
        }
        when => {
            let could = simplified(assume(when, true));
            let must = simplified(assume(when, false));
            let mut parts = Vec::new();
            if could != Expr::True {
                let condition = written::condition(&could, nr);
                parts.push(one(otherwise, &format!("unless {condition}: ")));
            }
            if must != Expr::False {
                parts.push(one(then, &format!("if {}: ", written::condition(&must, nr))));
            }
            let mut open = Vec::new();
            questions(when, nr, &mut open);
            let rest = if parts.is_empty() { "" } else { " the rest" };
            let (verb, open) =
                (if open.len() == 1 { "decides" } else { "decide" }, open.join(" and "));
            let text =
                format!("{open} {verb}{rest}: {}, else {}", in_words(then), in_words(otherwise));
            let level = level(refuses(then) || refuses(otherwise), "A1");
            parts.push(Part { home: "S", level, text });
            parts
        }
    }
}

/// The calls among `numbers` for which less holds. `parts` are those of their rule.
pub(crate) fn weak(policy: &Policy, parts: &[Part], numbers: &[u32]) -> Vec<Weak> {
    let mut all = Vec::new();
    if !parts.iter().any(|part| part.level == Some("A2")) {
        return all;
    }
    let (own, needs) = (exempted(policy), needs(policy));
    for nr in numbers {
        let name = calls::name(*nr).unwrap_or("");
        if UNSEEN.contains(&name) {
            let why = "the shim refuses it where it was rewritten";
            all.push(Weak { nr: *nr, level: "A0", why, only: "" });
        } else if own.contains(nr) {
            let (why, only) = own::row(*nr, needs).map_or(("", ""), |row| (row.what, row.only));
            all.push(Weak { nr: *nr, level: "A1", why, only });
        }
    }
    all
}

/// Those that the C library usually answers without the kernel, so that no rule is asked.
pub(crate) fn in_vdso(numbers: &[u32]) -> Vec<&'static str> {
    numbers.iter().filter_map(|nr| calls::name(*nr)).filter(|name| VDSO.contains(name)).collect()
}

/// What the shim is asked, each once.
fn questions(expr: &Expr, nr: u32, found: &mut Vec<String>) {
    match expr {
        Expr::Not(inner) => questions(inner, nr, found),
        Expr::And(list) | Expr::Or(list) => list.iter().for_each(|one| questions(one, nr, found)),
        one if has_question(one) => {
            let text = format!("`{}`", written::condition(one, nr));
            if !found.contains(&text) {
                found.push(text);
            }
        }
        _ => {}
    }
}

/// Without what is always or never true.
fn simplified(expr: Expr) -> Expr {
    let all = |list: Vec<Expr>| list.into_iter().map(simplified).collect::<Vec<_>>();
    match expr {
        Expr::Not(inner) => match simplified(*inner) {
            Expr::True => Expr::False,
            Expr::False => Expr::True,
            inner => Expr::Not(Box::new(inner)),
        },
        Expr::And(list) => {
            let list: Vec<Expr> = all(list).into_iter().filter(|one| *one != Expr::True).collect();
            match list.as_slice() {
                [] => Expr::True,
                [one] => one.clone(),
                _ if list.contains(&Expr::False) => Expr::False,
                _ => Expr::And(list),
            }
        }
        Expr::Or(list) => {
            let list: Vec<Expr> = all(list).into_iter().filter(|one| *one != Expr::False).collect();
            match list.as_slice() {
                [] => Expr::False,
                [one] => one.clone(),
                _ if list.contains(&Expr::True) => Expr::True,
                _ => Expr::Or(list),
            }
        }
        Expr::From(ia2_policy::policy::Caller::Trampoline) => Expr::True,
        other => other,
    }
}
