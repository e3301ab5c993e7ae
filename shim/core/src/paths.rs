//! Which paths a pattern means.
//!
//! Paths are bytes, absolute, and already without `.`, `..` and doubled slashes. A pattern is compared
//! component by component:
//!
//! | in a pattern | means |
//! |---|---|
//! | `*` | any bytes of one component, also none |
//! | `?` | one byte of a component |
//! | `**` as a component | any components, also none |
//! | no wildcard at all | the path itself, and everything below it |
//!
//! So `/` is every path, `/etc` is `/etc` and `/etc/ssl/certs` but not `/etcetera`, and `/home/*` is each
//! home and nothing in it. The time is at most the product of both lengths: of several `**`, only the
//! last one that was reached is tried again, for the earliest place of what stands before it is as good
//! as any later one. The same holds for `*` in a component.

/// Whether the pattern means the path.
#[must_use]
pub fn matches(pattern: &[u8], path: &[u8]) -> bool {
    if pattern.first() != Some(&b'/')
        || path.first() != Some(&b'/')
        || differs_at_once(pattern, path)
    {
        return false;
    }
    if pattern.len() == 1 {
        return true; // the root, and everything below it
    }
    let covers_below = !pattern.iter().any(|byte| matches!(byte, b'*' | b'?'));
    let (mut pattern, mut path) = (Components(pattern), Components(path));
    // After the last `**`: what follows it, and where in the path that was tried last.
    let mut retry: Option<(Components<'_>, Components<'_>)> = None;
    loop {
        let mut rest = pattern;
        match rest.next() {
            Some(b"**") => {
                pattern = rest;
                retry = Some((pattern, path));
                continue;
            }
            None if covers_below => return true,
            Some(wanted) => {
                let mut left = path;
                if left.next().is_some_and(|component| is_like(wanted, component)) {
                    (pattern, path) = (rest, left);
                    continue;
                }
            }
            None if path.is_empty() => return true,
            None => {}
        }
        let Some((after, tried)) = &mut retry else { return false };
        if tried.next().is_none() {
            return false;
        }
        (pattern, path) = (*after, *tried);
    }
}

/// Whether both differ before any wildcard: so it is with most.
fn differs_at_once(pattern: &[u8], path: &[u8]) -> bool {
    let mut pairs = pattern.iter().zip(path);
    let first = pairs.find(|(wanted, byte)| wanted != byte || matches!(wanted, b'*' | b'?'));
    first.is_some_and(|(wanted, byte)| !matches!(wanted, b'*' | b'?' | b'/') && *byte != b'/')
}

/// Whether `path` is what the kernel calls a place: absolute, and without anything that leads elsewhere but
/// links.
#[must_use]
pub fn is_name(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    let mut parts = rest.split(|byte| *byte == b'/');
    rest.is_empty() || parts.all(|part| !matches!(part, b"" | b"." | b".."))
}

/// What lies between slashes; empty components do not count.
#[derive(Clone, Copy)]
struct Components<'a>(&'a [u8]);

impl<'a> Components<'a> {
    fn trim(&mut self) {
        while let Some((b'/', rest)) = self.0.split_first() {
            self.0 = rest;
        }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        self.trim();
        let len = self.0.iter().position(|byte| *byte == b'/').unwrap_or(self.0.len());
        let (component, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        (!component.is_empty()).then_some(component)
    }

    fn is_empty(mut self) -> bool {
        self.next().is_none()
    }
}

/// Whether one component is like the pattern of one.
fn is_like(pattern: &[u8], component: &[u8]) -> bool {
    let (mut pattern, mut left) = (pattern, component);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), left.split_first()) {
            (Some((b'*', rest)), _) => {
                pattern = rest;
                retry = Some((pattern, left));
                continue;
            }
            (Some((wanted, rest)), Some((byte, after))) if *wanted == b'?' || wanted == byte => {
                (pattern, left) = (rest, after);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((after, tried)) = retry else { return false };
        let Some((_, tried)) = tried.split_first() else { return false };
        retry = Some((after, tried));
        (pattern, left) = (after, tried);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{is_name, matches};
    use proptest::prelude::{Strategy, proptest};
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn names_are_told_from_other_paths() {
        for name in ["/", "/a", "/a/..b/c.", "/a/.../b"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for path in ["", "a", "./a", "//", "/a/", "/a//b", "/a/./b", "/a/..", "/.", "/../a"] {
            assert!(!is_name(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn patterns_mean_what_the_table_says() {
        for (pattern, path, wanted) in [
            ("/", "/", true),
            ("/", "/etc/passwd", true),
            ("/etc", "/etc", true),
            ("/etc", "/etc/ssl/certs", true),
            ("/etc", "/etcetera", false),
            ("/etc", "/", false),
            ("/etc/", "/etc/passwd", true),
            ("/home/*", "/home/me", true),
            ("/home/*", "/home/me/.ssh", false),
            ("/home/*", "/home", false),
            ("/home/*/.ssh/**", "/home/me/.ssh", true),
            ("/home/*/.ssh/**", "/home/me/.ssh/a/b", true),
            ("/proc/*/mem", "/proc/self/mem", true),
            ("/proc/*/mem", "/proc/self/task/mem", false),
            ("/proc/**/mem", "/proc/mem", true),
            ("/proc/**/mem", "/proc/1/task/2/mem", true),
            ("/proc/**/mem", "/proc/1/task/2/mem2", false),
            ("/**/a/**/b", "/x/a/a/c/b", true),
            ("/**/a/**/b", "/x/b/a", false),
            ("/**/a/b", "/a/c/a/b", true),
            ("/**", "/", true),
            ("/**", "/x", true),
            ("/lib*.so.?", "/libc.so.6", true),
            ("/lib*.so.?", "/libc.so.66", false),
            ("/lib*.so.?", "/lib/x.so.6", false),
            ("/a*b*c", "/abbbcbc", true),
            ("/a*b*c", "/abbbcb", false),
            ("/?", "/", false),
            ("/*", "/", false),
            ("etc", "/etc", false),
            ("/", "pipe:[7]", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), wanted, "{pattern} {path}");
        }
    }

    /// The same, as a definition: by all ways to read a wildcard.
    fn plain(pattern: &[&str], path: &[&str]) -> bool {
        fn component(pattern: &[u8], bytes: &[u8]) -> bool {
            match pattern.split_first() {
                None => bytes.is_empty(),
                Some((b'*', rest)) => (0..=bytes.len()).any(|at| component(rest, &bytes[at..])),
                Some((b'?', rest)) => !bytes.is_empty() && component(rest, &bytes[1..]),
                Some((byte, rest)) => bytes.first() == Some(byte) && component(rest, &bytes[1..]),
            }
        }
        match pattern.split_first() {
            None => path.is_empty(),
            Some((&"**", rest)) => (0..=path.len()).any(|at| plain(rest, &path[at..])),
            Some((one, rest)) => {
                !path.is_empty()
                    && component(one.as_bytes(), path[0].as_bytes())
                    && plain(rest, &path[1..])
            }
        }
    }

    fn joined(components: &[String]) -> String {
        core::iter::once("/").chain([components.join("/").as_str()]).collect()
    }

    fn components(of: &'static str) -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(of, 0..6)
    }

    proptest! {
        #[test]
        fn matching_is_the_definition(
            pattern in components(r"\*\*|[ab*?]{1,4}"),
            path in components("[ab]{1,4}"),
        ) {
            let text = joined(&pattern);
            let wildcard = text.contains(['*', '?']);
            let mut parts: Vec<&str> = pattern.iter().map(String::as_str).collect();
            if !wildcard {
                parts.push("**");
            }
            let wanted = plain(&parts, &path.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(matches(text.as_bytes(), joined(&path).as_bytes()), wanted);
        }
    }
}
