//! The built-in policies, compiled when the library is built.

include!(concat!(env!("OUT_DIR"), "/policies.rs"));

/// The compiled form of the built-in policy of this name; `base` has none, for it says nothing.
#[must_use]
pub fn blob(name: &str) -> Option<&'static [u8]> {
    let short = name.strip_prefix(ia2_policy::source::BUILT_IN).unwrap_or(name);
    POLICIES.iter().find(|row| row.0 == short).map(|row| row.1)
}
