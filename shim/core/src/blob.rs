//! The compiled form of a policy, as bytes: made once, handed over to every image of a process tree, and
//! read in live code without a copy.
//!
//! ```text
//! magic, version, length, flags | for each section: offset, length | sections
//! ```
//! Everything is little-endian, and words of four bytes; nothing in it is an address. [`Blob::parse`]
//! looks at all of it once, so that what reads it later can neither fail nor find anything it does not
//! know: where a later read has to say something for what cannot be there, it says what is strictest.
//!
//! | section | rows of | what |
//! |---|---|---|
//! | name | bytes | the policy's name |
//! | strict, inspected | 8 bytes | the filter for the kernel, in both shapes |
//! | shim | 8 bytes | the program that [`Blob::judge`] runs; it returns the index of a verdict |
//! | slow, slow alone | bits | which numbers the shim judges before the kernel does |
//! | verdicts | 6 words | action and argument, log, reason, cause and rule |
//! | asks | 4 words | what the shim program can ask |
//! | rules | 6 words | file, line, column, text |
//! | files | 5 words | access, patterns, exceptions |
//! | patterns | 2 words | where in the strings |
//! | strings | bytes | UTF-8 |

use crate::bpf::NR;
use crate::cbpf::{self, Data, Fault, Program};
use crate::layout::TABLE_NUMBERS;
use crate::memory::Refusal;
use crate::paths;
use crate::verdict::{Access, ActionKind, Memory};
use core::str;

/// First word.
pub const MAGIC: u32 = u32::from_le_bytes(*b"ia2P");
/// Second word: changes with every change of the form.
pub const VERSION: u32 = 2;
/// Bytes before the first section.
pub const HEADER_LEN: usize = 16 + 8 * SECTIONS;
/// Bytes of a bitmap of numbers.
pub const BITMAP_LEN: usize = TABLE_NUMBERS as usize / 8;

/// Number of sections, in the order of [`Section`].
pub const SECTIONS: usize = 12;

/// The sections, in the order of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table above says it")]
pub enum Section {
    Name,
    Strict,
    Inspected,
    Shim,
    Slow,
    SlowAlone,
    Verdicts,
    Asks,
    Rules,
    Files,
    Patterns,
    Strings,
}

/// In the flags: a number past the bitmaps is slow, or is slow without a filter.
pub const SLOW_BEYOND: u32 = 1;
/// See [`SLOW_BEYOND`].
pub const SLOW_ALONE_BEYOND: u32 = 2;
/// In the flags: the parts of [`Memory`].
pub const MEMORY_MAP: u32 = 4;
/// See [`MEMORY_MAP`].
pub const MEMORY_WX: u32 = 8;
/// See [`MEMORY_MAP`].
pub const MEMORY_SCAN: u32 = 16;

/// Tags of [`ActionKind`] in a verdict row; the argument is in the upper half.
pub mod action {
    #![allow(missing_docs, reason = "the names of the actions")]
    pub const KILL_PROCESS: u32 = 0;
    pub const KILL_THREAD: u32 = 1;
    pub const TRAP: u32 = 2;
    pub const ERRNO: u32 = 3;
    pub const TRACE: u32 = 4;
    pub const EMULATE: u32 = 5;
    pub const ALLOW: u32 = 6;
}

/// Tags of [`Cause`] in a verdict row.
pub mod cause {
    #![allow(missing_docs, reason = "the names of the causes")]
    pub const DEFAULT: u32 = 0;
    pub const UNKNOWN: u32 = 1;
    pub const RULE_HELD: u32 = 2;
    pub const RULE_FAILED: u32 = 3;
}

/// Tags of a question.
pub mod ask {
    #![allow(missing_docs, reason = "the names of the questions")]
    /// Followed by the argument.
    pub const FILES: u32 = 0;
    /// Followed by the argument, the first pattern, and how many.
    pub const PATTERNS: u32 = 1;
    pub const WRAPPER: u32 = 2;
    pub const VDSO: u32 = 3;
    pub const JIT: u32 = 4;
    /// Followed by where its name is in the strings, and its length.
    pub const MODULE: u32 = 5;
}

/// Tags of [`Access`] in a row of files.
pub const ACCESSES: [Access; 4] = [Access::Read, Access::Write, Access::Execute, Access::Create];

/// Why bytes are no compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// They do not begin as one.
    Magic,
    /// One, but of another version of this program.
    Version(u32),
    /// Shorter or longer than they say.
    Length,
    /// A section lies outside, or its length is no multiple of its rows.
    Section(Section),
    /// A row names what is not there.
    Row(Section, u32),
    /// A program that could not be run.
    Program(Section, Fault),
    /// Text that is not UTF-8.
    Text,
}

/// Which of the two filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Every call is tied to the gate.
    Strict,
    /// Only calls that somebody looks at are.
    Inspected,
}

/// One call, as the kernel would get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub nr: u32,
    /// Its arguments, all bits of the registers.
    pub args: [u64; 6],
}

/// Answers what registers do not tell.
pub trait Asker<'a> {
    /// Whether the path behind argument `arg` is one of `paths`.
    ///
    /// # Errors
    /// The errno that the call gets, because the argument cannot be read.
    fn path(&mut self, arg: u8, paths: Paths<'a>) -> Result<bool, u16>;

    /// Whether the call comes from there.
    fn from(&mut self, caller: Caller<'a>) -> bool;
}

/// What a policy says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// What happens.
    pub action: ActionKind,
    /// And it is logged.
    pub log: bool,
    /// The reason in the policy; may be empty.
    pub reason: &'a str,
    /// What made it so.
    pub cause: Cause<'a>,
}

/// What made a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// A rule.
    Rule {
        /// Where it stands.
        rule: Place<'a>,
        /// Whether its condition held.
        held: bool,
    },
    /// No rule names the call.
    Default,
    /// The call is newer than the policy, or no table knows it.
    Unknown,
    /// An argument could not be read.
    Argument,
    /// The map of memory has something against it.
    Memory(Refusal),
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file, as it was named.
    pub file: &'a str,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The rule itself on one line, cut at [`TEXT_MAX`] bytes.
    pub text: &'a str,
}

/// Most bytes of [`Place::text`].
pub const TEXT_MAX: usize = 200;

/// Where a call may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// The C library or the dynamic linker; in a static program, the program.
    Wrapper,
    /// The vDSO.
    Vdso,
    /// Memory that no file backs.
    Jit,
    /// A file of this name, or of this name with a version behind it.
    Module(&'a str),
}

/// Which paths.
#[derive(Clone, Copy, Debug)]
pub enum Paths<'a> {
    /// Those that the policy gives the access that the call asks for.
    Files(Files<'a>),
    /// Those that match a pattern.
    Patterns(Patterns<'a>),
}

impl Paths<'_> {
    /// Whether the path is one of them, for a call that asks for `access`. It must be absolute, with
    /// nothing left to resolve in it.
    #[must_use]
    pub fn allows(&self, access: Access, path: &[u8]) -> bool {
        match self {
            Self::Files(files) => files.allows(access, path),
            Self::Patterns(patterns) => patterns.matches(path),
        }
    }
}

/// The `files` items of a policy.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    rows: Rows<'a, 5>,
    patterns: Patterns<'a>,
}

impl<'a> Files<'a> {
    /// Whether an item gives the access to the path, and does not leave it out.
    #[must_use]
    pub fn allows(&self, access: Access, path: &[u8]) -> bool {
        self.items().any(|item| {
            item.access.covers(access) && item.paths.matches(path) && !item.except.matches(path)
        })
    }

    /// The items, in order.
    pub fn items(self) -> impl Iterator<Item = FilesItem<'a>> {
        self.rows.iter().map(move |[access, first, count, first_except, except]| FilesItem {
            access: ACCESSES.get(access as usize).copied().unwrap_or(Access::Read),
            paths: self.patterns.part(first, count).unwrap_or_default(),
            except: self.patterns.part(first_except, except).unwrap_or_default(),
        })
    }
}

/// One `files` item.
#[derive(Clone, Copy, Debug)]
pub struct FilesItem<'a> {
    /// What it gives.
    pub access: Access,
    /// To which paths.
    pub paths: Patterns<'a>,
    /// And to which of them it does not.
    pub except: Patterns<'a>,
}

/// Some patterns of paths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patterns<'a> {
    rows: Rows<'a, 2>,
    strings: &'a str,
}

impl<'a> Patterns<'a> {
    /// Whether one of them means the path.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let strings = self.strings.as_bytes();
        self.rows.iter().any(|[offset, len]| {
            let from = strings.get(offset as usize..).unwrap_or(&[]);
            from.get(..len as usize).is_some_and(|pattern| paths::matches(pattern, path))
        })
    }

    /// The patterns, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.rows.iter().map(move |[offset, len]| string(self.strings, offset, len))
    }

    fn part(self, first: u32, count: u32) -> Option<Self> {
        Some(Self { rows: self.rows.part(first, count)?, ..self })
    }
}

/// A table: rows of `N` words.
#[derive(Clone, Copy, Debug, Default)]
struct Rows<'a, const N: usize>(&'a [[u8; 4]]);

impl<'a, const N: usize> Rows<'a, N> {
    fn of(section: &'a [u8], name: Section) -> Result<Self, Damage> {
        let (words, rest) = section.as_chunks::<4>();
        if rest.is_empty() && words.len().is_multiple_of(N) {
            Ok(Self(words))
        } else {
            Err(Damage::Section(name))
        }
    }

    fn row(words: &[[u8; 4]; N]) -> [u32; N] {
        words.map(u32::from_le_bytes)
    }

    fn get(self, index: u32) -> Option<[u32; N]> {
        let start = (index as usize).checked_mul(N)?;
        self.0.get(start..)?.first_chunk().map(Self::row)
    }

    fn iter(self) -> impl Iterator<Item = [u32; N]> + 'a {
        self.0.as_chunks().0.iter().map(Self::row)
    }

    fn part(self, first: u32, count: u32) -> Option<Self> {
        let start = (first as usize).checked_mul(N)?;
        let len = (count as usize).checked_mul(N)?;
        self.0.get(start..)?.get(..len).map(Self)
    }
}

fn string(strings: &str, offset: u32, len: u32) -> &str {
    try_string(strings, offset, len).unwrap_or("")
}

fn try_string(strings: &str, offset: u32, len: u32) -> Option<&str> {
    let end = offset.checked_add(len)?;
    strings.get(offset as usize..end as usize)
}

/// A compiled policy.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    name: &'a str,
    strict: &'a [u8],
    inspected: &'a [u8],
    shim: &'a [[u8; 8]],
    slow: &'a [u8; BITMAP_LEN],
    slow_alone: &'a [u8; BITMAP_LEN],
    flags: u32,
    verdicts: Rows<'a, 6>,
    asks: Rows<'a, 4>,
    rules: Rows<'a, 6>,
    files: Files<'a>,
    patterns: Patterns<'a>,
    strings: &'a str,
}

impl<'a> Blob<'a> {
    /// Reads the bytes, which may be followed by others, and checks all of them.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |index: usize| words.get(index).map(|word| u32::from_le_bytes(*word));
        if word(0) != Some(MAGIC) {
            return Err(Damage::Magic);
        }
        match word(1) {
            Some(VERSION) => {}
            version => return Err(Damage::Version(version.unwrap_or(0))),
        }
        let (Some(len), Some(flags)) = (word(2), word(3)) else { return Err(Damage::Length) };
        let bytes = bytes.get(..len as usize).ok_or(Damage::Length)?;
        let section = |name: Section| {
            let at = 4usize.wrapping_add(2usize.wrapping_mul(name as usize));
            let offset = word(at).ok_or(Damage::Length)? as usize;
            let len = word(at.wrapping_add(1)).ok_or(Damage::Length)? as usize;
            bytes.get(offset..).and_then(|rest| rest.get(..len)).ok_or(Damage::Section(name))
        };
        let text = |name| str::from_utf8(section(name)?).map_err(|_| Damage::Text);
        let program = |name, questions| {
            let (insns, rest) = section(name)?.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(Damage::Section(name));
            }
            cbpf::check_shape(insns, questions).map_err(|fault| Damage::Program(name, fault))?;
            Ok(insns)
        };
        let bitmap = |name| {
            let bytes: &[u8; BITMAP_LEN] =
                section(name)?.try_into().map_err(|_| Damage::Section(name))?;
            Ok(bytes)
        };
        let asks = Rows::of(section(Section::Asks)?, Section::Asks)?;
        let questions = asks.iter().count() as u32;
        let strings = text(Section::Strings)?;
        let patterns =
            Patterns { rows: Rows::of(section(Section::Patterns)?, Section::Patterns)?, strings };
        let files = Rows::of(section(Section::Files)?, Section::Files)?;
        program(Section::Strict, 0)?;
        program(Section::Inspected, 0)?;
        let blob = Self {
            name: text(Section::Name)?,
            strict: section(Section::Strict)?,
            inspected: section(Section::Inspected)?,
            shim: program(Section::Shim, questions)?,
            slow: bitmap(Section::Slow)?,
            slow_alone: bitmap(Section::SlowAlone)?,
            flags,
            verdicts: Rows::of(section(Section::Verdicts)?, Section::Verdicts)?,
            asks,
            rules: Rows::of(section(Section::Rules)?, Section::Rules)?,
            files: Files { rows: files, patterns },
            patterns,
            strings,
        };
        blob.check_rows()?;
        Ok(blob)
    }

    /// Whether each row names only what is there.
    fn check_rows(&self) -> Result<(), Damage> {
        let is_string = |offset, len| try_string(self.strings, offset, len).is_some();
        let all = |section, mut rows: &mut dyn Iterator<Item = bool>| match (&mut rows)
            .position(|fine| !fine)
        {
            Some(index) => Err(Damage::Row(section, index as u32)),
            None => Ok(()),
        };
        all(
            Section::Verdicts,
            &mut self.verdicts.iter().map(|[kind, log, reason, reason_len, cause, rule]| {
                let is_rule = matches!(cause, cause::RULE_HELD | cause::RULE_FAILED);
                action_of(kind).is_some()
                    && log <= 1
                    && is_string(reason, reason_len)
                    && match is_rule {
                        true => self.rules.get(rule).is_some(),
                        false => matches!(cause, cause::DEFAULT | cause::UNKNOWN) && rule == 0,
                    }
            }),
        )?;
        all(
            Section::Asks,
            &mut self.asks.iter().map(|[tag, a, b, c]| match tag {
                ask::FILES => a < 6,
                ask::PATTERNS => a < 6 && self.patterns.part(b, c).is_some(),
                ask::WRAPPER | ask::VDSO | ask::JIT => true,
                ask::MODULE => is_string(a, b),
                _ => false,
            }),
        )?;
        all(
            Section::Rules,
            &mut self.rules.iter().map(|[file, file_len, _, _, text, text_len]| {
                is_string(file, file_len) && is_string(text, text_len)
            }),
        )?;
        all(
            Section::Files,
            &mut self.files.rows.iter().map(|[access, first, count, first_except, except]| {
                (access as usize) < ACCESSES.len()
                    && self.patterns.part(first, count).is_some()
                    && self.patterns.part(first_except, except).is_some()
            }),
        )?;
        all(
            Section::Patterns,
            &mut self.patterns.rows.iter().map(|[offset, len]| is_string(offset, len)),
        )?;
        // What the shim program returns is the index of a verdict, and never a computed one.
        let insns = (0..self.shim.len()).filter_map(|at| Some((at, self.shim.insn(at)?)));
        for (at, insn) in insns {
            let is_wrong = match insn.code {
                cbpf::op::RET_K => self.verdicts.get(insn.k).is_none(),
                cbpf::op::RET_A => true,
                _ => false,
            };
            if is_wrong {
                return Err(Damage::Program(Section::Shim, Fault::Operand(at)));
            }
        }
        Ok(())
    }

    /// The policy's name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// What the shim is to know of the program's memory.
    #[must_use]
    pub const fn memory(&self) -> Memory {
        Memory {
            map: self.flags & MEMORY_MAP != 0,
            wx: self.flags & MEMORY_WX != 0,
            scan: self.flags & MEMORY_SCAN != 0,
        }
    }

    /// The filter for the kernel: 8 bytes an instruction, at an offset in the blob that is a multiple
    /// of 8.
    #[must_use]
    pub const fn kernel(&self, shape: Shape) -> &'a [u8] {
        match shape {
            Shape::Strict => self.strict,
            Shape::Inspected => self.inspected,
        }
    }

    /// Whether call `nr` must come to the shim before it is made; `filtered` if the kernel has the filter
    /// as well, and can be left alone with what numbers decide.
    ///
    /// A call that comes to the shim for another reason must be judged if it is slow without a filter:
    /// where the shim passes it on, the kernel does not judge what is the shim's own
    /// ([`crate::own`]).
    #[must_use]
    pub fn is_slow(&self, nr: u32, filtered: bool) -> bool {
        let (bitmap, beyond) = match filtered {
            true => (self.slow, SLOW_BEYOND),
            false => (self.slow_alone, SLOW_ALONE_BEYOND),
        };
        match bitmap.get(nr as usize / 8) {
            Some(byte) => byte >> (nr % 8) & 1 != 0,
            None => self.flags & beyond != 0,
        }
    }

    /// What the policy says to a call. Numbers that no native call has (x32, negative ones) are the
    /// business of the filter's first instructions, and not of a policy.
    pub fn judge(&self, call: &Call, asker: &mut impl Asker<'a>) -> Verdict<'a> {
        self.judge_from(0, call, asker)
    }

    /// Where in the program the search for number `nr` has ended: at the first instruction that looks at
    /// anything else, or at the beginning if none does.
    #[must_use]
    pub fn start_of(&self, nr: u32) -> usize {
        let mut state = cbpf::State::START;
        let data = Data::new(nr, 0, &[0; 6]);
        match state.run(self.shim, &data, |offset| offset != NR, |_| Err(())) {
            Ok(Some(_)) => 0,
            Ok(None) | Err(()) => state.at(),
        }
    }

    /// As [`Blob::judge`], with what [`Blob::start_of`] has found before.
    pub fn judge_from(&self, start: usize, call: &Call, asker: &mut impl Asker<'a>) -> Verdict<'a> {
        let data = Data::new(call.nr, 0, &call.args);
        let state = cbpf::State::with(start, call.nr);
        match cbpf::run_from(state, self.shim, &data, |question| self.answer(question, asker)) {
            Ok(index) => self.verdict(index).unwrap_or(Verdict::STRICTEST),
            Err(errno) => Verdict {
                action: ActionKind::Errno(errno),
                log: false,
                reason: "",
                cause: Cause::Argument,
            },
        }
    }

    /// The program of the shim, which returns the index of a verdict.
    #[must_use]
    pub const fn program(&self) -> &'a [[u8; 8]] {
        self.shim
    }

    /// The answer to a question of that program.
    ///
    /// # Errors
    /// That of [`Asker::path`].
    pub fn answer(&self, question: u32, asker: &mut impl Asker<'a>) -> Result<bool, u16> {
        let Some([tag, a, b, c]) = self.asks.get(question) else { return Ok(false) };
        let caller = match tag {
            ask::FILES => return asker.path(a as u8, Paths::Files(self.files)),
            ask::PATTERNS => {
                let patterns = self.patterns.part(b, c).unwrap_or_default();
                return asker.path(a as u8, Paths::Patterns(patterns));
            }
            ask::WRAPPER => Caller::Wrapper,
            ask::VDSO => Caller::Vdso,
            ask::JIT => Caller::Jit,
            _ => Caller::Module(string(self.strings, a, b)),
        };
        Ok(asker.from(caller))
    }

    /// How many questions the shim's program has.
    #[must_use]
    pub fn questions(&self) -> u32 {
        self.asks.iter().count() as u32
    }

    /// Verdict number `index`.
    #[must_use]
    pub fn verdict(&self, index: u32) -> Option<Verdict<'a>> {
        let [kind, log, reason, reason_len, cause, rule] = self.verdicts.get(index)?;
        Some(Verdict {
            action: action_of(kind)?,
            log: log != 0,
            reason: string(self.strings, reason, reason_len),
            cause: match cause {
                cause::DEFAULT => Cause::Default,
                cause::UNKNOWN => Cause::Unknown,
                held => Cause::Rule {
                    rule: self.rule(rule).unwrap_or_default(),
                    held: held == cause::RULE_HELD,
                },
            },
        })
    }

    /// The verdict that the filter's `SECCOMP_RET_DATA` tells of, in the `si_errno` of a SIGSYS for a call
    /// from the gate's `fast`: the index plus 1. With 0, the filter leaves it to [`Blob::judge`].
    ///
    /// A signal can be forged, so this is for reports only.
    #[must_use]
    pub fn told(&self, data: u16) -> Option<Verdict<'a>> {
        self.verdict(u32::from(data).checked_sub(1)?)
    }

    /// Rule number `index`.
    #[must_use]
    pub fn rule(&self, index: u32) -> Option<Place<'a>> {
        self.rules.get(index).map(|row| self.place(row))
    }

    /// The rules, as written.
    pub fn rules(self) -> impl Iterator<Item = Place<'a>> {
        self.rules.iter().map(move |row| self.place(row))
    }

    /// The `files` items.
    #[must_use]
    pub const fn files(&self) -> Files<'a> {
        self.files
    }

    fn place(&self, [file, file_len, line, column, text, text_len]: [u32; 6]) -> Place<'a> {
        Place {
            file: string(self.strings, file, file_len),
            line,
            column,
            text: string(self.strings, text, text_len),
        }
    }
}

impl Verdict<'_> {
    /// For what cannot be.
    const STRICTEST: Self =
        Self { action: ActionKind::KillProcess, log: true, reason: "", cause: Cause::Unknown };
}

/// The action of a verdict row.
const fn action_of(kind: u32) -> Option<ActionKind> {
    let value = (kind >> 16) as u16;
    Some(match kind & 0xffff {
        action::TRAP => ActionKind::Trap(value),
        action::ERRNO => ActionKind::Errno(value),
        action::TRACE => ActionKind::Trace(value),
        _ if value != 0 => return None,
        action::KILL_PROCESS => ActionKind::KillProcess,
        action::KILL_THREAD => ActionKind::KillThread,
        action::EMULATE => ActionKind::Emulate,
        action::ALLOW => ActionKind::Allow,
        _ => return None,
    })
}

/// An action as a verdict row has it.
#[must_use]
pub const fn action_word(kind: ActionKind) -> u32 {
    let (tag, value) = match kind {
        ActionKind::KillProcess => (action::KILL_PROCESS, 0),
        ActionKind::KillThread => (action::KILL_THREAD, 0),
        ActionKind::Trap(value) => (action::TRAP, value),
        ActionKind::Errno(value) => (action::ERRNO, value),
        ActionKind::Trace(value) => (action::TRACE, value),
        ActionKind::Emulate => (action::EMULATE, 0),
        ActionKind::Allow => (action::ALLOW, 0),
    };
    tag | (value as u32) << 16
}
