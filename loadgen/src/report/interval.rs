//! One interval of a run as its report has it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::measure::encoded::Encoded;
use crate::measure::measured::IntervalLatency;
use crate::measure::percentile;
use crate::serde_time::Seconds;

/// One interval of the measured phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalReport {
    /// Its beginning, in seconds from the beginning of the measured phase.
    #[serde(with = "Seconds")]
    pub start: Duration,
    /// Its length in seconds.
    #[serde(with = "Seconds")]
    pub length: Duration,
    /// Replies that came in it.
    pub messages: u64,
    /// Their median latency, ns; null of fewer than 2.
    pub p50: Option<u64>,
    /// The 99th percentile, ns; null of fewer than 100.
    pub p99: Option<u64>,
    /// The highest, ns; null of none.
    pub max: Option<u64>,
    /// All of it.
    pub histogram: Encoded,
}

impl From<&IntervalLatency> for IntervalReport {
    fn from(interval: &IntervalLatency) -> Self {
        let latency = interval.latency.decode().expect("what was encoded here can be decoded");
        Self {
            start: interval.start,
            length: interval.length,
            messages: latency.len(),
            p50: percentile::of(&latency, 50.0),
            p99: percentile::of(&latency, 99.0),
            max: percentile::of(&latency, 100.0),
            histogram: interval.latency.clone(),
        }
    }
}

impl IntervalReport {
    /// Leaves out what an earlier version saved of too few replies.
    fn of_saved(mut self) -> Self {
        for (value, rank) in [(&mut self.p50, 50.0), (&mut self.p99, 99.0), (&mut self.max, 100.0)] {
            *value = value.filter(|_| self.messages >= percentile::needed(rank));
        }
        self
    }
}

/// The intervals of a saved report.
pub(super) fn intervals<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IntervalReport>, D::Error> {
    Ok(Vec::deserialize(from)?.into_iter().map(IntervalReport::of_saved).collect())
}
