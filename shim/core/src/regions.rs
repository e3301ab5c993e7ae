//! Which addresses are mapped, and how: what the shim knows of the memory of a process.
//!
//! A map is a set of regions that do not overlap; neighbours of equal state are one. They are the nodes
//! of an AVL tree in a slice that the caller gives, linked by index, so the deepest of 100,000 regions is
//! 20 steps away whatever a program does to make it otherwise, and nothing here allocates.
//!
//! Every operation that needs nodes looks for room first and then cannot fail: `Err(Full)` has changed
//! nothing. A caller asks [`Map::has_room`] before it makes the call that the operation will record.
//!
//! Addresses are those of pages; what a call rounds is its caller's business.

use crate::objects::Objects;
use core::ops::Range;

/// PROT_READ.
pub const READ: u8 = 1;
/// PROT_WRITE.
pub const WRITE: u8 = 2;
/// PROT_EXEC.
pub const EXEC: u8 = 4;

/// The owner of what belongs to the shim. Any other number is a compartment of the program.
pub const SHIM: u8 = u8::MAX;

/// What is known of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// [`READ`], [`WRITE`], [`EXEC`].
    pub prot: u8,
    /// Whose it is.
    pub owner: u8,
    /// Others see what is written to it: MAP_SHARED.
    pub shared: bool,
    /// It grows downwards when it is touched: what is below it may belong to it.
    pub grows: bool,
    /// No call of the program may change it any more.
    pub protected: bool,
    /// It was the object of an mprotect(2).
    pub mprotected: bool,
    /// It was the object of a pkey_mprotect(2).
    pub pkey_mprotected: bool,
    /// The number of what it maps ([`Objects`]), or 0: memory that nobody else has.
    pub object: u32,
}

impl State {
    /// Private memory of the program's, without history.
    #[must_use]
    pub const fn anonymous(prot: u8) -> Self {
        Self {
            prot,
            owner: 0,
            shared: false,
            grows: false,
            protected: false,
            mprotected: false,
            pkey_mprotected: false,
            object: 0,
        }
    }

    /// Whether it can be written, or executed, or whatever `prot` says: all of it.
    #[must_use]
    pub const fn has(&self, prot: u8) -> bool {
        self.prot & prot == prot
    }
}

/// A node of the tree; all zero when it is not in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    start: u64,
    end: u64,
    state: State,
    /// In a free node, the next free one.
    left: u32,
    right: u32,
    /// 1 in a leaf.
    height: u32,
}

/// What stands for a child that is not there.
static NOBODY: Node =
    Node { start: 0, end: 0, state: State::anonymous(0), left: 0, right: 0, height: 0 };

/// There is no room for what an operation would record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A map of memory.
#[derive(Debug)]
pub struct Map<'a> {
    /// The first is never in use: index 0 is no node.
    nodes: &'a mut [Node],
    objects: Objects<'a>,
    root: u32,
    /// The first free one of those that have been in use.
    free: u32,
    /// How many have ever been in use.
    touched: u32,
    /// How many regions there are.
    len: u32,
}

/// Most nodes that one operation takes besides those it frees, but for [`Map::relocate`].
const MOST: u32 = 3;

impl<'a> Map<'a> {
    /// An empty map in these nodes, all of them [`Node::default`].
    #[must_use]
    pub const fn new(nodes: &'a mut [Node], objects: Objects<'a>) -> Self {
        Self { nodes, objects, root: 0, free: 0, touched: 0, len: 0 }
    }

    /// How many regions there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What regions map.
    #[must_use]
    pub const fn objects(&self) -> &Objects<'a> {
        &self.objects
    }

    /// As [`Map::objects`], to give numbers.
    pub const fn objects_mut(&mut self) -> &mut Objects<'a> {
        &mut self.objects
    }

    /// Whether any one operation, but for [`Map::relocate`], will find room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.room() >= MOST
    }

    /// Whether [`Map::relocate`] of so much will.
    #[must_use]
    pub fn has_room_for(&self, moved: &Range<u64>) -> bool {
        let pieces = self.pieces(moved.clone()).take(self.room() as usize + 1).count();
        self.room() as usize >= pieces + MOST as usize
    }

    /// Nodes that are not in use.
    fn room(&self) -> u32 {
        let capacity = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        capacity.saturating_sub(1).saturating_sub(self.len)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.objects.clear();
        (self.root, self.free, self.touched, self.len) = (0, 0, 0, 0);
    }

    /// Maps `range`, in place of what is there.
    ///
    /// # Errors
    /// No room.
    pub fn map(&mut self, range: Range<u64>, state: State) -> Result<(), Full> {
        self.needs(MOST)?;
        if range.is_empty() {
            return Ok(());
        }
        self.objects.gain(state, range.end - range.start);
        self.carve(&range);
        self.place(&range, state);
        Ok(())
    }

    /// Unmaps `range`.
    ///
    /// # Errors
    /// No room: what is left may be two regions.
    pub fn unmap(&mut self, range: Range<u64>) -> Result<(), Full> {
        self.needs(1)?;
        self.carve(&range);
        Ok(())
    }

    /// Changes the states in `range`. What is not mapped stays so.
    ///
    /// # Errors
    /// No room.
    pub fn change(
        &mut self,
        range: Range<u64>,
        change: impl Fn(State) -> State,
    ) -> Result<(), Full> {
        self.needs(MOST)?;
        let mut from = range.start;
        while let Some((piece, old)) = self.first(from..range.end) {
            from = piece.end;
            let new = change(old);
            if new != old {
                self.objects.gain(new, piece.end - piece.start);
                self.carve(&piece);
                self.place(&piece, new);
            }
        }
        Ok(())
    }

    /// Maps at `to` what is mapped at `from`, in place of what is there; what `to` is longer goes on as the
    /// end of `from`. With `keep` it stays at `from` as well. The two do not overlap.
    ///
    /// # Errors
    /// No room.
    pub fn relocate(&mut self, from: Range<u64>, to: Range<u64>, keep: bool) -> Result<(), Full> {
        if !self.has_room_for(&from) {
            return Err(Full);
        }
        let whole = to.end.saturating_sub(to.start);
        let same = whole.min(from.end.saturating_sub(from.start));
        // First the new, so that an object that only moves is not forgotten in between.
        let mut at = from.start;
        let mut last = self.find(from.start);
        while let Some((piece, state)) = self.first(at..from.start + same) {
            at = piece.end;
            last = Some(state);
            self.objects.gain(state, piece.end - piece.start);
        }
        let last = last.filter(|_| same < whole);
        last.inspect(|state| self.objects.gain(*state, whole - same));
        self.carve(&to);
        at = from.start;
        while let Some((piece, state)) = self.first(at..from.start + same) {
            at = piece.end;
            let moved = |addr| to.start + (addr - from.start);
            self.place(&(moved(piece.start)..moved(piece.end)), state);
        }
        if let Some(state) = last {
            self.place(&(to.start + same..to.end), state);
        }
        if !keep {
            self.carve(&from);
        }
        Ok(())
    }

    /// The state of the page at `addr`.
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<State> {
        let node = self.node(self.below(addr));
        (addr < node.end).then_some(node.state)
    }

    /// The region that `addr` lies in, whole.
    #[must_use]
    pub fn region(&self, addr: u64) -> Option<(Range<u64>, State)> {
        let node = self.node(self.below(addr));
        (addr < node.end).then_some((node.start..node.end, node.state))
    }

    /// The first piece of a region in `range`.
    #[must_use]
    pub fn first(&self, range: Range<u64>) -> Option<(Range<u64>, State)> {
        let node = self.node(self.reaching(range.start));
        let (start, end) = (node.start.max(range.start), node.end.min(range.end));
        (start < end).then_some((start..end, node.state))
    }

    /// The parts of regions in `range`, in order.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, State)> {
        let mut from = range.start;
        core::iter::from_fn(move || {
            let piece = self.first(from..range.end)?;
            from = piece.0.end;
            Some(piece)
        })
    }

    /// Whether some of `range` is mapped like this.
    pub fn any(&self, range: Range<u64>, mut is: impl FnMut(State) -> bool) -> bool {
        self.pieces(range).any(|(_, state)| is(state))
    }

    /// Whether all of `range` is mapped, and like this.
    pub fn every(&self, range: Range<u64>, mut is: impl FnMut(State) -> bool) -> bool {
        let mut from = range.start;
        self.pieces(range.clone()).all(|(piece, state)| {
            let follows = piece.start == from;
            from = piece.end;
            follows && is(state)
        }) && from >= range.end
    }

    fn needs(&self, nodes: u32) -> Result<(), Full> {
        if self.room() >= nodes { Ok(()) } else { Err(Full) }
    }

    /// Takes out what there is in `range`.
    fn carve(&mut self, range: &Range<u64>) {
        while let Some((piece, state)) = self.first(range.clone()) {
            self.objects.lose(state, piece.end - piece.start);
            let at = self.below(piece.start);
            let Some(node) = self.nodes.get_mut(at as usize) else { return };
            let whole = node.start..node.end;
            match (whole.start == piece.start, whole.end == piece.end) {
                (true, true) => self.remove(whole.start),
                // Still behind its left neighbour, so it stays where it is in the tree.
                (true, false) => node.start = piece.end,
                (false, true) => node.end = piece.start,
                (false, false) => {
                    node.end = piece.start;
                    self.insert(piece.end..whole.end, state);
                }
            }
        }
    }

    /// Puts a region where there is none, and joins it with its neighbours.
    fn place(&mut self, range: &Range<u64>, state: State) {
        let left = self.below(range.start);
        let joins_left = left != 0 && {
            let node = self.node(left);
            node.end == range.start && node.state == state
        };
        let right = self.from(range.end);
        let end = self.node(right).end;
        let joins_right = right != 0 && {
            let node = self.node(right);
            node.start == range.end && node.state == state
        };
        match (joins_left, joins_right) {
            (false, false) => self.insert(range.clone(), state),
            (true, false) => self.set(left, |node| node.end = range.end),
            (false, true) => self.set(right, |node| node.start = range.start),
            (true, true) => {
                self.remove(range.end);
                self.set(left, |node| node.end = end);
            }
        }
    }

    fn node(&self, at: u32) -> &Node {
        if at == 0 { &NOBODY } else { self.nodes.get(at as usize).unwrap_or(&NOBODY) }
    }

    fn set(&mut self, at: u32, set: impl FnOnce(&mut Node)) {
        if at != 0
            && let Some(node) = self.nodes.get_mut(at as usize)
        {
            set(node);
        }
    }

    /// The last node that starts at `addr` or before, or 0.
    fn below(&self, addr: u64) -> u32 {
        let (mut at, mut found) = (self.root, 0);
        while at != 0 {
            let node = self.node(at);
            if node.start <= addr {
                found = at;
                at = node.right;
            } else {
                at = node.left;
            }
        }
        found
    }

    /// The first node that starts at `addr` or behind, or 0.
    fn from(&self, addr: u64) -> u32 {
        self.first_that(|node| node.start >= addr)
    }

    /// The first node that ends behind `addr`, or 0.
    fn reaching(&self, addr: u64) -> u32 {
        self.first_that(|node| node.end > addr)
    }

    /// The first node of which `is` holds, as it does of all behind it; or 0.
    fn first_that(&self, is: impl Fn(&Node) -> bool) -> u32 {
        let (mut at, mut found) = (self.root, 0);
        while at != 0 {
            let node = self.node(at);
            if is(node) {
                found = at;
                at = node.left;
            } else {
                at = node.right;
            }
        }
        found
    }

    fn insert(&mut self, range: Range<u64>, state: State) {
        let at = match self.free {
            0 => {
                self.touched += 1;
                self.touched
            }
            free => {
                self.free = self.node(free).left;
                free
            }
        };
        let (start, end) = (range.start, range.end);
        self.set(at, |node| *node = Node { start, end, state, left: 0, right: 0, height: 1 });
        self.len += 1;
        self.root = self.insert_below(self.root, at, start);
    }

    /// Links `new` into the tree at `at`; gives the tree's new top.
    fn insert_below(&mut self, at: u32, new: u32, start: u64) -> u32 {
        if at == 0 {
            return new;
        }
        let Node { start: here, left, right, .. } = *self.node(at);
        if start < here {
            let left = self.insert_below(left, new, start);
            self.set(at, |node| node.left = left);
        } else {
            let right = self.insert_below(right, new, start);
            self.set(at, |node| node.right = right);
        }
        self.balance(at)
    }

    /// Takes out the node that starts at `start`.
    fn remove(&mut self, start: u64) {
        let (root, gone) = self.remove_below(self.root, start);
        self.root = root;
        if gone != 0 {
            let free = self.free;
            self.set(gone, |node| node.left = free);
            self.free = gone;
            self.len -= 1;
        }
    }

    /// The new top of the tree at `at`, and the node that is not in it any more.
    fn remove_below(&mut self, at: u32, start: u64) -> (u32, u32) {
        let Node { start: here, left, right, .. } = *self.node(at);
        if at == 0 {
            return (0, 0);
        }
        let gone;
        if start < here {
            let (left, taken) = self.remove_below(left, start);
            gone = taken;
            self.set(at, |node| node.left = left);
        } else if start > here {
            let (right, taken) = self.remove_below(right, start);
            gone = taken;
            self.set(at, |node| node.right = right);
        } else if left == 0 || right == 0 {
            return (left | right, at);
        } else {
            // The next one takes its place.
            let (right, next) = self.take_first(right);
            self.set(next, |node| (node.left, node.right) = (left, right));
            return (self.balance(next), at);
        }
        (self.balance(at), gone)
    }

    /// The new top of the tree at `at` without its first node, and that.
    fn take_first(&mut self, at: u32) -> (u32, u32) {
        let Node { left, right, .. } = *self.node(at);
        if left == 0 {
            return (right, at);
        }
        let (left, first) = self.take_first(left);
        self.set(at, |node| node.left = left);
        (self.balance(at), first)
    }

    /// Both subtrees of `at` are balanced, and one may be higher by two: gives the top of a tree that is
    /// balanced.
    fn balance(&mut self, at: u32) -> u32 {
        let Node { left, right, .. } = *self.node(at);
        let (low, high) = (self.node(left).height, self.node(right).height);
        if low > high + 1 {
            let Node { left: outer, right: inner, .. } = *self.node(left);
            if self.node(inner).height > self.node(outer).height {
                let left = self.turn_left(left);
                self.set(at, |node| node.left = left);
            }
            return self.turn_right(at);
        }
        if high > low + 1 {
            let Node { left: inner, right: outer, .. } = *self.node(right);
            if self.node(inner).height > self.node(outer).height {
                let right = self.turn_right(right);
                self.set(at, |node| node.right = right);
            }
            return self.turn_left(at);
        }
        self.measure(at);
        at
    }

    /// The right child becomes the top.
    fn turn_left(&mut self, at: u32) -> u32 {
        let top = self.node(at).right;
        let inner = self.node(top).left;
        self.set(at, |node| node.right = inner);
        self.set(top, |node| node.left = at);
        self.measure(at);
        self.measure(top);
        top
    }

    /// The left child becomes the top.
    fn turn_right(&mut self, at: u32) -> u32 {
        let top = self.node(at).left;
        let inner = self.node(top).right;
        self.set(at, |node| node.left = inner);
        self.set(top, |node| node.right = at);
        self.measure(at);
        self.measure(top);
        top
    }

    fn measure(&mut self, at: u32) {
        let Node { left, right, .. } = *self.node(at);
        let height = self.node(left).height.max(self.node(right).height) + 1;
        self.set(at, |node| node.height = height);
    }
}

#[cfg(test)]
#[path = "regions/tests.rs"]
mod tests;
