//! When replies arrived, and who says so: the kernel, which stamps what reaches a socket, or else the moment of reading.

use std::fmt;
use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When what one read brought had reached the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// Its last segment did at this time, in ns of the run's clock, by the kernel's stamp.
    Stamped(u64),
    /// The kernel did not say; the time of reading stands in.
    Unstamped,
    /// The kernel did say, but its clock was stepped, or the stamp cannot be true; the time of reading stands in.
    Dropped,
}

/// Verified replies of the measured phase, by what says when they arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arrivals {
    /// By the kernel's stamp.
    pub stamped: u64,
    /// Those of them that share their stamp with a later reply, or the beginning of one, that the same read brought: they
    /// arrived at that time or before, so that their latency is an upper bound.
    pub shared: u64,
    /// By the time of reading, since there was no stamp.
    pub unstamped: u64,
    /// By the time of reading, since the stamp was not to be trusted.
    pub dropped: u64,
}

/// Where latencies end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndsAt {
    /// Where the kernel received the reply.
    Kernel,
    /// Where the generator read it.
    Read,
}

/// As in JSON.
impl fmt::Display for EndsAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Read => "read",
        })
    }
}

impl Arrivals {
    /// Replies that arrived at the time that is recorded or, by an unknown time, before.
    pub fn unsure(&self) -> u64 {
        self.shared + self.unstamped + self.dropped
    }

    /// Where the latencies of these replies end: at the kernel's stamps unless the time of reading stood in for as many
    /// replies or more.
    pub fn ends_at(&self) -> EndsAt {
        if self.stamped > self.unstamped + self.dropped { EndsAt::Kernel } else { EndsAt::Read }
    }
}

impl AddAssign for Arrivals {
    fn add_assign(&mut self, part: Self) {
        self.stamped += part.stamped;
        self.shared += part.shared;
        self.unstamped += part.unstamped;
        self.dropped += part.dropped;
    }
}

/// The arrivals of one read, entered reply by reply.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    arrived: Arrived,
    /// Whether a reply of this read has been counted as stamped.
    counted: bool,
}

impl Reading {
    /// A read of which no reply has been told yet.
    #[inline]
    pub fn new(arrived: Arrived) -> Self {
        Self { arrived, counted: false }
    }

    /// When it reached the socket, as far as that is known; `read` is when it was read.
    pub fn at(&self, read: u64) -> u64 {
        match self.arrived {
            Arrived::Stamped(at) => at.min(read),
            Arrived::Unstamped | Arrived::Dropped => read,
        }
    }

    /// Counts `count` replies that this read brought, to messages sent at `sent`; returns when they arrived. `read` is when
    /// they were read.
    #[inline]
    pub fn take(&mut self, arrivals: &mut Arrivals, count: u64, sent: u64, read: u64) -> u64 {
        match self.arrived {
            Arrived::Stamped(at) if at.saturating_add(TOLERANCE_NS) >= sent => {
                arrivals.stamped += count;
                arrivals.shared += count - u64::from(!self.counted);
                self.counted = true;
                at.max(sent)
            }
            Arrived::Unstamped => {
                arrivals.unstamped += count;
                read
            }
            Arrived::Stamped(_) | Arrived::Dropped => {
                arrivals.dropped += count;
                read
            }
        }
    }

    /// The beginning of another reply came with the last of them.
    #[inline]
    pub fn continues(&mut self, arrivals: &mut Arrivals) {
        arrivals.shared += u64::from(std::mem::take(&mut self.counted));
    }
}

/// How far a stamp may lie before its message was sent, or after its reply was read, in ns: twice what its conversion to the
/// run's clock may err by (see `measure::wall`). Within it the stamp is moved to that time; beyond it is dropped.
pub const TOLERANCE_NS: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_one_read_share_the_stamp_of_the_last() {
        let mut arrivals = Arrivals::default();
        let mut reading = Reading::new(Arrived::Stamped(500));
        assert_eq!(reading.take(&mut arrivals, 3, 100, 900), 500);
        assert_eq!(reading.take(&mut arrivals, 1, 200, 900), 500);
        assert_eq!(arrivals, Arrivals { stamped: 4, shared: 3, ..Arrivals::default() });
        reading.continues(&mut arrivals);
        assert_eq!(arrivals.shared, 4, "the last one shares it with the reply that has begun");
        let mut next = Reading::new(Arrived::Stamped(1_000));
        next.continues(&mut arrivals);
        next.take(&mut arrivals, 1, 300, 1_100);
        assert_eq!(arrivals, Arrivals { stamped: 5, shared: 4, ..Arrivals::default() });
    }

    #[test]
    fn a_reply_does_not_arrive_before_its_message_is_sent() {
        let mut arrivals = Arrivals::default();
        let mut reading = Reading::new(Arrived::Stamped(10_000));
        assert_eq!(reading.take(&mut arrivals, 1, 10_000 + TOLERANCE_NS, 50_000), 10_000 + TOLERANCE_NS);
        assert_eq!(reading.take(&mut arrivals, 1, 10_001 + TOLERANCE_NS, 50_000), 50_000);
        assert_eq!(arrivals, Arrivals { stamped: 1, dropped: 1, ..Arrivals::default() });
    }

    #[test]
    fn the_time_of_reading_stands_in() {
        let mut arrivals = Arrivals::default();
        assert_eq!(Reading::new(Arrived::Unstamped).take(&mut arrivals, 2, 100, 900), 900);
        assert_eq!(Reading::new(Arrived::Dropped).take(&mut arrivals, 1, 100, 900), 900);
        assert_eq!(arrivals, Arrivals { unstamped: 2, dropped: 1, ..Arrivals::default() });
        assert_eq!(arrivals.ends_at(), EndsAt::Read);
        arrivals += Arrivals { stamped: 4, ..Arrivals::default() };
        assert_eq!(arrivals.ends_at(), EndsAt::Kernel);
        assert_eq!(Arrivals::default().ends_at(), EndsAt::Read);
    }
}
