//! The run's clock: nanoseconds since one instant that all workers share.

use std::time::{Duration, Instant};

/// Counts nanoseconds from the start of a run. Times before it read as 0.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that stands at 0 at `start`.
    pub fn starting_at(start: Instant) -> Self {
        Self { start }
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn now(self) -> u64 {
        nanoseconds(self.start.elapsed())
    }

    /// The instant at `ns` nanoseconds since the start.
    pub fn instant(self, ns: u64) -> Instant {
        self.start + Duration::from_nanos(ns)
    }
}

/// A duration in nanoseconds; 584 years and more read as that.
#[inline]
pub fn nanoseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}
