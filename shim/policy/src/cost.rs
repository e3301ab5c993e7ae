//! What a call costs: how many instructions at most, and who looks at it at all.

use crate::compile::Compiled;
use alloc::vec::Vec;
use ia2_core::blob::Blob;
use ia2_core::bpf::{ARCH, AUDIT_ARCH_X86_64, IP_HIGH, IP_LOW, Insn, NR, RET_ALLOW};
use ia2_core::cbpf::op;
use ia2_core::layout::FAST_AFTER;

/// What one call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Instructions that the kernel runs at most, in the shape `strict`.
    pub strict: usize,
    /// In the shape `inspected`.
    pub inspected: usize,
    /// In the shape `inspected`, the kernel runs none of them: it knows the answer by the number
    /// (`seccomp_cache_check_allow`, Linux 5.11).
    pub is_cached: bool,
    /// Instructions that the shim runs at most, if it judges the call.
    pub shim: usize,
    /// The shim judges it before the kernel does.
    pub is_slow: bool,
    /// The shim judges it if there is no filter.
    pub is_slow_alone: bool,
}

impl Compiled {
    /// What call `nr` costs.
    #[must_use]
    pub fn cost(&self, nr: u32) -> Cost {
        let blob = Blob::parse(&self.blob).ok();
        let is_slow = |filtered| blob.is_none_or(|blob| blob.is_slow(nr, filtered));
        Cost {
            strict: longest(&self.strict, nr),
            inspected: longest(&self.inspected, nr),
            is_cached: is_cached(&self.inspected, nr),
            shim: longest(&self.shim, nr),
            is_slow: is_slow(true),
            is_slow_alone: is_slow(false),
        }
    }
}

/// Most instructions that a native call from the gate's `fast` takes.
#[must_use]
pub fn longest(insns: &[Insn], nr: u32) -> usize {
    /// Instructions run before this one at most, and what is in `A` if that is sure.
    #[derive(Clone, Copy)]
    struct Before {
        ran: usize,
        a: Option<u32>,
    }
    let mut before: Vec<Option<Before>> = alloc::vec![None; insns.len()];
    if let Some(first) = before.first_mut() {
        *first = Some(Before { ran: 0, a: Some(0) });
    }
    let mut most = 0;
    for (at, Insn { code, jt, jf, k }) in insns.iter().copied().enumerate() {
        let Some(Before { ran, a }) = before.get(at).copied().flatten() else { continue };
        let ran = ran.saturating_add(1);
        most = most.max(ran);
        let mut go = |skipped: usize, a: Option<u32>| {
            let to = at.saturating_add(1).saturating_add(skipped);
            if let Some(slot) = before.get_mut(to) {
                *slot = Some(match *slot {
                    None => Before { ran, a },
                    Some(other) => {
                        Before { ran: ran.max(other.ran), a: a.filter(|_| a == other.a) }
                    }
                });
            }
        };
        let holds = a.and_then(|a| match code {
            op::JEQ_K => Some(a == k),
            op::JGT_K => Some(a > k),
            op::JGE_K => Some(a >= k),
            op::JSET_K => Some(a & k != 0),
            _ => None,
        });
        match (code, holds) {
            (op::RET_K | op::RET_A, _) => {}
            (op::JA, _) => go(k as usize, a),
            (_, Some(true)) => go(jt.into(), a),
            (_, Some(false)) => go(jf.into(), a),
            (op::LD_W_ABS, _) => go(0, known(k, nr)),
            (op::LD_IMM, _) => go(0, Some(k)),
            (op::ST | op::STX | op::TAX | op::LDX_IMM | op::LDX_MEM | op::LDX_W_LEN, _) => go(0, a),
            _ if is_branch(code) => {
                go(jt.into(), a);
                go(jf.into(), a);
            }
            _ => go(0, None),
        }
    }
    most
}

/// Whether there are two ways on.
pub(crate) const fn is_branch(code: u16) -> bool {
    code & 7 == op::JA && code != op::JA
}

/// What a native call from the gate's `fast` has at an offset of the data.
fn known(offset: u32, nr: u32) -> Option<u32> {
    match offset {
        NR => Some(nr),
        ARCH => Some(AUDIT_ARCH_X86_64),
        IP_LOW => Some(FAST_AFTER as u32),
        IP_HIGH => Some((FAST_AFTER >> 32) as u32),
        _ => None,
    }
}

/// Whether the kernel sees that the filter allows every call of this number (`seccomp_is_const_allow`):
/// it must not look at anything but number and architecture on the way.
#[must_use]
pub fn is_cached(insns: &[Insn], nr: u32) -> bool {
    let (mut at, mut a) = (0usize, 0u32);
    while let Some(Insn { code, jt, jf, k }) = insns.get(at).copied() {
        at = at.saturating_add(1);
        let holds = match code {
            op::LD_W_ABS if matches!(k, NR | ARCH) => {
                a = known(k, nr).unwrap_or(0);
                continue;
            }
            op::AND_K => {
                a &= k;
                continue;
            }
            op::JA => {
                at = at.saturating_add(k as usize);
                continue;
            }
            op::JEQ_K => a == k,
            op::JGT_K => a > k,
            op::JGE_K => a >= k,
            op::JSET_K => a & k != 0,
            op::RET_K => return k == RET_ALLOW,
            _ => return false,
        };
        at = at.saturating_add(usize::from(if holds { jt } else { jf }));
    }
    false
}
