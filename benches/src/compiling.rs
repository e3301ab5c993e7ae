//! What it takes to compile the built-in policy `ia2` from its text: to read and check it, to compile it, and to
//! compare what came out with what is meant, as `ia2 check` and every preloaded program with a policy in a
//! file do.

use crate::site::{CALLS_PER_CHUNK, Call, Prepared};
use crate::stats::lower_quartile;
use ia2_policy::compile::compile_unverified;
use ia2_policy::load;
use ia2_policy::source::Memory;
use ia2_policy::verify::verify;
use std::time::Instant;

/// Milliseconds of each part, and nanoseconds of a native `getpid` in between.
#[derive(Default)]
pub(crate) struct Compiling {
    pub(crate) load: f64,
    pub(crate) compile: f64,
    pub(crate) verify: f64,
    pub(crate) all: f64,
    pub(crate) getpid_ns: f64,
}

impl Compiling {
    /// All of it, in thousands of native `getpid`s: machines differ, and so does one from hour to hour.
    pub(crate) fn in_getpids(&self) -> f64 {
        self.all * 1e3 / self.getpid_ns
    }
}

/// Compiles it `times` times.
pub(crate) fn measure(times: usize) -> Result<Compiling, String> {
    let mut parts: [Vec<f64>; 5] = Default::default();
    let getpid = Prepared::new(Call::Getpid, 0);
    for _ in 0..times.max(1) {
        let ms = |start: Instant, end: Instant| (end - start).as_secs_f64() * 1e3;
        let start = Instant::now();
        let (policy, found, _) = load("ia2:ia2", &mut Memory::new());
        let policy = policy.ok_or_else(|| format!("policy ia2: {found:?}"))?;
        let loaded = Instant::now();
        let compiled = compile_unverified(&policy).map_err(|errors| format!("{errors:?}"))?;
        let made = Instant::now();
        verify(&policy, &compiled).map_err(|difference| difference.what)?;
        let end = Instant::now();
        getpid.chunk();
        let reference = end.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS_PER_CHUNK);
        let times = [ms(start, loaded), ms(loaded, made), ms(made, end), ms(start, end), reference];
        for (part, time) in parts.iter_mut().zip(times) {
            part.push(time);
        }
    }
    let [load, compile, verify, all, getpid_ns] = parts.map(|times| lower_quartile(&times));
    Ok(Compiling { load, compile, verify, all, getpid_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_not_less_than_its_parts() {
        let Compiling { load, compile, verify, all, getpid_ns } = measure(1).expect("it compiles");
        assert!(load > 0.0 && compile > 0.0 && verify > 0.0 && getpid_ns > 0.0);
        assert!((load + compile + verify - all).abs() < 1e-6);
    }
}
