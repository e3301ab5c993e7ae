//! "Did you mean": the known name that is nearest to a mistyped one, without allocating.

/// Names longer than this are not compared; no known name is.
const LONGEST: usize = 47;

/// The nearest of `names`, if it is near enough to be what somebody meant: one edit for a name of
/// three letters, two up to seven, three beyond. Of equals the first.
#[must_use]
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.len() {
        0 => return None,
        1..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    let mut best: Option<(u8, &'a str)> = None;
    for known in names {
        if known.len().abs_diff(name.len()) > limit {
            continue;
        }
        let Some(found) = distance(name, known) else { continue };
        let least = best.map_or(u8::MAX, |(least, _)| least);
        if usize::from(found) <= limit && found < least {
            best = Some((found, known));
        }
    }
    best.map(|(_, known)| known)
}

/// How many letters must be changed, added, left out or exchanged with their neighbour to make one
/// of the other. Case does not count.
fn distance(one: &str, other: &str) -> Option<u8> {
    if one.len() > LONGEST || other.len() > LONGEST {
        return None;
    }
    // Rows of the usual table: column `j` holds the distance to the first `j` letters of `other`.
    let mut row = [0u8; LONGEST + 1];
    for (cell, number) in row.iter_mut().zip(0u8..=u8::MAX) {
        *cell = number;
    }
    let mut above = row;
    let mut before = 0u8;
    for letter in one.bytes().map(|byte| byte.to_ascii_lowercase()) {
        let two_above = above;
        above = row;
        let mut left = above.first()?.saturating_add(1);
        let mut cells = row.iter_mut();
        *cells.next()? = left;
        let mut before_other = 0u8;
        let corners = above.iter().zip(above.iter().skip(1));
        // What was there two rows up and two columns left; the first column has none.
        let exchanged = core::iter::once(&u8::MAX).chain(two_above.iter());
        let known = other.bytes().map(|byte| byte.to_ascii_lowercase());
        for (((cell, (corner, up)), far), wanted) in cells.zip(corners).zip(exchanged).zip(known) {
            let changed = corner.saturating_add(u8::from(letter != wanted));
            let mut least = changed.min(up.saturating_add(1)).min(left.saturating_add(1));
            if letter == before_other && before == wanted {
                least = least.min(far.saturating_add(1));
            }
            *cell = least;
            left = least;
            before_other = wanted;
        }
        before = letter;
    }
    row.get(other.len()).copied()
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn edits_are_counted() {
        let pairs = [
            ("", "", 0),
            ("read", "read", 0),
            ("read", "READ", 0),
            ("raed", "read", 1),
            ("rea", "read", 1),
            ("readd", "read", 1),
            ("raedv", "ready", 2),
            ("", "abc", 3),
            ("opne", "open", 1),
            ("opneta", "openat", 2),
            ("ca", "abc", 3),
        ];
        for (one, other, edits) in pairs {
            assert_eq!(distance(one, other), Some(edits), "{one} {other}");
            assert_eq!(distance(other, one), Some(edits), "{other} {one}");
        }
        assert_eq!(distance(&"x".repeat(48), "x"), None);
    }

    #[test]
    fn the_nearest_is_near() {
        let names = || ["read", "write", "openat", "open"].into_iter();
        assert_eq!(nearest("raed", names()), Some("read"));
        assert_eq!(nearest("opena", names()), Some("openat"));
        assert_eq!(nearest("wirte", names()), Some("write"));
        assert_eq!(nearest("frobnicate", names()), None);
        assert_eq!(nearest("", names()), None);
    }
}
