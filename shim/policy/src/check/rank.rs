//! Which rule each call has.
//!
//! 1. A rule with `override`, or of a command line, takes a call from every rule of the texts that its own
//!    text includes.
//! 2. Of what is left, a rule that names a call outranks one that reaches it through a set.
//! 3. If there are still two, the policy is wrong (E0201). Nothing is joined, and the order of rules
//!    says nothing.

use super::names::{Names, name_of, named_twice};
use crate::ast::{Item, ItemKind, Rule, SelectorKind};
use crate::diag::{Diagnostic, Findings, decimal, quote};
use crate::load::Program;
use crate::span::Span;
use crate::text;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// A rule, and the calls that it decides.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    pub(super) item: &'a Item,
    pub(super) rule: &'a Rule,
    /// Sorted; with the place where the rule reaches it, and whether by name.
    pub(super) calls: Vec<Reached>,
}

/// A call, as a rule reaches it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) nr: u32,
    pub(super) named: bool,
    pub(super) span: Span,
}

/// That rule number `rule` would decide a call.
#[derive(Clone, Copy)]
struct Claim {
    rule: usize,
    reached: Reached,
}

/// What became of the claims of one rule.
#[derive(Clone, Copy, Default)]
struct Fate {
    claims: usize,
    /// Taken by another text's `override`.
    overridden: bool,
    /// It took one by `override`.
    overrides: bool,
    /// It is one of two.
    disputed: bool,
}

/// Two rules of one rank, and the calls that both would decide.
struct Dispute {
    first: Reached,
    second: Reached,
    calls: usize,
}

pub(super) fn decide<'a>(
    program: &'a Program,
    names: &Names,
    findings: &mut Findings,
) -> Vec<Decided<'a>> {
    let mut all: Vec<Decided<'a>> = Vec::new();
    for item in &program.items {
        if let ItemKind::Rule(rule) = &item.kind {
            all.push(Decided { item, rule, calls: Vec::new() });
        }
    }
    let mut fates = alloc::vec![Fate::default(); all.len()];
    let mut disputes = BTreeMap::new();
    for claims in claims(&all, names, findings).values() {
        let winner = one_of(claims, program, &all, &mut fates, &mut disputes);
        if let Some(decided) = winner.and_then(|winner| all.get_mut(winner.rule)) {
            decided.calls.extend(winner.map(|winner| winner.reached));
        }
    }
    for dispute in disputes.values() {
        findings.push(disputed(dispute, program));
    }
    for (decided, fate) in all.iter().zip(&fates) {
        report(decided, *fate, program, findings);
    }
    all
}

fn is_override(item: &Item, rule: &Rule, program: &Program) -> bool {
    rule.overrides || program.is_command_line(item.span.file)
}

/// Who would decide each call.
fn claims(
    all: &[Decided<'_>],
    names: &Names,
    findings: &mut Findings,
) -> BTreeMap<u32, Vec<Claim>> {
    let mut claims: BTreeMap<u32, Vec<Claim>> = BTreeMap::new();
    for (number, Decided { rule, .. }) in all.iter().enumerate() {
        named_twice(&rule.selectors, findings);
        for selector in &rule.selectors {
            let named = !matches!(selector.kind, SelectorKind::Set(_));
            for nr in names.calls(selector, findings).iter() {
                let of_call = claims.entry(*nr).or_default();
                let reached = Reached { nr: *nr, named, span: selector.span };
                match of_call.last_mut() {
                    Some(last) if last.rule == number => {
                        if named && !last.reached.named {
                            last.reached = reached;
                        }
                    }
                    _ => of_call.push(Claim { rule: number, reached }),
                }
            }
        }
    }
    claims
}

/// The claim that counts, of those on one call.
fn one_of(
    claims: &[Claim],
    program: &Program,
    rules: &[Decided<'_>],
    fates: &mut [Fate],
    disputes: &mut BTreeMap<(usize, usize), Dispute>,
) -> Option<Claim> {
    let item = |claim: &Claim| rules.get(claim.rule);
    // The texts that override this call, each with one rule that does.
    let mut overriding: BTreeMap<u16, usize> = BTreeMap::new();
    for claim in claims {
        if let Some(fate) = fates.get_mut(claim.rule) {
            fate.claims = fate.claims.saturating_add(1);
        }
        if let Some(by) = item(claim).filter(|by| is_override(by.item, by.rule, program)) {
            overriding.insert(by.item.span.file, claim.rule);
        }
    }
    let mut left: Vec<Claim> = Vec::new();
    for claim in claims {
        let Some(Decided { item, .. }) = item(claim) else { continue };
        let taken = overriding.iter().find(|(file, _)| program.includes(**file, item.span.file));
        let Some((_, by)) = taken else {
            left.push(*claim);
            continue;
        };
        if let Some(fate) = fates.get_mut(claim.rule) {
            fate.overridden = true;
        }
        if let Some(fate) = fates.get_mut(*by) {
            fate.overrides = true;
        }
    }
    if left.iter().any(|claim| claim.reached.named) {
        left.retain(|claim| claim.reached.named);
    }
    let mut left = left.into_iter();
    let first = left.next()?;
    for second in left {
        for claim in [&first, &second] {
            if let Some(fate) = fates.get_mut(claim.rule) {
                fate.disputed = true;
            }
        }
        let (first, rules) = (first.reached, (first.rule, second.rule));
        let dispute = Dispute { first, second: second.reached, calls: 0 };
        let dispute = disputes.entry(rules).or_insert(dispute);
        dispute.calls = dispute.calls.saturating_add(1);
    }
    Some(first)
}

fn disputed(dispute: &Dispute, program: &Program) -> Diagnostic {
    let Dispute { first, second, calls } = dispute;
    let mut which = quote(&name_of(first.nr));
    let others = u64::try_from(calls.saturating_sub(1)).unwrap_or(u64::MAX);
    match others {
        0 => which.push_str(" has"),
        1 => which.push_str(" and another call have"),
        _ => which = text!(which, " and ", decimal(others), " other calls have"),
    }
    let message = text!(which, " two rules of the same rank");
    let help = if program.includes(second.span.file, first.span.file) {
        "to replace the rule of an included text, begin this one with `override`"
    } else if first.named {
        "join both conditions in one rule, with `&&` or `||`"
    } else {
        "give the call a rule that names it: that outranks both"
    };
    Diagnostic::new("E0201", second.span, message).also(first.span, "the first rule").help(help)
}

fn report(decided: &Decided<'_>, fate: Fate, program: &Program, findings: &mut Findings) {
    let Decided { item, rule, calls } = decided;
    let span = rule.selectors.first().map_or(item.span, |first| first.span);
    if rule.overrides && !fate.overrides && !program.incomplete && fate.claims > 0 {
        let has_includes = program.has_includes(item.span.file);
        let (code, message) = match has_includes {
            true => ("W0202", "no included rule is overridden by this one"),
            false => ("E0202", "`override` without an `include` or `use`"),
        };
        let found = Diagnostic::new(code, span, String::from(message));
        findings.push(found.help("only rules of included texts can be overridden"));
    }
    if calls.is_empty() && fate.claims > 0 && !fate.overridden && !fate.disputed {
        let message = String::from("this rule decides nothing");
        let found = Diagnostic::new("W0204", span, message);
        findings.push(found.help("all its calls have rules that name them"));
    }
}
