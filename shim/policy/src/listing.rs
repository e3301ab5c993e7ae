//! A program for people to read, and for a C compiler.
//!
//! One line an instruction, with the names that there are for what it looks at: words of the data, calls,
//! the gate's addresses. Where a name depends on what was loaded before, every way to the instruction must
//! agree on it.

use crate::compile::decimal;
use crate::cost::is_branch;
use crate::text;
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::blob::{Blob, Cause, Verdict};
use ia2_core::bpf::{
    ARCH, AUDIT_ARCH_X86_64, IP_HIGH, IP_LOW, Insn, NR, RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS,
    RET_KILL_THREAD, RET_LOG, RET_TRACE, RET_TRAP, RET_USER_NOTIF, argument,
};
use ia2_core::cbpf::op;
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER, RAW_AFTER};
use ia2_core::verdict::ActionKind;
use ia2_core::{calls, constants};

/// Who runs a program, and so what it means that it returns a number.
#[derive(Clone, Copy, Debug)]
pub enum Machine<'a> {
    /// The kernel. With the compiled policy, the listing says which rule a trap tells of.
    Kernel(Option<&'a Blob<'a>>),
    /// The shim, with this policy.
    Shim(&'a Blob<'a>),
}

/// The program as text.
#[must_use]
pub fn listing(insns: &[Insn], machine: Machine<'_>) -> String {
    let mut out = String::new();
    for ((at, insn), loaded) in insns.iter().enumerate().zip(loads(insns)) {
        let number = decimal(at);
        out.push_str(&padding(number.len(), 4));
        out.push_str(&number);
        out.push_str(": ");
        out.push_str(&line(*insn, at, loaded, machine));
        out.push('\n');
    }
    out
}

/// The program as an array of `struct sock_filter` in C.
#[must_use]
pub fn c_array(insns: &[Insn], name: &str) -> String {
    let mut out = text!("static const struct sock_filter ", name, "[] = {\n");
    for ((at, insn), loaded) in insns.iter().enumerate().zip(loads(insns)) {
        let Insn { code, jt, jf, k } = *insn;
        let fields = text!(
            "    { ",
            hex(code.into(), 4),
            ", ",
            decimal(jt.into()),
            ", ",
            decimal(jf.into()),
            ", ",
            hex(k, 8),
            " },"
        );
        out.push_str(&fields);
        out.push_str(&padding(fields.chars().count(), 38));
        out.push_str(&text!("/* ", line(*insn, at, loaded, Machine::Kernel(None)), " */\n"));
    }
    out.push_str("};\n");
    out
}

/// For each instruction, the offset of the word that is in `A`, if every way there has loaded it last.
fn loads(insns: &[Insn]) -> Vec<Option<u32>> {
    /// What is known when an instruction is reached.
    #[derive(Clone, Copy, PartialEq)]
    enum Before {
        Unreached,
        Word(u32),
        Anything,
    }
    let mut before = alloc::vec![Before::Unreached; insns.len()];
    if let Some(first) = before.first_mut() {
        *first = Before::Anything;
    }
    for (at, insn) in insns.iter().enumerate() {
        let Some(here) = before.get(at).copied() else { break };
        let after = match insn.code {
            op::LD_W_ABS => Before::Word(insn.k),
            op::ST | op::STX | op::TAX | op::LDX_IMM | op::LDX_MEM | op::LDX_W_LEN => here,
            code if code & 7 == op::JA => here,
            _ => Before::Anything,
        };
        let targets = match insn.code {
            op::RET_K | op::RET_A => [None, None],
            op::JA => [Some(insn.k as usize), None],
            code if is_branch(code) => [Some(insn.jt.into()), Some(insn.jf.into())],
            _ => [Some(0), None],
        };
        for skipped in targets.into_iter().flatten() {
            let to = at.saturating_add(1).saturating_add(skipped);
            if let Some(slot) = before.get_mut(to) {
                *slot = match *slot {
                    Before::Unreached => after,
                    other if other == after => after,
                    _ => Before::Anything,
                };
            }
        }
    }
    let word = |before| match before {
        Before::Word(offset) => Some(offset),
        _ => None,
    };
    before.into_iter().map(word).collect()
}

fn line(insn: Insn, at: usize, loaded: Option<u32>, machine: Machine<'_>) -> String {
    let Insn { code, jt, jf, k } = insn;
    let to = |skipped: usize| decimal(at.saturating_add(1).saturating_add(skipped));
    let scratch = || text!("M[", decimal(k as usize), "]");
    let compute = |sign: &str, x: bool| {
        let right = if x { text!("X") } else { constant(k) };
        text!("A ", sign, "= ", right)
    };
    let test = |sign: &str, x: bool| {
        let right = if x { text!("X") } else { value(k, loaded) };
        let left = loaded.map_or(text!("A"), word);
        text!("if ", left, " ", sign, " ", right, " goto ", to(jt.into()), " else ", to(jf.into()))
    };
    match code {
        op::LD_W_ABS => text!("A = ", word(k)),
        op::LD_IMM => text!("A = ", constant(k)),
        op::LD_MEM => text!("A = ", scratch()),
        op::LD_W_LEN => text!("A = 64"),
        op::LDX_IMM => text!("X = ", constant(k)),
        op::LDX_MEM => text!("X = ", scratch()),
        op::LDX_W_LEN => text!("X = 64"),
        op::ST => text!(scratch(), " = A"),
        op::STX => text!(scratch(), " = X"),
        op::TAX => text!("X = A"),
        op::TXA => text!("A = X"),
        op::NEG => text!("A = -A"),
        op::ADD_K | op::ADD_X => compute("+", code == op::ADD_X),
        op::SUB_K | op::SUB_X => compute("-", code == op::SUB_X),
        op::MUL_K | op::MUL_X => compute("*", code == op::MUL_X),
        op::DIV_K | op::DIV_X => compute("/", code == op::DIV_X),
        op::OR_K | op::OR_X => compute("|", code == op::OR_X),
        op::AND_K | op::AND_X => compute("&", code == op::AND_X),
        op::XOR_K | op::XOR_X => compute("^", code == op::XOR_X),
        op::LSH_K | op::LSH_X => compute("<<", code == op::LSH_X),
        op::RSH_K | op::RSH_X => compute(">>", code == op::RSH_X),
        op::JA => text!("goto ", to(k as usize)),
        op::JEQ_K | op::JEQ_X => test("==", code == op::JEQ_X),
        op::JGT_K | op::JGT_X => test(">", code == op::JGT_X),
        op::JGE_K | op::JGE_X => test(">=", code == op::JGE_X),
        op::JSET_K | op::JSET_X => test("&", code == op::JSET_X),
        op::ASK => {
            let question = decimal(k as usize);
            text!("if ask ", question, " goto ", to(jt.into()), " else ", to(jf.into()))
        }
        op::RET_K => match machine {
            Machine::Kernel(blob) => text!("return ", filter_action(k, blob)),
            Machine::Shim(blob) => match blob.verdict(k) {
                Some(Verdict { action, log, cause, .. }) => {
                    let log = if log { " log" } else { "" };
                    text!("return ", action_name(action), log, place(cause))
                }
                None => text!("return ", decimal(k as usize)),
            },
        },
        op::RET_A => text!("return A"),
        _ => text!("? ", hex(code.into(), 4)),
    }
}

/// What is at an offset of the data.
fn word(offset: u32) -> String {
    match offset {
        NR => text!("nr"),
        ARCH => text!("arch"),
        IP_LOW => text!("ip.low"),
        IP_HIGH => text!("ip.high"),
        _ => {
            let index = offset.saturating_sub(argument(0)) / 8;
            let half = if offset & 4 == 0 { ".low" } else { ".high" };
            text!("arg", decimal(index as usize), half)
        }
    }
}

/// A constant, and what it means for what it is compared with.
fn value(k: u32, loaded: Option<u32>) -> String {
    const GATE: [(u64, &str); 3] = [(FAST_AFTER, "fast"), (ARGS_AFTER, "args"), (RAW_AFTER, "raw")];
    let name = match loaded {
        Some(NR) => calls::by_nr(k).map(|call| call.name),
        Some(ARCH) if k == AUDIT_ARCH_X86_64 => Some("x86_64"),
        Some(IP_LOW) => GATE.iter().find(|(addr, _)| *addr as u32 == k).map(|(_, name)| *name),
        _ => None,
    };
    let number = match loaded {
        Some(NR) => decimal(k as usize),
        _ => constant(k),
    };
    match name {
        Some(name) => text!(number, " (", name, ")"),
        None => number,
    }
}

/// What a filter returns, with the rule that the data of a trap tells of.
fn filter_action(k: u32, blob: Option<&Blob<'_>>) -> String {
    let data = k as u16;
    let action = match k & 0xffff_0000 {
        RET_KILL_PROCESS => ActionKind::KillProcess,
        RET_KILL_THREAD => ActionKind::KillThread,
        RET_ALLOW => ActionKind::Allow,
        RET_TRAP => {
            let told = blob.and_then(|blob| blob.told(data));
            return text!(
                action_name(ActionKind::Trap(data)),
                told.map_or(String::new(), |told| place(told.cause))
            );
        }
        RET_ERRNO => ActionKind::Errno(data),
        RET_TRACE => ActionKind::Trace(data),
        RET_LOG => return text!("log"),
        RET_USER_NOTIF => return text!("notify"),
        _ => return hex(k, 8),
    };
    action_name(action)
}

fn action_name(action: ActionKind) -> String {
    let number = |name: &str, data: u16| text!(name, " ", decimal(data.into()));
    match action {
        ActionKind::KillProcess => text!("kill_process"),
        ActionKind::KillThread => text!("kill_thread"),
        ActionKind::Trap(0) => text!("trap"),
        ActionKind::Trap(data) => number("trap", data),
        ActionKind::Errno(data) => match constants::errno_name(data) {
            Some(name) => text!("errno ", name),
            None => number("errno", data),
        },
        ActionKind::Trace(data) => number("trace", data),
        ActionKind::Emulate => text!("emulate"),
        ActionKind::Allow => text!("allow"),
    }
}

/// Where a verdict comes from, in parentheses.
fn place(cause: Cause<'_>) -> String {
    match cause {
        Cause::Rule { rule, .. } => {
            text!(" (", rule.file, ":", decimal(rule.line as usize), ")")
        }
        Cause::Default => text!(" (default)"),
        Cause::Unknown => text!(" (unknown)"),
        Cause::Argument | Cause::Memory(_) => String::new(),
    }
}

fn constant(k: u32) -> String {
    if k < 10 { decimal(k as usize) } else { hex(k, 1) }
}

/// At least `width` digits.
fn hex(number: u32, width: u32) -> String {
    let digits = 32u32.wrapping_sub(number.leading_zeros()).div_ceil(4).max(width);
    let mut out = String::from("0x");
    for digit in (0..digits).rev() {
        let value = number.wrapping_shr(digit.wrapping_mul(4)) & 15;
        out.push(char::from_digit(value, 16).unwrap_or('?'));
    }
    out
}

fn padding(len: usize, width: usize) -> String {
    core::iter::repeat_n(' ', width.saturating_sub(len)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Machine, listing};
    use alloc::format;
    use ia2_core::bpf::Insn;
    use ia2_core::cbpf::op;

    #[test]
    fn what_the_kernel_can_be_told_has_names() {
        // include/uapi/linux/seccomp.h
        for (value, name) in [
            (0x8000_0000, "kill_process"),
            (0x0000_0000, "kill_thread"),
            (0x0003_0000, "trap"),
            (0x0003_0007, "trap 7"),
            (0x0005_000d, "errno EACCES"),
            (0x0005_0fff, "errno 4095"),
            (0x7fc0_0000, "notify"),
            (0x7ff0_0005, "trace 5"),
            (0x7ffc_0000, "log"),
            (0x7fff_0000, "allow"),
            (0x7ffd_0000, "0x7ffd0000"),
        ] {
            let ret = Insn { code: op::RET_K, jt: 0, jf: 0, k: value };
            let text = listing(&[ret], Machine::Kernel(None));
            assert_eq!(text, format!("   0: return {name}\n"));
        }
    }
}
