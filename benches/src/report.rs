//! The table, the JSON and the bounds, all from the same numbers.

use core::fmt::Write;

use serde_json::{Value, json};

use crate::compiling::Compiling;
use crate::filter::{self, Maker};
use crate::memory::Memory;
use crate::pool::{Plan, Samples};
use crate::row::Row;
use crate::site::{CALLS_PER_CHUNK, Call};
use crate::stats::lower_quartile;
use crate::timing::{self, Timing};

/// What memory may cost, in KiB of peak resident set above native.
const MEMORY_BOUND_KIB: f64 = 1536.0;

/// How much longer a signal may take to its handler and back than natively.
const DELIVERY_BOUND: f64 = 1.3;

/// How much longer an open may take whose path a policy judges.
const OPENING_BOUND: f64 = 1.25;

/// How much longer a call may take under our filter of most rules than under that of one rule. A search
/// has nine tests more in it; measured 1.00 to 1.04.
const FILTER_BOUND: f64 = 1.10;

/// Thousands of native `getpid`s that compiling policy `ia2` may take: 2.3 ms where one takes 116 ns. Measured 17
/// to 18.
const COMPILING_BOUND: f64 = 20.0;

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) cpu: usize,
    pub(crate) plan: Plan,
    pub(crate) calls: Vec<Samples>,
    pub(crate) timings: Vec<Timing>,
    /// Whether there were plans made ahead; `None` without a library.
    pub(crate) plans: Option<bool>,
    pub(crate) memory: (Memory, Option<Memory>),
    pub(crate) filters: Vec<filter::Row>,
    pub(crate) compiling: Compiling,
}

/// One promise about a number.
pub(crate) struct Bound {
    what: String,
    value: f64,
    limit: f64,
}

impl Bound {
    /// Whether the promise is kept.
    pub(crate) fn holds(&self) -> bool {
        self.value <= self.limit
    }
}

/// One row and call, reduced.
struct Line {
    row: Row,
    call: Call,
    ns: f64,
    chunks: usize,
    to_native: f64,
    floor: Option<ToFloor>,
}

struct ToFloor {
    row: Row,
    ratio: f64,
    /// Smallest and largest ratio of one generation.
    spread: (f64, f64),
}

impl Report {
    fn samples(&self, row: Row, call: Call) -> Option<&Samples> {
        self.calls.iter().find(|samples| samples.row == row && samples.call == call)
    }

    /// Nanoseconds of a call in a row.
    fn ns(&self, row: Row, call: Call) -> Option<f64> {
        Some(per_call(&self.samples(row, call)?.generations.concat()))
    }

    fn lines(&self) -> Vec<Line> {
        self.calls.iter().filter_map(|samples| self.line(samples)).collect()
    }

    fn line(&self, samples: &Samples) -> Option<Line> {
        let ns = per_call(&samples.generations.concat());
        let native = self.samples(Row::Native, samples.call)?;
        let floor = samples.row.floor().and_then(|row| self.samples(row, samples.call));
        let floor = floor.map(|floor| to_floor(samples, floor));
        Some(Line {
            row: samples.row,
            call: samples.call,
            ns,
            chunks: samples.generations.iter().map(Vec::len).sum(),
            to_native: ns / per_call(&native.generations.concat()),
            floor,
        })
    }

    /// Every promise, with the measured value.
    pub(crate) fn bounds(&self) -> Vec<Bound> {
        let mut bounds = Vec::new();
        for line in self.lines() {
            if let (Some(floor), Some(limit)) = (&line.floor, line.row.bound(line.call)) {
                bounds.push(Bound {
                    what: format!(
                        "{} {} / {}",
                        line.call.name(),
                        line.row.name(),
                        floor.row.name()
                    ),
                    value: floor.ratio,
                    limit,
                });
            }
        }
        bounds.extend(self.delivery());
        bounds.extend(self.opening());
        for timing in &self.timings {
            for line in timing.lines() {
                if let Some(to_native) = line.to_native
                    && let Some(limit) = to_native.bound_ms
                {
                    bounds.push(Bound {
                        what: format!(
                            "{}, {}, above native, ms",
                            timing.work.name(),
                            line.way.name()
                        ),
                        value: to_native.above_ms,
                        limit,
                    });
                }
            }
        }
        if let (native, Some(preloaded)) = &self.memory {
            bounds.push(Bound {
                what: "peak RSS of /bin/cat above native, KiB".to_owned(),
                value: preloaded.peak_rss - native.peak_rss,
                limit: MEMORY_BOUND_KIB,
            });
        }
        bounds.extend(self.growth());
        bounds.push(Bound {
            what: "policy ia2 from text to checked filters, thousands of native getpids".to_owned(),
            value: self.compiling.in_getpids(),
            limit: COMPILING_BOUND,
        });
        bounds
    }

    /// How much more a call costs under the largest of our filters than under the smallest.
    fn growth(&self) -> Option<Bound> {
        let ours = |rules| {
            let of = self
                .filters
                .iter()
                .filter(move |row| row.maker == Maker::Ours && row.rules == rules);
            of.map(|row| per_call(&row.chunks)).max_by(f64::total_cmp)
        };
        let [fewest, .., most] = filter::RULES;
        Some(Bound {
            what: format!("call under our filter of {most} rules / of {fewest}"),
            value: ours(most)? / ours(fewest)?,
            limit: FILTER_BOUND,
        })
    }

    /// What a signal to a handler costs under the strict filter, as a ratio to native, without what its
    /// calls cost: the shim sets the mask (one rt_sigprocmask under the filter), and the handler
    /// returns by an inspected call (rt_sigreturn, which costs what looking at a call costs).
    fn delivery(&self) -> Option<Bound> {
        let delivered = |row| Some(self.ns(row, Call::Signal)? - self.ns(row, Call::Tgkill)?);
        let mask = self.ns(Row::AddressFilter, Call::SetMask)?;
        let look =
            self.ns(Row::Strict, Call::Sigprocmask)? - self.ns(Row::Native, Call::Sigprocmask)?;
        Some(Bound {
            what: "delivery of a signal / native, strict, without its calls".to_owned(),
            value: (delivered(Row::Strict)? - mask - look) / delivered(Row::Native)?,
            limit: DELIVERY_BOUND,
        })
    }

    /// What an open takes under policy `ia2`, which judges its path on a copy, as a ratio to native; without
    /// what any call costs under the strict filter.
    fn opening(&self) -> Option<Bound> {
        let any = self.ns(Row::Strict, Call::Getpid)? - self.ns(Row::Native, Call::Getpid)?;
        Some(Bound {
            what: "open under policy-ia2, without what any call costs / native".to_owned(),
            value: (self.ns(Row::Policy, Call::Open)? - any) / self.ns(Row::Native, Call::Open)?,
            limit: OPENING_BOUND,
        })
    }

    /// The one table of `make bench`.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> core::fmt::Result {
        writeln!(
            text,
            "{:<12} {:<15} {:>9} {:>8} {:>8} {:>16}  floor",
            "call", "row", "ns", "/native", "/floor", "[generations]"
        )?;
        for line in self.lines() {
            let (call, row) = (line.call.name(), line.row.name());
            write!(text, "{call:<12} {row:<15} {:>9.1} {:>8.3}", line.ns, line.to_native)?;
            match &line.floor {
                Some(ToFloor { row, ratio, spread: (low, high) }) => {
                    let spread = format!("[{low:.3}..{high:.3}]");
                    writeln!(text, " {ratio:>8.3} {spread:>16}  {}", row.name())?;
                }
                None => writeln!(text)?,
            }
        }
        self.write_timings(text)?;
        self.write_memory(text)?;
        self.write_filters(text)?;
        for bound in self.bounds() {
            let verdict = if bound.holds() { "holds" } else { "EXCEEDED" };
            writeln!(
                text,
                "bound: {} = {:.3} <= {} {verdict}",
                bound.what, bound.value, bound.limit
            )?;
        }
        Ok(())
    }

    fn write_timings(&self, text: &mut String) -> core::fmt::Result {
        writeln!(
            text,
            "{:<24} {:<19} {:>9} {:>8} {:>9}  times",
            "work", "row", "ms", "/native", "+ms"
        )?;
        for timing in &self.timings {
            for line in timing.lines() {
                let (work, way) = (timing.work.name(), line.way.name());
                write!(text, "{work:<24} {way:<19} {:>9.2}", line.ms)?;
                match line.to_native {
                    Some(to) => write!(text, " {:>8.2} {:>+9.2}", to.ratio, to.above_ms)?,
                    None => write!(text, " {:>8} {:>9}", "", "")?,
                }
                writeln!(text, "  {}", line.times)?;
            }
        }
        match self.plans {
            Some(false) => writeln!(
                text,
                "no ia2-plans beside the library (ia2 cache makes it): every row is without plans"
            ),
            _ => Ok(()),
        }
    }

    fn write_filters(&self, text: &mut String) -> core::fmt::Result {
        writeln!(
            text,
            "{:<18} {:>6} {:>8} {:>6} {:>9} {:>8} {:>8}",
            "filter", "rules", "insns", "call", "ns", "/none", "/address"
        )?;
        for row in &self.filters {
            let (ns, [to_none, to_address]) = self.filter_ratios(row);
            let call = if row.is_late() { "last" } else { "first" };
            let name = row.maker.name();
            writeln!(
                text,
                "{name:<18} {:>6} {:>8} {call:>6} {ns:>9.1} {to_none:>8.3} {to_address:>8.3}",
                row.rules, row.len
            )?;
        }
        let (Compiling { load, compile, verify, getpid_ns }, all) =
            (&self.compiling, self.compiling.all());
        writeln!(
            text,
            "policy ia2 from text, ms: load {load:.2} + compile {compile:.2} + compare {verify:.2} = \
             {all:.2}; getpid {getpid_ns:.0} ns"
        )
    }

    /// Nanoseconds of one call, and what they are to those without a filter and under that of addresses.
    fn filter_ratios(&self, row: &filter::Row) -> (f64, [f64; 2]) {
        let ns = per_call(&row.chunks);
        let to = |maker| {
            let base = self.filters.iter().find(|row| row.maker == maker);
            base.map_or(f64::NAN, |base| ns / per_call(&base.chunks))
        };
        (ns, [to(Maker::Nobody), to(Maker::Address)])
    }

    fn filter_json(&self, row: &filter::Row) -> Value {
        let (ns, [to_none, to_address]) = self.filter_ratios(row);
        json!({"filter": row.maker.name(), "rules": row.rules, "instructions": row.len,
            "call": if row.is_late() { "last" } else { "first" }, "ns": ns,
            "chunks": row.chunks.len(), "to_none": to_none, "to_address_filter": to_address})
    }

    fn write_memory(&self, text: &mut String) -> core::fmt::Result {
        let (native, preloaded) = &self.memory;
        for (index, (name, value)) in native.rows().into_iter().enumerate() {
            write!(text, "/bin/cat {name:<19} {value:>9.2} KiB native")?;
            if let Some(memory) = preloaded {
                let other = memory.rows()[index].1;
                write!(text, " {other:>9.2} preloaded {:>+9.2}", other - value)?;
            }
            writeln!(text)?;
        }
        Ok(())
    }

    /// The same numbers for programs.
    pub(crate) fn json(&self) -> Value {
        let calls: Vec<Value> = self.lines().iter().map(Line::json).collect();
        let bounds: Vec<Value> = self
            .bounds()
            .iter()
            .map(
                |b| json!({"what": b.what, "value": b.value, "limit": b.limit, "holds": b.holds()}),
            )
            .collect();
        let memory = |memory: &Memory| {
            json!({"peak_rss_kib": memory.peak_rss, "rss_kib": memory.rss, "pss_kib": memory.pss,
                "private_dirty_kib": memory.private_dirty})
        };
        json!({
            "schema": "ia2.bench/2",
            "machine": machine(),
            "method": {"cpu": self.cpu, "generations": self.plan.generations,
                "rounds": self.plan.rounds, "calls_per_chunk": CALLS_PER_CHUNK,
                "statistic": "lower quartile"},
            "calls": calls,
            "timings": self.timings.iter().flat_map(timing_json).collect::<Vec<_>>(),
            "plans_made_ahead": self.plans,
            "memory": {"program": "/bin/cat", "native": memory(&self.memory.0),
                "preloaded": self.memory.1.as_ref().map(memory)},
            "filters": self.filters.iter().map(|row| self.filter_json(row)).collect::<Vec<_>>(),
            "compiling": {"policy": "ia2", "load_ms": self.compiling.load,
                "compile_ms": self.compiling.compile, "compare_ms": self.compiling.verify,
                "all_ms": self.compiling.all(), "getpid_ns": self.compiling.getpid_ns},
            "bounds": bounds,
        })
    }
}

impl Line {
    fn json(&self) -> Value {
        json!({
            "call": self.call.name(),
            "row": self.row.name(),
            "ns": self.ns,
            "chunks": self.chunks,
            "to_native": self.to_native,
            "floor": self.floor.as_ref().map(|floor| floor.row.name()),
            "to_floor": self.floor.as_ref().map(|floor| floor.ratio),
            "to_floor_generations": self.floor.as_ref().map(|floor| [floor.spread.0, floor.spread.1]),
        })
    }
}

/// One object per row.
fn timing_json(timing: &Timing) -> Vec<Value> {
    let json = |line: timing::Line<'_>| {
        let to_native = line.to_native.as_ref();
        json!({"work": timing.work.name(), "row": line.way.name(), "times": line.times,
            "ms": line.ms, "to_native": to_native.map(|to| to.ratio),
            "above_native_ms": to_native.map(|to| to.above_ms)})
    };
    timing.lines().into_iter().map(json).collect()
}

fn per_call(chunks: &[u32]) -> f64 {
    let values: Vec<f64> = chunks.iter().map(|&ns| f64::from(ns)).collect();
    lower_quartile(&values) / f64::from(CALLS_PER_CHUNK)
}

fn to_floor(samples: &Samples, floor: &Samples) -> ToFloor {
    let ratios = samples
        .generations
        .iter()
        .zip(&floor.generations)
        .map(|(own, floor)| per_call(own) / per_call(floor));
    let spread = ratios.fold((f64::INFINITY, 0.0), |(low, high), ratio| {
        (f64::min(low, ratio), f64::max(high, ratio))
    });
    let ratio = per_call(&samples.generations.concat()) / per_call(&floor.generations.concat());
    ToFloor { row: floor.row, ratio, spread }
}

fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let models: Vec<&str> = cpuinfo
        .lines()
        .filter_map(|line| {
            Some(line.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']))
        })
        .collect();
    json!({
        "cpu": models.first(),
        "cpus": models.len(),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load": read("/proc/loadavg").split_whitespace().next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Work;
    use crate::way::Way;
    use std::path::PathBuf;

    /// A report in which every chunk of a row takes the same time.
    fn report(native_ns: u32, filter_ns: u32, strict_ns: u32) -> Report {
        let samples = |row, ns: u32| Samples {
            row,
            call: Call::Getpid,
            generations: vec![vec![ns * CALLS_PER_CHUNK; 8]; 2],
        };
        Report {
            cpu: 0,
            plan: Plan { generations: 2, rounds: 2 },
            calls: vec![
                samples(Row::Native, native_ns),
                samples(Row::AddressFilter, filter_ns),
                samples(Row::Strict, strict_ns),
            ],
            timings: vec![startup(1.5)],
            plans: Some(true),
            memory: (Memory::default(), Some(Memory { peak_rss: 1000.0, ..Memory::default() })),
            filters: Vec::new(),
            compiling: Compiling { load: 1.0, getpid_ns: 100.0, ..Compiling::default() },
        }
    }

    fn startup(preloaded_ms: f64) -> Timing {
        let preloaded = Way::Preloaded(PathBuf::new());
        let rows = vec![(Way::Native, vec![0.5]), (preloaded, vec![preloaded_ms])];
        Timing { work: Work::Startup, rows }
    }

    #[test]
    fn a_row_is_judged_by_its_floor_and_not_by_native() {
        let report = report(100, 200, 205);
        let lines = report.lines();
        let strict = lines.iter().find(|line| line.row == Row::Strict).expect("it was measured");
        assert_eq!((strict.ns, strict.to_native), (205.0, 2.05));
        let floor = strict.floor.as_ref().expect("strict has a floor");
        assert_eq!((floor.row, floor.ratio), (Row::AddressFilter, 1.025));
        assert!(report.bounds().iter().all(Bound::holds));
    }

    #[test]
    fn a_ratio_above_its_bound_is_named_in_table_and_json() {
        let report = report(100, 200, 207);
        assert!(!report.bounds().iter().all(Bound::holds));
        assert!(report.table().contains("getpid strict / address-filter = 1.035 <= 1.03 EXCEEDED"));
        assert_eq!(report.json()["bounds"][0]["holds"], json!(false));
    }

    #[test]
    fn start_up_and_memory_are_bounded_as_differences() {
        let mut report = report(100, 200, 200);
        report.timings = vec![startup(2.1)];
        report.memory.1 = Some(Memory { peak_rss: 1537.0, ..Memory::default() });
        let failed: Vec<_> = report.bounds().into_iter().filter(|bound| !bound.holds()).collect();
        assert_eq!(failed.len(), 2);
    }

    #[test]
    fn filters_are_compared_with_none_with_the_address_and_ours_with_the_smallest() {
        let mut report = report(100, 200, 200);
        let row = |maker, rules, index, ns: u32| filter::Row {
            maker,
            rules,
            len: 9,
            index,
            chunks: vec![ns * CALLS_PER_CHUNK; 4],
        };
        report.filters = vec![
            row(Maker::Nobody, 0, 0, 100),
            row(Maker::Address, 0, 0, 200),
            row(Maker::Ours, 1, 0, 250),
            row(Maker::Ours, 380, 0, 300),
            row(Maker::Ours, 380, 799, 5000),
        ];
        let line = "ours                  380        9   last    5000.0   50.000   25.000\n";
        assert!(report.table().contains(line), "{}", report.table());
        let growth = report.growth().expect("both were measured");
        assert!((growth.value, growth.holds()) == (20.0, false));
        assert_eq!(report.json()["filters"][4]["to_address_filter"], json!(25.0));
    }

    #[test]
    fn a_time_is_compared_with_the_native_one_in_table_and_json() {
        let mut report = report(100, 200, 200);
        assert!(report.table().contains("preloaded                1.50     3.00     +1.00  1\n"));
        assert_eq!(report.json()["timings"][1]["above_native_ms"], json!(1.0));
        assert!(!report.table().contains("ia2-plans"));
        report.plans = Some(false);
        assert!(report.table().contains("no ia2-plans beside the library"));
    }
}
