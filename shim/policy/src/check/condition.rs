//! Conditions, for one call.
//!
//! Comparisons that are always or never true are reported (W0310) and left out of the result.

use super::files::pattern;
use super::list::{limits, ordered};
use super::number::{
    Checked, Failed, Family, Number, Numbers, Operand, Term, cut, fits, with_mask,
};
use crate::ast::{self, CompareOp, Element, ExprKind, Name};
use crate::diag::{Diagnostic, decimal, quote};
use crate::policy::{Caller, Expr, Op, Paths, Value};
use crate::span::Span;
use crate::text;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::calls::{Kind, Width};
use ia2_core::near;
use ia2_core::verdict::Region;

/// What `from` knows besides modules.
const CALLERS: &[(&str, Caller)] = &[
    ("trampoline", Caller::Trampoline),
    ("wrapper", Caller::Wrapper),
    ("vdso", Caller::Vdso),
    ("jit", Caller::Jit),
];

impl Numbers<'_> {
    pub(super) fn condition(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        match &expr.kind {
            ExprKind::Group(inner) => self.condition(inner),
            ExprKind::Not(inner) => Ok(match self.condition(inner)? {
                Expr::True => Expr::False,
                Expr::False => Expr::True,
                inner => Expr::Not(Box::new(inner)),
            }),
            ExprKind::And(parts) => self.all(parts, &Expr::True, &Expr::False, Expr::And),
            ExprKind::Or(parts) => self.all(parts, &Expr::False, &Expr::True, Expr::Or),
            ExprKind::Compare(op, left, right) => self.compare(*op, left, right, expr.span),
            ExprKind::In(left, list) => self.is_in(left, list, expr.span),
            ExprKind::From(name) => self.from(name),
            ExprKind::Call(name, arguments) if name.text == "overlaps" => {
                self.overlaps(arguments, expr.span)
            }
            ExprKind::Call(name, _) => Err(self.no_function(&name.text, name.span)),
            ExprKind::Name(name)
                if self.target.is_some_and(|target| target.index(name).is_none())
                    && self.names.constant(name).is_none() =>
            {
                Err(self.unknown(name, expr.span, Family::Any))
            }
            _ => {
                let message = "a number is not a condition".into();
                let found = Diagnostic::new("E0301", expr.span, message);
                Err(self.fail(found.help("compare it: `!= 0`, `has`, `in { … }`")))
            }
        }
    }

    /// `&&` or `||`: parts that change nothing are left out, and one part may decide.
    fn all(
        &mut self,
        parts: &[ast::Expr],
        neutral: &Expr,
        decisive: &Expr,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Checked<Expr> {
        let parts: Vec<_> = parts.iter().map(|part| self.condition(part)).collect();
        let mut all: Vec<Expr> = parts.into_iter().collect::<Result<_, _>>()?;
        if all.contains(decisive) {
            return Ok(decisive.clone());
        }
        all.retain(|part| part != neutral);
        Ok(match all.len() {
            0 => neutral.clone(),
            1 => all.pop().unwrap_or(Expr::True),
            _ => join(all),
        })
    }

    /// Says that a comparison is no question.
    pub(super) fn fixed(&mut self, always: bool, span: Span, help: &str) -> Expr {
        let message = if always { "this is always true" } else { "this is never true" };
        self.findings.push(Diagnostic::new("W0310", span, message.into()).help(help));
        if always { Expr::True } else { Expr::False }
    }

    // ---- two numbers

    fn compare(
        &mut self,
        op: CompareOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        if matches!(right.kind, ExprKind::Text(_)) || matches!(left.kind, ExprKind::Text(_)) {
            let message = "a text can only follow `in`".into();
            let found = Diagnostic::new("E0309", span, message);
            return Err(self.fail(found.help("write `path in \"/pattern\"`")));
        }
        let family = self.family(&[left, right]);
        let one = self.number(left, family);
        let other = self.number(right, family);
        let (one, other) = (one?, other?);
        match op {
            CompareOp::Order(op) => self.order(op, (one, left.span), (other, right.span), span),
            CompareOp::Has | CompareOp::Subset => {
                let Term::Operand(one) = one else {
                    let message = "the left side must be an argument".into();
                    return Err(self.fail(Diagnostic::new("E0302", left.span, message)));
                };
                self.bits_of(op, one, other, (left.span, right.span), span)
            }
        }
    }

    fn order(
        &mut self,
        op: Op,
        (left, left_span): (Term, Span),
        (right, right_span): (Term, Span),
        span: Span,
    ) -> Checked<Expr> {
        match (left, right) {
            (Term::Constant(left), Term::Constant(right)) => {
                let (left, right) = (left.bits, right.bits);
                let holds = match op {
                    Op::Eq => left == right,
                    Op::Ne => left != right,
                    Op::Lt => left < right,
                    Op::Le => left <= right,
                    Op::Gt => left > right,
                    Op::Ge => left >= right,
                };
                Ok(self.fixed(holds, span, "there is no argument in it"))
            }
            (Term::Operand(left), Term::Constant(right)) => {
                self.order_constant(op, left, left_span, &right, right_span, span)
            }
            (Term::Constant(left), Term::Operand(right)) => {
                self.order_constant(op.mirrored(), right, right_span, &left, left_span, span)
            }
            (Term::Operand(left), Term::Operand(right)) => {
                self.same_width(&left, &right, span)?;
                for (side, span) in [(&left, left_span), (&right, right_span)] {
                    if side.is_pointer() {
                        return Err(self.pointer(side, span));
                    }
                }
                let is_order = !matches!(op, Op::Eq | Op::Ne);
                if is_order && left.signed != right.signed {
                    let message =
                        text!("only one of ", left.name(), " and ", right.name(), " has a sign");
                    return Err(self.fail(Diagnostic::new("E0305", span, message)));
                }
                if left.value == right.value {
                    let always = matches!(op, Op::Eq | Op::Le | Op::Ge);
                    return Ok(self.fixed(always, span, "both sides are the same"));
                }
                let (width, signed) = (left.width, left.signed);
                Ok(Expr::Compare { op, left: left.value, right: right.value, width, signed })
            }
        }
    }

    fn order_constant(
        &mut self,
        op: Op,
        left: Operand,
        left_span: Span,
        right: &Number,
        right_span: Span,
        span: Span,
    ) -> Checked<Expr> {
        let is_order = !matches!(op, Op::Eq | Op::Ne);
        if left.is_pointer() && (is_order || !right.null) {
            return Err(self.pointer(&left, if is_order { span } else { left_span }));
        }
        if right.null && (is_order || !left.can_be_null()) {
            let message = text!(left.name(), " is not a pointer");
            let found = Diagnostic::new("E0306", right_span, message);
            return Err(self.fail(found.help("write `0`")));
        }
        if is_order {
            self.fits_ordered(right.bits, &left, right_span)?;
        } else {
            self.fits(right.bits, &left, right_span)?;
        }
        let (width, signed) = (left.width, left.signed);
        let bits = cut(right.bits, width);
        if let Some(always) = foregone(op, &left, bits) {
            return Ok(self.fixed(always, span, ""));
        }
        Ok(Expr::Compare { op, left: left.value, right: Value::Constant(bits), width, signed })
    }

    /// In an order, a constant must also have the right sign.
    pub(super) fn fits_ordered(&mut self, bits: u64, left: &Operand, span: Span) -> Checked<()> {
        let sign_extended = i32::try_from(bits.cast_signed()).is_ok();
        let fine = match (left.width, left.signed) {
            (Width::W64, _) => true,
            (Width::W32, true) => sign_extended,
            (Width::W32, false) => u32::try_from(bits).is_ok(),
        };
        if fine {
            return Ok(());
        }
        if fits(bits, left.width) {
            let sign =
                if left.signed { " has a sign, and 32 bits" } else { " has no sign, and 32 bits" };
            let message = text!("the number does not fit: ", left.name(), sign);
            return Err(self.fail(Diagnostic::new("E0307", span, message)));
        }
        self.fits(bits, left, span)
    }

    /// `has` and `subset`.
    fn bits_of(
        &mut self,
        op: CompareOp,
        left: Operand,
        right: Term,
        (left_span, right_span): (Span, Span),
        span: Span,
    ) -> Checked<Expr> {
        if left.is_pointer() {
            return Err(self.pointer(&left, left_span));
        }
        let (width, signed) = (left.width, left.signed);
        let right = match right {
            Term::Operand(right) => {
                if right.is_pointer() {
                    return Err(self.pointer(&right, right_span));
                }
                self.same_width(&left, &right, span)?;
                right.value
            }
            Term::Constant(right) => {
                self.fits(right.bits, &left, right_span)?;
                if right.bits == 0 && op == CompareOp::Has {
                    let help = match left.arg {
                        Some(arg) if arg.is_called("flags") => {
                            "its value is 0; for O_RDONLY, write `(flags & O_ACCMODE) == O_RDONLY`"
                        }
                        _ => "its value is 0: there is no bit to have",
                    };
                    return Ok(self.fixed(true, span, help));
                }
                Value::Constant(cut(right.bits, width))
            }
        };
        if left.arg.is_some_and(|arg| arg.kind == Kind::Choice) {
            let message = text!(left.name(), " is one of several values, not a sum of bits");
            let found = Diagnostic::new("W0313", span, message);
            self.findings.push(found.help("write `==` or `in { … }`"));
        }
        let (value, wanted) = match (op, right) {
            (CompareOp::Subset, Value::Constant(bits)) => {
                (with_mask(left.value, cut(!bits, width)), Value::Constant(0))
            }
            (CompareOp::Subset, right) => {
                let others = Value::Not(Box::new(right));
                (Value::And(Box::new(left.value), Box::new(others)), Value::Constant(0))
            }
            (_, Value::Constant(bits)) => (with_mask(left.value, bits), Value::Constant(bits)),
            (_, right) => {
                let both = Value::And(Box::new(left.value), Box::new(right.clone()));
                (both, right)
            }
        };
        let left = Operand { value, ..left };
        if let Value::Constant(bits) = wanted
            && let Some(always) = foregone(Op::Eq, &left, bits)
        {
            return Ok(self.fixed(always, span, ""));
        }
        Ok(Expr::Compare { op: Op::Eq, left: left.value, right: wanted, width, signed })
    }

    // ---- paths

    /// The argument that is a path.
    fn path(&mut self, left: &ast::Expr) -> Checked<u8> {
        let Some(target) = self.target else { return Err(Failed) };
        let mut inner = left;
        while let ExprKind::Group(next) = &inner.kind {
            inner = next;
        }
        let args = target.args();
        let paths = args.iter().filter(|arg| arg.kind == Kind::Path);
        let mut help = String::new();
        for arg in paths {
            help.push_str(if help.is_empty() { "its paths are " } else { ", " });
            help.push_str(&quote(arg.name));
        }
        if help.is_empty() {
            help = text!(quote(&target.name()), " has no path");
        }
        let ExprKind::Name(name) = &inner.kind else {
            let message = "only an argument that is a path can be among paths".into();
            return Err(self.fail(Diagnostic::new("E0308", left.span, message).help(help)));
        };
        let Some(index) = target.index(name) else {
            return Err(self.unknown(name, inner.span, Family::Any));
        };
        let arg = args.get(usize::from(index));
        if !arg.is_some_and(|arg| arg.kind == Kind::Path) {
            let message = text!(quote(name), " of ", quote(&target.name()), " is not a path");
            return Err(self.fail(Diagnostic::new("E0308", inner.span, message).help(help)));
        }
        Ok(index)
    }

    pub(super) fn in_files(&mut self, left: &ast::Expr, span: Span) -> Checked<Expr> {
        let arg = self.path(left)?;
        if !self.names.has_files {
            let message = "there is no `files` item: no path is in it".into();
            let found = Diagnostic::new("W0404", span, message);
            self.findings.push(found.help("write, say, `files ro \"/usr\"`"));
        }
        Ok(Expr::Path { arg, paths: Paths::Files })
    }

    pub(super) fn in_patterns(&mut self, left: &ast::Expr, list: &[Element]) -> Checked<Expr> {
        let arg = self.path(left)?;
        let mut patterns = Vec::new();
        let mut failed = false;
        for one in list {
            let (ExprKind::Text(written), None) = (&one.low.kind, &one.high) else {
                let message = "paths and numbers in one list".into();
                return Err(self.fail(Diagnostic::new("E0309", one.low.span, message)));
            };
            match pattern(written, one.low.span, self.findings) {
                Some(pattern) => patterns.push(pattern),
                None => failed = true,
            }
        }
        if failed {
            return Err(Failed);
        }
        Ok(Expr::Path { arg, paths: Paths::Patterns(patterns) })
    }

    // ---- the rest

    fn from(&mut self, name: &Name) -> Checked<Expr> {
        let known = CALLERS.iter().find(|(known, _)| *known == name.text);
        if let Some((_, caller)) = known {
            return Ok(Expr::From(caller.clone()));
        }
        if name.text.is_empty() || name.text.contains('/') {
            let message = "a module is the name of a file, without folders".into();
            return Err(self.fail(Diagnostic::new("E0109", name.span, message)));
        }
        let len = name.span.end.wrapping_sub(name.span.start) as usize;
        let is_quoted = len > name.text.len();
        let near = near::nearest(&name.text, CALLERS.iter().map(|(known, _)| *known));
        if let Some(near) = near.filter(|_| !is_quoted && !name.text.contains('.')) {
            let message = text!("unknown place ", quote(&name.text));
            let help =
                text!("did you mean ", quote(near), "? a module of this name stands in quotes");
            return Err(self.fail(Diagnostic::new("E0109", name.span, message).help(help)));
        }
        Ok(Expr::From(Caller::Module(name.text.clone())))
    }

    fn overlaps(&mut self, arguments: &[ast::Expr], span: Span) -> Checked<Expr> {
        let [addr, len, region] = arguments else {
            let given = u64::try_from(arguments.len()).unwrap_or(u64::MAX);
            let message = text!("`overlaps` takes 3 arguments, not ", decimal(given));
            let found = Diagnostic::new("E0316", span, message);
            return Err(self.fail(found.help("write `overlaps(addr, len, protected)`")));
        };
        let addr_index = self.argument(addr, "an address", |kind, width| {
            width == Width::W64
                && matches!(
                    kind,
                    Kind::Address
                        | Kind::Ptr { .. }
                        | Kind::Path
                        | Kind::Str
                        | Kind::Sockaddr { .. }
                        | Kind::Int
                )
        });
        let len_index = self.argument(len, "a length of 64 bits", |kind, width| {
            width == Width::W64 && matches!(kind, Kind::Size | Kind::Int | Kind::Offset)
        });
        let region_is = match &region.kind {
            ExprKind::Name(name) if name == "protected" => Ok(Region::Protected),
            _ => {
                let message = "unknown region of memory".into();
                let found = Diagnostic::new("E0315", region.span, message);
                Err(self.fail(found.help("there is `protected`, the shim's own memory")))
            }
        };
        Ok(Expr::Overlaps { addr: addr_index?, len: len_index?, region: region_is? })
    }

    /// The argument of the call that stands there, bare.
    fn argument(
        &mut self,
        expr: &ast::Expr,
        wanted: &str,
        fine: fn(Kind, Width) -> bool,
    ) -> Checked<u8> {
        let Some(target) = self.target else { return Err(Failed) };
        let not = text!("this must be an argument that is ", wanted);
        let ExprKind::Name(name) = &expr.kind else {
            return Err(self.fail(Diagnostic::new("E0314", expr.span, not)));
        };
        let Some(index) = target.index(name) else {
            return Err(self.unknown(name, expr.span, Family::Any));
        };
        match target.args().get(usize::from(index)) {
            Some(arg) if !fine(arg.kind, arg.width) => {
                Err(self.fail(Diagnostic::new("E0314", expr.span, not)))
            }
            _ => Ok(index),
        }
    }
}

/// What a comparison with a constant always gives, if it always gives the same.
fn foregone(op: Op, left: &Operand, bits: u64) -> Option<bool> {
    let order = |bits| ordered(bits, left.width, left.signed);
    if let Value::And(_, mask) = &left.value
        && let Value::Constant(mask) = **mask
        && order(mask) >= 0
    {
        // Not negative, not above the mask, and without the bits that the mask has not.
        let impossible = bits & !mask != 0;
        return foregone_between(op, order(bits), (0, order(mask)), impossible);
    }
    foregone_between(op, order(bits), limits(left.width, left.signed), false)
}

fn foregone_between(
    op: Op,
    right: i128,
    (least, most): (i128, i128),
    impossible: bool,
) -> Option<bool> {
    let impossible = impossible || right < least || right > most;
    let single = least == most && right == least;
    match op {
        Op::Eq if impossible => Some(false),
        Op::Ne if impossible => Some(true),
        Op::Eq if single => Some(true),
        Op::Ne if single => Some(false),
        Op::Lt if right <= least => Some(false),
        Op::Lt if right > most => Some(true),
        Op::Le if right < least => Some(false),
        Op::Le if right >= most => Some(true),
        Op::Gt if right >= most => Some(false),
        Op::Gt if right < least => Some(true),
        Op::Ge if right > most => Some(false),
        Op::Ge if right <= least => Some(true),
        _ => None,
    }
}
