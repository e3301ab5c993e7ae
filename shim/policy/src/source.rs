//! Where text comes from: files, includes, built-in policies.
//!
//! The language does not know of files. Whoever loads a policy brings a [`Sources`]: `ia2` reads with
//! the standard library, the preloaded library with raw calls, tests from memory. Both of the former
//! refuse a file that somebody else could have written, and say so in [`Unreadable`].
//!
//! | written | asked for |
//! |---|---|
//! | `include "set.ia2"` in `/etc/ia2/a.ia2` | `set.ia2`, from `/etc/ia2/a.ia2` |
//! | `use seed4` | `ia2:seed4` |

use crate::text;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// In front of the name of a built-in policy.
pub const BUILT_IN: &str = "ia2:";

/// What the texts that were given on a command line are called, with a number behind it:
/// [`load_with`](crate::load_with).
pub const COMMAND_LINE: &str = "-e";

/// Reads texts by name.
pub trait Sources {
    /// The text called `name`, as written in the text called `from`; `None` for the first one. A
    /// name that begins with `ia2:` means a built-in policy: [`built_in`]. A relative name in a file
    /// means a file beside it: [`join`].
    ///
    /// # Errors
    /// Why there is none.
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable>;
}

/// One text.
#[derive(Clone, Debug)]
pub struct Text {
    /// What it is called: its path, or the name of a built-in policy.
    pub name: String,
    /// Two texts with the same number are the same text: for a file, device and inode.
    pub id: u128,
    /// What it holds.
    pub text: String,
}

/// There is no text, or it may not be used.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// A few words to follow the name: "no such file", "writable by others".
    pub why: String,
}

impl Unreadable {
    /// With these words.
    #[must_use]
    pub fn new(why: &str) -> Self {
        Self { why: why.to_owned() }
    }
}

/// The path that `name` means in the file `from`; the name of a built-in policy stays what it is.
#[must_use]
pub fn join(from: Option<&str>, name: &str) -> String {
    let folder = from.and_then(|from| from.rsplit_once('/')).map(|(folder, _)| folder);
    match folder {
        Some(folder) if !name.starts_with('/') && !name.starts_with(BUILT_IN) => {
            text!(folder, "/", name)
        }
        _ => name.to_owned(),
    }
}

/// The policies that are always there, by name.
pub const POLICIES: &[(&str, &str)] = &[
    ("ia2", include_str!("../policies/ia2.ia2")),
    ("capejail", include_str!("../policies/capejail.ia2")),
    ("nginx", include_str!("../policies/nginx.ia2")),
    ("seed4", include_str!("../policies/seed4.ia2")),
    ("table", include_str!("../policies/seed4.table")),
];

/// The built-in policy called `name`, with `ia2:` in front.
#[must_use]
pub fn built_in(name: &str) -> Option<Text> {
    let short = name.strip_prefix(BUILT_IN)?;
    let rows = POLICIES.iter().zip(0u64..);
    let (row, number) = rows.into_iter().find(|((known, _), _)| *known == short)?;
    // No device has this number.
    let id = u128::from(u64::MAX) << 64 | u128::from(number);
    Some(Text { name: name.to_owned(), id, text: row.1.to_owned() })
}

/// Texts in memory, and the built-in policies.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    texts: Vec<(String, String)>,
}

impl Memory {
    /// No text yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> Self {
        self.texts.push((name.to_owned(), text.to_owned()));
        self
    }
}

impl Sources for Memory {
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable> {
        if let Some(text) = built_in(name) {
            return Ok(text);
        }
        let path = join(from, name);
        let rows = self.texts.iter().zip(0u128..);
        let found = rows.into_iter().find(|((known, _), _)| *known == path);
        let ((known, text), id) = found.ok_or_else(|| Unreadable::new("no such text"))?;
        Ok(Text { name: known.clone(), id, text: text.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn relative_names_mean_files_beside_the_including_one() {
        assert_eq!(join(None, "a.ia2"), "a.ia2");
        assert_eq!(join(Some("main.ia2"), "a.ia2"), "a.ia2");
        assert_eq!(join(Some("/etc/ia2/main.ia2"), "a.ia2"), "/etc/ia2/a.ia2");
        assert_eq!(join(Some("/main.ia2"), "a.ia2"), "/a.ia2");
        assert_eq!(join(Some("x/main.ia2"), "../a.ia2"), "x/../a.ia2");
        assert_eq!(join(Some("/etc/ia2/main.ia2"), "/usr/a.ia2"), "/usr/a.ia2");
        assert_eq!(join(Some("/etc/ia2/main.ia2"), "ia2:seed4"), "ia2:seed4");
    }
}
