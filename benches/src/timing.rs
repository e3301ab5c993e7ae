//! The times of one piece of work, done in several ways in turn.

use crate::stats::lower_quartile;
use crate::way::Way;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Start-up of `/bin/true`.
    Startup,
    /// fork, exec and wait of `/bin/true`, in a program that was started the way of the row.
    Inside,
    /// A shell that starts `/bin/true` many times.
    Shell,
}

impl Work {
    /// Name in the table and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Startup => "start-up of /bin/true",
            Self::Inside => "exec of /bin/true inside",
            Self::Shell => "sh, 500 times /bin/true",
        }
    }

    /// Milliseconds that it may take more than natively.
    fn bound(self, way: &Way) -> Option<f64> {
        match (self, way) {
            (Self::Startup, Way::Preloaded(_)) => Some(1.5),
            (Self::Startup, Way::Run(_)) => Some(4.0),
            (Self::Inside, Way::Run(_)) => Some(2.0),
            _ => None,
        }
    }
}

/// Milliseconds of one work, one list per way.
pub(crate) struct Timing {
    pub(crate) work: Work,
    /// The first is the native one.
    pub(crate) rows: Vec<(Way, Vec<f64>)>,
}

/// One row, reduced.
pub(crate) struct Line<'a> {
    pub(crate) way: &'a Way,
    /// How many times there are.
    pub(crate) times: usize,
    /// Their lower quartile.
    pub(crate) ms: f64,
    /// Against the native row; `None` in that row itself.
    pub(crate) to_native: Option<ToNative>,
}

pub(crate) struct ToNative {
    pub(crate) ratio: f64,
    pub(crate) above_ms: f64,
    pub(crate) bound_ms: Option<f64>,
}

impl Timing {
    /// Does `work` by `once` in each way, `turns` times, in the opposite order every other time.
    pub(crate) fn measure(
        work: Work,
        ways: &[Way],
        turns: usize,
        mut once: impl FnMut(&Way) -> Result<Vec<f64>, String>,
    ) -> Result<Self, String> {
        let mut rows: Vec<_> = ways.iter().map(|way| (way.clone(), Vec::new())).collect();
        for turn in 0..turns {
            let mut order: Vec<_> = rows.iter_mut().collect();
            if turn % 2 == 1 {
                order.reverse();
            }
            for (way, times) in order {
                times.extend(once(way)?);
            }
        }
        Ok(Self { work, rows })
    }

    /// All rows, reduced.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let native = self.rows.first().map_or(0.0, |(_, times)| lower_quartile(times));
        let mut lines = Vec::new();
        for (way, times) in &self.rows {
            let ms = lower_quartile(times);
            let to_native = (*way != Way::Native).then(|| ToNative {
                ratio: ms / native,
                above_ms: ms - native,
                bound_ms: self.work.bound(way),
            });
            lines.push(Line { way, times: times.len(), ms, to_native });
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn ways_take_turns_in_both_orders() {
        let ways = [Way::Native, Way::Run(PathBuf::new())];
        let mut order = Vec::new();
        let timing = Timing::measure(Work::Startup, &ways, 2, |way| {
            order.push(way.name());
            Ok(vec![order.len() as f64])
        });
        let timing = timing.expect("the work never fails");
        assert_eq!(order, ["native", "ia2 run", "ia2 run", "native"]);
        let times: Vec<_> = timing.rows.iter().map(|(_, times)| times.clone()).collect();
        assert_eq!(times, [[1.0, 4.0], [2.0, 3.0]]);
    }

    #[test]
    fn a_row_is_compared_with_the_native_one() {
        let rows = vec![(Way::Native, vec![2.0]), (Way::Run(PathBuf::new()), vec![5.0])];
        let timing = Timing { work: Work::Inside, rows };
        let lines = timing.lines();
        assert!(lines[0].to_native.is_none());
        let run = lines[1].to_native.as_ref().expect("it is not the native row");
        assert_eq!((run.ratio, run.above_ms, run.bound_ms), (2.5, 3.0, Some(2.0)));
    }
}
