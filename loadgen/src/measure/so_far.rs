//! What a run that still goes on has measured so far, and the values of its metrics until then.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::host::resources::{Sampler, Usage};
use crate::measure::metric::{Distribution, Metric, Statistic, range};
use crate::measure::tally::Tally;
use crate::measure::times::Times;

/// How much of a measured phase has passed.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// Since its beginning.
    pub elapsed: Duration,
    /// Replies that came in that time.
    pub replies: u64,
    /// What this process uses.
    pub loadgen: &'a Sampler,
    /// What the server's processes use, where they are known.
    pub server: Option<&'a Sampler>,
}

/// What a run that still goes on has measured so far.
#[derive(Debug, Clone, Copy)]
pub struct SoFar<'a> {
    /// The times of the messages.
    pub times: &'a Times,
    /// From the start of connecting to the end of the handshake, ns.
    pub connect: &'a Histogram<u64>,
    /// Replies that came within the measured phase.
    pub replies: u64,
    /// Seconds of it that have passed.
    pub seconds: f64,
    /// Messages per second that the plan asks for; open loop only.
    pub offered_rate: Option<f64>,
    /// What was counted.
    pub tally: Tally,
    /// What the generator has used of the machine.
    pub loadgen: Option<Usage>,
    /// What the server has, where it runs on this machine.
    pub server: Option<Usage>,
}

impl<'a> SoFar<'a> {
    /// The value of a metric; `None` where there is none yet. What is still on its way when the run
    /// ends is lost then, and no error before.
    pub fn value(self, metric: Metric) -> Option<f64> {
        let Self { tally, replies, seconds, .. } = self;
        let per_second = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
        let cpu = |usage: Usage| (replies > 0).then(|| usage.cpu.as_nanos() as f64 / replies as f64);
        match metric {
            Metric::Time(distribution, statistic) => statistic.of_histogram(self.distribution(distribution)),
            Metric::Throughput => per_second(replies),
            Metric::ByteRate => per_second(tally.bytes),
            Metric::Achieved => Some(per_second(replies)? / self.offered_rate?),
            Metric::ServerCpu => self.server.and_then(cpu),
            Metric::ServerMemory => self.server.map(|usage| usage.max_rss_bytes as f64),
            Metric::ConnectionMemory | Metric::WireBytes | Metric::WireRatio | Metric::Capacity => None,
            Metric::LoadgenCpu => self.loadgen.and_then(cpu),
            Metric::LoadgenMemory => self.loadgen.map(|usage| usage.max_rss_bytes as f64),
            Metric::Errors => Some(tally.errors.all() as f64),
            Metric::ErrorRate => tally.errors.rate(tally.verified),
            Metric::Datagrams(fate) => {
                tally.datagrams.share(fate.of(tally.datagrams), tally.verified + tally.errors.of_messages())
            }
        }
    }

    /// The least and the most that a percentile can be of which there are too few values.
    pub fn bounds(self, metric: Metric) -> Option<(f64, f64)> {
        match metric {
            Metric::Time(distribution, Statistic::Percentile(_)) => range(self.distribution(distribution)),
            _ => None,
        }
    }

    fn distribution(self, distribution: Distribution) -> &'a Histogram<u64> {
        self.times.of(distribution).unwrap_or(self.connect)
    }
}
