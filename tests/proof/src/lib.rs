//! The live code cannot panic: this library holds all of it, and links only if the optimiser has
//! shown every call of the panic handler to be unreachable.
//!
//! A proof in one direction, at these flags: if it links, no panic is reachable; if it does not,
//! either one is, or the optimiser could not see that none is. Then the code is made plainer.
#![no_std]

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Defined nowhere. The linker names it if live code can panic.
    fn ia2_handler_can_panic() -> !;
}

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    // SAFETY: never linked, so never called.
    unsafe { ia2_handler_can_panic() }
}

/// Keeps both entries, and with them everything that a call or a signal can reach.
#[unsafe(no_mangle)]
pub extern "C" fn ia2_proof_entries(index: usize) -> u64 {
    #[cfg(feature = "can-panic")]
    return [ia2_rt::entry::slow_addr(), ia2_rt::entry::signal_addr()][index];
    #[cfg(not(feature = "can-panic"))]
    match index {
        0 => ia2_rt::entry::slow_addr(),
        _ => ia2_rt::entry::signal_addr(),
    }
}
