//! What memory is mapped of: files, and memory that several mappings show. Each has a number as long as a
//! region has it, and it is known how much of it is written and how much executed at the moment.
//!
//! The numbers are places in a slice that the caller gives; each place is the head of a chain of those
//! whose identities hash to it as well.

use crate::regions::{EXEC, Full, State, WRITE};

/// Which file, or which memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Device, as stat(2) has it.
    pub device: u64,
    /// Inode.
    pub inode: u64,
}

impl Identity {
    /// The device of what only mappings name.
    const NAMELESS: u64 = u64::MAX;
}

/// Bytes of an object that are mapped: all, shared and writable, executable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// In any way.
    pub mapped: u64,
    /// Shared and writable.
    pub written: u64,
    /// Executable.
    pub executed: u64,
}

/// One place; all zero when it is not in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Object {
    identity: Identity,
    views: Views,
    /// The next of its chain, or the next free place.
    next: u32,
    /// The first of the chain of this place's hash.
    head: u32,
    used: bool,
}

/// The objects. Number 0 is none.
#[derive(Debug)]
pub struct Objects<'a> {
    places: &'a mut [Object],
    free: u32,
    touched: u32,
    /// Inodes that were given to what has no name.
    nameless: u64,
}

impl<'a> Objects<'a> {
    /// No objects, in these places, all of them [`Object::default`].
    #[must_use]
    pub const fn new(places: &'a mut [Object]) -> Self {
        Self { places, free: 0, touched: 0, nameless: 0 }
    }

    /// The number of the object, which is given one if it has none. Who does not map it
    /// [forgets](Objects::forget) it.
    ///
    /// # Errors
    /// No room.
    pub fn number(&mut self, identity: Identity) -> Result<u32, Full> {
        let bucket = self.bucket(identity);
        let mut at = self.place(bucket).head;
        while at != 0 {
            let place = self.place(at);
            if place.identity == identity {
                return Ok(at);
            }
            at = place.next;
        }
        let new = match self.free {
            0 if (self.touched as usize) < self.places.len().saturating_sub(1) => {
                self.touched += 1;
                self.touched
            }
            0 => return Err(Full),
            free => {
                self.free = self.place(free).next;
                free
            }
        };
        let next = self.place(bucket).head;
        self.set(bucket, |place| place.head = new);
        self.set(new, |place| {
            let head = place.head;
            *place = Object { identity, views: Views::default(), next, head, used: true };
        });
        Ok(new)
    }

    /// A number for memory that has no name yet: shared and of no file.
    ///
    /// # Errors
    /// No room.
    pub fn nameless(&mut self) -> Result<u32, Full> {
        self.nameless += 1;
        self.number(Identity { device: Identity::NAMELESS, inode: self.nameless })
    }

    /// Which object has this number.
    #[must_use]
    pub fn identity(&self, number: u32) -> Option<Identity> {
        let place = self.place(number);
        place.used.then_some(place.identity)
    }

    /// How much of the object is mapped, and how.
    #[must_use]
    pub fn views(&self, number: u32) -> Views {
        self.place(number).views
    }

    /// Takes the number back if nothing of the object is mapped.
    pub fn forget(&mut self, number: u32) {
        let Object { identity, views, next, used, .. } = *self.place(number);
        if !used || views.mapped != 0 {
            return;
        }
        let bucket = self.bucket(identity);
        if self.place(bucket).head == number {
            self.set(bucket, |place| place.head = next);
        } else {
            let mut at = self.place(bucket).head;
            while at != 0 && self.place(at).next != number {
                at = self.place(at).next;
            }
            self.set(at, |place| place.next = next);
        }
        let free = self.free;
        self.set(number, |place| (place.used, place.next) = (false, free));
        self.free = number;
    }

    /// So many bytes more are mapped like this.
    pub(crate) fn gain(&mut self, state: State, bytes: u64) {
        self.set(state.object, |place| each(&mut place.views, state, |sum| *sum += bytes));
    }

    /// So many bytes less are. An object of which nothing is left is forgotten.
    pub(crate) fn lose(&mut self, state: State, bytes: u64) {
        self.set(state.object, |place| each(&mut place.views, state, |sum| *sum -= bytes));
        self.forget(state.object);
    }

    pub(crate) fn clear(&mut self) {
        self.places.fill(Object::default());
        (self.free, self.touched) = (0, 0);
    }

    fn bucket(&self, identity: Identity) -> u32 {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = (identity.inode ^ identity.device.rotate_left(32)).wrapping_mul(MIX);
        // The first place has no number, but may have a chain: this is never 0 but where it is the only one.
        let buckets = (self.places.len() as u64).saturating_sub(1).max(1);
        ((hash >> 32) % buckets + 1) as u32
    }

    fn place(&self, number: u32) -> &Object {
        const NOTHING: &Object = &Object {
            identity: Identity { device: 0, inode: 0 },
            views: Views { mapped: 0, written: 0, executed: 0 },
            next: 0,
            head: 0,
            used: false,
        };
        if number == 0 { NOTHING } else { self.places.get(number as usize).unwrap_or(NOTHING) }
    }

    fn set(&mut self, number: u32, set: impl FnOnce(&mut Object)) {
        if number != 0
            && let Some(place) = self.places.get_mut(number as usize)
        {
            set(place);
        }
    }
}

fn each(views: &mut Views, state: State, mut count: impl FnMut(&mut u64)) {
    count(&mut views.mapped);
    if state.shared && state.has(WRITE) {
        count(&mut views.written);
    }
    if state.has(EXEC) {
        count(&mut views.executed);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Identity, Object, Objects};
    use crate::regions::{Full, State, WRITE};

    fn file(inode: u64) -> Identity {
        Identity { device: 1, inode }
    }

    #[test]
    fn a_number_is_kept_as_long_as_something_is_mapped() {
        let mut places = [Object::default(); 4];
        let mut objects = Objects::new(&mut places);
        let one = objects.number(file(1)).unwrap();
        assert_eq!(objects.number(file(1)), Ok(one));
        let state = State { object: one, shared: true, ..State::anonymous(WRITE) };
        objects.gain(state, 8192);
        objects.forget(one);
        assert_eq!(objects.number(file(1)), Ok(one));
        assert_eq!((objects.views(one).written, objects.views(one).executed), (8192, 0));
        objects.lose(state, 4096);
        assert_eq!(objects.identity(one), Some(file(1)));
        objects.lose(state, 4096);
        assert_eq!(objects.identity(one), None);
    }

    #[test]
    fn numbers_run_out_and_come_back() {
        let mut places = [Object::default(); 4];
        let mut objects = Objects::new(&mut places);
        for round in 0..100 {
            let numbers: std::vec::Vec<u32> =
                (0..3).map(|inode| objects.number(file(round * 3 + inode)).unwrap()).collect();
            assert_eq!(objects.number(file(1000)), Err(Full));
            // In another order than they came, for the chains' sake.
            for at in [1, 2, 0] {
                objects.forget(numbers[(at + round as usize) % 3]);
            }
        }
        assert!(objects.nameless().unwrap() != objects.nameless().unwrap());
    }
}
