//! Rules: one of the text may become several of the policy, where an argument has another place in
//! each of its calls.

use super::names::Names;
use super::number::{Failed, Numbers, Target};
use super::rank::Decided;
use super::settings::Settings;
use crate::ast::{self, Body, Verb};
use crate::diag::{Diagnostic, Findings, quote};
use crate::policy::{Action, Expr, Rule};
use crate::span::Span;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::verdict::EMULATED;

/// The rules, and the number of each call beside the index of its rule.
type Finished = (Vec<Rule>, Vec<(u32, u16)>);

pub(super) struct Rules<'a> {
    names: &'a Names,
    settings: &'a Settings,
    rules: Vec<Rule>,
    calls: Vec<(u32, usize)>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(names: &'a Names, settings: &'a Settings) -> Self {
        Self { names, settings, rules: Vec::new(), calls: Vec::new() }
    }

    pub(super) fn add(&mut self, decided: &Decided<'_>, findings: &mut Findings) {
        let span = decided.item.span;
        match &decided.rule.body {
            Body::Action(action) => {
                emulated(action, decided, findings);
                let then = self.settings.action(action);
                self.unconditional(decided, then);
            }
            Body::Constant(true) => self.unconditional(decided, Action::default()),
            Body::Constant(false) => {
                self.unconditional(decided, self.settings.default.clone());
            }
            Body::When { when, then, otherwise } => {
                for action in [then, otherwise].into_iter().flatten() {
                    emulated(action, decided, findings);
                }
                let meant = |action: &ast::Action| self.settings.action(action);
                let then = then.as_ref().map_or_else(Action::default, meant);
                let otherwise = otherwise.as_ref();
                let otherwise = otherwise.map_or_else(|| self.settings.default.clone(), meant);
                if then == otherwise && !decided.calls.is_empty() {
                    findings.push(same_either_way(when.span));
                }
                self.conditional(decided, when, (then, otherwise), span, findings);
            }
        }
    }

    fn unconditional(&mut self, decided: &Decided<'_>, then: Action) {
        let span = decided.item.span;
        let otherwise = self.settings.default.clone();
        let number = self.rules.len();
        self.rules.push(Rule { span, when: Expr::True, then, otherwise });
        self.calls.extend(decided.calls.iter().map(|reached| (reached.nr, number)));
    }

    fn conditional(
        &mut self,
        decided: &Decided<'_>,
        when: &ast::Expr,
        (then, otherwise): (Action, Action),
        span: Span,
        findings: &mut Findings,
    ) {
        let start = self.rules.len();
        for reached in &decided.calls {
            let mut here = Findings::default();
            let target = Some(Target::new(reached.nr));
            let mut numbers = Numbers { names: self.names, target, findings: &mut here };
            let condition = numbers.condition(when);
            findings.append(here);
            // What is wrong for one call is wrong for others, in the same words.
            let Ok(condition): Result<_, Failed> = condition else { return };
            let ours = self.rules.iter().enumerate().skip(start);
            let same = ours.into_iter().find(|(_, rule)| rule.when == condition);
            let number = match same {
                Some((number, _)) => number,
                None => {
                    let (then, otherwise) = (then.clone(), otherwise.clone());
                    self.rules.push(Rule { span, when: condition, then, otherwise });
                    self.rules.len().saturating_sub(1)
                }
            };
            self.calls.push((reached.nr, number));
        }
    }

    /// The rules, and which of them each call has.
    pub(super) fn finish(self, findings: &mut Findings) -> Option<Finished> {
        let Self { rules, calls, .. } = self;
        let mut all: Vec<(u32, u16)> = Vec::new();
        for (nr, number) in calls {
            let Ok(number) = u16::try_from(number) else {
                let message = String::from("more than 65536 rules");
                let span = rules.last().map_or_else(Span::default, |rule| rule.span);
                findings.push(Diagnostic::new("E0012", span, message));
                return None;
            };
            all.push((nr, number));
        }
        all.sort_unstable();
        Some((rules, all))
    }
}

/// A condition in a blocklist, say, whose `else` was forgotten.
fn same_either_way(span: Span) -> Diagnostic {
    let message = "whether this holds or not, the same happens".into();
    let help = "say what happens if it does not hold: `else errno EPERM`";
    Diagnostic::new("W0205", span, message).help(help)
}

/// Complains if the shim has no emulation of one of the calls.
fn emulated(action: &ast::Action, decided: &Decided<'_>, findings: &mut Findings) {
    if action.verb != Verb::Emulate {
        return;
    }
    let strange = decided.calls.iter().find(|reached| EMULATED.binary_search(&reached.nr).is_err());
    if let Some(strange) = strange {
        let name = quote(&super::names::name_of(strange.nr));
        let message = text!("this version has no emulation of ", name);
        let found = Diagnostic::new("E0503", action.span, message);
        let mut help = String::from("it has one of ");
        for (count, nr) in EMULATED.iter().enumerate() {
            help.push_str(if count == 0 { "" } else { ", " });
            help.push_str(&super::names::name_of(*nr));
        }
        findings.push(found.help(help));
    }
}
