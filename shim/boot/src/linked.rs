//! The shim as a part of the program: where its own code lies in there.
//!
//! What is the shim's in the program's segments is cut out of them before they are planned, so that no
//! site, no island and no branch is looked for in it. Its text begins and ends a page
//! (`shim/link/object.ld`), so it stays executable while the text around it is written to.

#![allow(unsafe_code, reason = "makes a slice of a part of the program")]

use alloc::vec::Vec;
use core::ptr;
use ia2_plan::image::Segment;

/// The parts, each from its first address to one past its last. `shim/link/parts.s` writes this.
#[derive(Debug)]
#[repr(C)]
pub struct Parts {
    text: [u64; 2],
    constants: [u64; 2],
    loader: [u64; 2],
}

impl Parts {
    /// The program `ia2-loader`, whole.
    pub(crate) fn loader(&self) -> &'static [u8] {
        let [start, end] = self.loader;
        let len = end.wrapping_sub(start) as usize;
        // SAFETY: constant bytes: parts.s writes their addresses, and these are the parts of this very
        // program, by the promise to `boot_linked`.
        unsafe {
            let start = ptr::with_exposed_provenance(start as usize);
            core::slice::from_raw_parts(start, len)
        }
    }

    /// The executable segments without the shim, and the others.
    pub(crate) fn cut_out<'a>(&self, bias: u64, segments: Vec<Segment<'a>>) -> Vec<Segment<'a>> {
        [self.text, self.constants].into_iter().fold(segments, |segments, [start, end]| {
            let range = [start.wrapping_sub(bias), end.wrapping_sub(bias)];
            segments.into_iter().flat_map(|segment| without(segment, range)).flatten().collect()
        })
    }
}

/// What the code that runs is a part of.
pub(crate) enum Own {
    /// A library or the loader, in the file at this path, if it comes from one.
    File(Vec<u8>),
    /// The program.
    Program(&'static Parts),
}

/// What of an executable segment lies before and behind `start..end`.
fn without<'a>(segment: Segment<'a>, [start, end]: [u64; 2]) -> [Option<Segment<'a>>; 2] {
    let stop = segment.vaddr.saturating_add(segment.bytes.len() as u64);
    if !segment.exec || end <= segment.vaddr || start >= stop {
        return [Some(segment), None];
    }
    let part = |from: u64, to: u64| {
        let [from, to] = [from, to].map(|addr| addr.saturating_sub(segment.vaddr) as usize);
        let bytes = segment.bytes.get(from..to).filter(|bytes| !bytes.is_empty())?;
        let [vaddr, offset] =
            [segment.vaddr, segment.offset].map(|at| at.wrapping_add(from as u64));
        Some(Segment { vaddr, bytes, offset, ..segment })
    };
    [part(segment.vaddr, start), part(end, stop)]
}

#[cfg(test)]
mod tests {
    use super::{Parts, without};
    use alloc::vec::Vec;
    use ia2_plan::image::Segment;

    fn segment(vaddr: u64, bytes: &[u8], exec: bool) -> Segment<'_> {
        Segment { vaddr, bytes, offset: vaddr & 0xfff, exec, write: false }
    }

    fn found<'a>(segments: impl IntoIterator<Item = Segment<'a>>) -> Vec<(u64, &'a [u8])> {
        segments.into_iter().map(|segment| (segment.vaddr, segment.bytes)).collect()
    }

    #[test]
    fn what_lies_before_and_behind_stays() {
        let cut =
            |range| found(without(segment(0x1000, b"abcdefgh", true), range).into_iter().flatten());
        assert_eq!(cut([0x1002, 0x1005]), [(0x1000, &b"ab"[..]), (0x1005, b"fgh")]);
        assert_eq!(cut([0x1000, 0x1005]), [(0x1005, &b"fgh"[..])]);
        assert_eq!(cut([0xf00, 0x1005]), [(0x1005, &b"fgh"[..])]);
        assert_eq!(cut([0x1002, 0x1008]), [(0x1000, &b"ab"[..])]);
        assert_eq!(cut([0x1002, 0x2000]), [(0x1000, &b"ab"[..])]);
        assert_eq!(cut([0xf00, 0x2000]), []);
        assert_eq!(cut([0xf00, 0x1000]), [(0x1000, &b"abcdefgh"[..])]);
        assert_eq!(cut([0x1008, 0x2000]), [(0x1000, &b"abcdefgh"[..])]);
    }

    #[test]
    fn text_and_constants_are_cut_out_of_what_is_executable() {
        let parts = Parts { text: [0x5012, 0x5014], constants: [0x5001, 0x5002], loader: [0; 2] };
        let segments = [
            segment(0x1000, b"abcd", false),
            segment(0x1000, b"abcdefgh", true),
            segment(0x1010, b"abcdefgh", true),
        ];
        assert_eq!(
            found(parts.cut_out(0x4000, segments.into())),
            [
                (0x1000, &b"abcd"[..]),
                (0x1000, b"a"),
                (0x1002, b"cdefgh"),
                (0x1010, b"ab"),
                (0x1014, b"efgh")
            ]
        );
    }
}
