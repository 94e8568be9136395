//! Metrics: the figures that are measured, by name. Thresholds limit them, `--gate` judges them, baselines are compared in
//! them, and the formats list them.

mod measured_by;
mod names;
mod unit;

use hdrhistogram::Histogram;

use crate::measure::datagrams::Datagrams;
use crate::measure::percentile::{self, Rank};

pub use names::{LISTED, show_named};
pub use unit::{Better, Unit};

/// One figure; ordered as comparisons and sweeps list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Replies per second, `throughput`.
    Throughput,
    /// Bytes received per second, `throughput.bytes`.
    ByteRate,
    /// The achieved rate as a share of the offered one, `achieved`; open loop only.
    Achieved,
    /// A statistic of a distribution of times, `latency.p99`.
    Time(Distribution, Statistic),
    /// The server's CPU time per message, user and system, `server.cpu`; where it runs on this machine.
    ServerCpu,
    /// The most memory that the server had resident, `server.memory`; where it runs on this machine.
    ServerMemory,
    /// Resident memory that the server's connections added, for each of them, `connection.memory`; where it runs on this
    /// machine, and only in `compare` and `sweep`.
    ConnectionMemory,
    /// Bytes that a message and its reply took on the wire, frame headers included, `wire.bytes`; only in `compare` and
    /// `sweep`.
    WireBytes,
    /// Bytes of payload on the wire per byte of message, both ways together, `wire.ratio`; only in `compare` and `sweep`.
    WireRatio,
    /// The rate at which a probe breaks a limit as often as it keeps all, `capacity`; only in `capacity` with --a and --b.
    Capacity,
    /// The generator's CPU time per message, `loadgen.cpu`.
    LoadgenCpu,
    /// The most memory that the generator had resident, `loadgen.memory`.
    LoadgenMemory,
    /// Messages lost, corrupted, reordered, unexpected or refused by the backlog, and connections failed or dropped,
    /// `errors`.
    Errors,
    /// The share of due messages that brought no right reply, `errors.rate`.
    ErrorRate,
    /// What UDP did, as a share of the messages that were due, `datagrams.lost`.
    Datagrams(Fate),
}

/// What UDP may do to a message or its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// No reply came in time.
    Lost,
    /// A reply came to a message that was lost by then.
    Late,
    /// A further reply came to a message that had one.
    Duplicated,
    /// A reply came after that to a later message.
    Reordered,
}

impl Fate {
    /// How many of these it is.
    pub fn of(self, datagrams: Datagrams) -> u64 {
        match self {
            Self::Lost => datagrams.lost,
            Self::Late => datagrams.late,
            Self::Duplicated => datagrams.duplicated,
            Self::Reordered => datagrams.reordered,
        }
    }
}

/// A distribution of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distribution {
    /// From the intended send to the reply's arrival.
    Latency,
    /// From the actual send to the reply's arrival.
    ServiceTime,
    /// From the intended to the actual send.
    SendLag,
    /// From the reply's arrival until the generator read it.
    ReadLag,
    /// From the intended send until the generator read the reply.
    Seen,
    /// From the start of connecting to the end of the handshake.
    Connect,
}

/// A statistic of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// The lowest value.
    Min,
    /// The arithmetic mean.
    Mean,
    /// The standard deviation.
    Stdev,
    /// The percentile of this rank.
    Percentile(Rank),
    /// The highest value.
    Max,
}

impl Metric {
    /// The percentile of the latency of this rank.
    ///
    /// # Panics
    /// Where the rank is not from 0 to 100.
    pub const fn latency(rank: f64) -> Self {
        Self::Time(Distribution::Latency, Statistic::percentile(rank))
    }

    /// The figures worth following from run to run, those that a run may not have included.
    pub fn catalogue() -> impl Iterator<Item = Self> {
        let percentiles = percentile::RANKS.map(Self::latency);
        let others = [Statistic::Max, Statistic::Mean].map(|statistic| Self::Time(Distribution::Latency, statistic));
        let times = percentiles.into_iter().chain(others);
        let rest = [Self::Achieved, Self::ServerCpu, Self::ServerMemory, Self::LoadgenCpu, Self::Errors];
        let seen = [50.0, 99.0].map(|rank| Self::Time(Distribution::Seen, Statistic::percentile(rank)));
        [Self::Throughput].into_iter().chain(times).chain(seen).chain(rest)
    }

    /// What it counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Time(..) => Unit::Nanoseconds,
            Self::ServerCpu | Self::LoadgenCpu => Unit::NanosecondsPerMessage,
            Self::Throughput | Self::Capacity => Unit::MessagesPerSecond,
            Self::ByteRate => Unit::BytesPerSecond,
            Self::ServerMemory | Self::LoadgenMemory => Unit::Bytes,
            Self::ConnectionMemory => Unit::BytesPerConnection,
            Self::WireBytes => Unit::BytesPerMessage,
            Self::WireRatio | Self::Achieved | Self::ErrorRate | Self::Datagrams(_) => Unit::Share,
            Self::Errors => Unit::Count,
        }
    }

    /// Which way it improves.
    pub fn better(self) -> Better {
        match self {
            Self::Throughput | Self::Capacity | Self::ByteRate | Self::Achieved => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// A figure of it, for people.
    pub fn show(self, figure: f64) -> String {
        self.unit().show(figure)
    }

    /// Whether it is of times that end at the reply's arrival.
    pub fn ends_at_arrival(self) -> bool {
        matches!(self, Self::Time(Distribution::Latency | Distribution::ServiceTime, _))
    }

    /// Its rank, if it is a percentile.
    pub fn rank(self) -> Option<Rank> {
        match self {
            Self::Time(_, Statistic::Percentile(rank)) => Some(rank),
            _ => None,
        }
    }

    /// How many values there must be for it to have a figure.
    pub fn needed_values(self) -> u64 {
        self.rank().map_or(1, |rank| percentile::needed(rank.get()))
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

impl Statistic {
    /// The percentile of this rank.
    ///
    /// # Panics
    /// Where the rank is not from 0 to 100.
    pub const fn percentile(rank: f64) -> Self {
        Self::Percentile(Rank::new(rank).expect("a rank from 0 to 100"))
    }

    /// Its value in a histogram; `None` where that has too few values.
    pub fn of_histogram(self, histogram: &Histogram<u64>) -> Option<f64> {
        let value = match self {
            Self::Min => histogram.min() as f64,
            Self::Mean => histogram.mean(),
            Self::Stdev => histogram.stdev(),
            Self::Percentile(rank) => percentile::of(histogram, rank.get())? as f64,
            Self::Max => histogram.max() as f64,
        };
        (!histogram.is_empty()).then_some(value)
    }
}
