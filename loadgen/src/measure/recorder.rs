//! What one worker writes while it measures: the times and the counts of one interval, handed over whole when the
//! interval ends. Nothing here is shared, locked or allocated between two hand-overs.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::measure::arrivals::Arrivals;
use crate::measure::tally::Tally;
use crate::measure::times::{Moments, Times};

/// A tenth of an interval, for judging whether the run was steady.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Replies received in it.
    pub messages: u64,
    /// The sum of their latencies in nanoseconds.
    pub latency_ns: u64,
}

impl AddAssign for Slice {
    fn add_assign(&mut self, part: Self) {
        self.messages += part.messages;
        self.latency_ns += part.latency_ns;
    }
}

/// What one worker saw in one interval.
#[derive(Debug, Clone)]
pub struct Interval {
    /// The interval's number since the measured phase began.
    pub index: u64,
    /// The times of the messages whose reply was read in it.
    pub times: Times,
    /// What says when those replies arrived.
    pub arrivals: Arrivals,
    /// The interval in tenths.
    pub slices: [Slice; SLICES],
    /// What was counted until it was handed over, since the one before was.
    pub tally: Tally,
}

impl Interval {
    /// An empty interval.
    pub fn new(index: u64) -> Self {
        Self {
            index,
            times: Times::new(),
            arrivals: Arrivals::default(),
            slices: [Slice::default(); SLICES],
            tally: Tally::default(),
        }
    }

    /// Empties it for use as interval `index`.
    pub fn reset(&mut self, index: u64) {
        self.index = index;
        self.times.reset();
        self.arrivals = Arrivals::default();
        self.slices = [Slice::default(); SLICES];
        self.tally = Tally::default();
    }

    /// Records `count` messages of the same moments, whose replies were read in the tenth `slice` of the interval.
    #[inline]
    pub fn record(&mut self, slice: usize, moments: Moments, count: u64) {
        self.times.record(moments, count);
        let slice = &mut self.slices[slice.min(SLICES - 1)];
        slice.messages += count;
        slice.latency_ns += moments.arrived.saturating_sub(moments.due) * count;
    }
}

/// The length of an interval in ns: the interval logs of HdrHistogram's tools count in seconds.
pub const INTERVAL_NS: u64 = 1_000_000_000;

/// Slices of an interval: thirds of the shortest useful run still hold enough of them to have a spread.
pub const SLICES: usize = 10;
