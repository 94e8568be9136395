//! The figures of a report by name: what a threshold limits, what a baseline is compared in, and what the formats that
//! list figures hold.

mod names;

use hdrhistogram::Histogram;
use server::numbers::{self, Decimal};

use crate::measured::Usage;
use crate::percentile;
use crate::recorder::Counts;
use crate::report::{DecodeError, Report, Stats};
use crate::units;
use crate::verdict::Better;

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

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Messages per second.
    MessagesPerSecond,
    /// Bytes per second.
    BytesPerSecond,
    /// Bytes.
    Bytes,
    /// A share, 1.0 being all.
    Share,
    /// A number of events.
    Count,
}

/// What a run that still goes on has measured so far.
#[derive(Debug, Clone, Copy)]
pub struct SoFar<'a> {
    /// From the intended send to the reply, ns.
    pub latency: &'a Histogram<u64>,
    /// From the actual send to the reply, ns.
    pub service_time: &'a Histogram<u64>,
    /// From the intended to the actual send, ns.
    pub send_lag: &'a Histogram<u64>,
    /// From the start of connecting to the end of the handshake, ns.
    pub connect: &'a Histogram<u64>,
    /// Replies that came within the measured phase.
    pub replies: u64,
    /// Seconds of it that have passed.
    pub seconds: f64,
    /// Messages per second that the plan asks for; open loop only.
    pub offered_rate: Option<f64>,
    /// What was counted.
    pub counts: Counts,
    /// Connections that could not be opened.
    pub failed: u64,
    /// What the generator has used of the machine.
    pub loadgen: Option<Usage>,
    /// What the server has, where it runs on this machine.
    pub server: Option<Usage>,
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

    /// Its value in a report; `None` where the report has none.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub fn of(self, report: &Report) -> Result<Option<f64>, DecodeError> {
        let (messages, connections) = (&report.messages, &report.connections);
        let wrong = messages.wrong() + report.over_backlog;
        let cpu = |cost: &crate::report::ProcessCost| cost.cpu_us_per_message.map(|us| us * 1e3);
        let server = report.resources.server.as_ref();
        Ok(match self {
            Self::Time(distribution, statistic) => statistic.of(distribution.of(report))?,
            Self::Throughput => Some(report.throughput.messages_per_second),
            Self::ByteRate => Some(report.throughput.bytes_per_second),
            Self::Achieved => report.achieved_share(),
            Self::ServerCpu => server.and_then(cpu),
            Self::ServerMemory => server.map(|cost| cost.max_rss_bytes as f64),
            Self::LoadgenCpu => cpu(&report.resources.loadgen),
            Self::LoadgenMemory => Some(report.resources.loadgen.max_rss_bytes as f64),
            Self::Errors => Some((wrong + connections.failed + connections.dropped) as f64),
            Self::ErrorRate => error_rate(wrong, messages.verified),
        })
    }

    /// Why a report has no value of it.
    pub fn why_absent(self, report: &Report) -> String {
        match self {
            Self::Time(distribution, statistic) => match (distribution.of(report).count, statistic) {
                (0, _) => "nothing of it was measured".to_owned(),
                (count, Statistic::Percentile(rank)) => {
                    let needed = units::count(percentile::needed(rank));
                    format!("p{rank} needs {needed} values at least, and there are {}", units::count(count))
                }
                (_, _) => "it was not measured".to_owned(),
            },
            Self::Achieved => "a closed loop offers no rate".to_owned(),
            Self::ServerCpu | Self::ServerMemory if report.resources.server.is_none() => {
                "the server's process cannot be seen from here".to_owned()
            }
            Self::ServerCpu | Self::LoadgenCpu => "no message was answered".to_owned(),
            Self::ErrorRate => "no message was due".to_owned(),
            _ => "it was not measured".to_owned(),
        }
    }

    /// Its value in what a run has measured so far; `None` where there is none yet. What is still on its way when the run
    /// ends is lost then, and no error before.
    pub fn so_far(self, so_far: SoFar<'_>) -> Option<f64> {
        let SoFar { counts, replies, seconds, .. } = so_far;
        let per_second = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
        let cpu = |usage: Usage| (replies > 0).then(|| usage.cpu.as_nanos() as f64 / replies as f64);
        let wrong = counts.wrong + counts.refused;
        match self {
            Self::Time(distribution, statistic) => statistic.of_histogram(distribution.so_far(so_far)),
            Self::Throughput => per_second(replies),
            Self::ByteRate => per_second(counts.bytes),
            Self::Achieved => Some(per_second(replies)? / so_far.offered_rate?),
            Self::ServerCpu => so_far.server.and_then(cpu),
            Self::ServerMemory => so_far.server.map(|usage| usage.max_rss_bytes as f64),
            Self::LoadgenCpu => so_far.loadgen.and_then(cpu),
            Self::LoadgenMemory => so_far.loadgen.map(|usage| usage.max_rss_bytes as f64),
            Self::Errors => Some((wrong + so_far.failed + counts.dropped) as f64),
            Self::ErrorRate => error_rate(wrong, counts.verified),
        }
    }

    /// The least and the most that a percentile can be of which there are too few values, by what was recorded.
    ///
    /// # Errors
    /// When the report's histograms cannot be read.
    pub fn bounds(self, report: &Report) -> Result<Option<(f64, f64)>, DecodeError> {
        match self {
            Self::Time(distribution, Statistic::Percentile(_)) => {
                Ok(bounds(&distribution.of(report).histogram.decode()?))
            }
            _ => Ok(None),
        }
    }

    /// The same in what a run has measured so far.
    pub fn bounds_so_far(self, so_far: SoFar<'_>) -> Option<(f64, f64)> {
        match self {
            Self::Time(distribution, Statistic::Percentile(_)) => bounds(distribution.so_far(so_far)),
            _ => None,
        }
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

fn bounds(histogram: &Histogram<u64>) -> Option<(f64, f64)> {
    (!histogram.is_empty()).then(|| (histogram.min() as f64, histogram.max() as f64))
}

fn error_rate(wrong: u64, verified: u64) -> Option<f64> {
    let due = verified + wrong;
    (due > 0).then(|| wrong as f64 / due as f64)
}

impl Distribution {
    fn of(self, report: &Report) -> &Stats {
        match self {
            Self::Latency => &report.latency,
            Self::ServiceTime => &report.service_time,
            Self::SendLag => &report.send_lag,
            Self::Connect => &report.connect,
        }
    }

    fn so_far(self, so_far: SoFar<'_>) -> &Histogram<u64> {
        match self {
            Self::Latency => so_far.latency,
            Self::ServiceTime => so_far.service_time,
            Self::SendLag => so_far.send_lag,
            Self::Connect => so_far.connect,
        }
    }
}

impl Statistic {
    fn of(self, stats: &Stats) -> Result<Option<f64>, DecodeError> {
        Ok(match self {
            Self::Min => stats.min.map(|ns| ns as f64),
            Self::Mean => stats.mean,
            Self::Stdev => stats.stdev,
            Self::Max => stats.max.map(|ns| ns as f64),
            Self::Percentile(_) => self.of_histogram(&stats.histogram.decode()?),
        })
    }

    fn of_histogram(self, histogram: &Histogram<u64>) -> Option<f64> {
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
        // Alike in each metric and spelling that has a share.
        for threshold in ["achieved>=99", "errors.rate<1", "rate<1"] {
            assert!(
                threshold.parse::<crate::threshold::Threshold>().unwrap_err().contains("percent sign"),
                "{threshold}"
            );
        }
    }
}
