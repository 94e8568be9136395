//! What a run cost the machine: of each process, and for each connection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::resources::{PeakOf, Usage};
use crate::judge::statistics::Slope;

/// What a process used over the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessCost {
    /// CPU time, user and system, of all its threads, in seconds.
    #[schemars(range(min = 0))]
    pub cpu_seconds: f64,
    /// The same per reply, in microseconds; null without replies.
    #[schemars(range(min = 0))]
    pub cpu_us_per_message: Option<f64>,
    /// The most memory that it had resident, in bytes, of what `max_rss_of` says.
    pub max_rss_bytes: u64,
    /// Of what that is the peak: of the measured phase by the kernel, of samples taken in it, or of the process's life.
    #[serde(default)]
    pub max_rss_of: PeakOf,
    /// What it had resident as the measured phase ended, in bytes; null where that cannot be told.
    #[serde(default)]
    pub rss_bytes: Option<u64>,
}

/// Bytes for each connection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PerConnection {
    /// The median of the slopes between every two numbers of connections.
    pub estimate: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl From<Slope> for PerConnection {
    fn from(Slope { estimate, low, high }: Slope) -> Self {
        Self { estimate, low, high }
    }
}

impl ProcessCost {
    /// What it used for as many messages.
    pub fn new(usage: &Usage, messages: u64) -> Self {
        let cpu_seconds = usage.cpu.as_secs_f64();
        Self {
            cpu_seconds,
            cpu_us_per_message: (messages > 0).then(|| cpu_seconds * 1e6 / messages as f64),
            max_rss_bytes: usage.max_rss_bytes,
            max_rss_of: usage.max_rss_of,
            rss_bytes: usage.rss_bytes,
        }
    }
}
