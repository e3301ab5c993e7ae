//! Expressions.
//!
//! ```text
//! expr     = and { "||" and } ;
//! and      = not { "&&" not } ;
//! not      = "!" not | compare ;
//! compare  = "from" ( WORD | TEXT )
//!          | bits [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" | "has" | "subset" ) bits
//!                 | "in" ( "{" elements "}" | element ) ] ;
//! elements = element { "," element } [ "," ] ;
//! element  = bits [ ".." bits ] ;
//! bits     = shift { ( "&" | "|" | "^" ) shift } ;    (* one operator; more need parentheses: E0111 *)
//! shift    = unary { "<<" unary } ;
//! unary    = ( "~" | "-" ) unary | atom ;
//! atom     = NUMBER | TEXT | "NULL" | WORD [ "(" [ expr { "," expr } ] ")" ] | "(" expr ")" ;
//! ```
//! Where C surprises its own users, parentheses are demanded: `a & b == c` is E0110, and so is
//! `!a == b`. The words `has`, `subset` and `in` are new, so `prot has PROT_READ|PROT_EXEC` can mean what
//! it looks like.

use super::{DEEPEST, Parsed, Parser};
use crate::ast::{BitOp, CompareOp, Element, Expr, ExprKind};
use crate::diag::{Diagnostic, quote};
use crate::lex::Kind;
use crate::policy::Op;
use crate::span::Span;
use crate::text;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What goes on with an expression behind its first word.
pub(super) const OPERATORS: &[&str] = &[
    "==", "!=", "<", "<=", ">", ">=", "&", "|", "^", "<<", "&&", "||", "has", "subset", "in", "=",
    "+", ">>", "..",
];

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.chain("||", Self::and, ExprKind::Or)
    }

    fn and(&mut self) -> Parsed<Expr> {
        self.chain("&&", Self::not, ExprKind::And)
    }

    /// `PART { SIGN PART }`
    fn chain(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Parsed<Expr>,
        all: fn(Vec<Expr>) -> ExprKind,
    ) -> Parsed<Expr> {
        let first = part(self)?;
        if !self.is(sign) {
            return Ok(first);
        }
        let span = first.span;
        let mut parts = vec![first];
        while self.take_if(sign) {
            parts.push(part(self)?);
        }
        Ok(Expr { span: span.to(self.last()), kind: all(parts) })
    }

    /// One level of brackets or signs further down.
    fn deeper<T>(&mut self, part: fn(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            let message = "too many brackets in brackets".to_owned();
            let found = Diagnostic::new("E0011", self.peek().span, message);
            return Err(self.report(found.help("64 is the limit")));
        }
        self.depth = self.depth.saturating_add(1);
        let result = part(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    fn not(&mut self) -> Parsed<Expr> {
        let first = self.peek().span;
        if !self.take_if("!") {
            return self.compare();
        }
        let inner = self.deeper(Self::not)?;
        if let ExprKind::Compare(CompareOp::Order(_), ..) = inner.kind {
            let inside = self.source(inner.span);
            let help = text!("write ", quote(&text!("!(", inside, ")")));
            let message = "`!` before a comparison without parentheses".to_owned();
            let label = "in C, `!` would be applied to the left side alone";
            let span = first.to(inner.span);
            self.findings.push(Diagnostic::new("E0110", span, message).label(label).help(help));
        }
        Ok(Expr { span: first.to(inner.span), kind: ExprKind::Not(Box::new(inner)) })
    }

    fn compare(&mut self) -> Parsed<Expr> {
        let first = self.peek().span;
        if self.is_word("from")
            && matches!(self.ahead(1).kind, Kind::Word | Kind::Text)
            && !self.goes_on(1)
        {
            self.take();
            let name = match self.peek().kind {
                Kind::Text => self.quoted_text("a module")?,
                _ => self.name("a module")?,
            };
            return Ok(Expr { span: first.to(name.span), kind: ExprKind::From(name) });
        }
        let left = self.bits()?;
        let Some(operator) = self.operator() else { return Ok(left) };
        let sign = self.take().span;
        let kind = match operator {
            None => ExprKind::In(Box::new(left), self.elements()?),
            Some(operator) => {
                let right = self.bits()?;
                if matches!(operator, CompareOp::Order(_)) {
                    self.c_trap(&left, sign, &right);
                }
                ExprKind::Compare(operator, Box::new(left), Box::new(right))
            }
        };
        if self.operator().is_some() {
            let message = "a comparison of a comparison".to_owned();
            let found = Diagnostic::new("E0112", self.peek().span, message);
            return Err(self.report(found.help("join two comparisons with `&&`")));
        }
        Ok(Expr { span: first.to(self.last()), kind })
    }

    /// The comparison that the next token stands for; `Some(None)` is `in`.
    fn operator(&self) -> Option<Option<CompareOp>> {
        let operator = match (self.peek().kind, self.word_ahead(0)) {
            (Kind::Sign("=="), _) => CompareOp::Order(Op::Eq),
            (Kind::Sign("!="), _) => CompareOp::Order(Op::Ne),
            (Kind::Sign("<"), _) => CompareOp::Order(Op::Lt),
            (Kind::Sign("<="), _) => CompareOp::Order(Op::Le),
            (Kind::Sign(">"), _) => CompareOp::Order(Op::Gt),
            (Kind::Sign(">="), _) => CompareOp::Order(Op::Ge),
            (_, "has") => CompareOp::Has,
            (_, "subset") => CompareOp::Subset,
            (_, "in") => return Some(None),
            _ => return None,
        };
        Some(Some(operator))
    }

    /// `a & b == c` is `a & (b == c)` in C.
    fn c_trap(&mut self, left: &Expr, sign: Span, right: &Expr) {
        let trap = |side: &Expr| matches!(&side.kind, ExprKind::Bits(op, _) if *op != BitOp::Shl);
        if !trap(left) && !trap(right) {
            return;
        }
        let side = |side: &Expr| -> String {
            let written = self.source(side.span);
            if trap(side) { text!("(", written, ")") } else { written.to_owned() }
        };
        let meant = text!(side(left), " ", self.source(sign), " ", side(right));
        let message = text!("bits and ", quote(self.source(sign)), " without parentheses");
        let span = left.span.to(right.span);
        self.findings.push(
            Diagnostic::new("E0110", span, message)
                .label("in C, the comparison would be made first")
                .help(text!("write ", quote(&meant))),
        );
    }

    /// What stands behind `in`.
    fn elements(&mut self) -> Parsed<Vec<Element>> {
        if self.is("{") { self.list() } else { Ok(vec![self.element()?]) }
    }

    /// `{ A, B..C }`
    pub(super) fn list(&mut self) -> Parsed<Vec<Element>> {
        let first = self.peek().span;
        self.expect("{")?;
        let mut all = Vec::new();
        while !self.is("}") {
            all.push(self.element()?);
            if !self.take_if(",") {
                break;
            }
        }
        if !self.take_if("}") {
            return Err(self.unexpected("`,` or `}`"));
        }
        if all.is_empty() {
            let message = "an empty list: nothing is in it".to_owned();
            let span = first.to(self.last());
            return Err(self.report(Diagnostic::new("E0311", span, message)));
        }
        Ok(all)
    }

    fn element(&mut self) -> Parsed<Element> {
        let low = self.bits()?;
        let high = if self.take_if("..") { Some(self.bits()?) } else { None };
        Ok(Element { low, high })
    }

    pub(super) fn bits(&mut self) -> Parsed<Expr> {
        let first = self.shift()?;
        let Some((operator, sign)) = self.bit_operator() else { return Ok(first) };
        let span = first.span;
        let mut parts = vec![first];
        while let Some((next, found)) = self.bit_operator() {
            if next != operator {
                let message = text!(quote(sign), " and ", quote(found), " without parentheses");
                let help = text!(
                    "write ",
                    quote(&text!("(", self.source(span.to(self.last())), ") ", found, " …")),
                    ", or put them elsewhere"
                );
                return Err(
                    self.report(Diagnostic::new("E0111", self.peek().span, message).help(help))
                );
            }
            self.take();
            parts.push(self.shift()?);
        }
        Ok(Expr { span: span.to(self.last()), kind: ExprKind::Bits(operator, parts) })
    }

    fn bit_operator(&self) -> Option<(BitOp, &'static str)> {
        match self.peek().kind {
            Kind::Sign(sign @ "&") => Some((BitOp::And, sign)),
            Kind::Sign(sign @ "|") => Some((BitOp::Or, sign)),
            Kind::Sign(sign @ "^") => Some((BitOp::Xor, sign)),
            _ => None,
        }
    }

    fn shift(&mut self) -> Parsed<Expr> {
        self.chain("<<", Self::unary, |parts| ExprKind::Bits(BitOp::Shl, parts))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let first = self.peek().span;
        let kind: fn(Box<Expr>) -> ExprKind = match self.peek().kind {
            Kind::Sign("~") => ExprKind::Flip,
            Kind::Sign("-") => ExprKind::Negate,
            _ => return self.atom(),
        };
        self.take();
        let inner = self.deeper(Self::unary)?;
        Ok(Expr { span: first.to(inner.span), kind: kind(Box::new(inner)) })
    }

    fn atom(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let kind = match token.kind {
            Kind::Number(number) => ExprKind::Number(number),
            Kind::Text => {
                let text = self.quoted_text("a text")?;
                return Ok(Expr { span: text.span, kind: ExprKind::Text(text.text) });
            }
            Kind::Sign("(") => {
                self.take();
                let inner = self.deeper(Self::expr)?;
                self.expect(")")?;
                let span = token.span.to(self.last());
                return Ok(Expr { span, kind: ExprKind::Group(Box::new(inner)) });
            }
            Kind::Word if self.begins_next() => return Err(self.unexpected("a value")),
            Kind::Word if self.is_word("NULL") => ExprKind::Null,
            Kind::Word => {
                let name = self.taken();
                if !self.is("(") {
                    return Ok(Expr { span: name.span, kind: ExprKind::Name(name.text) });
                }
                let arguments = self.deeper(Self::arguments)?;
                let span = name.span.to(self.last());
                return Ok(Expr { span, kind: ExprKind::Call(name, arguments) });
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.take();
        Ok(Expr { span: token.span, kind })
    }

    /// Whether this word is no value but the beginning of the next item.
    fn begins_next(&self) -> bool {
        let is_list = matches!(self.ahead(1).kind, Kind::Sign(","));
        !is_list && self.begins_item(0, 0)
    }

    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("(")?;
        let mut all = Vec::new();
        while !self.is(")") {
            all.push(self.expr()?);
            if !self.take_if(",") {
                break;
            }
        }
        if !self.take_if(")") {
            return Err(self.unexpected("`,` or `)`"));
        }
        Ok(all)
    }
}
