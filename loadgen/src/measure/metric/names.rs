//! What metrics are called, written and read.

use std::fmt;
use std::str::FromStr;

use super::{Distribution, Metric, Statistic};

/// The name by which thresholds and the formats call it.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(distribution, statistic) => write!(f, "{distribution}.{statistic}"),
            Self::Throughput => f.write_str("throughput"),
            Self::ByteRate => f.write_str("throughput.bytes"),
            Self::Achieved => f.write_str("achieved"),
            Self::ServerCpu => f.write_str("server.cpu"),
            Self::ServerMemory => f.write_str("server.memory"),
            Self::LoadgenCpu => f.write_str("loadgen.cpu"),
            Self::LoadgenMemory => f.write_str("loadgen.memory"),
            Self::Errors => f.write_str("errors"),
            Self::ErrorRate => f.write_str("errors.rate"),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency",
            Self::ServiceTime => "service_time",
            Self::SendLag => "send_lag",
            Self::Connect => "connect",
        })
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Min => f.write_str("min"),
            Self::Mean => f.write_str("mean"),
            Self::Stdev => f.write_str("stdev"),
            Self::Percentile(rank) => write!(f, "p{rank}"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((distribution, statistic)) = text.split_once('.')
            && let Some(distribution) = Distribution::named(distribution)
        {
            return statistic.parse().map(|statistic| Self::Time(distribution, statistic));
        }
        let others = [
            Self::Throughput,
            Self::ByteRate,
            Self::Achieved,
            Self::ServerCpu,
            Self::ServerMemory,
            Self::LoadgenCpu,
            Self::LoadgenMemory,
            Self::Errors,
            Self::ErrorRate,
        ];
        others
            .into_iter()
            .find(|metric| metric.to_string() == text)
            .ok_or_else(|| format!("'{text}' is no metric; expected {NAMES}"))
    }
}

impl Distribution {
    fn named(name: &str) -> Option<Self> {
        [Self::Latency, Self::ServiceTime, Self::SendLag, Self::Connect].into_iter().find(|d| d.to_string() == name)
    }
}

impl FromStr for Statistic {
    type Err = String;

    /// Reads `p99.9`, `mean` and k6's `p(99.9)`, `avg` and `med`.
    fn from_str(text: &str) -> Result<Self, String> {
        let rank = text.strip_prefix('p').map(|rank| {
            let rank = rank.strip_prefix('(').and_then(|rank| rank.strip_suffix(')')).unwrap_or(rank);
            rank.parse().ok().filter(|rank| (0.0..=100.0).contains(rank))
        });
        match (text, rank) {
            ("min", _) => Ok(Self::Min),
            ("mean" | "avg", _) => Ok(Self::Mean),
            ("stdev", _) => Ok(Self::Stdev),
            ("max", _) => Ok(Self::Max),
            ("med", _) => Ok(Self::Percentile(50.0)),
            (_, Some(Some(rank))) => Ok(Self::Percentile(rank)),
            _ => Err(format!(
                "'{text}' is no statistic; expected a percentile from p0 to p100 as p99.9, min, mean, stdev or max"
            )),
        }
    }
}

/// Every metric, as errors and the help name them.
const NAMES: &str = "latency, service_time, send_lag or connect with a statistic (latency.p99), throughput, \
    throughput.bytes, achieved, server.cpu, server.memory, loadgen.cpu, loadgen.memory, errors or errors.rate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["latency.p99", "connect.p99.9", "send_lag.max", "throughput", "throughput.bytes", "errors.rate"] {
            assert_eq!(name.parse::<Metric>().map(|metric| metric.to_string()).as_deref(), Ok(name));
        }
        assert!(Metric::catalogue().all(|metric| metric.to_string().parse() == Ok(metric)));
        for (k6, own) in [("p(99.9)", "p99.9"), ("avg", "mean"), ("med", "p50")] {
            assert_eq!(k6.parse::<Statistic>(), own.parse());
        }
        for bad in ["", "latency", "latency.", "latency.p101", "latency.pnan", "latency.p", "lag.p99", "throughput.x"] {
            assert!(bad.parse::<Metric>().is_err(), "{bad}");
        }
    }
}
