//! What is compared: the figures that a trial has, their units, and which way each of them is better.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::measure::metric::Better;
use crate::measure::percentile;
use crate::plan::Load;
use crate::units;

/// Figures by metric, in its unit.
pub type Figures = BTreeMap<Metric, f64>;

/// A figure of a trial or of a server's life. Flags take the names that thresholds have for it too, such as `latency.p99`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Replies per second of a closed loop.
    Throughput,
    /// The median latency of an open loop, from the intended send.
    #[value(alias = "latency.p50")]
    LatencyP50,
    /// Its 90th percentile.
    #[value(alias = "latency.p90")]
    LatencyP90,
    /// Its 95th percentile.
    #[value(alias = "latency.p95")]
    LatencyP95,
    /// Its 99th percentile.
    #[value(alias = "latency.p99")]
    LatencyP99,
    /// CPU time of the server for one message, user and system.
    #[value(alias = "server.cpu")]
    ServerCpu,
    /// The most memory that the server ever had resident.
    #[value(alias = "server.memory")]
    PeakMemory,
    /// Resident memory that the server's connections added, for each of them.
    #[value(alias = "connection.memory")]
    ConnectionMemory,
}

/// One measured interval of one server.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Its figures.
    pub figures: Figures,
    /// Replies per second.
    pub achieved_rate: f64,
    /// The shortest latency, ns.
    pub latency_min: u64,
    /// The 99th percentile of the send lag, ns.
    pub send_lag_p99: u64,
}

impl Metric {
    /// The percentiles of the latency among them, and their ranks.
    pub fn percentiles() -> [(Self, f64); 4] {
        [(Self::LatencyP50, 50.0), (Self::LatencyP90, 90.0), (Self::LatencyP95, 95.0), (Self::LatencyP99, 99.0)]
    }

    /// Messages that a trial needs to have one; 1 where it is no percentile.
    pub fn needs_messages(self) -> u64 {
        let rank = Self::percentiles().into_iter().find(|(metric, _)| *metric == self);
        rank.map_or(1, |(_, rank)| percentile::needed(rank))
    }

    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Throughput => "messages/s",
            Self::LatencyP50 | Self::LatencyP90 | Self::LatencyP95 | Self::LatencyP99 => "ns",
            Self::ServerCpu => "ns/message",
            Self::PeakMemory => "bytes",
            Self::ConnectionMemory => "bytes/connection",
        }
    }

    /// Which way it is better.
    pub fn better(self) -> Better {
        match self {
            Self::Throughput => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Whether there is one for each trial, not one for each start of the server.
    pub fn is_of_trials(self) -> bool {
        !matches!(self, Self::PeakMemory | Self::ConnectionMemory)
    }

    /// Whether it is known only where the server's process is.
    pub fn is_of_the_process(self) -> bool {
        matches!(self, Self::ServerCpu | Self::PeakMemory | Self::ConnectionMemory)
    }

    /// Whether a trial under this load has it.
    pub fn fits(self, load: &Load) -> bool {
        match self {
            Self::Throughput => matches!(load, Load::Closed { .. }),
            Self::LatencyP50 | Self::LatencyP90 | Self::LatencyP95 | Self::LatencyP99 => {
                matches!(load, Load::Open { .. })
            }
            Self::ServerCpu | Self::PeakMemory | Self::ConnectionMemory => true,
        }
    }

    /// Those that are gated unless the user chooses others.
    pub fn gated_by_default(load: &Load) -> &'static [Self] {
        match load {
            Load::Closed { .. } => &[Self::Throughput, Self::ServerCpu],
            Load::Open { .. } => &[Self::LatencyP50, Self::LatencyP99, Self::ServerCpu],
        }
    }

    /// A figure of it, for people.
    pub fn show(self, figure: f64) -> String {
        match self {
            Self::Throughput => format!("{}/s", units::number(figure)),
            Self::LatencyP50 | Self::LatencyP90 | Self::LatencyP95 | Self::LatencyP99 | Self::ServerCpu => {
                units::time(figure)
            }
            Self::PeakMemory | Self::ConnectionMemory => units::memory(figure.max(0.0) as u64),
        }
    }
}

/// By the name that `--gate` and the JSON have for it.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value().expect("no metric is hidden");
        f.pad(name.get_name())
    }
}
