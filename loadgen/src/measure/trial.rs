//! What one trial has measured.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;

use crate::measure::metric::Metric;

/// Figures by metric, in its unit.
pub type Figures = BTreeMap<Metric, f64>;

/// What a JSON schema says of a figure: a number above 0.
#[derive(JsonSchema)]
#[schemars(inline, with = "f64", extend("exclusiveMinimum" = 0))]
pub(crate) enum Positive {}

/// One measured interval of one server.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Its figures.
    pub figures: Figures,
    /// Replies per second.
    pub achieved_rate: f64,
    /// How long the server was waited for before the trial and after it, beyond what a few round trips take.
    pub waited: Duration,
    /// The shortest latency, ns.
    pub latency_min: u64,
    /// The 99th percentile of the send lag, ns.
    pub send_lag_p99: u64,
}
