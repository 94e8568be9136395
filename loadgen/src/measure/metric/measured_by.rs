//! Which metrics a trial, a start of a server and a run have: what `--gate` and `--threshold` may name.

use super::{Distribution, Metric};
use crate::plan::Load;

impl Metric {
    /// Whether each trial of `compare` and `sweep` has it. The generator's own times and costs are none of what they
    /// compare.
    pub fn is_of_trials(self) -> bool {
        match self {
            Self::Throughput | Self::ServerCpu | Self::WireBytes | Self::WireRatio | Self::Capacity => true,
            Self::Time(distribution, _) => distribution.is_of_replies(),
            _ => false,
        }
    }

    /// Whether each start of the servers in `compare` and `sweep` has it.
    pub fn is_of_starts(self) -> bool {
        matches!(self, Self::ServerMemory | Self::ConnectionMemory)
    }

    /// Whether `run` measures it.
    pub fn is_of_runs(self) -> bool {
        !matches!(self, Self::ConnectionMemory | Self::WireBytes | Self::WireRatio | Self::Capacity)
    }

    /// Whether it is known only where the server's process is.
    pub fn is_of_the_process(self) -> bool {
        matches!(self, Self::ServerCpu | Self::ServerMemory | Self::ConnectionMemory)
    }

    /// Whether trials under this load, or the starts that they belong to, have it. In a closed loop the throughput tells
    /// what the times of replies would.
    pub fn fits(self, load: &Load) -> bool {
        match self {
            Self::Throughput => matches!(load, Load::Closed { .. }),
            // Probes have a load of their own.
            Self::Capacity => false,
            Self::Time(..) => self.is_of_trials() && matches!(load, Load::Open { .. }),
            _ => self.is_of_trials() || self.is_of_starts(),
        }
    }

    /// Those that every trial under this load has, whichever are judged.
    pub fn of_trials(load: &Load) -> impl Iterator<Item = Self> {
        let times = TRIALS_RANKS.map(Self::latency);
        let all = [Self::Throughput].into_iter().chain(times).chain([Self::ServerCpu]);
        all.filter(|metric| metric.fits(load))
    }

    /// Those that tell what compression is worth, which every trial with compression has beside the others.
    pub const OF_COMPRESSION: [Self; 2] = [Self::WireBytes, Self::WireRatio];

    /// Those that are gated unless the user chooses others.
    pub fn gated_by_default(load: &Load) -> &'static [Self] {
        const OPEN: [Metric; 3] = [Metric::latency(50.0), Metric::latency(99.0), Metric::ServerCpu];
        match load {
            Load::Closed { .. } => &[Self::Throughput, Self::ServerCpu],
            Load::Open { .. } => &OPEN,
        }
    }
}

impl Distribution {
    /// Whether the server has a part in it, and each reply a value of it.
    fn is_of_replies(self) -> bool {
        matches!(self, Self::Latency | Self::ServiceTime | Self::Seen)
    }
}

/// Percentiles of the latency that every trial has: a trial of 100 ms is long enough for them at 1,000 messages/s.
const TRIALS_RANKS: [f64; 4] = [50.0, 90.0, 95.0, 99.0];

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::plan::{Arrival, Rate};

    #[test]
    fn a_load_has_its_own_metrics() {
        let closed = Load::Closed { in_flight: NonZeroU32::MIN };
        let open = Load::Open { rate: Rate::try_from(1.0).unwrap(), arrival: Arrival::Uniform };
        let names =
            |load: &Load| Metric::of_trials(load).map(|metric| metric.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(names(&closed), "throughput server.cpu");
        assert_eq!(names(&open), "latency.p50 latency.p90 latency.p95 latency.p99 server.cpu");
        for load in [&closed, &open] {
            let gated = Metric::gated_by_default(load);
            assert!(gated.iter().all(|metric| Metric::of_trials(load).any(|of_trials| of_trials == *metric)));
        }
        for (name, fits) in [
            ("throughput", [true, false]),
            ("latency.p99.9", [false, true]),
            ("service_time.mean", [false, true]),
            ("seen.p50", [false, true]),
            ("connection.memory", [true, true]),
            ("wire.bytes", [true, true]),
            ("wire.ratio", [true, true]),
            ("send_lag.p50", [false, false]),
            ("read_lag.p50", [false, false]),
            ("connect.p50", [false, false]),
            ("achieved", [false, false]),
            ("errors", [false, false]),
        ] {
            let metric: Metric = name.parse().unwrap();
            assert_eq!([&closed, &open].map(|load| metric.fits(load)), fits, "{name}");
        }
    }
}
