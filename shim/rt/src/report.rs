//! The report of a refusal, at the moment it happens: the call with its arguments, the rule and where it
//! stands, the module and function that made the call, and a rule that would allow it.
//!
//! On stderr as text, each combination of call and rule once, but for ENOSYS; in the file named by `IA2_LOG_FILE` as a
//! line of JSON each time. Nothing here waits for anybody or changes what happens to the call: what the
//! kernel does not let the shim do is left out.

use crate::block::Block;
use crate::patch::each_region;
use crate::state::{KeptPath, LOG, REPORT};
use crate::{boundary, exe, sys, usermem};
use core::sync::atomic::{AtomicU64, Ordering};
use ia2_core::blob::{Cause, Verdict};
use ia2_core::calls::{self, Call, Kind};
use ia2_core::constants::errno_name;
use ia2_core::regs::Frame;
use ia2_core::show::{self, ReadString};
use ia2_core::text::Text;
use ia2_core::verdict::ActionKind;
use linux_raw_sys::general::{O_APPEND, O_CLOEXEC, O_CREAT, O_WRONLY};

/// Where the lines of JSON go.
pub static FILE: KeptPath = KeptPath::new();

/// The file that is standard error, as boot found it: device and inode. A program that opens another
/// file as descriptor 2 does not get text of the shim in it.
static STDERR: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// What has been said: one word for each combination.
static SAID: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

const LINE: usize = 2048;
const ENOSYS: u16 = 38;

/// Notes which file standard error is, for boot.
pub fn note_stderr() {
    if let Ok(file) = sys::identity(2) {
        let [device, inode] = &STDERR;
        device.store(file.device, Ordering::Relaxed);
        inode.store(file.inode, Ordering::Relaxed);
    }
}

/// Opens the file for lines of JSON, if one was named.
pub fn open() -> Option<Result<i32, i32>> {
    let mut path = [0; 4096];
    let path = FILE.get(&mut path)?;
    Some(sys::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666))
}

/// Reports what `verdict` says to the call of `frame`.
pub(crate) fn say(block: &Block, frame: &Frame, verdict: &Verdict<'_>) {
    block.trace(frame.rcx, frame.nr(), 4);
    let to_file = FILE.len() != 0;
    // ENOSYS says "do without": libraries try new calls that way, and nobody misses anything.
    let is_told = verdict.action != ActionKind::Errno(ENOSYS) || LOG.load(Ordering::Relaxed);
    let to_stderr =
        is_told && REPORT.load(Ordering::Relaxed) && is_news(frame.nr(), &verdict.cause);
    if !to_file && !to_stderr {
        return;
    }
    let place = Origin::of(frame);
    if to_stderr && is_stderr() {
        let mut text = Text::<LINE>::new();
        as_text(&mut text, frame, verdict, &place);
        // A courtesy: a closed stderr changes nothing.
        let _ = sys::write(2, text.as_bytes());
    }
    if to_file && let Some(Ok(fd)) = open() {
        let mut text = Text::<LINE>::new();
        as_json(&mut text, frame, verdict, &place);
        let _ = sys::write(fd, text.as_bytes());
        sys::close(fd);
    }
}

fn is_stderr() -> bool {
    let [device, inode] = &STDERR;
    let noted = (device.load(Ordering::Relaxed), inode.load(Ordering::Relaxed));
    sys::identity(2).is_ok_and(|file| (file.device, file.inode) == noted)
}

/// Whether this combination is said for the first time, as far as the table remembers.
fn is_news(nr: u32, cause: &Cause<'_>) -> bool {
    let place = match cause {
        Cause::Rule { rule, held } => {
            u64::from(rule.line) << 20 | u64::from(rule.column) << 2 | u64::from(*held)
        }
        Cause::Default => 1 << 60,
        Cause::Unknown => 2 << 60,
        Cause::Argument => 3 << 60,
        Cause::Memory(refusal) => 4 << 60 | *refusal as u64,
    };
    // Never 0, and different numbers mostly differ.
    let key = (u64::from(nr) << 40 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let start = (key >> 56) as usize;
    let slots = SAID.iter().cycle().skip(start).take(8);
    for slot in slots {
        match slot.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(known) if known == key => return false,
            Err(_) => {}
        }
    }
    false
}

struct Memory;

impl ReadString for Memory {
    fn read_string(&mut self, addr: u64, buffer: &mut [u8]) -> Option<usize> {
        match usermem::string(addr, buffer) {
            Ok(len) => Some(len),
            // Longer than what is shown.
            Err(crate::abi::errno::ENAMETOOLONG) => Some(buffer.len()),
            Err(_) => None,
        }
    }
}

fn action(out: &mut Text<LINE>, kind: ActionKind) {
    match kind {
        ActionKind::KillProcess => out.str("kill_process"),
        ActionKind::KillThread => out.str("kill_thread"),
        ActionKind::Trap(_) => out.str("trap"),
        ActionKind::Trace(data) => out.str("trace ").dec(data.into()),
        ActionKind::Emulate => out.str("emulate"),
        ActionKind::Allow => out.str("allow"),
        ActionKind::Errno(value) => match errno_name(value) {
            Some(name) => out.str("errno ").str(name),
            None => out.str("errno ").dec(value.into()),
        },
    };
}

/// A rule that would have let this call through.
fn allowing(out: &mut Text<LINE>, call: Option<&Call>, frame: &Frame, cause: &Cause<'_>) {
    if let Cause::Memory(refusal) = cause {
        out.str(refusal.allowed_by().unwrap_or("nothing does"));
        return;
    }
    let Some(call) = call else {
        out.byte(b'#').dec(frame.nr().into()).str(" : allow");
        return;
    };
    out.str(call.name).str(" : ");
    if let Cause::Rule { held: false, .. } = cause {
        // The argument that such rules are about: a path, a command, a family.
        let speaks = |kind| matches!(kind, Kind::Path | Kind::Choice | Kind::Flags);
        let mut args = call.args.iter().zip(frame.args());
        if let Some((arg, value)) = args.find(|(arg, _)| speaks(arg.kind)) {
            out.str(arg.name).str(if arg.kind == Kind::Path { " in " } else { " == " });
            show::argument(out, arg, value, &mut Memory);
            return;
        }
    }
    out.str("allow");
}

fn as_text(out: &mut Text<LINE>, frame: &Frame, verdict: &Verdict<'_>, origin: &Origin) {
    let call = calls::by_nr(frame.nr());
    let denied = !verdict.action.lets_through();
    out.str(if denied { "ia2shim: denied " } else { "ia2shim: noted " });
    show::call(out, frame.nr(), call.as_ref(), frame.args(), &mut Memory);
    out.str(" -> ");
    action(out, verdict.action);
    if !verdict.reason.is_empty() {
        out.str(" (").str(verdict.reason).byte(b')');
    }
    out.str("\n  rule  ");
    match &verdict.cause {
        Cause::Rule { rule, .. } => {
            out.str(rule.file).byte(b':').dec(rule.line.into()).byte(b':').dec(rule.column.into());
            out.str(": ").str(rule.text);
        }
        Cause::Default => _ = out.str("none names it: the policy's default"),
        Cause::Unknown => _ = out.str("none: newer than the policy knows"),
        Cause::Argument => _ = out.str("none: an argument cannot be read"),
        Cause::Memory(_) => _ = out.str("none: the policy's `memory`"),
    }
    out.str("\n  from  ");
    origin.write(out);
    out.str(", pid ").dec(sys::getpid().unsigned_abs().into());
    if denied {
        out.str("\n  allow ");
        allowing(out, call.as_ref(), frame, &verdict.cause);
    }
    out.byte(b'\n');
}

fn as_json(out: &mut Text<LINE>, frame: &Frame, verdict: &Verdict<'_>, origin: &Origin) {
    let call = calls::by_nr(frame.nr());
    let quoted = |out: &mut Text<LINE>, text: &Text<LINE>| _ = out.json(text.as_bytes());
    let mut part = Text::<LINE>::new();
    out.str("{\"schema\":\"ia2.denial/1\",\"pid\":").dec(sys::getpid().unsigned_abs().into());
    out.str(",\"tid\":").dec(sys::gettid().unsigned_abs().into());
    let mut path = [0; 4096];
    let exe = exe::shown(&mut path);
    out.str(",\"exe\":").json(exe.get(..256).unwrap_or(exe));
    out.str(",\"nr\":").dec(frame.nr().into());
    out.str(",\"sys\":").json(call.map_or("", |call| call.name).as_bytes());
    show::call(&mut part, frame.nr(), call.as_ref(), frame.args(), &mut Memory);
    out.str(",\"call\":");
    quoted(out, &part);
    out.str(",\"args\":[");
    for (index, value) in frame.args().iter().enumerate() {
        out.str(if index == 0 { "\"" } else { ",\"" }).hex(*value).byte(b'"');
    }
    part.clear();
    action(&mut part, verdict.action);
    out.str("],\"act\":");
    quoted(out, &part);
    out.str(",\"reason\":").json(verdict.reason.as_bytes());
    match &verdict.cause {
        Cause::Rule { rule, held } => {
            out.str(",\"rule\":{\"file\":").json(rule.file.as_bytes());
            out.str(",\"line\":").dec(rule.line.into());
            out.str(",\"column\":").dec(rule.column.into());
            out.str(",\"text\":").json(rule.text.as_bytes());
            out.str(",\"held\":").str(if *held { "true" } else { "false" }).byte(b'}');
        }
        Cause::Default => _ = out.str(",\"rule\":\"default\""),
        Cause::Unknown => _ = out.str(",\"rule\":\"unknown\""),
        Cause::Argument => _ = out.str(",\"rule\":\"argument\""),
        Cause::Memory(_) => _ = out.str(",\"rule\":\"memory\""),
    }
    part.clear();
    origin.write(&mut part);
    out.str(",\"from\":");
    quoted(out, &part);
    part.clear();
    allowing(&mut part, call.as_ref(), frame, &verdict.cause);
    out.str(",\"allow\":");
    quoted(out, &part);
    out.str("}\n");
}

/// Where a call was made.
struct Origin {
    addr: u64,
    /// Address of the module's first byte, or 0.
    base: u64,
    module: Text<128>,
    function: Text<64>,
    /// From the beginning of the function.
    offset: u64,
}

impl Origin {
    fn of(frame: &Frame) -> Self {
        let addr = boundary::program_address(frame.rcx).wrapping_sub(2);
        let mut origin =
            Self { addr, base: 0, module: Text::new(), function: Text::new(), offset: 0 };
        // The mappings of a file follow each other, the one of its beginning first.
        let mut first = (0, 0, 0);
        each_region(|region| {
            let file = (region.device, region.inode);
            if (first.1, first.2) != file || region.offset == 0 {
                first = (region.start, region.device, region.inode);
            }
            if !region.contains(addr) {
                return true;
            }
            origin.base = first.0;
            let name = region.path.rsplit(|byte| *byte == b'/').next().unwrap_or(b"");
            origin.module.raw(name.get(..100).unwrap_or(name));
            false
        });
        origin.find_function();
        origin
    }

    fn write<const N: usize>(&self, out: &mut Text<N>) {
        let module = self.module.as_bytes();
        if module.is_empty() {
            out.hex(self.addr);
            return;
        }
        out.raw(module).byte(b'+').hex(self.addr.wrapping_sub(self.base));
        if !self.function.as_bytes().is_empty() {
            out.str(" (").raw(self.function.as_bytes()).byte(b'+').hex(self.offset).byte(b')');
        }
    }

    /// The dynamic symbol that the address lies in, read from the module's own tables in memory.
    fn find_function(&mut self) {
        let Some((symbols, strings)) = self.tables() else { return };
        // The table of names follows that of symbols in every linker's output; there is no count.
        let count = strings.checked_sub(symbols).map_or(0, |len| len / SYMBOL).min(MOST_SYMBOLS);
        for index in 0..count {
            let Ok([name, value, size]) = usermem::read::<[u64; 3]>(symbols + index * SYMBOL)
            else {
                return;
            };
            let start = self.base.wrapping_add(value);
            // A function, and the address in it.
            if name >> 32 & 0xf == 2 && self.addr.wrapping_sub(start) < size {
                let mut buffer = [0; 64];
                let from = strings.wrapping_add(name & 0xffff_ffff);
                let len = Memory.read_string(from, &mut buffer).unwrap_or(0);
                self.function.raw(buffer.get(..len).unwrap_or(&[]));
                self.offset = self.addr.wrapping_sub(start);
                return;
            }
        }
    }

    /// Addresses of the dynamic symbols and of their names.
    fn tables(&self) -> Option<(u64, u64)> {
        const PT_DYNAMIC: u32 = 2;
        const DT_STRTAB: u64 = 5;
        const DT_SYMTAB: u64 = 6;
        if self.base == 0 || usermem::peek(self.base) != Ok(*b"\x7fELF") {
            return None;
        }
        let word = |at: u64| usermem::read::<u64>(self.base.wrapping_add(at)).ok();
        let (table, count) = (word(32)?, word(56)? & 0xffff);
        let header = |index: u64| table.wrapping_add(index.wrapping_mul(56));
        let dynamic = (0..count.min(64))
            .find(|index| word(header(*index)).is_some_and(|kind| kind as u32 == PT_DYNAMIC))?;
        let mut at = word(header(dynamic).wrapping_add(16))?;
        let (mut symbols, mut strings) = (None, None);
        for _ in 0..256 {
            let [tag, value] = usermem::read::<[u64; 2]>(self.base.wrapping_add(at)).ok()?;
            // glibc has made the addresses absolute, musl has not.
            let absolute = if value < self.base { self.base.wrapping_add(value) } else { value };
            match tag {
                0 => break,
                DT_STRTAB => strings = Some(absolute),
                DT_SYMTAB => symbols = Some(absolute),
                _ => {}
            }
            at = at.wrapping_add(16);
        }
        Some((symbols?, strings?))
    }
}

/// Bytes of an ELF symbol.
const SYMBOL: u64 = 24;
const MOST_SYMBOLS: u64 = 20_000;
