//! What was decided at start, and what is counted since.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use ia2_core::site::Refusal;

/// `arch_prctl` operation that sets the gs base.
pub const ARCH_SET_GS: u32 = 0x1001;
/// `arch_prctl` operation that reads the gs base.
pub const ARCH_GET_GS: u32 = 0x1004;

/// What catches the calls that come from elsewhere than the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Backstop {
    /// A seccomp filter: only the gate issues calls.
    Strict,
    /// A seccomp filter: only the gate issues the calls that somebody inspects.
    Inspected,
    /// Syscall User Dispatch: everything outside the gate traps; no confinement.
    Sud,
    /// Nothing: rewriting alone.
    None,
}

static BACKSTOP: AtomicU8 = AtomicU8::new(Backstop::None as u8);
/// Live patching is allowed.
pub static PATCHING: AtomicBool = AtomicBool::new(false);
/// There is, or was, a process that shares this one's descriptors.
pub static FILES_SHARED: AtomicBool = AtomicBool::new(false);
/// The loader is in its slot, so that programs can be executed.
pub static LOADER: AtomicBool = AtomicBool::new(false);
/// `IA2_LOG` is not `off`: say on stderr what the policy refuses.
pub static REPORT: AtomicBool = AtomicBool::new(true);
/// `IA2_LOG` is `on`: say on stderr what the shim refuses for itself.
pub static LOG: AtomicBool = AtomicBool::new(false);
/// The processor and the kernel allow `wrgsbase`.
pub static FSGSBASE: AtomicBool = AtomicBool::new(false);
/// Size of an alternate signal stack with room for all registers, from AT_MINSIGSTKSZ.
pub static MIN_ALTSTACK: AtomicU64 = AtomicU64::new(2048);

/// Sites found and patched, at start and since.
pub static FOUND: AtomicU64 = AtomicU64::new(0);
/// Sites patched, at start and since.
pub static PATCHED: AtomicU64 = AtomicU64::new(0);
/// Threads of the process.
pub static THREADS: AtomicU32 = AtomicU32::new(1);
/// SIGSYS arrivals from the backstop.
pub static TRAPS: AtomicU64 = AtomicU64::new(0);
/// Fast calls of threads that are gone.
pub static CALLS: AtomicU64 = AtomicU64::new(0);
/// Calls seen by the dispatch, of threads that are gone.
pub static INSPECTED: AtomicU64 = AtomicU64::new(0);
/// Calls refused, of threads that are gone.
pub static DENIED: AtomicU64 = AtomicU64::new(0);

/// Sets the backstop, at boot.
pub fn set_backstop(backstop: Backstop) {
    BACKSTOP.store(backstop as u8, Ordering::Relaxed);
}

/// The backstop in force.
#[must_use]
pub fn backstop() -> Backstop {
    match BACKSTOP.load(Ordering::Relaxed) {
        0 => Backstop::Strict,
        1 => Backstop::Inspected,
        2 => Backstop::Sud,
        _ => Backstop::None,
    }
}

/// A path with its NUL, written once at boot.
pub struct KeptPath {
    bytes: [AtomicU8; 4096],
    len: AtomicUsize,
}

/// Where the statistics go.
pub static STATS_PATH: KeptPath = KeptPath::new();

impl KeptPath {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self { bytes: [const { AtomicU8::new(0) }; 4096], len: AtomicUsize::new(0) }
    }

    /// Its length without the NUL; 0 if none was set.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Its address, for the kernel.
    pub(crate) fn addr(&self) -> u64 {
        self.bytes.as_ptr().addr() as u64
    }

    /// Keeps `path`, which must leave room for a NUL. Gives false if it does not.
    pub fn set(&self, path: &[u8]) -> bool {
        if path.len() >= self.bytes.len() {
            return false;
        }
        for (to, from) in self.bytes.iter().zip(path) {
            to.store(*from, Ordering::Relaxed);
        }
        self.len.store(path.len(), Ordering::Release);
        true
    }

    /// The path with its NUL in `buffer`, or `None` if none was set.
    pub fn get<'a>(&self, buffer: &'a mut [u8; 4096]) -> Option<&'a [u8]> {
        let len = self.len();
        if len == 0 {
            return None;
        }
        for (to, from) in buffer.iter_mut().zip(&self.bytes) {
            *to = from.load(Ordering::Relaxed);
        }
        buffer.get(..=len)
    }
}

/// One site that was left alone.
#[derive(Clone, Copy)]
pub struct Left {
    /// Its address.
    pub addr: u64,
    /// Why.
    pub reason: Refusal,
}

/// The sites left alone: those known at start, in memory that boot provides, and a fixed number of
/// later ones. A site in here is not planned again when it traps.
pub struct LeftTable {
    boot: UnsafeCell<&'static [Left]>,
    late: [AtomicU64; Self::LATE],
    late_len: AtomicU32,
}

/// See [`LeftTable`].
pub static LEFT: LeftTable = LeftTable {
    boot: UnsafeCell::new(&[]),
    late: [const { AtomicU64::new(0) }; LeftTable::LATE],
    late_len: AtomicU32::new(0),
};

mod shared {
    #![allow(unsafe_code, reason = "one promise about a cell that is written once")]
    use super::{Left, LeftTable, Ordering};

    // SAFETY: `boot` is written by `set_boot` before there is a second thread or a signal, and
    // only read afterwards; the rest is atomics.
    unsafe impl Sync for LeftTable {}

    impl LeftTable {
        /// Hands over the sites left alone at start, sorted by address.
        ///
        /// # Safety
        /// To be called once, by boot, before the shim runs.
        pub unsafe fn set_boot(&self, left: &'static [Left]) {
            // SAFETY: nobody else runs yet, by the caller's promise.
            unsafe { *self.boot.get() = left };
        }

        /// The sites left alone at start.
        #[must_use]
        pub fn boot(&self) -> &'static [Left] {
            // SAFETY: not written any more, by the promise of `set_boot`.
            unsafe { *self.boot.get() }
        }

        /// The sites left alone since.
        pub fn late(&self) -> impl Iterator<Item = Left> + '_ {
            let len = self.late_len.load(Ordering::Acquire) as usize;
            self.late.iter().take(len).map(|word| Left::unpack(word.load(Ordering::Relaxed)))
        }
    }
}

impl Left {
    fn pack(self) -> u64 {
        self.addr | (self.reason as u64) << 56
    }

    fn unpack(word: u64) -> Self {
        let reason = Refusal::ALL.get((word >> 56) as usize).copied();
        Self { addr: word << 8 >> 8, reason: reason.unwrap_or(Refusal::LateUnproven) }
    }
}

impl LeftTable {
    const LATE: usize = 1024;

    /// Whether the site at `addr` was given up before.
    pub fn has(&self, addr: u64) -> bool {
        self.boot().binary_search_by_key(&addr, |left| left.addr).is_ok()
            || self.late().any(|left| left.addr == addr)
    }

    /// Adds a late site; the caller holds [`crate::lock::PATCH`]. False if the table is full.
    pub fn add(&self, left: Left) -> bool {
        let len = self.late_len.load(Ordering::Relaxed);
        let Some(slot) = self.late.get(len as usize) else { return false };
        slot.store(left.pack(), Ordering::Relaxed);
        self.late_len.store(len + 1, Ordering::Release);
        true
    }
}
