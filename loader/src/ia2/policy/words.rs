//! Actions, outcomes and places in words.

use ia2_core::constants::errno_name;
use ia2_core::verdict::ActionKind;
use ia2_core::{calls, near};
use ia2_policy::eval::{Cause, Outcome};
use ia2_policy::policy::{Action, Expr, Policy, Rule, Source};
use ia2_policy::span::{Span, line_column};
use serde_json::{Value, json};

use super::sources::visible;

/// An action as a policy has it.
pub(crate) fn action(kind: ActionKind) -> String {
    match kind {
        ActionKind::KillProcess => "kill_process".to_owned(),
        ActionKind::KillThread => "kill_thread".to_owned(),
        ActionKind::Trap(_) => "trap".to_owned(),
        ActionKind::Trace(data) => format!("trace {data}"),
        ActionKind::Emulate => "emulate".to_owned(),
        ActionKind::Allow => "allow".to_owned(),
        ActionKind::Errno(value) => match errno_name(value) {
            Some(name) => format!("errno {name}"),
            None => format!("errno {value}"),
        },
    }
}

/// With its log and its reason.
pub(crate) fn whole_action(one: &Action) -> String {
    with_reason(one.kind, one.log, &one.reason)
}

/// What happens in an outcome.
pub(crate) fn what(said: &Outcome<'_>) -> String {
    with_reason(said.action, said.log, said.reason)
}

fn with_reason(kind: ActionKind, log: bool, reason: &str) -> String {
    let log = if log { " log" } else { "" };
    let reason =
        if reason.is_empty() { String::new() } else { format!(" \"{}\"", visible(reason)) };
    format!("{}{log}{reason}", action(kind))
}

/// Why: "by app.ia2:6:1 (its condition does not hold)".
pub(crate) fn why(policy: &Policy, said: &Outcome<'_>) -> String {
    match said.cause {
        Cause::Rule { index, held } => {
            let place = rule_place(policy, index);
            match policy.rules.get(index).is_some_and(has_condition) {
                true if held => format!("by {place} (its condition holds)"),
                true => format!("by {place} (its condition does not hold)"),
                false => format!("by {place}"),
            }
        }
        Cause::Default => "by default: no rule names it".to_owned(),
        Cause::Unknown => "unknown: newer than the policy".to_owned(),
        Cause::Argument => "an argument cannot be read".to_owned(),
    }
}

fn has_condition(rule: &Rule) -> bool {
    !matches!(rule.when, Expr::True | Expr::False)
}

/// "errno EPERM, by app.ia2:6:1 (its condition does not hold)"
pub(crate) fn outcome(policy: &Policy, said: &Outcome<'_>) -> String {
    format!("{}, {}", what(said), why(policy, said))
}

/// The same for a machine.
pub(crate) fn outcome_json(policy: &Policy, said: &Outcome<'_>) -> Value {
    let mut object = json!({
        "action": action(said.action),
        "log": said.log,
        "reason": said.reason,
        "cause": match said.cause {
            Cause::Rule { .. } => "rule",
            Cause::Default => "default",
            Cause::Unknown => "unknown",
            Cause::Argument => "argument",
        },
    });
    if let Cause::Rule { index, held } = said.cause
        && let Some(rule) = policy.rules.get(index)
    {
        object["held"] = json!(held);
        object["rule"] = super::draw::place(rule.span, &policy.sources);
    }
    object
}

/// Where a rule stands.
pub(crate) fn rule_place(policy: &Policy, index: usize) -> String {
    policy.rules.get(index).map_or_else(String::new, |rule| place(&policy.sources, rule.span))
}

/// `file:line:column`
pub(crate) fn place(sources: &[Source], span: Span) -> String {
    let Some(source) = sources.get(usize::from(span.file)) else { return "?".to_owned() };
    let (line, column) = line_column(&source.text, span.start);
    format!("{}:{line}:{column}", visible(&source.name))
}

/// What stands there, on one line, without comments.
pub(crate) fn text(sources: &[Source], span: Span) -> String {
    let source = sources.get(usize::from(span.file));
    let text = source.and_then(|one| one.text.get(span.start as usize..span.end as usize));
    let lines = text.unwrap_or("").lines().map(without_comment);
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// The line up to its comment; a `#` in a text, or in front of a number, begins none.
fn without_comment(line: &str) -> &str {
    let mut inside = false;
    let mut escaped = false;
    for (at, char) in line.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            '#' if !inside => {
                let next = line.get(at + 1..).and_then(|rest| rest.chars().next());
                if !next.is_some_and(|next| next.is_ascii_digit()) {
                    return line.get(..at).unwrap_or(line);
                }
            }
            _ => {}
        }
    }
    line
}

/// A call's name, or its number.
pub(crate) fn call(nr: u32) -> String {
    calls::name(nr).map_or_else(|| format!("#{nr}"), str::to_owned)
}

/// The number of a call that is written as its name or as `#257`.
///
/// # Errors
/// That there is none, in words.
pub(crate) fn number(name: &str) -> Result<u32, String> {
    if let Some(nr) = name.strip_prefix('#').and_then(|digits| digits.parse().ok()) {
        return Ok(nr);
    }
    calls::by_name(name).map(|call| call.nr).ok_or_else(|| {
        let near = calls::nearest(name).map(|near| format!("; did you mean `{near}`?"));
        format!("no call `{}`{}", visible(name), near.unwrap_or_default())
    })
}

/// "; did you mean `x`?", or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = near::nearest(name, known);
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// "1 call", "2 calls"
pub(crate) fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}
