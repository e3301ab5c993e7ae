//! Names in conditions: which argument or constant each means, and what to say if it means none.
//!
//! A constant is looked up among those of the argument that it meets: `O_RDONLY` means nothing for
//! `prot`, and says so (E0304). Where no argument is in sight it may be any constant of the kernel, if
//! it has the same value everywhere (E0317).

use super::names::Meaning;
use super::number::{Checked, Failed, Family, Number, Numbers, Term};
use crate::diag::{Diagnostic, quote};
use crate::span::Span;
use crate::text;
use alloc::collections::BTreeMap;
use alloc::string::String;
use ia2_core::calls::{Arg, Kind};
use ia2_core::constants::{self, Set};
use ia2_core::near;

impl Numbers<'_> {
    pub(super) fn name(&mut self, name: &str, span: Span, family: Family) -> Checked<Term> {
        if let Some(operand) = self.operand(name) {
            if let Some(arg) = operand.arg.filter(|arg| arg.kind == Kind::Unused) {
                let message = text!("the kernel ignores ", quote(arg.name));
                self.findings.push(Diagnostic::new("W0314", span, message));
            }
            self.count_from_0(name, span);
            return Ok(Term::Operand(operand));
        }
        if let Some(constant) = self.names.constant(name) {
            let number = match &constant.meaning {
                Meaning::Broken => return Err(Failed),
                Meaning::Number(number) => number,
                Meaning::List(_) => {
                    let message = text!(quote(name), " is a list: use it with `in`");
                    let found = Diagnostic::new("E0318", span, message);
                    return Err(self.fail(found.also(constant.span, "defined")));
                }
            };
            self.is_of(number, family, name, span, constant.span)?;
            return Ok(Term::Constant(number.clone()));
        }
        let bits = match self.known(name, span, family)? {
            Some(bits) => bits,
            None => return Err(self.unknown(name, span, family)),
        };
        let names = BTreeMap::from([(String::from(name), bits)]);
        Ok(Term::Constant(Number { bits, null: false, names }))
    }

    /// Warns of a register whose name is another argument's in the manual page.
    fn count_from_0(&mut self, name: &str, span: Span) {
        let Some(target) = self.target else { return };
        let Some(arg) = target.miscounted(name) else { return };
        let call = quote(&target.name());
        let message =
            text!("registers count from 0: this is not what the manual of ", call, " means");
        let help = text!("if that is meant, its name is ", quote(arg.name));
        self.findings.push(Diagnostic::new("W0315", span, message).help(help));
    }

    /// The value of a constant of the kernel; `None` if there is no such constant.
    fn known(&mut self, name: &str, span: Span, family: Family) -> Checked<Option<u64>> {
        if let Family::Of(arg) = family {
            if let Some(bits) = arg.set.and_then(|set| set.value(name)) {
                return Ok(Some(bits));
            }
            if constants::find(name).next().is_none() {
                return Ok(None);
            }
            if arg.set.is_some() || arg.kind != Kind::Int {
                return Err(self.wrong_family(arg, name, span));
            }
        }
        let mut all = constants::find(name);
        let Some((first, bits)) = all.next() else { return Ok(None) };
        let other = all.find(|(_, other)| *other != bits);
        let Some((other, _)) = other else { return Ok(Some(bits)) };
        let message = text!(
            quote(name),
            " has two values: one among the constants of ",
            first.name(),
            ", another among those of ",
            other.name()
        );
        let found = Diagnostic::new("E0317", span, message);
        Err(self.fail(found.help("write the number")))
    }

    fn wrong_family(&mut self, arg: Arg, name: &str, span: Span) -> Failed {
        let message = text!(quote(name), " is not a value of ", self.full_name(arg));
        self.fail(Diagnostic::new("E0304", span, message).help(values_of(arg)))
    }

    /// "`prot` of `mmap`"
    fn full_name(&self, arg: Arg) -> String {
        match self.target {
            Some(target) => text!(quote(arg.name), " of ", quote(&target.name())),
            None => quote(arg.name),
        }
    }

    /// Complains if a constant of the policy is made of others than this argument's.
    pub(super) fn is_of(
        &mut self,
        number: &Number,
        family: Family,
        name: &str,
        span: Span,
        defined: Span,
    ) -> Checked<()> {
        let Family::Of(arg) = family else { return Ok(()) };
        let is_strange = |(name, bits): &(&String, &u64)| match arg.set {
            Some(set) => set.value(name) != Some(**bits),
            None => arg.kind != Kind::Int,
        };
        let Some((strange, _)) = number.names.iter().find(is_strange) else { return Ok(()) };
        let message = text!(
            quote(name),
            " has ",
            quote(strange),
            " in it, which is not a value of ",
            self.full_name(arg)
        );
        let found = Diagnostic::new("E0304", span, message).also(defined, "defined");
        Err(self.fail(found.help(values_of(arg))))
    }

    /// Complains of a name that is neither an argument nor a constant.
    pub(super) fn unknown(&mut self, name: &str, span: Span, family: Family) -> Failed {
        if self.names.is_excused(name) {
            return Failed;
        }
        let found = match name {
            "protected" => {
                let message = "a region is not a number".into();
                Diagnostic::new("E0315", span, message)
                    .help("write `overlaps(addr, len, protected)`")
            }
            "files" | "frozen" => {
                let message = text!(quote(name), " can only follow `in`");
                Diagnostic::new("E0309", span, message)
            }
            "ip" => {
                let message = "`ip` is not in this version".into();
                Diagnostic::new("E0501", span, message).help("write `from trampoline` and the like")
            }
            _ if name.bytes().any(|byte| byte.is_ascii_lowercase()) && self.target.is_some() => {
                self.unknown_argument(name, span)
            }
            _ => self.unknown_constant(name, span, family),
        };
        self.fail(found)
    }

    fn unknown_argument(&self, name: &str, span: Span) -> Diagnostic {
        let Some(target) = self.target else {
            return Diagnostic::new("E0103", span, text!("unknown name ", quote(name)));
        };
        let message = text!(quote(&target.name()), " has no argument ", quote(name));
        let mut help = String::new();
        let known = near::nearest(name, target.args().iter().copied().flat_map(all_names));
        if let Some(near) = known.or_else(|| near::nearest(name, self.names.constants())) {
            help = text!("did you mean ", quote(near), "? ");
        }
        match (target.args(), target.call) {
            (args, None) if args.is_empty() => help.push_str("its arguments are arg0 to arg5"),
            (args, Some(_)) if args.is_empty() => {
                help.push_str(
                    "it has none, or none that are known: arg0 to arg5 are the registers",
                );
            }
            (args, _) => {
                help.push_str("its arguments are ");
                join(&mut help, args.iter().map(|arg| arg.name), usize::MAX);
            }
        }
        Diagnostic::new("E0103", span, message).help(help)
    }

    fn unknown_constant(&self, name: &str, span: Span, family: Family) -> Diagnostic {
        let set = match family {
            Family::Of(arg) => arg.set,
            Family::Any => None,
        };
        let own = set.into_iter().flat_map(|set| set.constants().map(|(known, _)| known));
        let near = near::nearest(name, self.names.constants())
            .or_else(|| near::nearest(name, own.clone()))
            .or_else(|| constants::nearest(name).filter(|_| own.clone().next().is_none()));
        let found = Diagnostic::new("E0104", span, text!("unknown constant ", quote(name)));
        match (near, family) {
            (Some(near), _) => found.help(text!("did you mean ", quote(near), "?")),
            (None, Family::Of(arg)) if arg.set.is_some() => found.help(values_of(arg)),
            _ if self.target.is_some() => found,
            _ => found.help("there are those of the kernel, and those defined above"),
        }
    }
}

fn all_names(arg: Arg) -> impl Iterator<Item = &'static str> {
    core::iter::once(arg.name).chain(arg.aliases())
}

/// "`prot` takes PROT_NONE, PROT_READ, …"
fn values_of(arg: Arg) -> String {
    let mut help = quote(arg.name);
    match arg.set.map(Set::constants) {
        Some(values) if values.len() > 0 => {
            help.push_str(" takes ");
            join(&mut help, values.map(|(name, _)| name), 8);
        }
        _ => help.push_str(" has no named values"),
    }
    help
}

fn join<'n>(all: &mut String, names: impl Iterator<Item = &'n str>, most: usize) {
    for (count, name) in names.enumerate() {
        if count > 0 {
            all.push_str(", ");
        }
        if count >= most {
            all.push('…');
            return;
        }
        all.push_str(name);
    }
}
