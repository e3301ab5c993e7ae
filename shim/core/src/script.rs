//! The first line of a script, as the kernel reads it (fs/binfmt_script.c).

use core::ops::Range;

/// How much of a file exec looks at (`BINPRM_BUF_SIZE`).
pub const HEAD: usize = 256;

/// What a script's first line names: positions in the bytes that were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The interpreter.
    pub interpreter: Range<usize>,
    /// Its one argument, blanks inside included.
    pub argument: Option<Range<usize>>,
}

/// Why a file cannot be executed as a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoScript {
    /// It does not begin with `#!`.
    Other,
    /// Its line names no interpreter, or not all of the name is in the bytes that are looked at.
    Broken,
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Reads the line from the first [`HEAD`] bytes of a file, or all of them if it is shorter.
///
/// # Errors
/// If this is no script; [`NoScript::Broken`] means `ENOEXEC` whatever else the file may be.
pub fn read(head: &[u8]) -> Result<Script, NoScript> {
    let head = head.get(..HEAD).unwrap_or(head);
    if !head.starts_with(b"#!") {
        return Err(NoScript::Other);
    }
    let ends = |byte: &u8| *byte == b'\n' || *byte == 0;
    let line = head.iter().position(ends);
    // A line that does not end here loses its last byte to the end of the string.
    let end = line.unwrap_or(head.len().min(HEAD - 1));
    let whole = line.is_some() || head.len() < HEAD;
    let text = head.get(..end).unwrap_or(&[]);
    let skip = |from: usize, blank: bool| {
        let rest = text.get(from..).unwrap_or(&[]);
        rest.iter().position(|byte| is_blank(*byte) != blank).map_or(end, |at| from + at)
    };
    let start = skip(2, true);
    let stop = skip(start, false);
    // A name that reaches the last byte looked at may be cut off.
    if start == stop || (stop == end && !whole) {
        return Err(NoScript::Broken);
    }
    let from = skip(stop, true);
    let rest = text.get(from..).unwrap_or(&[]);
    let len = rest.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |at| at + 1);
    Ok(Script { interpreter: start..stop, argument: (len != 0).then_some(from..from + len) })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{HEAD, NoScript, read};
    use std::vec::Vec;

    fn parts(line: &[u8]) -> (&[u8], Option<&[u8]>) {
        let script = read(line).unwrap();
        (&line[script.interpreter], script.argument.map(|range| &line[range]))
    }

    #[test]
    fn interpreter_and_argument_are_split_at_the_first_blanks() {
        assert_eq!(parts(b"#!/bin/sh\nx"), (&b"/bin/sh"[..], None));
        assert_eq!(parts(b"#!/bin/sh"), (&b"/bin/sh"[..], None));
        assert_eq!(parts(b"#! \t/bin/sh \t-e -u \t\n"), (&b"/bin/sh"[..], Some(&b"-e -u"[..])));
    }

    #[test]
    fn line_without_a_name_is_broken() {
        for line in [&b"#!"[..], b"#!\n/bin/sh", b"#!  \t\n", b"#!\0/bin/sh"] {
            assert_eq!(read(line), Err(NoScript::Broken), "{line:?}");
        }
        assert_eq!(read(b"\x7fELF"), Err(NoScript::Other));
        assert_eq!(read(b""), Err(NoScript::Other));
    }

    #[test]
    fn name_that_may_be_cut_off_is_broken_but_an_argument_is_cut() {
        let mut line = Vec::from(&b"#!/"[..]);
        line.resize(400, b'a');
        assert_eq!(read(&line), Err(NoScript::Broken));
        let mut line = Vec::from(&b"#!/bin/sh "[..]);
        line.resize(400, b'a');
        assert_eq!(read(&line).unwrap().argument, Some(10..HEAD - 1));
    }
}
