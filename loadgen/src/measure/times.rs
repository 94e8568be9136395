//! The times of messages: the four moments of each, and the distributions of what lies between them.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::measure::encoded::as_text;
use crate::measure::histogram::{HIGHEST_NS, histogram};
use crate::measure::metric::Distribution;

/// The four moments of a message, in ns of the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// When it was intended to be sent.
    pub due: u64,
    /// When its first byte was handed to the kernel.
    pub sent: u64,
    /// When its reply reached the generator's socket, as far as the kernel says; else when it was read.
    pub arrived: u64,
    /// When its reply was read.
    pub read: u64,
}

/// What lies between the moments of the messages, ns: all of one shape, so that any two add up exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// From due to arrived.
    #[serde(with = "as_text")]
    pub latency: Histogram<u64>,
    /// From sent to arrived.
    #[serde(with = "as_text")]
    pub service_time: Histogram<u64>,
    /// From due to sent: the generator's lateness before the message.
    #[serde(with = "as_text")]
    pub send_lag: Histogram<u64>,
    /// From arrived to read: the generator's lateness after the reply.
    #[serde(with = "as_text")]
    pub read_lag: Histogram<u64>,
    /// From due to read: what an application as busy as the generator would see.
    #[serde(with = "as_text")]
    pub seen: Histogram<u64>,
    /// The latency that is certain at least, had the generator been on time (see
    /// [`Lateness`](crate::measure::lateness::Lateness)); of an open loop only.
    #[serde(with = "as_text")]
    pub least: Histogram<u64>,
    /// Messages seen later than [`HIGHEST_NS`], recorded as that.
    pub saturated: u64,
    /// The longest turn of a worker's loop, ns: it sleeps in it, sends what is due and reads what has come.
    pub longest_turn: u64,
    /// The longest send lag of a worker, ns, that of messages in the warm-up included; of an open loop only.
    #[serde(default)]
    pub longest_lag: u64,
}

impl Times {
    /// No messages.
    pub fn new() -> Self {
        Self {
            latency: histogram(),
            service_time: histogram(),
            send_lag: histogram(),
            read_lag: histogram(),
            seen: histogram(),
            least: histogram(),
            saturated: 0,
            longest_turn: 0,
            longest_lag: 0,
        }
    }

    /// Records `count` messages of the same moments.
    #[inline]
    pub fn record(&mut self, moments: Moments, count: u64) {
        let Moments { due, sent, arrived, read } = moments;
        let seen = read.saturating_sub(due);
        self.latency.saturating_record_n(arrived.saturating_sub(due), count);
        self.service_time.saturating_record_n(arrived.saturating_sub(sent), count);
        self.send_lag.saturating_record_n(sent.saturating_sub(due), count);
        self.read_lag.saturating_record_n(read.saturating_sub(arrived), count);
        self.seen.saturating_record_n(seen, count);
        if seen > HIGHEST_NS {
            self.saturated += count;
        }
    }

    /// The distribution of this name; `None` where it is none of messages.
    pub fn of(&self, distribution: Distribution) -> Option<&Histogram<u64>> {
        match distribution {
            Distribution::Latency => Some(&self.latency),
            Distribution::ServiceTime => Some(&self.service_time),
            Distribution::SendLag => Some(&self.send_lag),
            Distribution::ReadLag => Some(&self.read_lag),
            Distribution::Seen => Some(&self.seen),
            Distribution::Connect => None,
        }
    }

    /// Records that replies to `count` messages of the same moments came later by `late` ns at the most than an on-time
    /// generator would have seen them.
    #[inline]
    pub fn record_least(&mut self, moments: Moments, late: u64, count: u64) {
        let latency = moments.arrived.saturating_sub(moments.due);
        self.least.saturating_record_n(latency.saturating_sub(late), count);
    }

    /// Adds another part of the same run, bucket for bucket.
    pub fn add(&mut self, part: &Self) {
        for (total, part) in self.each_mut().into_iter().zip(part.each()) {
            if !part.is_empty() {
                total.add(part).expect("all histograms are of one shape");
            }
        }
        self.saturated += part.saturated;
        self.longest_turn = self.longest_turn.max(part.longest_turn);
        self.longest_lag = self.longest_lag.max(part.longest_lag);
    }

    /// Empties them, without giving their memory back.
    pub fn reset(&mut self) {
        // A closed loop has none of the last.
        self.each_mut().into_iter().filter(|histogram| !histogram.is_empty()).for_each(Histogram::reset);
        (self.saturated, self.longest_turn, self.longest_lag) = (0, 0, 0);
    }

    fn each(&self) -> [&Histogram<u64>; 6] {
        let Self { latency, service_time, send_lag, read_lag, seen, least, .. } = self;
        [latency, service_time, send_lag, read_lag, seen, least]
    }

    fn each_mut(&mut self) -> [&mut Histogram<u64>; 6] {
        let Self { latency, service_time, send_lag, read_lag, seen, least, .. } = self;
        [latency, service_time, send_lag, read_lag, seen, least]
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::metric::{Metric, Statistic};

    #[test]
    fn what_lies_between_the_moments_is_told_apart() {
        let mut times = Times::new();
        let moments = Moments { due: 100, sent: 110, arrived: 140, read: 200 };
        times.record(moments, 3);
        times.record_least(moments, 25, 3);
        (times.longest_turn, times.longest_lag) = (7, 9);
        let max = times.each().map(Histogram::max);
        assert_eq!(max, [40, 30, 10, 60, 100, 15]);
        let of = |name: &str| match name.parse() {
            Ok(Metric::Time(distribution, Statistic::Max)) => times.of(distribution).map(Histogram::max),
            other => panic!("{other:?}"),
        };
        let named = ["latency.max", "service_time.max", "send_lag.max", "read_lag.max", "seen.max"].map(of);
        assert_eq!(named[..], max[..5].iter().copied().map(Some).collect::<Vec<_>>()[..]);
        assert_eq!(of("connect.max"), None);
        let mut all = times.clone();
        all.add(&times);
        assert!(all.each().iter().all(|histogram| histogram.len() == 6));
        assert_eq!((all.longest_turn, all.longest_lag), (7, 9));
        times.record_least(moments, 41, 1);
        assert_eq!(times.least.min(), 0, "nothing is answered before it is due");
        all.reset();
        assert_eq!((all.longest_turn, all.longest_lag), (0, 0));
        assert!(all.each().iter().all(|histogram| histogram.is_empty()));
    }

    #[test]
    fn a_value_beyond_the_range_is_kept_and_counted() {
        let mut times = Times::new();
        times.record(Moments { due: 0, sent: 0, arrived: 1, read: HIGHEST_NS + 1 }, 2);
        assert_eq!((times.saturated, times.seen.len()), (2, 2));
        times.reset();
        assert_eq!((times.saturated, times.seen.len()), (0, 0));
    }
}
