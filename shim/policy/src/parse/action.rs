//! Actions.
//!
//! ```text
//! action   = ( "allow" | "deny" | "errno" ( WORD | NUMBER ) | "kill_process" | "kill_thread"
//!          | "trap" [ NUMBER ] | "trace" NUMBER | "emulate" ) { "log" | TEXT } ;
//! ```

use super::{Failed, Parsed, Parser};
use crate::ast::{Action, Verb};
use crate::diag::{Diagnostic, decimal, quote};
use crate::lex::Kind;
use crate::span::Span;
use crate::text;
use ia2_core::{constants, near};

/// The words that begin an action.
pub(super) const VERBS: &[&str] = &[
    "allow",
    "deny",
    "errno",
    "kill_process",
    "kill_thread",
    "trap",
    "trace",
    "emulate",
    "notify",
    "broker",
];

impl Parser<'_> {
    /// A word alone that is like an action and like nothing else.
    pub(super) fn is_nearly_verb(&self) -> Option<&'static str> {
        if self.goes_on(1) || matches!(self.ahead(1).kind, Kind::Sign("(")) {
            return None;
        }
        let word = self.word_ahead(0);
        match word {
            "kill" => Some("kill_process"),
            "log" => Some("allow log"),
            "eperm" | "EPERM" => Some("errno EPERM"),
            _ => near::nearest(word, VERBS.iter().copied()),
        }
    }

    pub(super) fn unknown_action(&mut self, meant: Option<&str>) -> Failed {
        let token = self.peek();
        if token.kind != Kind::Word {
            return self.unexpected("an action");
        }
        let help = match meant {
            Some(meant) => text!("did you mean ", quote(meant), "?"),
            None => {
                "actions are allow, deny, errno, kill_process, kill_thread, trap, trace, emulate"
                    .into()
            }
        };
        let message = text!("unknown action ", self.shown(token));
        self.report(Diagnostic::new("E0106", token.span, message).help(help))
    }

    pub(super) fn action(&mut self) -> Parsed<Action> {
        let first = self.peek().span;
        let verb = match self.word_ahead(0) {
            "allow" => Verb::Allow,
            "deny" => Verb::Deny,
            "kill_process" => Verb::KillProcess,
            "kill_thread" => Verb::KillThread,
            "emulate" => Verb::Emulate,
            "errno" => {
                self.take();
                return self.errno(first);
            }
            "trap" => {
                self.take();
                let number = match self.peek().kind {
                    Kind::Number(_) => self.small("the number for `si_errno`")?,
                    _ => 0,
                };
                return self.modifiers(first, Verb::Trap(number));
            }
            "trace" => {
                self.take();
                let number = self.small("the number for the tracer")?;
                return self.modifiers(first, Verb::Trace(number));
            }
            reserved @ ("notify" | "broker") => {
                return Err(self.not_in_this_version(first, reserved));
            }
            _ => {
                let meant = self.is_nearly_verb();
                return Err(self.unknown_action(meant));
            }
        };
        self.take();
        self.modifiers(first, verb)
    }

    fn errno(&mut self, first: Span) -> Parsed<Action> {
        let token = self.peek();
        let number = match token.kind {
            Kind::Number(_) => {
                // The kernel cuts off at MAX_ERRNO; 0 pretends that the call was made.
                u16::try_from(self.number(0, 4095, "the number of an error")?).unwrap_or(0)
            }
            Kind::Word => {
                let name = self.source(token.span);
                let Some(number) = constants::errno(name) else {
                    let known = constants::Set::ERRNO.constants().map(|(known, _)| known);
                    let help = near::nearest(name, known);
                    let help = help.map(|known| text!("did you mean ", quote(known), "?"));
                    let message = text!("unknown error ", quote(name));
                    let found = Diagnostic::new("E0106", token.span, message);
                    return Err(self.report(found.help(help.unwrap_or_default())));
                };
                self.take();
                number
            }
            _ => return Err(self.unexpected_with("an error", "as in `errno EPERM`")),
        };
        self.modifiers(first, Verb::Errno(number))
    }

    fn modifiers(&mut self, first: Span, verb: Verb) -> Parsed<Action> {
        let (mut log, mut reason) = (false, None);
        loop {
            if !log && self.take_word("log") {
                log = true;
            } else if reason.is_none() && self.peek().kind == Kind::Text {
                reason = Some(self.quoted_text("a reason")?.text);
            } else {
                let span = first.to(self.last());
                return Ok(Action { span, verb, log, reason: reason.unwrap_or_default() });
            }
        }
    }

    fn small(&mut self, wanted: &str) -> Parsed<u16> {
        let number = self.number(0, u64::from(u16::MAX), wanted)?;
        Ok(u16::try_from(number).unwrap_or(u16::MAX))
    }

    pub(super) fn number(&mut self, least: u64, most: u64, wanted: &str) -> Parsed<u64> {
        let token = self.peek();
        let Kind::Number(number) = token.kind else {
            return Err(self.unexpected(wanted));
        };
        self.take();
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        let message = text!(wanted, " is at most ", decimal(most));
        Err(self.report(Diagnostic::new("E0108", token.span, message)))
    }
}
