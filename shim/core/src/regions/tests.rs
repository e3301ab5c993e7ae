//! Against a plain model, which has a byte's worth for each page.

extern crate std;

use super::{EXEC, Full, Map, Node, READ, State, WRITE};
use crate::objects::{Identity, Object, Objects, Views};
use core::ops::Range;
use std::vec;
use std::vec::Vec;

const PAGE: u64 = 4096;

impl Map<'_> {
    /// Height and regions of the tree at `at`; everything that must hold of a tree does.
    fn checked(&self, at: u32, regions: &mut Vec<(Range<u64>, State)>) -> u32 {
        if at == 0 {
            return 0;
        }
        let node = *self.node(at);
        let left = self.checked(node.left, regions);
        assert!(node.start < node.end);
        if let Some((before, state)) = regions.last() {
            assert!(before.end <= node.start, "overlap");
            assert!(before.end < node.start || *state != node.state, "not joined");
        }
        regions.push((node.start..node.end, node.state));
        let right = self.checked(node.right, regions);
        assert!(left.abs_diff(right) <= 1, "not balanced");
        assert_eq!(node.height, left.max(right) + 1);
        node.height
    }

    fn check(&self) -> Vec<(Range<u64>, State)> {
        let mut regions = Vec::new();
        let height = self.checked(self.root, &mut regions);
        assert_eq!(regions.len(), self.len as usize);
        assert!(f64::from(height) <= 1.45 * f64::from(self.len + 2).log2());
        let mut free = 0;
        let mut at = self.free;
        while at != 0 {
            free += 1;
            at = self.node(at).left;
        }
        assert_eq!(self.touched, self.len + free, "a node is lost");
        regions
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 32) % end
    }

    fn range(&mut self, pages: u64, most: u64) -> Range<u64> {
        let start = self.below(pages);
        start..(start + self.below(most)).min(pages)
    }
}

fn bytes(pages: &Range<u64>) -> Range<u64> {
    pages.start * PAGE..pages.end * PAGE
}

fn room(nodes: usize, objects: usize) -> (Vec<Node>, Vec<Object>) {
    (vec![Node::default(); nodes], vec![Object::default(); objects])
}

/// What the model has for each page.
type Model = Vec<Option<State>>;

fn regions_of(model: &Model) -> Vec<(Range<u64>, State)> {
    let mut regions: Vec<(Range<u64>, State)> = Vec::new();
    for (page, state) in model.iter().enumerate() {
        let (start, end) = (page as u64 * PAGE, (page as u64 + 1) * PAGE);
        match (state, regions.last_mut()) {
            (Some(state), Some((range, last))) if range.end == start && last == state => {
                range.end = end;
            }
            (Some(state), _) => regions.push((start..end, *state)),
            (None, _) => {}
        }
    }
    regions
}

fn views_of(model: &Model, number: u32) -> Views {
    let mut views = Views::default();
    for state in model.iter().flatten().filter(|state| state.object == number) {
        views.mapped += PAGE;
        views.written += if state.shared && state.has(WRITE) { PAGE } else { 0 };
        views.executed += if state.has(EXEC) { PAGE } else { 0 };
    }
    views
}

fn slot(pages: &Range<u64>) -> Range<usize> {
    pages.start as usize..pages.end as usize
}

fn random_state(random: &mut Random, map: &mut Map<'_>) -> State {
    let choice = random.next();
    let object = match choice & 3 {
        0 => {
            let identity = Identity { device: 1, inode: choice >> 8 & 7 };
            map.objects_mut().number(identity).unwrap()
        }
        _ => 0,
    };
    State {
        shared: object != 0 && choice & 4 != 0,
        owner: (choice >> 16 & 1) as u8,
        object,
        ..State::anonymous((choice >> 20 & 7) as u8)
    }
}

/// One operation on both; gives whether there was room for it.
fn step(random: &mut Random, map: &mut Map<'_>, model: &mut Model, most: u64) -> bool {
    let pages = random.range(model.len() as u64, most);
    match random.below(8) {
        0..3 => {
            let state = random_state(random, map);
            let done = map.map(bytes(&pages), state);
            map.objects_mut().forget(state.object);
            if done.is_ok() {
                model[slot(&pages)].fill(Some(state));
            }
            done.is_ok()
        }
        3 | 4 => {
            let done = map.unmap(bytes(&pages));
            if done.is_ok() {
                model[slot(&pages)].fill(None);
            }
            done.is_ok()
        }
        5 | 6 => {
            let prot = (random.next() & 7) as u8;
            let change = |state: State| State { prot, mprotected: true, ..state };
            let done = map.change(bytes(&pages), change);
            if done.is_ok() {
                for state in model[slot(&pages)].iter_mut().flatten() {
                    *state = change(*state);
                }
            }
            done.is_ok()
        }
        _ => {
            let to = random.range(model.len() as u64, most);
            let overlap = pages.start < to.end && to.start < pages.end;
            // As mremap(2): what grows while it moves is mapped to its end.
            let grows = to.end - to.start > pages.end - pages.start;
            let last = pages.end.checked_sub(1).and_then(|last| model[last as usize]);
            if overlap || pages.is_empty() || to.is_empty() || (grows && last.is_none()) {
                return true;
            }
            let keep = random.next() & 1 != 0;
            let done = map.relocate(bytes(&pages), bytes(&to), keep);
            if done.is_ok() {
                let mut moved: Vec<Option<State>> = model[slot(&pages)].to_vec();
                moved.resize((to.end - to.start) as usize, last);
                if !keep {
                    model[slot(&pages)].fill(None);
                }
                model[slot(&to)].copy_from_slice(&moved);
            }
            done.is_ok()
        }
    }
}

fn compare(map: &Map<'_>, model: &Model) {
    assert_eq!(map.check(), regions_of(model));
    for number in 1..12 {
        assert_eq!(map.objects().views(number), views_of(model, number), "object {number}");
        assert_eq!(
            map.objects().identity(number).is_some(),
            map.objects().views(number).mapped != 0
        );
    }
}

#[test]
fn half_a_million_operations_agree_with_a_model_of_pages() {
    let mut random = Random(0x5eed_0001);
    for (pages, most, rounds) in [(64, 20, 250_000), (700, 30, 150_000), (20_000, 3, 100_000)] {
        let (mut nodes, mut objects) = room(2 * pages, 32);
        let mut map = Map::new(&mut nodes, Objects::new(&mut objects));
        let mut model: Model = vec![None; pages];
        for round in 0..rounds {
            assert!(step(&mut random, &mut map, &mut model, most));
            let pages = random.range(model.len() as u64, most);
            let part = || model[slot(&pages)].iter();
            let is = |state: State| state.has(READ);
            assert_eq!(
                map.any(bytes(&pages), is),
                part().any(|page| page.is_some_and(is)),
                "{round}"
            );
            assert_eq!(map.every(bytes(&pages), is), part().all(|page| page.is_some_and(is)));
            assert_eq!(map.find(pages.start * PAGE), model[pages.start as usize]);
            if round % (pages.end.max(100) as usize) == 0 {
                compare(&map, &model);
            }
        }
        compare(&map, &model);
        map.clear();
        assert!(map.is_empty() && map.check().is_empty());
    }
}

/// What finds no room has changed nothing, and everything goes on when there is some again.
#[test]
fn a_full_map_says_so_before_it_changes_anything() {
    let mut random = Random(0x5eed_0002);
    let (mut nodes, mut objects) = room(24, 32);
    let mut map = Map::new(&mut nodes, Objects::new(&mut objects));
    let mut model: Model = vec![None; 64];
    let (mut full, mut done) = (0, 0);
    for _ in 0..50_000 {
        let promised = map.has_room();
        let is_done = step(&mut random, &mut map, &mut model, 6);
        *(if is_done { &mut done } else { &mut full }) += 1;
        assert!(is_done || !promised || !map.has_room_for(&(0..64 * PAGE)));
        compare(&map, &model);
    }
    assert!(full > 1000 && done > 1000, "{full} {done}");
}

#[test]
fn neighbours_of_equal_state_are_one_region() {
    let (mut nodes, mut objects) = room(8, 2);
    let mut map = Map::new(&mut nodes, Objects::new(&mut objects));
    let state = State::anonymous(READ | WRITE);
    for range in [0..PAGE, 2 * PAGE..3 * PAGE, PAGE..2 * PAGE] {
        assert_eq!(map.map(range, state), Ok(()));
    }
    assert_eq!(map.region(PAGE), Some((0..3 * PAGE, state)));
    let read = |state| State { prot: READ, ..state };
    assert_eq!(map.change(PAGE..2 * PAGE, read), Ok(()));
    assert_eq!(map.len(), 3);
    let back = |state| State { prot: READ | WRITE, ..state };
    assert_eq!(map.change(PAGE..2 * PAGE, back), Ok(()));
    assert_eq!(map.len(), 1);
    assert_eq!(map.find(3 * PAGE), None);
    assert_eq!(map.first(PAGE..u64::MAX), Some((PAGE..3 * PAGE, state)));
}

/// A tree that is fed in order is as flat as any other.
#[test]
fn a_hundred_thousand_regions_in_order_are_seventeen_steps_deep() {
    const REGIONS: u64 = 100_000;
    let (mut nodes, mut objects) = room(REGIONS as usize + 8, 2);
    let mut map = Map::new(&mut nodes, Objects::new(&mut objects));
    for number in 0..REGIONS {
        let start = 2 * number * PAGE;
        assert_eq!(map.map(start..start + PAGE, State::anonymous(READ)), Ok(()));
    }
    assert_eq!(map.node(map.root).height, 17);
    assert!(map.has_room());
    for number in 0..7 {
        let start = 2 * (REGIONS + number) * PAGE;
        let full = map.map(start..start + PAGE, State::anonymous(READ));
        assert_eq!(full, if number < 5 { Ok(()) } else { Err(Full) });
    }
}
