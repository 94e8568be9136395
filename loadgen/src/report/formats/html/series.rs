//! A run over time, in so many steps as a chart can show: neighbouring intervals are added up, histogram by histogram, so
//! that the percentiles of a step are those of its messages.

use hdrhistogram::Histogram;

use crate::measure::encoded::DecodeError;
use crate::measure::histogram::add;
use crate::measure::histogram::histogram;
use crate::report::{IntervalReport, Report};

/// A step of a run.
#[derive(Debug)]
pub(super) struct Step {
    /// Its beginning, s from the beginning of the measured phase.
    pub start: f64,
    /// Its end.
    pub end: f64,
    /// The latencies of the replies that came in it, ns.
    pub latency: Histogram<u64>,
}

/// The run in steps, at most [`MOST`].
///
/// # Errors
/// When a histogram cannot be read.
pub(super) fn steps(report: &Report) -> Result<Vec<Step>, DecodeError> {
    // Replies that came after the end belong to no time that was measured.
    let measured: Vec<&IntervalReport> =
        report.intervals.iter().filter(|interval| !interval.length.is_zero()).collect();
    let together = measured.len().div_ceil(MOST).max(1);
    let mut steps: Vec<Step> = Vec::new();
    for intervals in measured.chunks(together) {
        let (first, last) = (intervals[0], intervals[intervals.len() - 1]);
        let (start, end) = (first.start.as_secs_f64(), last.start.saturating_add(last.length).as_secs_f64());
        let mut latency = histogram();
        for interval in intervals {
            add(&mut latency, &interval.histogram.decode()?);
        }
        match steps.last_mut() {
            // The end of a run is rarely that of an interval, and a rate of a few milliseconds is mostly chance.
            Some(before) if end - start < (before.end - before.start) / 2.0 => {
                before.end = end;
                add(&mut before.latency, &latency);
            }
            _ => steps.push(Step { start, end, latency }),
        }
    }
    Ok(steps)
}

impl Step {
    /// Replies per second.
    pub(super) fn rate(&self) -> f64 {
        self.latency.len() as f64 / (self.end - self.start)
    }
}

/// The value of each step as a line with a level for each.
pub(super) fn levels<'a>(steps: impl IntoIterator<Item = &'a Step>, of: impl Fn(&Step) -> f64) -> Vec<(f64, f64)> {
    let level = |step: &Step| {
        let value = of(step);
        [(step.start, value), (step.end, value)]
    };
    steps.into_iter().flat_map(level).collect()
}

/// Three pixels each on a wide chart.
const MOST: usize = 300;
