use super::{Judge, Op, Refusal, SET_UP, key_rights};
use crate::nr;
use crate::objects::{Identity, Object, Objects};
use crate::regions::{EXEC, Map, Node, READ, SHIM, State, WRITE};
use crate::verdict::Memory;

const PAGE: u64 = 4096;
const RW: u8 = READ | WRITE;
const RX: u8 = READ | EXEC;
const PRIVATE: u64 = 2;
const SHARED: u64 = 1;
const FIXED: u64 = 0x10;
const ANONYMOUS: u64 = 0x20;

/// A map in which each page from 1 on has one of these states.
fn with(states: &[State], test: impl FnOnce(&mut Map<'_>)) {
    let mut nodes = [Node::default(); 64];
    let mut objects = [Object::default(); 8];
    let mut map = Map::new(&mut nodes, Objects::new(&mut objects));
    for (page, state) in (1..).zip(states) {
        map.map(page * PAGE..(page + 1) * PAGE, *state).unwrap();
    }
    test(&mut map);
}

fn judge(map: &Map<'_>, number: u32, args: [u64; 6], object: u32) -> Result<(), Refusal> {
    let rules = Memory { map: true, wx: true, scan: false };
    let judge = Judge { map, rules, is_set_up: false, heap_end: 5 * PAGE };
    judge.judge(&Op::of(number, args), object)
}

fn protect(map: &Map<'_>, page: u64, pages: u64, prot: u8) -> Result<(), Refusal> {
    judge(map, nr::MPROTECT, [page * PAGE, pages * PAGE, prot.into(), 0, 0, 0], 0)
}

#[test]
fn what_the_shim_needs_and_what_is_protected_is_not_changed() {
    let own = State { owner: SHIM, ..State::anonymous(RW) };
    let protected = State { protected: true, ..State::anonymous(RW) };
    let plain = State::anonymous(RW);
    with(&[plain, own, plain, protected, plain], |map| {
        for (page, said) in [(2, Refusal::Shim), (4, Refusal::Protected)] {
            let (at, below, last) = (page * PAGE, (page - 1) * PAGE, page * PAGE + 1);
            for (number, args) in [
                (nr::MUNMAP, [at, 1, 0, 0, 0, 0]),
                (nr::MUNMAP, [below, PAGE + 1, 0, 0, 0, 0]),
                (nr::MPROTECT, [at, PAGE, RW.into(), 0, 0, 0]),
                (nr::PKEY_MPROTECT, [at, PAGE, RW.into(), u64::MAX, 0, 0]),
                (nr::MMAP, [at, 1, RW.into(), PRIVATE | ANONYMOUS | FIXED, u64::MAX, 0]),
                (nr::MREMAP, [at, PAGE, 2 * PAGE, 1, 0, 0]),
                (nr::MREMAP, [at, 0, PAGE, 1, 0, 0]),
                (nr::MREMAP, [6 * PAGE, PAGE, PAGE, 3, at, 0]),
                (nr::MADVISE, [at, 1, 4, 0, 0, 0]),
                (nr::MADVISE, [at, 1, 0x1_0000_0004, 0, 0, 0]),
                (nr::REMAP_FILE_PAGES, [last, PAGE, 0, 0, 0, 0]),
                (nr::SHMDT, [at, 0, 0, 0, 0, 0]),
                (nr::BRK, [at, 0, 0, 0, 0, 0]),
            ] {
                // The protected page below the end of the heap is above the shim's.
                let said =
                    if number == nr::BRK { judge(map, number, args, 0).unwrap_err() } else { said };
                assert_eq!(judge(map, number, args, 0), Err(said), "{number} {args:x?}");
            }
            // What is not aligned, does nothing or is only a wish is the kernel's to answer.
            for (number, args) in [
                (nr::MUNMAP, [at + 1, PAGE, 0, 0, 0, 0]),
                (nr::MUNMAP, [at, 0, 0, 0, 0, 0]),
                (nr::MUNMAP, [at + PAGE, PAGE, 0, 0, 0, 0]),
                (nr::MUNMAP, [at, u64::MAX, 0, 0, 0, 0]),
                (nr::MMAP, [at, 1, RW.into(), PRIVATE | ANONYMOUS, u64::MAX, 0]),
                (nr::MMAP, [at, 1, RW.into(), 0x10_0012 | ANONYMOUS, u64::MAX, 0]),
                (nr::MADVISE, [at, 1, 3, 0, 0, 0]),
                (nr::MSEAL, [at, PAGE, 0, 0, 0, 0]),
            ] {
                assert_eq!(judge(map, number, args, 0), Ok(()), "{number} {args:x?}");
            }
        }
    });
}

#[test]
fn nothing_is_written_and_executed_by_whatever_views() {
    with(&[State::anonymous(RW), State::anonymous(RX)], |map| {
        assert_eq!(protect(map, 1, 1, RW | EXEC), Err(Refusal::Both));
        // Code that is made at run time: written, then executed, then written again.
        assert_eq!(protect(map, 1, 1, RX), Ok(()));
        assert_eq!(protect(map, 1, 2, RW), Ok(()));
        let object = map.objects_mut().number(Identity { device: 1, inode: 2 }).unwrap();
        let file = |shared, prot| State { shared, object, ..State::anonymous(prot) };
        let mmap = |map: &Map<'_>, prot: u8, flags| {
            judge(map, nr::MMAP, [0, PAGE, prot.into(), flags, 3, 0], object)
        };
        map.map(3 * PAGE..4 * PAGE, file(false, RX)).unwrap();
        assert_eq!(mmap(map, RW, SHARED), Err(Refusal::TwoViews));
        assert_eq!(mmap(map, RX, SHARED), Err(Refusal::SharedText));
        assert_eq!(mmap(map, RX, 3), Err(Refusal::SharedText));
        assert_eq!((mmap(map, RX, PRIVATE), mmap(map, RW, PRIVATE)), (Ok(()), Ok(())));
        assert_eq!(mmap(map, READ, SHARED), Ok(()));
        assert_eq!(protect(map, 3, 1, RW), Err(Refusal::Text));
        map.map(4 * PAGE..5 * PAGE, file(true, READ)).unwrap();
        assert_eq!(protect(map, 4, 1, RW), Err(Refusal::TwoViews));
        assert_eq!(protect(map, 4, 1, RX), Err(Refusal::SharedText));
        // Only written: then not executed.
        map.map(3 * PAGE..4 * PAGE, file(true, RW)).unwrap();
        assert_eq!(mmap(map, RX, PRIVATE), Err(Refusal::TwoViews));
        map.map(4 * PAGE..5 * PAGE, file(false, RW)).unwrap();
        assert_eq!(protect(map, 4, 1, RX), Err(Refusal::TwoViews));
        map.unmap(3 * PAGE..4 * PAGE).unwrap();
        assert_eq!(protect(map, 4, 1, RX), Ok(()));
        assert_eq!(judge(map, nr::SHMAT, [1, 0, 0x8000, 0, 0, 0], 0), Err(Refusal::SharedText));
    });
}

#[test]
fn the_heap_keeps_what_was_protected() {
    let plain = State::anonymous(RW);
    let read = State { mprotected: true, ..State::anonymous(READ) };
    let once = State { mprotected: true, ..plain };
    with(&[plain, once, read, plain, plain], |map| {
        let brk = |to| judge(map, nr::BRK, [to, 0, 0, 0, 0, 0], 0);
        assert_eq!((brk(0), brk(4 * PAGE), brk(3 * PAGE + 1)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(brk(8 * PAGE), Ok(()));
        assert_eq!(brk(3 * PAGE), Err(Refusal::Floor));
        assert_eq!(brk(PAGE), Err(Refusal::Floor));
    });
}

/// The rules of IA2's tracer, of a program that has said it is set up.
#[test]
fn a_protection_is_kept_after_the_program_is_set_up() {
    let plain = State::anonymous(RW);
    let sealed = State { mprotected: true, ..State::anonymous(READ) };
    let open = State { mprotected: true, ..plain };
    with(&[plain, sealed, open, State::anonymous(READ)], |map| {
        let rules = Memory { map: true, wx: false, scan: false };
        let said = |is_set_up, page: u64, pages: u64, prot: u8| {
            let args = [page * PAGE, pages * PAGE, prot.into(), 0, 0, 0];
            let judge = Judge { map, rules, is_set_up, heap_end: 0 };
            judge.judge(&Op::of(nr::MPROTECT, args), 0)
        };
        for (page, pages, prot, fine) in [
            (1, 1, 0, true), // never protected before
            (4, 1, RW | EXEC, true),
            (2, 1, RW, false),   // protected, and not writable
            (2, 1, READ, true),  // stays as it is
            (3, 1, 0, true),     // writable
            (2, 2, READ, false), // not all the same
            (1, 3, RW, false),
        ] {
            let wanted = if fine { Ok(()) } else { Err(Refusal::Kept) };
            assert_eq!(said(true, page, pages, prot), wanted, "{page} {pages} {prot}");
            assert_eq!(said(false, page, pages, prot), Ok(()));
        }
    });
    assert_eq!(Op::of(nr::MMAP, [SET_UP, 0, 0, FIXED, u64::MAX, 0]), Op::Nothing);
}

#[test]
fn lengths_are_those_of_whole_pages() {
    assert_eq!(Op::of(nr::MUNMAP, [PAGE, 1, 0, 0, 0, 0]), Op::Unmap(PAGE..2 * PAGE));
    for args in [[1, 1], [PAGE, 0], [PAGE, u64::MAX], [u64::MAX - 4095, PAGE], [1 << 47, PAGE]] {
        assert_eq!(Op::of(nr::MUNMAP, [args[0], args[1], 0, 0, 0, 0]), Op::Nothing, "{args:x?}");
    }
    let moved = Op::Move { from: PAGE..3 * PAGE, len: PAGE, to: None, keep: false };
    assert_eq!(Op::of(nr::MREMAP, [PAGE, PAGE + 1, 1, 1, 0, 0]), moved);
    let second = Op::Move { from: PAGE..PAGE, len: PAGE, to: Some(0), keep: true };
    assert_eq!(Op::of(nr::MREMAP, [PAGE, 0, 1, 3, 0, 0]), second);
}

#[test]
fn instructions_that_change_the_rights_of_keys_are_found() {
    assert_eq!(key_rights(&[0x90, 0x0f, 0x01, 0xef]), Some(1));
    // XRSTOR [rax], XRSTOR64 [rsp+8]
    assert_eq!(key_rights(&[0x0f, 0xae, 0x28]), Some(0));
    assert_eq!(key_rights(&[0x48, 0x0f, 0xae, 0x6c, 0x24, 8]), Some(1));
    // LFENCE, XSAVE [rax], FXRSTOR [rax], RDPKRU
    for other in [[0x0f, 0xae, 0xe8], [0x0f, 0xae, 0x20], [0x0f, 0xae, 0x08], [0x0f, 0x01, 0xee]] {
        assert_eq!(key_rights(&other), None, "{other:x?}");
    }
    assert_eq!(key_rights(&[0x0f, 0x01]), None);
}
