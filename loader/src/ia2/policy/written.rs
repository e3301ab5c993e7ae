//! Conditions as text, in the language they were written in.

use ia2_core::calls::{self, Arg, Kind, Width};
use ia2_core::show::{self, ReadString};
use ia2_core::text::Text;
use ia2_policy::policy::{Caller, Expr, Op, Paths, Value};

/// The condition, for call `nr`.
pub(crate) fn condition(expr: &Expr, nr: u32) -> String {
    Writer { nr }.expr(expr, Strength::Or)
}

/// How strongly what stands around binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Or,
    And,
    Not,
}

struct Writer {
    nr: u32,
}

impl Writer {
    fn expr(&self, expr: &Expr, around: Strength) -> String {
        let joined = |list: &[Expr], sign: &str, own: Strength| {
            let parts: Vec<String> = list.iter().map(|one| self.expr(one, own)).collect();
            let text = parts.join(sign);
            if around > own && list.len() > 1 { format!("({text})") } else { text }
        };
        match expr {
            Expr::True => "always".to_owned(),
            Expr::False => "never".to_owned(),
            Expr::Not(inner) => match &**inner {
                Expr::And(_) | Expr::Or(_) | Expr::Overlaps { .. } => {
                    format!("!{}", self.expr(inner, Strength::Not))
                }
                inner => format!("!({})", self.expr(inner, Strength::Or)),
            },
            Expr::And(list) => joined(list, " && ", Strength::And),
            Expr::Or(list) => joined(list, " || ", Strength::Or),
            Expr::Compare { op, left, right, width, .. } => self.compare(*op, left, right, *width),
            Expr::In { value, ranges, .. } => {
                let arg = self.argument(value);
                let one = |bits: u64| number(arg.as_ref(), bits);
                let list = ranges.iter().flat_map(|(first, last)| {
                    // Neighbours that all have names were written by their names.
                    let all: Vec<u64> = (*first..=*last).take(NEIGHBOURS + 1).collect();
                    let named = arg.is_some_and(|arg| all.iter().all(|bits| has_name(&arg, *bits)));
                    match all.as_slice() {
                        [bits] => vec![one(*bits)],
                        all if all.len() <= NEIGHBOURS && named => {
                            all.iter().map(|bits| one(*bits)).collect()
                        }
                        _ => vec![format!("{}..{}", one(*first), one(*last))],
                    }
                });
                let list: Vec<String> = list.collect();
                format!("{} in {{ {} }}", self.value(value), list.join(", "))
            }
            Expr::Overlaps { addr, len, .. } => {
                format!("overlaps({}, {}, protected)", self.name(*addr), self.name(*len))
            }
            Expr::Path { arg, paths } => match paths {
                Paths::Files => format!("{} in files", self.name(*arg)),
                Paths::Patterns(patterns) => match patterns.as_slice() {
                    [one] => format!("{} in \"{one}\"", self.name(*arg)),
                    _ => format!("{} in {{ \"{}\" }}", self.name(*arg), patterns.join("\", \"")),
                },
            },
            Expr::From(caller) => match caller {
                Caller::Trampoline => "from trampoline".to_owned(),
                Caller::Wrapper => "from wrapper".to_owned(),
                Caller::Vdso => "from vdso".to_owned(),
                Caller::Jit => "from jit".to_owned(),
                Caller::Module(name) => format!("from {name}"),
            },
        }
    }

    fn compare(&self, op: Op, left: &Value, right: &Value, width: Width) -> String {
        let all = if width == Width::W64 { u64::MAX } else { u64::from(u32::MAX) };
        if let (Value::And(inner, mask), Value::Constant(right)) = (left, right)
            && let Value::Constant(mask) = **mask
        {
            let arg = self.argument(inner);
            let inner_text = self.value(inner);
            let is_eq = matches!(op, Op::Eq | Op::Ne);
            let not = |text: String| if op == Op::Ne { format!("!({text})") } else { text };
            if is_eq && mask & all == right & all && mask != 0 {
                return not(format!("{inner_text} has {}", number(arg.as_ref(), mask)));
            }
            let rest = !mask & all;
            if is_eq && *right == 0 && rest.count_ones() < (mask & all).count_ones() {
                return not(format!("{inner_text} subset {}", number(arg.as_ref(), rest)));
            }
        }
        let sign = match op {
            Op::Eq => "==",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
        };
        let arg = self.argument(left).or_else(|| self.argument(right));
        let side = |value: &Value| match value {
            Value::Constant(bits) => number(arg.as_ref(), *bits),
            Value::Argument(_) | Value::Number => self.value(value),
            _ => format!("({})", self.value(value)),
        };
        format!("{} {sign} {}", side(left), side(right))
    }

    fn value(&self, value: &Value) -> String {
        let arg = self.argument(value);
        let inner = |value: &Value| match value {
            Value::Constant(bits) => number(arg.as_ref(), *bits),
            Value::Argument(_) | Value::Number => self.value(value),
            _ => format!("({})", self.value(value)),
        };
        match value {
            Value::Constant(bits) => format!("{bits:#x}"),
            Value::Argument(at) => self.name(*at),
            Value::Number => "nr".to_owned(),
            Value::And(a, b) => format!("{} & {}", inner(a), inner(b)),
            Value::Or(a, b) => format!("{} | {}", inner(a), inner(b)),
            Value::Xor(a, b) => format!("{} ^ {}", inner(a), inner(b)),
            Value::Shl(a, by) => format!("{} << {by}", inner(a)),
            Value::Not(a) => format!("~{}", inner(a)),
        }
    }

    fn name(&self, at: u8) -> String {
        let arg = calls::args(self.nr).nth(at.into());
        arg.map_or_else(|| format!("arg{at}"), |arg| arg.name.to_owned())
    }

    /// The argument that a value is about.
    fn argument(&self, value: &Value) -> Option<Arg> {
        match value {
            Value::Argument(at) => calls::args(self.nr).nth((*at).into()),
            Value::Constant(_) | Value::Number => None,
            Value::And(a, b) | Value::Or(a, b) | Value::Xor(a, b) => {
                self.argument(a).or_else(|| self.argument(b))
            }
            Value::Shl(a, _) | Value::Not(a) => self.argument(a),
        }
    }
}

/// A constant as it would be written for the argument.
fn number(arg: Option<&Arg>, bits: u64) -> String {
    let is_named = arg.is_some_and(|arg| {
        arg.set.is_some() || arg.signed || matches!(arg.kind, Kind::Ptr { .. } | Kind::Address)
    });
    match arg.filter(|_| is_named || bits < 10) {
        Some(arg) => {
            let mut text = Text::<512>::new();
            show::argument(&mut text, arg, bits, &mut NoStrings);
            String::from_utf8_lossy(text.as_bytes()).into_owned()
        }
        None if bits < 10 => bits.to_string(),
        None => format!("{bits:#x}"),
    }
}

/// Most neighbours that are written by their names.
const NEIGHBOURS: usize = 8;

/// Whether a value of the argument has a name.
fn has_name(arg: &Arg, bits: u64) -> bool {
    let mask = if arg.width == Width::W64 { u64::MAX } else { u64::from(u32::MAX) };
    arg.set.is_some_and(|set| set.name_at(bits, mask).is_some())
}

struct NoStrings;

impl ReadString for NoStrings {
    fn read_string(&mut self, _: u64, _: &mut [u8]) -> Option<usize> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::condition;
    use ia2_core::calls;
    use ia2_policy::source::Memory;

    /// What is written means the same when it is read again.
    #[test]
    fn a_condition_comes_back() {
        for (call, text) in [
            ("read", "fd == 0"),
            ("mmap", "!(prot has PROT_WRITE|PROT_EXEC) && !overlaps(addr, len, protected)"),
            ("openat", "dirfd == AT_FDCWD && (path in files || path in \"/tmp\")"),
            ("eventfd2", "flags subset EFD_CLOEXEC|EFD_NONBLOCK"),
            ("clone", "(flags & CLONE_NEWUSER) == 0 || from wrapper"),
            ("kill", "pid == 0 || sig in { SIGTERM..SIGCONT }"),
            ("ioctl", "cmd in { FIONREAD, TCGETS }"),
            ("brk", "addr == NULL || addr >= 0x10000"),
            ("lseek", "!(whence == SEEK_DATA || off < -4096)"),
        ] {
            let parse = |text: &str| {
                let text = format!(
                    "policy a version 1\ndefault errno EPERM\nunknown errno ENOSYS\nfiles ro \"/\"\n{call} : {text}\n"
                );
                let (policy, findings, _) =
                    ia2_policy::load("a", &mut Memory::new().with("a", &text));
                policy.unwrap_or_else(|| panic!("{text}: {findings:?}")).rules[0].when.clone()
            };
            let nr = calls::by_name(call).unwrap().nr;
            let expr = parse(text);
            let written = condition(&expr, nr);
            assert_eq!(parse(&written), expr, "{text} was written as {written}");
        }
    }
}
