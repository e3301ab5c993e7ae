//! Tokens → what was written.
//!
//! ```text
//! file     = header { item } | table ;
//! header   = "policy" WORD "version" NUMBER ;       (* may be missing in an included file *)
//! item     = "baseline" "linux" VERSION
//!          | "default" action | "unknown" action
//!          | "mode" ( "allowlist" | "blocklist" )
//!          | "memory" ( "off" | memory { "," memory } )          (* memory: map, wx, scan *)
//!          | "include" TEXT | "use" WORD
//!          | "const" WORD "=" ( bits | "{" elements "}" )
//!          | "set" SET "=" "{" [ selectors [ "," ] ] "}"
//!          | "files" WORD TEXT { "," TEXT } [ "except" TEXT { "," TEXT } ]
//!          | [ "override" ] selectors ":" body ;
//! selectors = selector { "," selector } ;
//! selector = [ "?" ] ( WORD | SET ) | "#" NUMBER ;
//! body     = action | "1" | "0" | expr [ "then" action ] [ "else" action ] ;
//! test     = "#?" selector "(" [ bits { "," bits } ] ")" "->" action ;
//! table    = "{" { "{" TEXT "," TEXT "}" [ "," ] } "}" [ ";" ] ;
//! ```
//! Actions are in `action`, expressions in `expr`. No word is reserved: `mode` begins an item and is an
//! argument of `open`, for an item and a name in a rule are followed by different things.
//!
//! After a mistake everything is skipped up to what looks like the next item: the first token of a line
//! that is the word of an item or a selector before `:` or `,`. Inside of brackets that is not enough,
//! for a list goes over lines; there the line must also not be indented further than the item.

mod action;
mod expr;
mod table;

pub(crate) use table::name_of as name_of_table;

use crate::ast::{
    Body, ConstValue, Expr, File, Header, Item, ItemKind, Name, Rule, Selector, SelectorKind, Test,
};
use crate::diag::{Diagnostic, Findings, quote};
use crate::lex::{self, Kind, Token};
use crate::span::Span;
use crate::text;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls::Version;
use ia2_core::verdict::Memory;
use ia2_core::{calls, near};

/// The words that begin an item.
const ITEMS: &[&str] = &[
    "baseline", "default", "unknown", "mode", "memory", "include", "use", "const", "set", "files",
    "override", "policy", "net", "layer", "require",
];

/// More brackets in brackets nobody reads, and recursion has an end.
const DEEPEST: u8 = 64;

/// A mistake that has been reported.
pub(crate) struct Failed;

/// What a part of the text says, unless it has been complained of.
pub(crate) type Parsed<T> = Result<T, Failed>;

/// What a whole text says.
pub fn parse(text: &str, file: u16, findings: &mut Findings) -> File {
    let tokens = lex::lex(text, file, findings);
    let mut all = File::default();
    let mut parser = Parser::new(text, &tokens.policy, findings);
    if parser.is("{") {
        all.is_table = true;
        parser.table(&mut all);
    } else {
        parser.file(&mut all);
    }
    for (span, tokens) in &tokens.tests {
        if let Ok(test) = Parser::new(text, tokens, findings).test(*span) {
            all.tests.push(test);
        }
    }
    all
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    depth: u8,
    /// Inside of the quotes of a table.
    quoted: bool,
    findings: &'a mut Findings,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, tokens: &'a [Token], findings: &'a mut Findings) -> Self {
        Self { text, tokens, at: 0, depth: 0, quoted: false, findings }
    }

    // ---- looking at tokens

    fn ahead(&self, count: usize) -> Token {
        let end = Token { kind: Kind::End, span: Span::default(), indent: Some(0) };
        let found = self.at.checked_add(count).and_then(|at| self.tokens.get(at));
        found.or(self.tokens.last()).copied().unwrap_or(end)
    }

    fn peek(&self) -> Token {
        self.ahead(0)
    }

    fn last(&self) -> Span {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or_else(|| self.peek().span, |token| token.span)
    }

    fn source(&self, span: Span) -> &'a str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn word_ahead(&self, count: usize) -> &'a str {
        let token = self.ahead(count);
        if token.kind == Kind::Word { self.source(token.span) } else { "" }
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek().kind, Kind::Sign(found) if found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        self.word_ahead(0) == word
    }

    // ---- taking them

    fn take(&mut self) -> Token {
        let token = self.peek();
        if token.kind != Kind::End {
            self.at = self.at.saturating_add(1);
        }
        token
    }

    fn take_if(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.take();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.take_if(sign) { Ok(()) } else { Err(self.unexpected(&quote(sign))) }
    }

    fn name(&mut self, wanted: &str) -> Parsed<Name> {
        let token = self.peek();
        match token.kind {
            Kind::Word => Ok(self.taken()),
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn taken(&mut self) -> Name {
        let span = self.take().span;
        Name { text: self.source(span).to_owned(), span }
    }

    fn quoted_text(&mut self, wanted: &str) -> Parsed<Name> {
        let token = self.peek();
        if token.kind != Kind::Text {
            return Err(self.unexpected(wanted));
        }
        self.take();
        let text = lex::unescape(self.text, token, self.quoted, self.findings);
        Ok(Name { text: text.unwrap_or_default(), span: token.span })
    }

    // ---- complaining

    fn report(&mut self, found: Diagnostic) -> Failed {
        self.findings.push(found);
        Failed
    }

    fn shown(&self, token: Token) -> String {
        match token.kind {
            Kind::End => "the end".to_owned(),
            Kind::Text => "a text".to_owned(),
            _ => quote(self.source(token.span)),
        }
    }

    /// The token is not what stands here. What is not even a token was reported before.
    fn unexpected(&mut self, wanted: &str) -> Failed {
        self.unexpected_with(wanted, "")
    }

    fn unexpected_with(&mut self, wanted: &str, help: &str) -> Failed {
        let token = self.peek();
        if token.kind == Kind::Bad {
            return Failed;
        }
        let help = match (token.kind, self.word_ahead(0)) {
            _ if !help.is_empty() => help,
            (Kind::Sign("="), _) => "to compare, write `==`",
            (Kind::Sign(">>"), _) => "there is no `>>`: shift the other side with `<<`",
            (Kind::CallNumber(_), _) => {
                "`#` before a digit is the number of a call; a comment has a space there"
            }
            (_, "and") => "write `&&`",
            (_, "or") => "write `||`",
            (_, "not") => "write `!`",
            _ => "",
        };
        let message = text!("expected ", wanted, ", found ", self.shown(token));
        let span = match token.kind {
            // Not the empty line behind the last one.
            Kind::End if self.at > 0 => Span { start: self.last().end, ..self.last() },
            _ => token.span,
        };
        self.report(Diagnostic::new("E0010", span, message).help(help))
    }

    fn not_in_this_version(&mut self, span: Span, what: &str) -> Failed {
        let message = text!(quote(what), " is not in this version");
        self.report(Diagnostic::new("E0501", span, message))
    }

    // ---- items

    fn file(&mut self, all: &mut File) {
        if self.is_word("policy") {
            let start = self.at;
            match self.header() {
                Ok(header) => all.header = Some(header),
                Err(Failed) => {
                    all.headless = true;
                    self.recover(start);
                }
            }
        }
        while self.peek().kind != Kind::End {
            let start = self.at;
            let first = self.peek().span;
            match self.item(all) {
                Ok(kind) => {
                    let item = Item { span: first.to(self.last()), kind };
                    self.take_if(";");
                    if !self.goes_wrong() {
                        all.items.push(item);
                        continue;
                    }
                    let Failed = self.unexpected("the end of the item");
                    // What a definition defines is known all the same.
                    if !matches!(item.kind, ItemKind::Rule(_)) {
                        all.items.push(item);
                    }
                    self.recover(self.at);
                }
                Err(Failed) => self.recover(start),
            }
        }
    }

    /// Goes on behind the mistake in the item that begins at token `start`.
    fn recover(&mut self, start: usize) {
        if self.at == start {
            self.take();
        }
        let indent = self.tokens.get(start).and_then(|first| first.indent).unwrap_or(0);
        let mut depth = 0u32;
        for token in self.tokens.get(start..self.at).unwrap_or_default() {
            depth = deeper(depth, token.kind);
        }
        loop {
            let token = self.peek();
            if token.kind == Kind::End || self.begins_item(depth, indent) {
                return;
            }
            depth = deeper(depth, token.kind);
            self.take();
        }
    }

    /// Whether something that is no item stands behind one, in the same line.
    fn goes_wrong(&self) -> bool {
        let token = self.peek();
        let word = self.word_ahead(0);
        let is_item = match (token.kind, self.ahead(1).kind) {
            (Kind::Word | Kind::Set | Kind::CallNumber(_), Kind::Sign(":" | ",")) => true,
            (Kind::Word, _) => ITEMS.contains(&word),
            (kind, _) => matches!(kind, Kind::End | Kind::Sign("?")),
        };
        token.indent.is_none() && !is_item
    }

    fn begins_item(&self, depth: u32, indent: u32) -> bool {
        let token = self.peek();
        let Some(here) = token.indent else { return false };
        if depth > 0 && here > indent {
            return false;
        }
        let next = self.ahead(1).kind;
        let is_selector = match next {
            Kind::Sign(":") => true,
            Kind::Sign(",") => depth == 0,
            _ => false,
        };
        match token.kind {
            Kind::Word if is_selector => true,
            Kind::Word => {
                let is_item = ITEMS.contains(&self.word_ahead(0));
                let next = matches!(next, Kind::Word | Kind::Set | Kind::Text);
                is_item && next && !self.goes_on(1)
            }
            Kind::Set | Kind::CallNumber(_) => is_selector,
            Kind::Sign("?") => matches!(next, Kind::Word | Kind::Set),
            _ => false,
        }
    }

    fn header(&mut self) -> Parsed<Header> {
        let first = self.take().span;
        let name = self.name("the policy's name")?;
        if !self.take_word("version") {
            return Err(self.unexpected("`version`"));
        }
        let version = self.number(0, u64::from(u32::MAX), "the policy's version")?;
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        Ok(Header { span: first.to(self.last()), name, version })
    }

    fn item(&mut self, all: &mut File) -> Parsed<ItemKind> {
        let token = self.peek();
        let is_selector = matches!(self.ahead(1).kind, Kind::Sign(":" | ","));
        if token.kind != Kind::Word || is_selector {
            return Ok(ItemKind::Rule(self.rule()?));
        }
        match self.word_ahead(0) {
            "baseline" => {
                self.take();
                self.baseline()
            }
            "default" => {
                self.take();
                Ok(ItemKind::Default(self.action()?))
            }
            "unknown" => {
                self.take();
                Ok(ItemKind::Unknown(self.action()?))
            }
            "mode" => {
                self.take();
                self.mode()
            }
            "memory" => {
                self.take();
                self.memory()
            }
            "include" => {
                self.take();
                Ok(ItemKind::Include(self.quoted_text("the name of a file in quotes")?))
            }
            "use" => {
                self.take();
                Ok(ItemKind::Use(self.name("the name of a built-in policy")?))
            }
            "const" => {
                self.take();
                self.constant(all)
            }
            "set" => {
                self.take();
                self.set(all)
            }
            "files" => {
                self.take();
                self.files()
            }
            "policy" => {
                let help = "`policy NAME version N` is the first thing in a file, once";
                let message = "a second header, or one that is not the first thing".to_owned();
                Err(self.report(Diagnostic::new("E0002", token.span, message).help(help)))
            }
            reserved @ ("net" | "layer" | "require") => {
                let failed = self.not_in_this_version(token.span, reserved);
                self.take();
                self.skip_block();
                Err(failed)
            }
            _ => Ok(ItemKind::Rule(self.rule()?)),
        }
    }

    /// Behind a word that is reserved: what stands between braces is not looked at.
    fn skip_block(&mut self) {
        while matches!(self.peek().kind, Kind::Word | Kind::Text) && self.peek().indent.is_none() {
            self.take();
        }
        if !self.is("{") {
            return;
        }
        let mut depth = 0u32;
        loop {
            let kind = self.take().kind;
            depth = deeper(depth, kind);
            if depth == 0 || kind == Kind::End {
                return;
            }
        }
    }

    fn baseline(&mut self) -> Parsed<ItemKind> {
        if !self.take_word("linux") {
            return Err(self.unexpected("`linux`"));
        }
        let token = self.peek();
        let version = match token.kind {
            Kind::Version => version(self.source(token.span)),
            _ => None,
        };
        let Some(version) = version else {
            return Err(self.unexpected("a version of Linux, as in `6.3`"));
        };
        self.take();
        Ok(ItemKind::Baseline(version))
    }

    fn mode(&mut self) -> Parsed<ItemKind> {
        let blocklist = match self.word_ahead(0) {
            "blocklist" => true,
            "allowlist" => false,
            _ => return Err(self.unexpected("`allowlist` or `blocklist`")),
        };
        self.take();
        Ok(ItemKind::Mode(blocklist))
    }

    fn memory(&mut self) -> Parsed<ItemKind> {
        let mut memory = Memory::default();
        if self.take_word("off") {
            return Ok(ItemKind::Memory(memory));
        }
        loop {
            memory.map = true;
            match self.word_ahead(0) {
                "map" => {}
                "wx" => memory.wx = true,
                "scan" => memory.scan = true,
                _ => return Err(self.unexpected("`map`, `wx`, `scan` or `off`")),
            }
            self.take();
            if !self.take_if(",") {
                return Ok(ItemKind::Memory(memory));
            }
        }
    }

    fn constant(&mut self, all: &mut File) -> Parsed<ItemKind> {
        let name = self.name("a name for the constant")?;
        let value = self.constant_value();
        if value.is_err() {
            all.broken.push(name.text.clone());
        }
        Ok(ItemKind::Const { name, value: value? })
    }

    fn constant_value(&mut self) -> Parsed<ConstValue> {
        self.expect("=")?;
        if self.is("{") {
            return Ok(ConstValue::List(self.list()?));
        }
        Ok(ConstValue::Number(self.bits()?))
    }

    fn set(&mut self, all: &mut File) -> Parsed<ItemKind> {
        if self.peek().kind != Kind::Set {
            let help = "the name of a set begins with `@`";
            return Err(self.unexpected_with("a name for the set", help));
        }
        let name = self.taken();
        let members = self.members();
        if members.is_err() {
            all.broken.push(name.text.clone());
        }
        Ok(ItemKind::Set { name, members: members? })
    }

    fn members(&mut self) -> Parsed<Vec<Selector>> {
        self.expect("=")?;
        self.expect("{")?;
        let mut members = Vec::new();
        while !self.is("}") {
            members.push(self.selector()?);
            if !self.take_if(",") {
                break;
            }
        }
        if !self.take_if("}") {
            return Err(self.unexpected("`,` or `}`"));
        }
        Ok(members)
    }

    fn files(&mut self) -> Parsed<ItemKind> {
        let access = self.name("`ro`, `rw`, `rx` or `create`")?;
        let paths = self.texts("a path in quotes")?;
        let except = match self.take_word("except") {
            true => self.texts("a path in quotes")?,
            false => Vec::new(),
        };
        Ok(ItemKind::Files { access, paths, except })
    }

    fn texts(&mut self, wanted: &str) -> Parsed<Vec<Name>> {
        let mut all = Vec::new();
        loop {
            all.push(self.quoted_text(wanted)?);
            if !self.take_if(",") {
                return Ok(all);
            }
        }
    }

    // ---- rules

    fn rule(&mut self) -> Parsed<Rule> {
        let overrides =
            self.is_word("override") && !matches!(self.ahead(1).kind, Kind::Sign(":" | ","));
        if overrides {
            self.take();
        }
        let selectors = self.selectors()?;
        if !self.is(":") {
            return Err(self.no_colon(&selectors));
        }
        self.take();
        Ok(Rule { overrides, selectors, body: self.body()? })
    }

    /// There is a word, but it begins neither an item nor a rule.
    fn no_colon(&mut self, selectors: &[Selector]) -> Failed {
        let [Selector { kind: SelectorKind::Call(name), span, .. }] = selectors else {
            return self.unexpected("`,` or `:`");
        };
        if calls::number(name).is_some() {
            let help = text!("a rule is written `", name, " : CONDITION`");
            return self.unexpected_with("`:`", &help);
        }
        let known = near::nearest(name, ITEMS.iter().copied());
        let help = match known {
            Some(known) => text!("did you mean ", quote(known), "?"),
            None => {
                "an item begins with a word such as `set`, a rule is `CALL : CONDITION`".to_owned()
            }
        };
        let message = text!(quote(name), " begins neither an item nor a rule");
        self.report(Diagnostic::new("E0101", *span, message).help(help))
    }

    fn selectors(&mut self) -> Parsed<Vec<Selector>> {
        let mut all = Vec::new();
        loop {
            all.push(self.selector()?);
            if !self.take_if(",") {
                return Ok(all);
            }
        }
    }

    fn selector(&mut self) -> Parsed<Selector> {
        let first = self.peek();
        let optional = self.take_if("?");
        let token = self.peek();
        let kind = match token.kind {
            Kind::Word => SelectorKind::Call(self.source(token.span).to_owned()),
            Kind::Set => SelectorKind::Set(self.source(token.span).to_owned()),
            Kind::CallNumber(number) => SelectorKind::Number(number),
            _ => return Err(self.unexpected("the name of a call")),
        };
        self.take();
        Ok(Selector { span: first.span.to(token.span), optional, kind })
    }

    fn body(&mut self) -> Parsed<Body> {
        if let Kind::Number(number @ (0 | 1)) = self.peek().kind
            && !self.goes_on(1)
        {
            self.take();
            return Ok(Body::Constant(number == 1));
        }
        if action::VERBS.contains(&self.word_ahead(0)) && !self.goes_on(1) {
            return Ok(Body::Action(self.action()?));
        }
        if let Some(meant) = self.is_nearly_verb() {
            return Err(self.unknown_action(Some(meant)));
        }
        let when = self.expr()?;
        let then = if self.take_word("then") { Some(self.action()?) } else { None };
        let otherwise = if self.take_word("else") { Some(self.action()?) } else { None };
        Ok(Body::When { when, then, otherwise })
    }

    /// Whether the token ahead continues an expression.
    fn goes_on(&self, ahead: usize) -> bool {
        match self.ahead(ahead).kind {
            Kind::Sign(sign) => expr::OPERATORS.contains(&sign),
            Kind::Word => expr::OPERATORS.contains(&self.word_ahead(ahead)),
            _ => false,
        }
    }

    // ---- tests

    fn test(&mut self, span: Span) -> Parsed<Test> {
        let call = self.selector()?;
        self.expect("(")?;
        let mut arguments: Vec<Expr> = Vec::new();
        while !self.is(")") {
            arguments.push(self.bits()?);
            if !self.take_if(",") {
                break;
            }
        }
        if !self.take_if(")") {
            return Err(self.unexpected("`,` or `)`"));
        }
        self.expect("->")?;
        let expected = self.action()?;
        if self.peek().kind != Kind::End {
            return Err(self.unexpected("the end of the line"));
        }
        Ok(Test { span, call, arguments, expected })
    }
}

fn deeper(depth: u32, kind: Kind) -> u32 {
    match kind {
        Kind::Sign("(" | "{") => depth.saturating_add(1),
        Kind::Sign(")" | "}") => depth.saturating_sub(1),
        _ => depth,
    }
}

/// `6.3` or `2.6.16`
fn version(written: &str) -> Option<Version> {
    let mut parts = written.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch = parts.next().map_or(Some(0), |patch| patch.parse().ok())?;
    parts.next().is_none().then_some(Version { major, minor, patch })
}

#[cfg(test)]
mod tests {
    use super::{ITEMS, action::VERBS};
    use ia2_core::calls;

    /// What begins an item or an action could not be told from a rule or a condition otherwise.
    #[test]
    fn words_of_the_language_mean_nothing_else() {
        for word in ITEMS {
            assert!(calls::number(word).is_none(), "{word}");
        }
        let operators = ["has", "subset", "in", "then", "else", "log", "NULL", "_"];
        for call in calls::all() {
            for word in VERBS.iter().chain(&operators) {
                assert!(call.arg(word).is_none(), "{word}");
            }
        }
    }
}
