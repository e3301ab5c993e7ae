//! Texts of the generated tables, packed: one long string, and places in it.
//!
//! A table of `&str` is a table of addresses, and the library that has it linked in is loaded at a
//! different address each time: every one of them would be a relocation that the dynamic linker does
//! in every process, and the pages they are on would be the process's own. Places are numbers and need
//! none. A row is made into values when somebody asks for it.

/// Where a text is: its first byte and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    start: u16,
    len: u16,
}

impl Place {
    pub(crate) const fn new(start: u16, len: u16) -> Self {
        Self { start, len }
    }

    /// The text at this place of `text`.
    pub(crate) fn of(self, text: &'static str) -> &'static str {
        let start = usize::from(self.start);
        text.get(start..start.wrapping_add(usize::from(self.len))).unwrap_or("")
    }

    /// Whether it is `wanted`. Of a text of another length nothing is looked at, and little of one that
    /// ends otherwise.
    pub(crate) fn is(self, text: &'static str, wanted: &str) -> bool {
        // As bytes, which do not have to be looked at for where characters begin.
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        let start = usize::from(self.start);
        let last = start.wrapping_add(wanted.len()).wrapping_sub(1);
        usize::from(self.len) == wanted.len()
            && (wanted.is_empty() || text.get(last) == wanted.last())
            && text.get(start..start.wrapping_add(wanted.len())) == Some(wanted)
    }
}

/// Where a name is, followed by other names of the same thing: `path pathname filename`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    start: u16,
    /// Length of the name.
    name: u8,
    /// Length of all of them.
    all: u8,
}

impl Names {
    /// Those of nothing.
    pub(crate) const NONE: Self = Self::new(0, 0, 0);

    pub(crate) const fn new(start: u16, name: u8, all: u8) -> Self {
        Self { start, name, all }
    }

    /// Length of the name in bytes.
    pub(crate) const fn len(self) -> usize {
        self.name as usize
    }

    /// The name itself.
    pub(crate) fn name(self) -> Place {
        Place::new(self.start, self.name.into())
    }

    /// The others.
    pub(crate) fn others(
        self,
        text: &'static str,
    ) -> impl Iterator<Item = &'static str> + Clone + use<> {
        // After the name and a space; nothing if there are no others.
        let skipped = self.name.saturating_add(1);
        let start = self.start.wrapping_add(skipped.into());
        let mut rest = match self.all.checked_sub(skipped) {
            Some(len) => Place::new(start, len.into()).of(text),
            None => "",
        };
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let len = rest.bytes().position(|byte| byte == b' ').unwrap_or(rest.len());
            let other = rest.get(..len);
            rest = rest.get(len.wrapping_add(1)..).unwrap_or("");
            other
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Names, Place};
    use std::vec::Vec;

    const TEXT: &str = "read fd path pathname filename ";

    #[test]
    fn texts_are_found_at_their_places() {
        assert_eq!(Place::new(5, 2).of(TEXT), "fd");
        assert!(Place::new(5, 2).is(TEXT, "fd") && !Place::new(5, 2).is(TEXT, "fdx"));
        assert_eq!(Place::new(30, 2).of(TEXT), "");
    }

    #[test]
    fn the_first_name_is_the_name() {
        let others = |names: Names| names.others(TEXT).collect::<Vec<_>>();
        let path = Names::new(8, 4, 22);
        assert_eq!((path.name().of(TEXT), others(path)), ("path", ["pathname", "filename"].into()));
        let read = Names::new(0, 4, 4);
        assert_eq!((read.name().of(TEXT), others(read)), ("read", [].into()));
        assert_eq!((Names::NONE.name().of(TEXT), others(Names::NONE)), ("", [].into()));
    }
}
