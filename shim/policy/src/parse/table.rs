//! The literal table: `{ { "sys_read", "fd == 0" }, … };`, an array of pairs as it stands in C.
//!
//! It says `default kill_process`, for that is what became of every other call in the proposal it
//! comes from.

use super::{Failed, Parsed, Parser};
use crate::ast::{Action, File, Item, ItemKind, Name, Rule, Verb};
use crate::diag::Diagnostic;
use crate::lex::{self, Kind};
use crate::span::Span;
use alloc::borrow::ToOwned;
use alloc::string::String;

impl Parser<'_> {
    pub(super) fn table(&mut self, all: &mut File) {
        let first = self.take().span;
        for kind in [ItemKind::Default, ItemKind::Unknown] {
            let reason = String::new();
            let action = Action { span: first, verb: Verb::KillProcess, log: false, reason };
            all.items.push(Item { span: first, kind: kind(action) });
        }
        while !self.is("}") && self.peek().kind != Kind::End {
            let first = self.peek().span;
            match self.row() {
                Ok(Some(rule)) => {
                    let span = first.to(self.last());
                    all.items.push(Item { span, kind: ItemKind::Rule(rule) });
                }
                Ok(None) => {}
                Err(Failed) => self.next_row(),
            }
            if !self.take_if(",") && !self.is("}") {
                let _ = self.unexpected("`,` or `}`");
                self.next_row();
                self.take_if(",");
            }
        }
        if self.expect("}").is_err() {
            return;
        }
        self.take_if(";");
        if self.peek().kind != Kind::End {
            let _ = self.unexpected("nothing behind the table");
        }
    }

    /// Up to the comma behind this row, or the end.
    fn next_row(&mut self) {
        while !matches!(self.peek().kind, Kind::End) {
            if self.take_if("}") {
                return;
            }
            if self.is("{") {
                return;
            }
            self.take();
        }
    }

    /// `{ TEXT, TEXT }`; `None` if what the texts say was complained of.
    fn row(&mut self) -> Parsed<Option<Rule>> {
        self.expect("{")?;
        let call = self.pair_text("the name of a call in quotes")?;
        self.expect(",")?;
        let condition = self.pair_text("a condition in quotes")?;
        self.expect("}")?;
        let selectors = self.inside(call, |parser| parser.selectors());
        let body = self.inside(condition, |parser| parser.body());
        Ok(match (selectors, body) {
            (Ok(selectors), Ok(body)) => Some(Rule { overrides: false, selectors, body }),
            _ => None,
        })
    }

    fn pair_text(&mut self, wanted: &str) -> Parsed<Span> {
        let token = self.peek();
        match token.kind {
            Kind::Text => Ok(self.take().span),
            _ => Err(self.unexpected(wanted)),
        }
    }

    /// What stands between the quotes at `span`.
    fn inside<T>(&mut self, span: Span, part: fn(&mut Parser<'_>) -> Parsed<T>) -> Parsed<T> {
        let tokens = lex::lex_quoted(self.text, span, self.findings);
        let mut parser = Parser::new(self.text, &tokens.policy, self.findings);
        parser.quoted = true;
        if parser.peek().kind == Kind::End {
            let message = "nothing between the quotes".to_owned();
            return Err(parser.report(Diagnostic::new("E0010", span, message)));
        }
        let result = part(&mut parser)?;
        if parser.peek().kind != Kind::End {
            return Err(parser.unexpected("the end of the text"));
        }
        Ok(result)
    }
}

/// The name of a table is that of its file.
pub(crate) fn name_of(source: &str) -> Name {
    let file = source.rsplit('/').next().unwrap_or(source);
    let file = file.rsplit(':').next().unwrap_or(file);
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    Name { text: stem.to_owned(), span: Span::default() }
}
