//! Merges what the workers record, interval by interval, into totals. Histograms are added bucket for bucket, so the
//! total is what one histogram of everything would have been.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::measure::arrivals::Arrivals;
use crate::measure::encoded::Encoded;
use crate::measure::histogram::{add, histogram};
use crate::measure::measured::{IntervalLatency, Measured};
use crate::measure::recorder::{INTERVAL_NS, Interval, SLICES, Slice};
use crate::measure::tally::Tally;
use crate::measure::times::Times;

use crate::host::resources::Sampler;
use crate::measure::so_far::{Passed, SoFar};

/// The totals of a run, in the making.
#[derive(Debug)]
pub struct Collector {
    times: Times,
    arrivals: Arrivals,
    tally: Tally,
    by_interval: BTreeMap<u64, Merged>,
}

/// What came of opening the connections, which is known before the load begins.
#[derive(Debug)]
pub struct Opened {
    /// How long each took, ns.
    pub connect: Histogram<u64>,
    /// Connections that could not be opened.
    pub failed: u64,
}

/// What the workers saw in one interval, taken together.
#[derive(Debug)]
struct Merged {
    latency: Latency,
    slices: [Slice; SLICES],
}

#[derive(Debug)]
enum Latency {
    /// Workers are still to come.
    Open(Histogram<u64>),
    /// They should all have come: a kilobyte or two instead of up to 270.
    Packed(Encoded),
}

impl Collector {
    /// Nothing collected.
    pub fn new() -> Self {
        let (times, arrivals, tally) = (Times::new(), Arrivals::default(), Tally::default());
        Self { times, arrivals, tally, by_interval: BTreeMap::new() }
    }

    /// Takes what a worker saw in one interval.
    pub fn take(&mut self, interval: &Interval) {
        self.times.add(&interval.times);
        self.arrivals += interval.arrivals;
        self.tally += interval.tally;
        let open = || Merged { latency: Latency::Open(histogram()), slices: Default::default() };
        let merged = self.by_interval.entry(interval.index).or_insert_with(open);
        match &mut merged.latency {
            Latency::Open(latency) => add(latency, &interval.times.latency),
            Latency::Packed(encoded) => {
                let mut latency = encoded.decode().expect("it was encoded here");
                add(&mut latency, &interval.times.latency);
                *encoded = Encoded::from(&latency);
            }
        }
        for (sum, slice) in merged.slices.iter_mut().zip(interval.slices) {
            *sum += slice;
        }
        for merged in
            self.by_interval.range_mut(..interval.index.saturating_sub(OPEN - 1)).rev().map(|(_, merged)| merged)
        {
            let Latency::Open(latency) = &merged.latency else { break };
            merged.latency = Latency::Packed(Encoded::from(latency));
        }
    }

    /// What was collected of the measured phase, as far as it has passed.
    pub fn so_far<'a>(&'a self, opened: &'a Opened, passed: Passed<'_>, offered_rate: Option<f64>) -> SoFar<'a> {
        let mut tally = self.tally;
        tally.errors.failed += opened.failed;
        SoFar {
            times: &self.times,
            connect: &opened.connect,
            replies: passed.replies,
            seconds: passed.elapsed.as_secs_f64(),
            offered_rate,
            tally,
            loadgen: passed.loadgen.so_far(),
            server: passed.server.and_then(Sampler::so_far),
        }
    }

    /// Writes the totals into `measured`, whose window is known: the histograms, and the latencies by
    /// interval and by slice.
    pub fn finish(mut self, measured: &mut Measured) {
        let window = measured.window;
        let nothing = Encoded::from(&histogram());
        // Where the last connection is lost, the intervals from then on are not handed over: nothing came in them.
        let count = window.as_nanos().div_ceil(u128::from(INTERVAL_NS)) as u64;
        for index in 0..count {
            let empty = || Merged { latency: Latency::Packed(nothing.clone()), slices: Default::default() };
            self.by_interval.entry(index).or_insert_with(empty);
        }
        measured.slices = self.by_interval.values().flat_map(|merged| merged.slices).collect();
        for (index, merged) in self.by_interval {
            let latency = match merged.latency {
                Latency::Open(latency) => Encoded::from(&latency),
                Latency::Packed(encoded) => encoded,
            };
            let start = Duration::from_nanos(index * INTERVAL_NS);
            let length = Duration::from_nanos(INTERVAL_NS).min(window.saturating_sub(start));
            measured.intervals.push(IntervalLatency { start, length, latency });
        }
        measured.times = self.times;
        measured.arrivals = self.arrivals;
    }
}

/// Intervals that are kept open: the workers hand over the same one at about the same time.
const OPEN: u64 = 2;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::host::resources::Usage;
    use crate::measure::counts::Connections;
    use crate::measure::times::Moments;

    #[test]
    fn intervals_of_two_workers_add_up() {
        let mut collector = Collector::new();
        for (index, latency) in [(0, 10), (1, 30), (2, 30), (0, 20)] {
            let mut interval = Interval::new(index);
            interval.arrivals = Arrivals { stamped: index, shared: 1, ..Arrivals::default() };
            interval.record(9, Moments { due: 100, sent: 101, arrived: 100 + latency, read: 190 }, 2);
            collector.take(&interval);
        }
        assert!(matches!(collector.by_interval[&0].latency, Latency::Packed(_)), "and takes what comes late");
        assert!(matches!(collector.by_interval[&2].latency, Latency::Open(_)));
        let window = Duration::from_millis(2990);
        let mut measured = Measured::new(SystemTime::UNIX_EPOCH, window, Connections::default(), Usage::default());
        collector.finish(&mut measured);
        assert_eq!((measured.times.latency.len(), measured.times.latency.max()), (8, 30));
        assert_eq!(measured.arrivals, Arrivals { stamped: 3, shared: 4, ..Arrivals::default() });
        let counts: Vec<_> =
            measured.intervals.iter().map(|i| (i.start.as_secs(), i.latency.decode().unwrap().len())).collect();
        assert_eq!(counts, [(0, 4), (1, 2), (2, 2)]);
        assert_eq!(measured.intervals[2].length, Duration::from_millis(990));
        assert_eq!(measured.whole_slices().len(), 29);
        assert_eq!(measured.slices[9], Slice { messages: 4, latency_ns: 60 });
    }

    #[test]
    fn intervals_that_nobody_handed_over_are_empty() {
        let mut collector = Collector::new();
        let mut interval = Interval::new(0);
        interval.record(0, Moments { due: 100, sent: 101, arrived: 110, read: 110 }, 2);
        collector.take(&interval);
        let window = Duration::from_millis(2500);
        let mut measured = Measured::new(SystemTime::UNIX_EPOCH, window, Connections::default(), Usage::default());
        collector.finish(&mut measured);
        let intervals: Vec<_> =
            measured.intervals.iter().map(|i| (i.start.as_secs(), i.latency.decode().unwrap().len())).collect();
        assert_eq!(intervals, [(0, 2), (1, 0), (2, 0)]);
        assert_eq!(measured.intervals[2].length, Duration::from_millis(500));
        assert_eq!(measured.whole_slices().len(), 25);
    }
}
