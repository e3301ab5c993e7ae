//! Labels and jumps of classic BPF.
//!
//! A program is built backwards, as a graph: what comes last is made first, and whoever goes there names
//! it. Two nodes that say the same are one node, so equal ends of rules, and equal rules, are there once.
//! A node can only name what was made before it, so the order in which they were made, turned around, is
//! an order in which every jump goes forward; [`Graph::assemble`] writes them down in it.
//!
//! A jump reaches 255 instructions. What lies farther is reached by a `JA`, or, if it is only a `RET`, by
//! another one of the same.
//!
//! The kernel wants every word of scratch memory to be written before it is read, and takes what follows a
//! `RET` for reached from it (`check_load_and_stores`, net/core/filter.c). So between a `RET` and an
//! instruction that finds something in scratch memory there is a `JA` that nobody comes to: what follows a
//! jump, the kernel takes for reached from elsewhere.

use crate::cost::is_branch;
use alloc::vec::Vec;
use ia2_core::bpf::{Insn, RET_KILL_PROCESS};
use ia2_core::cbpf::op;

/// A node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    /// The end: `RET k`.
    Return(u32),
    /// An operation, and what comes after it.
    Step { code: u16, k: u32, next: Id },
    /// A test, and where both answers lead.
    Branch { code: u16, k: u32, yes: Id, no: Id },
}

impl Node {
    fn hash(self) -> u32 {
        let words = match self {
            Self::Return(k) => [0, k, 0, 0],
            Self::Step { code, k, next } => [u32::from(code) << 2 | 1, k, next.0, 0],
            Self::Branch { code, k, yes, no } => [u32::from(code) << 2 | 2, k, yes.0, no.0],
        };
        let mix = |hash: u32, word: u32| {
            let hash = (hash ^ word).wrapping_mul(0x9e37_79b1);
            hash ^ (hash >> 15)
        };
        words.into_iter().fold(0x811c_9dc5, mix)
    }
}

/// A program that is being built.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Open addressing: node number plus 1, or 0. Its length is a power of two.
    index: Vec<u32>,
}

/// How far [`Graph::without_load`] looks.
const PEEPHOLE: u32 = 64;

impl Graph {
    fn intern(&mut self, node: Node) -> Id {
        if self.nodes.len().saturating_mul(2) >= self.index.len() {
            self.grow();
        }
        let slot = self.slot_of(node);
        match self.index.get(slot).copied() {
            Some(found @ 1..) => Id(found.wrapping_sub(1)),
            _ => {
                let id = Id(self.nodes.len() as u32);
                self.nodes.push(node);
                if let Some(slot) = self.index.get_mut(slot) {
                    *slot = id.0.wrapping_add(1);
                }
                id
            }
        }
    }

    /// Where the node is in the index, or would be.
    fn slot_of(&self, node: Node) -> usize {
        let mask = self.index.len().wrapping_sub(1);
        let mut slot = node.hash() as usize & mask;
        // At most half of the slots are taken, so the search ends.
        while let Some(found @ 1..) = self.index.get(slot).copied() {
            if self.node(Id(found.wrapping_sub(1))) == node {
                break;
            }
            slot = slot.wrapping_add(1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let len = self.index.len().saturating_mul(2).max(256);
        self.index.clear();
        self.index.resize(len, 0);
        for number in 0..self.nodes.len() {
            let slot = self.slot_of(self.node(Id(number as u32)));
            if let Some(slot) = self.index.get_mut(slot) {
                *slot = (number as u32).wrapping_add(1);
            }
        }
    }

    fn node(&self, Id(number): Id) -> Node {
        // Ids are made by `intern` alone.
        self.nodes.get(number as usize).copied().unwrap_or(Node::Return(0))
    }

    /// How many nodes there are, also such that nothing leads to.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// `RET k`.
    pub fn ret(&mut self, k: u32) -> Id {
        self.intern(Node::Return(k))
    }

    /// One operation, then `next`. A load whose value nobody looks at is none.
    pub fn step(&mut self, code: u16, k: u32, next: Id) -> Id {
        let loads = |code| matches!(code, op::LD_W_ABS | op::LD_IMM | op::LD_MEM);
        if loads(code) {
            match self.node(next) {
                Node::Return(_) | Node::Branch { code: op::ASK, .. } => return next,
                Node::Step { code, .. } if loads(code) => return next,
                _ => {}
            }
        }
        self.intern(Node::Step { code, k, next })
    }

    /// Loads the word at `offset` of the data into `A`, then `next`.
    pub fn load(&mut self, offset: u32, next: Id) -> Id {
        let mut budget = PEEPHOLE;
        let next = self.without_load(offset, next, &mut budget);
        self.step(op::LD_W_ABS, offset, next)
    }

    /// `from`, for those who come with the word at `offset` in `A` already: without the loads of that
    /// word that no other operation precedes. Only the first few nodes are looked at.
    fn without_load(&mut self, offset: u32, from: Id, budget: &mut u32) -> Id {
        if *budget == 0 {
            return from;
        }
        *budget = budget.wrapping_sub(1);
        match self.node(from) {
            Node::Step { code: op::LD_W_ABS, k, next } if k == offset => next,
            Node::Branch { code, k, yes, no } if code != op::ASK => {
                let yes = self.without_load(offset, yes, budget);
                let no = self.without_load(offset, no, budget);
                self.branch(code, k, yes, no)
            }
            _ => from,
        }
    }

    /// A test with both its ends. One that cannot fail, or leads to the same place either way, is none.
    pub fn branch(&mut self, code: u16, k: u32, yes: Id, no: Id) -> Id {
        match (code, k) {
            _ if yes == no => yes,
            (op::JGE_K, 0) => yes,
            (op::JGT_K, u32::MAX) | (op::JSET_K, 0) => no,
            _ => self.intern(Node::Branch { code, k, yes, no }),
        }
    }

    /// Instructions that were written elsewhere, going on where `instead` says so in place of a `RET` with
    /// that action.
    pub fn import(&mut self, insns: &[Insn], instead: &[(u32, Id)]) -> Id {
        // For jumps out of the program, which no program has.
        let nowhere = self.ret(RET_KILL_PROCESS);
        // From the last to the first; `made` is in that order.
        let mut made: Vec<Id> = Vec::with_capacity(insns.len());
        for Insn { code, jt, jf, k } in insns.iter().rev().copied() {
            let after = |skipped: usize| {
                let at = made.len().checked_sub(1)?.checked_sub(skipped)?;
                made.get(at).copied()
            };
            let id = match code {
                op::RET_K => match instead.iter().find(|row| row.0 == k) {
                    Some((_, next)) => *next,
                    None => self.ret(k),
                },
                op::JA => after(k as usize).unwrap_or(nowhere),
                _ if is_branch(code) => {
                    let (yes, no) = (after(usize::from(jt)), after(usize::from(jf)));
                    self.branch(code, k, yes.unwrap_or(nowhere), no.unwrap_or(nowhere))
                }
                _ => {
                    let next = after(0).unwrap_or(nowhere);
                    self.step(code, k, next)
                }
            };
            made.push(id);
        }
        made.last().copied().unwrap_or(nowhere)
    }

    /// The program that begins with `start`. It may be longer than any machine takes.
    #[must_use]
    pub fn assemble(&self, start: Id) -> Vec<Insn> {
        let needed = self.reached_from(start);
        let at = alloc::vec![None; self.nodes.len()];
        let mut out = Backwards { insns: Vec::new(), finds: Vec::new(), at };
        for (number, node) in self.nodes.iter().enumerate() {
            if needed.get(number) != Some(&true) {
                continue;
            }
            match *node {
                Node::Return(k) => out.push_return(k),
                Node::Step { code, k, next } => {
                    if out.distance(next) != Some(0) {
                        out.bring_near(next, self.node(next));
                    }
                    out.push(code, k, 0, 0);
                }
                Node::Branch { code, k, yes, no } => {
                    // Room for two that are brought near, for each pushes the other away by two at most.
                    for target in [no, yes] {
                        if out.distance(target).is_none_or(|distance| distance > 251) {
                            out.bring_near(target, self.node(target));
                        }
                    }
                    let jump = |target| out.distance(target).unwrap_or(0) as u8;
                    let (jt, jf) = (jump(yes), jump(no));
                    out.push(code, k, jt, jf);
                }
            }
            out.place(Id(number as u32));
        }
        out.insns.reverse();
        out.insns
    }

    /// What a program that begins with `start` can come to.
    #[must_use]
    pub fn ends(&self, start: Id) -> Ends {
        let mut ends = Ends::default();
        let needed = self.reached_from(start);
        let reached = self.nodes.iter().zip(needed).filter(|(_, needed)| *needed);
        for (node, _) in reached {
            match *node {
                Node::Return(k) => ends.returns.push(k),
                Node::Branch { code: op::ASK, .. } => ends.asks = true,
                _ => {}
            }
        }
        ends
    }

    fn reached_from(&self, start: Id) -> Vec<bool> {
        // A node names only what was made before it.
        let made = self.nodes.get(..=start.0 as usize).unwrap_or(&self.nodes);
        let mut needed = alloc::vec![false; made.len()];
        let mark = |needed: &mut Vec<bool>, Id(number): Id| {
            if let Some(slot) = needed.get_mut(number as usize) {
                *slot = true;
            }
        };
        mark(&mut needed, start);
        for (number, node) in made.iter().enumerate().rev() {
            if needed.get(number) != Some(&true) {
                continue;
            }
            match *node {
                Node::Return(_) => {}
                Node::Step { next, .. } => mark(&mut needed, next),
                Node::Branch { yes, no, .. } => {
                    mark(&mut needed, yes);
                    mark(&mut needed, no);
                }
            }
        }
        needed
    }
}

/// What a program can come to.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// What it can return.
    pub returns: Vec<u32>,
    /// Whether it can ask.
    pub asks: bool,
}

/// A program written from its last instruction to its first.
struct Backwards {
    insns: Vec<Insn>,
    /// For each of them, a bit for each word of scratch memory that must have been written before.
    finds: Vec<u16>,
    /// For each node, the latest place in `insns` that leads there.
    at: Vec<Option<usize>>,
}

impl Backwards {
    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        let word = 1u16.checked_shl(k).unwrap_or(0);
        let after = |skipped: usize| {
            let at = self.finds.len().checked_sub(1).and_then(|last| last.checked_sub(skipped));
            at.and_then(|at| self.finds.get(at)).copied().unwrap_or(0)
        };
        self.finds.push(match code {
            op::RET_K => 0,
            op::ST | op::STX => after(0) & !word,
            op::LD_MEM | op::LDX_MEM => after(0) | word,
            op::JA => after(k as usize),
            _ => after(jt.into()) | after(jf.into()),
        });
        self.insns.push(Insn { code, jt, jf, k });
    }

    fn push_return(&mut self, k: u32) {
        if let Some(last) = self.insns.len().checked_sub(1)
            && self.finds.last().is_some_and(|finds| *finds != 0)
        {
            self.push(op::JA, last as u32, 0, 0); // to the end, which is a `RET`
        }
        self.push(op::RET_K, k, 0, 0);
    }

    /// The last instruction pushed leads to the node.
    fn place(&mut self, Id(number): Id) {
        let last = self.insns.len().checked_sub(1);
        if let Some(slot) = self.at.get_mut(number as usize) {
            *slot = last;
        }
    }

    /// What an instruction pushed now would have to skip to get there.
    fn distance(&self, Id(number): Id) -> Option<usize> {
        let at = self.at.get(number as usize).copied().flatten()?;
        self.insns.len().checked_sub(1)?.checked_sub(at)
    }

    /// Pushes an instruction that leads to the node.
    fn bring_near(&mut self, id: Id, node: Node) {
        match node {
            Node::Return(k) => self.push_return(k),
            _ => {
                let distance = self.distance(id).unwrap_or(0);
                self.push(op::JA, distance as u32, 0, 0);
            }
        }
        self.place(id);
    }
}

/// A tree of tests on what is in `A`: `parts` are values from which on a target counts, sorted, the first
/// one 0.
///
/// Values that lead elsewhere than most others are found by halving their list; the rest needs no test of
/// its own.
pub fn decide(graph: &mut Graph, parts: &[(u32, Id)]) -> Option<Id> {
    let mut merged: Vec<(u32, Id)> = Vec::new();
    for part in parts {
        if merged.last().is_none_or(|last| last.1 != part.1) {
            merged.push(*part);
        }
    }
    let rest = most_common(&merged)?;
    let mut items = Vec::new();
    for (number, (first, target)) in merged.iter().enumerate() {
        if *target != rest {
            let next = merged.get(number.wrapping_add(1));
            let last = next.map_or(u32::MAX, |next| next.0.wrapping_sub(1));
            items.push(Item { first: *first, last, target: *target });
        }
    }
    Some(halve(graph, &items, rest, 0, u32::MAX))
}

/// Values that lead somewhere.
struct Item {
    first: u32,
    last: u32,
    target: Id,
}

fn most_common(parts: &[(u32, Id)]) -> Option<Id> {
    let mut targets: Vec<Id> = parts.iter().map(|part| part.1).collect();
    targets.sort_unstable_by_key(|target| target.0);
    let most = targets.chunk_by(|one, next| one == next).max_by_key(|equal| equal.len());
    most?.first().copied()
}

/// The tests for values between `least` and `most`. Halving bounds the depth.
fn halve(graph: &mut Graph, items: &[Item], rest: Id, least: u32, most: u32) -> Id {
    match items {
        [] => rest,
        [Item { first, last, target }] => {
            if first == last && least != *first && most != *last {
                return graph.branch(op::JEQ_K, *first, *target, rest);
            }
            let above = match *last >= most {
                true => *target,
                false => graph.branch(op::JGT_K, *last, rest, *target),
            };
            match *first <= least {
                true => above,
                false => graph.branch(op::JGE_K, *first, above, rest),
            }
        }
        [.., _] => {
            let middle = items.len() / 2;
            let (low, high) = items.split_at_checked(middle).unwrap_or((items, &[]));
            let Some(Item { first, .. }) = high.first() else { return rest };
            let no = halve(graph, low, rest, least, first.wrapping_sub(1));
            let yes = halve(graph, high, rest, *first, most);
            graph.branch(op::JGE_K, *first, yes, no)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Graph, Id, decide};
    use alloc::vec::Vec;
    use ia2_core::bpf::{NR, RET_ALLOW};
    use ia2_core::cbpf::{Data, check, op, run_filter};

    #[test]
    fn equal_nodes_are_one() {
        let mut graph = Graph::default();
        let (one, two) = (graph.ret(1), graph.ret(2));
        let a = graph.branch(op::JEQ_K, 7, one, two);
        for k in 0..2000 {
            graph.branch(op::JEQ_K, k, one, two);
        }
        assert_eq!(graph.branch(op::JEQ_K, 7, one, two), a);
        assert_eq!(graph.len(), 2 + 2000);
        assert_eq!(graph.branch(op::JEQ_K, 9, two, two), two);
    }

    #[test]
    fn long_jumps_arrive() {
        let mut graph = Graph::default();
        // A chain of 3000 tests, each with a rare way to one far end, and one to a step far away.
        let (allow, far) = (graph.ret(RET_ALLOW), graph.ret(77));
        let step = graph.step(op::ADD_K, 1, far);
        let mut chain = allow;
        for k in (0..1000).rev() {
            chain = graph.branch(op::JEQ_K, 2 * k, far, chain);
            chain = graph.branch(op::JEQ_K, 2 * k + 1, step, chain);
        }
        let start = graph.load(NR, chain);
        let program = graph.assemble(start);
        assert_eq!(check(&program[..], 0), Ok(()));
        for nr in 0..2100 {
            let wanted = if nr < 2000 { 77 } else { RET_ALLOW };
            assert_eq!(run_filter(&program[..], &Data::new(nr, 0, &[0; 6])), wanted, "{nr}");
        }
    }

    /// What follows a `RET` and finds something in scratch memory is not taken for reached from it.
    #[test]
    fn nothing_is_read_behind_a_return() {
        let mut graph = Graph::default();
        let (one, two) = (graph.ret(1), graph.ret(2));
        let test = graph.branch(op::JEQ_X, 0, one, two);
        let shared = graph.step(op::LDX_MEM, 0, test);
        let three = graph.ret(3); // is written right before `shared`
        let mut start = three;
        for (number, word) in [(5, 16), (6, 24)] {
            let test = graph.load(word, shared);
            let kept = graph.step(op::ST, 0, test);
            let first = graph.load(32, kept);
            let rest = graph.load(NR, start);
            start = graph.branch(op::JEQ_K, number, first, rest);
        }
        let start = graph.load(NR, start);
        let program = graph.assemble(start);
        assert_eq!(check(&program[..], 0), Ok(()), "{program:?}");
        let run = |nr, args| run_filter(&program[..], &Data::new(nr, 0, &args));
        assert_eq!(run(5, [9, 0, 9, 0, 0, 0]), 1);
        assert_eq!(run(5, [9, 9, 8, 0, 0, 0]), 2);
        assert_eq!(run(6, [0, 9, 9, 0, 0, 0]), 1);
        assert_eq!(run(7, [9, 9, 9, 0, 0, 0]), 3);
    }

    #[test]
    fn word_is_loaded_once() {
        let mut graph = Graph::default();
        let (one, two) = (graph.ret(1), graph.ret(2));
        let mut chain = two;
        for k in 0..5 {
            let test = graph.branch(op::JEQ_K, k, one, chain);
            chain = graph.load(16, test);
        }
        let program = graph.assemble(chain);
        assert_eq!(program.iter().filter(|insn| insn.code == op::LD_W_ABS).count(), 1);
    }

    #[test]
    fn decisions_are_the_list_and_short() {
        let mut graph = Graph::default();
        let targets: Vec<Id> = (0..5).map(|k| graph.ret(k)).collect();
        for seed in 0..200u32 {
            let mut parts = Vec::new();
            let mut value = 0u32;
            while value < 1000 {
                let random = value.wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 7;
                parts.push((value, targets[random as usize % (2 + seed as usize % 4)]));
                value += 1 + random % 5 * (seed % 7);
            }
            let tree = decide(&mut graph, &parts).unwrap();
            let start = graph.load(NR, tree);
            let program = graph.assemble(start);
            check(&program[..], 0).unwrap();
            for nr in (0..1100).chain([u32::MAX]) {
                let at = parts.partition_point(|part| part.0 <= nr) - 1;
                let wanted = targets.iter().position(|id| *id == parts[at].1).unwrap();
                let got = run_filter(&program[..], &Data::new(nr, 0, &[0; 6]));
                assert_eq!(got, wanted as u32, "{seed} {nr}");
            }
        }
    }
}
