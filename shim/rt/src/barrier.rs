//! membarrier(2) as the program sees it.
//!
//! Live patching ([`crate::patch`]) registers the process for a command that the program may not have
//! registered. The program is told of its own registrations only, and a command that it has not
//! registered fails for it.

use crate::abi::errno::EPERM;
use crate::block::Block;
use crate::sys;
use core::sync::atomic::{AtomicU64, Ordering};
use ia2_core::nr;

const REGISTER_PRIVATE: u64 = 1 << 4;
const PRIVATE_SYNC_CORE: u64 = 1 << 5;
const REGISTER_PRIVATE_SYNC_CORE: u64 = 1 << 6;
const REGISTER_PRIVATE_RSEQ: u64 = 1 << 8;
const GET_REGISTRATIONS: u64 = 1 << 9;

/// What the shim's registration sets.
const OURS: u64 = REGISTER_PRIVATE | REGISTER_PRIVATE_SYNC_CORE;

/// Of [`OURS`], what the program has registered. A registration is never taken back; a fork copies it.
static REGISTERED: AtomicU64 = AtomicU64::new(0);

/// The call as the program made it.
pub fn membarrier(block: &Block, args: [u64; 6]) {
    let [command, flags, ..] = args;
    let (command, registered) = (command & 0xffff_ffff, REGISTERED.load(Ordering::Relaxed));
    match command {
        // The kernel reports the private command together with each that contains it.
        REGISTER_PRIVATE | REGISTER_PRIVATE_SYNC_CORE | REGISTER_PRIVATE_RSEQ => {
            let result = sys::pass(nr::MEMBARRIER, args);
            if result == 0 {
                REGISTERED.fetch_or((command | REGISTER_PRIVATE) & OURS, Ordering::Relaxed);
            }
            block.done(result);
        }
        GET_REGISTRATIONS => {
            let result = sys::pass(nr::MEMBARRIER, args);
            let of_ours = result & OURS.cast_signed();
            let told = result - of_ours + registered.cast_signed();
            block.done(if result < 0 { result } else { told });
        }
        PRIVATE_SYNC_CORE if flags as u32 == 0 && registered & REGISTER_PRIVATE_SYNC_CORE == 0 => {
            block.done(-i64::from(EPERM));
        }
        _ => block.pass(),
    }
}
