//! The figures of a report by name: what a threshold limits, what a baseline is compared in, and what the formats that
//! list figures hold.

mod names;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use server::numbers::{self, Decimal};

use crate::measure::percentile;
use crate::units;

/// One figure of a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// A statistic of a distribution of times, `latency.p99`.
    Time(Distribution, Statistic),
    /// Replies per second, `throughput`.
    Throughput,
    /// Bytes received per second, `throughput.bytes`.
    ByteRate,
    /// The achieved rate as a share of the offered one, `achieved`; open loop only.
    Achieved,
    /// The server's CPU time per message, `server.cpu`; where it runs on this machine.
    ServerCpu,
    /// The most memory that the server had resident, `server.memory`; where it runs on this machine.
    ServerMemory,
    /// The generator's CPU time per message, `loadgen.cpu`.
    LoadgenCpu,
    /// The most memory that the generator had resident, `loadgen.memory`.
    LoadgenMemory,
    /// Messages lost, corrupted, reordered, unexpected or refused by the backlog, and connections failed or dropped,
    /// `errors`.
    Errors,
    /// The share of due messages that brought no right reply, `errors.rate`.
    ErrorRate,
}

/// A distribution of times in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// From the intended send to the reply.
    Latency,
    /// From the actual send to the reply.
    ServiceTime,
    /// From the intended to the actual send.
    SendLag,
    /// From the start of connecting to the end of the handshake.
    Connect,
}

/// A statistic of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The lowest value.
    Min,
    /// The arithmetic mean.
    Mean,
    /// The standard deviation.
    Stdev,
    /// The percentile of this rank, from 0 to 100.
    Percentile(f64),
    /// The highest value.
    Max,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// As throughput is.
    Higher,
    /// As latency and cost are.
    Lower,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub enum Unit {
    /// Nanoseconds.
    #[schemars(rename = "ns")]
    Nanoseconds,
    /// Messages per second.
    #[schemars(rename = "messages/s")]
    MessagesPerSecond,
    /// Bytes per second.
    #[schemars(rename = "B/s")]
    BytesPerSecond,
    /// Bytes.
    #[schemars(rename = "B")]
    Bytes,
    /// A share, 1.0 being all.
    #[schemars(rename = "share")]
    Share,
    /// A number of events.
    #[schemars(rename = "count")]
    Count,
}

impl Metric {
    /// The figures worth following from run to run, those that a run may not have included.
    pub fn catalogue() -> impl Iterator<Item = Self> {
        let latency = percentile::RANKS.map(Statistic::Percentile);
        let latency = latency.into_iter().chain([Statistic::Max, Statistic::Mean]);
        let times = latency.map(|statistic| Self::Time(Distribution::Latency, statistic));
        let rest = [Self::Achieved, Self::ServerCpu, Self::ServerMemory, Self::LoadgenCpu, Self::Errors];
        [Self::Throughput].into_iter().chain(times).chain(rest)
    }

    /// What it counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Time(..) | Self::ServerCpu | Self::LoadgenCpu => Unit::Nanoseconds,
            Self::Throughput => Unit::MessagesPerSecond,
            Self::ByteRate => Unit::BytesPerSecond,
            Self::ServerMemory | Self::LoadgenMemory => Unit::Bytes,
            Self::Achieved | Self::ErrorRate => Unit::Share,
            Self::Errors => Unit::Count,
        }
    }

    /// Which way it improves.
    pub fn better(self) -> Better {
        match self {
            Self::Throughput | Self::ByteRate | Self::Achieved => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Whether it counts errors.
    pub fn is_of_errors(self) -> bool {
        matches!(self, Self::Errors | Self::ErrorRate)
    }

    /// Whether it can only grow while a run goes on.
    pub fn only_grows(self) -> bool {
        matches!(self, Self::Errors | Self::ServerMemory | Self::LoadgenMemory | Self::Time(_, Statistic::Max))
    }

    /// Whether it can only fall while a run goes on.
    pub fn only_falls(self) -> bool {
        matches!(self, Self::Time(_, Statistic::Min))
    }
}

/// The least and the most value of a histogram; `None` where it is empty.
pub fn range(histogram: &Histogram<u64>) -> Option<(f64, f64)> {
    (!histogram.is_empty()).then(|| (histogram.min() as f64, histogram.max() as f64))
}

/// The share of messages due that brought no right reply; `None` where none was due.
pub fn error_rate(wrong: u64, verified: u64) -> Option<f64> {
    let due = verified + wrong;
    (due > 0).then(|| wrong as f64 / due as f64)
}

impl Statistic {
    /// Its value in a histogram; `None` where that has too few values.
    pub fn of_histogram(self, histogram: &Histogram<u64>) -> Option<f64> {
        let value = match self {
            Self::Min => histogram.min() as f64,
            Self::Mean => histogram.mean(),
            Self::Stdev => histogram.stdev(),
            Self::Percentile(rank) => percentile::of(histogram, rank)? as f64,
            Self::Max => histogram.max() as f64,
        };
        (!histogram.is_empty()).then_some(value)
    }
}

impl Unit {
    /// Its symbol, as the formats for machines write it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::MessagesPerSecond => "messages/s",
            Self::BytesPerSecond => "B/s",
            Self::Bytes => "B",
            Self::Share => "share",
            Self::Count => "count",
        }
    }

    /// A value of it, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Nanoseconds => units::time(value),
            Self::MessagesPerSecond => format!("{}/s", units::number(value)),
            Self::BytesPerSecond => units::byte_rate(value),
            Self::Bytes => units::memory(value.max(0.0).round() as u64),
            Self::Share => units::percent(value),
            Self::Count => units::count(value.max(0.0).round() as u64),
        }
    }

    /// Reads a value of it. Times need their unit, unless `times_in_ms`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(self, text: &str, times_in_ms: bool) -> Result<f64, String> {
        let unknown = || format!("'{text}' is no limit; expected {}", self.expected());
        let (number, suffix) = Decimal::read(text).ok_or_else(unknown)?;
        let per_second = suffix.strip_suffix("/s").unwrap_or(suffix);
        let value = match (self, suffix) {
            (Self::Nanoseconds, "ns") => Some(number.value(0)),
            (Self::Nanoseconds, "us" | "\u{b5}s" | "\u{3bc}s") => Some(number.value(3)),
            (Self::Nanoseconds, "ms") => Some(number.value(6)),
            (Self::Nanoseconds, "s") => Some(number.value(9)),
            (Self::Nanoseconds, "") if times_in_ms => Some(number.value(6)),
            (Self::Nanoseconds, _) => None,
            (Self::MessagesPerSecond, _) => numbers::number(text.strip_suffix("/s").unwrap_or(text)),
            (Self::Count, _) => numbers::number(text),
            (Self::BytesPerSecond, _) => numbers::unit_of_bytes(per_second).map(|unit| number.value(0) * unit as f64),
            (Self::Bytes, _) => numbers::unit_of_bytes(suffix).map(|unit| number.value(0) * unit as f64),
            (Self::Share, "%") => Some(number.value(-2)),
            (Self::Share, "") => Some(share(number.value(0), text)?),
            (Self::Share, _) => None,
        };
        value.filter(|value| value.is_finite()).ok_or_else(unknown)
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Nanoseconds => "a time with its unit, as 5ms (ns, us, ms, s)",
            Self::MessagesPerSecond => "messages per second, as 100000 or 100k",
            Self::BytesPerSecond => "bytes per second, as 10MB/s (of 1000) or 10MiB/s (of 1024)",
            Self::Bytes => "bytes, as 64MiB (of 1024) or 64MB (of 1000)",
            Self::Share => "a share, as 99% or 0.99",
            Self::Count => "a number, as 0 or 10k",
        }
    }
}

/// A share without a percent sign, which must be less than all: whoever writes 99 means 99%, and 1 may be either.
fn share(share: f64, text: &str) -> Result<f64, String> {
    if share < 1.0 {
        return Ok(share);
    }
    let all = if share == 1.0 { " (100% if it is all)" } else { "" };
    Err(format!("'{text}' is no share without a percent sign; write {text}%{all}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_their_units() {
        for (unit, text, value) in [
            (Unit::Nanoseconds, "5ms", 5e6),
            (Unit::Nanoseconds, "1.5 us", 1_500.0),
            (Unit::MessagesPerSecond, "100k/s", 1e5),
            (Unit::MessagesPerSecond, "1_000", 1e3),
            (Unit::BytesPerSecond, "2MB/s", 2e6),
            (Unit::Bytes, "64MiB", 67_108_864.0),
            (Unit::MessagesPerSecond, "1e5", 1e5),
            (Unit::BytesPerSecond, "1_000", 1e3),
            (Unit::BytesPerSecond, "1MiB/s", 1_048_576.0),
            (Unit::Bytes, "64MB", 64e6),
            (Unit::Share, "99%", 0.99),
            (Unit::Share, "0.99", 0.99),
            (Unit::Share, "101%", 1.01),
            (Unit::Share, "0", 0.0),
            (Unit::Count, "0", 0.0),
            (Unit::Count, "10k", 1e4),
        ] {
            assert_eq!(unit.parse(text, false), Ok(value), "{text}");
        }
        assert_eq!(Unit::Nanoseconds.parse("5", true), Ok(5e6));
        for (unit, text) in [
            (Unit::Nanoseconds, "5"),
            (Unit::Nanoseconds, "5kg"),
            (Unit::Nanoseconds, "-5ms"),
            (Unit::Nanoseconds, "ms"),
            (Unit::Count, "5%"),
            (Unit::Share, "1.2.3"),
            (Unit::Count, "nan"),
            (Unit::Count, "inf"),
            (Unit::Count, ""),
            (Unit::Nanoseconds, "1e999s"),
            (Unit::Bytes, "64MB/s"),
        ] {
            assert!(unit.parse(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_all_or_more_needs_its_percent_sign() {
        for (text, hint) in [("99", "write 99%"), ("1", "write 1% (100% if it is all)"), ("9.9e1", "write 9.9e1%")] {
            let error = Unit::Share.parse(text, false).unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
