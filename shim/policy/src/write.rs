//! The compiled form of a policy as bytes; [`ia2_core::blob`] says how they lie, and reads them.

use crate::compile::Question;
use crate::eval::{Cause, Outcome};
use crate::policy::{Caller, Paths, Policy};
use crate::span::{Span, line_column};
use alloc::string::String;
use alloc::vec::Vec;
use ia2_core::blob::{
    ACCESSES, BITMAP_LEN, HEADER_LEN, MAGIC, MEMORY_MAP, MEMORY_SCAN, MEMORY_WX, SECTIONS,
    SLOW_ALONE_BEYOND, SLOW_BEYOND, Section, TEXT_MAX, VERSION, action_word, ask, cause,
};
use ia2_core::bpf::Insn;
use ia2_core::verdict::Memory;

/// What is written beside the policy itself.
pub(crate) struct Parts<'a> {
    pub(crate) strict: &'a [Insn],
    pub(crate) inspected: &'a [Insn],
    pub(crate) shim: &'a [Insn],
    pub(crate) slow: Numbers,
    pub(crate) slow_alone: Numbers,
    pub(crate) verdicts: &'a [Outcome<'a>],
    pub(crate) asks: &'a [Question<'a>],
}

/// A set of numbers.
pub(crate) struct Numbers {
    bits: [u8; BITMAP_LEN],
    /// Whether those without a bit are in it.
    pub(crate) beyond: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { bits: [0; BITMAP_LEN], beyond: false }
    }
}

impl Numbers {
    pub(crate) fn add(&mut self, nr: u32) {
        if let Some(byte) = self.bits.get_mut(nr as usize / 8) {
            *byte |= 1 << (nr % 8);
        }
    }
}

/// Writes it all.
pub(crate) fn write(policy: &Policy, parts: &Parts<'_>) -> Vec<u8> {
    let mut writer = Writer::default();
    let verdicts: Vec<u32> =
        parts.verdicts.iter().flat_map(|outcome| writer.verdict(outcome)).collect();
    let asks: Vec<u32> = parts.asks.iter().flat_map(|question| writer.ask(question)).collect();
    let rules: Vec<u32> =
        policy.rules.iter().flat_map(|rule| writer.place(policy, rule.span)).collect();
    let mut files = Vec::new();
    for item in &policy.files {
        let access = ACCESSES.iter().position(|access| *access == item.access).unwrap_or(0);
        files.push(access as u32);
        files.extend(writer.patterns(&item.paths));
        files.extend(writer.patterns(&item.except));
    }
    let sections: [(Section, Vec<u8>); SECTIONS] = [
        (Section::Name, policy.name.as_bytes().to_vec()),
        (Section::Strict, program(parts.strict)),
        (Section::Inspected, program(parts.inspected)),
        (Section::Shim, program(parts.shim)),
        (Section::Slow, parts.slow.bits.to_vec()),
        (Section::SlowAlone, parts.slow_alone.bits.to_vec()),
        (Section::Verdicts, words(&verdicts)),
        (Section::Asks, words(&asks)),
        (Section::Rules, words(&rules)),
        (Section::Files, words(&files)),
        (Section::Patterns, words(&writer.patterns)),
        (Section::Strings, writer.strings.into_bytes()),
    ];
    let flag = |is: bool, flag| if is { flag } else { 0 };
    let Memory { map, wx, scan } = policy.memory;
    let flags = flag(parts.slow.beyond, SLOW_BEYOND)
        | flag(parts.slow_alone.beyond, SLOW_ALONE_BEYOND)
        | flag(map, MEMORY_MAP)
        | flag(wx, MEMORY_WX)
        | flag(scan, MEMORY_SCAN);
    let (mut table, mut body) = (Vec::new(), Vec::new());
    for (_, bytes) in &sections {
        // Programs begin at a multiple of 8.
        while !HEADER_LEN.wrapping_add(body.len()).is_multiple_of(8) {
            body.push(0);
        }
        table.extend([HEADER_LEN.wrapping_add(body.len()) as u32, bytes.len() as u32]);
        body.extend(bytes);
    }
    let len = HEADER_LEN.wrapping_add(body.len()) as u32;
    let mut blob = words(&[MAGIC, VERSION, len, flags]);
    blob.extend(words(&table));
    blob.extend(body);
    blob
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn program(insns: &[Insn]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Insn { code, jt, jf, k } in insns {
        bytes.extend(code.to_le_bytes());
        bytes.extend([*jt, *jf]);
        bytes.extend(k.to_le_bytes());
    }
    bytes
}

#[derive(Default)]
struct Writer {
    strings: String,
    /// Where each text in it starts.
    starts: Vec<usize>,
    patterns: Vec<u32>,
    /// Where the rule before began: most of them stand in the order of the text.
    counted: Option<Counted>,
}

impl Writer {
    /// Line and column of the first byte of `span` in its text, counted on from the place before if that
    /// lies before it.
    fn line_column(&mut self, text: &str, Span { file, start, .. }: Span) -> (u32, u32) {
        let before = self.counted.filter(|before| before.file == file && before.at <= start);
        let rest = before.and_then(|before| Some((before, text.get(before.at as usize..)?)));
        let (line, column) = match rest {
            None => line_column(text, start),
            Some((before, rest)) => match line_column(rest, start.wrapping_sub(before.at)) {
                (1, column) => (before.line, before.column.saturating_add(column).wrapping_sub(1)),
                (line, column) => (before.line.saturating_add(line).wrapping_sub(1), column),
            },
        };
        self.counted = Some(Counted { file, at: start, line, column });
        (line, column)
    }

    /// Where a text is in the strings, and its length in bytes.
    fn string(&mut self, text: &str) -> [u32; 2] {
        let is_there = |at: &usize| {
            let kept = self.strings.as_bytes().get(*at..).unwrap_or(&[]);
            kept.starts_with(text.as_bytes())
        };
        let at = self.starts.iter().copied().find(is_there).unwrap_or_else(|| {
            let at = self.strings.len();
            self.strings.push_str(text);
            self.starts.push(at);
            at
        });
        [at as u32, text.len() as u32]
    }

    /// The number of the first pattern, and how many.
    fn patterns(&mut self, patterns: &[String]) -> [u32; 2] {
        let first = self.patterns.len() / 2;
        for pattern in patterns {
            let row = self.string(pattern);
            self.patterns.extend(row);
        }
        [first as u32, patterns.len() as u32]
    }

    fn verdict(&mut self, outcome: &Outcome<'_>) -> [u32; 6] {
        let (cause, rule) = match outcome.cause {
            Cause::Rule { index, held: true } => (cause::RULE_HELD, index as u32),
            Cause::Rule { index, held: false } => (cause::RULE_FAILED, index as u32),
            Cause::Default => (cause::DEFAULT, 0),
            // An argument that cannot be read has no row.
            Cause::Unknown | Cause::Argument => (cause::UNKNOWN, 0),
        };
        let [reason, reason_len] = self.string(outcome.reason);
        [action_word(outcome.action), outcome.log.into(), reason, reason_len, cause, rule]
    }

    fn ask(&mut self, question: &Question<'_>) -> [u32; 4] {
        match question {
            Question::Path { arg, paths: Paths::Files } => [ask::FILES, (*arg).into(), 0, 0],
            Question::Path { arg, paths: Paths::Patterns(patterns) } => {
                let [first, count] = self.patterns(patterns);
                [ask::PATTERNS, (*arg).into(), first, count]
            }
            // The trampoline is nothing to ask about.
            Question::From(Caller::Wrapper | Caller::Trampoline) => [ask::WRAPPER, 0, 0, 0],
            Question::From(Caller::Vdso) => [ask::VDSO, 0, 0, 0],
            Question::From(Caller::Jit) => [ask::JIT, 0, 0, 0],
            Question::From(Caller::Module(name)) => {
                let [name, len] = self.string(name);
                [ask::MODULE, name, len, 0]
            }
        }
    }

    fn place(&mut self, policy: &Policy, span: Span) -> [u32; 6] {
        let source = policy.sources.get(usize::from(span.file));
        let (name, all) = source.map_or(("", ""), |source| (&source.name, &source.text));
        let (line, column) = self.line_column(all, span);
        let written = all.get(span.start as usize..span.end as usize).unwrap_or("");
        let [file, file_len] = self.string(name);
        let [text, text_len] = self.string(&on_one_line(written));
        [file, file_len, line, column, text, text_len]
    }
}

/// A place whose line and column are known.
#[derive(Clone, Copy, Default)]
struct Counted {
    file: u16,
    at: u32,
    line: u32,
    column: u32,
}

/// A rule without comments and with one blank for each gap, cut where it gets long.
fn on_one_line(written: &str) -> String {
    const CUT: &str = "…";
    let mut text = String::new();
    let (mut quoted, mut escaped, mut comment, mut gap) = (false, false, false, false);
    let mut chars = written.chars().peekable();
    while let Some(char) = chars.next() {
        if comment {
            comment = char != '\n';
            continue;
        }
        // `#` and a number is a call.
        let mut is_call = || chars.peek().is_some_and(char::is_ascii_digit);
        if !quoted && char == '#' && !is_call() {
            (comment, gap) = (true, true);
            continue;
        }
        if !quoted && char.is_whitespace() {
            gap = true;
            continue;
        }
        quoted ^= char == '"' && !escaped;
        escaped = quoted && char == '\\' && !escaped;
        let blank = if gap && !text.is_empty() { " " } else { "" };
        let room = if chars.peek().is_some() { CUT.len() } else { 0 };
        let added = blank.len().wrapping_add(char.len_utf8()).wrapping_add(room);
        if text.len().wrapping_add(added) > TEXT_MAX {
            text.push_str(CUT);
            break;
        }
        text.push_str(blank);
        text.push(if char.is_control() { ' ' } else { char });
        gap = false;
    }
    text
}
