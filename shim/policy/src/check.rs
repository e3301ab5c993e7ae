//! What was written → what is meant.
//!
//! | step | file |
//! |---|---|
//! | constants and sets, in the order in which they stand | `names` |
//! | `default`, `unknown`, `baseline`, `mode`, `memory` | `settings` |
//! | which rule each call has | `rank` |
//! | each rule's condition, for each of its calls | `rules`, `condition`, `list`, `number`, `lookup` |
//! | `files` items and path patterns | `files` |
//! | `#?` lines | `tests` |
//! | what a policy should not forget | `lint` |
//!
//! A condition is checked once for every call that its rule decides, since a name may mean another
//! argument in each. Calls with the same result share a rule of the [`Policy`].

mod condition;
mod files;
mod lint;
mod list;
mod lookup;
mod names;
mod number;
mod rank;
mod rules;
mod settings;
mod tests;

use crate::diag::Findings;
use crate::load::Program;
use crate::policy::{Policy, Source};

/// The policy, unless something in it is wrong.
pub(crate) fn check(
    program: &Program,
    sources: &[Source],
    findings: &mut Findings,
) -> Option<Policy> {
    let mut names = names::Names::of(program, findings);
    let settings = settings::settings(program, findings);
    let files = files::items(program, findings);
    names.has_files = !files.is_empty();
    let decided = rank::decide(program, &names, findings);
    let mut rules = rules::Rules::new(&names, &settings);
    for rule in &decided {
        rules.add(rule, findings);
    }
    let tests = tests::tests(program, &names, findings);
    if findings.is_error() {
        return None;
    }
    let (rules, calls) = rules.finish(findings)?;
    let header = program.header.as_ref();
    let policy = Policy {
        name: header.map(|header| header.name.text.clone()).unwrap_or_default(),
        version: header.map_or(1, |header| header.version),
        sources: sources.to_vec(),
        baseline: settings.baseline,
        memory: settings.memory,
        default: settings.default.clone(),
        unknown: settings.unknown.clone(),
        rules,
        calls,
        files,
        tests,
    };
    lint::lint(&policy, program, &settings, &decided, findings);
    Some(policy)
}
