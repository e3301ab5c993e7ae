//! What it takes to compile the built-in policy `ia2` from its text: to read and check it, to compile it, and
//! to compare what came out with what is meant, as for every policy in a file.

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
    pub(crate) getpid_ns: f64,
}

impl Compiling {
    /// All of it: the sum of the parts, since a busy machine leaves hardly anybody alone for the whole time.
    pub(crate) fn all(&self) -> f64 {
        self.load + self.compile + self.verify
    }

    /// That in thousands of native `getpid`s: machines differ, and so does one from hour to hour.
    pub(crate) fn in_getpids(&self) -> f64 {
        self.all() * 1e3 / self.getpid_ns
    }
}

/// Compiles it `times` times.
pub(crate) fn measure(times: usize) -> Result<Compiling, String> {
    let mut parts: [Vec<f64>; 4] = Default::default();
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
        let times = [ms(start, loaded), ms(loaded, made), ms(made, end), reference];
        for (part, time) in parts.iter_mut().zip(times) {
            part.push(time);
        }
    }
    let [load, compile, verify, getpid_ns] = parts.map(|times| lower_quartile(&times));
    Ok(Compiling { load, compile, verify, getpid_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_measured() {
        let compiling = measure(1).expect("it compiles");
        let Compiling { load, compile, verify, getpid_ns } = compiling;
        assert!(load > 0.0 && compile > 0.0 && verify > 0.0 && getpid_ns > 0.0);
    }

    #[test]
    fn the_whole_is_told_in_getpids() {
        let compiling = Compiling { load: 0.5, compile: 0.5, verify: 1.0, getpid_ns: 125.0 };
        assert_eq!((compiling.all(), compiling.in_getpids()), (2.0, 16.0));
    }
}
