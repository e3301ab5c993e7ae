//! What is wanted: the environment, read from `/proc` because not every libc hands it to
//! constructors, and the auxiliary vector.

use crate::layers::Layers;
use crate::plans;
use crate::raw::GiveUp;
use alloc::vec;
use alloc::vec::Vec;
use ia2_core::handover::{CONFIG_FD, LAYERS, WINDOW_AT};
use ia2_rt::state::Backstop;
use ia2_rt::sys;
use linux_raw_sys::general::O_RDONLY;

/// The settings of one process.
#[derive(Debug)]
pub(crate) struct Config {
    /// `IA2_BACKSTOP`.
    pub(crate) backstop: Backstop,
    /// `IA2_PATCH` is not `off`.
    pub(crate) patch: bool,
    /// `IA2_LOG`: whether all refusals are said on stderr, or none; else those of the policy.
    pub(crate) log: Option<bool>,
    /// `IA2_LOG_FILE`, made absolute; empty if unset.
    pub(crate) log_file: Vec<u8>,
    /// `IA2_POLICY`.
    pub(crate) layers: Layers,
    /// `IA2_STATS`, made absolute; empty if unset.
    pub(crate) stats: Vec<u8>,
    /// AT_MINSIGSTKSZ, or what the kernel always had.
    pub(crate) min_altstack: u64,
    /// AT_HWCAP2 says that `wrgsbase` may be used.
    pub(crate) fsgsbase: bool,
    /// AT_SECURE: the program runs with more privilege than its caller.
    secure: bool,
}

/// From the value of `IA2_POLICY`.
type Compile = fn(&[u8]) -> Result<Layers, GiveUp>;

const AT_SECURE: u64 = 23;
const AT_HWCAP2: u64 = 26;
const AT_MINSIGSTKSZ: u64 = 51;
/// Bit of AT_HWCAP2 (arch/x86/include/uapi/asm/hwcap2.h).
const HWCAP2_FSGSBASE: u64 = 1 << 1;
/// `MINSIGSTKSZ` of the kernel's headers.
const MINSIGSTKSZ: u64 = 2048;

impl Config {
    /// Reads it, with the settings of the environment.
    pub(crate) fn read() -> Result<Self, GiveUp> {
        let mut config = Self::of_processor()?;
        if config.secure {
            return Ok(config); // a set-user-ID program takes no orders from its environment
        }
        let environ = read_file(b"/proc/self/environ\0")
            .map_err(GiveUp::because("cannot read /proc/self/environ; is /proc mounted?"))?;
        config.set_all(&environ, Layers::named)?;
        Ok(config)
    }

    /// Reads it, with the settings that came over exec, which are the same for all of a tree.
    pub(crate) fn inherited() -> Result<Self, GiveUp> {
        let mut config = Self::of_processor()?;
        let mut settings = vec![0; WINDOW_AT as usize];
        let len = sys::pread(CONFIG_FD, &mut settings, 0)
            .map_err(GiveUp::because("the settings did not come over exec"))?;
        // Nothing lies between them and what follows.
        let end = settings.windows(2).position(|pair| pair == [0, 0]).unwrap_or(len);
        // Policies are compiled by now: the loader is without the compiler.
        config.set_all(settings.get(..end).unwrap_or(&[]), |_| Ok(Layers::None))?;
        // The filter lets nobody ask the kernel what file it is, but where it ends.
        plans::are_inherited(config.layers.end(), sys::end_of_file(CONFIG_FD).unwrap_or(0));
        Ok(config)
    }

    /// The defaults, and what the auxiliary vector says.
    fn of_processor() -> Result<Self, GiveUp> {
        let auxv = read_file(b"/proc/self/auxv\0")
            .map_err(GiveUp::because("cannot read /proc/self/auxv; is /proc mounted?"))?;
        let mut config = Self {
            backstop: Backstop::Strict,
            patch: true,
            log: None,
            log_file: Vec::new(),
            layers: Layers::None,
            stats: Vec::new(),
            min_altstack: MINSIGSTKSZ,
            fsgsbase: false,
            secure: false,
        };
        for entry in auxv.as_chunks::<16>().0 {
            let [key, value] = [0, 8].map(|at| word(entry, at));
            match key {
                AT_SECURE => config.secure = value != 0,
                AT_HWCAP2 => config.fsgsbase = value & HWCAP2_FSGSBASE != 0,
                AT_MINSIGSTKSZ => config.min_altstack = value.max(MINSIGSTKSZ),
                _ => {}
            }
        }
        Ok(config)
    }

    /// Takes the settings among `variables`, each of which ends in NUL; `compile` makes policies from
    /// their names.
    fn set_all(&mut self, variables: &[u8], compile: Compile) -> Result<(), GiveUp> {
        for variable in variables.split(|byte| *byte == 0) {
            let mut parts = variable.splitn(2, |byte| *byte == b'=');
            if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                self.set(name, value, compile)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &[u8], value: &[u8], compile: Compile) -> Result<(), GiveUp> {
        let wrong = |what| Err(GiveUp { what, errno: 0 });
        match (name, value) {
            (b"IA2_BACKSTOP", b"strict") => self.backstop = Backstop::Strict,
            (b"IA2_BACKSTOP", b"inspected") => self.backstop = Backstop::Inspected,
            (b"IA2_BACKSTOP", b"sud") => self.backstop = Backstop::Sud,
            (b"IA2_BACKSTOP", b"none") => self.backstop = Backstop::None,
            (b"IA2_BACKSTOP", _) => {
                return wrong("IA2_BACKSTOP must be strict, inspected, sud or none");
            }
            (b"IA2_PATCH", b"on") => self.patch = true,
            (b"IA2_PATCH", b"off") => self.patch = false,
            (b"IA2_PATCH", _) => return wrong("IA2_PATCH must be on or off"),
            (b"IA2_LOG", b"on") => self.log = Some(true),
            (b"IA2_LOG", b"off") => self.log = Some(false),
            (b"IA2_LOG", _) => return wrong("IA2_LOG must be on or off"),
            (b"IA2_STATS", b"") => return wrong("IA2_STATS must name a file"),
            (b"IA2_STATS", path) => self.stats = absolute(path)?,
            (b"IA2_LOG_FILE", b"") => return wrong("IA2_LOG_FILE must name a file"),
            (b"IA2_LOG_FILE", path) => self.log_file = absolute(path)?,
            (b"IA2_POLICY", names) => self.layers = compile(names)?,
            (LAYERS, lengths) => self.layers = Layers::inherited(lengths)?,
            (b"IA2_HOOK", _) => return wrong("IA2_HOOK: this version knows no hook libraries"),
            _ => {}
        }
        Ok(())
    }
}

fn word(entry: &[u8; 16], at: usize) -> u64 {
    entry.iter().skip(at).take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The program may change its directory before the statistics are written.
fn absolute(path: &[u8]) -> Result<Vec<u8>, GiveUp> {
    let mut full = Vec::new();
    if !path.starts_with(b"/") {
        let mut buffer = [0; 4096];
        let len = sys::readlink(b"/proc/self/cwd\0", &mut buffer)
            .map_err(GiveUp::because("cannot find the current directory"))?;
        full.extend_from_slice(buffer.get(..len).unwrap_or(&[]));
        full.push(b'/');
    }
    full.extend_from_slice(path);
    Ok(full)
}

/// The whole of a file whose size `stat` does not tell.
pub(crate) fn read_file(path: &[u8]) -> Result<Vec<u8>, i32> {
    let fd = sys::open(path, O_RDONLY, 0)?;
    // A page at a time, which is what the kernel hands out of these files.
    const STEP: usize = 4096;
    let mut bytes = Vec::with_capacity(2 * STEP);
    let result = loop {
        let len = bytes.len();
        bytes.resize(len + STEP, 0);
        let got = bytes.get_mut(len..).map_or(Ok(0), |room| sys::read(fd, room));
        bytes.truncate(len + got.unwrap_or(0));
        match got {
            Ok(0) => break Ok(bytes),
            Ok(_) => {}
            Err(errno) => break Err(errno),
        }
    };
    sys::close(fd);
    result
}
