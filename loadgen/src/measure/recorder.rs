//! What one worker writes while it measures: the times and the counts of one interval, handed over whole when the
//! interval ends. Nothing here is shared, locked or allocated between two hand-overs.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::measure::arrivals::Arrivals;
use crate::measure::times::{Moments, Times};
use crate::plan::messages::Volume;

/// Messages of the measured phase, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// Sent whole.
    pub sent: u64,
    /// Replies received for them, verified or not.
    pub received: u64,
    /// Replies that were what had been sent: length, content, opcode and order.
    pub verified: u64,
    /// Replies that were not what had been sent: a wrong message came, and no right one after it.
    pub corrupted: u64,
    /// Replies to a later message than the one whose turn it was.
    pub reordered: u64,
    /// Messages due that never got a reply.
    pub lost: u64,
    /// Messages that came in addition to the replies.
    pub unexpected: u64,
}

impl Messages {
    /// Those that brought no right reply, and replies that nothing had asked for.
    pub fn wrong(&self) -> u64 {
        let Self { lost, corrupted, reordered, unexpected, .. } = self;
        lost + corrupted + reordered + unexpected
    }
}

impl AddAssign for Messages {
    fn add_assign(&mut self, part: Self) {
        self.sent += part.sent;
        self.received += part.received;
        self.verified += part.verified;
        self.corrupted += part.corrupted;
        self.reordered += part.reordered;
        self.lost += part.lost;
        self.unexpected += part.unexpected;
    }
}

/// What went over the wire in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages sent whole.
    pub sent: Volume,
    /// Replies received whole.
    pub received: Volume,
}

/// Replies of the measured phase that were checked in another way than by comparing them as they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checks {
    /// Inflated and compared.
    pub inflated: u64,
    /// Compared with a compressed reply that had been inflated and compared.
    pub identical: u64,
    /// By their length alone.
    pub length: u64,
    /// Compressed, by their frame alone.
    pub frame: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, part: Self) {
        self.sent += part.sent;
        self.received += part.received;
    }
}

impl AddAssign for Checks {
    fn add_assign(&mut self, part: Self) {
        self.inflated += part.inflated;
        self.identical += part.identical;
        self.length += part.length;
        self.frame += part.frame;
    }
}

/// What one worker counted in one interval, beside times: what limits are held against while the run goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Replies that were what had been sent.
    pub verified: u64,
    /// [`Messages::wrong`].
    pub wrong: u64,
    /// Messages that the backlog's bound refused.
    pub refused: u64,
    /// Connections lost.
    pub dropped: u64,
    /// Bytes received within the measured phase.
    pub bytes: u64,
}

impl Counts {
    /// What came after `before`, an earlier state of the same counts.
    pub fn since(self, before: Self) -> Self {
        Self {
            verified: self.verified - before.verified,
            wrong: self.wrong - before.wrong,
            refused: self.refused - before.refused,
            dropped: self.dropped - before.dropped,
            bytes: self.bytes - before.bytes,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, part: Self) {
        self.verified += part.verified;
        self.wrong += part.wrong;
        self.refused += part.refused;
        self.dropped += part.dropped;
        self.bytes += part.bytes;
    }
}

/// A tenth of an interval, for judging whether the run was steady.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    /// Replies received in it.
    pub messages: u64,
    /// The sum of their latencies in nanoseconds.
    pub latency_ns: u64,
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
    pub counts: Counts,
}

impl Interval {
    /// An empty interval.
    pub fn new(index: u64) -> Self {
        Self {
            index,
            times: Times::new(),
            arrivals: Arrivals::default(),
            slices: [Slice::default(); SLICES],
            counts: Counts::default(),
        }
    }

    /// Empties it for use as interval `index`.
    pub fn reset(&mut self, index: u64) {
        self.index = index;
        self.times.reset();
        self.arrivals = Arrivals::default();
        self.slices = [Slice::default(); SLICES];
        self.counts = Counts::default();
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
